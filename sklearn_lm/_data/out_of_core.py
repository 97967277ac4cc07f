"""Rows that are read part by part: memory-mapped files, HDF5 or Zarr arrays, every table with a shape and row slices.

The kernels read float64 rows in C order. They read such an array in place, in memory or mapped; every other source is
read one part at a time. Sums over the parts have the same bits as sums over an array, because the parts are whole
multiples of the rows that the slots of a kernel take in one turn.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

from .._kernels import BLOCK, MAX_SLOTS
from .._kernels.interrupt import check

ArrayLike = Any  # what the caller passed: an array, a table, a Dask collection, a list
Transform = Callable[[np.ndarray], np.ndarray]
Range = tuple[np.ndarray, np.ndarray]  # smallest and largest value of each column

TURN = MAX_SLOTS * BLOCK  # rows that the slots of a kernel take in one turn
PART_BYTES = 2**24  # size of a part in float64; with very many columns a part is one turn
SWEEP = 2**16  # rows that sums in NumPy take at once
SAMPLE = 256  # rows of X that a model keeps for its diagnostics


class Source:
    """Rows of an array that is read by slices, all or some of them, as float64.

    Parameters
    ----------
    array : array-like of shape (n_rows, n_columns)
        With `shape`, `dtype` and row slices. It is only read.
    rows : ndarray of int, optional
        Which of its rows, in ascending order; all, if not given.
    transform : callable, optional
        Applied to every block of rows as it is read, such as the power transform of `yeo_johnson`.
    """

    ndim, dtype = 2, np.dtype(np.float64)

    def __init__(self, array: ArrayLike, rows: np.ndarray | None = None, transform: Transform | None = None):
        self.array, self.rows, self.transform = array, rows, transform
        self.shape = (int(array.shape[0]) if rows is None else len(rows), int(array.shape[1]))
        self.size = self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """Return rows by a slice or by numbers in any order: a new array, or a view if the kernels can read it."""
        rows = self._read(which)
        return rows if self.transform is None else self.transform(rows)

    def _read(self, which: slice | np.ndarray) -> np.ndarray:
        """Return rows by a slice or by numbers in any order, not transformed."""
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            if self.rows is None and step == 1:
                return _as_float(self.array[first:last])
            which = np.arange(first, last, step)
        numbers = np.asarray(which) if self.rows is None else self.rows[which]
        if isinstance(self.array, np.ndarray):
            return _as_float(self.array[numbers])
        # Read in windows of ascending row numbers: a source must support row slices only.
        order = np.argsort(numbers, kind="stable")
        ascending, found = numbers[order], np.empty((len(numbers), self.shape[1]))
        begin = 0
        while begin < len(ascending):
            first = int(ascending[begin])
            end = int(np.searchsorted(ascending, first + part_rows(self.shape[1])))
            window = _as_float(self.array[first : int(ascending[end - 1]) + 1])
            found[order[begin:end]] = window[ascending[begin:end] - first]
            begin = end
        return found

    def take(self, rows: np.ndarray) -> "Source":
        """Return some of the rows, by ascending numbers; nothing is read."""
        return Source(self.array, rows if self.rows is None else self.rows[rows], self.transform)

    def mapped(self, transform: Transform) -> "Source":
        """Return a source that transforms what it reads; nothing is read now."""
        return Source(self.array, self.rows, transform)

    def in_place(self) -> "np.ndarray | Source":
        """Return the array itself if the kernels can read its layout, else this source."""
        array = self.array
        if self.transform is not None or not (
            isinstance(array, np.ndarray) and array.dtype == self.dtype and array.flags.c_contiguous
        ):
            return self
        array = np.asarray(array)
        if self.rows is None:
            return array
        return array[int(self.rows[0]) : int(self.rows[-1]) + 1] if is_range(self.rows) else self


class Extent:
    """Shape of a table whose rows are elsewhere."""

    def __init__(self, n_rows: int, n_columns: int):
        self.shape, self.size = (n_rows, n_columns), n_rows * n_columns

    def __len__(self) -> int:
        return self.shape[0]


def _as_float(rows: ArrayLike) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float64)


def is_range(rows: np.ndarray) -> bool:
    """Return whether ascending numbers leave none out."""
    return len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1


def is_source(X: ArrayLike) -> bool:
    """Return whether X is to be read part by part: a mapped file, or a table of numbers with slices beyond NumPy."""
    if isinstance(X, np.ndarray):
        is_read = isinstance(X, np.memmap)
    else:
        is_read = hasattr(X, "__getitem__") and not sparse.issparse(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "O")
    return is_read and kind in "fiub" and len(X.shape) == 2


def part_rows(n_columns: int) -> int:
    """Return the number of rows of a part."""
    return max(1, PART_BYTES // (8 * max(1, n_columns) * TURN)) * TURN


def parts(X: np.ndarray | Source, *beside: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the parts of X, with the same rows of the arrays beside it; all rows at once if X is an array."""
    if isinstance(X, np.ndarray):
        yield X, *beside
        return
    step = part_rows(X.shape[1])
    for first in range(0, len(X), step):
        rows = X[first : first + step]
        rows.flags.writeable = False  # one compiled variant of the kernels for all rows
        yield rows, *(Z[first : first + step] for Z in beside)


def sweep(Z: np.ndarray | Source) -> Iterator[np.ndarray]:
    """Yield Z in blocks of `SWEEP` rows, for sums that must not make a copy of all of it."""
    return (block for (block,) in sweep_together(Z))


def sweep_together(*arrays: np.ndarray | Source) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the same blocks of `SWEEP` rows of arrays of equal length."""
    for first in range(0, len(arrays[0]), SWEEP):
        check()
        yield tuple(Z[first : first + SWEEP] for Z in arrays)


def column_range(Z: np.ndarray | Source) -> Range:
    """Return the smallest and largest value of each column."""
    low, high = np.full(Z.shape[1], np.inf), np.full(Z.shape[1], -np.inf)
    for block in sweep(Z):
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    return low, high


def sample_of(X: np.ndarray | Source) -> np.ndarray:
    """Return up to `SAMPLE` rows, evenly spread."""
    return X[:: sample_step(len(X))].copy()


def sample_step(n_rows: int) -> int:
    """Return the distance of the rows of a sample."""
    return -(-n_rows // SAMPLE)
