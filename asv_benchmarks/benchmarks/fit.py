"""Seconds, memory and errors of fits of six kinds, each for a fixed number of iterations."""

from collections.abc import Callable

import numba
import numpy as np
from sklearn.datasets import make_friedman1

from sklearn_lm import LMRegressor

from .common import IS_TRIAL, Case, FitBenchmark, FitTime


def _halves(X: np.ndarray, y: np.ndarray, model: LMRegressor) -> Case:
    """Return a case with every second row in the test set."""
    return Case(X[::2], y[::2], X[1::2], y[1::2], model)


def _model(hidden: tuple[int, ...], max_iter: int, n_starts: int | str = 1, alpha: float = 0.0) -> LMRegressor:
    """Return an estimator with a fixed number of iterations."""
    return LMRegressor(hidden, max_iter=max_iter, n_starts=n_starts, alpha=alpha, random_state=0)


def multimodal() -> Case:
    """Return 1000 points and 681 parameters in three layers: Gram matrix and Cholesky factor take similar times."""
    x = np.linspace(0.0005, 1, 2000)
    return _halves(x[:, None], -x * np.sin(10 * x), _model((20, 20, 10), max_iter=20))


def friedman1() -> Case:
    """Return 10,000 rows and 361 parameters: the Gram matrix takes almost all the time."""
    X, y = make_friedman1(20_000, noise=1.0, random_state=0)
    return _halves(X, y, _model((30,), max_iter=10))


def sampled() -> Case:
    """Return 20,000 rows and 991 parameters: conjugate gradients with the Gram matrix of a sample of the rows."""
    X, y = make_friedman1(40_000, n_features=8, noise=0.1, random_state=0)
    return _halves(X, y, _model((40, 15), max_iter=4))


def wide() -> Case:
    """Return 200 rows and 2162 parameters: the Cholesky factor takes almost all the time."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(400, 10))
    Y = np.column_stack([np.sin(X[:, :3].sum(axis=1)), X[:, 3] * X[:, 4]])
    return _halves(X, Y, _model((40, 40), max_iter=3, alpha=0.1))


def tiny() -> Case:
    """Return 94 points and 31 parameters: the time of Python between the kernels counts."""
    x = np.linspace(0, 10, 188)
    return _halves(x[:, None], np.sin(x) + 0.5 * x, _model((10,), max_iter=20))


def multistart() -> Case:
    """Return forty starts on 100 points with noise."""
    x = np.linspace(0, 1, 200)
    noise = 0.05 * np.random.default_rng(0).normal(size=x.size)
    return _halves(x[:, None], -x * np.sin(10 * x) + noise, _model((5,), max_iter=100, n_starts="auto"))


CASES: dict[str, Callable[[], Case]] = {
    case.__name__: case
    for case in ((tiny, wide) if IS_TRIAL else (multimodal, friedman1, sampled, wide, tiny, multistart))
}
THREADS = {"one": 1, "all": numba.get_num_threads()}


class Fit(FitBenchmark):
    """Fits on numba's default number of threads."""

    params = (tuple(CASES),)
    param_names = ("case",)

    def make_case(self, *params: str) -> Case:
        return CASES[params[0]]()


class FitThreads(FitTime):
    """Fit of the largest data set on one thread and on all threads. The results are the same."""

    params = (tuple(THREADS),)
    param_names = ("threads",)

    def make_case(self, *params: str) -> Case:
        numba.set_num_threads(THREADS[params[0]])
        return (wide if IS_TRIAL else friedman1)()
