"""Rows in blocks that may be elsewhere: every pass over them is a function of one block, and a sum over the blocks.

`RowBlocks` are blocks as the caller passes them, `BlockSet` the checked rows, `BlockRows` the same ready for the
kernels; the latter two have the methods of rows in memory (`rows.DataSet`, `rows.Rows`), which say what they do. An
`Executor` decides which process computes, such as `dask.DaskExecutor`.
"""

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from operator import attrgetter, methodcaller
from typing import NamedTuple, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from .executors import Executor, Handle, gather, merge_tree, one_thread
from .out_of_core import ArrayLike, Extent, Range, column_range, is_range, sample_step
from .ranges import check_overflow, check_weight_range, check_weight_sign
from .rows import DataSet, Rows, read_only
from .scaling import Scaling, weighted_sums
from .yeo_johnson import PowerTransform

T = TypeVar("T")


def is_dask(Z: ArrayLike) -> bool:
    """Return whether Z is a Dask collection, without an import of Dask."""
    is_collection = getattr(sys.modules.get("dask"), "is_dask_collection", None)
    return is_collection is not None and is_collection(Z)


class RowBlocks(NamedTuple):
    """X, y and weights in blocks of rows, not yet checked."""

    executor: Executor
    X: Sequence[Handle]
    y: Sequence[Handle]  # as many blocks as X has
    weight: Sequence[Handle]  # the same; blocks may be None
    head: ArrayLike  # (0, n_columns), a table without rows like X, with the names of its columns if these have names
    y_is_1d: bool

    def checked(self, estimator: BaseEstimator, *, reset: bool) -> "BlockSet":
        """Return all rows as float64, each block kept where it was made. Errors are those of `check_rows`."""
        validate_data(estimator, self.head, reset=reset, skip_check_array=True)
        load = partial(_load, estimator_name=type(estimator).__name__)
        rows = BlockSet(self.executor, self.executor.persist(load, self.X, self.y, self.weight))
        # Errors are reported in the target's own squared units, so its size matters under any scaling.
        check_overflow("y", rows.summary.y_range, "divide it by a constant")
        check_weight_range(rows.summary.largest_weight)
        return rows


def _load(X: ArrayLike, y: ArrayLike, weight: ArrayLike, estimator_name: str) -> DataSet | ValueError:
    """Return a block as float64, or the error of its check: raised on a cluster, it would come back reworded."""
    options = {"dtype": np.float64, "ensure_min_samples": 0, "estimator": estimator_name}
    try:
        X = check_array(X, order="C", input_name="X", **options)
        y = check_array(y, ensure_2d=False, input_name="y", **options)
        if y.ndim > 2:
            raise ValueError(f"y has {y.ndim} dimensions: pass one column, or one for each target.")
        weight = np.ones(len(X)) if weight is None else check_array(
            weight, ensure_2d=False, input_name="sample_weight", **options
        )  # fmt: skip
        if not len(X) == len(y) == len(weight) or weight.ndim != 1:
            raise ValueError(
                f"X, y and sample_weight have blocks of {len(X)}, {len(y)} and {len(weight)} rows in one place: they "
                "must be of equal length, cut in the same places, and the weights one-dimensional."
            )
        check_weight_sign(weight)
    except ValueError as error:
        return error
    return DataSet(X, y if y.ndim == 2 else y[:, None], weight)  # perhaps of no rows, which `reshape` rejects


class Summary(NamedTuple):
    """Sizes, ranges and weights of the rows of one block, or of all."""

    n_rows: int
    n_weighted: int  # rows whose weight is not zero
    x_range: Range
    y_range: Range
    largest_weight: float
    total_weight: float

    def merge(self, other: "Summary") -> "Summary":
        """Return the summary of the rows of both."""
        return Summary(
            self.n_rows + other.n_rows, self.n_weighted + other.n_weighted,
            _merge_ranges(self.x_range, other.x_range), _merge_ranges(self.y_range, other.y_range),
            max(self.largest_weight, other.largest_weight), self.total_weight + other.total_weight,
        )  # fmt: skip


