"""Rows in blocks that may be elsewhere: every pass over them is a function of one block, and a sum over the blocks.

`RowBlocks` is what the caller gave, `BlockSet` a set of rows in the caller's units (in place of `DataSet`) and
`BlockRows` the same ready for the kernels (in place of `objective.Rows`). Where the blocks are, and who computes, is
the business of an `Executor`; one in this process is below, one on a Dask cluster in `_data/dask.py`.

What comes back from a pass is small: sums of products, never rows. They are added in a fixed tree over the numbers of
the blocks, neighbours first,

    ((b0 + b1) + (b2 + b3)) + ((b4 + b5) + b6),

so the bits of a fit depend on the blocks alone: not on the number of workers, nor on who is done first. Within a block
sums are those of the same rows in memory, hence one block gives the bits of an ordinary fit.
"""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import numba
import numpy as np
from sklearn.utils.validation import check_array, validate_data

from .hashing import fingerprint
from .out_of_core import SAMPLE, Elsewhere, Range, column_range, is_range
from .rows import Rows, make_rows, read_only
from .scaling import Scaling, check_overflow, weighted_sums
from .validation import DataSet, check_weight_range, check_weight_sign, distinct_rows
from .yeo_johnson import Power

Handle = Any  # of a block: the block itself, or who to ask for it
# Partial sums that one task adds: a power of two, so that groups of so many fit the tree.
FAN = 8
# Rows that are brought here to see what power maps the inputs need.
POWER_ROWS = 100_000


class LostWorkersError(RuntimeError):
    """Nobody is left to compute. The best point so far is published."""


def is_dask(Z: Any) -> bool:
    """Whether it is a Dask collection; Dask itself is not imported for that."""
    dask = sys.modules.get("dask")
    return dask is not None and hasattr(dask, "is_dask_collection") and dask.is_dask_collection(Z)


# ---- who computes -------------------------------------------------------------------------------------
class Executor(Protocol):
    """Calls functions of blocks where the blocks are."""

    def keep(self, functions: Sequence[Callable], *handles: Sequence[Handle]) -> list[Handle]:
        """Results that stay there: function number i of the handles number i of each sequence."""
        ...

    def gather(self, functions: Sequence[Callable], handles: Sequence[Handle]) -> list[Any]:
        """Results that come here, one for each block."""
        ...

    def reduce(self, function: Callable, handles: Sequence[Handle], merge: Callable = np.add) -> Any:
        """Results of one function, merged in the tree of the blocks."""
        ...


class InProcess:
    """Blocks in the memory of this process, computed one after the other."""

    def keep(self, functions: Sequence[Callable], *handles: Sequence[Handle]) -> list[Handle]:
        return [function(*of_block) for function, *of_block in zip(functions, *handles, strict=True)]

    def gather(self, functions: Sequence[Callable], handles: Sequence[Handle]) -> list[Any]:
        return self.keep(functions, handles)

    def reduce(self, function: Callable, handles: Sequence[Handle], merge: Callable = np.add) -> Any:
        return merged([function(handle) for handle in handles], merge)


