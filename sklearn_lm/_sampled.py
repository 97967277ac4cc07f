"""Where a sample of the rows makes the matrix of an iteration: many rows, and many parameters.

The Gram matrix of all rows takes n p^2 / 2 multiply-adds, a product of it with a vector only 5 n p, see
`_matrix_free.py`. Conjugate gradients find the step by a few of these, if the rows of a sample make the preconditioner:
what all rows span, those of the sample span, and whatever the conditioning of H is, H and the H of the sample differ by
factors near 1 (Avron, Maymounkov & Toledo 2010, "Blendenpik", SIAM Journal on Scientific Computing 32, for least
squares; Roosta-Khorasani & Mahoney 2019, "Sub-sampled Newton methods", Mathematical Programming 174). Cost and gradient
are those of all rows: the sample changes the way to a solution and not the solution.
"""

from typing import Any, NamedTuple

import numpy as np

from ._matrix_free import GramOperator
from ._rows import sweep
from ._sums import combined, weighted_sum

# Residuals of the sample for each parameter. Three or four products solve a system then.
SAMPLED = 3
# What a step costs, in units of the Gram matrix of all rows: the sample's share of the rows, and 190 / p for some eight
# products. (Measured with one hidden layer, 280 to 700 parameters; with two it is 100 / p.)
PRODUCTS = 190
# Up to this cost it is taken where there could be a matrix of all rows: for less gain whole steps are not given up.
WORTHWHILE = 0.5
# The same where every third iteration asks for that matrix anyway: fits with an alpha of their own. (At 0.2, with 1201
# parameters, they take 0.75 of the time, at 0.11, with 3021, 0.55, and at 0.3 as much as with whole steps.)
WORTHWHILE_BETWEEN = 0.25
# Relative to its mean square, a variance that is a rounding error.
CONSTANT = 1e-12


class SampledEquations(NamedTuple):
    """As `_objective.NormalEquations`, with products with H, and a Gram matrix near it."""

    cost: float
    gradient: np.ndarray  # (n_parameters,)
    gram: np.ndarray  # (n_parameters, n_parameters), of the sample; only the lower triangle is set
    squares: np.ndarray  # (n_outputs,)
    theta: np.ndarray
    rows: Any  # `_objective.Rows`
    strength: np.ndarray  # (n_parameters,), of the penalty
    operator: GramOperator

    @property
    def diagonal(self) -> np.ndarray:
        """Of the sample's J'J."""
        return self.gram.diagonal() - self.strength

    def times(self, v: np.ndarray) -> np.ndarray:
        """H v, with H = J'W J + S of all rows."""
        return self.operator.times(self.rows, self.strength, self.theta, v)


def n_sampled(n_rows: int, n_outputs: int, n_parameters: int) -> int:
    """Rows of the sample; 0 where they would be no small part of all."""
    n = -(-SAMPLED * n_parameters // n_outputs)
    return n if 2 * n <= n_rows else 0


def is_quicker(n_rows: int, n_outputs: int, n_parameters: int, is_between: bool = False) -> bool:
    """Whether a step takes clearly less time than the Gram matrix of all rows.

    `is_between`: every third iteration has that matrix in any case.
    """
    n, worthwhile = n_sampled(n_rows, n_outputs, n_parameters), WORTHWHILE_BETWEEN if is_between else WORTHWHILE
    return n > 0 and n / n_rows + PRODUCTS / n_parameters <= worthwhile


class Sample(NamedTuple):
    """Rows that stand for all: sum_i w_i h_i is near the sum of (stretch_k^2 w_row) h_row over rows = rows[k]."""

    rows: np.ndarray  # ascending numbers, each once
    stretch: np.ndarray  # of their root weights


def draw_sample(rows: Any, x_scaling: np.ndarray, n: int) -> Sample:
    """n draws, one from each n-th of the sum of what the rows count.

    So no region of sorted rows is left out, and a row of weight two is drawn as two equal neighbours of weight one are.
    Half of what a row counts is its weight. The other half is its share in the spread of the columns, so that a column
    that is not zero in a few rows only is in the sample, too (Drineas, Mahoney & Muthukrishnan 2006, "Sampling
    algorithms for l2 regression and applications": in proportion to leverages, here those of the columns one by one).
    """
    weight = rows.root_weight**2
    count = weight * 0.5 * (1.0 + _spread_shares(rows.X, x_scaling, weight))
    cumulated = np.cumsum(count)
    of_one = cumulated[-1] / n
    draws = (np.arange(n) + np.random.default_rng(0).uniform(size=n)) * of_one
    numbers = np.minimum(np.searchsorted(cumulated, draws, "right"), len(cumulated) - 1)
    chosen, times = np.unique(numbers, return_counts=True)
    return Sample(chosen, np.sqrt(times * of_one / count[chosen]))


def _spread_shares(X: Any, x_scaling: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Of each row the mean over the columns of (x - mean)^2 / variance: over the rows, its weighted mean is 1."""
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
