"""What the fit knows about its own uncertainty: the factor of the last normal equations, kept.

At the published weights, with J the Jacobian of all residuals (rows times root weights) and S the penalty's diagonal,

    H = J'J + S,        Cov(theta) = sigma^2 H^-1,        Var f(x) = sigma^2 J(x) H^-1 J(x)',

the linearised Laplace approximation (D. J. C. MacKay, "A practical Bayesian framework for backpropagation networks",
Neural Computation 4 (1992), eq. 3.6 and 4.3; for S = 0 the delta method of nonlinear regression, Seber & Wild 1989,
section 5.1). What is kept is V, the inverse of the Cholesky factor of H: V'V = H^-1, and J H^-1 J' = |V J'|^2.

The same factor gives the effective number of parameters and the leverages, and with them leave-one-out residuals.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from .. import _kernels
from .._data.out_of_core import SWEEP, Source, sweep
from .._data.rows import read_only
from .._network.topology import Network
from .._optimize import cholesky

EPS = float(np.finfo(np.float64).eps)
# The noise is estimated from at least this share of the residuals: a network that reproduces its data has no
# residuals left to estimate it from, and n - gamma would be nothing.
MIN_FREEDOM = 0.1


class Factor(NamedTuple):
    """H by the inverse of its Cholesky factor."""

    inverse_factor: np.ndarray  # V with zeros around it, as `variances` takes it
    n_effective: float  # gamma = tr(H^-1 J'J)
    ridge: np.ndarray  # that H has on its diagonal beside the penalty

    @property
    def rank(self) -> int:
        """Combinations of parameters that H = L L' holds more of than the ridge, as far as float64 can tell.

        H is scaled to a unit diagonal, so that units of parameters play no part; those that have nothing but the ridge
        on their diagonal are left out.
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


