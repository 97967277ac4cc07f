"""Offsets and scales that bring inputs and targets to the order of one.

`z = (x - offset) / scale` for every column. Statistics respect sample weights, so that a weight of two and a
row given twice are the same data. A constant column is only shifted: its scale is 1.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .out_of_core import Elsewhere, Range, Source, column_range, sweep
from .reductions import weighted_sum

# Squares of residuals and of inputs enter the normal equations: beyond this magnitude they overflow float64.
LARGEST = 1e150
# Of a column brought to [-1, 1]. A row without weight may lie this far out, and its square must not overflow.
MIN_VARIANCE = 1e-100
# Differences of numbers up to this do not overflow.
MAX_SCALED = float(np.finfo(np.float64).max) / 4


class Scaling(NamedTuple):
    offset: np.ndarray  # (n_columns,)
    scale: np.ndarray  # (n_columns,)

    def forward(self, Z: np.ndarray) -> np.ndarray:
        scaled = Z - self.offset
        scaled /= self.scale  # in place: there may be very many rows
        return scaled

    def table(self) -> np.ndarray:
        """Both rows as one array (2, n_columns), the form that kernels take."""
        return np.array([self.offset, self.scale])


def identity_scaling(n_columns: int) -> Scaling:
    return Scaling(np.zeros(n_columns), np.ones(n_columns))


def minmax_scaling(range_: Range) -> Scaling:
    """To [-1, 1]: offset (max + min) / 2, scale (max - min) / 2. Weights play no part in a range."""
    low, high = range_
    half = high / 2 - low / 2  # halves first: max - min may overflow
    return Scaling(low + half, np.where(half > 0, half, 1.0))


def standard_scaling(
    Z: np.ndarray | Source | Elsewhere, weight: np.ndarray | None, range_: Range | None = None
) -> Scaling:
    """To weighted mean 0 and weighted variance 1.

    The moments are taken of columns already brought to [-1, 1], some rows at a time: no square overflows or
    underflows whatever the units, and no second copy of the data is made.
    """
    low, high = range_ = range_ or column_range(Z)
    box = minmax_scaling(range_)
    mean_of = _weighted_mean_of(Z, weight)
    varies = box.forward(low) != box.forward(high)
    mean = mean_of(box, np.zeros(len(low)), 1)
    variance = mean_of(box, mean, 2)
    varies &= variance > MIN_VARIANCE  # else all weight that counts is on equal values
    offset = np.where(varies, box.offset + box.scale * mean, box.offset)
    scale = np.where(varies, box.scale * np.sqrt(variance), box.scale)
    return Scaling(offset, np.where(scale > 0, scale, box.scale))  # a product of zero has underflowed


def _weighted_mean_of(
    Z: np.ndarray | Source | Elsewhere, weight: np.ndarray | None
) -> Callable[[Scaling, np.ndarray, int], np.ndarray]:
    """`weighted_sums` for shares of the weight that sum to 1."""
    if isinstance(Z, Elsewhere):
        return Z.weighted_mean
    assert weight is not None
    share = weight / weight.max()
    share /= share.sum()
    return partial(weighted_sums, Z, share)


def weighted_sums(Z: np.ndarray | Source, share: np.ndarray, box: Scaling, mean: np.ndarray, power: int) -> np.ndarray:
    """sum_i share_i (z_ij - mean_j)^power of each column, z what `box` makes of Z."""
    sums, first = np.zeros(len(mean)), 0
    for block in sweep(Z):
        part = share[first : first + len(block)]
        for j in range(len(mean)):
            z = (block[:, j] - box.offset[j]) / box.scale[j]
            sums[j] += weighted_sum(part, z if power == 1 else (z - mean[j]) ** power)
        first += len(block)
    return sums


def make_scaling(
    scaling: str | None,
    X: np.ndarray | Source | Elsewhere,
    Y: np.ndarray | Elsewhere,
    weight: np.ndarray | None,
) -> tuple[Scaling, Scaling]:
    """Scalings of X and Y for the estimator's `scaling` parameter. Targets are standardised, or left alone.

    Columns that are elsewhere know their weights; otherwise `weight` has them.

    Raises
    ------
    ValueError
        If a column of X is so large that squares of it overflow float64 and nothing would bring it down, or one of Y
        varies so little that squares of its errors vanish.
    """
    x_range, y_range = column_range(X), column_range(Y)
    check_underflow("y", y_range, "multiply it by a constant")
    if scaling is None:
        check_overflow("X", x_range, "scale it, or use scaling='minmax' or scaling='standard'")
        return identity_scaling(X.shape[1]), identity_scaling(Y.shape[1])
    check_column_range(x_range)
    x_scaling = minmax_scaling(x_range) if scaling == "minmax" else standard_scaling(X, weight, x_range)
    return x_scaling, standard_scaling(Y, weight, y_range)


def check_column_range(x_range: Range) -> None:
    """Raise ValueError for a column of inputs so large that no scaling can bring it down."""
    check_overflow("X", x_range, "divide it by a constant", MAX_SCALED, "differences")


def check_overflow(name: str, range_: Range, remedy: str, most: float = LARGEST, what: str = "squares") -> None:
    """Raise ValueError for a column whose squares overflow, or other things (`what`) beyond `most`."""
    largest = np.abs(range_).max(axis=0)
    if (largest > most).any():
        column = int(np.argmax(largest))
        raise ValueError(
            f"{name} reaches {largest[column]:.3g} in column {column}: {what} of it overflow float64. "
            f"Choose other units for this column: {remedy}."
        )


def check_underflow(name: str, range_: Range, remedy: str) -> None:
    """Raise ValueError for a column that varies so little that squares of its differences are zero."""
    low, high = range_
    half = high / 2 - low / 2
    tiny = (half > 0) & (half < 1 / LARGEST)
    if tiny.any():
        column = int(np.argmax(tiny))
        raise ValueError(
            f"{name} varies by no more than {2 * half[column]:.3g} in column {column}: squares of that underflow "
            f"float64. Choose other units for this column: {remedy}."
        )


def check_finite_predictions(f: np.ndarray, X: np.ndarray | Source, what: str = "The prediction") -> None:
    """Raise ValueError for the first prediction that has overflowed, with the row of X that it is of."""
    is_finite = np.isfinite(f)
    if not is_finite.all():
        row = int(np.argmin(is_finite.all(axis=1)))
        values = X[row : row + 1][0]
        column = int(np.argmax(np.abs(values)))
        raise ValueError(
            f"{what} for row {row} of X overflows float64: {values[column]:.3g} in column {column} is too far from the "
            "data that were fitted, or y too large. Leave the row out, bound the column, or fit y in other units."
        )
