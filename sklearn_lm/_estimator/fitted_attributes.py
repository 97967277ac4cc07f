"""From the winner of a race to the fitted attributes of the estimator."""

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._data.executors import LostWorkersError
from .._data.rows import DataSet
from .._network.losses import RobustObjective
from .._network.objective import Problem
from .._network.topology import unpack
from .._optimize.levenberg_marquardt import Ending
from .._training.checkpoint import WarmStartState
from .._training.evidence import EvidenceRun
from .._training.history import print_starts
from .._training.multistart import Multistart, StartRun, summary
from .._uncertainty.posterior import LeftOut, Posterior, RowsLeftOut, leave_one_out
from .._uncertainty.predictive import NoiseModels

# Multiply-adds that leave-one-out residuals may cost without being asked for: some hundredths of a second.
CHEAP = 1e8
# Weights of a smaller mean are rather shares, or inverse variances, than numbers of rows. On 200 rows of a noisy sine a
# mean of 0.1 still finds the curve, and one of 0.05 explains most of it as noise.
MIN_MEAN_WEIGHT = 0.1
# What not every fit has.
OCCASIONAL = (
    "n_features_in_", "feature_names_in_", "loss_weights_", "loss_scale_", "alpha_", "log_evidence_",
    "feature_relevance_", "growth_", "estimators_", "_precisions", "_memory", "_loo",
)  # fmt: skip


def set_fitted_attributes(
    model: Any, problem: Problem, race: Multistart, winner: StartRun, staged: Any, left_out_rows: DataSet | None = None
) -> RowsLeftOut | None:
    """Set the fitted attributes; return leave-one-out predictions of `left_out_rows`, which are training rows."""
    assert winner.ending is not None
    changed, theta = winner.candidate()
    y_scale, problem = problem.y_scaling.scale, changed or problem
    for name in OCCASIONAL:
        model.__dict__.pop(name, None)
    model.__dict__.update(model_attributes(staged, problem, theta))
    model.best_iter_, model.n_iter_ = winner.best()[1], winner.iteration
    model.history_ = winner.monitor.history()
    model.loss_curve_ = model.history_.pop("loss").tolist()
    model.loss_ = model.loss_curve_[model.best_iter_]
    model.starts_ = summary(race.runners)
    model.stop_reason_ = winner.ending.sentence
    model._set_sizes = {name: len(rows.X) for name, rows in problem.rows.items()}
    train = problem.rows["train"]
    model._sample_X = train.sample
    model._noise_models = NoiseModels()
    if isinstance(winner, EvidenceRun):
        _publish_evidence(model, winner, problem)
    left_out = _publish_posterior(model, problem, winner, theta, left_out_rows)
    memory = race.memory() if model.warm_start else None
    if memory is not None:
        model._memory = WarmStartState(memory, theta, y_scale)
    if model.verbose and len(race.runners) > 1:
        print_starts(model.starts_)
        if winner.monitor.progress is not None:
            winner.monitor.progress.replay()
    return left_out


def model_attributes(staged: Any, problem: Problem, theta: np.ndarray) -> dict[str, Any]:
    """The fitted attributes that make up the network with parameters theta."""
    coefs, intercepts = unpack(problem.network, theta)
    *hidden, out_activation = problem.network.activations
    names = ("n_features_in_", "feature_names_in_", "split_indices_", "x_power_", "_y_is_1d", "_n_rows")
    return {
        **{name: getattr(staged, name) for name in names if hasattr(staged, name)},
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": len(problem.network.sizes),
        "n_outputs_": problem.network.sizes[-1],
        "hidden_activations_": tuple(hidden),
        "out_activation_": out_activation,
        "x_offset_": problem.x_scaling.offset,
        "x_scale_": problem.x_scaling.scale,
        "y_offset_": problem.y_scaling.offset,
        "y_scale_": problem.y_scaling.scale,
    }


def _publish_evidence(model: Any, winner: EvidenceRun, problem: Problem) -> None:
    """What the data say of the penalty, in the units of the parameter `alpha`."""
    found = winner.found
    alpha, beta = model._precisions = winner.precisions if found is None else found.precisions
    model.alpha_ = alpha / beta
    model.log_evidence_ = np.nan if found is None else found.log_evidence
    if model.penalty_groups == "input":
        spread = 1 / np.sqrt(alpha[: problem.network.sizes[0]])
        model.feature_relevance_ = spread / spread.sum()


