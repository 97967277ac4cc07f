"""Checks of the arrays that the caller passes.

They happen before any work and change nothing that the caller owns. An error names the parameter or the column, what
is wrong with it, and the remedy.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from inspect import signature

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    assert_all_finite,
    check_array,
    check_consistent_length,
    validate_data,
)

from .blocks import RowBlocks, RowSet, is_dask
from .out_of_core import ArrayLike, Source, column_range, is_source, sweep
from .ranges import check_overflow, check_weight_range, check_weight_sign
from .rows import DataSet

# Later releases of scikit-learn refuse weights that are all zero; `check_weight_range` names the remedy.
ALLOW_ZEROS = (
    {"allow_all_zero_weights": True} if "allow_all_zero_weights" in signature(_check_sample_weight).parameters else {}
)

# Beginnings of NumPy's messages about values that are not numbers, and of scikit-learn's about unequal lengths.
UNREADABLE = ("could not convert", "float() argument", "Cannot cast", "setting an array element")
LENGTHS = "Found input variables with inconsistent numbers of samples"


def check_rows(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, reset: bool
) -> tuple[RowSet, bool]:
    """Return the rows as float64, and whether y came as a vector.

    Raises
    ------
    ValueError
        NaN or infinity, empty or sparse input, wrong dimensions or lengths, unusable weights.
    """
    for name, values in {"X": X, "y": y, "sample_weight": sample_weight}.items():
        _check_array_like(name, values)
    if is_dask(X):
        from .dask import make_row_blocks

        X = make_row_blocks(X, y, sample_weight)
    if isinstance(X, RowBlocks):  # with their targets and weights
        return X.checked(estimator, reset=reset), X.y_is_1d
    if is_source(X):
        X, y = _check_source(estimator, X, y, reset=reset)
    else:
        X, y = _check_array(estimator, X, y, reset=reset, multi_output=True, y_numeric=True)
    with _naming(y=y), np.errstate(over="ignore", invalid="ignore"):
        Y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)  # objects are numbers only now
        assert_all_finite(Y, estimator_name=type(estimator).__name__, input_name="y")
    if len(X) == 1 and Y.shape[1] == X.shape[1] > 1:
        raise ValueError(
            f"X and y have one row and {Y.shape[1]} columns: rows are samples, and this would be one sample with "
            f"{Y.shape[1]} outputs. Transpose both, X.T and y.T."
        )
    # Errors are reported in the target's own squared units, so its size matters under any scaling.
    check_overflow("y", column_range(Y), "divide it by a constant")
    return DataSet(X, Y, _check_weight(sample_weight, X)), y.ndim == 1


def check_inputs(estimator: BaseEstimator, X: ArrayLike) -> np.ndarray | Source:
    """Return the inputs of a prediction as float64."""
    _check_array_like("X", X)
    if is_source(X):
        return _check_source(estimator, X, "no_validation", reset=False)[0]
    return _check_array(estimator, X, "no_validation", reset=False)


def _check_array(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, **options: object) -> ArrayLike:
    """Call `validate_data`; its errors name the array that cannot be read."""
    with np.errstate(over="ignore", invalid="ignore"), _naming(X=X, y=y):
        # scikit-learn looks for NaN in a sum first, which may overflow
        return validate_data(estimator, X, y, dtype=np.float64, order="C", **options)


class NotNumbersError(ValueError, TypeError):
    """Text or objects in place of numbers: a ValueError like all other checks, and a TypeError as in scikit-learn."""


@contextmanager
def _naming(begin: int | None = None, **arrays: ArrayLike) -> Iterator[None]:
    """Add to errors about unreadable, infinite or missing values the array, the rows and the remedy.

    The first of `arrays` that cannot be read is named. If `begin` is passed, they are rows from that number on.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if text.startswith(UNREADABLE):
            name = next((name for name, values in arrays.items() if not _is_readable(values)), next(iter(arrays)))
            raise NotNumbersError(
                f"{name} cannot be read as numbers: {text}. Encode text and categories, for example with "
                "OneHotEncoder, convert dates to days since the first row, and give every row the same length."
            ) from error
        for name, values in arrays.items():
            if f"{name} contains" in text and _is_readable(values):
                raise ValueError(f"{text} {_nonfinite_rows(name, values, begin)}") from error
        if text.startswith(LENGTHS) and (n_rows := len(arrays.get("y", ()))) and np.shape(arrays["X"])[1:] == (n_rows,):
            raise ValueError(
                f"{text}. X has {n_rows} columns, and y as many entries. Rows are samples: transpose X, X.T."
            ) from error
        raise


