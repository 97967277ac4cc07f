"""Heteroscedastic noise: a correction of the predicted variance, fitted to leave-one-out errors.

The linearised posterior predicts the variance v(x) with one noise variance for all x. Leave-one-out predictions test
it: z_i^2 = (y_i - mean_{-i})^2 / v_{-i} should have the mean 1 for all x. The correction multiplies v(x) by

    exp(phi(x) b),   phi = [1, x, mean],

with standardised and clipped inputs. b minimises minus the log likelihood of the z, N(0, exp(phi b)), plus a ridge
penalty,

    1/2 sum_i w_i (phi_i b + z_i^2 exp(-phi_i b)) + n/8 b_0^2 + lambda/2 |b_1, b_2, ...|^2

(multiplicative heteroscedasticity: A. C. Harvey, Econometrica 44, 1976). lambda is chosen by cross-validation.
"""

from typing import NamedTuple

import numpy as np

from .._data.reductions import combined, weighted_gram, weighted_sum
from .._data.scaling import ArrayColumns, standard_scaling

# Penalties lambda, from strong to weak; the first allows a common factor only. A weaker one is chosen only if it gains
# more than MIN_GAIN nats.
PENALTIES = (np.inf, 300.0, 100.0, 30.0, 10.0)
MIN_GAIN = 0.5
N_FOLDS = 5
# Largest z^2, largest standardised input, and largest |phi b|: they bound the influence of one point, and the
# correction far from the data.
MAX_SQUARE, MAX_INPUT, MAX_LOGARITHM = 16.0, 3.0, 1.5
N_NEWTON = 50


class NoiseModel(NamedTuple):
    """Log-linear model of the factor by which the variance of one output is multiplied."""

    offset: np.ndarray  # (n_inputs + 1,), for the inputs and the mean
    scale: np.ndarray  # (n_inputs + 1,)
    coefficients: np.ndarray  # (n_inputs + 2,)

    def factor(self, X: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Return the factor for the variance at X, where the mean prediction is `mean`; (n_rows,)."""
        logarithm = combined(_features(X, mean, self.offset, self.scale), self.coefficients)
        return np.exp(np.clip(logarithm, -MAX_LOGARITHM, MAX_LOGARITHM))


def fit_noise(
    X: np.ndarray, mean: np.ndarray, z_squared: np.ndarray, weight: np.ndarray, fold: np.ndarray
) -> NoiseModel:
    """Fit the correction for one output.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_inputs)
    mean, z_squared : ndarray of shape (n_rows,)
        Leave-one-out predictions and their squared errors in units of the predicted variance.
    weight : ndarray of shape (n_rows,)
    fold : ndarray of int of shape (n_rows,)
        Fold of each row in the cross-validation, 0 to `N_FOLDS` - 1. An empty fold means too few rows for a choice,
        and the correction is a common factor.
    """
    columns = np.column_stack([X, mean])
    offset, scale = standard_scaling(ArrayColumns(columns, weight))
    phi = _features(X, mean, offset, scale)
    z_squared = np.minimum(z_squared, MAX_SQUARE)
    chosen, least = PENALTIES[0], np.inf
    for penalty in PENALTIES if len(np.unique(fold)) == N_FOLDS else ():
        score = 0.0
        for k in range(N_FOLDS):
            inside, outside = fold != k, fold == k
            b = fit_coefficients(phi[inside], z_squared[inside], weight[inside], penalty)
            logarithm = np.clip(combined(phi[outside], b), -MAX_LOGARITHM, MAX_LOGARITHM)
            score += 0.5 * float(weighted_sum(weight[outside], logarithm + z_squared[outside] * np.exp(-logarithm)))
        if score < least - MIN_GAIN:
            chosen, least = penalty, score
    return NoiseModel(offset, scale, fit_coefficients(phi, z_squared, weight, chosen))


def assign_folds(X: np.ndarray, Y: np.ndarray, n_folds: int) -> np.ndarray:
    """Return a fold for each row, 0 to n_folds - 1, for inputs and targets as the caller gave them.

    The distinct rows, in lexicographic order, are divided by one fixed permutation. Neither units nor repetitions nor
    the order of the rows play a part, as they would with hashes or row numbers; equal rows share a fold.
    """
    rank = np.unique(np.column_stack([X, Y]), axis=0, return_inverse=True)[1].ravel()
    return np.random.RandomState(0).permutation(rank.max() + 1)[rank] % n_folds


def fit_coefficients(phi: np.ndarray, z_squared: np.ndarray, weight: np.ndarray, penalty: float) -> np.ndarray:
    """Return b by Newton's method for a convex objective; steps are halved until the objective falls."""
    b = np.zeros(phi.shape[1])
    n_used = 1 if np.isinf(penalty) else len(b)
    phi = phi[:, :n_used]
    ridge = np.full(n_used, penalty)
    ridge[0] = weight.sum() / 4

    def objective(b: np.ndarray) -> float:
        eta = combined(phi, b)
        return 0.5 * float(weighted_sum(weight, eta + z_squared * np.exp(-eta)) + b @ (ridge * b))

    used, value = b[:n_used], objective(b[:n_used])
    for _ in range(N_NEWTON):
        expected = weight * z_squared * np.exp(-combined(phi, used))
        gradient = 0.5 * weighted_sum(weight - expected, phi) + ridge * used
        step = _solve(0.5 * weighted_gram(expected, phi) + np.diag(ridge), gradient)
        length = 1.0
        while length > 1e-6 and not objective(used - length * step) <= value:
            length /= 2
        used = used - length * step
        fallen, value = value - objective(used), objective(used)
        if fallen <= 1e-10 * abs(value):
            break
    b[:n_used] = used
    return b


def _solve(H: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(H, gradient)
    except np.linalg.LinAlgError:  # the ridge is lost to rounding beside very large weights
        return np.linalg.lstsq(H, gradient, rcond=None)[0]


def _features(X: np.ndarray, mean: np.ndarray, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return phi = [1, x, mean], standardised, with clipped inputs."""
    with np.errstate(over="ignore"):
        columns = (np.column_stack([X, mean]) - offset) / scale
    columns[:, :-1] = np.clip(columns[:, :-1], -MAX_INPUT, MAX_INPUT)
    return np.column_stack([np.ones(len(X)), columns])
