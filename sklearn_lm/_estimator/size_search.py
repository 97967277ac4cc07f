"""Size by itself: one hidden layer that grows until more units bring nothing.

Each size begins at the solution of the one before: its units stay, and new ones are put in with output weights of zero,
where they change nothing, each bending at a row of the data. What decides is the evidence, or with a fixed alpha the
leave-one-out error (both know how many parameters a network has used up; no rows are held out for it).
"""

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._data.block_inputs import RowBlocks
from .._network.objective import MAX_MATRIX
from .._training.checkpoint import Checkpoint
from .ensemble import copy_fitted_attributes, fit_networks, set_leave_one_out
from .fit import FitInputs, FittedNetwork, finds_penalty, fit_network

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Sizes in a row that are no better before it ends.
PATIENCE = 2
# What counts as better: a rise of the log evidence, in nats, or a fall of the leave-one-out error by this share.
MIN_RISE, MIN_FALL = 1.0, 0.01
# Slope of a new unit, in units of the scaled inputs.
SLOPE = 2.0


class Step(NamedTuple):
    """One size."""

    n_units: int
    n_parameters: int
    train_mse: float
    criterion: float  # log evidence, or R2 of the rows left out
    n_iter: int


def grow(model: Any, given: FitInputs, file: Checkpoint | None = None) -> list[FittedNetwork]:
    """Fit sizes one after the other; `model` gets the attributes of the best, and `growth_`.

    With several networks, they are fitted with the size that one of them has found. After Ctrl-C the model has the
    best of the sizes that were done, or what there is of the first one.
    """
    if model.solver == "cg":
        raise ValueError(
            "hidden_layer_sizes='auto' with solver='cg': sizes are compared by what the Gram matrix tells, which "
            "cg does not make. Set solver='auto', or hidden_layer_sizes to a number."
        )
    by_evidence = finds_penalty(model, given)
    if isinstance(given.X, RowBlocks) and not by_evidence:
        raise ValueError(
            f"hidden_layer_sizes='auto' with alpha={model.alpha!r} and Dask rows: sizes are judged by leave-one-out "
            "residuals of all rows, which would come here. Set alpha='evidence', or hidden_layer_sizes to a number."
        )
    rng = check_random_state(model.random_state)
    if file:
        rng = file.random_state(rng)
    member, path, n_worse = None, list[Step](), 0
    best: tuple[Any, FittedNetwork] | None = None
    for n_units in SIZES:
        if member is not None and _is_too_large(member, n_units):
            break
        member = _first(model, n_units, rng, by_evidence) if member is None else _larger(member, n_units, rng)
        try:
            fit = fit_network(member, given, file.part(f"{n_units} units") if file else None)
        except KeyboardInterrupt:
            if best or hasattr(member, "coefs_"):
                copy_fitted_attributes(model, best[0] if best else member)
            raise
        set_leave_one_out(member, [fit])
        path.append(_step(member, n_units))
        if model.verbose:
            print("{:4d} units, {:5d} parameters, train MSE {:.4g}, criterion {:.6g}".format(*path[-1][:4]))
        is_better = best is None or _is_better(member, best[0])
        best, n_worse = ((member, fit), 0) if is_better else (best, n_worse + 1)
        if n_worse == PATIENCE:
            break
    assert best is not None
    chosen, fit = best
    if model.n_networks > 1:
        fits = fit_networks(model, given, file, len(chosen.intercepts_[0]), rng)
    else:
        fits = [fit]
        copy_fitted_attributes(model, chosen)
        model.__dict__.pop("_memory", None)  # of one size, with another number of starts
    model.growth_ = {name: np.array([getattr(step, name) for step in path]) for name in Step._fields}
    return fits


def _first(model: Any, n_units: int, rng: np.random.RandomState, by_evidence: bool) -> Any:
    """An estimator of the first size, as the model would have it."""
    member = clone(model).set_params(hidden_layer_sizes=(n_units,), n_networks=1, verbose=0)
    if not by_evidence:
        member.set_params(leave_one_out=True)
    member.__dict__.pop("_skl_callbacks", None)
    return member.set_params(random_state=int(rng.randint(np.iinfo(np.int32).max)))


def _larger(member: Any, n_units: int, rng: np.random.RandomState) -> Any:
    """The same with more units, ready to go on from where this one stands."""
    larger = copy(member).set_params(hidden_layer_sizes=(n_units,), warm_start=True)
    larger.__dict__.pop("_memory", None)
    (W, V), (b, c) = member.coefs_, member.intercepts_
    n_inputs, n_new = W.shape[0], n_units - W.shape[1]
    distinct = _distinct_rows(member)
    rows = distinct[rng.randint(len(distinct), size=n_new)]
    bends_at = (rows - member.x_offset_) / member.x_scale_
    new = SLOPE / np.sqrt(n_inputs) * rng.normal(size=(n_inputs, n_new))
    larger.coefs_ = [np.hstack([W, new]), np.vstack([V, np.zeros((n_new, V.shape[1]))])]
    larger.intercepts_ = [np.concatenate([b, -np.einsum("ki,ik->k", bends_at, new)]), c]
    return larger


def _distinct_rows(member: Any) -> np.ndarray:
    """Of the inputs that the model keeps: a row given twice is a row of twice the weight."""
    return np.unique(member._sample_X, axis=0)


def _n_parameters(member: Any, n_units: int) -> int:
    return n_units * (member.n_features_in_ + 1) + member.n_outputs_ * (n_units + 1)


def _is_too_large(member: Any, n_units: int) -> bool:
    """More parameters than residuals would fit any noise; and there must be a Gram matrix to tell."""
    n_parameters, n_rows = _n_parameters(member, n_units), member._set_sizes["train"]
    if n_rows == len(member._sample_X):
        n_rows = len(_distinct_rows(member))
    return n_parameters > n_rows * member.n_outputs_ or n_parameters**2 > MAX_MATRIX


def _step(member: Any, n_units: int) -> Step:
    mse = member.history_["train_mse"][member.best_iter_]
    criterion = member.log_evidence_ if "alpha_" in vars(member) else member.loo_score_
    return Step(n_units, _n_parameters(member, n_units), float(mse), float(criterion), member.n_iter_)


def _is_better(member: Any, other: Any) -> bool:
    if "alpha_" in vars(member):
        return member.log_evidence_ > other.log_evidence_ + MIN_RISE
    # 1 - R2 is PRESS over the spread of y, mean over outputs: no output counts for more because of its units.
    return 1 - member.loo_score_ < (1 - MIN_FALL) * (1 - other.loo_score_)