def _nonfinite_rows(name: str, values: ArrayLike, begin: int | None) -> str:
    """Return a sentence about the rows that are not finite."""
    table = np.asarray(values, dtype=np.float64)
    is_bad = ~np.isfinite(table.reshape(len(table), -1)).all(axis=1)
    count = "" if begin is not None else f" that are not finite: {is_bad.sum()} of {len(table)}"
    first = int(is_bad.argmax()) + (begin or 0)
    remedy = ", or fill them in, for example with SimpleImputer" if name == "X" else ""
    return f"Rows of {name}{count}; the first is row {first}. Leave such rows out{remedy}."


def _is_readable(values: ArrayLike) -> bool:
    """Return whether the values are numbers, or none were passed (None, or scikit-learn's placeholder text)."""
    if values is None or isinstance(values, str):
        return True
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _check_array_like(name: str, values: ArrayLike) -> None:
    """Raise ValueError for values that are no dense array of numbers but would be read as one."""
    if sparse.issparse(values):
        raise ValueError(f"{name} is sparse; LMRegressor needs dense arrays: pass {name}.toarray().")
    if isinstance(values, np.ndarray) and values.ndim == 0:
        raise ValueError(f"{name} is a single number, {values}: expected an array with one entry for each row.")
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values, and what lies under a mask is no data. Leave these rows out, or fill them in."
        )
    if _holds_times(values):
        raise ValueError(
            f"{name} holds dates or time differences, whose numbers depend on their unit. Convert them to "
            "numbers, such as days since the first row."
        )


def _holds_times(values: ArrayLike) -> bool:
    """Return whether any column holds dates or time differences, of NumPy, pandas or polars."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        return any(isinstance(value, np.datetime64 | np.timedelta64) for value in values.flat)
    while isinstance(values, list | tuple) and values:  # lists of numbers or of arrays
        values = values[0]
    found = getattr(values, "dtypes", getattr(values, "dtype", None))  # of the columns of a table, or of an array
    for dtype in found if isinstance(found, Iterable) else [found]:
        is_temporal = getattr(dtype, "is_temporal", None)  # of polars
        if getattr(dtype, "kind", "") in ("M", "m") or (is_temporal is not None and is_temporal()):
            return True
    return False


def _check_source(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, *, reset: bool) -> tuple[Source, ArrayLike]:
    """Check a source block by block: `validate_data` would copy all rows, or reject it."""
    validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    if 0 in X.shape:
        check_array(np.empty(X.shape), estimator=estimator, input_name="X")  # raises: no rows, or no columns
    source = Source(X)
    begin = 0
    for block in sweep(source):
        with _naming(begin, X=block):
            assert_all_finite(block, estimator_name=type(estimator).__name__, input_name="X")
        begin += len(block)
    if not isinstance(y, str):
        y = y if isinstance(y, np.ndarray) or not hasattr(y, "dtype") else np.asarray(y[:])
        with _naming(y=y):
            y = _check_y(y, multi_output=True, y_numeric=True, estimator=estimator)
        check_consistent_length(source, y)
    return source, y


def check_validation_set(
    estimator: BaseEstimator, X_val: ArrayLike, y_val: ArrayLike, sample_weight_val: ArrayLike, n_outputs: int
) -> RowSet | None:
    """Return the validation set that was passed to `fit`, if any."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val was passed without X_val and y_val, whose rows it would weigh.")
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{missing} is missing: pass X_val and y_val together, or neither.")
    try:
        data, _ = check_rows(estimator, X_val, y_val, sample_weight_val, reset=False)
    except ValueError as error:
        raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error
    if data.Y.shape[1] != n_outputs:
        raise ValueError(f"y_val has {data.Y.shape[1]} columns and y has {n_outputs}: they must have the same targets.")
    return data


def _check_weight(sample_weight: ArrayLike, X: np.ndarray | Source) -> np.ndarray:
    """Return the weights of the rows of X as float64, 1 if none were passed."""
    if sample_weight is None:
        return np.ones(len(X))
    with _naming(sample_weight=sample_weight):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, **ALLOW_ZEROS)
    check_weight_sign(weight)
    check_weight_range(float(weight.max()))
    return weight
