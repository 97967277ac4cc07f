"""What an iteration needs of a network with very many parameters: no matrix of p x p, only products with it.

H v = J'W J v + S v takes one pass over the rows (`gram_times`): forward with derivatives along v, then
backward. Conjugate gradients (`TruncatedCGSolver`) need nothing else but a preconditioner: diagonal blocks of
J'J, one for each unit. Units with many inputs have several, for groups of at most `MAX_BLOCK` of them, so that
blocks and factors together take less than 1.2 KiB a parameter. The diagonal is exact; the correlations off it are those
of some blocks of rows, evenly spread, for a preconditioner changes the way to a solution and not the solution.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .._kernels import N_IN, N_OUT, OFFSET, SOURCE
from .._optimize.linearization import OperatorLinearization
from .preconditioners import BlockPreconditioner

MAX_BLOCK = 64  # parameters
KEPT_BLOCKS = 4  # blocks of rows from which correlations are taken


class _MatrixFreeFields(NamedTuple):
    cost: float
    gradient: np.ndarray  # (n_parameters,)
    squares: np.ndarray  # (n_outputs,)
    data_diagonal: np.ndarray  # (n_parameters,), of J'J
    penalty_diag: np.ndarray  # (n_parameters,), of the penalty
    theta: np.ndarray
    rows: Any  # `objective.Rows`
    kept: np.ndarray  # lines of some rows, see `first_order`
    operator: "GramOperator"


class MatrixFreeLinearization(_MatrixFreeFields, OperatorLinearization):
    """Linearization with products with H in place of a matrix."""

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H."""
        return self.data_diagonal + self.penalty_diag

    def make_preconditioner(self) -> BlockPreconditioner:
        """Return a preconditioner of diagonal blocks."""
        return BlockPreconditioner()

    def times(self, v: np.ndarray) -> np.ndarray:
        """H v, with H = J'W J + S."""
        return self.operator.times(self.rows, self.penalty_diag, self.theta, v)

    @property
    def blocks(self) -> np.ndarray:
        return self.operator.blocks

    def block_grams(self) -> np.ndarray:
        """Diagonal blocks of J'J over the rows that were kept, one after the other."""
        blocks, grams = self.operator.blocks, np.empty(room_for(self.operator.blocks))
        largest = _kernels.n_padded(int(blocks[:, _kernels.SIZE].max()))
        lines = np.zeros((min(_kernels.MAX_SLOTS, len(blocks)), largest, _kernels.LINE))
        work = 0.5 * len(self.kept) * _kernels.BLOCK * float((blocks[:, _kernels.SIZE] ** 2).sum())
        _kernels.block_grams(work, _kernels.WHOLE, blocks, self.kept, lines, grams)
        return grams


class GramOperator:
    """H at any theta, and for any weights and targets of the rows.

    Parameters
    ----------
    network, rows, x_scaling
        As in `objective.NetworkObjective`; of the rows only their number and that of the targets is used.
    activations : _activations.Activations
    """

    def __init__(self, network, rows, x_scaling, activations):
        self.network, self.x_scaling, self.activations = network, x_scaling, activations
        self.blocks = unit_blocks(network.layout)
        layout, n_slots = network.layout, _kernels.n_slots_for(len(rows.X))
        self._scratch = np.zeros((n_slots, _kernels.n_first_order_lines(layout), _kernels.LINE))
        n_sums = 2 * _kernels.n_gradient_sums(layout, len(layout)) + _kernels.n_padded(rows.Y.shape[1]) ** 2
        self._sums = np.zeros((n_slots, n_sums))

    def equations(self, rows: Any, penalty_diag: np.ndarray, theta: np.ndarray) -> MatrixFreeLinearization:
        layout = self.network.layout
        gradient, diagonal, squares = np.empty_like(theta), np.empty_like(theta), np.empty(rows.Y.shape[1])
        n_units = _kernels.n_units_in(layout)
        n_blocks = -(-len(rows.X) // _kernels.BLOCK)
        every = -(-n_blocks // KEPT_BLOCKS)
        kept = np.zeros((-(-n_blocks // every), 2, n_units, _kernels.LINE))
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

    def times(self, rows: Any, penalty_diag: np.ndarray, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
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


def unit_blocks(layout: np.ndarray) -> np.ndarray:
    """Table of the diagonal blocks, with the columns of `_kernels` (`UNIT_LINE` and so on)."""
    return _unit_blocks(layout.shape, layout.tobytes(), MAX_BLOCK)


@lru_cache(maxsize=4)
def _unit_blocks(shape: tuple[int, int], layout_bytes: bytes, largest: int) -> np.ndarray:
    layout = np.frombuffer(layout_bytes, dtype=np.int64).reshape(shape)
    table, place = [], 0
    for layer in layout:
        n_weights, source = int(layer[N_IN]) + 1, int(layer[SOURCE])
        # Groups of equal size, but for one: 65 parameters are two groups of 33 and 32 and not 64 and 1.
        cuts = np.linspace(0, n_weights, -(-n_weights // largest) + 1).round().astype(int)
        for j in range(layer[N_OUT]):
            for begin, end in pairwise(cuts):
                first = int(layer[OFFSET]) + j * n_weights + begin
                table.append((source + n_weights + j, source + begin, first, end - begin, place))
                place += _kernels.n_padded(end - begin) ** 2
    blocks = np.array(table, dtype=np.int64)
    blocks.flags.writeable = False
    return blocks


def room_for(blocks: np.ndarray) -> int:
    """Numbers in all blocks, with room for whole tiles."""
    return int(blocks[-1, _kernels.PLACE] + _kernels.n_padded(int(blocks[-1, _kernels.SIZE])) ** 2)
