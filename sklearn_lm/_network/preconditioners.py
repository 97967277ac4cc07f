"""Preconditioners of conjugate gradients: M near H + mu D, see `_optimize.linear_solvers.TruncatedCGSolver`.

`BlockPreconditioner` has blocks on the diagonal; `SubsamplePreconditioner` the damped Gram matrix of a subsample of the
rows, which is the better one and needs a matrix.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernels
from .._kernels import N_IN, N_OUT, OFFSET, PLACE, SIZE, SOURCE, n_padded
from .._optimize.cholesky import factor_buffer, inverse
from .._optimize.linear_solvers import woodbury_buffers
from .topology import Network

if TYPE_CHECKING:
    from .matrix_free import MatrixFreeLinearization
    from .subsample import SubsampledLinearization

# `forcing` of blocks. (0.5, as Nash and Sofer have it, takes more time to an error, and so does 0.02.)
FORCING = 0.1
# Geodesic acceleration: less is lost by its truncation.
ACCELERATION_FORCING = 0.5
# A large subsample makes a digit cost a few products. With 0.02 there are fewer iterations to small errors and no less
# time (5-30-1 and 5-100-1, 10,000 rows; 8-40-15-1, 20,000).
SAMPLE_FORCING = 0.05
# The acceleration gets no product then, but the preconditioner's own solution. (Products for it, too, take a tenth to a
# fifth more time to any error.)
SAMPLE_ACCELERATION_FORCING = math.inf
# Both, for a small subsample, where products are a small part of an iteration. (1-20-20-10-1: to 1e-10 in 23
# iterations, with 0.05 in more than 40.)
SMALL_FORCING = 1e-3
MAX_BLOCK = 64  # parameters
# Ridge on the diagonal of a block, relative to it: rounding errors of a block of dependent inputs stay below it.
BLOCK_RIDGE = 1e-10
# Least damping of a preconditioner from a sample's J, relative to the largest diagonal entry of its J'J: with less,
# rounding errors of Woodbury's identity would make it indefinite.
DUAL_RIDGE = 1e-13


class BlockPreconditioner:
    """Diagonal blocks of H + mu D, one for each unit, with several for units with many inputs.

    Blocks and factors together take less than 1.2 KiB a parameter. Their diagonal is exact; the correlations off it are
    those of some blocks of rows, for a preconditioner changes the number of products and not the solution. (Five
    tasks with 5,300 to 5,600 parameters: 0.3 to 0.9 of the products to the error that the diagonal alone reaches in 30
    iterations, but 1.2 with 100 correlated inputs; and an F after 30 iterations that is smaller by factors of 1.04 to
    76,000.)
    """

    forcing, acceleration_forcing = FORCING, ACCELERATION_FORCING

    def __init__(self, network: Network) -> None:
        """Make the table of the blocks and buffers for them."""
        layout = network.layout
        self.blocks = unit_blocks(layout.shape, layout.tobytes(), MAX_BLOCK)
        n_numbers = int(self.blocks[-1, PLACE] + n_padded(int(self.blocks[-1, SIZE])) ** 2)
        self._grams, self._factors = np.empty(n_numbers), np.zeros(n_numbers)
        self._n_slots = min(_kernels.MAX_SLOTS, len(self.blocks))
        self._linearization: MatrixFreeLinearization | None = None

    def factor(self, linearization: "MatrixFreeLinearization", mu: float, diagonal: np.ndarray) -> None:
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


class SubsamplePreconditioner:
    """Damped Gram matrix of a subsample of the rows.

    A small subsample of m residuals enters by its J and a factor of m rows, if it is large enough: if its effective
    number of parameters, tr(K (I + K)^-1) with K = J M^-1 J', is at most m / 2. More rows might
    separate directions that these do not (for samples in proportion to that number see Avron, Clarkson & Woodruff 2017,
    "Sharper bounds for regularized data fitting"). Else the large subsample gives its Gram matrix; if that is all rows,
    conjugate gradients end after one product.
    """

    def __init__(self, linearization: "SubsampledLinearization"):
        """Make buffers for both subsamples."""
        small = linearization.small_jacobian
        self._buffers = None if small is None else woodbury_buffers(small)
        self._factor = factor_buffer(len(linearization.gradient))
        self._jacobian: np.ndarray | None = None  # of the small subsample, if M is made of it
        self._damping = np.empty(0)
        self._linearization: SubsampledLinearization | None = None
        self._gram: np.ndarray | None = None

    def factor(self, linearization: "SubsampledLinearization", mu: float, diagonal: np.ndarray) -> None:
        """Choose the subsample and factor, by the point and its damping alone.

        So a fit that is restored in the middle of its trials makes the same steps.
        """
        if self._linearization is not linearization:
            self._linearization, self._gram = linearization, linearization.gram
        self._jacobian = self._small_factor(linearization, mu, diagonal)
        if self._jacobian is not None:
            self.forcing = self.acceleration_forcing = SMALL_FORCING
            return
        self.forcing, self.acceleration_forcing = SAMPLE_FORCING, SAMPLE_ACCELERATION_FORCING
        if self._gram is None:
            self._gram = linearization.make_gram()
        if not _kernels.cholesky(self._gram, mu, diagonal, self._factor):
            # Rounding left no factor: as with blocks, the diagonal alone takes its place.
            self._factor[:] = 0.0
            np.fill_diagonal(self._factor, np.sqrt(linearization.diagonal() + mu * diagonal))

    def _small_factor(
        self, linearization: "SubsampledLinearization", mu: float, diagonal: np.ndarray
    ) -> np.ndarray | None:
        """Factor by the small subsample; return its Jacobian, or None if it is too small or there is none."""
        jacobian = linearization.small_jacobian
        if jacobian is None or self._buffers is None:
            return None
        scaled, gram, L = self._buffers
        least = DUAL_RIDGE * linearization.data_diagonal.max()
        self._damping = np.maximum(linearization.penalty_diag + mu * diagonal, least)
        if not _kernels.dual_factor(jacobian, self._damping, scaled, gram, L):
            return None
        n = len(jacobian)
        V = inverse(L, n)
        return jacobian if 2.0 * (n - float(np.einsum("ij,ij->", V, V))) <= n else None

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""
        if self._jacobian is not None and self._buffers is not None:
            _kernels.dual_solve(self._jacobian, self._damping, self._buffers[2], z)
        else:
            _kernels.cholesky_solve(self._factor, z)
