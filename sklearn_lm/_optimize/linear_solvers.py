"""Solvers of the damped linear system of one iteration: (H + mu D) d = -g, H = J'J + S with the penalty's diagonal S.

`CholeskySolver` has the Gram matrix H and a Cholesky factor of n_parameters rows. `WoodburySolver` has J itself and a
factor of n_residuals rows; it serves problems with fewer residuals than parameters and finds the same step.
`TruncatedCGSolver` has products with H and no matrix; it approximates that step as closely as pays. A linearization
makes the solver that its form needs, see `Linearization.make_solver`.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .. import _kernels
from .cholesky import factor_buffer

if TYPE_CHECKING:
    from .linearization import GramLinearization, JacobianLinearization, OperatorLinearization

# A geodesic acceleration longer than this, relative to the step, is left out.
MAX_ACCELERATION = 0.75
# Conjugate gradients end when the norm of the residual, in that of the preconditioner, has fallen by this factor.
MIN_RESIDUAL = 1e-12
MAX_PRODUCTS = 1000


class DampedStep(NamedTuple):
    """Solution d of a damped system and the trial point that it leads to."""

    step: np.ndarray  # (n_parameters,), d
    trial: np.ndarray  # (n_parameters,), theta + d
    predicted_reduction: float  # of F by the quadratic model; infinite if there is no such step
    diagonal: np.ndarray  # (n_parameters,), of D


class LinearSolver(Protocol):
    """Solver of (H + mu D) d = -g, with buffers of its own that serve one linearization after the other."""

    def solve(self, point: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray) -> DampedStep:
        """Return the step from theta, with D = diag(diagonal) and `point` the linearization at theta."""

    def add_acceleration(self, point: Any, curvature: np.ndarray, damped: DampedStep) -> None:
        """Add a / 2 to the trial point of the last step, (H + mu D) a = -curvature, unless a is too long."""


class CholeskySolver:
    """Solver by a Cholesky factor of H + mu D."""

    def __init__(self, point: "GramLinearization"):
        self.factor = factor_buffer(len(point.gradient))

    def solve(self, point: "GramLinearization", mu: float, diagonal: np.ndarray, theta: np.ndarray) -> DampedStep:
        """See `LinearSolver.solve`."""
        step, trial = np.empty_like(theta), np.empty_like(theta)
        reduction = _kernels.damped_step(point.gram, point.gradient, mu, diagonal, self.factor, theta, step, trial)
        return DampedStep(step, trial, reduction, diagonal)

    def add_acceleration(self, point: "GramLinearization", curvature: np.ndarray, damped: DampedStep) -> None:
        """See `LinearSolver.add_acceleration`; `curvature` is J'r_vv and is overwritten."""
        _kernels.add_acceleration(self.factor, curvature, damped.diagonal, MAX_ACCELERATION, damped.step, damped.trial)


class WoodburySolver:
    """Solver by Woodbury's identity, with a Cholesky factor of I + J (S + mu D)^-1 J'."""

    def __init__(self, point: "JacobianLinearization"):
        self._scaled, self._gram, self._factor = woodbury_buffers(point.jacobian)
        self._damping = np.empty(0)

    def solve(self, point: "JacobianLinearization", mu: float, diagonal: np.ndarray, theta: np.ndarray) -> DampedStep:
        """See `LinearSolver.solve`."""
        step, trial = np.empty_like(theta), np.empty_like(theta)
        self._damping = point.penalty_diag + mu * diagonal
        reduction = _kernels.dual_step(
            point.jacobian, point.residual, point.penalty_diag, self._damping, mu, diagonal, self._scaled, self._gram,
            self._factor, point.gradient, theta, step, trial,
        )  # fmt: skip
        return DampedStep(step, trial, reduction, diagonal)

    def add_acceleration(self, point: "JacobianLinearization", curvature: np.ndarray, damped: DampedStep) -> None:
        """See `LinearSolver.add_acceleration`; `curvature` is r_vv, times root weights, and is overwritten."""
        _kernels.add_dual_acceleration(
            point.jacobian, self._damping, damped.diagonal, self._factor, curvature, MAX_ACCELERATION, *damped[:2]
        )


