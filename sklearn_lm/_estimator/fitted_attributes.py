"""Fitted attributes of `LMRegressor`. No other file sets attributes whose names end in an underscore."""

import warnings
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning

from .._data.out_of_core import ArrayLike
from .._data.yeo_johnson import Scalings
from .._network.objective import Problem
from .._network.topology import Network, unpack
from .._optimize.termination import Ending
from .._training.callbacks import Tasks
from .._training.multistart import ENOUGH_ITERATIONS
from .._uncertainty.ensemble import mix
from .._uncertainty.predictive import Errors, LooScore, NoiseModels, score_left_out
from .config import FitConfig
from .fit import Fit, FittedNetwork
from .prediction import Attributes, Predictor
from .prepare import Prepared
from .quality import REMEDY, is_unconverged, surpassing_neighbours

# Weights of a smaller mean are rather shares, or inverse variances, than numbers of rows. On 200 rows of a noisy sine a
# mean of 0.1 still finds the curve, and one of 0.05 explains most of it as noise.
MIN_MEAN_WEIGHT = 0.1
# Attributes that not every fit sets: those of the previous fit are removed.
OCCASIONAL = (
    "n_features_in_", "feature_names_in_", "loss_weights_", "loss_scale_", "alpha_", "log_evidence_",
    "feature_relevance_", "growth_", "estimators_", "_precisions", "_snapshot", "_loo",
    "_neighbour_score",
)  # fmt: skip


def set_fitted_attributes(model: BaseEstimator, fit: Fit) -> None:
    """Give the model the attributes of a fit, and take those of an earlier one."""
    attributes = fitted_attributes(fit.prepared, fit.config, fit.best)
    if fit.members is not None:
        attributes["estimators_"] = _members(model, fit)
        attributes |= leave_one_out_attributes(fit.prepared, fit.config, fit.begun)
    if fit.growth is not None:
        attributes["growth_"] = fit.growth
    for name in OCCASIONAL:
        vars(model).pop(name, None)
    vars(model).update(attributes)


def _members(model: BaseEstimator, fit: Fit) -> list[BaseEstimator]:
    """Return the networks of an ensemble as estimators. A warm start keeps the previous ones of those not begun."""
    members, previous = [], vars(model).get("estimators_", []) if fit.is_continued else []
    for number, (network, parameters) in enumerate(zip(fit.networks, fit.members or [], strict=True)):
        if network is not None:
            member = clone(model)
            vars(member).pop("_skl_callbacks", None)
            vars(member).update(fitted_attributes(fit.prepared, fit.config, network))
        elif len(previous) == len(fit.networks):
            member = deepcopy(previous[number])
        else:
            continue
        members.append(member.set_params(**parameters))
    return members


def fitted_attributes(prepared: Prepared, config: FitConfig, network: FittedNetwork) -> Attributes:
    """Return the fitted attributes of one network."""
    history = dict(network.history)
    attributes = {
        **network_attributes(prepared, network.network, network.scalings, network.theta),
        "best_iter_": network.best_iteration,
        "n_iter_": network.n_iterations,
        "loss_curve_": history.pop("loss").tolist(),
        "loss_": network.loss,
        "history_": history,
        "starts_": network.starts,
        "stop_reason_": network.ending.sentence,
        "_set_sizes": prepared.set_sizes,
        "_sample_X": prepared.sample_X,
        "_posterior": network.posterior,
        "_noise_models": NoiseModels(),
    }
    if network.precisions is not None:
        alpha, beta = network.precisions
        attributes |= {"_precisions": network.precisions, "alpha_": alpha / beta, "log_evidence_": network.log_evidence}
        if config.training.penalty_groups == "input":
            spread = 1 / np.sqrt(alpha[: network.network.sizes[0]])
            attributes["feature_relevance_"] = spread / spread.sum()
    if network.robust_loss is not None:
        weights = np.full(len(prepared.data.rows.X), np.nan)
        weights[prepared.split_indices["train"]] = network.robust_loss.weights
        attributes |= {"loss_scale_": network.robust_loss.scale, "loss_weights_": weights}
    if network.snapshot is not None:
        attributes["_snapshot"] = network.snapshot
    return attributes | leave_one_out_attributes(prepared, config, [network])


def network_attributes(prepared: Prepared, network: Network, scalings: Scalings, theta: np.ndarray) -> Attributes:
    """Return the fitted attributes that make up a network with parameters theta."""
    coefs, intercepts = unpack(network, theta)
    *hidden, out_activation = network.activations
    return {
        **prepared.data.names,
        "split_indices_": prepared.split_indices,
        "x_power_": scalings.power,
        "_y_is_1d": prepared.data.y_is_1d,
        "_n_rows": len(prepared.data.rows.X),
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": len(network.sizes),
        "n_outputs_": network.sizes[-1],
        "hidden_activations_": tuple(hidden),
        "out_activation_": out_activation,
        "x_offset_": scalings.x.offset,
        "x_scale_": scalings.x.scale,
        "y_offset_": scalings.y.offset,
        "y_scale_": scalings.y.scale,
    }


