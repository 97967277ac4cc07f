"""What is compared: switches of LMRegressor, and its peers. From a split and a seed to predictive distributions."""

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

# Units of the hidden layer: the constructor's default, and what the evidence can well have.
FEW, MANY = 10, 40
Predictions = tuple[Prediction, ...]


class Method(NamedTuple):
    run: Callable[[Split, int], Predictions]
    names: tuple[str, ...]  # of what it gives


# ---- LMRegressor --------------------------------------------------------------------------------------
def of_lm(model: LMRegressor, split: Split) -> Prediction:
    """As `predict_interval` has it, with Student's quantile."""
    mean, std = model.predict(split.X_test, return_std=True)
    lower, upper = model.predict_interval(split.X_test, coverage=0.95)
    return Prediction(mean, std, float(np.median((upper - lower) / (2 * std))))


def fitted(split: Split, seed: int, n_units: int, **switches: Any) -> LMRegressor:
    return LMRegressor(n_units, random_state=seed, **switches).fit(split.X, split.y)


def lm(name: str, n_units: int, **switches: Any) -> Method:
    def run(split: Split, seed: int) -> Predictions:
        return (of_lm(fitted(split, seed, n_units, **switches), split),)

    return Method(run, (name,))


def tuned_lm(split: Split, seed: int) -> Predictions:
    grid = {"alpha": [1e-3, 1e-2, 0.1, 1.0, 10.0]}
    search = GridSearchCV(LMRegressor(FEW, random_state=seed), grid, cv=shuffled(5, seed))
    return (of_lm(search.fit(split.X, split.y).best_estimator_, split),)


def two_mixtures(split: Split, seed: int) -> Predictions:
    """The same networks weighed by their precisions, and all alike."""
    model = fitted(split, seed, MANY, alpha="evidence", n_networks=5, noise="constant")
    told = [member.predict(split.X_test, return_std=True) for member in model.estimators_]
    means, stds = (np.array(part) for part in zip(*told, strict=True))
    mean = means.mean(axis=0)
    weighed = of_lm(model, split)
    return weighed, Prediction(mean, np.sqrt(np.mean(stds**2 + (means - mean) ** 2, axis=0)), weighed.quantile)


# ---- peers --------------------------------------------------------------------------------------------
def gaussian_process(split: Split, seed: int) -> Predictions:
    """One length scale for each input, and noise."""
    kernel = ConstantKernel() * RBF(np.ones(split.X.shape[1]), (1e-2, 1e3)) + WhiteKernel(0.1, (1e-10, 10.0))
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))
    return (Prediction(*model.fit(split.X, split.y).predict(split.X_test, return_std=True)),)


def ngboost(split: Split, seed: int) -> Predictions:
    """500 trees, as by default."""
    from ngboost import NGBRegressor

    model = NGBRegressor(verbose=False, random_state=seed).fit(split.X, split.y)
    told = model.pred_dist(split.X_test)
    return (Prediction(told.params["loc"], told.params["scale"]),)


def boosting(split: Split, seed: int) -> Predictions:
    return (with_constant_std(HistGradientBoostingRegressor(random_state=seed), split, seed),)


def tuned_mlp(split: Split, seed: int) -> Predictions:
    """Penalty and size from a grid, by five folds."""
    mlp = MLPRegressor(activation="tanh", solver="lbfgs", max_iter=500, random_state=seed)
    pipeline = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp), transformer=StandardScaler())
    path = "regressor__mlpregressor__"
    grid = {f"{path}alpha": [0.01, 0.1, 1.0, 10.0], f"{path}hidden_layer_sizes": [(FEW,), (MANY,)]}
    search = GridSearchCV(pipeline, grid, cv=shuffled(5, seed), refit=False).fit(split.X, split.y)
    return (with_constant_std(pipeline.set_params(**search.best_params_), split, seed),)


def with_constant_std(model: BaseEstimator, split: Split, seed: int) -> Prediction:
    """For models without a distribution: one standard deviation, that of errors in ten folds of the training rows."""
    left_out = cross_val_predict(model, split.X, split.y, cv=shuffled(10, seed))
    std = float(np.sqrt(np.mean((split.y - left_out) ** 2)))
    mean = model.fit(split.X, split.y).predict(split.X_test)
    return Prediction(mean, np.full(len(mean), std))


def shuffled(n_folds: int, seed: int) -> KFold:
    return KFold(n_folds, shuffle=True, random_state=seed)


# ---- the lists ----------------------------------------------------------------------------------------
EVIDENCE: dict[str, Any] = {"alpha": "evidence"}
METHODS = [
    lm("alpha=0", FEW, alpha=0.0),
    lm("alpha=1", FEW, alpha=1.0),
    lm("evidence", FEW, **EVIDENCE),
    lm("alpha=1, 5 networks", FEW, alpha=1.0, n_networks=5),
    lm("evidence, 5 networks", FEW, **EVIDENCE, n_networks=5),
    Method(tuned_lm, ("alpha tuned",)),
    lm("single", MANY, **EVIDENCE, penalty_groups="single"),
    lm("layer", MANY, **EVIDENCE, penalty_groups="layer"),
    lm("input", MANY, **EVIDENCE),
    lm("input, constant noise", MANY, **EVIDENCE, noise="constant"),
    lm("5 networks", MANY, **EVIDENCE, n_networks=5),
    Method(two_mixtures, ("5 networks, constant noise", "5 networks, constant noise, plain average")),
    Method(gaussian_process, ("Gaussian process",)),
    Method(ngboost, ("NGBoost",)),
    Method(boosting, ("HistGradientBoosting",)),
    Method(tuned_mlp, ("MLPRegressor, tuned",)),
]


def run(method: Method, split: Split, seed: int) -> Predictions:
    """Without what the packages warn of: every method is judged by what it predicts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.run(split, seed)
