"""The damped system of one iteration: (H + mu D) d = -g, where H = J'J + S with the penalty's diagonal S.

`CholeskySolver` has the Gram matrix H and a Cholesky factor of as many rows as there are parameters. `WoodburySolver`
has J
itself and a factor of as many rows as there are residuals; it takes the other's place where those are fewer, and finds
the same step. `TruncatedCGSolver` has products with H and no matrix; it comes near that step, as near as is worth the
while. Which of them an objective needs follows from what its normal equations are.
"""

import math
from typing import Any

import numpy as np

from .. import _kernels
from .cholesky import factor_buffer, inverse

# Conjugate gradients end at iteration j when it brought less than this part of a j-th of the reduction so far. (0.5, as
# Nash and Sofer have it, takes more time to an error, and so does 0.02.)
FORCING = 0.1
# The same for the second-order correction, of which less is lost.
ACCELERATION_FORCING = 0.5
# For steps, where a sample of the rows makes the preconditioner and a digit costs a few products. With 0.02 there are
# fewer iterations to small errors and no less time (5-30-1 and 5-100-1, 10,000 rows; 8-40-15-1, 20,000).
SAMPLE_FORCING = 0.05
# The second-order correction gets no product then, but the preconditioner's own solution. (With products for it, too,
# these take a tenth to a fifth more time to any error.)
SAMPLE_ACCELERATION_FORCING = math.inf
# For both, by a small sample, where products are a small part of an iteration. (1-20-20-10-1: to 1e-10 in 23
# iterations, with 0.05 in more than 40.)
SMALL_FORCING = 1e-3
# They end when the norm of the residual, in that of the preconditioner, has fallen by this factor.
MIN_RESIDUAL = 1e-12
MAX_PRODUCTS = 1000
# On the diagonal of the preconditioner, relative to it: rounding errors of a block of dependent inputs stay below it.
BLOCK_RIDGE = 1e-10
# Damping of a preconditioner from a sample's J, at least, relative to the largest diagonal entry of its J'J: with less,
# rounding errors of Woodbury's identity would make it indefinite.
DUAL_RIDGE = 1e-13


class CholeskySolver:
    """For equations with `gradient` and `gram`, of which the lower triangle is read."""

    def __init__(self, equations: Any):
        self.factor = factor_buffer(len(equations.gradient))

    @staticmethod
    def diagonal(equations: Any) -> np.ndarray:
        """Of H."""
        return equations.gram.diagonal()

    @staticmethod
    def is_finite(equations: Any) -> bool:
        return _kernels.is_finite(equations.gradient, equations.gram)

    def step(
        self, equations: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray, step: np.ndarray, trial: np.ndarray
    ) -> float:
        """Fill `step` with d and `trial` with theta + d; the reduction of F that the quadratic model promises.

        Infinity where there is no such step: that promises nothing.
        """
        return _kernels.damped_step(equations.gram, equations.gradient, mu, diagonal, self.factor, theta, step, trial)

    def add_acceleration(
        self,
        equations: Any,
        mu: float,
        diagonal: np.ndarray,
        curvature: np.ndarray,
        largest: float,
        step: np.ndarray,
        trial: np.ndarray,
    ) -> None:
        """After `step`: trial += a / 2, (H + mu D) a = -curvature, unless a is longer than `largest` times the step."""
        _kernels.add_acceleration(self.factor, curvature, diagonal, largest, step, trial)


class WoodburySolver:
    """For equations with `gradient`, `jacobian`, `residual` and `penalty_diag`, see
    `objective.JacobianLinearization`."""

    def __init__(self, equations: Any):
        self.scaled, self.gram, self.factor = woodbury_buffers(equations.jacobian)
        self._damping = np.empty(0)

    @staticmethod
    def diagonal(equations: Any) -> np.ndarray:
        # NumPy's own loops: the same bits on any number of threads of BLAS.
        squares = np.einsum("ij,ij->j", equations.jacobian, equations.jacobian)
        return squares[: len(equations.penalty_diag)] + equations.penalty_diag

    @staticmethod
    def is_finite(equations: Any) -> bool:
        # Squares of J enter the system. Where they overflow J'J would, too.
        return bool(np.isfinite(equations.gradient).all() and np.isfinite(WoodburySolver.diagonal(equations)).all())

    def step(
        self, equations: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray, step: np.ndarray, trial: np.ndarray
    ) -> float:
        """As `CholeskySolver.step`."""
        self._damping = equations.penalty_diag + mu * diagonal
        return _kernels.dual_step(
            equations.jacobian, equations.residual, equations.penalty_diag, self._damping, mu, diagonal,
            self.scaled, self.gram, self.factor, equations.gradient, theta, step, trial,
        )  # fmt: skip

    def add_acceleration(
        self,
        equations: Any,
        mu: float,
        diagonal: np.ndarray,
        curvature: np.ndarray,
        largest: float,
        step: np.ndarray,
        trial: np.ndarray,
    ) -> None:
        """As `CholeskySolver.add_acceleration`, with the second derivatives of the residuals themselves as
        `curvature`."""
        _kernels.add_dual_acceleration(
            equations.jacobian, self._damping, diagonal, self.factor, curvature, largest, step, trial
        )


