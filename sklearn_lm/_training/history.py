"""Record of each iteration, and its listeners: history, progress lines, stopping by error.

The optimizer hands a `Record` to `Monitor`, which adds the errors of the data sets and passes record and row (a dict
of numbers) to its listeners. A listener may return an `Ending`; the first one stops the fit.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .._optimize.linearization import Linearization
from .._optimize.state import Record, Rejection
from .._optimize.termination import Ending

Row = dict[str, float]
# Columns that every history has.
COLUMNS = (
    "loss", "train_mse", "grad_norm", "mu", "gain_ratio", "n_evaluations", "time", "time_jacobian", "time_solve",
    "time_evaluate",
)  # fmt: skip
Listener = Callable[[Record, Row], Ending | None]
# Printed columns.
TITLES = {
    "train_mse": "train MSE", "validation_mse": "val. MSE", "grad_norm": "gradient", "mu": "mu", "gain_ratio": "gain",
    "time": "seconds",
}  # fmt: skip


class Monitor:
    """Turns records into rows and keeps all of them.

    Parameters
    ----------
    train_error : callable
        Mean squared training error from the record's `point`, in the target's own squared units.
    held_out_errors : mapping of str to callable
        Name of a column and the error of theta on a set that takes no part in the fit.
    rules : sequence of callables
        Called with the record and its row; the first `Ending` that one of them returns stops the fit. They are called
        again with a record that is reported again, by a fit that is continued from it, and then return the same.
    stopping : EarlyStopping, optional
        One more rule, and the one that chooses the solution.
    progress : Progress, optional
        The printed record.

    Attributes
    ----------
    listeners : list of callables
        Called as the rules are, but once per iteration and after them.
    rows : list of dict
    columns : dict of str to float
        More numbers for every row to come, from a search that changes the objective while it is minimised.
    last : tuple of float, int and ndarray, or None
        Cost, iteration and theta of the last record, and not the record: its Gram matrix is large.
    """

    def __init__(
        self, train_error: Callable[[Linearization], float],
        held_out_errors: Mapping[str, Callable[[np.ndarray], float]], rules: Sequence[Listener] = (),
        stopping: "EarlyStopping | None" = None, progress: "Progress | None" = None,
    ):  # fmt: skip
        """Create a monitor without rows."""
        self.train_error, self.held_out_errors = train_error, held_out_errors
        self.rules: list[Listener] = [*rules, *([stopping] if stopping else [])]
        self.stopping, self.progress = stopping, progress
        self.listeners: list[Listener] = [progress] if progress else []
        # Called by the optimizer itself with rejected trials; None costs nothing.
        self.on_reject = progress.on_reject if progress is not None and progress.shows_rejected else None
        self.rows: list[Row] = []
        self.columns: Row = {}
        self.last: tuple[float, int, np.ndarray] | None = None

    def __call__(self, record: Record) -> Ending | None:
        """Keep a record, and return the first ending of a rule or listener."""
        is_new = record.iteration == len(self.rows)
        row = self._row(record) if is_new else self.rows[-1]
        self.last = record.cost, record.iteration, record.theta
        endings = [rule(record, row) for rule in self.rules]
        if is_new:
            if self.stopping is not None:
                row["validation_failures"] = record.iteration - self.stopping.best_iteration
            self.rows.append(row)
            endings += [listener(record, row) for listener in self.listeners]
        return next((ending for ending in endings if ending), None)

    def _row(self, record: Record) -> Row:
        """Return the columns of the history for one record."""
        seconds = record.seconds
        return {
            "loss": record.cost, "train_mse": self.train_error(record.point), **self._held_out(record.theta),
            "grad_norm": record.grad_norm, "mu": record.mu, "gain_ratio": record.gain_ratio,
            "n_evaluations": record.n_evaluations, "time": record.time, "time_jacobian": seconds.jacobian,
            "time_solve": seconds.solve, "time_evaluate": seconds.evaluate, **self.columns,
        }  # fmt: skip

    def _held_out(self, theta: np.ndarray) -> Row:
        return {name: error(theta) for name, error in self.held_out_errors.items()}

    def history(self) -> dict[str, np.ndarray]:
        """Return equally long arrays, one entry per row."""
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def best(self) -> tuple[float, int, np.ndarray]:
        """Return error to compare runs by, iteration and theta of the solution. F never grows: its last is its best."""
        if self.stopping is not None and self.stopping.best_theta is not None:
            return self.stopping.best_error, self.stopping.best_iteration, self.stopping.best_theta
        assert self.last is not None  # the starting point is a record
        return self.last

    def error_at(self, iteration: int) -> float:
        """Return the error to compare runs by as it was at an iteration, or at the last one before."""
        rows = self.rows[: iteration + 1]
        if self.stopping is None or not rows:
            return rows[-1]["loss"] if rows else math.inf
        return min(_comparable(row["validation_mse"]) for row in rows)

    def restore(self, rows: Sequence[Row], theta: np.ndarray, best_theta: np.ndarray | None) -> bool:
        """Go on from the rows of a history; False, and nothing is taken over, if the held-out sets are not the same.

        `theta` belongs to the last row, and `best_theta` to the least validation error.
        """
        row = rows[-1] if rows else {}
        names = {*COLUMNS, *self.held_out_errors, *self.columns}
        if self.stopping is not None:
            names.add("validation_failures")
        if row.keys() != names or (best_theta is None) != (self.stopping is None):
            return False
        if not 0 <= row.get("validation_failures", 0) < len(rows) or any(
            not np.array_equal(row[name], error, equal_nan=True) for name, error in self._held_out(theta).items()
        ):
            return False
        self.rows, self.last = list(rows), (row["loss"], len(rows) - 1, theta)
        self.columns = {name: row[name] for name in self.columns}
        if self.stopping is not None:
            best_iteration = self.last[1] - int(row["validation_failures"])
            error = _comparable(rows[best_iteration]["validation_mse"])
            self.stopping.best_error, self.stopping.best_iteration, self.stopping.best_theta = (
                error, best_iteration, best_theta
            )  # fmt: skip
        return True


class Goal:
    """Ends the fit once the training error is small enough."""

    def __init__(self, goal: float):
        self.goal = goal

    def __call__(self, record: Record, row: Row) -> Ending | None:
        return Ending.GOAL if row["train_mse"] <= self.goal else None


class EarlyStopping:
    """Keeps theta of the least validation error; ends the fit when it has not fallen for `patience` iterations."""

    def __init__(self, patience: int):
        self.patience = patience
        self.best_iteration = 0
        self.best_error = np.inf
        self.best_theta: np.ndarray | None = None

    def __call__(self, record: Record, row: Row) -> Ending | None:
        """Keep a better theta."""
        error = row["validation_mse"]
        # A first error that is not finite is still the best known so far.
        if error < self.best_error or self.best_theta is None:
            self.best_error = _comparable(error)
            self.best_theta, self.best_iteration = record.theta, record.iteration
        return Ending.PATIENCE if record.iteration - self.best_iteration >= self.patience else None


def _comparable(error: float) -> float:
    """Return infinity instead of NaN, than which no error would ever be less."""
    return math.inf if math.isnan(error) else error


class Progress:
    """One aligned line per iteration and, if asked, per rejected trial.

    Parameters
    ----------
    is_live : bool
        Lines are printed as they come; else they are kept for `replay`, for a run that may turn out not to be the best.
    shows_rejected : bool
    """

    def __init__(self, is_live: bool = True, shows_rejected: bool = False):
        self.shows_rejected = shows_rejected
        self.lines: list[str] = []
        self.write: Callable[[str], None] = print if is_live else self.lines.append
        self.columns: list[str] = []

    def replay(self) -> None:
        for line in self.lines:
            print(line)

    def __call__(self, record: Record, row: Row) -> None:
        """Write the line of an iteration, before the first one the titles."""
        if not self.columns:
            self.columns = [name for name in TITLES if name in row]
            self.write("iter" + "".join(f"{TITLES[name]:>12}" for name in self.columns))
        self.write(f"{record.iteration:4d}" + "".join(f"{row[name]:12.4g}" for name in self.columns))

    def on_reject(self, rejection: Rejection) -> None:
        """Write the line of a rejected trial, under the columns that it has."""
        known = {"mu": rejection.mu, "gain_ratio": rejection.gain_ratio, "time": rejection.time}
        cells = [f"{known[name]:12.4g}" if name in known else " " * 12 for name in self.columns]
        cells[0] = f"{'rejected':>12}"
        self.write(" " * 4 + "".join(cells))


def print_starts(starts: dict[str, np.ndarray]) -> None:
    """Print one aligned line per start."""
    print(f"start  {'family':<14}{'iterations':>10}{'train MSE':>12}  fate")
    for number, (family, mse, n_iter, fate) in enumerate(
        zip(starts["family"], starts["train_mse"], starts["n_iter"], starts["fate"], strict=True), start=1
    ):
        print(f"{number:5d}  {family:<14}{n_iter:>10d}{mse:>12.4g}  {fate}")
