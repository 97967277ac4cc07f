"""The function that is minimised, in terms of rows of data and a network.

    F(theta) = 1/2 sum_i w_i |f(x_i; theta) - y_i|^2 + 1/2 alpha |W|^2

in standardised units: x and y after scaling, the sum over rows and outputs, biases unpenalised. It is the sum form
of Ridge and MLPRegressor, so a network without hidden layers *is* Ridge. With residuals r = f - y and their
Jacobian J (rows multiplied by the square root of the weights) the normal equations are

    gradient = J'r + alpha W,        Gram matrix = J'J + alpha I,

the Gauss-Newton approximation of the Hessian of F.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .._data import out_of_core
from .._data.out_of_core import Source
from .._data.rows import Rows, read_only
from .._data.scaling import Scaling
from .._kernels.buffers import aligned_zeros
from .._optimize.linearization import GramLinearization, JacobianLinearization, Linearization
from .._optimize.objective import Objective
from .activation_cache import Activations
from .fused_loop import Iterations, SmallProblem, n_ahead
from .gram_tables import make_gram_tables, without_pairs
from .matrix_free import GramOperator
from .penalty import Penalty
from .subsample import SubsampledLinearization, draw_sample, is_quicker, n_large_subsample, n_small_subsample
from .topology import Network

EPS = float(np.finfo(np.float64).eps)
# Numbers in the Gram matrix, or in J where residuals are fewer than parameters, up to which solver="auto" makes it.
MAX_MATRIX = 5000**2
# Inputs of the output layer up to which it is solved for where there is no Gram matrix: 64 MiB of products.
MAX_PROJECTION = 1000


def sum_of_squares(rows: Rows, x_scaling: np.ndarray, network: Network, theta: np.ndarray) -> np.ndarray:
    """sum_i w_i (f_o(x_i) - y_io)^2 for each output o, in standardised units."""
    n_rows, n_outputs = rows.Y.shape
    n_padded = _kernels.n_padded(n_outputs)
    grams, squares = np.empty((_kernels.n_slots_for(n_rows), n_padded, n_padded)), np.empty(n_outputs)
    for part, X, Y, root_weight in rows.parts():
        _kernels.sum_of_squares(
            len(X) * network.n_parameters,
            part, X, Y, root_weight, x_scaling, theta, network.layout, grams, squares,
        )  # fmt: skip
    return squares


def mean_squared_error(rows: Rows, squares: np.ndarray, y_scaling: Scaling) -> float:
    """Weighted mean over rows and outputs, in the target's own squared units, from `sum_of_squares`."""
    # In Python's own numbers: NumPy takes longer to begin with so few.
    total = sum(
        square * scale * scale for square, scale in zip(squares.tolist(), y_scaling.scale.tolist(), strict=True)
    )
    return total / (rows.weight * len(squares))


def is_matrix_free(solver: str, network: Network, n_residuals: int) -> bool:
    """Whether there shall be no matrix of all rows: asked for, or because it is too large."""
    n_numbers = network.n_parameters * min(network.n_parameters, n_residuals)
    return solver == "cg" or (solver == "auto" and n_numbers > MAX_MATRIX)


class SubsampleSizes(NamedTuple):
    """Rows of the samples that steps are found by, see `_network/subsample.py`."""

    few: int  # of the small sample; 0 if there is none
    many: int  # of the other one; 0 if there is none, and it is all rows where there is a small one


def subsample_sizes(solver: str, network: Network, rows: Rows) -> SubsampleSizes:
    (n_rows, n_outputs), p = rows.Y.shape, network.n_parameters
    if solver == "cholesky" or p * p > MAX_MATRIX:
        return SubsampleSizes(0, 0)
    if solver == "cg":  # by products, whatever the time
        return SubsampleSizes(0, n_large_subsample(n_rows, n_outputs, p))
    many = n_large_subsample(n_rows, n_outputs, p) if is_quicker(n_rows, n_outputs, p) else 0
    return SubsampleSizes(n_small_subsample(n_rows, n_outputs, p, network.sizes[0]), many)