class Posterior:
    """The uncertainty of one fitted network, in scaled units; the factor is made when it is first asked for.

    Parameters
    ----------
    equations : GramLinearization or JacobianLinearization
        At the published weights.
    penalty_diag : ndarray of shape (n_parameters,)
        Of the penalty: S.
    weight : float
        Sum of the weights.
    noise_variance : ndarray of shape (n_outputs,), optional
        If it is known otherwise than from the squared residuals.
    """

    def __init__(
        self, equations: Any, penalty_diag: np.ndarray, weight: float, noise_variance: np.ndarray | None = None
    ):
        self._noise_variance = noise_variance
        self._equations, self._strength, self.weight = equations, penalty_diag, weight
        self.squares = equations.squares  # weighted sums of squared residuals, one per output
        self.largest: float | None = None  # leverage of a training row, once it was asked for
        self._factor: Factor | None = None
        self._lock = threading.Lock()

    def memory(self) -> "PosteriorSnapshot":
        """Plain data."""
        return PosteriorSnapshot(
            self._equations, self._strength, self.weight, self.squares, self._noise_variance, self._factor, self.largest
        )

    @classmethod
    def recall(cls, memory: "PosteriorSnapshot") -> "Posterior":
        posterior = cls(memory, memory.penalty_diag, memory.weight, memory.noise_variance)
        posterior._equations, posterior._factor, posterior.largest = memory.equations, memory.factor, memory.largest
        return posterior

    def __reduce__(self) -> tuple:
        return Posterior.recall, (self.memory(),)

    @property
    def factor(self) -> Factor:
        with self._lock:
            if self._factor is None:
                self._factor = make_factor(full_gram(self._equations, self._strength), self._strength)
                self._equations = None  # as large as the factor, and no longer needed
        return self._factor

    @property
    def n_effective(self) -> float:
        return self.factor.n_effective

    @property
    def degrees_of_freedom(self) -> float:
        """n - gamma, of each output; see `MIN_FREEDOM`."""
        return max(self.weight - self.n_effective / len(self.squares), MIN_FREEDOM * self.weight)

    @property
    def noise_variance(self) -> np.ndarray:
        """sigma^2 of each output: sum_i w_i r_i^2 / (n - gamma)."""
        if self._noise_variance is not None:
            return self._noise_variance
        return self.squares / self.degrees_of_freedom

    @np.errstate(over="ignore", invalid="ignore")  # as in `objective.predict`
    def at(
        self, X: np.ndarray | Source, x_scaling: np.ndarray, network: Network, theta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """f(x_i), (n_rows, n_outputs), and J_o(x_i) H^-1 J_q(x_i)', (n_rows, n_outputs, n_outputs)."""
        n_outputs = len(self.squares)
        f, products, begin = np.empty((len(X), n_outputs)), np.empty((len(X), n_outputs, n_outputs)), 0
        for block in sweep(X):
            _kernels.prediction_variances(
                len(block) * n_outputs * network.n_parameters**2 / 2, _kernels.WHOLE,
                read_only(block), x_scaling, theta, network.layout, self.factor.inverse_factor,
                _kernels.n_slots_for(len(block)), f[begin : begin + len(block)], products[begin : begin + len(block)],
            )  # fmt: skip
            begin += len(block)
        return f, products

    def whitened_rows(
        self, X: np.ndarray | Source, x_scaling: np.ndarray, network: Network, theta: np.ndarray
    ) -> np.ndarray:
        """V J_o(x_i)' for all rows and outputs, (n_rows, n_outputs, n_parameters): products of two are covariances."""
        n_outputs, p = len(self.squares), network.n_parameters
        J = np.empty((len(X) * n_outputs, p))
        _kernels.jacobian_rows(read_only(X[:]), np.ones(len(X)), x_scaling, theta, network.layout, J)
        return (J @ self.factor.inverse_factor[:p, :p].T).reshape(len(X), n_outputs, p)


class PosteriorSnapshot(NamedTuple):
    """What a `Posterior` is made of."""

    equations: Any
    penalty_diag: np.ndarray
    weight: float
    squares: np.ndarray
    noise_variance: np.ndarray | None
    factor: Factor | None
    largest: float | None


def full_gram(equations: Any, penalty_diag: np.ndarray) -> np.ndarray:
    """Lower triangle of H from either form of the normal equations."""
    if not hasattr(equations, "jacobian"):
        return equations.gram
    p = len(penalty_diag)
    lines = np.zeros((_kernels.n_padded(p), len(equations.jacobian)))
    lines[:p] = equations.jacobian[:, :p].T
    gram = np.empty((_kernels.n_padded(p), _kernels.n_padded(p)))
    _kernels.gram_of(lines, p, lines.shape[1], penalty_diag, gram)
    return gram[:p, :p]


def make_factor(gram: np.ndarray, penalty_diag: np.ndarray) -> Factor:
    """Factor of H from its lower triangle.

    Where some combination of parameters has no influence H is singular. A ridge of the size of its rounding errors,
    relative to each diagonal entry, makes the variance there large but finite; elsewhere it changes nothing that
    float64 can tell.
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
    """What the fit would say of each training row had it not seen it, in the target's own units."""

    mean: np.ndarray  # (n_rows, n_outputs)
    variance: np.ndarray  # (n_rows, n_outputs), of an observation there, its noise included


class RowsLeftOut(NamedTuple):
    """The same in two ways, which differ where weights are above 1."""

    whole: LeftOut  # all repetitions of a row together: the errors for rows that were never seen
    one: LeftOut  # one of them alone, so that a weight says of the noise what as many rows would


def leave_one_out(
    products: np.ndarray, residuals: np.ndarray, Y: np.ndarray, weight: np.ndarray, noise_variance: np.ndarray
) -> LeftOut:
    """From the leverages: exact for a linear network whose scaling is given, else of the linearised one.

    Let P_i = J_i H^-1 J_i' be the product of a row of which the weight w is left out. Then its residuals would be

        (I - w P_i)^-1 r_i    (PRESS; D. M. Allen, Technometrics 16 (1974) 125-127; of several outputs a matrix),

    and the variance of one observation there sigma^2 (I + P_i (I - w P_i)^-1), as H without the row is H - w J_i'J_i.

    Parameters
    ----------
    products : ndarray of shape (n_rows, n_outputs, n_outputs)
        From `Posterior.at`.
    residuals, Y : ndarray of shape (n_rows, n_outputs)
        y - f and y, scaled.
    weight : ndarray of shape (n_rows,)
        What is left out: the weight of the row, or of one of its repetitions.
    noise_variance : ndarray of shape (n_outputs,)
    """
    # Rows that are fitted whatever they say have a leverage of 1: there rounding must not turn the sign.
    if products.shape[1] == 1:
        product = products[:, :, 0]
        rest = np.maximum(1.0 - weight[:, None] * product, EPS)
        left_out, excess = residuals / rest, product / rest
    else:
        left_out, excess = np.empty_like(residuals), np.empty_like(residuals)
        for begin in range(0, len(products), SWEEP):
            part = slice(begin, begin + SWEEP)
            values, vectors = np.linalg.eigh(products[part])
            rest = np.maximum(1.0 - weight[part, None] * values, EPS)
            left_out[part] = np.einsum("ioe,ie,iqe,iq->io", vectors, 1 / rest, vectors, residuals[part], optimize=True)
            excess[part] = np.einsum("ioe,ie->io", vectors**2, values / rest)
    return LeftOut(Y - left_out, noise_variance * (1.0 + excess))
