"""Preconditioners of conjugate gradients: M near H + mu D, see `_optimize.linear_solvers.TruncatedCGSolver`.

`BlockPreconditioner` has blocks on the diagonal; `SubsamplePreconditioner` the damped Gram matrix of a subsample of the
rows, which is the better one and needs a matrix.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernels
from .._optimize.cholesky import factor_buffer, inverse
from .._optimize.linear_solvers import woodbury_buffers

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
# Ridge on the diagonal of a block, relative to it: rounding errors of a block of dependent inputs stay below it.
BLOCK_RIDGE = 1e-10
# Least damping of a preconditioner from a sample's J, relative to the largest diagonal entry of its J'J: with less,
# rounding errors of Woodbury's identity would make it indefinite.
DUAL_RIDGE = 1e-13


class BlockPreconditioner:
    """Diagonal blocks of H + mu D."""

    forcing, acceleration_forcing = FORCING, ACCELERATION_FORCING

    def __init__(self) -> None:
        self._linearization: MatrixFreeLinearization | None = None
        self._grams = np.empty(0)
        self._factors: np.ndarray | None = None

    def factor(self, linearization: "MatrixFreeLinearization", mu: float, diagonal: np.ndarray) -> None:
        """Factor the blocks; correlations are read once for each linearization."""
        if self._linearization is not linearization:
            self._linearization, self._grams = linearization, linearization.block_grams()
        if self._factors is None:
            self._factors = np.zeros_like(self._grams)
        self._blocks = linearization.blocks
        self._n_slots = min(_kernels.MAX_SLOTS, len(self._blocks))
        _kernels.factor_blocks(
            len(self._grams) * 20, _kernels.WHOLE, self._blocks, self._grams, linearization.data_diagonal,
            linearization.penalty_diag + mu * diagonal, BLOCK_RIDGE, self._n_slots, self._factors,
        )  # fmt: skip

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""
        _kernels.precondition(2 * len(self._grams), _kernels.WHOLE, self._blocks, self._factors, self._n_slots, z)


class SubsamplePreconditioner:
    """Damped Gram matrix of a subsample of the rows.

    A small subsample of m residuals is used by its J and a factor of m rows, if it is large enough: if its effective
    number of parameters, tr(K (I + K)^-1) with K = J M^-1 J', is at most m / 2. Directions that few rows cannot tell
    apart, more rows might (for samples in proportion to that number see Avron, Clarkson & Woodruff 2017, "Sharper
    bounds for regularized data fitting"). Else the large subsample gives its Gram matrix; where that is all rows,
    conjugate gradients end after one product.
    """

    def __init__(self, linearization: "SubsampledLinearization"):
        small = linearization.small_jacobian
        self._buffers = None if small is None else woodbury_buffers(small)
        self._factor = factor_buffer(len(linearization.gradient))
        self._jacobian: np.ndarray | None = None  # of the small subsample, where M is made of it
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
