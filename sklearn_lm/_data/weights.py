"""Meaning of the sample weights: numbers of repetitions, or precisions of the noise of single rows.

Both weigh the squared errors, and a fixed penalty needs no more. An estimate of the noise needs the number of rows: it
is the sum of the weights if these count repetitions, and otherwise the number of rows, so that precisions are divided
by their mean. Then a constant factor of all weights changes neither the fit nor its standard deviations.
"""

from functools import partial
from operator import and_
from typing import NamedTuple

import numpy as np

from .blocks import RowSet
from .rows import DataSet

# Weights up to so many times the smallest one, and whole multiples of it, are read as repetitions: a bootstrap sample
# has a row more often once in 10^8 rows. But precisions of two sensors may have such a ratio, too, and then the
# evidence sees at most ten times too many rows. So the limit is low, and no unit below the smallest weight is looked
# for: weights of 1 and 0.9 would be ten and nine rows.
MAX_MULTIPLE = 10
# Relative rounding errors of weights that were computed in single precision.
TOLERANCE = 1e-6


class Weighting(NamedTuple):
    """Reading of the weights of one call of `fit`."""

    unit: float = 1.0  # by which the weights are divided
    are_counts: bool = True  # whether they are numbers of rows then
    noise_precision: float | None = None  # of a row of the divided weight 1, in units of y; None if it is not known

    def apply(self, rows: RowSet) -> RowSet:
        """Return the rows with divided weights."""
        return rows if self.unit == 1.0 else rows.converted(partial(_divide, self.unit, self.are_counts))


def read_weights(weight_type: str, by_evidence: bool, rows: RowSet, train: RowSet) -> Weighting:
    """Return the reading of the weights.

    Parameters
    ----------
    weight_type : {"auto", "frequency", "precision", "inverse_variance"}
    by_evidence : bool
        Whether the fit finds the penalty. Otherwise "auto" is "frequency".
    rows : RowSet
        All rows: the ratios of their weights tell repetitions from precisions.
    train : RowSet
        The training rows, all of positive weight. Their mean is the unit of precisions.
    """
    if weight_type == "frequency" or (weight_type == "auto" and not by_evidence):
        return Weighting()
    if weight_type == "auto":
        smallest, largest = rows.reduce(_weight_range, _merge_ranges)
        are_few = largest < (MAX_MULTIPLE + 0.5) * smallest
        if are_few and (largest == smallest or rows.reduce(partial(_are_multiples, smallest), and_)):
            return Weighting(smallest)
    mean = train.total_weight() / len(train.X)
    return Weighting(mean, False, mean if weight_type == "inverse_variance" else None)


def _weight_range(block: DataSet) -> tuple[float, float]:
    """Return the smallest positive weight, infinity if there is none, and the largest."""
    smallest = block.weight.min(initial=np.inf, where=block.weight > 0)
    return float(smallest), float(block.weight.max(initial=0.0))


def _merge_ranges(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _are_multiples(unit: float, block: DataSet) -> bool:
    """Return whether all weights are whole multiples of the unit."""
    multiples = block.weight / unit
    return bool((np.abs(multiples - np.rint(multiples)) <= TOLERANCE * multiples).all())


def _divide(unit: float, are_counts: bool, block: DataSet) -> DataSet:
    weight = block.weight / unit
    return block._replace(weight=np.rint(weight) if are_counts else weight)
