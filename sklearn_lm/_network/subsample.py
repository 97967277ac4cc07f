"""Linearization of networks with many rows and many parameters: a subsample of the rows makes the matrix.

The Gram matrix of all rows takes n p^2 / 2 multiply-adds, a product of it with a vector only 5 n p, see
`matrix_free.py`. Conjugate gradients find the step by a few of these if the rows of a subsample make the
preconditioner: what all rows span, those of the subsample span, and whatever the conditioning of H is, H and the H of
the subsample differ by factors near 1 (Avron, Maymounkov & Toledo 2010, "Blendenpik", SIAM Journal on Scientific
Computing 32, for least squares; Roosta-Khorasani & Mahoney 2019, "Sub-sampled Newton methods", Mathematical Programming
174). Cost and gradient are those of all rows: the subsample changes the number of products and not the solution.

With one or two inputs the rows of J are points of a curve or a surface, and few directions of it rise above the
damping: at the end of a fit of 1-20-20-10-1 some 90 of 681. A small subsample, of fewer residuals than parameters,
spans them, and is factored by Woodbury's identity. Its own effective number of parameters shows at every step whether
it does. (To the errors of 60 iterations it takes a third to a fifth of the multiply-adds of the Gram matrix of all
rows, with 681 and 701 parameters and one input.)
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._data.out_of_core import Source, sweep
from .._data.reductions import combined, squares_of_columns, weighted_sum
from .._data.rows import Rows
from .._optimize.cholesky import factor_buffer, inverse
from .._optimize.linear_solvers import woodbury_buffers
from .._optimize.linearization import OperatorLinearization
from .cross_products import Workspace
from .matrix_free import gram_times

# Residuals of the large subsample for each parameter: at least so many, and up to twice as many if that is no more than
# this share of all. Two products solve a system then.
SAMPLED = 3
SHARE = 1 / 8
# Residuals of the small subsample for each parameter; it is tried with at most so many inputs and at least so many
# parameters. (With 286 it was no gain; with two inputs and 601 to 616, none to errors below 1e-4 of the first one.)
SMALL_SHARE = 1 / 3
MAX_INPUTS = 2
MIN_PARAMETERS = 400
# Time of an iteration, in units of one with the Gram matrix of all rows: the subsample's share of the rows, and
# PRODUCTS / p. (Measured with 140 to 300 parameters: 85 / p to 150 / p, less with two hidden layers than with one.)
PRODUCTS = 110
# The subsample is used up to this time if there could be a matrix of all rows: steps are to about one digit then, and
# near a minimum there are more of them to the same error. (At 0.65, with 211 parameters, errors down to a millionth of
# the variance are reached in 0.6 of the time. At 0.87, with 141, in 0.85 to 1.02 of it.)
WORTHWHILE = 0.65
# The same if every third iteration needs that matrix in any case: fits with an alpha of their own. (At 0.2, with 701
# parameters, they take 0.45 of the time to the same error on other rows.)
WORTHWHILE_BETWEEN = 0.2
# A large subsample makes a digit cost a few products. With 0.02 there are fewer iterations to small errors and no less
# time (5-30-1 and 5-100-1, 10,000 rows; 8-40-15-1, 20,000).
SAMPLE_FORCING = 0.05
# The acceleration gets no product then, but the preconditioner's own solution. (Products for it, too, take a tenth to a
# fifth more time to any error.)
SAMPLE_ACCELERATION_FORCING = math.inf
# Both, for a small subsample, where products are a small part of an iteration. (1-20-20-10-1: to 1e-10 in 23
# iterations, with 0.05 in more than 40.)
SMALL_FORCING = 1e-3
# Least damping of a preconditioner from a sample's J, relative to the largest diagonal entry of its J'J: with less,
# rounding errors of Woodbury's identity would make it indefinite.
DUAL_RIDGE = 1e-13
# Relative to its mean square, a variance that is a rounding error.
CONSTANT = 1e-12


class _SubsampledFields(NamedTuple):
    cost: float
    gradient: np.ndarray
    gram: np.ndarray | None  # (n_parameters, n_parameters), H of the subsample in its lower triangle; or, in its place,
    small_jacobian: np.ndarray | None  # J of the small subsample, as in `JacobianLinearization`
    squares: np.ndarray
    theta: np.ndarray
    rows: Rows
    penalty_diag: np.ndarray  # (n_parameters,), S
    workspace: Workspace
    large_gram: Callable[[Rows, np.ndarray, np.ndarray], np.ndarray]  # H of the large subsample


class SubsampledLinearization(_SubsampledFields, OperatorLinearization):
    """Linearization with products with H, preconditioned by the Gram matrix or Jacobian of a subsample of the rows."""

    @property
    def data_diagonal(self) -> np.ndarray:
        """Diagonal of the subsample's J'J."""
        if self.small_jacobian is not None:
            return squares_of_columns(self.small_jacobian)[: len(self.penalty_diag)]
        assert self.gram is not None
        return self.gram.diagonal() - self.penalty_diag

    def diagonal(self) -> np.ndarray:
        """Return the diagonal of H as the subsample has it."""
        return self.data_diagonal + self.penalty_diag

    def make_preconditioner(self) -> "SubsamplePreconditioner":
        """Return a preconditioner made of the subsample."""
        return SubsamplePreconditioner(self)

    def with_penalty(self, theta: np.ndarray, old: np.ndarray, new: np.ndarray) -> "SubsampledLinearization":
        """Return the linearization at the same theta under another penalty: no row is read again."""
        cost, gradient = self.under_penalty(theta, old, new)
        gram = None if self.gram is None else self.gram.copy()  # others may hold the old one
        if gram is not None:
            gram[np.diag_indices(len(gram))] += new - old
        return self._replace(cost=cost, gradient=gradient, penalty_diag=new, gram=gram)

    def times(self, v: np.ndarray) -> np.ndarray:
        """Return H v, with H = J'W J + S of all rows."""
        return gram_times(self.workspace, self.rows, self.theta, v) + self.penalty_diag * v

    def make_gram(self) -> np.ndarray:
        """Return H of the large subsample, also if the small one took its place."""
        return self.large_gram(self.rows, self.penalty_diag, self.theta) if self.gram is None else self.gram