def woodbury_buffers(jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `dual_factor` needs: room for J M^-1/2, its Gram matrix and the factor."""
    n, width = jacobian.shape
    n_padded = _kernels.n_padded(n)
    return np.zeros((n_padded, width)), np.zeros((n_padded, n_padded)), factor_buffer(n)


class TruncatedCGSolver:
    """For equations with `gradient`, `diagonal`, `penalty_diag`, `times`, see `matrix_free.MatrixFreeLinearization`
    and `SubsampledLinearization`, whose sample of the rows makes the better preconditioner.

    Preconditioned conjugate gradients from zero (Hestenes & Stiefel 1952). Each iterate d minimises the quadratic model
    on the space searched so far, so that d'(H + mu D) d = -g'd, and what it promises is given by the same formula
    as for the whole step. They are truncated by the rule of Nash & Sofer (1990), "Assessing a search direction within
    a truncated-Newton method", Operations Research Letters 9, eq. 5: with Q_j the reduction of the model after j
    iterations, at j (Q_j - Q_{j-1}) <= `FORCING` Q_j. It depends on nothing but the point and its damping.

    A preconditioner that is near H + mu D foretells what an iteration would bring, and that is not waited for.
    """

    def __init__(self, equations: Any):
        self._preconditioner = SampleFactor(equations) if hasattr(equations, "sample") else BlockFactors()
        self._of: Any = None  # the equations and the mu that it is for
        self._mu = math.nan

    @staticmethod
    def diagonal(equations: Any) -> np.ndarray:
        return equations.diagonal + equations.penalty_diag

    @staticmethod
    def is_finite(equations: Any) -> bool:
        return bool(np.isfinite(equations.gradient).all() and np.isfinite(equations.diagonal).all())

    def step(
        self, equations: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray, step: np.ndarray, trial: np.ndarray
    ) -> float:
        """As `CholeskySolver.step`, of a truncated solution."""
        self._factor(equations, mu, diagonal)
        step[:] = self._solve(equations, mu * diagonal, -equations.gradient, self._preconditioner.forcing)
        if not step.any():
            return math.inf if equations.gradient.any() else 0.0
        return _kernels.take_step(equations.gradient, mu, diagonal, theta, step, trial)

    def add_acceleration(
        self,
        equations: Any,
        mu: float,
        diagonal: np.ndarray,
        curvature: np.ndarray,
        largest: float,
        step: np.ndarray,
        trial: np.ndarray,
    ) -> None:
        """As `CholeskySolver.add_acceleration`, of a truncated solution."""
        forcing = self._preconditioner.acceleration_forcing
        acceleration = self._solve(equations, mu * diagonal, -curvature, forcing)
        _kernels.add_half(acceleration, diagonal, largest, step, trial)

    def _factor(self, equations: Any, mu: float, diagonal: np.ndarray) -> None:
        """The preconditioner for this damping."""
        if self._of is not equations:
            self._preconditioner.read(equations)
            self._of, self._mu = equations, math.nan
        if self._mu != mu:
            self._preconditioner.factor(equations, mu, diagonal)
            self._mu = mu

    def _solve(self, equations: Any, damping: np.ndarray, right: np.ndarray, forcing: float) -> np.ndarray:
        """x with (H + damping) x near `right`; zero where there is none. With `forcing` infinite, M^-1 right."""
        if math.isinf(forcing):
            x = right.copy()
            self._preconditioner.solve(x)
            return x
        x, residual = np.zeros_like(right), right
        direction, before, first, reduction, length = np.zeros_like(right), 1.0, 0.0, 0.0, 1.0
        for j in range(1, MAX_PRODUCTS + 1):
            z = residual.copy()
            self._preconditioner.solve(z)
            square = _kernels.dot(residual, z)
            first = first or square
            if not square > MIN_RESIDUAL**2 * first:  # NaN included
                break
            # What this iteration will bring, if it goes as far along its direction as the last one did.
            if j * 0.5 * length * square <= forcing * reduction:
                break
            direction = z + (square / before) * direction
            product = equations.times(direction) + damping * direction
            curvature = _kernels.dot(direction, product)
            if not curvature > 0.0:
                break
            length = square / curvature
            x += length * direction
            residual = residual - length * product
            reduction, before = reduction + 0.5 * length * square, square
        return x


class BlockFactors:
    """A preconditioner of diagonal blocks."""

    def __init__(self) -> None:
        self.forcing, self.acceleration_forcing = FORCING, ACCELERATION_FORCING
        self._blocks, self._grams = np.empty((0, 0)), np.empty(0)
        self._factors: np.ndarray | None = None

    def read(self, equations: Any) -> None:
        self._blocks, self._grams = equations.blocks, equations.block_grams()

    def factor(self, equations: Any, mu: float, diagonal: np.ndarray) -> None:
        if self._factors is None:
            self._factors = np.zeros_like(self._grams)
        added = equations.penalty_diag + mu * diagonal
        _kernels.factor_blocks(
            len(self._grams) * 20, _kernels.WHOLE, self._blocks, self._grams, equations.diagonal, added, BLOCK_RIDGE,
            self._n_slots, self._factors,
        )  # fmt: skip

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""
        _kernels.precondition(2 * len(self._grams), _kernels.WHOLE, self._blocks, self._factors, self._n_slots, z)

    @property
    def _n_slots(self) -> int:
        return min(_kernels.MAX_SLOTS, len(self._blocks))


class SampleFactor:
    """A preconditioner from a sample of the rows: its damped Gram matrix.

    Where there is a small sample of m residuals and it is enough, it is that one's, by its J and a factor of m rows. It
    is enough if its effective number of parameters, tr(K (I + K)^-1) with K = J M^-1 J', is at most m / 2: what few
    rows cannot tell apart, more rows might (for samples in proportion to it see Avron, Clarkson & Woodruff 2017,
    "Sharper bounds for regularized data fitting"). Else the larger sample is asked for its Gram matrix; and where that
    is all rows, conjugate gradients end after one product.
    """

    def __init__(self, equations: Any):
        self._room = None if equations.few is None else woodbury_buffers(equations.few)
        self._factor = factor_buffer(len(equations.gradient))
        self._by_few, self._damping = False, np.empty(0)
        self._few: np.ndarray | None = None
        self._gram: np.ndarray | None = None

    def read(self, equations: Any) -> None:
        self._few, self._gram = equations.few, equations.gram

    def factor(self, equations: Any, mu: float, diagonal: np.ndarray) -> None:
        # By the point and its damping alone: a fit that goes on in the middle of its trials takes the same way.
        self._by_few = self._few is not None and self._factor_few(equations, mu, diagonal)
        self.forcing, self.acceleration_forcing = (
            (SMALL_FORCING, SMALL_FORCING) if self._by_few else (SAMPLE_FORCING, SAMPLE_ACCELERATION_FORCING)
        )
        if self._by_few:
            return
        if self._gram is None:
            self._gram = equations.make_gram()
        if not _kernels.cholesky(self._gram, mu, diagonal, self._factor):
            # Rounding left none: as with blocks, the diagonal alone takes its place.
            self._factor[:] = 0.0
            np.fill_diagonal(self._factor, np.sqrt(equations.diagonal + equations.penalty_diag + mu * diagonal))

    def _factor_few(self, equations: Any, mu: float, diagonal: np.ndarray) -> bool:
        """By the small sample; False if it is not enough."""
        assert self._few is not None
        assert self._room is not None
        scaled, gram, L = self._room
        self._damping = np.maximum(equations.penalty_diag + mu * diagonal, DUAL_RIDGE * equations.diagonal.max())
        if not _kernels.dual_factor(self._few, self._damping, scaled, gram, L):
            return False
        n = len(self._few)
        V = inverse(L, n)
        return 2.0 * (n - float(np.einsum("ij,ij->", V, V))) <= n

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""
        if self._by_few:
            assert self._room is not None
            _kernels.dual_solve(self._few, self._damping, self._room[2], z)
        else:
            _kernels.cholesky_solve(self._factor, z)


def make_linear_solver(equations: Any) -> CholeskySolver | WoodburySolver | TruncatedCGSolver:
    """The one that such equations need, with working room of its own."""
    if hasattr(equations, "times"):
        return TruncatedCGSolver(equations)
    return WoodburySolver(equations) if hasattr(equations, "jacobian") else CholeskySolver(equations)
