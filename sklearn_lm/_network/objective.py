"""The function that is minimised, in terms of rows of data and a network.

    F(theta) = 1/2 sum_i w_i |f(x_i; theta) - y_i|^2 + 1/2 alpha |W|^2

in standardised units: x and y after scaling, the sum over rows and outputs, biases unpenalised. It is the sum form
of Ridge and MLPRegressor, so a network without hidden layers *is* Ridge. With residuals r = f - y and their
Jacobian J (rows multiplied by the square root of the weights) the normal equations are

    gradient = J'r + alpha W,        Gram matrix = J'J + alpha I,

the Gauss-Newton approximation of the Hessian of F.
"""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from .. import _kernels
from .._data.blocks import KernelRows, is_distributed
from .._data.out_of_core import Source, parts
from .._data.rows import Rows, read_only
from .._data.scaling import Scaling
from .._optimize.linearization import GramLinearization, JacobianLinearization, Linearization
from .._optimize.objective import Objective
from .._optimize.state import Ahead
from .cross_products import Workspace, gram_products, output_products, sum_of_squares, sums_along
from .fused_loop import FusedLoop, n_ahead
from .gram_tables import make_gram_tables
from .matrix_free import linearize_without_matrix
from .penalty import Penalty
from .subsample import SubsampledLinearization, draw_sample, is_quicker, n_large_subsample, n_small_subsample
from .topology import Network

EPS = float(np.finfo(np.float64).eps)
# Numbers in the Gram matrix, or in J if residuals are fewer than parameters, up to which solver="auto" makes it.
MAX_MATRIX = 5000**2
# Inputs of the output layer up to which it is solved for if there is no Gram matrix: 64 MiB of products.
MAX_PROJECTION = 1000


def mean_squared_error(rows: KernelRows, squares: np.ndarray, y_scaling: Scaling) -> float:
    """Return the weighted mean over rows and outputs, in squared units of the target, from `sum_of_squares`."""
    # In Python's own numbers: NumPy takes longer to begin with so few.
    pairs = zip(squares.tolist(), y_scaling.scale.tolist(), strict=True)
    return sum(square * scale * scale for square, scale in pairs) / (rows.weight * len(squares))


def is_matrix_free(solver: str, network: Network, n_residuals: int) -> bool:
    """Return whether there shall be no matrix of all rows: if it is asked for, or if the matrix is too large."""
    n_numbers = network.n_parameters * min(network.n_parameters, n_residuals)
    return solver == "cg" or (solver == "auto" and n_numbers > MAX_MATRIX)


def subsample_sizes(solver: str, network: Network, rows: KernelRows) -> tuple[int, int]:
    """Return the numbers of rows of the small and of the large subsample, see `_network/subsample.py`.

    Each is 0 if there is none, and that of the large one if it is all rows beside a small one.
    """
    (n_rows, n_outputs), p = rows.Y.shape, network.n_parameters
    if solver in ("gram", "cholesky") or p * p > MAX_MATRIX:
        return 0, 0
    if solver == "cg":  # by products, whatever the time
        return 0, n_large_subsample(n_rows, n_outputs, p)
    large = n_large_subsample(n_rows, n_outputs, p) if is_quicker(n_rows, n_outputs, p) else 0
    return n_small_subsample(n_rows, n_outputs, p, network.sizes[0]), large


