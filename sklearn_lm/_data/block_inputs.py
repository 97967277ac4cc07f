"""Blocks of X, y and weights as the caller passes them: checks, and conversion to `BlockSet`."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

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


class RowBlocks(NamedTuple):
    """X, y and weights in blocks of rows, not yet checked."""

    executor: Executor
    X: Sequence[Handle]
    y: Sequence[Handle]  # as many blocks as X has
    weight: Sequence[Handle]  # the same; blocks may be None
    head: ArrayLike  # (0, n_columns), a table without rows like X, with the names of its columns if these have names
    y_is_1d: bool

    def checked(self, estimator: BaseEstimator, *, reset: bool) -> BlockSet:
        """Return all rows as float64, each block kept where it was made. Errors are those of `check_rows`."""
        validate_data(estimator, self.head, reset=reset, skip_check_array=True)
        load = partial(_load, estimator_name=type(estimator).__name__)
        rows = BlockSet(self.executor, self.executor.persist([load] * len(self.X), self.X, self.y, self.weight))
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
    return DataSet(X, y.reshape(len(X), -1), weight)
