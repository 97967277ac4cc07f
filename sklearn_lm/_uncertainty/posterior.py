"""Posterior distribution of the parameters: the Cholesky factor of the last normal equations.

At the fitted weights, with J the Jacobian of all residuals (rows times root weights) and S the penalty's diagonal,

    H = J'J + S,        Cov(theta) = sigma^2 H^-1,        Var f(x) = sigma^2 J(x) H^-1 J(x)',

the linearised Laplace approximation (D. J. C. MacKay, "A practical Bayesian framework for backpropagation networks",
Neural Computation 4 (1992), eq. 3.6 and 4.3; for S = 0 the delta method of nonlinear regression, Seber & Wild 1989,
section 5.1). The model keeps V, the inverse of the Cholesky factor of H: V'V = H^-1, and J H^-1 J' = |V J'|^2.

The same factor gives the effective number of parameters and the leverages, and with them leave-one-out residuals.

With an estimated penalty, the noise variance is itself uncertain, and predictions follow Student's distribution. A
precision estimated for group g, of gamma_g effective parameters, costs gamma_g / (1 + gamma_g) degrees of freedom: one
if the data determine the group, none if the precision switches it off:

    nu = n - gamma - sum_g gamma_g / (1 + gamma_g),        variance = sigma^2 (1 + J H^-1 J') (n - gamma) / (nu - 2).

Without the last sum, 95 % intervals covered .86 on sets of 6 to 20 rows. (Leave-one-out errors do not show it: given
the penalty, they agree with their variances.)
"""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.linalg import solve_triangular

from .. import _kernels
from .._data.out_of_core import SWEEP, Source, sweep
from .._data.reductions import squares_of_columns
from .._data.rows import read_only
from .._network.penalty import Groups
from .._network.topology import Network
from .._optimize import cholesky
from .._optimize.linearization import Linearization

EPS = float(np.finfo(np.float64).eps)
# The noise is estimated from at least this share of the residuals: a network that reproduces its data leaves no
# residuals to estimate it from, and n - gamma would be zero.
MIN_FREEDOM = 0.1
# Smallest degrees of freedom of Student's distribution for quantiles, and for its variance, which is infinite up to 2.
MIN_STUDENT, MIN_FOR_VARIANCE = 1.5, 2.5


class Factor(NamedTuple):
    """H, represented by the inverse of its Cholesky factor."""

    inverse_factor: np.ndarray  # V, padded with zeros for the kernel `prediction_variances`
    n_effective: float  # gamma = tr(H^-1 J'J)
    ridge: np.ndarray  # added to the diagonal of H beside the penalty

    @property
    def rank(self) -> int:
        """Number of combinations of parameters whose part of H = L L' exceeds the ridge, to the precision of float64.

        H is scaled to a unit diagonal, so that the units of the parameters do not matter. Parameters with only the
        ridge on their diagonal are left out.
        """
        p = len(self.ridge)
        L = solve_triangular(self.inverse_factor[:p, :p], np.eye(p), lower=True)
        diagonal = (L**2).sum(axis=1)
        is_used = diagonal > 2 * self.ridge
        if not is_used.any():
            return 0
        scaled = L[is_used] / np.sqrt(diagonal[is_used])[:, None]
        level = float((self.ridge / diagonal)[is_used].max())
        return int((np.linalg.svd(scaled, compute_uv=False) ** 2 > 3 * level).sum())


class PosteriorState(NamedTuple):
    """State of a `Posterior` as plain data."""

    linearization: Linearization | None  # at the fitted weights, a direct one; not kept once there is the factor
    penalty_diag: np.ndarray  # (n_parameters,), diagonal of S
    weight: float  # sum of the weights; infinite if the noise is known
    squares: np.ndarray  # (n_outputs,), weighted sums of squared residuals
    noise_variance: np.ndarray | None  # (n_outputs,), if it is not estimated from the squared residuals
    factor: Factor | None = None
    max_leverage: float | None = None  # of a training row, computed at its first use
    groups: np.ndarray | None = None  # (n_parameters,), number of the estimated precision of each, -1 for none