class SubsamplePreconditioner:
    """Damped Gram matrix of a subsample of the rows.

    A small subsample of m residuals enters by its J and a factor of m rows, if it is large enough: if its effective
    number of parameters, tr(K (I + K)^-1) with K = J M^-1 J', is at most m / 2. More rows might
    separate directions that these do not (for samples in proportion to that number see Avron, Clarkson & Woodruff 2017,
    "Sharper bounds for regularized data fitting"). Else the large subsample gives its Gram matrix; if that is all rows,
    conjugate gradients end after one product.
    """

    def __init__(self, linearization: SubsampledLinearization):
        """Make buffers for both subsamples."""
        small = linearization.small_jacobian
        self._buffers = None if small is None else woodbury_buffers(small)
        self._factor = factor_buffer(len(linearization.gradient))
        self._jacobian: np.ndarray | None = None  # of the small subsample, if M is made of it
        self._damping = np.empty(0)
        self._point: SubsampledLinearization | None = None
        self._gram: np.ndarray | None = None  # of the point

    def factor(self, point: SubsampledLinearization, mu: float, diagonal: np.ndarray) -> None:
        """Choose the subsample and factor, by the point and its damping alone.

        So a fit that is restored in the middle of its trials makes the same steps.
        """
        if self._point is not point:
            self._point, self._gram = point, point.gram
        self._jacobian = self._small_factor(point, mu, diagonal)
        if self._jacobian is not None:
            self.forcing = self.acceleration_forcing = SMALL_FORCING
            return
        self.forcing, self.acceleration_forcing = SAMPLE_FORCING, SAMPLE_ACCELERATION_FORCING
        if self._gram is None:
            self._gram = point.make_gram()
        if not _kernels.cholesky(self._gram, mu, diagonal, self._factor):
            # Rounding left no factor: as with blocks, the diagonal alone takes its place.
            self._factor[:] = 0.0
            np.fill_diagonal(self._factor, np.sqrt(point.diagonal() + mu * diagonal))

    def _small_factor(self, point: SubsampledLinearization, mu: float, diagonal: np.ndarray) -> np.ndarray | None:
        """Factor by the small subsample; return its Jacobian, or None if it is too small or there is none."""
        jacobian = point.small_jacobian
        if jacobian is None or self._buffers is None:
            return None
        scaled, gram, L = self._buffers
        least = DUAL_RIDGE * point.data_diagonal.max()
        self._damping = np.maximum(point.penalty_diag + mu * diagonal, least)
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


