"""Power maps of skewed inputs: a long tail is drawn in, so that a few far points do not rule a column.

A column whose skewness exceeds 1 is standardised, z = (x - centre) / spread, and mapped by

    z >= 0:  ((1 + z)^e - 1) / e,                  log(1 + z)   for e = 0
    z <  0:  -((1 - z)^(2 - e) - 1) / (2 - e),    -log(1 - z)   for e = 2

(I.-K. Yeo and R. A. Johnson, "A new family of power transformations to improve normality or symmetry", Biometrika 87,
2000, eq. 2.1), with the exponent e of the largest normal likelihood (eq. 3.1 there). It is increasing and smooth
everywhere. That z, and not x, is mapped makes it the same whatever the units of x.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from .out_of_core import Source
from .reductions import weighted_sum
from .scaling import Scaling, standard_scaling

MIN_SKEWNESS = 1.0
# Exponents beyond these, for a column of few values, would only separate its values by more orders of magnitude.
EXPONENTS = (-3.0, 5.0)
# Bytes of inputs up to which there is a second copy of them, mapped. Others are mapped whenever they are read: that
# takes some time in every iteration, and no memory.
MAX_COPY = 2**28
# Exponents as close as this to 0 or 2 count as these.
SAME = 1e-9


class Power(NamedTuple):
    """Which columns are mapped, and how."""

    column: np.ndarray  # (n_mapped,)
    centre: np.ndarray  # (n_mapped,)
    spread: np.ndarray  # (n_mapped,)
    exponent: np.ndarray  # (n_mapped,)

    def forward(self, X: Any) -> Any:
        """X with the columns mapped: X itself where there is nothing to map, else a copy; a large one part by part."""
        if len(self.column) == 0:
            return X
        if isinstance(X, Source):
            return X.mapped(self)
        if X.nbytes > MAX_COPY:
            return Source(X).mapped(self)
        return self.applied(X)

    def applied(self, X: np.ndarray) -> np.ndarray:
        """A copy with the columns mapped."""
        X = np.array(X)
        for j, centre, spread, exponent in zip(*self, strict=True):
            with np.errstate(over="ignore"):  # of rows that are not those of the training: the prediction tells
                X[:, j] = yeo_johnson((X[:, j] - centre) / spread, exponent)
        return X


class Scalings(NamedTuple):
    """All that is done to the numbers of a fit: first the power maps, then offsets and scales."""

    power: Power
    x: Scaling
    y: Scaling


def no_power() -> Power:
    return Power(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def make_power(X: np.ndarray, weight: np.ndarray) -> Power:
    """Maps for the columns of X with a (weighted) skewness above 1, but for those of only two values."""
    offset, scale = standard_scaling(X, weight)
    share = weight / weight.max()
    share /= share.sum()
    found = []
    for j in range(X.shape[1]):
        z = (X[:, j] - offset[j]) / scale[j]
        low, high = z.min(), z.max()
        if abs(weighted_sum(share, z**3)) > MIN_SKEWNESS and ((z > low) & (z < high)).any():
            found.append((j, offset[j], scale[j], best_exponent(z, share)))
    if not found:
        return no_power()
    column, *numbers = zip(*found, strict=True)
    return Power(np.array(column, dtype=np.int64), *(np.array(line) for line in numbers))


def yeo_johnson(z: np.ndarray, exponent: float) -> np.ndarray:
    magnitude = np.log1p(np.abs(z))
    with np.errstate(over="ignore"):  # far outside of the training data, an exponent above 1 may lead to infinity
        return np.where(z >= 0, _power_less_one(magnitude, exponent), -_power_less_one(magnitude, 2.0 - exponent))


def _power_less_one(logarithm: np.ndarray, exponent: float) -> np.ndarray:
    """(a^e - 1) / e from log a."""
    return logarithm if abs(exponent) < SAME else np.expm1(exponent * logarithm) / exponent


def best_exponent(z: np.ndarray, share: np.ndarray) -> float:
    """The exponent that maximises the likelihood of normal values, with weights that sum to 1."""
    slope = weighted_sum(share, np.sign(z) * np.log1p(np.abs(z)))

    def minus_log_likelihood(exponent: float) -> float:
        mapped = yeo_johnson(z, exponent)
        variance = weighted_sum(share, (mapped - weighted_sum(share, mapped)) ** 2)
        return 0.5 * np.log(variance) - (exponent - 1.0) * slope

    return float(minimize_scalar(minus_log_likelihood, bounds=EXPONENTS, method="bounded").x)
