"""What the benchmarks share.

For those of convergence: the switches, and how far and how fast one fit comes. For those of speed: what is asked of
every fit and of every prediction, in the manner of scikit-learn's benchmarks. asv passes over abstract classes.
"""

import warnings
from abc import ABC, abstractmethod
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm import LMRegressor

from .suite import PROBLEMS, Problem

# One start each, so that steps are compared and not luck.
SWITCHES: dict[str, dict[str, Any]] = {
    "default": {},
    "without projection": {"solve_output": False},
    "without acceleration": {"acceleration": False},
    "Glorot start": {"init": "glorot"},
    "Marquardt damping": {"damping": "marquardt"},
    "none of them": {"solve_output": False, "acceleration": False, "init": "glorot", "damping": "marquardt"},
}
BASELINE = "none of them"
# The same error for all: what four of five baseline fits end with at least, and a little more. (The median would be
# one that half of them never reach, where a problem has many minima.)
SHARE, MARGIN = 80, 1.02


class Run(NamedTuple):
    rmse: np.ndarray  # of training, per iteration, the start first
    time: np.ndarray  # seconds
    seconds: float  # of the whole fit

    def to(self, target: float) -> tuple[float, float]:
        """Iterations and seconds until the error is at most `target`; infinite if it never is."""
        below = np.flatnonzero(self.rmse <= target)
        return (float(below[0]), float(self.time[below[0]])) if below.size else (np.inf, np.inf)


def run(problem: Problem, seed: int, n_starts: int | str = 1, **switches: Any) -> Run:
    X, y, hidden = problem
    model = LMRegressor(hidden, alpha=0.0, random_state=seed, n_starts=n_starts, **switches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    history = model.history_
    return Run(np.sqrt(history["train_mse"]), history["time"], float(history["time"][-1]))


def common_target(baseline_runs: list[Run]) -> float:
    """Training error to which iterations and seconds are counted."""
    return MARGIN * float(np.percentile([run.rmse[-1] for run in baseline_runs], SHARE))


def target_of(name: str, seeds: range) -> float:
    problem = PROBLEMS[name]()
    return common_target([run(problem, seed, **SWITCHES[BASELINE]) for seed in seeds])


class Case(NamedTuple):
    """A fit to be measured: rows to learn from, rows to be judged by, and an estimator that is not yet fitted."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    model: LMRegressor


class FitTime(ABC):
    """Seconds of one fit. Subclasses say which."""

    params: tuple[tuple[str, ...], ...]
    processes = 1
    timeout = 300

    @abstractmethod
    def make_case(self, *params: str) -> Case: ...

    def setup_cache(self):
        """Compile the kernels in a process of its own, so that compiling counts for no benchmark's memory."""
        for params in product(*self.params):
            self.setup(*params)

    def setup(self, *params):
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is to end the fits
        self.case = self.make_case(*params)
        # Loads the kernels and wakes the threads, before the clock runs.
        clone(self.case.model).set_params(max_iter=1).fit(self.case.X, self.case.y)

    def fit(self):
        return self.case.model.fit(self.case.X, self.case.y)

    def time_fit(self, *params):
        self.fit()


class FitBenchmark(FitTime):
    """Seconds, memory and errors."""

    def peakmem_fit(self, *params):
        self.fit()

    def track_train_mse(self, *params):
        model = self.fit()
        return float(model.history_["train_mse"][model.best_iter_])

    def track_test_score(self, *params):
        return float(self.fit().score(self.case.X_test, self.case.y_test))

    track_train_mse.unit = "squared units of y"  # type: ignore[attr-defined]
    track_test_score.unit = "R2"  # type: ignore[attr-defined]


class PredictBenchmark(ABC):
    """Seconds of `predict` for one row, for some, and for a million. Subclasses say whose."""

    params = (1, 1_000, 1_000_000)
    param_names = ("n_rows",)
    processes = 1

    @abstractmethod
    def make_model(self): ...

    def setup(self, n_rows):
        self.model = self.make_model()
        self.X = np.random.default_rng(1).uniform(size=(n_rows, self.model.n_features_in_))
        self.model.predict(self.X[:100_000])  # loads the kernels and wakes the threads

    def time_predict(self, n_rows):
        self.model.predict(self.X)
