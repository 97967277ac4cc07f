"""Data of the displays: the record of a fitted model, and targets with predictions for each set."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

SETS = ("train", "validation", "test", "all")


class Part(NamedTuple):
    """The rows of one set."""

    X: Any  # as the caller passed it
    rows: np.ndarray  # rows of X
    target: np.ndarray  # (n_rows, n_outputs)
    output: np.ndarray  # (n_rows, n_outputs), the model's predictions


def unwrap(estimator: Any) -> tuple[Any, Any]:
    """Return the estimator that predicts, and the fitted one inside of it (itself, if it is no meta-estimator).

    Raises
    ------
    NotFittedError
        If either is not fitted.
    """
    check_is_fitted(estimator)
    predictor = getattr(estimator, "best_estimator_", estimator)  # of a search
    inner = predictor
    while True:
        if hasattr(inner, "steps"):  # a pipeline
            inner = inner.steps[-1][1]
        elif hasattr(inner, "regressor_"):  # TransformedTargetRegressor
            inner = inner.regressor_
        elif hasattr(inner, "best_estimator_"):
            inner = inner.best_estimator_
        else:
            break
    check_is_fitted(inner)
    return predictor, inner


def record(estimator: Any) -> tuple[Any, Mapping[str, np.ndarray]]:
    """Return the fitted LMRegressor and its `history_`."""
    _, inner = unwrap(estimator)
    if not hasattr(inner, "history_"):
        raise TypeError(
            f"estimator: {type(inner).__name__} keeps no record of its iterations (history_). Pass a fitted "
            "LMRegressor, or a Pipeline, TransformedTargetRegressor or search with refit=True around one."
        )
    return inner, inner.history_


def parts(estimator: Any, X: Any, y: Any, X_val: Any = None, y_val: Any = None, split: Any = "auto") -> dict[str, Part]:
    """Return targets and predictions of each set, in the order of `SETS`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X does not have the rows of `fit` or of `split`, or X_val is passed without y_val.
    """
    predictor, inner = unwrap(estimator)
    target, output = _columns(X, y, "y"), np.asarray(predictor.predict(X), dtype=float)
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{missing} is missing: pass X_val and y_val together, or neither.")
    if isinstance(split, str) and split == "auto":
        indices = dict(getattr(inner, "split_indices_", {"train": np.arange(len(target))}))
        if getattr(inner, "_n_rows", len(target)) != len(target):
            raise ValueError(
                f"X has {len(target)} rows, and the model was fitted to {inner._n_rows}. Pass the X and y that were "
                "passed to fit, or split=None for other data."
            )
        held_out = X_val is not None or "validation_mse" in getattr(inner, "history_", {})
        if list(indices) == ["train"] and not held_out:
            indices = {"all": indices["train"]}
    elif split is None:
        indices = {"all" if X_val is None else "train": np.arange(len(target))}
    else:
        indices = split
    found = {
        name: Part(X, rows, target[rows], output.reshape(len(target), -1)[rows])
        for name, rows in check_split(indices, len(target)).items()
    }
    if X_val is not None:
        if "validation" in found:
            raise ValueError(
                "X_val: the model has taken a validation set from X. Leave X_val and y_val out, or pass split=None."
            )
        target = _columns(X_val, y_val, "y_val")
        output = np.asarray(predictor.predict(X_val), dtype=float).reshape(len(target), -1)
        found["validation"] = Part(X_val, np.arange(len(target)), target, output)
    return in_order(found)


def _columns(X: Any, y: Any, name: str) -> np.ndarray:
    """Return y as (n_rows, n_outputs)."""
    target = np.asarray(check_array(y, ensure_2d=False, dtype=np.float64, input_name=name))
    check_consistent_length(X, target)
    return target.reshape(len(target), -1)


def check_split(split: Any, n_rows: int) -> dict[str, np.ndarray]:
    """Return the row numbers of each set that has rows."""
    if not isinstance(split, Mapping) or not set(split) <= set(SETS):
        raise ValueError(f'split must be "auto", None or a dict of {SETS} to row numbers. Got {split!r} instead.')
    indices = {name: np.asarray(rows, dtype=np.intp) for name, rows in split.items() if len(rows)}
    for name, rows in indices.items():
        if rows.max() >= n_rows or rows.min() < 0:
            raise ValueError(
                f"split: the {name} set has row {rows.max()}, and X has {n_rows} rows. Pass the X and y that were "
                "passed to fit, or split=None for other data."
            )
    return indices


def in_order(sets: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sets[name] for name in SETS if name in sets}


def choose_output(values: np.ndarray, output: int | None) -> np.ndarray:
    """Return one column of values of shape (n_rows, n_outputs), or all of them pooled."""
    if output is None:
        return values.ravel()
    check_output(output, values.shape[1])
    return values[:, output]


def check_output(output: int, n_outputs: int) -> None:
    if not 0 <= output < n_outputs:
        raise ValueError(f"output={output!r}: there are {n_outputs} outputs, numbered from 0.")


def validation_failures(validation_mse: np.ndarray) -> np.ndarray:
    """Return the iterations since the smallest validation error so far, at every iteration."""
    failures = np.zeros(len(validation_mse), dtype=int)
    best = np.inf
    for i, error in enumerate(validation_mse):
        if i > 0:
            failures[i] = failures[i - 1] + 1
        if error < best:
            best, failures[i] = error, 0
    return failures