class NetworkObjective(Objective):
    """F for one network on one set of rows. The optimizer sees `cost`, `linearize` and `weight`.

    Parameters
    ----------
    network : Network
    rows : Rows
    x_scaling : ndarray of shape (2, n_inputs)
        Offsets and scales of the inputs.
    penalty : Penalty
    solver : {"auto", "cholesky", "cg"}
    """

    def __init__(self, network: Network, rows: Rows, x_scaling: np.ndarray, penalty: Penalty, solver: str = "cholesky"):
        self.network, self.x_scaling, self.weight = network, x_scaling, rows.weight
        sizes = subsample_sizes(solver, network, rows)
        is_sampled = max(sizes) > 0
        self.is_matrix_free = not is_sampled and is_matrix_free(solver, network, rows.Y.size)
        # J is smaller than the Gram matrix, and a system of so many equations than one of as many as parameters.
        self.is_dual = not self.is_matrix_free and rows.Y.size < network.n_parameters
        self.change_to(rows, penalty)
        # Room for the kernels, made once: a fresh page costs about as much as the arithmetic on it.
        n_slots, n_outputs = _kernels.n_slots_for(len(rows.X)), rows.Y.shape[1]
        self._scratch = aligned_zeros(n_slots, _kernels.n_scratch_lines(network.layout), _kernels.LINE)
        n_basis = _kernels.n_padded(network.sizes[-2] + 1 + n_outputs)
        self._output_moments = np.empty((n_slots, n_basis, n_basis))
        self._gradient_sums = np.empty((n_slots, _kernels.n_gradient_sums(network.layout, len(network.layout))))
        self._activations = Activations(network, self.rows.X, is_sampled or self.is_matrix_free)
        self._few: Subsample | None = None
        self._sample: Subsample | None = None
        if self.is_matrix_free or is_sampled:
            self._operator = GramOperator(network, self.rows, x_scaling, self._activations)
        if not self.is_matrix_free:
            self._products = make_gram_tables(network.layout)
            if is_sampled:
                self._products = without_pairs(self._products)
                self._sample = Subsample(network, self.rows, x_scaling, sizes.many)
            if sizes.few:
                self._few = Subsample(network, self.rows, x_scaling, sizes.few)
            self._moments = np.empty((n_slots, self._products.n_moments))
        self._small: SmallProblem | None = None
        self._n_ahead = n_ahead(len(rows.X), n_outputs, network.n_parameters)
        if self._n_ahead and self._activations.is_kept and not (self.is_matrix_free or is_sampled or self.is_dual):
            self._small = SmallProblem(
                network, x_scaling, self._products, self._activations, self._scratch, self._output_moments,
                self._gradient_sums, self._moments,
            )  # fmt: skip

    def change_to(self, rows: Rows, penalty: Penalty) -> None:
        """The same rows with other targets, or another penalty."""
        if self.is_dual and isinstance(rows.X, Source):  # it is smaller than J
            rows = rows._replace(X=read_only(rows.X[:]))
        self.rows, self.penalty = rows, penalty

    def cost(self, theta: np.ndarray) -> float:
        squares = sum_of_squares(self.rows, self.x_scaling, self.network, theta)
        return _kernels.total_cost(squares, self.penalty.penalty_diag, theta)

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """theta with the output layer replaced by its (weighted, penalised) least-squares solution, and F there."""
        if self._small is not None:
            return self._small.solved(self._few_rows, self.penalty.penalty_diag, theta)
        rows = self.rows
        solved = np.empty_like(theta)
        units, is_fresh = self._activations.before(theta)
        cost = np.nan
        for part, X, Y, root_weight in rows.parts():
            cost = _kernels.solve_output(
                len(X) * theta.size * rows.Y.shape[1],
                part, X, Y, root_weight, self.x_scaling, theta, self.network.layout, is_fresh, units,
                self._scratch, self._output_moments, self.penalty.penalty_diag, solved,
            )  # fmt: skip
        self._activations.after()
        return solved, cost

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """J'W r_vv, r_vv the second derivative of the residuals along `direction` (exact, no finite differences).

        Where J stands for the Gram matrix, sqrt(W) r_vv itself.
        """
        rows, gradient = self.rows, np.empty_like(theta)
        if self.is_dual:
            bend = np.empty(rows.Y.size)
            _kernels.dual_curvature(
                rows.X, rows.root_weight, self.x_scaling, theta, direction, self.network.layout, rows.Y.shape[1], bend
            )
            return bend
        units, is_fresh = self._activations.before(theta)
        for part, X, _, root_weight in rows.parts():
            _kernels.curvature(
                len(X) * theta.size * 4 * rows.Y.shape[1],
                part, X, root_weight, self.x_scaling, theta, direction, self.network.layout, is_fresh, units,
                rows.Y.shape[1], self._scratch, self._gradient_sums, gradient,
            )  # fmt: skip
        self._activations.after()
        return gradient

    @property
    def iterate(self) -> Callable[..., Iterations] | None:
        """Several iterations of the optimizer, for problems so small that calls of kernels count; None for others."""
        return self._iterate if self._small is not None else None

    def _iterate(
        self,
        theta: np.ndarray,
        point: GramLinearization,
        diagonal: np.ndarray,
        system: Any,
        damping: tuple,
        way: tuple,
        n_most: int,
        seconds: float,
    ) -> Iterations:
        """Up to `n_most` of them; `damping` and `way` as in `SmallProblem.iterate`."""
        assert self._small is not None
        n_most = min(n_most, self._n_ahead)
        return self._small.iterate(
            self._few_rows,
            self.penalty.penalty_diag,
            theta,
            point,
            diagonal,
            system.factor,
            damping,
            way,
            n_most,
            seconds,
        )

    @property
    def _few_rows(self) -> tuple:
        return self.rows.X, self.rows.Y, self.rows.root_weight

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Return the linearization at theta."""
        rows, penalty_diag = self.rows, self.penalty.penalty_diag
        if self.is_matrix_free:
            return self._operator.linearize(rows, penalty_diag, theta)
        if self.is_dual:
            return self._dual_equations(theta)
        equations = self._normal_equations(theta)
        if self._sample is None:
            return equations
        few = self._few.jacobian(rows, theta) if self._few else None
        gram = None if self._few else self._sample.gram(rows, penalty_diag, theta)
        return SubsampledLinearization(
            equations.cost, equations.gradient, gram, few, equations.squares, theta, rows, penalty_diag,
            self._operator, self._sample,
        )  # fmt: skip

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """As in `JacobianLinearization`."""
        rows, J = self.rows, self._room_for_jacobian()
        _kernels.jacobian_rows(rows.X, rows.root_weight, self.x_scaling, theta, self.network.layout, J)
        return J

    def _room_for_jacobian(self) -> np.ndarray:
        width = -(-self.network.n_parameters // _kernels.VECTOR) * _kernels.VECTOR
        return np.zeros((self.rows.Y.size, width))

    def _dual_equations(self, theta: np.ndarray) -> JacobianLinearization:
        rows, penalty_diag = self.rows, self.penalty.penalty_diag
        gradient, residual, squares = np.empty_like(theta), np.empty(rows.Y.size), np.empty(rows.Y.shape[1])
        jacobian = self._room_for_jacobian()
        cost = _kernels.dual_equations(
            rows.X, rows.Y, rows.root_weight, self.x_scaling, theta, self.network.layout, penalty_diag,
            jacobian, residual, squares, gradient,
        )  # fmt: skip
        return JacobianLinearization(cost, gradient, jacobian, residual, penalty_diag, squares)

    def _normal_equations(self, theta: np.ndarray) -> GramLinearization:
        if self._small is not None:
            return self._small.equations(self._few_rows, self.penalty.penalty_diag, theta)
        rows, p, products = self.rows, self.network.n_parameters, self._products
        gram, gradient, squares = np.empty((p, p)), np.empty(p), np.empty(rows.Y.shape[1])
        units, is_fresh = self._activations.before(theta)
        cost, work = np.nan, p * p / 2 if self._sample is None else 3 * p * rows.Y.shape[1]  # multiply-adds a row
        for part, X, Y, root_weight in rows.parts():
            cost = _kernels.normal_equations(
                len(X) * work,
                part, X, Y, root_weight, self.x_scaling, theta, self.network.layout, is_fresh, units,
                products.pairs, products.delta_factors, products.input_factors,
                self._scratch, self._moments, self.penalty.penalty_diag, squares, gradient, gram,
            )  # fmt: skip
        self._activations.after()
        return GramLinearization(cost, gradient, gram, squares)


class Subsample:
    """What n of the rows make of H, which is near that of all.

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
        """H in its lower triangle; `rows` are those of before, with any weights and targets."""
        self._objective.change_to(self._of(rows), Penalty(penalty_diag))
        return self._objective._normal_equations(theta).gram

    def jacobian(self, rows: Rows, theta: np.ndarray) -> np.ndarray:
        """As in `JacobianLinearization`."""
        self._objective.change_to(self._of(rows), Penalty(np.empty(0)))
        return self._objective.jacobian(theta)

    def _of(self, rows: Rows) -> Rows:
        if self._sample is None:
            return rows
        chosen, stretch = self._sample
        return Rows(self._X, read_only(rows.Y[chosen]), read_only(rows.root_weight[chosen] * stretch), rows.weight)


