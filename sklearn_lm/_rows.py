"""Rows that the kernels read: an array in memory, or a source that is read part by part.

A source has `shape` and gives any range of its rows as float64. Sums over its parts have the bits that they have over
an array, because the parts are whole multiples of what the slots of a kernel take in one turn (see `_kernels.BEGINS`).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._kernels import WHOLE

Part = tuple[int, np.ndarray, np.ndarray, np.ndarray]


def parts(X: Any, Y: np.ndarray, root_weight: np.ndarray) -> Iterable[Part]:
    """(part, X, Y, root weights) for the kernels, in order."""
    return ((WHOLE, X, Y, root_weight),)
