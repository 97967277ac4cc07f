"""Predictions and scores for the rows of a Dask array or dataframe.

Each block of rows is one task. A copy of the model, without the attributes that predictions do not need, predicts on
one thread.
"""

from collections.abc import Callable
from copy import copy
from functools import partial

import dask.array as da
import numpy as np
from dask import delayed
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .._data.dask import make_row_blocks
from .._data.executors import one_thread
from .._data.out_of_core import ArrayLike
from .._data.reductions import weighted_sum
from .._data.rows import DataSet
from .._uncertainty.predictive import r_squared
from .prediction import Predictor

# Attributes that predictions do not need: they are not sent to the workers.
NOT_FOR_PREDICTIONS = (
    "_callback_ctx", "_loo", "_parent_callback_ctx", "_skl_callbacks", "_snapshot", "growth_", "history_",
    "loss_curve_", "split_indices_", "starts_",
)  # fmt: skip


def lazy_predict(model: BaseEstimator, X: ArrayLike, return_std: bool | str, return_cov: bool | str) -> ArrayLike:
    """Return what `predict` returns, as Dask arrays that are computed on demand."""
    if return_cov:
        raise ValueError("return_cov=True with a Dask array: pass some rows as a NumPy array, X[:100].compute().")
    fitted = vars(model)
    shape = () if fitted["_y_is_1d"] else (fitted["n_outputs_"],)
    if not return_std:
        return map_rows(model, "predict", X, shape)
    for network in Predictor.from_attributes(fitted).networks:
        network.required_posterior()  # an error now, and not in every block
    both = map_rows(model, "predict", X, (*shape, 2), return_std=return_std)
    return both[..., 0], both[..., 1]


def map_rows(
    model: BaseEstimator, method: str, X: ArrayLike, shape: tuple[int, ...] = (), **options: bool | str
) -> ArrayLike:
    """Return the results of a method for every row, as a Dask array that is computed on demand.

    Parameters
    ----------
    model : LMRegressor
    method : str
        Called with rows in memory; a tuple that it returns is stacked along a new last axis.
    X : dask.array or dask.dataframe
    shape : tuple of int
        Shape of the result for one row.
    options : dict
        Keyword arguments of the method.
    """
    validate_data(model, X._meta if is_dataframe(X) else X, reset=False, skip_check_array=True)
    names = list(X.columns) if is_dataframe(X) else None
    rows = X.to_dask_array() if is_dataframe(X) else X
    if rows.numblocks[1] > 1:
        rows = rows.rechunk({1: -1})
    chunks = (rows.chunks[0], *((n,) for n in shape))
    bound_method = delayed(getattr(light_copy(model), method), pure=False, traverse=False)
    return rows.map_blocks(
        predicted, bound_method, names, options, shape,
        chunks=chunks, dtype=np.float64, meta=np.empty((0,) * len(chunks)),
        **({"drop_axis": 1} if not shape else {"new_axis": list(range(2, len(chunks)))} if len(shape) > 1 else {}),
    )  # fmt: skip


def is_dataframe(X: ArrayLike) -> bool:
    """Return whether the Dask collection is a dataframe."""
    return not isinstance(X, da.Array)


def predicted(X: np.ndarray, method: Callable, names: list | None, options: dict, shape: tuple[int, ...]) -> np.ndarray:
    """Return the results for the rows of one block. Dask shows the name of this function for the array."""
    if len(X) == 0:  # such as a partition that a filter has emptied
        return np.empty((0, *shape))
    if names is not None:
        import pandas as pd  # installed wherever a dataframe comes from

        X = pd.DataFrame(X, columns=names)
    with one_thread():
        results = method(X, **options)
    return np.stack(results, axis=-1) if isinstance(results, tuple) else results


def light_copy(model: BaseEstimator) -> BaseEstimator:
    """Return a copy that predicts, without the attributes that predictions do not need."""
    light = copy(model)
    for name in NOT_FOR_PREDICTIONS:
        vars(light).pop(name, None)
    if "estimators_" in vars(light):
        light.estimators_ = [light_copy(member) for member in light.estimators_]
    return light


def score(model: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> float:
    """Return R2 of the predictions, mean over outputs, as `sklearn.metrics.r2_score` defines it."""
    rows = make_row_blocks(X, y, sample_weight).checked(model, reset=False)
    light = light_copy(model)
    light._posterior = None
    vars(light).pop("feature_names_in_", None)  # they were compared; blocks have none, of which each would warn
    mean = rows.reduce(_weighted_targets) / rows.total_weight()
    return r_squared(*rows.reduce(partial(_sums_of_squares, light.predict, mean)))


def _weighted_targets(block: DataSet) -> np.ndarray:
    return weighted_sum(block.weight, block.Y)


def _sums_of_squares(predict: Callable, mean: np.ndarray, block: DataSet) -> np.ndarray:
    """Return the weighted sums of squares about the predictions and about the mean, (2, n_outputs)."""
    with one_thread():
        f = predict(block.X).reshape(block.Y.shape)
    return np.stack([weighted_sum(block.weight, (block.Y - values) ** 2) for values in (f, mean)])
