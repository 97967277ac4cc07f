"""What is known about each iteration, and who listens to it: history, progress lines, stopping by error.

The optimizer hands a `Record` to `Monitor`, which adds the errors of the data sets and passes the resulting row
(a dict of numbers) to its listeners. A listener may return an `Ending`; the first one stops the fit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ._optimizer import Ending, Record

Row = dict[str, float]
Listener = Callable[[Row, np.ndarray], Ending | None]


class Monitor:
    """Turns records into rows and keeps all of them.

    Parameters
    ----------
    train_error : callable
        Mean squared training error from the record's `equations`, in the target's own squared units.
    held_out_errors : mapping of str to callable
        Name of a column and the error of theta on a set that takes no part in the fit.
    listeners : sequence of callables
        Called with the row and theta.
    stopping : EarlyStopping, optional
        One more listener, and the one that says what to publish.
    """

    def __init__(
        self,
        train_error: Callable[[Any], float],
        held_out_errors: Mapping[str, Callable[[np.ndarray], float]],
        listeners: Sequence[Listener] = (),
        stopping: "EarlyStopping | None" = None,
    ):
        self.train_error, self.held_out_errors = train_error, held_out_errors
        self.listeners: list[Listener] = list(listeners)
        if stopping is not None:
            self.listeners.append(stopping)
        self.stopping = stopping
        self.rows: list[Row] = []
        # Cost, iteration and theta of the last record, and not the record: its Gram matrix is large.
        self.last: tuple[float, int, np.ndarray] | None = None

    def __call__(self, record: Record) -> Ending | None:
        row: Row = {"loss": record.cost, "train_mse": self.train_error(record.equations)}
        for name, error in self.held_out_errors.items():
            row[name] = error(record.theta)
        row["grad_norm"], row["mu"], row["gain_ratio"] = record.grad_norm, record.mu, record.gain_ratio
        row["n_evaluations"], row["time"] = record.n_evaluations, record.time
        row["time_jacobian"], row["time_solve"], row["time_evaluate"] = record.seconds
        self.rows.append(row)
        self.last = record.cost, record.iteration, record.theta
        endings = [listener(row, record.theta) for listener in self.listeners]
        return next((ending for ending in endings if ending), None)

    def history(self) -> dict[str, np.ndarray]:
        """Equally long arrays, one entry per row."""
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def best(self) -> tuple[float, int, np.ndarray]:
        """What to publish: error to compare fits by, iteration, theta. F never grows, so the last is the best of F."""
        if self.stopping is not None and self.stopping.best_theta is not None:
            return self.stopping.best_error, self.stopping.best_iteration, self.stopping.best_theta
        assert self.last is not None  # the starting point is a record
        return self.last


class Goal:
    """Ends the fit once the training error is small enough."""

    def __init__(self, goal: float):
        self.goal = goal

    def __call__(self, row: Row, theta: np.ndarray) -> Ending | None:
        return Ending.GOAL if row["train_mse"] <= self.goal else None


class EarlyStopping:
    """Keeps theta of the least validation error; ends the fit when it has not fallen for `patience` iterations."""

    def __init__(self, patience: int):
        self.patience = patience
        self.iteration = -1
        self.best_iteration = 0
        self.best_error = np.inf
        self.best_theta: np.ndarray | None = None

    def __call__(self, row: Row, theta: np.ndarray) -> Ending | None:
        self.iteration += 1
        error = row["validation_mse"]
        # A first error that is not finite is still the best known so far.
        if error < self.best_error or self.best_theta is None:
            self.best_error = np.inf if np.isnan(error) else error  # nothing would ever be less than NaN
            self.best_theta, self.best_iteration = theta, self.iteration
        if self.iteration - self.best_iteration >= self.patience:
            return Ending.PATIENCE
        return None


class Progress:
    """Prints one aligned line per iteration."""

    COLUMNS = (
        ("train_mse", "train MSE"),
        ("validation_mse", "val. MSE"),
        ("grad_norm", "gradient"),
        ("mu", "mu"),
        ("gain_ratio", "gain"),
        ("time", "seconds"),
    )

    def __init__(self) -> None:
        self.iteration = 0

    def __call__(self, row: Row, theta: np.ndarray) -> None:
        columns = [(name, title) for name, title in self.COLUMNS if name in row]
        if self.iteration == 0:
            print("iter" + "".join(f"{title:>12}" for _, title in columns))
        print(f"{self.iteration:4d}" + "".join(f"{row[name]:12.4g}" for name, _ in columns))
        self.iteration += 1


def print_starts(starts: dict[str, np.ndarray]) -> None:
    """One aligned line per start of a race."""
    print(f"start  {'family':<14}{'iterations':>10}{'train MSE':>12}  fate")
    for number, (family, mse, n_iter, fate) in enumerate(
        zip(starts["family"], starts["train_mse"], starts["n_iter"], starts["fate"], strict=True), start=1
    ):
        print(f"{number:5d}  {family:<14}{n_iter:>10d}{mse:>12.4g}  {fate}")
