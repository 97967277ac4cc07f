"""Power transforms of skewed inputs, which shorten a long tail so that a few far points do not dominate a column.

A column whose skewness exceeds 1 is standardised, z = (x - centre) / spread, and mapped by

    z >= 0:  ((1 + z)^e - 1) / e,                  log(1 + z)   for e = 0
    z <  0:  -((1 - z)^(2 - e) - 1) / (2 - e),    -log(1 - z)   for e = 2

(I.-K. Yeo and R. A. Johnson, "A new family of power transformations to improve normality or symmetry", Biometrika 87,
2000, eq. 2.1), with the exponent e of the largest normal likelihood (eq. 3.1 there). It is increasing and smooth
everywhere. That z, and not x, is mapped makes it the same whatever the units of x.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from .out_of_core import Source
from .reductions import weighted_sum
from .scaling import ArrayColumns, Scaling, standard_scaling, weight_shares

MIN_SKEWNESS = 1.0
# Exponents beyond these, for a column of few values, would only separate its values by more orders of magnitude.
EXPONENTS = (-3.0, 5.0)
# Rows from which the power transforms are found.
POWER_ROWS = 100_000
# Bytes of inputs up to which a transformed copy of them is kept. Larger inputs are transformed whenever they are read:
# that takes some time in every iteration, and no memory.
MAX_COPY = 2**28
# Exponents as close as this to 0 or 2 count as 0 or 2.
EXPONENT_TOLERANCE = 1e-9


class PowerTransform(NamedTuple):
    """Columns that are transformed, and their parameters."""

    column: np.ndarray  # (n_mapped,)
    centre: np.ndarray  # (n_mapped,)
    spread: np.ndarray  # (n_mapped,)
    exponent: np.ndarray  # (n_mapped,)

    def forward(self, X: np.ndarray | Source) -> np.ndarray | Source:
        """Return X transformed: X itself if no column is, a source that transforms what it reads if X is large."""
        if len(self.column) == 0:
            return X
        if isinstance(X, np.ndarray) and X.nbytes <= MAX_COPY:
            return self.applied(X)
        return (X if isinstance(X, Source) else Source(X)).mapped(self.applied)

    def applied(self, X: np.ndarray) -> np.ndarray:
        """Return a transformed copy."""
        X = np.array(X)
        for j, centre, spread, exponent in zip(*self, strict=True):
            # A row far outside of the training data may overflow: `check_finite_predictions` reports it.
            with np.errstate(over="ignore"):
                X[:, j] = yeo_johnson((X[:, j] - centre) / spread, exponent)
        return X


class Scalings(NamedTuple):
    """All transforms of the numbers of a fit: first the power transform of X, then offsets and scales."""

    power: PowerTransform
    x: Scaling
    y: Scaling


def identity_power() -> PowerTransform:
    """Return the transform of no column."""
    return PowerTransform(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def make_power(X: np.ndarray, weight: np.ndarray) -> PowerTransform:
    """Return transforms for the columns of X with a (weighted) skewness above 1 and more than two values."""
    offset, scale = standard_scaling(ArrayColumns(X, weight))
    share = weight_shares(weight)
    found = []
    for j in range(X.shape[1]):
        z = (X[:, j] - offset[j]) / scale[j]
        low, high = z.min(), z.max()
        if abs(weighted_sum(share, z**3)) > MIN_SKEWNESS and ((z > low) & (z < high)).any():
            found.append((j, offset[j], scale[j], best_exponent(z, share)))
    if not found:
        return identity_power()
    column, *numbers = zip(*found, strict=True)
    return PowerTransform(np.array(column, dtype=np.int64), *(np.array(line) for line in numbers))


def yeo_johnson(z: np.ndarray, exponent: float) -> np.ndarray:
    """Return the transformed values (eq. 2.1)."""
    magnitude = np.log1p(np.abs(z))
    with np.errstate(over="ignore"):  # far outside of the training data, an exponent above 1 may lead to infinity
        return np.where(z >= 0, _power_less_one(magnitude, exponent), -_power_less_one(magnitude, 2.0 - exponent))


def _power_less_one(logarithm: np.ndarray, exponent: float) -> np.ndarray:
    """Return (a^e - 1) / e from log a."""
    return logarithm if abs(exponent) < EXPONENT_TOLERANCE else np.expm1(exponent * logarithm) / exponent


def best_exponent(z: np.ndarray, share: np.ndarray) -> float:
    """Return the exponent that maximises the likelihood of normal values (eq. 3.1), with weights that sum to 1."""
    slope = weighted_sum(share, np.sign(z) * np.log1p(np.abs(z)))

    def minus_log_likelihood(exponent: float) -> float:
        mapped = yeo_johnson(z, exponent)
        variance = weighted_sum(share, (mapped - weighted_sum(share, mapped)) ** 2)
        return 0.5 * np.log(variance) - (exponent - 1.0) * slope

    return float(minimize_scalar(minus_log_likelihood, bounds=EXPONENTS, method="bounded").x)
