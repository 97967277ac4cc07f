"""Methods of the study: options of LMRegressor, and its peers, as functions of a split and a seed."""

# mypy: disable-error-code="import-not-found"
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from benchmarks.noisy import Prediction, Split
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor

# Units of the hidden layer: the default of the constructor, and a number that suits the evidence.
SMALL, LARGE = 10, 40
Predictions = tuple[Prediction, ...]


class Method(NamedTuple):
    """A method with the names of its predictions."""

    run: Callable[[Split, int], Predictions]
    names: tuple[str, ...]


# ---- LMRegressor --------------------------------------------------------------------------------------
def of_lm(model: LMRegressor, split: Split) -> Prediction:
    """Return predictions with the quantile of `predict_interval`, which is Student's."""
    mean, std = model.predict(split.X_test, return_std=True)
    lower, upper = model.predict_interval(split.X_test, coverage=0.95)
    return Prediction(mean, std, float(np.median((upper - lower) / (2 * std))))


def fitted(split: Split, seed: int, n_units: int, **switches: Any) -> LMRegressor:
    """Return an `LMRegressor` fitted to the training rows."""
    return LMRegressor(n_units, random_state=seed, **switches).fit(split.X, split.y)


def lm(name: str, n_units: int, **switches: Any) -> Method:
    """Return the method of an `LMRegressor` with the given parameters."""

    def run(split: Split, seed: int) -> Predictions:
        return (of_lm(fitted(split, seed, n_units, **switches), split),)

    return Method(run, (name,))


def tuned_lm(split: Split, seed: int) -> Predictions:
    """Return predictions with alpha from a grid search."""
    grid = {"alpha": [1e-3, 1e-2, 0.1, 1.0, 10.0]}
    search = GridSearchCV(LMRegressor(SMALL, random_state=seed), grid, cv=shuffled(5, seed))
    return (of_lm(search.fit(split.X, split.y).best_estimator_, split),)


def two_mixtures(split: Split, seed: int) -> Predictions:
    """Return two mixtures of the same networks: weighted by their precisions, and with equal weights."""
    model = fitted(split, seed, LARGE, alpha="evidence", n_networks=5, noise="constant")
    predictions = [member.predict(split.X_test, return_std=True) for member in model.estimators_]
    means, stds = (np.array(part) for part in zip(*predictions, strict=True))
    mean = means.mean(axis=0)
    weighted = of_lm(model, split)
    return weighted, Prediction(mean, np.sqrt(np.mean(stds**2 + (means - mean) ** 2, axis=0)), weighted.quantile)


# ---- peers --------------------------------------------------------------------------------------------
def gaussian_process(split: Split, seed: int) -> Predictions:
    """Return predictions with one length scale per input, and noise."""
    kernel = ConstantKernel() * RBF(np.ones(split.X.shape[1]), (1e-2, 1e3)) + WhiteKernel(0.1, (1e-10, 10.0))
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))
    return (Prediction(*model.fit(split.X, split.y).predict(split.X_test, return_std=True)),)


def ngboost(split: Split, seed: int) -> Predictions:
    """Return predictions of 500 trees, the default."""
    from ngboost import NGBRegressor

    model = NGBRegressor(verbose=False, random_state=seed).fit(split.X, split.y)
    distribution = model.pred_dist(split.X_test)
    return (Prediction(distribution.params["loc"], distribution.params["scale"]),)


def boosting(split: Split, seed: int) -> Predictions:
    return (with_constant_std(HistGradientBoostingRegressor(random_state=seed), split, seed),)


def tuned_mlp(split: Split, seed: int) -> Predictions:
    """Return predictions with penalty and size from a grid search with five folds."""
    mlp = MLPRegressor(activation="tanh", solver="lbfgs", max_iter=500, random_state=seed)
    pipeline = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp), transformer=StandardScaler())
    path = "regressor__mlpregressor__"
    grid = {f"{path}alpha": [0.01, 0.1, 1.0, 10.0], f"{path}hidden_layer_sizes": [(SMALL,), (LARGE,)]}
    search = GridSearchCV(pipeline, grid, cv=shuffled(5, seed), refit=False).fit(split.X, split.y)
    return (with_constant_std(pipeline.set_params(**search.best_params_), split, seed),)


def with_constant_std(model: BaseEstimator, split: Split, seed: int) -> Prediction:
    """Return predictions of a model without a distribution, with the standard deviation of errors in ten folds."""
    left_out = cross_val_predict(model, split.X, split.y, cv=shuffled(10, seed))
    std = float(np.sqrt(np.mean((split.y - left_out) ** 2)))
    mean = model.fit(split.X, split.y).predict(split.X_test)
    return Prediction(mean, np.full(len(mean), std))


def shuffled(n_folds: int, seed: int) -> KFold:
    return KFold(n_folds, shuffle=True, random_state=seed)


# ---- the lists ----------------------------------------------------------------------------------------
EVIDENCE: dict[str, Any] = {"alpha": "evidence"}
METHODS = [
    lm("alpha=0", SMALL, alpha=0.0),
    lm("alpha=1", SMALL, alpha=1.0),
    lm("evidence", SMALL, **EVIDENCE),
    lm("alpha=1, 5 networks", SMALL, alpha=1.0, n_networks=5),
    lm("evidence, 5 networks", SMALL, **EVIDENCE, n_networks=5),
    Method(tuned_lm, ("alpha tuned",)),
    lm("single", LARGE, **EVIDENCE, penalty_groups="single"),
    lm("layer", LARGE, **EVIDENCE, penalty_groups="layer"),
    lm("input", LARGE, **EVIDENCE),
    lm("input, constant noise", LARGE, **EVIDENCE, noise="constant"),
    lm("5 networks", LARGE, **EVIDENCE, n_networks=5),
    Method(two_mixtures, ("5 networks, constant noise", "5 networks, constant noise, plain average")),
    Method(gaussian_process, ("Gaussian process",)),
    Method(ngboost, ("NGBoost",)),
    Method(boosting, ("HistGradientBoosting",)),
    Method(tuned_mlp, ("MLPRegressor, tuned",)),
]


def run(method: Method, split: Split, seed: int) -> Predictions:
    """Run a method without the warnings of the packages: only the predictions are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.run(split, seed)
