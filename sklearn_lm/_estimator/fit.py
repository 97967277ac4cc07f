"""One network: parameters and data in, fitted attributes out. An outline; each step is in a room of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError

from .._data.block_inputs import RowBlocks, is_dask
from .._data.executors import LostWorkersError
from .._data.hashing import fingerprint
from .._data.ranges import check_input_range
from .._data.rows import DataSet, RowSet
from .._data.scaling import Scaling, make_scaling
from .._data.splitting import divide
from .._data.validation import check_rows, check_validation_set
from .._data.yeo_johnson import POWER_ROWS, Scalings, identity_power, make_power
from .._kernels import ACTIVATIONS
from .._kernels.interrupt import check
from .._network.distributed import BlockObjective
from .._network.losses import Loss, RobustObjective
from .._network.objective import NetworkObjective, Problem, is_matrix_free
from .._network.penalty import fixed_l2
from .._network.topology import Network, is_weight, layer_matrices, make_network, pack
from .._optimize.levenberg_marquardt import Ending
from .._optimize.state import OptimizerSettings
from .._training.callbacks import Tasks
from .._training.checkpoint import Checkpoint, Part, ResumePoint, WarmStartState
from .._training.multistart import Hooks
from .._training.train import TrainingSettings, make_multistart
from .._uncertainty.posterior import RowsLeftOut
from .._uncertainty.predictive import MAX_ROWS
from .fitted_attributes import learns_noise, model_attributes, set_fitted_attributes, wants_rows_left_out

# Parameters that may be others when a fit goes on from its checkpoint.
MAY_CHANGE = {
    "checkpoint", "goal", "max_iter", "max_time", "min_grad", "n_jobs", "random_state", "tol", "verbose", "warm_start",
}  # fmt: skip
# In units of the scaled y: beyond it, or below its inverse, squares leave the range of float64.
MAX_LOSS_SCALE = 1e70


class FitInputs(NamedTuple):
    """What the caller passed to `fit`."""

    X: Any
    y: Any
    sample_weight: Any
    X_val: Any
    y_val: Any
    sample_weight_val: Any


def in_blocks(given: FitInputs) -> FitInputs:
    """The same with Dask collections as blocks of rows, once for all networks of a fit."""
    if is_dask(given.X):
        from .._data.dask import adopt

        given = given._replace(X=adopt(given.X, given.y, given.sample_weight))
    if is_dask(given.X_val) and given.y_val is not None:
        from .._data.dask import adopt

        given = given._replace(X_val=adopt(given.X_val, given.y_val, given.sample_weight_val))
    return given


class FittedNetwork(NamedTuple):
    """What is known of a fit while it lasts, and not kept."""

    ending: Ending
    train: DataSet | None  # with mapped inputs; of rows that are elsewhere, those that the noise is learnt from
    left_out: RowsLeftOut | None


def fit_network(
    model: Any,
    given: FitInputs,
    file: Part | None = None,
    split_rng: np.random.RandomState | None = None,
    is_over: threading.Event | None = None,
) -> FittedNetwork:
    """Fit one network and set the attributes of `model`, an LMRegressor.

    The fit is saved to `file`, and goes on from what that holds. The rows are divided into sets by `split_rng`, if that
    is given, and not by the model's random state. The event `is_over` ends it, from another thread.
    """
    start_time = time.perf_counter()
    check_parameter_combinations(model, given)
    rng = check_random_state(model.random_state)
    is_warm = model.warm_start and hasattr(model, "coefs_")
    hidden, activations = hidden_layers(model)
    staged = copy(model)  # what validation learns of X becomes the model's only with the rest
    data, staged._y_is_1d = check_rows(staged, given.X, given.y, given.sample_weight, reset=not is_warm)
    staged._n_rows = len(data.X)
    own = check_validation_set(staged, given.X_val, given.y_val, given.sample_weight_val, data.Y.shape[1])
    network = make_network(data.X.shape[1], hidden, data.Y.shape[1], activations)
    by_evidence = finds_penalty(model, given) and (
        model.alpha == "evidence" or not is_matrix_free(model.solver, network, data.Y.size)
    )
    check()
    if data.is_distributed:
        check_network_size(network)

    before = (file.load() if file else None) or (previous(model, network) if is_warm else None)
    fraction, split = model.validation_fraction if model.early_stopping else 0.0, before and before.split_indices
    sets, staged.split_indices_ = divide(data, own, fraction, model.test_fraction, model.split, split_rng or rng, split)
    scalings = before.scalings if before else make_scalings(model, sets["train"], by_evidence)
    sets = {name: part.mapped(scalings.power) for name, part in sets.items()}
    staged.x_power_ = scalings.power
    rows = {name: part.rows(scalings.y) for name, part in sets.items()}
    penalty = fixed_l2(0.0 if isinstance(model.alpha, str) else model.alpha, is_weight(network))
    kind = BlockObjective if data.is_distributed else objective_kind(model, scalings.y)
    problem = Problem(network, scalings.x, scalings.y, rows, penalty, kind, model.solver)

    passed = {"X": getattr(given.X, "source", given.X), "y": given.y, "metadata": None}
    if given.sample_weight is not None:
        passed["metadata"] = {"sample_weight": given.sample_weight}
    tasks = Tasks(model, problem, model.max_iter, passed, partial(model_attributes, staged))
    save = partial(file.save_race, scalings, staged.split_indices_) if file else None
    hooks = Hooks(start_time, tasks, save, is_over)
    race = make_multistart(problem, sets["train"], make_settings(model, by_evidence), before, rng, hooks)
    try:
        winner = race.run()
        left_out_rows = rows_to_learn_from(model, sets["train"], network, by_evidence)
    except (KeyboardInterrupt, LostWorkersError):
        if leader := race.leader():
            set_fitted_attributes(model, problem, race, leader, staged)
        raise
    left_out = set_fitted_attributes(model, problem, race, winner, staged, left_out_rows)
    race.end()
    assert winner.ending is not None
    return FittedNetwork(winner.ending, left_out_rows, left_out)


def rows_to_learn_from(model: Any, train: RowSet, network: Network, by_evidence: bool) -> DataSet | None:
    """Training rows that are left out: all, where that is cheap or asked for; as many as the noise is learnt from."""
    wants_all = wants_rows_left_out(model, len(train.X) * network.sizes[-1] * network.n_parameters**2 / 2)
    if wants_all:
        return train.local(MAX_ROWS)
    return train.thinned(MAX_ROWS) if by_evidence and learns_noise(model) else None


def make_settings(model: Any, by_evidence: bool) -> TrainingSettings:
    """Return what the training needs of the parameters."""
    parameters = model.get_params(deep=False)
    optimizer = OptimizerSettings(
        **{name: parameters[name] for name in OptimizerSettings._fields if name in parameters}
    )
    own = {name: parameters[name] for name in TrainingSettings._fields if name in parameters}
    return TrainingSettings(optimizer=optimizer, by_evidence=by_evidence, **own)


# ---- parameters ---------------------------------------------------------------------------------------
def check_parameter_combinations(model: Any, given: FitInputs) -> None:
    """Parameters that make no sense together, or not with these rows."""
    if isinstance(given.X, RowBlocks):
        check_dask_support(model)
    if model.mu >= model.mu_max:
        raise ValueError(
            f"mu={model.mu!r} is not below mu_max={model.mu_max!r}: the first rejected step would end the fit. "
            "Lower mu, or raise mu_max."
        )
    if model.alpha != "evidence":  # "auto" is what goes with the rest
        return
    if model.early_stopping or given.X_val is not None:
        raise ValueError(
            "early_stopping=True, or X_val, with alpha='evidence': the evidence stops the fit by the training rows "
            "alone. Leave the validation set out (test_fraction only watches), or set alpha to a number."
        )
    if model.loss != "squared_error":
        raise ValueError(
            f"loss={model.loss!r} with alpha='evidence': the evidence is that of normal noise. Set alpha to a "
            "number, or loss='squared_error'."
        )


def finds_penalty(model: Any, given: FitInputs) -> bool:
    """Whether the penalty is found during the fit: if that is asked for, or is left open and nothing is against it."""
    if model.alpha != "auto":
        return bool(model.alpha == "evidence")
    has_validation_set = model.early_stopping or given.X_val is not None
    return not has_validation_set and model.loss == "squared_error" and model.solver != "cg"


def check_dask_support(model: Any) -> None:
    """Parameters that need the rows here, where they are elsewhere."""
    here = "Pass NumPy arrays or a numpy.memmap"
    if model.loss != "squared_error":
        raise ValueError(
            f"loss={model.loss!r} with Dask rows: its scale is a median of all residuals, which would have to come "
            f"here. {here}, or set loss='squared_error'."
        )
    if model.solver == "cg":
        raise ValueError(
            "solver='cg' with Dask rows: each of its many products would be a pass over the cluster. "
            f"{here}, or set solver='cholesky'."
        )
    if model.leave_one_out is True:
        raise ValueError(
            f"leave_one_out=True with Dask rows: the residuals of all rows would come here. {here}, or set "
            "leave_one_out='auto'."
        )


def check_network_size(network: Network) -> None:
    if is_matrix_free("auto", network, network.n_parameters):
        raise ValueError(
            f"hidden_layer_sizes: the Gram matrix of {network.n_parameters} parameters is too large to be summed over "
            "Dask rows. Fit fewer units, or pass NumPy arrays or a numpy.memmap, with solver='cg'."
        )


def hidden_layers(model: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Sizes and activation names of the hidden layers, one each."""
    sizes = model.hidden_layer_sizes
    is_sequence = isinstance(sizes, Sequence | np.ndarray)
    sizes = tuple(sizes) if is_sequence else (sizes,)
    if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1 for size in sizes):
        raise InvalidParameterError(
            "The 'hidden_layer_sizes' parameter of LMRegressor must be a positive int or a sequence of "
            f"positive ints. Got {model.hidden_layer_sizes!r} instead."
        )
    names = model.activation
    names = (names,) * len(sizes) if isinstance(names, str) else tuple(names)
    if len(names) != len(sizes) or not all(isinstance(name, str) and name in ACTIVATIONS for name in names):
        raise InvalidParameterError(
            f"The 'activation' parameter of LMRegressor must be one of {sorted(ACTIVATIONS)}, or one of "
            f"them for each of the {len(sizes)} hidden layers. Got {model.activation!r} instead."
        )
    return tuple(int(size) for size in sizes), tuple(str(name) for name in names)


