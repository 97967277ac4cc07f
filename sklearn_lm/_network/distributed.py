"""F over rows that are elsewhere: what goes out is theta, what comes back sums of products; see
`_network/objective.py`.

A block runs the same kernels as rows in memory and stops before the result is made: its slots are added, and the sums
of the blocks in the tree of `_data/blocks.py`. From the total the kernels make here what they make of their own
slots. The
numbers that travel for one reduction are those of `gram_tables.GramTables.n_moments`, about p^2 / 4 for one hidden
layer.
"""

import numpy as np

from .. import _kernels
from .._data.blocks import BlockRows
from .._data.rows import Rows
from .._kernels.buffers import aligned_zeros
from .._optimize.linearization import GramLinearization
from .._optimize.objective import Objective
from .gram_tables import make_gram_tables
from .objective import sum_of_squares
from .penalty import Penalty
from .topology import Network


class BlockObjective(Objective):
    """F for one network on rows in blocks; takes the place of `objective.NetworkObjective`.

    Parameters
    ----------
    network : Network
    rows : BlockRows
    x_scaling : ndarray of shape (2, n_inputs)
    penalty : Penalty
    solver : {"auto", "cholesky"}
        Not used: there is always a Gram matrix.
    """

    def __init__(
        self, network: Network, rows: BlockRows, x_scaling: np.ndarray, penalty: Penalty, solver: str = "cholesky"
    ):
        self.network, self.x_scaling, self.weight = network, x_scaling, rows.weight
        self.change_to(rows, penalty)

    def change_to(self, rows: BlockRows, penalty: Penalty) -> None:
        self.rows, self.penalty = rows, penalty

    def cost(self, theta: np.ndarray) -> float:
        squares = self.rows.total(sum_of_squares, self.x_scaling, self.network, theta)
        return _kernels.total_cost(squares, self.penalty.penalty_diag, theta)

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """theta with the output layer replaced by its (weighted, penalised) least-squares solution, and F there."""
        layout, n_outputs = self.network.layout, self.network.sizes[-1]
        moments = self.rows.total(output_moments, self.x_scaling, layout, theta)
        n_basis = _kernels.n_padded(self.network.sizes[-2] + 1 + n_outputs)
        solved = np.empty_like(theta)
        cost = _kernels.solve_output_moments(
            layout, moments.reshape(n_basis, n_basis), n_outputs, self.penalty.penalty_diag, theta, solved
        )
        return solved, cost

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """J'W r_vv, r_vv the second derivative of the residuals along `direction`."""
        gradient = np.empty_like(theta)
        sums = self.rows.total(curvature_sums, self.x_scaling, self.network.layout, theta, direction)
        _kernels.gradient_of_sums(self.network.layout, sums, gradient)
        return gradient

    def linearize(self, theta: np.ndarray) -> GramLinearization:
        """Return the linearization at theta."""
        layout, p, products = self.network.layout, theta.size, make_gram_tables(self.network.layout)
        gram, gradient, squares = np.empty((p, p)), np.empty(p), np.empty(self.network.sizes[-1])
        moments = self.rows.total(equation_moments, self.x_scaling, layout, theta)
        cost = _kernels.finish_normal_equations(
            theta, layout, products.pairs, products.delta_factors, products.input_factors, moments,
            self.penalty.penalty_diag, squares, gradient, gram,
        )  # fmt: skip
        return GramLinearization(cost, gradient, gram, squares)


# ---- of one block -------------------------------------------------------------------------------------
# Where an argument is only of use for the result, which is not made here, there stands an empty one.
NONE, NO_MATRIX = np.empty(0), np.empty((0, 0))


def output_moments(rows: Rows, x_scaling: np.ndarray, layout: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Gram matrix of what the output layer reads and of the residuals."""
    n_slots, n_outputs, scratch, units = _room(rows, layout)
    n_basis = _kernels.n_padded(layout[-1, _kernels.N_IN] + 1 + n_outputs)
    moments = np.empty((n_slots, n_basis, n_basis))
    _kernels.solve_output(
        len(rows.X) * theta.size * n_outputs, _kernels.BEGINS, *rows[:3], x_scaling, theta, layout, False, units,
        scratch, moments, NONE, NONE,
    )  # fmt: skip
    return _kernels.total_of_slots(moments)


def curvature_sums(
    rows: Rows, x_scaling: np.ndarray, layout: np.ndarray, theta: np.ndarray, direction: np.ndarray
) -> np.ndarray:
    n_slots, n_outputs, scratch, units = _room(rows, layout)
    sums = np.empty((n_slots, _kernels.n_gradient_sums(layout, len(layout))))
    _kernels.curvature(
        len(rows.X) * theta.size * 4 * n_outputs, _kernels.BEGINS, rows.X, rows.root_weight, x_scaling, theta,
        direction, layout, False, units, n_outputs, scratch, sums, NONE,
    )  # fmt: skip
    return _kernels.total_of_slots(sums)


def equation_moments(rows: Rows, x_scaling: np.ndarray, layout: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Sums of squares, gradient and Gram matrix as `gram_tables` has them."""
    n_slots, _, scratch, units = _room(rows, layout)
    products = make_gram_tables(layout)
    moments = np.empty((n_slots, products.n_moments))
    _kernels.normal_equations(
        len(rows.X) * theta.size**2 / 2, _kernels.BEGINS, *rows[:3], x_scaling, theta, layout, False, units,
        products.pairs, products.delta_factors, products.input_factors, scratch, moments, NONE, NONE, NONE, NO_MATRIX,
    )  # fmt: skip
    return _kernels.total_of_slots(moments)


def _room(rows: Rows, layout: np.ndarray) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Slots, outputs, and working room for the kernels: a block a slot, whatever the number of rows."""
    n_slots = _kernels.n_slots_for(len(rows.X))
    scratch = aligned_zeros(n_slots, _kernels.n_scratch_lines(layout), _kernels.LINE)
    units = aligned_zeros(n_slots, _kernels.n_padded(_kernels.n_units_in(layout)), _kernels.LINE)
    return n_slots, rows.Y.shape[1], scratch, units