def woodbury_buffers(jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return buffers for `dual_factor`: J M^-1/2, its Gram matrix and the factor."""
    n, width = jacobian.shape
    n_padded = _kernels.n_padded(n)
    return np.zeros((n_padded, width)), np.zeros((n_padded, n_padded)), factor_buffer(n)


class Preconditioner(Protocol):
    """Approximation M of H + mu D that is cheap to solve with."""

    forcing: float  # conjugate gradients end when an iteration j brings less than this part of a j-th of the reduction
    acceleration_forcing: float  # the same for the geodesic acceleration; infinite: it is M^-1 times its right side

    def factor(self, linearization: Any, mu: float, diagonal: np.ndarray) -> None:
        """Prepare M for this linearization and damping."""

    def solve(self, z: np.ndarray) -> None:
        """Replace z by M^-1 z."""


class TruncatedCGSolver:
    """Solver by preconditioned conjugate gradients from zero (Hestenes & Stiefel 1952).

    Each iterate d minimises the quadratic model on the space searched so far, so that d'(H + mu D) d = -g'd, and its
    predicted reduction is given by the same formula as that of the whole step. The iteration is truncated by the rule
    of Nash & Sofer (1990), "Assessing a search direction within a truncated-Newton method", Operations Research
    Letters 9, eq. 5: with Q_j the reduction of the model after j iterations, at j (Q_j - Q_{j-1}) <= forcing Q_j.
    The rule depends on nothing but the point and its damping. A preconditioner near H + mu D
    predicts the reduction of an iteration, and one that is predicted to be too small is not made.
    """

    def __init__(self, point: "OperatorLinearization"):
        self._preconditioner = point.make_preconditioner()
        self._factored_for: OperatorLinearization | None = None  # and
        self._mu = math.nan

    def solve(self, point: "OperatorLinearization", mu: float, diagonal: np.ndarray, theta: np.ndarray) -> DampedStep:
        """See `LinearSolver.solve`; the step is a truncated solution."""
        if self._factored_for is not point or self._mu != mu:
            self._preconditioner.factor(point, mu, diagonal)
            self._factored_for, self._mu = point, mu
        step = self._iterate(point, mu * diagonal, -point.gradient, self._preconditioner.forcing)
        trial = theta.copy()
        if not step.any():
            return DampedStep(step, trial, math.inf if point.gradient.any() else 0.0, diagonal)
        return DampedStep(step, trial, _kernels.take_step(point.gradient, mu, diagonal, theta, step, trial), diagonal)

    def add_acceleration(self, point: "OperatorLinearization", curvature: np.ndarray, damped: DampedStep) -> None:
        """See `LinearSolver.add_acceleration`; a is a truncated solution."""
        forcing = self._preconditioner.acceleration_forcing
        acceleration = self._iterate(point, self._mu * damped.diagonal, -curvature, forcing)
        _kernels.add_half(acceleration, damped.diagonal, MAX_ACCELERATION, damped.step, damped.trial)

    def _iterate(
        self, point: "OperatorLinearization", damping: np.ndarray, right: np.ndarray, forcing: float
    ) -> np.ndarray:
        """Return x with (H + damping) x near `right`; zero if there is none. An infinite `forcing` gives M^-1 right."""
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
            # Predicted reduction of this iteration, if it goes as far along its direction as the last one did.
            if j * 0.5 * length * square <= forcing * reduction:
                break
            direction = z + (square / before) * direction
            product = point.times(direction) + damping * direction
            curvature = _kernels.dot(direction, product)
            if not curvature > 0.0:
                break
            length = square / curvature
            x += length * direction
            residual = residual - length * product
            reduction, before = reduction + 0.5 * length * square, square
        return x
