"""What the benchmarks of convergence share: the switches, and how far and how fast one fit comes."""

import warnings
from typing import Any, NamedTuple

import numpy as np
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
    model = LMRegressor(hidden, random_state=seed, n_starts=n_starts, **switches)
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
