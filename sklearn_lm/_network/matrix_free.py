"""Linearization of a network with very many parameters: no matrix of p x p, only products with it.

H v = J'W J v + S v takes one pass over the rows (`gram_times`): forward with derivatives along v, then backward.
Conjugate gradients (`TruncatedCGSolver`) need nothing else but a preconditioner, see `preconditioners.py`.
"""

from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._data.rows import Rows
from .._optimize.linearization import OperatorLinearization
from .cross_products import Workspace, first_order_sums, gram_times_sums
from .preconditioners import BlockPreconditioner

KEPT_BLOCKS = 4  # blocks of rows, evenly spread, from which the preconditioner takes correlations


class _MatrixFreeFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    squares: np.ndarray
    data_diagonal: np.ndarray  # (n_parameters,), of J'J
    penalty_diag: np.ndarray  # (n_parameters,), S
    theta: np.ndarray
    rows: Rows
    kept: np.ndarray  # lines of the kept blocks of rows, see the kernel `accumulate_first_order`
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
    workspace : Workspace
        Buffers for these rows.
    """

    def __init__(self, workspace: Workspace):
        self.network, self._workspace = workspace.network, workspace

    def linearize(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray) -> MatrixFreeLinearization:
        """Return the linearization at theta."""
        layout = self.network.layout
        gradient, diagonal, squares = np.empty_like(theta), np.empty_like(theta), np.empty(rows.Y.shape[1])
        n_blocks = -(-len(rows.X) // _kernels.BLOCK)
        every = -(-n_blocks // KEPT_BLOCKS)
        kept = np.zeros((-(-n_blocks // every), 2, _kernels.n_units_in(layout), _kernels.LINE))
        total = rows.total(first_order_sums, self._workspace, theta, every, kept)
        cost = _kernels.finish_first_order(
            _kernels.NetworkArrays(theta, layout), total, penalty_diag, squares, gradient, diagonal
        )  # fmt: skip
        return MatrixFreeLinearization(cost, gradient, squares, diagonal, penalty_diag, theta, rows, kept, self)

    def times(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return H v at theta."""
        product = np.empty_like(v)
        total = rows.total(gram_times_sums, self._workspace, theta, v)
        _kernels.finish_gradient(self.network.layout, total, product)
        return product + penalty_diag * v
