"""From the winner of a race to the fitted attributes of the estimator."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._health import sample_of
from ._loss import RobustObjective
from ._monitor import print_starts
from ._network import unpack
from ._objective import Problem, predict
from ._optimizer import Ending
from ._posterior import Posterior, leave_one_out
from ._race import Race, Runner, summary

# Multiply-adds that leave-one-out residuals may cost without being asked for: some hundredths of a second.
CHEAP = 1e8


def publish(model: Any, problem: Problem, race: Race, winner: Runner, draft: Any) -> None:
    """Set the fitted attributes."""
    assert winner.ending is not None
    _, best_iter, theta = winner.monitor.best()
    for name in ("n_features_in_", "feature_names_in_", "_memory", "loss_weights_", "loss_scale_"):
        model.__dict__.pop(name, None)
    model.__dict__.update(model_attributes(problem, draft, theta))
    model.best_iter_ = best_iter
    model.history_ = winner.monitor.history()
    model.loss_curve_ = model.history_.pop("loss").tolist()
    model.loss_ = model.loss_curve_[model.best_iter_]
    model.n_iter_ = winner.iteration
    model.starts_ = summary(race.runners)
    model.stop_reason_ = winner.ending.sentence
    model._set_sizes = {name: len(rows.X) for name, rows in problem.rows.items()}
    model._sample_X = sample_of(problem.rows["train"].X)
    _publish_posterior(model, problem, winner, best_iter, theta)
    if model.warm_start:
        model._memory = race.memory()
    if model.verbose and len(race.runners) > 1:
        print_starts(model.starts_)
        if winner.monitor.progress is not None:
            winner.monitor.progress.replay()


def _publish_posterior(model: Any, problem: Problem, winner: Runner, best_iter: int, theta: np.ndarray) -> None:
    """The normal equations at the published weights, and leave-one-out residuals where cheap or asked for."""
    train, network, strength = problem.rows["train"], problem.network, problem.penalty.strength
    if winner.scale is not None:
        objective = problem.objective()
        assert isinstance(objective, RobustObjective)
        objective.scale = winner.scale
        equations, train = objective.normal_equations(theta), objective.rows  # of the weighted squares
        model.loss_weights_ = _spread(model, objective.row_weights(theta))
        unit = problem.y_scaling.scale[0] if train.Y.shape[1] == 1 else 1.0
        model.loss_scale_ = float(objective.scale * unit)
        noise = np.full(train.Y.shape[1], objective.sigma(theta) ** 2)
        model._posterior = Posterior(equations, strength, train.weight, noise)
    else:
        if winner.state is not None and winner.state.iteration == best_iter:
            equations = winner.state.point
        else:
            equations = problem.objective().normal_equations(theta)
        model._posterior = Posterior(equations, strength, train.weight)
    model._loo = None
    work = train.Y.size * network.n_parameters**2 / 2
    if model.leave_one_out is not True and (model.leave_one_out is False or work > CHEAP):
        return
    x_scaling, y_scaling = problem.x_scaling.table(), problem.y_scaling
    products = model._posterior.products(train.X, x_scaling, network, theta)
    Y = y_scaling.offset + y_scaling.scale * train.Y
    residuals = Y - predict(train.X, problem.x_scaling, y_scaling, network, theta)
    loo = leave_one_out(products, residuals, Y, train.root_weight**2, y_scaling.scale)
    spread = _spread(model, loo.residuals)
    model._loo = loo._replace(residuals=spread[:, 0] if model._y_is_1d else spread)


def _spread(model: Any, values: np.ndarray) -> np.ndarray:
    """Values of the training rows among all rows, NaN for the others."""
    spread = np.full((model._n_rows, *values.shape[1:]), np.nan)
    spread[model.split_indices_["train"]] = values
    return spread


def model_attributes(problem: Problem, draft: Any, theta: np.ndarray) -> dict[str, Any]:
    """The fitted attributes that make up the network with parameters theta."""
    coefs, intercepts = unpack(problem.network, theta)
    *hidden, out_activation = problem.network.activations
    names = ("n_features_in_", "feature_names_in_", "split_indices_", "_y_is_1d", "_n_rows")
    return {
        **{name: getattr(draft, name) for name in names if hasattr(draft, name)},
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


def warn_of(ending: Ending | None) -> None:
    """Where there was more to be had."""
    if ending is not None and not ending.converged:
        warnings.warn(
            f"LMRegressor stopped before it converged: {ending.sentence}. {ending.remedy}.",
            ConvergenceWarning,
            stacklevel=4,  # the line that called fit
        )