class Problem(NamedTuple):
    """All that is fixed during a fit."""

    network: Network
    x_scaling: Scaling
    y_scaling: Scaling
    rows: dict[str, Any]  # `Rows` (or `blocks.BlockRows`): "train" and, where there are such, "validation" and "test"
    penalty: Penalty
    kind: Callable[..., Any] = NetworkObjective  # with another loss, or rows elsewhere, another class
    solver: str = "auto"

    @property
    def projects(self) -> bool:
        """Whether the output layer can be solved for at each trial point, and is not all there is."""
        network = self.network
        return network.is_nonlinear and (self.has_matrix or network.sizes[-2] <= MAX_PROJECTION)

    @property
    def has_matrix(self) -> bool:
        """Whether there may be a Gram matrix of all rows, however steps are found."""
        return not is_matrix_free(self.solver, self.network, self.rows["train"].Y.size)

    def objective(self, with_matrix: bool = False) -> Any:
        """A new one, with working room of its own: one for each thread that minimises.

        `with_matrix`: its normal equations have the Gram matrix wherever there may be one, even if steps are found more
        quickly without.
        """
        solver = "cholesky" if with_matrix and self.has_matrix else self.solver
        return self.kind(self.network, self.rows["train"], self.x_scaling.table(), self.penalty, solver)

    def train_error(self, equations: Linearization) -> float:
        """Mean squared training error, in the target's own squared units, of a point already evaluated."""
        return mean_squared_error(self.rows["train"], equations.squares, self.y_scaling)

    def held_out_errors(self) -> dict[str, Callable[[np.ndarray], float]]:
        """Name of a column of the history, and `error` as a function of theta, for each set but the training rows."""
        return {f"{name}_mse": partial(self.error, name) for name in self.rows if name != "train"}

    def rescaled(self, factor: np.ndarray) -> "Problem":
        """The same data with scaled targets multiplied by a factor per output."""
        rows = {name: part.rescaled(factor) for name, part in self.rows.items()}
        return self._replace(y_scaling=self.y_scaling._replace(scale=self.y_scaling.scale / factor), rows=rows)

    def negligible(self) -> float:
        """Errors below this, of the measure by which fits are compared, are rounding errors of a perfect fit."""
        train = self.rows["train"]
        mean = train.mean_power(np.zeros(train.Y.shape[1]), 1)
        variance = train.mean_power(mean, 2)
        if "validation" in self.rows:
            return EPS * float(np.mean(self.y_scaling.scale**2 * variance))
        return EPS * 0.5 * train.weight * float(variance.sum())

    def error(self, name: str, theta: np.ndarray) -> float:
        """Mean squared error on a set, in the same units."""
        squares = self.rows[name].total(sum_of_squares, self.x_scaling.table(), self.network, theta)
        return mean_squared_error(self.rows[name], squares, self.y_scaling)


@np.errstate(over="ignore", invalid="ignore")  # compiled kernels do not warn, and their plain Python must not
def predict(
    X: np.ndarray | Source, x_scaling: Scaling, y_scaling: Scaling, network: Network, theta: np.ndarray
) -> np.ndarray:
    """f(X) in the target's own units, (n_rows, n_outputs), block by block."""
    f = np.empty((len(X), network.sizes[-1]))
    n_slots = _kernels.n_slots_for(len(X))
    if isinstance(X, Source):
        X = X.in_place()
    for _, X_part, f_part, _ in out_of_core.parts(X, f, f):
        _kernels.predict(
            len(X_part) * network.n_parameters, _kernels.WHOLE,
            read_only(X_part), x_scaling.table(), y_scaling.table(), theta, network.layout, n_slots, f_part,
        )  # fmt: skip
    return f
