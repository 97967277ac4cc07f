"""Offsets and scales that bring inputs and targets to the order of one.

`z = (x - offset) / scale` for every column. Statistics respect sample weights, so that a weight of two and a
row given twice are the same data. A constant column of inputs is only shifted: its scale is 1. That of a constant
target is its rounding error, since it multiplies the output of a network, which need not be constant at new rows.
"""

from typing import NamedTuple, Protocol

import numpy as np

from .out_of_core import Range, Source, column_range, sweep_together
from .ranges import check_input_range, check_overflow, check_underflow, rounding_errors
from .reductions import weighted_sum

# Smallest variance of a column brought to [-1, 1]. A row without weight may lie as far out as the inverse of its
# root, and its square must not overflow.
MIN_VARIANCE = 1e-100
# Scale of a target that is zero in all rows: practically zero, and squares of other targets, divided by it, are finite.
ZERO_SCALE = 1e-60
# Values of a target beyond so many sigma play no part in the scaling under a robust loss.
MAX_SIGMA = 5.0


class Scaling(NamedTuple):
    """Offset and scale of each column."""

    offset: np.ndarray  # (n_columns,)
    scale: np.ndarray  # (n_columns,)

    def forward(self, Z: np.ndarray) -> np.ndarray:
        """Return the scaled columns."""
        scaled = Z - self.offset
        scaled /= self.scale  # in place: there may be very many rows
        return scaled

    def table(self) -> np.ndarray:
        """Return both rows as one array (2, n_columns), the form that kernels take."""
        return np.array([self.offset, self.scale])


class Columns(Protocol):
    """Columns of X or Y with the weights of the rows, wherever the rows are."""

    def range(self) -> Range:
        """Return the smallest and largest value of each column."""

    def weighted_mean(self, box: Scaling, centre: np.ndarray, power: int) -> np.ndarray:
        """Return the weighted mean of (z - centre)^power of each column, z the values scaled by `box`."""


class ArrayColumns(NamedTuple):
    """Columns of an array; see `Columns`."""

    Z: np.ndarray | Source  # (n_rows, n_columns)
    weight: np.ndarray  # (n_rows,)

    def range(self) -> Range:
        return column_range(self.Z)

    def weighted_mean(self, box: Scaling, centre: np.ndarray, power: int) -> np.ndarray:
        return weighted_sums(self.Z, weight_shares(self.weight), box, centre, power)


def weight_shares(weight: np.ndarray) -> np.ndarray:
    """Return the weights divided by their sum. Neither overflows."""
    share = weight / weight.max()
    share /= share.sum()
    return share


def weighted_sums(
    Z: np.ndarray | Source, share: np.ndarray, box: Scaling, centre: np.ndarray, power: int
) -> np.ndarray:
    """Return sum_i share_i (z_ij - centre_j)^power of each column, z the values scaled by `box`."""
    sums = np.zeros(len(centre))
    for block, part in sweep_together(Z, share):
        for j in range(len(centre)):
            z = (block[:, j] - box.offset[j]) / box.scale[j]
            sums[j] += weighted_sum(part, z if power == 1 else (z - centre[j]) ** power)
    return sums


def identity_scaling(n_columns: int) -> Scaling:
    """Return the scaling that changes nothing."""
    return Scaling(np.zeros(n_columns), np.ones(n_columns))


def minmax_scaling(range_: Range) -> Scaling:
    """Return the scaling to [-1, 1]: offset (max + min) / 2, scale (max - min) / 2. Weights play no part in a range."""
    low, high = range_
    half = high / 2 - low / 2  # halves first: max - min may overflow
    return Scaling(low + half, np.where(half > 0, half, 1.0))


def standard_scaling(columns: Columns, range_: Range | None = None) -> Scaling:
    """Return the scaling to weighted mean 0 and weighted variance 1.

    Mean and variance are those of columns already brought to [-1, 1], some rows at a time: no square overflows or
    underflows whatever the units, and no second copy of the data is made.
    """
    low, high = range_ = range_ or columns.range()
    box = minmax_scaling(range_)
    varies = box.forward(low) != box.forward(high)
    mean = columns.weighted_mean(box, np.zeros(len(low)), 1)
    variance = columns.weighted_mean(box, mean, 2)
    varies &= variance > MIN_VARIANCE  # else practically all weight is on equal values
    offset = np.where(varies, box.offset + box.scale * mean, box.offset)
    scale = np.where(varies, box.scale * np.sqrt(variance), box.scale)
    return Scaling(offset, np.where(scale > 0, scale, box.scale))  # a product of zero has underflowed


def target_scaling(columns: Columns, range_: Range) -> Scaling:
    """Return `standard_scaling`, with the scale of its rounding errors for a target that varies by no more."""
    low, high = range_
    offset, scale = standard_scaling(columns, range_)
    rounding = rounding_errors(range_)
    return Scaling(
        offset, np.where(high / 2 - low / 2 <= rounding, np.where(rounding > 0, rounding, ZERO_SCALE), scale)
    )


def without_outliers(Z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return columns whose values are at most `MAX_SIGMA` times the spread from the median.

    The spread is half the distance of the quantiles that lie at one sigma in normal data.
    """
    order = np.argsort(Z, axis=0, kind="stable")
    reached = np.cumsum(weight[order], axis=0)
    ranks = ((reached < q * reached[-1]).sum(axis=0) for q in (0.159, 0.5, 0.841))
    low, middle, high = (np.take_along_axis(Z, order, axis=0)[rank, np.arange(Z.shape[1])] for rank in ranks)
    reach = np.where(high > low, MAX_SIGMA * (high / 2 - low / 2), np.inf)
    return np.clip(Z, middle - reach, middle + reach)


def make_scaling(scaling: str | None, inputs: Columns, targets: Columns) -> tuple[Scaling, Scaling]:
    """Return the scalings of X and Y for the estimator's `scaling` parameter.

    Inputs are scaled as that says. Targets are standardised, or left alone with None.

    Raises
    ------
    ValueError
        If a column of X is so large that squares of it overflow float64 and no scaling reduces it, or one of Y
        varies so little that squares of its errors vanish.
    """
    x_range, y_range = inputs.range(), targets.range()
    check_underflow("y", y_range, "multiply it by a constant")
    if scaling is None:
        check_overflow("X", x_range, "scale it, or use scaling='minmax' or scaling='standard'")
        return identity_scaling(len(x_range[0])), identity_scaling(len(y_range[0]))
    check_input_range(x_range)
    x_scaling = minmax_scaling(x_range) if scaling == "minmax" else standard_scaling(inputs, x_range)
    return x_scaling, target_scaling(targets, y_range)
