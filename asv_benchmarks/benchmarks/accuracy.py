"""Accuracy on data of known noise: RMSE, log-likelihood and coverage, for options and for peers from scikit-learn.

The tasks are small; scores are means over three splits. `python asv_benchmarks/accuracy/compare.py` has more tasks,
splits and peers.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.model_selection import cross_val_predict

from sklearn_lm import LMRegressor

from .common import IS_TRIAL
from .noisy import SYNTHETIC, Prediction, Score, Split, score

SEEDS = range(1 if IS_TRIAL else 3)
NAMES = ["friedman1, 10 % noise", "friedman1, 50 % noise", "sine, 0 % noise", "growing noise, 50 % noise"]
N_UNITS = 20
if IS_TRIAL:
    NAMES, N_UNITS = ["sine, 10 % noise"], 3


def lm(**switches: Any) -> Callable[[Split, int], Prediction]:
    """Return a method that fits `LMRegressor` with the given parameters."""

    def predict(split: Split, seed: int) -> Prediction:
        model = LMRegressor(N_UNITS, random_state=seed, **switches).fit(split.X, split.y)
        return Prediction(*model.predict(split.X_test, return_std=True))

    return predict


def gaussian_process(split: Split, seed: int) -> Prediction:
    """Return the predictions of a Gaussian process with one length scale per input and noise."""
    kernel = RBF(np.ones(split.X.shape[1]), (1e-2, 1e3)) + WhiteKernel(0.1, (1e-10, 10.0))
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed).fit(split.X, split.y)
    return Prediction(*model.predict(split.X_test, return_std=True))


def boosting(split: Split, seed: int) -> Prediction:
    """Return the predictions of boosting, with one standard deviation from five folds."""
    model = HistGradientBoostingRegressor(random_state=seed)
    std = np.std(split.y - cross_val_predict(model, split.X, split.y, cv=5))
    mean = model.fit(split.X, split.y).predict(split.X_test)
    return Prediction(mean, np.full(len(mean), std))


METHODS: dict[str, Callable[[Split, int], Prediction]] = {
    "alpha=0": lm(alpha=0.0),
    "alpha=1": lm(alpha=1.0),
    "evidence": lm(alpha="evidence"),
    "evidence, one penalty": lm(alpha="evidence", penalty_groups="single"),
    "evidence, 5 networks": lm(alpha="evidence", n_networks=5),
    "evidence, constant noise": lm(alpha="evidence", noise="constant"),
    "GaussianProcess": gaussian_process,
    "HistGradientBoosting": boosting,
}


def mean_scores(task: str, method: str) -> Score:
    """Return the mean scores over the splits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        splits = [(SYNTHETIC[task](seed), seed) for seed in SEEDS]
        scores = [score(METHODS[method](split, seed), split.y_test) for split, seed in splits]
    return Score(*np.mean(scores, axis=0).tolist())


class Accuracy:
    """Accuracy of predictions for new rows."""

    # In a trial all methods run, but in one process: each value of a parameter has one of its own.
    params = (NAMES, list(METHODS)[:1] if IS_TRIAL else list(METHODS))
    param_names = ("task", "method")
    timeout = 900

    def setup_cache(self):
        """Run each method once for all three figures."""
        return {(task, method): mean_scores(task, method) for task in NAMES for method in METHODS}

    def track_rmse(self, scores, task, method):
        return scores[task, method].rmse

    def track_log_likelihood(self, scores, task, method):
        return scores[task, method].log_likelihood

    def track_coverage(self, scores, task, method):
        return scores[task, method].coverage

    track_rmse.unit = "units of y"  # type: ignore[attr-defined]
    track_log_likelihood.unit = "nats per row"  # type: ignore[attr-defined]
    track_coverage.unit = "share of rows inside 95 % intervals"  # type: ignore[attr-defined]
