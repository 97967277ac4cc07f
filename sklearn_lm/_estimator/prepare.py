"""Data of one call of `fit`, prepared once for all networks and sizes: validated, split and scaled."""

import time
from copy import copy
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._data.blocks import KernelRows, RowSet, is_distributed
from .._data.hashing import fingerprint
from .._data.linearity import is_linear
from .._data.out_of_core import ArrayLike
from .._data.ranges import check_input_range
from .._data.rows import DataSet
from .._data.scaling import ArrayColumns, Scaling, make_scaling, without_outliers
from .._data.splitting import divide
from .._data.validation import check_rows, check_validation_set
from .._data.weights import Weighting, read_weights
from .._data.yeo_johnson import POWER_ROWS, Scalings, identity_power, make_power
from .._kernels.interrupt import check
from .._network.objective import is_matrix_free
from .._network.topology import Network, make_network
from .._training.checkpoint import Checkpoint
from .._training.snapshot import Snapshot
from .config import FitConfig, Parameters
from .prediction import Attributes

# Parameters that may differ between the fit that wrote a checkpoint and the fit that restores it.
MAY_CHANGE = {
    "checkpoint", "goal", "max_iter", "max_time", "min_grad", "n_jobs", "random_state", "tol", "verbose", "warm_start",
}  # fmt: skip


class CheckedData(NamedTuple):
    """Validated arguments of `fit`."""

    start_time: float  # before the validation
    rows: RowSet
    validation: RowSet | None  # as passed by the caller
    names: Attributes  # with the number and the names of the columns
    y_is_1d: bool

    def network(self, config: FitConfig) -> Network:
        """Return the topology for these columns."""
        return make_network(self.rows.X.shape[1], config.hidden, self.rows.Y.shape[1], config.activations)

    def fingerprints(self) -> tuple[str, str]:
        """Return digests of the rows and of the validation set of the caller."""
        return self.rows.fingerprint(), fingerprint([]) if self.validation is None else self.validation.fingerprint()


class Prepared(NamedTuple):
    """All that the networks of one call of `fit` have in common. A size search changes the topology only."""

    network: Network
    by_evidence: bool  # whether the fit finds the penalty
    scalings: Scalings
    weighting: Weighting
    split_indices: dict[str, np.ndarray]
    sets: dict[str, RowSet]  # "train" and, if they exist, "validation" and "test"; mapped by the power maps
    unmapped: RowSet  # the training set as the caller gave it
    rows: dict[str, KernelRows]  # the same, ready for the kernels
    sample_X: np.ndarray  # mapped inputs of some training rows, for the model to keep
    data: CheckedData

    @property
    def set_sizes(self) -> dict[str, int]:
        """Number of rows in each set."""
        return {name: len(part.X) for name, part in self.sets.items()}

    def with_y_scaling(self, y_scaling: Scaling) -> "Prepared":
        """Return the same data with targets scaled otherwise: the evidence changes the scales of several outputs."""
        if np.array_equal(y_scaling.table(), self.scalings.y.table()):
            return self
        rows = {name: part.rows(y_scaling) for name, part in self.sets.items()}
        return self._replace(scalings=self.scalings._replace(y=y_scaling), rows=rows)


def check_data(
    model: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike,
    X_val: ArrayLike,
    y_val: ArrayLike,
    sample_weight_val: ArrayLike,
    is_resumed: bool,
) -> CheckedData:
    """Return the validated arguments of `fit`. The model is not changed.

    A fit that `is_resumed` keeps the columns of the previous one.
    """
    start_time = time.perf_counter()
    staged = copy(model)  # validation sets attributes, which the model must have after a successful fit only
    rows, y_is_1d = check_rows(staged, X, y, sample_weight, reset=not is_resumed)
    validation = check_validation_set(staged, X_val, y_val, sample_weight_val, rows.Y.shape[1])
    names = {name: vars(staged)[name] for name in ("n_features_in_", "feature_names_in_") if name in vars(staged)}
    return CheckedData(start_time, rows, validation, names, y_is_1d)


def prepare(
    data: CheckedData, config: FitConfig, rng: np.random.RandomState, resume_point: Snapshot | None = None
) -> Prepared:
    """Return the data split by `rng` and scaled, or split and scaled as those of the fit that is continued."""
    network = data.network(config)
    by_evidence = config.finds_penalty and (
        config.alpha == "evidence" or not is_matrix_free(config.solver, network, data.rows.Y.size)
    )
    check()
    if is_distributed(data.rows):
        check_network_size(network)
    sets, split_indices = divide(
        data.rows, data.validation, config.validation_fraction, config.test_fraction, config.split, rng,
        resume_point and resume_point.split_indices,
    )  # fmt: skip
    weighting = read_weights(config.weight_type, by_evidence, data.rows, sets["train"])
    sets["train"] = weighting.apply(sets["train"])  # of the other sets only means are used
    kind, is_robust = config.scaling, by_evidence and config.loss != "squared_error"
    if kind == "auto" and not (by_evidence and network.is_nonlinear):
        kind = "standard" if by_evidence else "minmax"  # a linear network is linear in the caller's inputs
    scalings = resume_point.scalings if resume_point else make_scalings(kind, sets["train"], is_robust)
    unmapped, sets = sets["train"], {name: part.mapped(scalings.power) for name, part in sets.items()}
    rows = {name: part.rows(scalings.y) for name, part in sets.items()}
    sample_X = rows["train"].sample
    return Prepared(network, by_evidence, scalings, weighting, split_indices, sets, unmapped, rows, sample_X, data)


def make_scalings(kind: str | None, train: RowSet, is_robust: bool) -> Scalings:
    """Return the scalings of a new fit; `is_robust`: outliers of y are cut.

    "auto" is "power", unless the targets are linear in the inputs as they are.
    """
    targets = train.columns("Y")
    if is_robust and isinstance(train, DataSet):
        targets = ArrayColumns(without_outliers(train.Y, train.weight), train.weight)
    if kind not in ("auto", "power"):
        return Scalings(identity_power(), *make_scaling(kind, train.columns("X"), targets))
    check_input_range(train.columns("X").range())
    subsample = train.thinned(POWER_ROWS)
    power = make_power(subsample.X[:], subsample.weight)
    if kind == "auto" and len(power.column):
        Y = without_outliers(subsample.Y, subsample.weight) if is_robust else subsample.Y
        power = identity_power() if is_linear(subsample._replace(Y=Y), power) else power
    train = train.mapped(power)
    return Scalings(power, *make_scaling("standard", train.columns("X"), targets))


def check_network_size(network: Network) -> None:
    """Raise ValueError for a network that is too large for Dask rows."""
    if is_matrix_free("auto", network, network.n_parameters):
        raise ValueError(
            f"hidden_layer_sizes: the Gram matrix of {network.n_parameters} parameters is too large to be summed over "
            "Dask rows. Fit fewer units, or pass NumPy arrays or a numpy.memmap, with solver='cg'."
        )


def open_checkpoint(parameters: Parameters, data: CheckedData) -> Checkpoint:
    """Return the checkpoint file of this call of `fit`."""
    owner = {name: repr(value) for name, value in parameters.items() if name not in MAY_CHANGE}
    seed = parameters["random_state"]
    owner["random_state"] = repr(seed if isinstance(seed, Integral) else None)
    owner["the training data"], owner["the validation set"] = data.fingerprints()
    return Checkpoint(parameters["checkpoint"], owner)
