"""Data of known noise, and scores of predictions of a mean and a standard deviation: RMSE, likelihood, coverage.

They are used by the benchmarks of accuracy, and by the study in `asv_benchmarks/accuracy`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.datasets import make_friedman1

# Half a 95 % interval of a normal distribution, in standard deviations.
NORMAL = 1.959964
N_TEST = 1000


class Split(NamedTuple):
    """Training rows and test rows."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Prediction(NamedTuple):
    """Predictive normal distributions of the test rows."""

    mean: np.ndarray  # (n_rows,)
    std: np.ndarray  # (n_rows,), standard deviation of new values of y
    quantile: float = NORMAL  # half a 95 % interval, in units of std


class Score(NamedTuple):
    """Scores of predictions."""

    rmse: float
    log_likelihood: float  # mean over the rows, of a normal distribution
    coverage: float  # share of the rows inside 95 % intervals


def score(prediction: Prediction, y: np.ndarray) -> Score:
    """Return the scores of predictions of y."""
    error, variance = y - prediction.mean, prediction.std**2
    return Score(
        float(np.sqrt(np.mean(error**2))),
        float(np.mean(-0.5 * np.log(2 * np.pi * variance) - 0.5 * error**2 / variance)),
        float(np.mean(np.abs(error) < prediction.quantile * prediction.std)),
    )


def friedman1(rng: np.random.RandomState, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, signal and relative noise of friedman1: ten inputs, five of them irrelevant."""
    X, y = make_friedman1(n_rows, n_features=10, random_state=rng)
    return X, y, np.ones(n_rows)


def sine(rng: np.random.RandomState, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two periods of a sine."""
    x = rng.uniform(-1, 1, n_rows)
    return x[:, None], np.sin(2 * np.pi * x), np.ones(n_rows)


def growing_noise(rng: np.random.RandomState, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same curve, with noise that grows along x from 0.2 to 1.8 times its mean."""
    X, y, _ = sine(rng, n_rows)
    return X, y, 1 + 0.8 * X[:, 0]


Function = Callable[[np.random.RandomState, int], tuple[np.ndarray, np.ndarray, np.ndarray]]


def draw(function: Function, n_train: int, noise: float, seed: int) -> Split:
    """Return `n_train` rows and a test set; `noise` is the mean ratio of standard deviations, noise over signal."""
    rng = np.random.RandomState(seed)
    X, y, profile = function(rng, n_train + N_TEST)
    y = y + noise * y.std() * profile * rng.normal(size=len(y))
    return Split(X[:n_train], y[:n_train], X[n_train:], y[n_train:])


# Task names, and functions from a seed to a split.
SYNTHETIC: dict[str, Callable[[int], Split]] = {
    f"{name}, {100 * noise:.0f} % noise": partial(draw, function, n_train, noise)
    for name, function, n_train, levels in (
        ("friedman1", friedman1, 200, (0.0, 0.1, 0.5)),
        ("sine", sine, 100, (0.0, 0.1, 0.5)),
        ("growing noise", growing_noise, 200, (0.1, 0.5)),
    )
    for noise in levels
}
