"""Linearization of a network with very many parameters: no matrix of p x p, only products with it.

H v = J'W J v + S v takes one pass over the rows (`gram_times`): forward with derivatives along v, then backward.
Conjugate gradients (`TruncatedCGSolver`) need nothing else but a preconditioner, see `preconditioners.py`.
"""

from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._data.rows import Rows
from .._optimize.linearization import OperatorLinearization
from .activation_cache import Activations
from .preconditioners import BlockPreconditioner
from .topology import Network

KEPT_BLOCKS = 4  # blocks of rows, evenly spread, from which the preconditioner takes correlations


class _MatrixFreeFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    squares: np.ndarray
    data_diagonal: np.ndarray  # (n_parameters,), of J'J
    penalty_diag: np.ndarray  # (n_parameters,), S
    theta: np.ndarray
    rows: Rows
    kept: np.ndarray  # lines of the kept blocks of rows, see the kernel `first_order`
    operator: "GramOperator"


class MatrixFreeLinearization(_MatrixFreeFields, OperatorLinearization):
    """Linearization that makes no matrix, of a subsample neither."""

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H."""
        return self.data_diagonal + self.penalty_diag

    def make_preconditioner(self) -> BlockPreconditioner:
        """Return a preconditioner of diagonal blocks."""
        return BlockPreconditioner(self.operator.network)

    def times(self, v: np.ndarray) -> np.ndarray:
        """Return H v."""
        return self.operator.times(self.rows, self.penalty_diag, self.theta, v)


class GramOperator:
    """H at any theta, and for any weights and targets of the rows.

    Parameters
    ----------
    network : Network
    rows : Rows
        Only their number and that of the targets are used.
    x_scaling : ndarray of shape (2, n_inputs)
    activations : Activations
    """

    def __init__(self, network: Network, rows: Rows, x_scaling: np.ndarray, activations: Activations):
        self.network, self.x_scaling, self.activations = network, x_scaling, activations
        layout, n_slots = network.layout, _kernels.n_slots_for(len(rows.X))
        self._scratch = np.zeros((n_slots, _kernels.n_first_order_lines(layout), _kernels.LINE))
        n_sums = 2 * _kernels.n_gradient_sums(layout, len(layout)) + _kernels.n_padded(rows.Y.shape[1]) ** 2
        self._sums = np.zeros((n_slots, n_sums))

    def linearize(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray) -> MatrixFreeLinearization:
        """Return the linearization at theta."""
        layout = self.network.layout
        gradient, diagonal, squares = np.empty_like(theta), np.empty_like(theta), np.empty(rows.Y.shape[1])
        n_blocks = -(-len(rows.X) // _kernels.BLOCK)
        every = -(-n_blocks // KEPT_BLOCKS)
        kept = np.zeros((-(-n_blocks // every), 2, _kernels.n_units_in(layout), _kernels.LINE))
        units, is_fresh = self.activations.before(theta)
        cost, begin = np.nan, 0
        for part, X, Y, root_weight in rows.parts():
            cost = _kernels.first_order(
                (4 + 2 * rows.Y.shape[1]) * len(X) * theta.size,
                part, X, Y, root_weight, self.x_scaling, theta, layout, is_fresh, units, begin, every,
                self._scratch, self._sums, kept, penalty_diag, squares, gradient, diagonal,
            )  # fmt: skip
            begin += len(X)
        self.activations.after()
        return MatrixFreeLinearization(cost, gradient, squares, diagonal, penalty_diag, theta, rows, kept, self)

    def times(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return H v at theta."""
        product = np.empty_like(v)
        units, is_fresh = self.activations.before(theta)
        for part, X, _, root_weight in rows.parts():
            _kernels.gram_times(
                5 * len(X) * theta.size,
                part, X, root_weight, self.x_scaling, theta, v, self.network.layout, is_fresh, units,
                rows.Y.shape[1], self._scratch, self._sums, penalty_diag, product,
            )  # fmt: skip
        self.activations.after()
        return product
