"""Base classes and functions of the benchmarks.

The benchmarks of convergence use the switches and the record of one fit; those of speed use base classes for fits and
for predictions, like scikit-learn's benchmarks. asv ignores abstract classes.
"""

import os
import warnings
from abc import ABC, abstractmethod
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm import LMRegressor

from .suite import PROBLEMS, Problem

# Set by `.ci/run`, which only looks whether every benchmark runs: fewer problems, seeds and rows. Figures mean nothing.
IS_TRIAL = "SKLEARN_LM_TRIAL" in os.environ

# One start each, so that steps are compared and not the choice of the start.
SWITCHES: dict[str, dict[str, Any]] = {
    "default": {},
    "without projection": {"solve_output": False},
    "without acceleration": {"acceleration": False},
    "Glorot start": {"init": "glorot"},
    "Marquardt damping": {"damping": "marquardt"},
    "none of them": {"solve_output": False, "acceleration": False, "init": "glorot", "damping": "marquardt"},
}
BASELINE = "none of them"
# The target is the same for all: a little more than the error that four of five baseline fits reach. (Half of the fits
# of a problem with many minima would never reach the median.)
SHARE, MARGIN = 80, 1.02


class Run(NamedTuple):
    """Record of one fit."""

    rmse: np.ndarray  # training error of the start and of each iteration
    time: np.ndarray  # seconds since the start
    seconds: float  # total

    def to(self, target: float) -> tuple[float, float]:
        """Return iterations and seconds until the error is at most `target`; infinite if it never is."""
        below = np.flatnonzero(self.rmse <= target)
        return (float(below[0]), float(self.time[below[0]])) if below.size else (np.inf, np.inf)


def run(problem: Problem, seed: int, n_starts: int | str = 1, **switches: Any) -> Run:
    """Return the record of one fit without penalty."""
    X, y, hidden = problem
    model = LMRegressor(hidden, alpha=0.0, random_state=seed, n_starts=n_starts, **switches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    history = model.history_
    return Run(np.sqrt(history["train_mse"]), history["time"], float(history["time"][-1]))


def common_target(baseline_runs: list[Run]) -> float:
    """Return the training error up to which iterations and seconds are counted."""
    return MARGIN * float(np.percentile([run.rmse[-1] for run in baseline_runs], SHARE))


def target_of(name: str, seeds: range) -> float:
    """Return the target of a problem."""
    problem = PROBLEMS[name]()
    return common_target([run(problem, seed, **SWITCHES[BASELINE]) for seed in seeds])


class Case(NamedTuple):
    """A fit to be measured: training rows, test rows, and an estimator that is not yet fitted."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    model: LMRegressor


class FitTime(ABC):
    """Seconds of one fit, which subclasses define."""

    params: tuple[tuple[str, ...], ...]
    processes = 1
    timeout = 300

    @abstractmethod
    def make_case(self, *params: str) -> Case: ...

    def setup_cache(self):
        """Compile the kernels in a separate process, so that no benchmark includes the memory of the compilation."""
        for params in product(*self.params):
            self.setup(*params)

    def setup(self, *params):
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter ends the fits
        self.case = self.make_case(*params)
        # Loads the kernels and starts the threads before the measurement.
        clone(self.case.model).set_params(max_iter=1).fit(self.case.X, self.case.y)

    def fit(self):
        return self.case.model.fit(self.case.X, self.case.y)

    def time_fit(self, *params):
        self.fit()


class FitBenchmark(FitTime):
    """Seconds, memory and errors of one fit."""

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
    """Seconds of `predict` for 1, 1,000 and 1,000,000 rows, with the model that subclasses define."""

    params = (1, 1_000, 1_000_000)
    param_names = ("n_rows",)
    processes = 1

    @abstractmethod
    def make_model(self): ...

    def setup(self, n_rows):
        self.model = self.make_model()
        self.X = np.random.default_rng(1).uniform(size=(n_rows, self.model.n_features_in_))
        self.model.predict(self.X[:100_000])  # loads the kernels and starts the threads

    def time_predict(self, n_rows):
        self.model.predict(self.X)