def _merge_ranges(a: Range, b: Range) -> Range:
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def _summarise(block: DataSet | ValueError) -> Summary | ValueError:
    """Return the summary of a block, or the error that its check returned."""
    if isinstance(block, ValueError):
        return block
    return Summary(
        len(block.X), int((block.weight > 0).sum()), column_range(block.X), column_range(block.Y),
        float(block.weight.max(initial=0.0)), block.total_weight(),
    )  # fmt: skip


class BlockColumns(NamedTuple):
    """Columns of X or Y of a `BlockSet`; see `scaling.Columns`."""

    blocks: "BlockSet"
    name: str

    def range(self) -> Range:
        summary = self.blocks.summary
        return summary.x_range if self.name == "X" else summary.y_range

    def weighted_mean(self, box: Scaling, centre: np.ndarray, power: int) -> np.ndarray:
        largest = self.blocks.summary.largest_weight
        shares = self.blocks.reduce(partial(_sum_of_shares, largest=largest))
        return self.blocks.reduce(partial(_weighted_sums, self.name, largest, shares, box, centre, power))


def _sum_of_shares(block: DataSet, largest: float) -> float:
    return (block.weight / largest).sum()


def _weighted_sums(
    name: str, largest: float, shares: float, box: Scaling, centre: np.ndarray, power: int, block: DataSet
) -> np.ndarray:
    return weighted_sums(getattr(block, name), block.weight / largest / shares, box, centre, power)


class BlockSet:
    """A set of rows in the caller's own units, with the methods of `rows.DataSet`.

    Parameters
    ----------
    executor : Executor
    handles : sequence of Handle
        Blocks that are a `DataSet`; those without rows are left out.
    """

    def __init__(self, executor: Executor, handles: Sequence[Handle]):
        """Summarise the blocks; raise the first error of their checks."""
        self.executor, summaries = executor, []
        for summary in gather(executor, _summarise, handles):
            if isinstance(summary, ValueError):
                raise summary
            summaries.append(summary)
        self.handles = [handle for handle, summary in zip(handles, summaries, strict=True) if summary.n_rows > 0]
        summaries = [summary for summary in summaries if summary.n_rows > 0]
        if not summaries:
            raise ValueError("X has 0 rows: a minimum of 1 is required.")
        self.summary: Summary = merge_tree(Summary.merge, *summaries)
        self.ends = np.cumsum([0] + [summary.n_rows for summary in summaries])  # block i: rows ends[i] to ends[i + 1]
        self.X = Extent(self.summary.n_rows, len(self.summary.x_range[0]))
        self.Y = Extent(self.summary.n_rows, len(self.summary.y_range[0]))

    def columns(self, name: str) -> BlockColumns:
        return BlockColumns(self, name)

    def reduce(self, function: Callable[..., T], merge: Callable[..., T] = np.add) -> T:
        """Return the results of a function of one block, merged over the blocks."""
        return self.executor.reduce(function, self.handles, merge)

    def take(self, rows: np.ndarray) -> "BlockSet":
        """Return some of the rows, each in the process that holds it."""
        if len(rows) == len(self.X):
            return self
        parts = np.split(rows, np.searchsorted(rows, self.ends[1:-1]))
        # Every block receives its own row numbers only.
        blocks = zip(parts, pairwise(self.ends), strict=True)
        taken = [_compact(part - begin, end - begin) for part, (begin, end) in blocks]
        return BlockSet(self.executor, self.executor.persist(_take, self.handles, taken))

    def total_weight(self) -> float:
        return self.summary.total_weight

    def weighted_rows(self) -> np.ndarray:
        if self.summary.n_weighted == self.summary.n_rows:
            return np.arange(self.summary.n_rows)
        parts = gather(self.executor, DataSet.weighted_rows, self.handles)
        return np.concatenate([begin + part for begin, part in zip(self.ends[:-1], parts, strict=True)])

    def mapped(self, power: PowerTransform) -> "BlockSet":
        if len(power.column) == 0:
            return self
        return self.converted(methodcaller("mapped", power))

    def converted(self, function: Callable[[DataSet], DataSet]) -> "BlockSet":
        return BlockSet(self.executor, self.executor.persist(function, self.handles))

    def distinct(self, n_max: int) -> DataSet:
        return self._pick(methodcaller("distinct", n_max))

    def thinned(self, n_max: int) -> DataSet:
        return self._pick(methodcaller("thinned", n_max))

    local = thinned  # the other rows stay in their processes

    def _pick(self, pick: Callable[[DataSet], DataSet]) -> DataSet:
        """Return what a choice of rows by their hashes picks from the rows of all blocks, in this process."""
        return self.reduce(pick, partial(_pick_together, pick))

    def rows(self, y_scaling: Scaling) -> "BlockRows":
        handles = self.executor.persist(methodcaller("rows", y_scaling), self.handles)
        sample = self.take(np.arange(0, len(self.X), sample_step(len(self.X))))
        inputs = np.concatenate(gather(self.executor, attrgetter("X"), sample.handles))
        return BlockRows(self.executor, handles, self.X, self.Y, self.total_weight(), inputs)

    def fingerprint(self) -> str:
        digests = gather(self.executor, DataSet.fingerprint, self.handles)
        return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()


