import numpy as np
import pytest

from sklearn_lm._optimize.state import Record, Rejection, Seconds
from sklearn_lm._optimize.termination import Ending
from sklearn_lm._training.history import EarlyStopping, Goal, Monitor, Progress


def record(iteration, cost=1.0):
    return Record(
        iteration,
        np.full(2, float(iteration)),
        cost,
        0.1,
        1e-3,
        0.9,
        iteration + 1,
        0.5 * iteration,
        Seconds(0.1, 0.2, 0.3),
        None,
    )


def test_history_has_one_entry_per_record():
    monitor = Monitor(lambda equations: 4.0, {"validation_mse": lambda theta: float(theta.sum())}, [])
    for i in range(3):
        assert monitor(record(i)) is None
    history = monitor.history()
    assert {len(column) for column in history.values()} == {3}
    np.testing.assert_array_equal(history["validation_mse"], [0, 2, 4])
    np.testing.assert_array_equal(history["time"], [0, 0.5, 1])


def test_all_listeners_hear_and_the_first_ending_counts():
    heard = []

    def listener(ending):
        return lambda record, row: heard.append(row["train_mse"]) or ending

    monitor = Monitor(lambda equations: 1.0, {}, [listener(None), listener(Ending.PATIENCE)])
    monitor.watchers.append(listener(Ending.GOAL))
    assert monitor(record(0)) is Ending.PATIENCE
    assert heard == [1.0, 1.0, 1.0]


def test_a_record_told_again_is_judged_again_but_not_kept_twice():
    """As by a fit that goes on from it."""
    heard = []
    monitor = Monitor(lambda equations: 1.0, {}, [Goal(2.0)])
    monitor.watchers.append(lambda record, row: heard.append(record.iteration))
    assert [monitor(record(i)) for i in (0, 1, 1)] == [Ending.GOAL] * 3
    assert len(monitor.rows) == 2
    assert heard == [0, 1]


def test_a_monitor_goes_on_from_what_it_remembers():
    def monitor():
        return Monitor(
            lambda equations: 1.0, {"validation_mse": lambda theta: abs(theta[0] - 1.0)}, [], EarlyStopping(3)
        )

    whole, first, second = monitor(), monitor(), monitor()
    endings = [whole(record(i)) for i in range(5)]
    assert [first(record(i)) for i in range(3)] == endings[:3]
    assert second.recall(first.memory())
    assert [second(record(i)) for i in range(3, 5)] == endings[3:]
    assert second.rows == whole.rows
    assert second.best()[:2] == whole.best()[:2] == (0.0, 1)
    np.testing.assert_array_equal(whole.history()["validation_failures"], [0, 0, 1, 2, 3])


def test_a_memory_of_another_validation_set_is_refused():
    def monitor(centre):
        return Monitor(lambda equations: 1.0, {"validation_mse": lambda theta: theta[0] - centre}, [], EarlyStopping(3))

    first = monitor(0.0)
    first(record(0))
    second = monitor(1.0)
    assert not second.recall(first.memory())
    assert second.rows == []


def test_goal_is_reached_from_above():
    goal = Goal(0.5)
    assert goal(record(0), {"train_mse": 0.51}) is None
    assert goal(record(0), {"train_mse": 0.5}) is Ending.GOAL


def test_early_stopping_keeps_the_best_weights():
    stopping = EarlyStopping(patience=2)
    errors = [5.0, 3.0, 4.0, 2.0, 2.0, 2.5]
    endings = [stopping(record(i), {"validation_mse": e}) for i, e in enumerate(errors)]
    assert endings == [None] * 5 + [Ending.PATIENCE]
    assert (stopping.best_iteration, stopping.best_error, stopping.best_theta[0]) == (3, 2.0, 3.0)


def test_early_stopping_survives_a_first_error_that_is_not_finite():
    for first in (np.inf, np.nan):
        stopping = EarlyStopping(patience=3)
        for i, error in enumerate([first, np.nan, 7.0]):
            stopping(record(i), {"validation_mse": error})
        assert stopping.best_iteration == 2


@pytest.mark.parametrize("held_out", [{}, {"validation_mse": lambda theta: 2.0}])
def test_progress_is_one_aligned_line_per_iteration(capsys, held_out):
    monitor = Monitor(lambda equations: 1.0, held_out, progress=Progress())
    for i in range(3):
        monitor(record(i))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert ("val. MSE" in lines[0]) == bool(held_out)


def test_rejected_trials_are_lines_of_the_same_length(capsys):
    monitor = Monitor(lambda equations: 1.0, {}, progress=Progress(tells_rejected=True))
    assert Monitor(lambda equations: 1.0, {}, progress=Progress()).on_reject is None
    monitor(record(0))
    monitor.on_reject(Rejection(mu=4.0, gain_ratio=-0.5, time=2.0))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split() == ["rejected", "4", "-0.5", "2"]


def test_a_record_that_is_not_live_is_printed_when_asked(capsys):
    progress = Progress(is_live=False)
    monitor = Monitor(lambda equations: 1.0, {}, progress=progress)
    monitor(record(0))
    assert capsys.readouterr().out == ""
    progress.replay()
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_columns_of_others_go_on_until_they_change():
    monitor = Monitor(lambda equations: 4.0, {}, [])
    for i, value in enumerate([np.nan, 2.0, 2.0, 3.0]):
        monitor.columns = {"log_evidence": value}
        monitor(record(i))
    np.testing.assert_array_equal(monitor.history()["log_evidence"], [np.nan, 2, 2, 3])