def make_scalings(model: Any, train: RowSet, by_evidence: bool) -> Scalings:
    """Of a new fit."""
    kind = model.scaling
    if kind == "auto":
        kind = "power" if by_evidence else "minmax"
    if kind != "power":
        return Scalings(identity_power(), *make_scaling(kind, train.input_columns(), train.target_columns()))
    check_input_range(train.input_columns().range())
    seen = train.thinned(POWER_ROWS)
    power = make_power(seen.X[:], seen.weight)
    train = train.mapped(power)
    return Scalings(power, *make_scaling("standard", train.input_columns(), train.target_columns()))


def objective_kind(model: Any, y_scaling: Scaling) -> Callable[..., NetworkObjective]:
    """The class of objectives with this loss."""
    if model.loss == "squared_error":
        return NetworkObjective
    unit = y_scaling.scale[0] if len(y_scaling.scale) == 1 else 1.0
    with np.errstate(over="ignore"):
        scale = None if model.loss_scale is None else float(np.float64(model.loss_scale) / unit)
    if scale is not None and not 1 / MAX_LOSS_SCALE <= scale <= MAX_LOSS_SCALE:
        raise ValueError(
            f"loss_scale={model.loss_scale!r} is {scale:.3g} in units of the scaled y: squares of residuals, in "
            "units of it, overflow or underflow float64. Set it to the size of usual residuals, or to None."
        )
    return partial(RobustObjective, loss=Loss(model.loss, scale))