def n_large_subsample(n_rows: int, n_outputs: int, n_parameters: int) -> int:
    """Return the number of rows of the large subsample; 0 if they would be no small part of all."""
    n_residuals = min(max(SAMPLED * n_parameters, SHARE * n_rows * n_outputs), 2 * SAMPLED * n_parameters)
    n = math.ceil(n_residuals / n_outputs)
    return n if 2 * n <= n_rows else 0


def n_small_subsample(n_rows: int, n_outputs: int, n_parameters: int, n_inputs: int) -> int:
    """Return the number of rows of the small subsample; 0 if none is tried."""
    is_tried = n_inputs <= MAX_INPUTS and MIN_PARAMETERS <= n_parameters <= n_rows * n_outputs
    return math.ceil(SMALL_SHARE * n_parameters / n_outputs) if is_tried else 0


def is_quicker(n_rows: int, n_outputs: int, n_parameters: int, is_between: bool = False) -> bool:
    """Return whether a step takes clearly less time than the Gram matrix of all rows.

    `is_between`: every third iteration has that matrix in any case.
    """
    n, worthwhile = n_large_subsample(n_rows, n_outputs, n_parameters), WORTHWHILE_BETWEEN if is_between else WORTHWHILE
    return n > 0 and n / n_rows + PRODUCTS / n_parameters <= worthwhile


class Sample(NamedTuple):
    """Representative rows: sum_i w_i h_i is near the sum of (stretch_k^2 w_row) h_row over rows = rows[k]."""

    rows: np.ndarray  # ascending numbers, each once
    stretch: np.ndarray  # of their root weights


def draw_sample(rows: Rows, x_scaling: np.ndarray, n: int) -> Sample:
    """Return n draws of rows by systematic sampling: one from each n-th of the sum of their measures.

    So no region of sorted rows is left out, and a row of weight two is drawn as two equal neighbours of weight one are.
    Half of the measure of a row is its weight. The other half is its share in the spread of the columns, so that a
    column that is not zero in a few rows only is in the sample, too (Drineas, Mahoney & Muthukrishnan 2006, "Sampling
    algorithms for l2 regression and applications": in proportion to leverages, here those of the columns one by one).
    """
    weight = rows.root_weight**2
    measure = weight * 0.5 * (1.0 + _spread_shares(rows.X, x_scaling, weight))
    cumulated = np.cumsum(measure)
    width = cumulated[-1] / n
    draws = (np.arange(n) + np.random.default_rng(0).uniform(size=n)) * width
    numbers = np.minimum(np.searchsorted(cumulated, draws, "right"), len(cumulated) - 1)
    chosen, times = np.unique(numbers, return_counts=True)
    return Sample(chosen, np.sqrt(times * width / measure[chosen]))


def _spread_shares(X: np.ndarray | Source, x_scaling: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return for each row the mean over the columns of (x - mean)^2 / variance; its weighted mean is 1."""
    (offset, scale), total, begin = x_scaling, weight.sum(), 0
    mean, square = np.zeros_like(offset), np.zeros_like(offset)
    for part in sweep(X):
        share, Z = weight[begin : begin + len(part)] / total, (part - offset) / scale
        mean += weighted_sum(share, Z)
        square += weighted_sum(share, Z**2)
        begin += len(part)
    variance = square - mean**2
    varies = variance > CONSTANT * square
    if not varies.any():
        return np.ones(len(X))
    inverse = np.where(varies, 1.0 / np.where(varies, variance, 1.0), 0.0) / np.count_nonzero(varies)
    return np.concatenate([combined(((part - offset) / scale - mean) ** 2, inverse) for part in sweep(X)])