class NetworkObjective(Objective):
    """F for one network on one set of rows.

    Parameters
    ----------
    network : Network
    rows : KernelRows
    x_scaling : ndarray of shape (2, n_inputs)
        Offsets and scales of the inputs.
    penalty : Penalty
    solver : {"auto", "cholesky", "cg", "gram"}
        "gram": with a Gram matrix, even if residuals are fewer than parameters; so it is always for distributed rows.
    """

    def __init__(
        self, network: Network, rows: KernelRows, x_scaling: np.ndarray, penalty: Penalty, solver: str = "cholesky"
    ):
        self.network, self.x_scaling, self.weight = network, x_scaling, rows.weight
        if is_distributed(rows):
            solver = "gram"
        small, large = subsample_sizes(solver, network, rows)
        is_sampled = small + large > 0
        self.is_matrix_free = not is_sampled and is_matrix_free(solver, network, rows.Y.size)
        # J is smaller than the Gram matrix, and a system of so many equations than one of as many as parameters.
        has_jacobian = solver != "gram" and rows.Y.size < network.n_parameters
        self.is_dual = has_jacobian and not self.is_matrix_free
        if self.is_dual and isinstance(rows, Rows) and isinstance(rows.X, Source):  # it is smaller than J
            rows = rows._replace(X=read_only(rows.X[:]))
        self.rows: Any = rows  # in this process, unless there is a Gram matrix
        self.penalty = penalty
        self._workspace = Workspace(network, x_scaling, self.rows.X, is_sampled or self.is_matrix_free)
        self._small_sample = Subsample(network, cast(Rows, rows), x_scaling, small) if small else None
        self._sample = Subsample(network, cast(Rows, rows), x_scaling, large) if is_sampled else None
        n_steps = 0
        if not (is_distributed(rows) or is_sampled or self.is_matrix_free or self.is_dual):
            n_steps = n_ahead(self.rows.Y.shape, network.n_parameters) * self._workspace.activations.is_kept
        self._fused = FusedLoop(self._workspace, n_steps) if n_steps else None

    def with_data(self, rows: KernelRows, penalty: Penalty) -> "NetworkObjective":
        """Return the objective for other targets or weights of the same rows, or another penalty; it shares buffers."""
        other = copy(self)
        other.change_to(rows, penalty)
        return other

    def change_to(self, rows: KernelRows, penalty: Penalty, beta: float | None = None) -> None:
        """Take other targets or weights of the same rows, or another penalty; the noise precision plays no part."""
        self.rows, self.penalty = (rows._replace(X=self.rows.X) if isinstance(rows, Rows) else rows), penalty

    def cost(self, theta: np.ndarray) -> float:
        """Return F."""
        squares = self.rows.total(sum_of_squares, self.x_scaling, self.network, theta)
        return _kernels.total_cost(squares, self.penalty.penalty_diag, theta)

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return theta with the output layer replaced by its (weighted, penalised) least-squares solution, and F."""
        if self._fused is not None:
            return self._fused.solve_output(self.rows, self.penalty.penalty_diag, theta)
        total, solved = self.rows.total(output_products, self._workspace, theta), np.empty_like(theta)
        at = self.network.at(theta)
        return solved, _kernels.finish_output_layer(at, total, self.penalty.penalty_diag, solved)

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Return J'W r_vv, r_vv the second derivative of the residuals along `direction` (exact, no differences).

        With J in place of the Gram matrix, sqrt(W) r_vv itself.
        """
        if self.is_dual:
            curvature = np.empty(self.rows.Y.size)
            _kernels.dual_curvature(self._data(), self.network.at(theta), direction, curvature)
            return curvature
        gradient = np.empty_like(theta)
        total = self.rows.total(sums_along, self._workspace, theta, direction, True)
        _kernels.finish_gradient(self.network.layout, total, gradient)
        return gradient

    @property
    def iterate(self) -> Callable[..., Ahead] | None:
        """Several iterations in one call, for problems so small that calls of kernels count; None for others."""
        return partial(self._fused.iterate, self.rows, self.penalty.penalty_diag) if self._fused else None

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Return the linearization at theta."""
        rows, penalty_diag = self.rows, self.penalty.penalty_diag
        if self.is_matrix_free:
            return linearize_without_matrix(self._workspace, rows, penalty_diag, theta)
        if self.is_dual:
            return self._linearize_by_jacobian(theta)
        linearization = self.linearize_by_gram(theta)
        if self._sample is None:
            return linearization
        small = self._small_sample
        jacobian = small.jacobian(rows, theta) if small else None
        gram = None if small else self._sample.gram(rows, penalty_diag, theta)
        return SubsampledLinearization(
            linearization.cost, linearization.gradient, gram, jacobian, linearization.squares, theta, rows,
            penalty_diag, self._workspace, self._sample.gram,
        )  # fmt: skip

    def linearize_by_gram(self, theta: np.ndarray) -> GramLinearization:
        """Return the linearization with a Gram matrix; if there is a subsample, only cost and gradient are set."""
        penalty_diag, p = self.penalty.penalty_diag, theta.size
        if self._fused is not None:
            return self._fused.linearize(self.rows, penalty_diag, theta)
        has_gram = self._sample is None
        total = self.rows.total(gram_products, self._workspace, theta, has_gram)
        gram, gradient, squares = np.empty((p, p)), np.empty(p), np.empty(self.network.sizes[-1])
        at, tables = self.network.at(theta), make_gram_tables(self.network.layout, has_gram)
        cost = _kernels.finish_linearization(at, tables, total, penalty_diag, squares, gradient, gram)
        return GramLinearization(cost, gradient, gram, squares)

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return J as in `JacobianLinearization`."""
        rows, J = self.rows, self._jacobian_buffer()
        _kernels.jacobian_rows(rows.X, rows.root_weight, self.x_scaling, self.network.at(theta), J)
        return J

    def _linearize_by_jacobian(self, theta: np.ndarray) -> JacobianLinearization:
        """Return the linearization with J in place of the Gram matrix."""
        penalty_diag, jacobian = self.penalty.penalty_diag, self._jacobian_buffer()
        gradient, residual, squares = np.empty_like(theta), np.empty(len(jacobian)), np.empty(self.rows.Y.shape[1])
        at = self.network.at(theta)
        cost = _kernels.dual_equations(self._data(), at, penalty_diag, jacobian, residual, squares, gradient)
        return JacobianLinearization(cost, gradient, jacobian, residual, penalty_diag, squares)

    def _jacobian_buffer(self) -> np.ndarray:
        width = -(-self.network.n_parameters // _kernels.VECTOR) * _kernels.VECTOR
        return np.zeros((self.rows.Y.size, width))

    def _data(self) -> _kernels.RowData:
        return _kernels.RowData(self.rows.X, self.rows.Y, self.rows.root_weight, self.x_scaling)


class Subsample:
    """H and J of n of the rows, which are near those of all.

    Parameters
    ----------
    network, rows, x_scaling
        As in `NetworkObjective`.
    n : int
        0: all rows.
    """

    def __init__(self, network: Network, rows: Rows, x_scaling: np.ndarray, n: int):
        self._sample = draw_sample(rows, x_scaling, n) if n else None
        self._X = read_only(rows.X[self._sample.rows]) if self._sample else rows.X
        self._objective = NetworkObjective(network, self._of(rows), x_scaling, Penalty(np.empty(0)))

    def gram(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Return H in its lower triangle; `rows` are those of the constructor, with any weights and targets."""
        return self._objective.with_data(self._of(rows), Penalty(penalty_diag)).linearize_by_gram(theta).gram

    def jacobian(self, rows: Rows, theta: np.ndarray) -> np.ndarray:
        """Return J as in `JacobianLinearization`."""
        return self._objective.with_data(self._of(rows), Penalty(np.empty(0))).jacobian(theta)

    def _of(self, rows: Rows) -> Rows:
        if self._sample is None:
            return rows
        chosen, stretch = self._sample
        return Rows(self._X, read_only(rows.Y[chosen]), read_only(rows.root_weight[chosen] * stretch), rows.weight)


class Problem(NamedTuple):
    """Network, data and penalty of a fit."""

    network: Network
    x_scaling: Scaling
    y_scaling: Scaling
    rows: dict[str, Any]  # `KernelRows`: "train" and, if there are such, "validation" and "test"
    penalty: Penalty
    kind: Callable[..., Any] = NetworkObjective  # another class for another loss
    solver: str = "auto"
    noise_precision: float | None = None  # of a row of weight 1, in units of y, if it is known

    @property
    def known_beta(self) -> np.ndarray | None:
        """The noise precision of each scaled output, if it is known."""
        return None if self.noise_precision is None else self.noise_precision * self.y_scaling.scale**2

    @property
    def projects(self) -> bool:
        """Return whether the output layer can be solved for at each trial point, and is not the whole network."""
        network = self.network
        return network.is_nonlinear and (self.has_matrix or network.sizes[-2] <= MAX_PROJECTION)

    @property
    def has_matrix(self) -> bool:
        """Return whether there may be a Gram matrix of all rows, however steps are found."""
        return not is_matrix_free(self.solver, self.network, self.rows["train"].Y.size)

    def objective(self, with_matrix: bool = False) -> Any:
        """Return a new objective with its own buffers: each thread that minimises needs one.

        `with_matrix`: its linearization has the Gram matrix if there may be one, even if steps are found more quickly
        without.
        """
        solver = "cholesky" if with_matrix and self.has_matrix else self.solver
        return self.kind(self.network, self.rows["train"], self.x_scaling.table(), self.penalty, solver)

    def train_error(self, equations: Linearization) -> float:
        """Return the mean squared training error, in squared units of the target, of a point already evaluated."""
        return mean_squared_error(self.rows["train"], equations.squares, self.y_scaling)

    def held_out_errors(self) -> dict[str, Callable[[np.ndarray], float]]:
        """Return `error` as a function of theta for each set but the training rows, by the name of its column."""
        return {f"{name}_mse": partial(self.error, name) for name in self.rows if name != "train"}

    def rescaled(self, factor: np.ndarray) -> "Problem":
        """Return the same data with scaled targets multiplied by a factor per output."""
        rows = {name: part.rescaled(factor) for name, part in self.rows.items()}
        return self._replace(y_scaling=self.y_scaling._replace(scale=self.y_scaling.scale / factor), rows=rows)

    def negligible(self) -> float:
        """Return the error below which the errors that fits are compared by are rounding errors of a perfect fit."""
        train = self.rows["train"]
        mean = train.mean_power(np.zeros(train.Y.shape[1]), 1)
        variance = train.mean_power(mean, 2)
        if "validation" in self.rows:
            return EPS * float(np.mean(self.y_scaling.scale**2 * variance))
        return EPS * 0.5 * train.weight * float(variance.sum())

    def error(self, name: str, theta: np.ndarray) -> float:
        """Return the mean squared error on a set, in the same units."""
        squares = self.rows[name].total(sum_of_squares, self.x_scaling.table(), self.network, theta)
        return mean_squared_error(self.rows[name], squares, self.y_scaling)


@np.errstate(over="ignore", invalid="ignore")  # compiled kernels do not warn, and their plain Python must not
def predict(
    X: np.ndarray | Source, x_scaling: Scaling, y_scaling: Scaling, network: Network, theta: np.ndarray
) -> np.ndarray:
    """Return f(X) in the units of the target, (n_rows, n_outputs), block by block."""
    f = np.empty((len(X), network.sizes[-1]))
    n_slots = _kernels.n_slots_for(len(X))
    if isinstance(X, Source):
        X = X.in_place()
    for X_part, f_part in parts(X, f):
        work = _kernels.work_on_rows(len(X_part), n_slots, network.n_parameters)
        _kernels.predict(work, read_only(X_part), x_scaling.table(), y_scaling.table(), network.at(theta), f_part)
    return f
