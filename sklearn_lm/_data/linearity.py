"""Comparison of power transforms with the inputs as they are, by linear regression of the targets.

Power transforms are chosen by the inputs alone. A target that is linear in an input with a long tail is an exponential
of the transformed one, steepest at the far points, where rows are few.
"""

import numpy as np

from .rows import DataSet
from .scaling import ArrayColumns, standard_scaling, weight_shares
from .yeo_johnson import PowerTransform

# Rows that are compared at most.
MAX_ROWS = 2000
# Part of the variance of a target that lines may leave, and that counts as rounding errors.
MAX_REST, MIN_REST = 0.25, 1e-20
# Lines must be better than curves by so many nats a row, and in all.
MARGIN, MIN_GAIN = 0.05, 5.0
# Rows of more leverage in one of the regressions are not compared: without them it extrapolates.
MAX_LEVERAGE = 0.5


def is_linear(rows: DataSet, power: PowerTransform) -> bool:
    """Return whether lines predict left-out targets well, and better than cubics in the transformed columns."""
    rows = rows.thinned(MAX_ROWS)
    X, y = rows.X[:], _standardised(rows.Y, rows.weight)
    transformed = _standardised(power.applied(X), rows.weight)
    cubics = np.column_stack([transformed, *(transformed[:, power.column] ** exponent for exponent in (2, 3))])
    if len(X) < 2 * cubics.shape[1]:
        return False
    lines, leverage = _leave_one_out(_standardised(X, rows.weight), y, rows.weight)
    curves, larger = _leave_one_out(cubics, y, rows.weight)
    is_inside = np.maximum(leverage, larger) <= MAX_LEVERAGE
    variance, rest, other = (
        np.square(errors[is_inside]).sum(axis=0) for errors in (y * _root_share(rows.weight), lines, curves)
    )
    gain = 0.5 * len(X) * np.log(np.maximum(other, MIN_REST) / np.maximum(rest, MIN_REST))  # of each output
    is_good = (rest <= MAX_REST * variance) & (gain >= 0)
    return bool(is_good.all() and gain.sum() > max(MIN_GAIN, MARGIN * len(X)))


def _standardised(Z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return standard_scaling(ArrayColumns(Z, weight)).forward(Z)


def _root_share(weight: np.ndarray) -> np.ndarray:
    return np.sqrt(weight_shares(weight))[:, None]


def _leave_one_out(Z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted leave-one-out residuals of a linear regression, and the leverage of each row."""
    root = _root_share(weight)
    U, singular, _ = np.linalg.svd(root * np.column_stack([np.ones(len(Z)), Z]), full_matrices=False)
    U, y = U[:, singular > 1e-10 * singular[0]], root * y
    leverage = (U**2).sum(axis=1)
    return (y - U @ (U.T @ y)) / np.maximum(1 - leverage, 1 - MAX_LEVERAGE)[:, None], leverage
