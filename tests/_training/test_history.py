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


def test_all_listeners_are_called_and_the_first_ending_counts():
    reported = []

    def listener(ending):
        return lambda record, row: reported.append(row["train_mse"]) or ending

    monitor = Monitor(lambda equations: 1.0, {}, [listener(None), listener(Ending.PATIENCE)])
    monitor.listeners.append(listener(Ending.GOAL))
    assert monitor(record(0)) is Ending.PATIENCE
    assert reported == [1.0, 1.0, 1.0]


def test_rules_see_a_record_again_that_is_kept_once():
    """As by a fit that is continued."""
    reported = []
    monitor = Monitor(lambda equations: 1.0, {}, [Goal(2.0)])
    monitor.listeners.append(lambda record, row: reported.append(record.iteration))
    assert [monitor(record(i)) for i in (0, 1, 1)] == [Ending.GOAL] * 3
    assert len(monitor.rows) == 2
    assert reported == [0, 1]


def validated(centre=1.0):
    errors = {"validation_mse": lambda theta: abs(theta[0] - centre)}
    return Monitor(lambda equations: 1.0, errors, [], EarlyStopping(3))


def test_a_monitor_is_restored_from_its_rows():
    whole, first, second = validated(), validated(), validated()
    endings = [whole(record(i)) for i in range(5)]
    assert [first(record(i)) for i in range(3)] == endings[:3]
    assert second.restore(first.rows, first.last[2], first.best()[2])
    assert [second(record(i)) for i in range(3, 5)] == endings[3:]
    assert second.rows == whole.rows
    assert second.best()[:2] == whole.best()[:2] == (0.0, 1)
    np.testing.assert_array_equal(whole.history()["validation_failures"], [0, 0, 1, 2, 3])


def test_a_monitor_of_another_validation_set_is_not_restored():
    first, second = validated(0.0), validated(1.0)
    first(record(0))
    assert not second.restore(first.rows, first.last[2], first.best()[2])
    assert second.rows == []


@pytest.mark.parametrize(
    ("errors", "best"), [([3.0, 1.0, 2.0], [3, 1, 1, 1]), ([np.nan, np.nan, 2.0], [np.inf, np.inf, 2, 2])]
)
def test_error_of_an_earlier_iteration(errors, best):
    """With a validation set the least until then, otherwise the objective, which never grows."""
    stopped = Monitor(
        lambda equations: 1.0, {"validation_mse": lambda theta: errors[int(theta[0])]}, [], EarlyStopping(9)
    )
    plain = Monitor(lambda equations: 1.0, {})
    assert plain.error_at(0) == np.inf
    for i in range(3):
        stopped(record(i))
        plain(record(i, cost=3.0 - i))
    assert [stopped.error_at(i) for i in range(4)] == best
    assert [plain.error_at(i) for i in range(4)] == [3, 2, 1, 1]


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
    monitor = Monitor(lambda equations: 1.0, {}, progress=Progress(shows_rejected=True))
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


def test_additional_columns_keep_their_values_until_they_change():
    monitor = Monitor(lambda equations: 4.0, {}, [])
    for i, value in enumerate([np.nan, 2.0, 2.0, 3.0]):
        monitor.columns = {"log_evidence": value}
        monitor(record(i))
    np.testing.assert_array_equal(monitor.history()["log_evidence"], [np.nan, 2, 2, 3])
