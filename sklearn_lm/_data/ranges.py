"""Checks that squares of values, of differences and of weights stay within the range of float64.

Each error names the column, or the weights, and how to change the units.
"""

import numpy as np

from .out_of_core import Range, Source

# Squares of residuals and of inputs enter the normal equations: beyond this magnitude they overflow float64.
MAX_SQUARED = 1e150
# Differences of numbers up to this magnitude do not overflow.
MAX_SCALED = float(np.finfo(np.float64).max) / 4
# Targets that vary by no more than so many units in the last place are constant: a sum or a mean has such errors.
MAX_ROUNDING = 8


def check_input_range(x_range: Range) -> None:
    """Raise ValueError for a column of inputs so large that no scaling can reduce it."""
    check_overflow("X", x_range, "divide it by a constant", MAX_SCALED, "differences")


def check_overflow(name: str, range_: Range, remedy: str, limit: float = MAX_SQUARED, what: str = "squares") -> None:
    """Raise ValueError for a column that exceeds `limit`, above which squares (or `what`) overflow."""
    largest = np.abs(range_).max(axis=0)
    if (largest > limit).any():
        column = int(np.argmax(largest))
        raise ValueError(
            f"{name} reaches {largest[column]:.3g} in column {column}: {what} of it overflow float64. "
            f"Choose other units for this column: {remedy}."
        )


def check_underflow(name: str, range_: Range, remedy: str) -> None:
    """Raise ValueError for a column that varies so little that squares of its differences are zero."""
    low, high = range_
    half = high / 2 - low / 2
    tiny = (half > rounding_errors(range_)) & (half < 1 / MAX_SQUARED)
    if tiny.any():
        column = int(np.argmax(tiny))
        raise ValueError(
            f"{name} varies by no more than {2 * half[column]:.3g} in column {column}: squares of that underflow "
            f"float64. Choose other units for this column: {remedy}."
        )


def rounding_errors(range_: Range) -> np.ndarray:
    """Return the rounding errors of the values of each column."""
    return MAX_ROUNDING * np.spacing(np.abs(range_).max(axis=0)) * (np.abs(range_).max(axis=0) > 0)


def check_weight_sign(weight: np.ndarray) -> None:
    """Raise ValueError for negative weights."""
    if (weight < 0).any():
        row = int(np.argmin(weight))
        raise ValueError(
            f"sample_weight has negative values (row {row}: {weight[row]:g}): weights multiply squared "
            "errors. Use 0 to leave a row out."
        )


def check_weight_range(largest: float) -> None:
    """Raise ValueError if the largest weight of all rows is zero, or out of range."""
    if not largest > 0:
        raise ValueError(
            "sample_weight is zero for every row, so nothing is left to fit. "
            "At least one weight must be positive (non-zero)."
        )
    if largest > MAX_SQUARED:
        raise ValueError(
            f"sample_weight reaches {largest:.3g}: sums of weighted squares overflow float64. Divide it by a constant."
        )
    if largest < 1 / MAX_SQUARED:
        raise ValueError(
            f"sample_weight is not above {largest:.3g}: weighted squares underflow float64. Multiply it by a constant."
        )


def check_finite_predictions(f: np.ndarray, X: np.ndarray | Source, what: str = "The prediction") -> None:
    """Raise ValueError for the first prediction that has overflowed, with the row of X that it belongs to."""
    is_finite = np.isfinite(f)
    if not is_finite.all():
        row = int(np.argmin(is_finite.all(axis=1)))
        values = X[row : row + 1][0]
        column = int(np.argmax(np.abs(values)))
        raise ValueError(
            f"{what} for row {row} of X overflows float64: {values[column]:.3g} in column {column} is too far from the "
            "data that were fitted, or y too large. Leave the row out, bound the column, or fit y in other units."
        )
