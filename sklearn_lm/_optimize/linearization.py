"""Linearizations: what one iteration of Levenberg-Marquardt knows of the objective at a point.

With residuals r (rows times root weights), their Jacobian J and the diagonal S of the penalty,

    F = 1/2 |r|^2 + 1/2 theta' S theta,      gradient g = J'r + S theta,      H = J'J + S.

Each class holds H in another form and offers the same methods, so no caller asks which form it has. Further forms, with
products with H in place of a matrix, are in `_network/matrix_free.py` and `_network/subsample.py`.
"""

import math
from typing import NamedTuple

import numpy as np

from .. import _kernels
from . import cholesky
from .linear_solvers import CholeskySolver, LinearSolver, Preconditioner, TruncatedCGSolver, WoodburySolver

EPS = float(np.finfo(np.float64).eps)


class Curvature(NamedTuple):
    """Summary of H for the evidence."""

    log_det: float  # log det H; infinite if H has no Cholesky factor
    gamma: np.ndarray  # (n_parameters,), 1 - s_j (H^-1)_jj: how far the data determine each parameter


class Linearization:
    """The contract between an objective and the optimizer, the evidence and the posterior."""

    __slots__ = ()
    cost: float  # F
    gradient: np.ndarray  # (n_parameters,), g
    squares: np.ndarray  # (n_outputs,), weighted sums of squared residuals, without the penalty
    is_direct = False  # whether H can be factored: only then there are `curvature` and `full_gram`
    is_passed = False  # whether only cost and squares are known

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H, or of what approximates H in a preconditioner."""
        raise NotImplementedError

    def is_finite(self) -> bool:
        """Return whether F, gradient and diagonal of H are finite."""
        return bool(np.isfinite(self.cost) and np.isfinite(self.gradient).all() and np.isfinite(self.diagonal()).all())

    def make_solver(self) -> LinearSolver:
        """Return a solver of (H + mu D) d = -g, for this and later linearizations of the same objective."""
        raise NotImplementedError

    def with_penalty(self, theta: np.ndarray, old: np.ndarray, new: np.ndarray) -> "Linearization":
        """Return the linearization at the same theta under another diagonal of the penalty; no row is read again."""
        raise NotImplementedError

    def under_penalty(self, theta: np.ndarray, old: np.ndarray, new: np.ndarray) -> tuple[float, np.ndarray]:
        """Return F and its gradient at the same theta under another diagonal of the penalty."""
        cost = 0.5 * float(self.squares.sum()) + 0.5 * float(np.dot(new, theta * theta))
        return cost, self.gradient + (new - old) * theta

    def curvature(self, penalty_diag: np.ndarray) -> Curvature:
        """Return log det H and gamma."""
        raise NotImplementedError

    def full_gram(self) -> np.ndarray:
        """Return H in its lower triangle."""
        raise NotImplementedError


class _GramFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    gram: np.ndarray  # (n_parameters, n_parameters), H; only the lower triangle is set
    squares: np.ndarray


class GramLinearization(_GramFields, Linearization):
    """Linearization with the Gram matrix."""

    is_direct = True

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H."""
        return self.gram.diagonal()

    def is_finite(self) -> bool:
        """Return whether F, gradient and H are finite."""
        return math.isfinite(self.cost) and _kernels.is_finite(self.gradient, self.gram)

    def make_solver(self) -> CholeskySolver:
        """Return a solver with a factor of n_parameters rows."""
        return CholeskySolver(self)

    def with_penalty(self, theta: np.ndarray, old: np.ndarray, new: np.ndarray) -> "GramLinearization":
        """Return the linearization at the same theta under another penalty: no row is read again."""
        gram = self.gram.copy()  # others may hold the old one
        gram[np.diag_indices(len(gram))] += new - old
        cost, gradient = self.under_penalty(theta, old, new)
        return self._replace(cost=cost, gradient=gradient, gram=gram)

    def curvature(self, penalty_diag: np.ndarray) -> Curvature:
        """Return log det H and gamma.

        Noise of next to no variance makes prior precisions vanish beside J'J by rounding: then, and only then, the
        diagonal grows by as much as rounding takes from it.
        """
        p = len(penalty_diag)
        for jitter in (0.0, p * EPS * float(self.gram.diagonal().max())):
            L = cholesky.factor(self.gram, jitter, np.ones(p))
            if L is not None:
                V = cholesky.inverse(L, p)
                diagonal = np.einsum("ij,ij->j", V, V)[:p]  # of H^-1 = V'V
                return Curvature(cholesky.log_determinant(L, p), 1.0 - (penalty_diag + jitter) * diagonal)
        return Curvature(np.inf, np.zeros(p))

    def full_gram(self) -> np.ndarray:
        """Return H in its lower triangle."""
        return self.gram


