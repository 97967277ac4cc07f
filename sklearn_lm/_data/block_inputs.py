"""Blocks of X, y and weights as the caller passes them: checks, and conversion to `BlockSet`."""

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from .blocks import BlockSet
from .executors import Executor, Handle
from .out_of_core import ArrayLike
from .ranges import check_overflow, check_weight_range, check_weight_sign
from .rows import DataSet


def is_dask(Z: ArrayLike) -> bool:
    """Return whether Z is a Dask collection, without an import of Dask."""
    is_collection = getattr(sys.modules.get("dask"), "is_dask_collection", None)
    return is_collection is not None and is_collection(Z)


class RowBlocks:
    """X, y and weights in blocks of rows, not yet checked.

    Parameters
    ----------
    executor : Executor
    make_blocks : callable
        Makes lists of blocks of X, y and the weights, of equal length; weights may be None. Called once.
    head : array-like of shape (0, n_columns)
        A table without rows like X, with the names of its columns if these have names.
    y_is_1d : bool
    source : object
        The collection X that the blocks were made of.
    """

    def __init__(
        self,
        executor: Executor,
        make_blocks: Callable[[], tuple[Sequence[Handle], Sequence[Handle], Sequence[Handle]]],
        head: ArrayLike,
        y_is_1d: bool,
        source: ArrayLike = None,
    ):
        self.executor, self.head, self.y_is_1d, self.source = executor, head, y_is_1d, source
        self._make_blocks = make_blocks
        self._set: BlockSet | None = None
        self._lock = threading.Lock()  # several networks are fitted to the same rows, at the same time

    def checked(self, estimator: BaseEstimator, *, reset: bool) -> BlockSet:
        """Return all rows as float64, each block kept where it was made. Errors are those of `check_rows`."""
        validate_data(estimator, self.head, reset=reset, skip_check_array=True)
        with self._lock:
            if self._set is None:
                load = partial(_load, estimator=type(estimator).__name__)
                parts = self._make_blocks()
                rows = BlockSet(self.executor, self.executor.persist([load] * len(parts[0]), *parts))
                # Errors are reported in the target's own squared units, so its size matters under any scaling.
                check_overflow("y", rows.summary.y_range, "divide it by a constant")
                check_weight_range(rows.summary.largest_weight)
                self._set = rows
        return self._set


def _load(X: ArrayLike, y: ArrayLike, weight: ArrayLike, estimator: str) -> DataSet | ValueError:
    """Return a block as float64, or the error of its check: raised on a cluster, it would come back reworded."""
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
