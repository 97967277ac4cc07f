"""The parameters of `LMRegressor` as one NamedTuple, with the checks of parameters that depend on each other."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from .._data.out_of_core import ArrayLike
from .._data.scaling import Scaling
from .._kernels import ACTIVATIONS
from .._network.losses import Loss
from .._network.objective import NetworkObjective
from .._optimize.objective import Objective
from .._optimize.state import OptimizerSettings
from .._training.train import TrainingSettings

Parameters = dict[str, Any]  # of `LMRegressor`, by name
# Limits of the loss scale in units of the scaled y: squares of numbers beyond them leave the range of float64.
MAX_LOSS_SCALE = 1e70
DEFAULT_FRACTION = 0.15  # of `validation_fraction`
ROWS_REMEDY = "Pass NumPy arrays or a numpy.memmap"


class FitConfig(NamedTuple):
    """Options of one call of `fit`; the parameters of the same names document them."""

    training: TrainingSettings
    hidden: tuple[int, ...]  # sizes of the hidden layers; for a size search those of the first size
    activations: tuple[str, ...]  # one for each hidden layer
    searches_size: bool
    finds_penalty: bool  # whether the fit finds the penalty, if it can make a Gram matrix
    is_heteroscedastic: bool  # whether the noise depends on the inputs, if leave-one-out predictions are known
    validation_fraction: float  # 0.0 without early stopping
    n_networks: int
    alpha: float | str
    loss: str
    loss_scale: float | None
    scaling: str | None
    solver: str
    weight_type: str
    split: str
    test_fraction: float
    leave_one_out: bool | str
    warm_start: bool
    random_state: int | np.random.RandomState | None

    def objective_type(self, y_scaling: Scaling, are_counts: bool) -> Callable[..., Objective]:
        """Return the class of objectives with this loss; `are_counts` as in `Loss`."""
        if self.loss == "squared_error":
            return NetworkObjective
        unit = y_scaling.scale[0] if len(y_scaling.scale) == 1 else 1.0
        with np.errstate(over="ignore"):
            scale = None if self.loss_scale is None else float(np.float64(self.loss_scale) / unit)
        if scale is not None and not 1 / MAX_LOSS_SCALE <= scale <= MAX_LOSS_SCALE:
            raise ValueError(
                f"loss_scale={self.loss_scale!r} is {scale:.3g} in units of the scaled y: squares of residuals, in "
                "units of it, overflow or underflow float64. Set it to the size of usual residuals, or to None."
            )
        return Loss(self.loss, scale, are_counts).objective


def make_config(parameters: Parameters, has_weights: bool, has_dask_rows: bool) -> FitConfig:
    """Return the configuration of a fit.

    Parameters
    ----------
    parameters : Parameters
        All of them.
    has_weights : bool
        Whether `sample_weight` was passed to `fit`.
    has_dask_rows : bool
        Whether X is a Dask collection.

    Raises
    ------
    ValueError
        If parameters contradict each other or the arguments of `fit`.

    Warns
    -----
    UserWarning
        If `validation_fraction` is set without `early_stopping`.
    """
    alpha, is_squared = parameters["alpha"], parameters["loss"] == "squared_error"
    has_known_noise = parameters["weight_type"] == "inverse_variance"
    if has_known_noise and not has_weights:
        raise ValueError(
            "weight_type='inverse_variance' without sample_weight: there is no known noise. Pass sample_weight=1 / "
            "sigma**2 to fit, or set weight_type='auto'."
        )
    is_free = alpha == "auto" and parameters["solver"] != "cg"
    finds_penalty, searches_size = alpha == "evidence" or is_free, isinstance(parameters["hidden_layer_sizes"], str)
    for message in _conflicts(parameters, has_dask_rows, searches_size and not finds_penalty):
        raise ValueError(message)
    if parameters["validation_fraction"] != DEFAULT_FRACTION and not parameters["early_stopping"]:
        warnings.warn(
            f"validation_fraction={parameters['validation_fraction']!r} has no effect: no rows are held out for a "
            "validation set without early_stopping=True. Set that, or leave validation_fraction out.",
            UserWarning,
            stacklevel=4,
        )
    hidden = hidden_sizes((1,) if searches_size else parameters["hidden_layer_sizes"])
    optimizer, training = (
        {name: parameters[name] for name in settings._fields if name in parameters}
        for settings in (OptimizerSettings, TrainingSettings)
    )
    derived: Parameters = {
        "training": TrainingSettings(optimizer=OptimizerSettings(**optimizer), by_evidence=False, **training),
        "hidden": hidden,
        "activations": activation_names(parameters["activation"], len(hidden)),
        "searches_size": searches_size,
        "finds_penalty": finds_penalty,
        "is_heteroscedastic": parameters["noise"] == "auto" and is_squared and not has_known_noise,
        "validation_fraction": parameters["validation_fraction"] if parameters["early_stopping"] else 0.0,
    }
    return FitConfig(**derived, **{name: parameters[name] for name in FitConfig._fields if name not in derived})


def _conflicts(parameters: Parameters, has_dask_rows: bool, searches_by_loo: bool) -> Iterator[str]:
    """Yield a message for each pair of options that contradict each other."""
    alpha, loss, mu, mu_max = (parameters[name] for name in ("alpha", "loss", "mu", "mu_max"))
    solver, searches_size = parameters["solver"], isinstance(parameters["hidden_layer_sizes"], str)
    if has_dask_rows and loss != "squared_error":
        yield (
            f"loss={loss!r} with Dask rows: its scale is a median of all residuals, which would have to be in the "
            f"memory of this process. {ROWS_REMEDY}, or set loss='squared_error'."
        )
    if has_dask_rows and solver == "cg":
        yield (
            "solver='cg' with Dask rows: each of its many products would be a pass over the cluster. "
            f"{ROWS_REMEDY}, or set solver='cholesky'."
        )
    if has_dask_rows and parameters["leave_one_out"] is True:
        yield (
            "leave_one_out=True with Dask rows: the residuals of all rows would have to be in the memory of this "
            f"process. {ROWS_REMEDY}, or set leave_one_out='auto'."
        )
    if mu >= mu_max:
        yield (
            f"mu={mu!r} is not below mu_max={mu_max!r}: the first rejected step would end the fit. Lower mu, or "
            "raise mu_max."
        )
    if searches_size and solver == "cg":
        yield (
            "hidden_layer_sizes='auto' with solver='cg': sizes are compared by numbers that need the Gram matrix, "
            "which cg does not make. Set solver='auto', or hidden_layer_sizes to a number."
        )
    if searches_by_loo and has_dask_rows:
        yield (
            f"hidden_layer_sizes='auto' with alpha={alpha!r} and Dask rows: sizes are compared by leave-one-out "
            "residuals of all rows, which the fit does not compute for Dask rows. Set alpha='evidence', or "
            "hidden_layer_sizes to a number."
        )


def hidden_sizes(sizes: ArrayLike) -> tuple[int, ...]:
    """Return the sizes of the hidden layers from the parameter `hidden_layer_sizes`."""
    each = tuple(sizes) if isinstance(sizes, Sequence | np.ndarray) else (sizes,)
    if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1 for size in each):
        raise InvalidParameterError(
            "The 'hidden_layer_sizes' parameter of LMRegressor must be a positive int or a sequence of "
            f"positive ints. Got {sizes!r} instead."
        )
    return tuple(int(size) for size in each)


def activation_names(activation: ArrayLike, n_layers: int) -> tuple[str, ...]:
    """Return the activation of each hidden layer from the parameter `activation`."""
    names = (activation,) * n_layers if isinstance(activation, str) else tuple(activation)
    if len(names) != n_layers or not all(isinstance(name, str) and name in ACTIVATIONS for name in names):
        raise InvalidParameterError(
            f"The 'activation' parameter of LMRegressor must be one of {sorted(ACTIVATIONS)}, or one of "
            f"them for each of the {n_layers} hidden layers. Got {activation!r} instead."
        )
    return tuple(str(name) for name in names)