class _JacobianFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    jacobian: np.ndarray  # (n_residuals, n_parameters and zeros up to a multiple of `VECTOR`), times root weights
    residual: np.ndarray  # (n_residuals,), times root weights
    penalty_diag: np.ndarray  # (n_parameters,), S
    squares: np.ndarray


class JacobianLinearization(_JacobianFields, Linearization):
    """Linearization with J in place of the Gram matrix, for fewer residuals than parameters."""

    is_direct = True

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H, by NumPy's own loops: the same bits on any number of threads of BLAS."""
        squares = np.einsum("ij,ij->j", self.jacobian, self.jacobian)
        return squares[: len(self.penalty_diag)] + self.penalty_diag

    def make_solver(self) -> WoodburySolver:
        """Return a solver with a factor of n_residuals rows."""
        return WoodburySolver(self)

    def with_penalty(self, theta: np.ndarray, old: np.ndarray, new: np.ndarray) -> "JacobianLinearization":
        """Return the linearization at the same theta under another penalty."""
        cost, gradient = self.under_penalty(theta, old, new)
        return self._replace(cost=cost, gradient=gradient, penalty_diag=new)

    def curvature(self, penalty_diag: np.ndarray) -> Curvature:
        """Return log det H and gamma.

        With A = I + J S^-1 J' (Sylvester, Woodbury): det H = det A det S, and gamma_j = (J' A^-1 J)_jj / s_j.
        """
        n, p = len(self.jacobian), len(penalty_diag)
        scaled = np.zeros((_kernels.n_padded(n), p))
        scaled[:n] = self.jacobian[:, :p] / np.sqrt(penalty_diag)
        products = np.empty((_kernels.n_padded(n), _kernels.n_padded(n)))
        _kernels.gram_of(scaled, n, p, np.ones(n), products)
        L = cholesky.factor(products[:n], 0.0, np.ones(n))
        if L is None:  # no eigenvalue of A is below 1, but products may overflow, or lose the identity to rounding
            return Curvature(np.inf, np.zeros(p))
        V = cholesky.inverse(L, n)
        columns = np.zeros((_kernels.n_padded(p), V.shape[1]))
        columns[:p, :n] = scaled[:n].T
        half = np.zeros((len(columns), _kernels.n_padded(n)))
        _kernels.multiply_by_inverse_factor(V, n, columns, p, half)  # (V J)' for every parameter
        log_det = cholesky.log_determinant(L, n) + float(np.log(penalty_diag).sum())
        return Curvature(log_det, np.einsum("ji,ji->j", half, half)[:p])

    def full_gram(self) -> np.ndarray:
        """Return H in its lower triangle."""
        p = len(self.penalty_diag)
        lines = np.zeros((_kernels.n_padded(p), len(self.jacobian)))
        lines[:p] = self.jacobian[:, :p].T
        gram = np.empty((_kernels.n_padded(p), _kernels.n_padded(p)))
        _kernels.gram_of(lines, p, lines.shape[1], self.penalty_diag, gram)
        return gram[:p, :p]


class OperatorLinearization(Linearization):
    """Linearization with products with H in place of a matrix."""

    __slots__ = ()

    def times(self, v: np.ndarray) -> np.ndarray:
        """Return H v."""
        raise NotImplementedError

    def make_preconditioner(self) -> Preconditioner:
        """Return a preconditioner for this and later linearizations of the same objective."""
        raise NotImplementedError

    def make_solver(self) -> TruncatedCGSolver:
        """Return a solver by conjugate gradients."""
        return TruncatedCGSolver(self)


class _PassedFields(NamedTuple):
    cost: float
    squares: np.ndarray


class PassedPoint(_PassedFields, Linearization):
    """Record of a point that the iteration has left already: only cost and squares are known."""

    is_passed = True
