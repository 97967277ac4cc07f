"""The damped step from a Gram matrix or, by Woodbury's identity, from a Jacobian with few rows."""

import math

import numpy as np

from .compile import jit
from .layout import START
from .linalg import cholesky, cholesky_solve, dot_of_first
from .tiles import add_gram


@jit(inline="always")
def damped_step(gram, gradient, mu, diagonal, L, theta, step, trial):
    """Compute step = -(gram + mu D)^-1 gradient and trial = theta + step, with L left as the factor.

    Returns the predicted reduction of F, by the quadratic model -g'd - 1/2 d'Hd = 1/2 d'(mu D d - g); infinity if there
    is no factor or no finite step.
    """
    if not cholesky(gram, mu, diagonal, L):
        return math.inf
    for j in range(step.size):
        step[j] = -gradient[j]
    cholesky_solve(L, step)
    return take_step(gradient, mu, diagonal, theta, step, trial)


@jit(inline="always")
def take_step(gradient, mu, diagonal, theta, step, trial):
    """Compute trial = theta + step; return the predicted reduction, see `damped_step`."""
    predicted_reduction = 0.0
    for j in range(step.size):
        predicted_reduction += 0.5 * step[j] * (mu * diagonal[j] * step[j] - gradient[j])
        trial[j] = theta[j] + step[j]
    return predicted_reduction if math.isfinite(predicted_reduction) else math.inf


@jit()
def dual_factor(jacobian, damping, scaled, gram, L):
    """Compute L, the factor of I + J M^-1 J' with M = diag(damping); return False if there is none.

    `scaled` gets J M^-1/2. Like those of J its rows have a multiple of VECTOR columns, zeros at their ends, and `gram`
    and `scaled` have rows for whole tiles.
    """
    n, root = jacobian.shape[0], np.empty(damping.size)
    for j in range(damping.size):
        root[j] = 1.0 / math.sqrt(damping[j])
    for i in range(n):
        for j in range(damping.size):
            scaled[i, j] = jacobian[i, j] * root[j]
    gram[:] = 0.0
    add_gram(scaled, START, n, scaled.shape[1], gram)
    return cholesky(gram, 1.0, np.ones(n), L)


@jit()
def dual_solve(jacobian, damping, L, x):
    """Replace x by (J'J + M)^-1 x, with L as `dual_factor` left it: M^-1 x - M^-1 J' (I + J M^-1 J')^-1 J M^-1 x."""
    for j in range(x.size):
        x[j] /= damping[j]
    right = np.empty(jacobian.shape[0])
    for i in range(right.size):
        right[i] = dot_of_first(jacobian[i], x, x.size)
    _subtract_dual(jacobian, damping, L, right, x)


@jit()
def dual_step(jacobian, residual, penalty_diag, damping, mu, diagonal, scaled, gram, L, gradient, theta, step, trial):
    """Compute what `damped_step` does, by a system of as many equations as there are residuals.

    With M = S + mu D = diag(damping), what is not J'J, and g = J'r + S theta, the step -(J'J + M)^-1 g is

        -z - M^-1 J' (I + J M^-1 J')^-1 (r - J z),   z = M^-1 S theta

    (Woodbury's identity, written so that nothing large cancels as mu falls).
    """
    if not dual_factor(jacobian, damping, scaled, gram, L):
        return math.inf
    for j in range(theta.size):
        step[j] = -penalty_diag[j] * theta[j] / damping[j]
    right = np.empty(residual.size)
    for i in range(residual.size):
        right[i] = residual[i] + dot_of_first(jacobian[i], step, theta.size)
    _subtract_dual(jacobian, damping, L, right, step)
    return take_step(gradient, mu, diagonal, theta, step, trial)


@jit()
def _subtract_dual(jacobian, damping, L, right, x):
    """Subtract M^-1 J' (I + J M^-1 J')^-1 right from x, with L of `dual_factor`; `right` is overwritten."""
    cholesky_solve(L, right)
    product = np.zeros(x.size)
    for i in range(right.size):
        for j in range(x.size):
            product[j] += jacobian[i, j] * right[i]
    for j in range(x.size):
        x[j] -= product[j] / damping[j]


@jit()
def add_dual_acceleration(jacobian, damping, diagonal, L, curvature, largest, step, trial):
    """Add what `add_acceleration` does, after `dual_step`: the gradient of `curvature` is J' curvature."""
    acceleration = np.zeros(step.size)
    _subtract_dual(jacobian, damping, L, curvature, acceleration)
    add_half(acceleration, diagonal, largest, step, trial)


@jit(inline="always")
def add_acceleration(L, curvature, diagonal, largest, step, trial):
    """Add a / 2 to trial, a = -(gram + mu D)^-1 curvature, if |a| <= largest |step| in the norm of D."""
    for j in range(step.size):
        curvature[j] = -curvature[j]
    cholesky_solve(L, curvature)
    add_half(curvature, diagonal, largest, step, trial)


@jit(inline="always")
def add_half(acceleration, diagonal, largest, step, trial):
    """Add acceleration / 2 to trial, unless it is too long, see `add_acceleration`."""
    second, first = 0.0, 0.0
    for j in range(step.size):
        second += diagonal[j] * acceleration[j] * acceleration[j]
        first += diagonal[j] * step[j] * step[j]
    if second <= largest * largest * first:  # False for a NaN
        for j in range(step.size):
            trial[j] += 0.5 * acceleration[j]
