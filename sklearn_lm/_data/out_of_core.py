"""Rows that are read part by part: memory-mapped files, HDF5 or Zarr arrays, anything with a shape and row slices.

The kernels read float64 rows in C order. An array that has them, in memory or mapped, they read where it lies. Any
other source gives them a part at a time. Sums over its parts have the bits that they have over an array, because the
parts are whole multiples of what the slots of a kernel take in one turn (see `BEGINS`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from .._kernels import BEGINS, BLOCK, ENDS, MAX_SLOTS, WHOLE
from .._kernels.interrupt import check

Part = tuple[int, np.ndarray, np.ndarray, np.ndarray]
Range = tuple[np.ndarray, np.ndarray]  # least and largest value of each column

TURN = MAX_SLOTS * BLOCK  # rows
PART_BYTES = 2**24  # of float64 in a part, but for very many columns
SWEEP = 2**16  # rows that are taken at once by sums in NumPy


# Rows of X that a model keeps for its diagnostics.
SAMPLE = 256


class Source:
    """Rows of an array that is read by slices, all or some of them, as float64.

    Parameters
    ----------
    array : array-like of shape (n_rows, n_columns)
        With `shape`, `dtype` and row slices. It is only read.
    rows : ndarray of int, optional
        Which of its rows, in ascending order; all, if not given.
    power : Power, optional
        Maps that the rows go through as they are read; see `yeo_johnson`.
    """

    ndim, dtype = 2, np.dtype(np.float64)

    def __init__(self, array: Any, rows: np.ndarray | None = None, power: Any = None):
        self.array, self.rows, self.power = array, rows, power
        self.shape = (int(array.shape[0]) if rows is None else len(rows), int(array.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> np.ndarray:
        """Rows by a slice or by numbers in any order: a new array, or a view where they lie as the kernels read."""
        rows = self._read(which)
        return rows if self.power is None else self.power.applied(rows)

    def _read(self, which: Any) -> np.ndarray:
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            if self.rows is None and step == 1:
                return _as_float(self.array[first:last])
            which = np.arange(first, last, step)
        numbers = np.asarray(which) if self.rows is None else self.rows[which]
        if isinstance(self.array, np.ndarray):
            return _as_float(self.array[numbers])
        # In windows of ascending row numbers: slices are all that is asked of an array.
        order = np.argsort(numbers, kind="stable")
        ascending, found = numbers[order], np.empty((len(numbers), self.shape[1]))
        at = 0
        while at < len(ascending):
            first = int(ascending[at])
            end = int(np.searchsorted(ascending, first + part_rows(self.shape[1])))
            window = _as_float(self.array[first : int(ascending[end - 1]) + 1])
            found[order[at:end]] = window[ascending[at:end] - first]
            at = end
        return found

    def take(self, rows: np.ndarray) -> "Source":
        """Some of the rows, by ascending numbers; nothing is read."""
        return Source(self.array, rows if self.rows is None else self.rows[rows], self.power)

    def mapped(self, power: Any) -> "Source":
        """Read through power maps; nothing is read now."""
        return Source(self.array, self.rows, power)

    def in_place(self) -> "np.ndarray | Source":
        """The array itself where the kernels can read it as it lies."""
        array = self.array
        if self.power is not None or not (
            isinstance(array, np.ndarray) and array.dtype == self.dtype and array.flags.c_contiguous
        ):
            return self
        array = np.asarray(array)
        if self.rows is None:
            return array
        return array[int(self.rows[0]) : int(self.rows[-1]) + 1] if is_range(self.rows) else self


class Elsewhere(ABC):
    """Columns whose rows are not here (`blocks.Columns`): what is asked of all rows they find out themselves."""

    shape: tuple[int, int]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def column_range(self) -> Range: ...

    @abstractmethod
    def weighted_mean(self, box: Any, centre: np.ndarray, power: int) -> np.ndarray: ...


def _as_float(rows: Any) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float64)


def is_range(rows: np.ndarray) -> bool:
    """Whether ascending numbers leave none out."""
    return len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1


def is_source(X: Any) -> bool:
    """Whether X is to be read part by part: a mapped file, or no array of NumPy but a table of numbers with slices."""
    if isinstance(X, np.ndarray):
        is_read = isinstance(X, np.memmap)
    else:
        is_read = hasattr(X, "__getitem__") and hasattr(X, "dtype") and hasattr(X, "shape") and not sparse.issparse(X)
    return is_read and len(X.shape) == 2 and getattr(X.dtype, "kind", "O") in "fiub"


def part_rows(n_columns: int) -> int:
    """Rows of a part."""
    return max(1, PART_BYTES // (8 * max(1, n_columns) * TURN)) * TURN


def parts(X: np.ndarray | Source, Y: np.ndarray, root_weight: np.ndarray) -> "tuple[Part, ...] | Iterator[Part]":
    """(part, X, Y, root weights) for the kernels, in order; all at once where X is an array."""
    return ((WHOLE, X, Y, root_weight),) if isinstance(X, np.ndarray) else _read_parts(X, Y, root_weight)


def _read_parts(X: Source, Y: np.ndarray, root_weight: np.ndarray) -> Iterator[Part]:
    n_rows, step = len(X), part_rows(X.shape[1])
    for first in range(0, n_rows, step):
        last = min(first + step, n_rows)
        part = (BEGINS if first == 0 else 0) | (ENDS if last == n_rows else 0)
        rows = X[first:last]
        rows.flags.writeable = False  # one compiled variant of the kernels for all rows
        yield part, rows, Y[first:last], root_weight[first:last]


def sweep(Z: np.ndarray | Source) -> Iterator[np.ndarray]:
    """Z in blocks of `SWEEP` rows, for sums that must not make a copy of all of it."""
    for first in range(0, len(Z), SWEEP):
        check()
        yield Z[first : first + SWEEP]


def column_range(Z: np.ndarray | Source | Elsewhere) -> Range:
    if isinstance(Z, Elsewhere):
        return Z.column_range()
    low, high = np.full(Z.shape[1], np.inf), np.full(Z.shape[1], -np.inf)
    for block in sweep(Z):
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    return low, high


def sample_of(X: np.ndarray | Source) -> np.ndarray:
    """Up to `SAMPLE` rows, evenly spread."""
    step = -(-len(X) // SAMPLE)
    return X[::step].copy()
