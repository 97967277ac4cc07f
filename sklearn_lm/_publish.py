"""From the winner of a race to the fitted attributes of the estimator."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._health import sample_of
from ._matrix_free import MatrixFreeEquations
from ._monitor import print_starts
from ._network import unpack
from ._objective import Problem
from ._optimizer import Ending
from ._race import Race, Runner, summary


def publish(model: Any, problem: Problem, race: Race, winner: Runner, draft: Any) -> None:
    """Set the fitted attributes."""
    assert winner.ending is not None
    _, best_iter, theta = winner.monitor.best()
    for name in ("n_features_in_", "feature_names_in_", "_memory"):
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
    if winner.state is not None:
        point = winner.state.point
        model._equations = point.without_rows() if isinstance(point, MatrixFreeEquations) else point
    elif not hasattr(model, "_equations"):  # else it did not move, and they are there from the fit before
        model._equations = None
    if model.warm_start:
        model._memory = race.memory()
    if model.verbose and len(race.runners) > 1:
        print_starts(model.starts_)
        if winner.monitor.progress is not None:
            winner.monitor.progress.replay()


def model_attributes(problem: Problem, draft: Any, theta: np.ndarray) -> dict[str, Any]:
    """The fitted attributes that make up the network with parameters theta."""
    coefs, intercepts = unpack(problem.network, theta)
    *hidden, out_activation = problem.network.activations
    names = ("n_features_in_", "feature_names_in_", "split_indices_", "_y_is_1d")
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