def merged(parts: Sequence[Any], merge: Callable) -> Any:
    """Neighbours first, then neighbours of these; the last of an odd number waits for the next level."""
    while len(parts) > 1:
        parts = [merge(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0]


# ---- what the caller gave -----------------------------------------------------------------------------
class RowBlocks:
    """X, y and weights in blocks of rows, not looked at yet.

    Parameters
    ----------
    executor : Executor
    cut : callable
        Makes lists of blocks of X, y and the weights, as long as each other; weights may be None. Called once.
    head : array-like of shape (0, n_columns)
        A table without rows like X, with the names of its columns if these have names.
    y_is_1d : bool
    source : object
        What all this was made of.
    """

    def __init__(
        self,
        executor: Executor,
        cut: Callable[[], tuple[Sequence[Handle], Sequence[Handle], Sequence[Handle]]],
        head: Any,
        y_is_1d: bool,
        source: Any = None,
    ):
        self.executor, self.head, self.y_is_1d, self.source = executor, head, y_is_1d, source
        self._cut = cut
        self._set: BlockSet | None = None
        self._lock = threading.Lock()  # several networks are fitted to the same rows, at the same time

    def checked(self, estimator: Any, *, reset: bool) -> "BlockSet":
        """All rows as float64, each block kept where it was made. Errors are those of `check_rows`."""
        validate_data(estimator, self.head, reset=reset, skip_check_array=True)
        with self._lock:
            if self._set is None:
                load = partial(_load, estimator=type(estimator).__name__)
                parts = self._cut()
                rows = BlockSet(self.executor, self.executor.keep([load] * len(parts[0]), *parts))
                # Errors are reported in the target's own squared units, so its size matters under any scaling.
                check_overflow("y", column_range(rows.Y), "divide it by a constant")
                check_weight_range(rows.summary.largest_weight)
                self._set = rows
        return self._set


def _load(X: Any, y: Any, weight: Any, estimator: str) -> DataSet | ValueError:
    """A block as float64. What is wrong with it is told as a result: a cluster would tell of it in its own words."""
    options = {"dtype": np.float64, "ensure_min_samples": 0, "estimator": estimator}
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
    return DataSet(X, y.reshape(len(X), -1), weight)


# ---- rows in the caller's units -----------------------------------------------------------------------


class Summary(NamedTuple):
    """What there is to know of the rows of one block, or of all."""

    n_rows: int
    n_weighing: int  # rows whose weight is not zero
    x_range: Range
    y_range: Range
    largest_weight: float
    total_weight: float

    def merge(self, other: "Summary") -> "Summary":
        """Of the rows of both."""
        return Summary(
            self.n_rows + other.n_rows, self.n_weighing + other.n_weighing,
            _range_of_both(self.x_range, other.x_range), _range_of_both(self.y_range, other.y_range),
            max(self.largest_weight, other.largest_weight), self.total_weight + other.total_weight,
        )  # fmt: skip


def _range_of_both(mine: Range, theirs: Range) -> Range:
    return np.minimum(mine[0], theirs[0]), np.maximum(mine[1], theirs[1])


def _summarise(block: DataSet | ValueError) -> Summary | ValueError | None:
    """None of a block without rows."""
    if isinstance(block, ValueError) or len(block.X) == 0:
        return block if isinstance(block, ValueError) else None
    return Summary(
        len(block.X), int((block.weight > 0).sum()), column_range(block.X), column_range(block.Y),
        float(block.weight.max()), block.total_weight(),
    )  # fmt: skip


class Extent:
    """Of a table whose rows are not here."""

    def __init__(self, n_rows: int, n_columns: int):
        self.shape, self.size = (n_rows, n_columns), n_rows * n_columns

    def __len__(self) -> int:
        return self.shape[0]


class Columns(Extent, Elsewhere):
    """X or Y of a `BlockSet`, for sums over its rows."""

    def __init__(self, blocks: "BlockSet", name: str, low: np.ndarray, high: np.ndarray):
        super().__init__(blocks.summary.n_rows, len(low))
        self._blocks, self._name, self._range = blocks, name, (low, high)

    def column_range(self) -> Range:
        return self._range

    def weighted_mean(self, box: Scaling, centre: np.ndarray, power: int) -> np.ndarray:
        """See `scaling.weighted_sums`."""
        blocks, largest = self._blocks, self._blocks.summary.largest_weight
        shares = blocks.reduce(partial(_sum_of_shares, largest=largest))
        return blocks.reduce(partial(_weighted_sums, self._name, largest, shares, box, centre, power))


def _sum_of_shares(block: DataSet, largest: float) -> float:
    return (block.weight / largest).sum()


def _weighted_sums(
    name: str, largest: float, shares: float, box: Scaling, centre: np.ndarray, power: int, block: DataSet
) -> np.ndarray:
    return weighted_sums(getattr(block, name), block.weight / largest / shares, box, centre, power)


class BlockSet:
    """A set of rows in the caller's own units; see `DataSet`, whose place it takes.

    Parameters
    ----------
    executor : Executor
    handles : sequence of Handle
        Of blocks that are a `DataSet`; those without rows are left out.
    """

    weight = None  # where a function asks for the weights of columns, `Columns` knows them itself

    def __init__(self, executor: Executor, handles: Sequence[Handle]):
        summaries = executor.gather([_summarise] * len(handles), handles)
        for wrong in (summary for summary in summaries if isinstance(summary, ValueError)):
            raise wrong
        self.executor = executor
        self.handles = [handle for handle, of_block in zip(handles, summaries, strict=True) if of_block is not None]
        summaries = [of_block for of_block in summaries if of_block is not None]
        if not summaries:
            raise ValueError("X has 0 rows: a minimum of 1 is required.")
        self.summary: Summary = merged(summaries, Summary.merge)
        self.lengths = np.array([of_block.n_rows for of_block in summaries])
        self.X = Columns(self, "X", *self.summary.x_range)
        self.Y = Columns(self, "Y", *self.summary.y_range)

    def reduce(self, function: Callable, merge: Callable = np.add) -> Any:
        return self.executor.reduce(function, self.handles, merge)

    def take(self, rows: np.ndarray) -> "BlockSet":
        """Some of the rows, by ascending numbers."""
        if len(rows) == len(self.X):
            return self
        ends = np.cumsum(self.lengths)
        places = np.searchsorted(rows, np.concatenate([[0], ends]))
        # Every block is told of its own rows only.
        functions = [
            partial(_take, _compact(rows[a:b] - begin, n_rows))
            for a, b, begin, n_rows in zip(places[:-1], places[1:], ends - self.lengths, self.lengths, strict=True)
        ]
        return BlockSet(self.executor, self.executor.keep(functions, self.handles))

    def total_weight(self) -> float:
        return self.summary.total_weight

    def weighing_rows(self) -> np.ndarray:
        if self.summary.n_weighing == self.summary.n_rows:
            return np.arange(self.summary.n_rows)
        parts = self.executor.gather([DataSet.weighing_rows] * len(self.handles), self.handles)
        begins = np.cumsum(self.lengths) - self.lengths
        return np.concatenate([begin + part for begin, part in zip(begins, parts, strict=True)])

    def mapped(self, power: Power) -> "BlockSet":
        if len(power.column) == 0:
            return self
        return BlockSet(self.executor, self.executor.keep([partial(_map, power)] * len(self.handles), self.handles))

    def distinct(self, n_most: int) -> DataSet:
        """Here; see `distinct_rows`."""
        pick = partial(_pick_distinct, n_most)
        return self.reduce(pick, partial(_pick_together, pick))

    def thinned(self, n_most: int) -> DataSet:
        """At most `n_most` rows, brought here; see `thinned`."""
        pick = partial(_pick_thinned, n_most)
        return self.reduce(pick, partial(_pick_together, pick))

    def rows(self, y_scaling: Scaling) -> "BlockRows":
        """Ready for the kernels."""
        handles = self.executor.keep([partial(_make_rows, y_scaling)] * len(self.handles), self.handles)
        return BlockRows(self.executor, handles, self.X.shape, self.Y.shape, self.total_weight(), self._sample())

    def _sample(self) -> np.ndarray:
        """What `sample_of` takes of rows in memory."""
        step = -(-len(self.X) // SAMPLE)
        begins = np.cumsum(self.lengths) - self.lengths
        functions = [partial(_every, int(-begin % step), step) for begin in begins]
        return np.concatenate(self.executor.gather(functions, self.handles))

    def fingerprint(self) -> str:
        """The same for equal blocks, and practically never for others."""
        parts = self.executor.gather([fingerprint] * len(self.handles), self.handles)
        return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()


def _compact(rows: np.ndarray, n_rows: int) -> np.ndarray | slice:
    """Row numbers as they travel: a slice where they are neighbours, else one bit for each row of the block."""
    if is_range(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    is_taken = np.zeros(n_rows, dtype=bool)
    is_taken[rows] = True
    return np.packbits(is_taken)


def _every(first: int, step: int, block: DataSet) -> np.ndarray:
    return block.X[first::step]


def _take(rows: np.ndarray | slice, block: DataSet) -> DataSet:
    if isinstance(rows, np.ndarray):
        rows = np.flatnonzero(np.unpackbits(rows, count=len(block.X)))
    return DataSet(np.ascontiguousarray(block.X[rows]), block.Y[rows], block.weight[rows])


def _map(power: Power, block: DataSet) -> DataSet:
    return block.mapped(power)


def _pick_distinct(n_most: int, block: DataSet) -> DataSet:
    return distinct_rows(block, n_most)


def _pick_thinned(n_most: int, block: DataSet) -> DataSet:
    return block.thinned(n_most)


def _pick_together(pick: Callable, mine: DataSet, theirs: DataSet) -> DataSet:
    """What is picked by its hash from both is among what was picked from each."""
    pairs: Any = zip(mine, theirs, strict=True)
    return pick(DataSet(*(np.concatenate(pair) for pair in pairs)))


def _make_rows(y_scaling: Scaling, block: DataSet) -> Rows:
    return make_rows(*block, y_scaling)


# ---- rows for the kernels -----------------------------------------------------------------------------
class BlockRows:
    """A set of rows ready for the kernels; see `objective.Rows`, whose place it takes.

    Parameters
    ----------
    executor : Executor
    handles : sequence of Handle
        Of blocks that are `Rows`.
    x_shape, y_shape : tuple of int
        Of all inputs and targets.
    weight : float
        Sum of the weights.
    sample : ndarray of shape (n_some, n_inputs)
        Inputs of some rows, for the model to keep.
    """

    def __init__(
        self,
        executor: Executor,
        handles: Sequence[Handle],
        x_shape: tuple[int, int],
        y_shape: tuple[int, int],
        weight: float,
        sample: np.ndarray,
    ):
        self.executor, self.handles, self.weight, self.sample = executor, handles, weight, sample
        self.X, self.Y = Extent(*x_shape), Extent(*y_shape)

    def total(self, function: Callable, *arguments: Any) -> np.ndarray:
        """Sum over the blocks of an array that the function makes of each, given the arguments."""
        return np.array(self.executor.reduce(partial(_on_one_thread, function, arguments), self.handles))

    def mean_power(self, centre: np.ndarray, power: int) -> np.ndarray:
        return self.total(_mean_power, self.weight, centre, power)

    def rescaled(self, factor: np.ndarray) -> "BlockRows":
        handles = self.executor.keep([partial(_rescale, factor)] * len(self.handles), self.handles)
        return BlockRows(self.executor, handles, self.X.shape, self.Y.shape, self.weight, self.sample)


@contextmanager
def one_thread() -> Iterator[None]:
    """Kernels that this thread calls stay on it."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)  # of this thread only
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _on_one_thread(function: Callable, arguments: tuple, block: Rows) -> np.ndarray:
    """One task, one thread: a cluster has a task for each thread already."""
    # What has travelled may be writeable or not, and kernels are compiled for one of the two.
    block = Rows(read_only(block.X[:]), read_only(block.Y), read_only(block.root_weight), block.weight)
    arguments = tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in arguments)
    with one_thread():
        return function(block, *arguments)


def _mean_power(block: Rows, weight: float, centre: np.ndarray, power: int) -> np.ndarray:
    return block._replace(weight=weight).mean_power(centre, power)


def _rescale(factor: np.ndarray, block: Rows) -> Rows:
    return block.rescaled(factor)