def _compact(rows: np.ndarray, n_rows: int) -> np.ndarray | slice:
    """Return row numbers in few bytes: a slice if they are neighbours, else one bit for each row of the block."""
    if is_range(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    is_taken = np.zeros(n_rows, dtype=bool)
    is_taken[rows] = True
    return np.packbits(is_taken)


def _take(block: DataSet, rows: np.ndarray | slice) -> DataSet:
    if isinstance(rows, np.ndarray):
        rows = np.flatnonzero(np.unpackbits(rows, count=len(block.X)))
    return DataSet(np.ascontiguousarray(block.X[rows]), block.Y[rows], block.weight[rows])


def _pick_together(pick: Callable[[DataSet], DataSet], a: DataSet, b: DataSet) -> DataSet:
    """Pick rows from those that were picked from two sets: the choice from the union is among them."""
    return pick(DataSet(*(np.concatenate([mine[:], theirs[:]]) for mine, theirs in zip(a, b, strict=True))))


class BlockRows(NamedTuple):
    """A set of rows ready for the kernels, with the methods of `rows.Rows`."""

    executor: Executor
    handles: Sequence[Handle]  # blocks that are `Rows`
    X: Extent
    Y: Extent
    weight: float  # sum of the weights
    sample: np.ndarray  # (n_some, n_inputs), inputs of some rows, for the model to keep

    def total(self, function: Callable[..., np.ndarray], *arguments: object) -> np.ndarray:
        return np.array(self.executor.reduce(partial(_on_one_thread, function, arguments), self.handles))

    def mean_power(self, centre: np.ndarray, power: int) -> np.ndarray:
        return self.total(_mean_power, self.weight, centre, power)

    def rescaled(self, factor: np.ndarray) -> "BlockRows":
        return self._replace(handles=self.executor.persist(methodcaller("rescaled", factor), self.handles))


def _on_one_thread(function: Callable[..., np.ndarray], arguments: tuple, block: Rows) -> np.ndarray:
    """Call a function of a block with kernels on one thread."""
    # Arrays that were sent may be writeable or not, and kernels are compiled for one of the two.
    block = Rows(read_only(block.X[:]), read_only(block.Y), read_only(block.root_weight), block.weight)
    arguments = tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in arguments)
    with one_thread():
        return function(block, *arguments)


def _mean_power(block: Rows, weight: float, centre: np.ndarray, power: int) -> np.ndarray:
    return block._replace(weight=weight).mean_power(centre, power)


RowSet = DataSet | BlockSet  # rows in the caller's units
KernelRows = Rows | BlockRows  # rows ready for the kernels


def is_distributed(rows: RowSet | KernelRows) -> bool:
    """Return whether the rows may be in other processes."""
    return isinstance(rows, BlockSet | BlockRows)
