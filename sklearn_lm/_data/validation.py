"""From the caller's arrays to the sets of rows that a fit uses: checks, weights, training/validation/test.

Everything here happens before any work, changes nothing that the caller owns, and names in its errors what was
wrong and what to do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, NamedTuple

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

from .out_of_core import SWEEP, Source, column_range, is_range, is_source, sweep
from .scaling import LARGEST, check_overflow
from .yeo_johnson import Power

# Later releases of scikit-learn refuse weights that are all zero; our own message says what to do.
ALLOW_ZEROS = (
    {"allow_all_zero_weights": True} if "allow_all_zero_weights" in signature(_check_sample_weight).parameters else {}
)

# How NumPy's messages begin about what is no number.
UNREADABLE = ("could not convert", "float() argument", "Cannot cast", "setting an array element")

SETS = ("train", "validation", "test")


class DataSet(NamedTuple):
    """Rows in the caller's own units."""

    X: np.ndarray | Source  # (n_rows, n_inputs) float64, C order
    Y: np.ndarray  # (n_rows, n_outputs) float64
    weight: np.ndarray  # (n_rows,)

    def take(self, rows: np.ndarray) -> "DataSet":
        """Some of the rows, by ascending numbers. Where they are neighbours, and of a source, no copy is made."""
        if len(rows) == len(self.X):
            return self
        where = slice(int(rows[0]), int(rows[-1]) + 1) if is_range(rows) else rows
        X = self.X.take(rows) if isinstance(self.X, Source) else self.X[where]
        return DataSet(X, self.Y[where], self.weight[where])

    def total_weight(self) -> float:
        return float(self.weight.sum())

    def weighing_rows(self) -> np.ndarray:
        """Numbers of the rows whose weight is not zero."""
        return np.flatnonzero(self.weight > 0)

    def mapped(self, power: Power) -> "DataSet":
        """With the power maps applied to X."""
        return self._replace(X=power.forward(self.X))

    def thinned(self, n_most: int) -> "DataSet":
        """At most `n_most` rows, see `thinned`."""
        return self.take(thinned(self, n_most))

    def distinct(self, n_most: int) -> "DataSet":
        return distinct_rows(self, n_most)