# Squares of errors near the limits of float64 may overflow: the sum is infinite then, which is a valid result.
@np.errstate(over="ignore", invalid="ignore")
def leave_one_out_attributes(prepared: Prepared, config: FitConfig, fitted: Sequence[FittedNetwork]) -> Attributes:
    """Return the leave-one-out errors of networks that are mixed, and the model of their noise, if both are known."""
    attributes: Attributes = {}
    score = leave_one_out_score(prepared, fitted)
    if score is not None:
        attributes["_loo"] = score._replace(residuals=score.residuals[:, 0]) if prepared.data.y_is_1d else score
    left_out, train = [network.left_out.one for network in fitted if network.left_out], fitted[0].train
    if len(left_out) == len(fitted) and train is not None and config.is_heteroscedastic:
        if not prepared.weighting.are_counts:
            train = train._replace(weight=np.ones(len(train.X)))
        attributes["_noise_models"] = NoiseModels(Errors.from_left_out(train, prepared.scalings.power, left_out))
    return attributes


@np.errstate(over="ignore", invalid="ignore")
def leave_one_out_score(prepared: Prepared, fitted: Sequence[FittedNetwork]) -> LooScore | None:
    """Return the leave-one-out errors of the mixture of networks; None unless all networks have those of all rows."""
    left_out, train = [network.left_out.whole for network in fitted if network.left_out], fitted[0].train
    rows = prepared.split_indices["train"]
    if len(left_out) < len(fitted) or train is None or len(train.X) < len(rows):  # a subsample
        return None
    mean, _ = mix([part.mean for part in left_out], [part.variance for part in left_out])
    return score_left_out(train, mean, rows, len(prepared.data.rows.X))


def callback_tasks(
    model: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, prepared: Prepared, problem: Problem
) -> Tasks:
    """Return the tasks that scikit-learn's callbacks see, with the data as the caller passed them to `fit`."""

    def attributes(changed: Problem, theta: np.ndarray) -> Attributes:
        scalings = Scalings(prepared.scalings.power, changed.x_scaling, changed.y_scaling)
        return network_attributes(prepared, changed.network, scalings, theta)

    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return Tasks(model, problem, model.max_iter, {"X": X, "y": y, "metadata": metadata}, attributes)


def warm_start_attributes(fitted: Attributes, config: FitConfig) -> list[Attributes]:
    """Return the fitted attributes of each network that a warm start continues; an empty list if there is none."""
    if not config.warm_start or config.searches_size:
        return []
    if config.n_networks == 1:
        return [fitted] if "coefs_" in fitted else []
    members = fitted.get("estimators_", ())
    return [vars(member) for member in members] if len(members) == config.n_networks else []


def warn_about(model: BaseEstimator, fit: Fit) -> None:
    """Warn of weights that the evidence takes for too few rows, of the first network that did not converge, and of a
    fit that explains less than nearest neighbours do.
    """
    best = fit.best
    if best.precisions is not None and best.posterior is not None:
        mean = best.posterior.state.weight / fit.prepared.set_sizes["train"]
        if mean < MIN_MEAN_WEIGHT:
            warnings.warn(
                f"sample_weight has a mean of {mean:.3g}. With weight_type='frequency' a weight is a number of rows, "
                "and so few tell little. Unless that is meant, set weight_type='auto'.",
                UserWarning,
                stacklevel=4,  # the line that called fit
            )
    unconverged = [network.ending for network in fit.begun if is_unconverged(fit.prepared, network)]
    is_short = unconverged and best.n_iterations < ENOUGH_ITERATIONS
    better = None if is_short else surpassing_neighbours(fit, Predictor.from_attributes(vars(model)).mean)
    for ending in [] if better else unconverged[:1]:
        is_unpenalized = ending is Ending.MAX_ITER and fit.config.alpha == 0
        penalty = "If the data are noisy, set alpha='evidence'. " if is_unpenalized else ""
        warnings.warn(  # last, because a caller may turn it into an error
            f"LMRegressor stopped before it converged: {ending.sentence}. {penalty}{ending.remedy}.",
            ConvergenceWarning,
            stacklevel=4,
        )
    if better is not None:
        vars(model)["_neighbour_score"] = better.neighbours
        warnings.warn(f"{better.sentence} {REMEDY}.", ConvergenceWarning, stacklevel=4)