# ---- what a fit goes on from --------------------------------------------------------------------------
def open_checkpoint(model: Any, given: FitInputs) -> Checkpoint | None:
    """The file of this call of `fit`, if one was asked for."""
    if model.checkpoint is None:
        return None
    is_going_on = model.warm_start and hasattr(model, "coefs_")
    staged = copy(model)  # validation sets attributes
    data, _ = check_rows(staged, given.X, given.y, given.sample_weight, reset=not is_going_on)
    own = check_validation_set(staged, given.X_val, given.y_val, given.sample_weight_val, data.Y.shape[1])
    seed = model.random_state if isinstance(model.random_state, Integral) else None
    owner = {name: repr(value) for name, value in model.get_params().items() if name not in MAY_CHANGE}
    owner["random_state"] = repr(seed)
    owner["the training data"] = data.fingerprint()
    owner["the validation set"] = fingerprint([]) if own is None else own.fingerprint()
    return Checkpoint(model.checkpoint, owner)


def previous(model: Any, network: Network) -> ResumePoint:
    """What a warm start takes over."""
    sizes = (len(model.x_offset_), *(len(b) for b in model.intercepts_))
    if (sizes, model.hidden_activations_) != (network.sizes, network.activations[:-1]):
        raise ValueError(
            f"warm_start=True cannot go on from a network {sizes} {model.hidden_activations_} with "
            f"{network.sizes} {network.activations[:-1]}. Keep the layers, the activation and the number of "
            "columns, or set warm_start=False."
        )
    x_scaling, y_scaling = Scaling(model.x_offset_, model.x_scale_), Scaling(model.y_offset_, model.y_scale_)
    theta, race = pack(model.coefs_, model.intercepts_), None
    known: WarmStartState | None = getattr(model, "_memory", None)
    if known is not None and np.array_equal(theta, known.theta):
        race = known.race
        layer_matrices(network, theta)[-1][:] *= (y_scaling.scale / known.y_scale)[:, None]
        y_scaling = y_scaling._replace(scale=known.y_scale)
    scalings, precisions = Scalings(model.x_power_, x_scaling, y_scaling), getattr(model, "_precisions", None)
    return ResumePoint(scalings, model.split_indices_, race, theta, precisions)