def check_rows(estimator: BaseEstimator, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[DataSet, bool]:
    """The training rows as float64, and whether y came as a vector.

    Raises
    ------
    ValueError
        NaN or infinity, empty or sparse input, wrong dimensions or lengths, unusable weights.
    """
    if hasattr(X, "checked"):  # rows in blocks, with their y and weights: see `blocks.RowBlocks`
        return X.checked(estimator, reset=reset), X.y_is_1d
    for name, values in {"X": X, "y": y, "sample_weight": sample_weight}.items():
        _check_array_like(name, values)
    if is_source(X):
        X, y = _check_source(estimator, X, y, reset=reset)
    else:
        X, y = _check_array(estimator, X, y, reset=reset, multi_output=True, y_numeric=True)
    with _naming("y"):
        Y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    _assert_finite(estimator, "y", Y)  # objects are not looked at before they are numbers
    # Errors are reported in the target's own squared units, so its size matters under any scaling.
    check_overflow("y", column_range(Y), "divide it by a constant")
    return DataSet(X, Y, _check_weight(sample_weight, X)), y.ndim == 1


def check_inputs(estimator: BaseEstimator, X: Any) -> np.ndarray | Source:
    """Rows to predict for."""
    _check_array_like("X", X)
    if is_source(X):
        return _check_source(estimator, X, "no_validation", reset=False)[0]
    return _check_array(estimator, X, "no_validation", reset=False)


def _check_array(estimator: BaseEstimator, X: Any, y: Any, **options: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"), _naming("X", y):
        # scikit-learn looks for NaN in a sum first, which may overflow
        return validate_data(estimator, X, y, dtype=np.float64, order="C", **options)


class NotNumbersError(ValueError, TypeError):
    """Text or objects where numbers should be: a ValueError as all of ours, a TypeError as scikit-learn has it."""


@contextmanager
def _naming(name: str, y: Any = None) -> Iterator[None]:
    """NumPy says what it cannot read, but not where it stands: in `name`, or in y."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith(UNREADABLE):
            raise
        raise NotNumbersError(
            f"{name if _is_readable(y) else 'y'} cannot be read as numbers: {error}. Encode text and categories, for "
            "example with OneHotEncoder, and give every row the same length."
        ) from error


def _is_readable(values: Any) -> bool:
    """Whether it is numbers; text means that there is nothing to read."""
    if values is None or isinstance(values, str):
        return True
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _check_array_like(name: str, values: Any) -> None:
    """Raise ValueError for what is no dense array of numbers, and would be read as if it were one."""
    if sparse.issparse(values):
        raise ValueError(f"{name} is sparse; LMRegressor needs dense arrays: pass {name}.toarray().")
    if isinstance(values, np.ndarray) and values.ndim == 0:
        raise ValueError(f"{name} is a single number, {values}: expected an array with one entry for each row.")
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values, and what lies under a mask is no data. Leave these rows out, or fill them in."
        )
    is_table = hasattr(values, "columns") and hasattr(values, "dtypes")
    dtypes = list(values.dtypes) if is_table else [getattr(values, "dtype", None)]
    if any(getattr(dtype, "kind", "") in ("M", "m") for dtype in dtypes):
        raise ValueError(
            f"{name} holds dates or time differences, whose numbers depend on their unit. Convert them to "
            "numbers, such as days since the first row."
        )


def _assert_finite(estimator: BaseEstimator, name: str, values: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert_all_finite(values, estimator_name=type(estimator).__name__, input_name=name)


def _check_source(estimator: BaseEstimator, X: Any, y: Any, *, reset: bool) -> tuple[Source, Any]:
    """What `validate_data` does, block by block: it would make a copy of all rows, or refuse to."""
    validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    if 0 in X.shape:
        check_array(np.empty(X.shape), estimator=estimator, input_name="X")  # says which of the two is missing
    source = Source(X)
    for block in sweep(source):
        assert_all_finite(block, estimator_name=type(estimator).__name__, input_name="X")
    if not isinstance(y, str):
        y = y if isinstance(y, np.ndarray) or not hasattr(y, "dtype") else np.asarray(y[:])
        y = _check_y(y, multi_output=True, y_numeric=True, estimator=estimator)
        check_consistent_length(source, y)
    return source, y


def check_validation_set(
    estimator: BaseEstimator, X_val: Any, y_val: Any, sample_weight_val: Any, n_outputs: int
) -> DataSet | None:
    """The validation set that was passed to `fit`, if any."""
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


def _check_weight(sample_weight: Any, X: np.ndarray | Source) -> np.ndarray:
    if sample_weight is None:
        return np.ones(len(X))
    with _naming("sample_weight"):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, **ALLOW_ZEROS)
    check_weight_sign(weight)
    check_weight_range(float(weight.max()))
    return weight


def check_weight_sign(weight: np.ndarray) -> None:
    if (weight < 0).any():
        row = int(np.argmin(weight))
        raise ValueError(
            f"sample_weight has negative values (row {row}: {weight[row]:g}): weights multiply squared "
            "errors. Use 0 to leave a row out."
        )


def check_weight_range(largest: float) -> None:
    """Of all rows: their largest weight."""
    if not largest > 0:
        raise ValueError(
            "sample_weight is zero for every row, so nothing is left to fit. "
            "At least one weight must be positive (non-zero)."
        )
    if largest > LARGEST:
        raise ValueError(
            f"sample_weight reaches {largest:.3g}: sums of weighted squares overflow float64. Divide it by a constant."
        )
    if largest < 1 / LARGEST:
        raise ValueError(
            f"sample_weight is not above {largest:.3g}: weighted squares underflow float64. Multiply it by a constant."
        )


def divide(
    data: DataSet,
    given: DataSet | None,
    validation_fraction: float,
    test_fraction: float,
    split: str,
    rng: np.random.RandomState,
    previous: dict[str, np.ndarray] | None = None,
) -> tuple[dict[str, DataSet], dict[str, np.ndarray]]:
    """Training, validation and test sets, and the row numbers in each. Rows of weight zero are dropped.

    Parameters
    ----------
    data : DataSet
    given : DataSet or None
        A validation set of the caller's, which takes the place of `validation_fraction`.
    validation_fraction, test_fraction : float
        Shares of the rows to hold out, 0 for none.
    split : {"random", "block", "interleaved"}
        See `split_rows`.
    rng : RandomState
    previous : dict of str to ndarray, optional
        A division of the same rows to keep to, if it is one into sets of the same sizes.

    Returns
    -------
    sets : dict of str to DataSet
        "train" and, where there are such sets, "validation" and "test".
    indices : dict of str to ndarray
        Rows of `data` in the sets that were made from it.
    """
    kept = data.weighing_rows()
    if given is not None:
        validation_fraction = 0.0
    sizes = set_sizes(len(kept), validation_fraction, test_fraction)
    rows = split_rows(len(kept), list(sizes.values()), split, rng) if len(sizes) > 1 else [np.arange(len(kept))]
    indices = {name: kept[part] for name, part in zip(sizes, rows, strict=True)}
    if previous is not None and _divides(previous, kept, sizes):
        indices = previous
    sets = {name: data.take(rows) for name, rows in indices.items()}
    if given is not None:
        sets["validation"] = given
    return sets, indices


def _divides(indices: dict[str, np.ndarray], kept: np.ndarray, sizes: dict[str, int]) -> bool:
    """Whether `indices` are sets of these sizes, and of these rows."""
    if {name: len(part) for name, part in indices.items()} != sizes:
        return False
    return np.array_equal(np.sort(np.concatenate(list(indices.values()))), kept)


def distinct_rows(data: DataSet, n_most: int) -> DataSet:
    """Distinct rows of (X, Y), each with the sum of its weights, and of these no more than `n_most`.

    Which rows are kept, and their order, follows from a hash of their values: neither the order in which the rows
    come nor how often one is repeated plays a part, as it would with row numbers drawn at random.
    """
    # Those with the least hashes so far: what is not among them after some rows will not be at the end.
    kept: tuple[np.ndarray, ...] = (np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.intp), np.empty(0))
    begin = 0
    for X in sweep(data.X):
        end = begin + len(X)
        hashes = _hash_rows(X, data.Y[begin:end])
        new = np.arange(len(X)) if len(kept[0]) < n_most else np.flatnonzero(hashes <= kept[0][-1])
        candidates = np.concatenate([kept[0], hashes[new]])
        rows = np.concatenate([kept[1], begin + new])
        weights = np.concatenate([kept[2], data.weight[begin:end][new]])
        unique, first, inverse = np.unique(candidates, return_index=True, return_inverse=True)
        weight = np.bincount(inverse, weights=weights)
        kept = unique[:n_most], rows[first[:n_most]], weight[:n_most]
        begin = end
    return DataSet(data.X[kept[1]], data.Y[kept[1]], kept[2])


def thinned(data: DataSet, n_most: int) -> np.ndarray:
    """Numbers of at most `n_most` rows, chosen by a hash of their values, in ascending order."""
    if len(data.X) <= n_most:
        return np.arange(len(data.X))
    hashes = _hashes(data)
    largest = np.partition(hashes, n_most - 1)[n_most - 1]  # that is chosen; sorting takes longer than Ctrl-C may wait
    below = np.flatnonzero(hashes < largest)
    return np.sort(np.concatenate([below, np.flatnonzero(hashes == largest)[: n_most - len(below)]]))


def folds_of(data: DataSet, n_folds: int) -> np.ndarray:
    """A fold for each row, 0 to n_folds - 1, by a hash of its values: equal rows are in one, whatever the order."""
    return np.unique(_hashes(data), return_inverse=True)[1] % n_folds


def _hashes(data: DataSet) -> np.ndarray:
    """Of all rows."""
    begins = range(0, len(data.X), SWEEP)
    blocks = zip(sweep(data.X), begins, strict=True)
    return np.concatenate([_hash_rows(X, data.Y[begin : begin + SWEEP]) for X, begin in blocks])


def _hash_rows(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """One well-mixed uint64 per row; equal rows have equal ones."""
    hashes = np.zeros(len(X), dtype=np.uint64)
    for column in (*X.T, *Y.T):
        hashes ^= (column + 0.0).view(np.uint64)  # + 0.0: -0.0 and 0.0 are the same number
        # Multiplications with odd constants and shifts: the finaliser of MurmurHash3.
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            hashes ^= hashes >> np.uint64(33)
            hashes *= np.uint64(factor)
        hashes ^= hashes >> np.uint64(33)
    return hashes


def split_rows(n_rows: int, sizes: Sequence[int], how: str, rng: np.random.RandomState) -> list[np.ndarray]:
    """Row numbers of sets of these sizes, which sum to `n_rows`, each in ascending order.

    "random": drawn by `rng`. "block": one contiguous block after the other, for rows in order of time. "interleaved":
    each set spread evenly over all rows, for rows in order of some input.
    """
    ends = np.cumsum(sizes)
    if how == "random":
        order = rng.permutation(n_rows)
    elif how == "block":
        order = np.arange(n_rows)
    else:
        # Member k of a set of size m belongs at (k + 1/2) / m of the way; rows are dealt out in the order of these.
        places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
        order = np.argsort(np.argsort(places, kind="stable"))
    return [np.sort(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def set_sizes(n_rows: int, validation_fraction: float, test_fraction: float) -> dict[str, int]:
    """Rows of each set; sets of fraction 0 are left out.

    Raises
    ------
    ValueError
        If a set that was asked for would be empty.
    """
    n_validation, n_test = round(validation_fraction * n_rows), round(test_fraction * n_rows)
    fractions = (1.0, validation_fraction, test_fraction)
    sizes = dict(zip(SETS, (n_rows - n_validation - n_test, n_validation, n_test), strict=True))
    for (name, size), fraction in zip(sizes.items(), fractions, strict=True):
        if fraction > 0 and size < 1:
            raise ValueError(
                f"The {name} set would be empty: {n_rows} rows, validation_fraction="
                f"{validation_fraction:g}, test_fraction={test_fraction:g}. Give more rows or other "
                "fractions, or pass X_val and y_val to fit."
            )
    return {name: size for (name, size), fraction in zip(sizes.items(), fractions, strict=True) if fraction > 0}
