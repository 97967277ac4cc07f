"""Calls of functions on blocks of rows, wherever the blocks are.

Results that return are small: sums of products, never rows. They are added in a fixed tree over the numbers of the
blocks, neighbours first,

    ((b0 + b1) + (b2 + b3)) + ((b4 + b5) + b6),

so the bits of a fit depend on the blocks alone: not on the number of workers, nor on their order of completion. Within
a block sums are those of the same rows in memory, hence one block gives the bits of an ordinary fit.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

import numba
import numpy as np

Handle = object  # a block itself, or a reference to a block elsewhere
T = TypeVar("T")
# Partial sums that one task adds: a power of two, so that groups of this size fit the tree.
FAN_IN = 8


class LostWorkersError(RuntimeError):
    """No worker is left. The estimator has the attributes of the best point so far."""


class Executor(Protocol):
    """Calls functions of blocks in the processes that hold the blocks."""

    def persist(self, function: Callable[..., object], *handles: Sequence[Handle]) -> list[Handle]:
        """Call the function with the handles number i of each sequence; the results stay where they are made."""

    def reduce(self, function: Callable[..., T], handles: Sequence[Handle], merge: Callable[..., T] = np.add) -> T:
        """Call the function with every handle, and return the results merged in the tree of the blocks."""


def gather(executor: Executor, function: Callable[..., T], handles: Sequence[Handle]) -> list[T]:
    """Call the function with every handle, and return the results in order."""
    return executor.reduce(partial(_listed, function), handles, operator.add)


def _listed(function: Callable[..., T], block: Handle) -> list[T]:
    return [function(block)]


def merge_tree(merge: Callable[..., T], *parts: T) -> T:
    """Merge neighbours, then neighbours of the results; the last of an odd number waits for the next level."""
    while len(parts) > 1:
        pairs = (parts[i : i + 2] for i in range(0, len(parts), 2))
        parts = tuple(merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs)
    return parts[0]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the kernels that this thread calls on one thread: a cluster has a task for each thread already."""
    n_threads = numba.get_num_threads()
    numba.set_num_threads(1)  # of this thread only
    try:
        yield
    finally:
        numba.set_num_threads(n_threads)
