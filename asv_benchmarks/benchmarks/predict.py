"""Seconds and memory of `predict`, compared with MLPRegressor with the same weights."""

import timeit
import warnings
from functools import partial

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from sklearn_lm import LMRegressor

from .common import PredictBenchmark


def lm_model() -> LMRegressor:
    """Return a network 10-20-20-10-1 after two iterations."""
    X, y = make_friedman1(500, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LMRegressor((20, 20, 10), alpha=0.0, n_starts=1, max_iter=2, random_state=0).fit(X, y)


def mlp_model() -> MLPRegressor:
    """Return the same function as MLPRegressor, with the scaling in the outer layers."""
    lm = lm_model()
    coefs, intercepts = [W.copy() for W in lm.coefs_], [b.copy() for b in lm.intercepts_]
    coefs[0] /= lm.x_scale_[:, None]
    intercepts[0] -= lm.x_offset_ @ coefs[0]
    coefs[-1] *= lm.y_scale_
    intercepts[-1] = intercepts[-1] * lm.y_scale_ + lm.y_offset_

    X, y = make_friedman1(500, random_state=0)
    mlp = MLPRegressor(hidden_layer_sizes=(20, 20, 10), activation="tanh", solver="lbfgs", max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.fit(X, y)  # sets the rest of the fitted attributes
    mlp.coefs_, mlp.intercepts_ = coefs, intercepts
    np.testing.assert_allclose(mlp.predict(X), lm.predict(X), rtol=1e-9)
    return mlp


class LMPredict(PredictBenchmark):
    def make_model(self):
        return lm_model()


class MLPPredict(PredictBenchmark):
    def make_model(self):
        return mlp_model()


class PredictMemory:
    """Peak memory of the process with a million rows of 10 columns, which take 80 MB."""

    params = ("LMRegressor", "MLPRegressor")
    param_names = ("estimator",)

    def setup(self, estimator):
        self.model = {"LMRegressor": lm_model, "MLPRegressor": mlp_model}[estimator]()
        self.X = np.random.default_rng(1).uniform(size=(1_000_000, 10))

    def peakmem_predict(self, estimator):
        self.model.predict(self.X)


class StdCost:
    """Time of `predict` with `return_std` relative to without, for networks of 31, 281 and 681 parameters."""

    params = ([(1, (10,)), (5, (40,)), (1, (20, 20, 10))], [1, 20_000])
    param_names = ("inputs and units", "n_rows")
    processes = 1

    def track_ratio(self, shape, n_rows):
        n_inputs, hidden = shape
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, size=(800, n_inputs))
        y = np.sin(3 * X.sum(axis=1)) + 0.1 * rng.normal(size=800)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LMRegressor(hidden, alpha=0.1, noise="constant", n_starts=1, max_iter=3, random_state=0).fit(X, y)
        new = rng.uniform(-1, 1, size=(n_rows, n_inputs))
        seconds = []
        for with_std in (False, True):
            timer = timeit.Timer(partial(model.predict, new, return_std=with_std))
            timer.timeit(1)  # compiled and factored
            number = 200 if n_rows == 1 else 1
            seconds.append(min(timer.repeat(5, number)) / number)
        return seconds[1] / seconds[0]

    track_ratio.unit = "times predict"  # type: ignore[attr-defined]