# Squares of errors near the limits of float64 may overflow: an infinite sum is an answer, too.
@np.errstate(over="ignore", invalid="ignore")
def _publish_posterior(
    model: Any, problem: Problem, winner: StartRun, theta: np.ndarray, left_out_rows: DataSet | None
) -> RowsLeftOut | None:
    """The normal equations at the published weights, and leave-one-out predictions of `left_out_rows`."""
    train, network, penalty_diag, noise = problem.rows["train"], problem.network, problem.penalty.penalty_diag, None
    n_outputs = train.Y.shape[1]
    work = train.Y.size * network.n_parameters**2 / 2
    is_hasty = winner.ending is Ending.INTERRUPTED and work > CHEAP  # who pressed Ctrl-C does not want to wait
    equations: Any = None
    if winner.scale is not None:
        objective = problem.objective(with_matrix=True)
        assert isinstance(objective, RobustObjective)
        objective.scale = winner.scale
        if not is_hasty:
            equations, train = objective.linearize(theta), objective.rows  # of the weighted squares
            noise = objective.sigma(theta) ** 2
        model.loss_scale_ = float(objective.scale * (problem.y_scaling.scale[0] if n_outputs == 1 else 1.0))
        model.loss_weights_ = np.full(model._n_rows, np.nan)
        model.loss_weights_[model.split_indices_["train"]] = objective.row_weights(theta)
    elif isinstance(winner, EvidenceRun):
        noise = np.full(n_outputs, 1 / model._precisions.beta)
        standing = winner.found or winner.state
        equations = standing and standing.point
    elif winner.state is not None and winner.state.iteration == model.best_iter_:  # the last one may not be told yet
        equations = winner.state.point
    has_factor = equations is not None and equations.is_direct
    if not is_hasty and (equations is None or (problem.has_matrix and not has_factor)):
        with suppress(LostWorkersError):  # they ended the fit: the weights are known, what they are sure of is not
            equations = problem.objective(with_matrix=True).linearize(theta)
    if equations is None or not equations.is_direct:  # there is no factor
        model._posterior = None
        return None
    model._posterior = Posterior(equations, penalty_diag, train.weight, noise)
    if is_hasty or left_out_rows is None:
        return None
    if len(left_out_rows.X) < len(train.X) or train.is_distributed:
        train = left_out_rows.rows(problem.y_scaling)
    f, products = model._posterior.linearized(train.X, problem.x_scaling.table(), network, theta)
    y_scaling = problem.y_scaling
    weight = train.root_weight**2

    def without(part: np.ndarray) -> LeftOut:
        mean, variance = leave_one_out(products, train.Y - f, train.Y, part, model._posterior.noise_variance)
        return LeftOut(y_scaling.offset + y_scaling.scale * mean, y_scaling.scale**2 * variance)

    row = without(weight)
    return RowsLeftOut(row, without(np.minimum(weight, 1.0)) if (weight > 1.0).any() else row)


def learns_noise(model: Any) -> bool:
    """Whether the variance of the noise is to depend on the inputs, where leave-one-out predictions are known."""
    return model.noise == "auto" and model.loss == "squared_error"


def wants_rows_left_out(model: Any, work: float) -> bool:
    """Whether leave-one-out predictions of all rows are made, at `work` multiply-adds."""
    return model.leave_one_out is True or (model.leave_one_out == "auto" and work <= CHEAP)


def warn_small_weights(model: Any) -> None:
    """Where the evidence takes the data for less than they are, which is seldom meant."""
    if "alpha_" not in vars(model) or model._posterior is None:
        return
    mean = model._posterior.weight / model._set_sizes["train"]
    if mean < MIN_MEAN_WEIGHT:
        warnings.warn(
            f"sample_weight has a mean of {mean:.3g}. Where the penalty is found by the fit, a weight is a number of "
            "rows, and so few tell little. Unless that is meant, divide sample_weight by its mean.",
            UserWarning,
            stacklevel=4,
        )


def warn_unconverged(ending: Ending, alpha: float | str) -> None:
    """Where there was more to be had; `alpha` is the parameter."""
    if not ending.converged:
        penalty = "If the data are noisy, set alpha='evidence'. " if ending is Ending.MAX_ITER and alpha == 0 else ""
        warnings.warn(
            f"LMRegressor stopped before it converged: {ending.sentence}. {penalty}{ending.remedy}.",
            ConvergenceWarning,
            stacklevel=4,  # the line that called fit
        )
