import numpy as np
import pytest

from sklearn_lm._monitor import EarlyStopping, Goal, Monitor, Progress
from sklearn_lm._optimizer import Ending, Record, Seconds


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
        return lambda row, theta: heard.append(row["train_mse"]) or ending

    monitor = Monitor(lambda equations: 1.0, {}, [listener(None), listener(Ending.PATIENCE), listener(Ending.GOAL)])
    assert monitor(record(0)) is Ending.PATIENCE
    assert heard == [1.0, 1.0, 1.0]


def test_goal_is_reached_from_above():
    goal = Goal(0.5)
    assert goal({"train_mse": 0.51}, np.zeros(1)) is None
    assert goal({"train_mse": 0.5}, np.zeros(1)) is Ending.GOAL


def test_early_stopping_keeps_the_best_weights():
    stopping = EarlyStopping(patience=2)
    errors = [5.0, 3.0, 4.0, 2.0, 2.0, 2.5]
    endings = [stopping({"validation_mse": e}, np.array([float(i)])) for i, e in enumerate(errors)]
    assert endings == [None] * 5 + [Ending.PATIENCE]
    assert (stopping.best_iteration, stopping.best_error, stopping.best_theta[0]) == (3, 2.0, 3.0)


def test_early_stopping_survives_a_first_error_that_is_not_finite():
    for first in (np.inf, np.nan):
        stopping = EarlyStopping(patience=3)
        for i, error in enumerate([first, np.nan, 7.0]):
            stopping({"validation_mse": error}, np.array([float(i)]))
        assert stopping.best_iteration == 2


@pytest.mark.parametrize("held_out", [{}, {"validation_mse": lambda theta: 2.0}])
def test_progress_is_one_aligned_line_per_iteration(capsys, held_out):
    monitor = Monitor(lambda equations: 1.0, held_out, [Progress()])
    for i in range(3):
        monitor(record(i))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert ("val. MSE" in lines[0]) == bool(held_out)