class Posterior:
    """Posterior of one fitted network, in scaled units. The factor is computed at its first use."""

    def __init__(self, state: PosteriorState):
        self.state = state

    @classmethod
    def from_linearization(
        cls,
        linearization: Linearization,
        penalty_diag: np.ndarray,
        weight: float,
        noise_variance: np.ndarray | None = None,
        groups: Groups | None = None,
    ) -> "Posterior":
        """Return the posterior at the fitted weights; see `PosteriorState`."""
        label = None if groups is None else np.where(groups.label < len(groups.size), groups.label, -1)
        squares = linearization.squares
        return cls(PosteriorState(linearization, penalty_diag, weight, squares, noise_variance, groups=label))

    def __reduce__(self) -> tuple:
        return Posterior, (self.state,)

    @property
    def factor(self) -> Factor:
        """Factor of H."""
        # No lock, which a forked child could inherit locked: two threads may compute the same bits.
        state = self.state
        if state.factor is None:
            assert state.linearization is not None
            factor = make_factor(state.linearization.full_gram(), state.penalty_diag)
            self.state = state = state._replace(factor=factor, linearization=None)
        assert state.factor is not None
        return state.factor

    @property
    def n_effective(self) -> float:
        """gamma, the effective number of parameters."""
        return self.factor.n_effective

    @property
    def degrees_of_freedom(self) -> float:
        """n - gamma for each output, bounded by `MIN_FREEDOM`."""
        weight = self.state.weight
        return max(weight - self.n_effective / len(self.state.squares), MIN_FREEDOM * weight)

    @property
    def noise_variance(self) -> np.ndarray:
        """sigma^2 of each output, sum_i w_i r_i^2 / (n - gamma)."""
        known = self.state.noise_variance
        return self.state.squares / self.degrees_of_freedom if known is None else known

    @property
    def student_freedom(self) -> float:
        """nu, the degrees of freedom of predictions (see the top), bounded; n - gamma with a given penalty.

        Precisions cost at most one degree below the bound by `MIN_FREEDOM`. (No cost: intervals of 25 rows of 40
        inputs covered .79. More: standard deviations of data without noise become too large.)
        """
        groups, freedom = self.state.groups, self.degrees_of_freedom
        if groups is None:
            return freedom
        gamma = 1 - self.state.penalty_diag * squares_of_columns(self.factor.inverse_factor[:, : len(groups)])
        gamma = np.clip(np.bincount(groups[groups >= 0], gamma[groups >= 0]), 0, None)
        n_precisions = float((gamma / (1 + gamma)).sum()) / len(self.state.squares)
        return max(freedom - n_precisions, MIN_FREEDOM * self.state.weight - 1.0, MIN_STUDENT)

    @property
    def student_variance(self) -> float:
        """Variance of Student's distribution in units of sigma^2; 1 with a given penalty, as in the delta method."""
        if self.state.groups is None or np.isinf(self.state.weight):
            return 1.0
        nu = self.student_freedom
        return max(self.degrees_of_freedom / nu, 1.0) * _student_variance(nu)

    def quantile(self, probability: float) -> float:
        """Return a quantile of Student's distribution in units of the standard deviation of a prediction."""
        nu = self.student_freedom
        root = 1.0 if self.state.groups is None else np.sqrt(_student_variance(nu))
        return float(stats.t.ppf(probability, nu) / root)

    @np.errstate(over="ignore", invalid="ignore")  # as in `objective.predict`
    def linearized(
        self, X: np.ndarray | Source, x_scaling: np.ndarray, network: Network, theta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return f(x_i), (n_rows, n_outputs), and J_o(x_i) H^-1 J_q(x_i)', (n_rows, n_outputs, n_outputs)."""
        n_outputs = len(self.state.squares)
        f, covariances, begin = np.empty((len(X), n_outputs)), np.empty((len(X), n_outputs, n_outputs)), 0
        model, multiply_adds = _kernels.NetworkArrays(theta, network.layout), n_outputs * network.n_parameters**2 / 2
        for block in sweep(X):
            part = slice(begin, begin + len(block))
            _kernels.prediction_variances(
                _kernels.work_on_rows(len(block), _kernels.n_slots_for(len(block)), multiply_adds),
                read_only(block), x_scaling, model, self.factor.inverse_factor, f[part], covariances[part],
            )  # fmt: skip
            begin += len(block)
        return f, covariances

    def solved_rows(
        self, X: np.ndarray | Source, x_scaling: np.ndarray, network: Network, theta: np.ndarray
    ) -> np.ndarray:
        """Return V J_o(x_i)' for all rows and outputs, (n_rows, n_outputs, n_parameters).

        The scalar product of two of them is J_o(x_i) H^-1 J_q(x_j)'.
        """
        n_outputs, p = len(self.state.squares), network.n_parameters
        J = np.empty((len(X) * n_outputs, p))
        _kernels.jacobian_rows(
            read_only(X[:]), np.ones(len(X)), x_scaling, _kernels.NetworkArrays(theta, network.layout), J
        )
        return (J @ self.factor.inverse_factor[:p, :p].T).reshape(len(X), n_outputs, p)


def _student_variance(nu: float) -> float:
    """Return nu / (nu - 2)."""
    return 1 / (1 - 2 / max(nu, MIN_FOR_VARIANCE))  # 1 for infinite nu, which known noise has


def make_factor(gram: np.ndarray, penalty_diag: np.ndarray) -> Factor:
    """Return the factor of H from its lower triangle.

    H is singular if a combination of parameters has no influence. A ridge of the size of the rounding errors, relative
    to each diagonal entry, makes the variance of that combination large but finite. For all others the ridge is below
    the resolution of float64.
    """
    p = len(gram)
    diagonal = gram.diagonal()
    ridge = p * EPS * (diagonal + EPS * (diagonal.max(initial=0.0) or 1.0))
    while (L := cholesky.factor(gram, 1.0, ridge)) is None:
        ridge *= 10
    inverse_factor = cholesky.inverse(L, p)
    # tr(H^-1 J'J) = p - tr(H^-1 (S + ridge)), and H^-1 = V'V has the columns' sums of squares on its diagonal.
    n_effective = p - float((penalty_diag + ridge) @ (inverse_factor**2).sum(axis=0)[:p])
    return Factor(inverse_factor, min(max(n_effective, 0.0), float(p)), ridge)


class LeftOut(NamedTuple):
    """Predictions for training rows as if each had been left out of the fit, in the target's own units."""

    mean: np.ndarray  # (n_rows, n_outputs)
    variance: np.ndarray  # (n_rows, n_outputs), of a new observation, its noise included


class RowsLeftOut(NamedTuple):
    """Leave-one-out predictions by two definitions, which differ for rows with a weight above 1."""

    whole: LeftOut  # all repetitions of a row are left out together: the error for new rows
    # For the noise model one repetition is left out, so that an integer weight equals repeated rows. If weights are
    # precisions, the row is left out, and its variance is that of its own weight.
    one: LeftOut


def leave_one_out(
    covariances: np.ndarray, residuals: np.ndarray, Y: np.ndarray, weight: np.ndarray, noise_variance: np.ndarray
) -> LeftOut:
    """Return leave-one-out predictions from the leverages.

    They are exact for a linear network with given scalings, and those of the linearised network otherwise. Let
    P_i = J_i H^-1 J_i', and let the weight w of row i be left out. Its residuals become

        (I - w P_i)^-1 r_i    (PRESS; D. M. Allen, Technometrics 16 (1974) 125-127; a matrix for several outputs),

    and the variance of one observation there is sigma^2 (I + P_i (I - w P_i)^-1): without the row, H is
    H - w J_i'J_i.

    Parameters
    ----------
    covariances : ndarray of shape (n_rows, n_outputs, n_outputs)
        P_i, from `Posterior.linearized`.
    residuals, Y : ndarray of shape (n_rows, n_outputs)
        y - f and y, scaled.
    weight : ndarray of shape (n_rows,)
        Weight that is left out: that of the row, or of one of its repetitions.
    noise_variance : ndarray of shape (n_outputs,)
    """
    # A row that the fit reproduces whatever its target has a leverage of 1: rounding must not turn the sign of 1 - w P.
    if covariances.shape[1] == 1:
        leverage = covariances[:, :, 0]
        rest = np.maximum(1.0 - weight[:, None] * leverage, EPS)
        left_out, excess = residuals / rest, leverage / rest
    else:
        left_out, excess = np.empty_like(residuals), np.empty_like(residuals)
        for begin in range(0, len(covariances), SWEEP):
            part = slice(begin, begin + SWEEP)
            values, vectors = np.linalg.eigh(covariances[part])
            rest = np.maximum(1.0 - weight[part, None] * values, EPS)
            left_out[part] = np.einsum("ioe,ie,iqe,iq->io", vectors, 1 / rest, vectors, residuals[part], optimize=True)
            excess[part] = np.einsum("ioe,ie->io", vectors**2, values / rest)
    return LeftOut(Y - left_out, noise_variance * (1.0 + excess))
