"""Dask arrays and dataframes: their chunks as the blocks of `_data/blocks.py`, and a cluster that computes.

One chunk of rows is one block, and one pass over a block is one task. With an active `distributed.Client` its workers
keep the blocks, otherwise Dask's local scheduler keeps them in this process. Blocks are made by a graph that begins
with the caller's: if a worker dies, the scheduler makes its blocks again on another one.

Only this file and `_estimator/dask_prediction.py` import Dask, and they are imported when a Dask collection is passed.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from dask import delayed
from dask.delayed import Delayed

from .blocks import RowBlocks, is_dask
from .executors import FAN_IN, Handle, LostWorkersError, T, gather, merge_tree
from .out_of_core import ArrayLike

if TYPE_CHECKING:
    from distributed import Client

# Seconds without any worker after which a fit ends, and between two checks for workers.
WORKER_TIMEOUT, POLL_INTERVAL = 30.0, 1.0
REMEDY = (
    "The estimator has the attributes of the best point so far, if there is one. Start workers and fit again, with "
    "warm_start=True or from a checkpoint to continue from there."
)


class DaskExecutor:
    """The active `distributed.Client`, or Dask's local scheduler; see `executors.Executor`."""

    def __init__(self) -> None:
        self.client = active_client()

    def persist(self, function: Callable[..., object], *handles: Sequence[Handle]) -> list[Handle]:
        tasks = [task(function, *of_block) for of_block in zip(*handles, strict=True)]
        return list(dask.persist(*tasks) if self.client is None else self.client.persist(tasks))

    def reduce(self, function: Callable[..., T], handles: Sequence[Handle], merge: Callable[..., T] = np.add) -> T:
        return self._result(_tree([task(function, handle) for handle in handles], merge))

    def _result(self, root: Delayed) -> Any:
        """Return the result of a task, however long it takes while there are workers.

        Raises
        ------
        LostWorkersError
            If there is no worker for `WORKER_TIMEOUT` seconds, a block killed its workers or the cluster was closed.
        """
        if self.client is None:
            return root.compute()
        from distributed import KilledWorker, wait

        seen = time.monotonic()
        try:
            future = self.client.compute(root)
            while True:
                try:
                    wait(future, timeout=POLL_INTERVAL)
                    return future.result(timeout=WORKER_TIMEOUT)
                except TimeoutError:
                    if self.client.nthreads():
                        seen = time.monotonic()
                    elif time.monotonic() - seen >= WORKER_TIMEOUT:
                        raise LostWorkersError(f"No Dask worker answered for {WORKER_TIMEOUT:g} s. {REMEDY}") from None
        except KilledWorker as error:
            raise LostWorkersError(
                f"Dask workers died, one after the other, on the same block: {error} If they ran out of memory, cut "
                f"the rows into smaller chunks. {REMEDY}"
            ) from error
        except Exception as error:
            if self.client.status == "running":
                raise
            raise LostWorkersError(f"The Dask cluster was closed during the fit. {REMEDY}") from error


def active_client() -> "Client | None":
    """Return the `distributed.Client` that Dask itself would use, or None for its local scheduler."""
    scheduler = dask.config.get("scheduler", None)
    if "distributed" not in sys.modules or scheduler not in (None, "distributed", "dask.distributed"):
        return None
    from distributed import Client

    try:
        return Client.current()
    except ValueError:
        return None


def task(function: Callable, *handles: Handle) -> Delayed:
    """Return a delayed call that is made once."""
    return delayed(function, pure=False, traverse=False)(*handles)


def _tree(level: list[Delayed], merge: Callable[..., object]) -> Delayed:
    """Return one task that merges the results of many: each task merges `FAN_IN` neighbours of the level below."""
    while len(level) > 1:
        level = [task(partial(merge_tree, merge), *level[i : i + FAN_IN]) for i in range(0, len(level), FAN_IN)]
    return level[0]


def make_row_blocks(X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> RowBlocks:
    """Return the rows of a Dask array or dataframe X, its targets and weights, in blocks.

    Nothing is computed, unless the lengths of the blocks are needed to cut y or the weights.
    """
    if not hasattr(X, "to_delayed"):
        raise ValueError(f"X is a Dask collection of type {type(X).__name__}: pass a dask.array or a dask.dataframe.")
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions: reshape it to two, rows and columns.")
    if y is None:
        raise ValueError("y is missing: pass the targets of the rows of X.")
    executor = DaskExecutor()
    blocks, lengths = _row_blocks(X)
    if None in lengths and not all(is_dask(part) for part in (y, sample_weight) if part is not None):
        blocks = executor.persist(_identity, blocks)
        lengths = gather(executor, len, blocks)
    weight = [None] * len(blocks) if sample_weight is None else _cut_like(sample_weight, lengths, "sample_weight")
    head = np.empty((0, X.shape[1])) if isinstance(X, da.Array) else X._meta
    y_is_1d = y.ndim == 1 if is_dask(y) else np.ndim(y) == 1
    return RowBlocks(executor, blocks, _cut_like(y, lengths, "y"), weight, head, y_is_1d)


def _row_blocks(Z: ArrayLike) -> tuple[list, list]:
    """Return the chunks of rows, and the number of rows of each, None if it is not known."""
    if not isinstance(Z, da.Array):
        return list(Z.to_delayed()), [None] * Z.npartitions
    if Z.ndim > 1 and Z.numblocks[1] > 1:
        Z = Z.rechunk({1: -1})
    lengths = [None if np.isnan(length) else int(length) for length in Z.chunks[0]]
    return list(Z.to_delayed().ravel()), lengths


def _cut_like(Z: ArrayLike, lengths: list, name: str) -> list:
    """Return the blocks of y or of the weights, cut into the same `lengths` as X."""
    if not is_dask(Z):
        Z, n_rows = np.asarray(Z), sum(lengths)
        if Z.ndim == 0 or len(Z) != n_rows:
            raise ValueError(f"{name} has shape {Z.shape} and X has {n_rows} rows: pass one entry for each row.")
        return np.split(Z, np.cumsum(lengths)[:-1])
    blocks, own = _row_blocks(Z)
    if None not in lengths and None not in own:
        if sum(lengths) != sum(own):
            raise ValueError(f"{name} has {sum(own)} rows and X has {sum(lengths)}: pass one entry for each row.")
        return _row_blocks(Z.rechunk({0: tuple(lengths)}))[0]
    if len(own) != len(lengths):
        raise ValueError(
            f"{name} has {len(own)} chunks and X has {len(lengths)}, and how many rows they have is not known: give "
            "both the same partitions, or call compute_chunk_sizes() on Dask arrays first."
        )
    return blocks  # the blocks themselves are compared when they are loaded


def _identity(block: T) -> T:
    return block
