"""Errors of `LMRegressor` and of its peers for one seed of a problem."""

import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustness.data import Data
from robustness.problems import Problem
from sklearn_lm import LMRegressor

# A Gaussian process takes minutes for more rows than the first number; for more than the second it has one start.
MAX_ROWS, MAX_ROWS_RESTARTED = 1000, 500


class Record(NamedTuple):
    """Scores of one fit."""

    error: float  # root mean square, in units of `Data.scale`; infinite if the fit raises an exception
    coverage: float | None  # share of new observations inside 95 % intervals
    warned: str  # first warning, or exception
    seconds: float


def relative_error(data: Data, mean: np.ndarray) -> float:
    return float(np.sqrt(np.mean((mean - data.truth) ** 2))) / data.scale()


def covered(data: Data, lower: np.ndarray, upper: np.ndarray) -> float | None:
    return None if data.y_test is None else float(np.mean((lower <= data.y_test) & (data.y_test <= upper)))


def run_default(problem: Problem, seed: int) -> Record:
    """Fit and predict with `LMRegressor`."""
    data, begin = problem.make(seed), time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = LMRegressor(**problem.parameters, random_state=seed)
            model.fit(data.X, data.y, sample_weight=data.sample_weight)
            error = relative_error(data, model.predict(data.X_test))
            coverage = covered(data, *model.predict_interval(data.X_test, coverage=0.95))
        except Exception as exception:  # the table shows it
            return Record(np.inf, None, repr(exception), time.perf_counter() - begin)
    warned = f"{caught[0].category.__name__}: {caught[0].message}" if caught else ""
    return Record(error, coverage, warned, time.perf_counter() - begin)


# ---- peers --------------------------------------------------------------------------------------------
Predicted = tuple[np.ndarray, np.ndarray | None]  # mean and standard deviation


def gaussian_process(data: Data, seed: int) -> Predicted | None:
    """Return predictions with one length scale per input, and noise."""
    n_rows, n_inputs = data.X.shape
    if n_rows > MAX_ROWS:
        return None
    kernel = ConstantKernel() * RBF(np.ones(n_inputs), (1e-2, 1e3)) + WhiteKernel(0.1, (1e-10, 10.0))
    n_restarts = 2 if n_rows <= MAX_ROWS_RESTARTED else 0
    model = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=n_restarts, random_state=seed)
    return make_pipeline(StandardScaler(), model).fit(data.X, data.y).predict(data.X_test, return_std=True)


def boosting(data: Data, seed: int) -> Predicted:
    model = HistGradientBoostingRegressor(random_state=seed)
    return model.fit(data.X, data.y, sample_weight=data.sample_weight).predict(data.X_test), None


def perceptron(data: Data, seed: int) -> Predicted:
    """Return predictions of scikit-learn's network with the solver for small data."""
    model = make_pipeline(StandardScaler(), MLPRegressor(solver="lbfgs", max_iter=1000, random_state=seed))
    model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return model.fit(data.X, data.y).predict(data.X_test), None


def ridge(data: Data, seed: int) -> Predicted:
    """Return predictions of a linear model, with the penalty that has the smallest leave-one-out error."""
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 4, 21)))
    return model.fit(data.X, data.y, ridgecv__sample_weight=data.sample_weight).predict(data.X_test), None


PEERS: dict[str, Callable[[Data, int], Predicted | None]] = {
    "GaussianProcess": gaussian_process,
    "HistGradientBoosting": boosting,
    "MLP": perceptron,
    "RidgeCV": ridge,
}


def run_peer(name: str, data: Data, seed: int) -> tuple[float, float | None] | None:
    """Return error and coverage of a peer with silenced warnings; None if it is not run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            predicted = PEERS[name](data, seed)
        except (ValueError, np.linalg.LinAlgError):
            return np.inf, None
    if predicted is None:
        return None
    mean, std = predicted
    # 1.96 standard deviations: half a 95 % interval of a normal distribution.
    coverage = None if std is None else covered(data, mean - 1.96 * std, mean + 1.96 * std)
    return relative_error(data, mean), coverage
