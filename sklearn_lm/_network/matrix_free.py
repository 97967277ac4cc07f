"""Linearization of a network with very many parameters: no matrix of p x p, only products with it.

H v = J'W J v + S v takes one pass over the rows (`gram_times`): forward with derivatives along v, then backward.
Conjugate gradients (`TruncatedCGSolver`) need nothing else but a preconditioner M near H + mu D.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._data.rows import Rows
from .._kernels import N_IN, N_OUT, OFFSET, PLACE, SIZE, SOURCE, n_padded
from .._optimize.linearization import OperatorLinearization
from .cross_products import Workspace, first_order_sums, sums_along
from .topology import Network

KEPT_BLOCKS = 4  # blocks of rows, evenly spread, from which the preconditioner takes correlations
MAX_BLOCK = 64  # parameters
# Ridge on the diagonal of a block, relative to it: rounding errors of a block of dependent inputs stay below it.
BLOCK_RIDGE = 1e-10


class _MatrixFreeFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    squares: np.ndarray
    data_diagonal: np.ndarray  # (n_parameters,), of J'J
    penalty_diag: np.ndarray  # (n_parameters,), S
    theta: np.ndarray
    rows: Rows
    kept: np.ndarray  # lines of the kept blocks of rows, see the kernel `accumulate_first_order`
    workspace: Workspace


class MatrixFreeLinearization(_MatrixFreeFields, OperatorLinearization):
    """Linearization that makes no matrix, of a subsample neither."""

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H."""
        return self.data_diagonal + self.penalty_diag

    def make_preconditioner(self) -> "BlockPreconditioner":
        """Return a preconditioner of diagonal blocks."""
        return BlockPreconditioner(self.workspace.network)

    def times(self, v: np.ndarray) -> np.ndarray:
        """Return H v."""
        return gram_times(self.workspace, self.rows, self.theta, v) + self.penalty_diag * v


def linearize_without_matrix(
    workspace: Workspace, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray
) -> MatrixFreeLinearization:
    """Return the linearization at theta."""
    layout, n_blocks = workspace.network.layout, -(-len(rows.X) // _kernels.BLOCK)
    gradient, diagonal, squares = np.empty_like(theta), np.empty_like(theta), np.empty(rows.Y.shape[1])
    every = -(-n_blocks // KEPT_BLOCKS)
    kept = np.zeros((-(-n_blocks // every), 2, _kernels.n_units_in(layout), _kernels.LINE))
    total, network = rows.total(first_order_sums, workspace, theta, every, kept), workspace.network.at(theta)
    cost = _kernels.finish_first_order(network, total, penalty_diag, squares, gradient, diagonal)
    return MatrixFreeLinearization(cost, gradient, squares, diagonal, penalty_diag, theta, rows, kept, workspace)


def gram_times(workspace: Workspace, rows: Rows, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return J'W J v at theta."""
    product = np.empty_like(v)
    _kernels.finish_gradient(workspace.network.layout, rows.total(sums_along, workspace, theta, v, False), product)
    return product


class BlockPreconditioner:
    """Diagonal blocks of H + mu D, one for each unit, with several for units with many inputs.

    Blocks and factors together take less than 1.2 KiB a parameter. Their diagonal is exact; the correlations off it are
    those of some blocks of rows, for a preconditioner changes the number of products and not the solution. (Five
    tasks with 5,300 to 5,600 parameters: 0.3 to 0.9 of the products to the error that the diagonal alone reaches in 30
    iterations, but 1.2 with 100 correlated inputs; and an F after 30 iterations that is smaller by factors of 1.04 to
    76,000.)
    """

    # (0.5, as Nash and Sofer have it, takes more time to an error, and so does 0.02.)
    forcing = 0.1
    acceleration_forcing = 0.5  # less is lost by its truncation

    def __init__(self, network: Network) -> None:
        """Make the table of the blocks and buffers for them."""
        layout = network.layout
        self.blocks = unit_blocks(layout.shape, layout.tobytes(), MAX_BLOCK)
        n_numbers = int(self.blocks[-1, PLACE] + n_padded(int(self.blocks[-1, SIZE])) ** 2)
        self._grams, self._factors = np.empty(n_numbers), np.zeros(n_numbers)
        self._n_slots = min(_kernels.MAX_SLOTS, len(self.blocks))
        self._linearization: MatrixFreeLinearization | None = None

    def factor(self, linearization: MatrixFreeLinearization, mu: float, diagonal: np.ndarray) -> None:
        """Factor the blocks of J'J, which are made once for each linearization, with penalty and damping."""
        if self._linearization is not linearization:
            self._linearization, kept, sizes = linearization, linearization.kept, self.blocks[:, SIZE]
            lines = np.zeros((self._n_slots, n_padded(int(sizes.max())), _kernels.LINE))
            work = 0.5 * len(kept) * _kernels.BLOCK * float((sizes**2).sum())
            _kernels.block_grams(_kernels.Work(work, self._n_slots), self.blocks, kept, lines, self._grams)
        _kernels.factor_blocks(
            _kernels.Work(20 * len(self._grams), self._n_slots), self.blocks, self._grams, linearization.data_diagonal,
            linearization.penalty_diag + mu * diagonal, BLOCK_RIDGE, self._factors,
        )  # fmt: skip

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""
        _kernels.precondition(_kernels.Work(2 * len(self._grams), self._n_slots), self.blocks, self._factors, z)


@lru_cache(maxsize=4)
def unit_blocks(shape: tuple[int, int], layout_bytes: bytes, max_block: int) -> np.ndarray:
    """Return the table of the diagonal blocks, with the columns UNIT_LINE, INPUT_LINE, PARAMETER, SIZE and PLACE."""
    layout = np.frombuffer(layout_bytes, dtype=np.int64).reshape(shape)
    table, place = [], 0
    for layer in layout:
        n_weights, source = int(layer[N_IN]) + 1, int(layer[SOURCE])
        # Groups of equal size, but for one: 65 parameters are two groups of 33 and 32 and not 64 and 1.
        cuts = np.linspace(0, n_weights, -(-n_weights // max_block) + 1).round().astype(int)
        for j in range(layer[N_OUT]):
            for begin, end in pairwise(cuts):
                first = int(layer[OFFSET]) + j * n_weights + begin
                table.append((source + n_weights + j, source + begin, first, end - begin, place))
                place += n_padded(end - begin) ** 2
    blocks = np.array(table, dtype=np.int64)
    blocks.flags.writeable = False
    return blocks
