"""Diagnostics of a fitted network: is it larger than necessary, or too large for the data? Findings with advice."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .prediction import NetworkPredictor

# A unit is saturated if its activation is this near to one of its bounds, ...
NEAR = 0.01
# ... for this share of the rows.
SHARE = 0.95
# A unit is constant if its activation varies by less than this, relative to its largest value.
VARIATION = 1e-6
# Two units of a layer are duplicates if their activations correlate more than this.
CORRELATION = 0.9999
# Superfluous units are harmless if leave-one-out R2 exceeds this.
MIN_LOO_SCORE = 0.999


class Finding(NamedTuple):
    """One line of the report."""

    name: str
    value: str
    advice: str


def diagnose(network: NetworkPredictor, n_residuals: int, penalty: str, loo_score: float) -> list[Finding]:
    """Return the findings for a fitted network.

    Parameters
    ----------
    network : NetworkPredictor
    n_residuals : int
        Number of training rows times outputs.
    penalty : {"estimated", "fixed", "none"}
        An estimated penalty makes superfluous units harmless.
    loo_score : float
        Leave-one-out R2, or NaN.
    """
    remedy = fewer = "fit fewer units"
    if penalty == "estimated":
        remedy = fewer = "harmless, because the penalty is estimated"
    elif loo_score > MIN_LOO_SCORE and n_residuals >= network.network.n_parameters:
        remedy = fewer = f"harmless, because leave-one-out R2 is {loo_score:.5g}"
    elif penalty == "none":
        remedy = "fit fewer units, or set alpha > 0"
    layers = list(zip(network.network.activations, hidden_units(network), strict=False))
    return [
        _rank(network, remedy),
        _size(network, n_residuals / network.network.n_parameters, remedy, penalty),
        _units("saturated units", layers, is_saturated, f"act as steps or not at all; {remedy}"),
        _units("constant units", layers, is_constant, f"do no more than a bias; {fewer}"),
        _units("duplicate units", layers, is_duplicate, f"much the same as another unit of their layer; {fewer}"),
    ]


def hidden_units(predictor: NetworkPredictor) -> list[np.ndarray]:
    """Return the activations of each hidden layer for the rows that the model keeps, (n_units, n_rows)."""
    network, X = predictor.network, predictor.sample_X
    lines = np.empty((_kernels.n_units_in(network.layout), _kernels.LINE))
    _kernels.forward_block(X, predictor.x_scaling.table(), predictor.theta, network.layout, lines)
    layers, first = [], network.sizes[0] + 1
    for size in network.sizes[1:-1]:
        layers.append(lines[first : first + size, : len(X)])
        first += size + 1  # a line of ones stands after each layer
    return layers


def _rank(predictor: NetworkPredictor, remedy: str) -> Finding:
    """Return the numerical rank of the Gram matrix."""
    name, network = "rank of the Gram matrix", predictor.network
    if predictor.posterior is None:
        return Finding(name, "not known", "steps were found without a Gram matrix (solver)")
    rank = predictor.posterior.factor.rank
    missing = network.n_parameters - rank
    n_relu = sum(n for n, kind in zip(network.sizes[1:], network.activations, strict=True) if kind == "relu")
    if missing == 0:
        advice = "every parameter is determined by the data"
    elif missing <= n_relu:
        advice = "no more are missing than there are relu units, whose scale is free by nature"
    else:
        have = "combination of parameters has" if missing == 1 else "combinations of parameters have"
        advice = f"{missing} {have} no influence: {remedy}"
    return Finding(name, f"{rank} of {network.n_parameters}", advice)


def _size(predictor: NetworkPredictor, ratio: float, remedy: str, penalty: str) -> Finding:
    """Return the number of residuals per parameter."""
    advice = "enough data for this network"
    if ratio < 3 and penalty == "estimated" and predictor.posterior is not None:
        advice = f"the estimated penalty leaves {predictor.posterior.n_effective:.3g} effective parameters"
    elif ratio < 1:
        advice = f"fewer residuals than parameters: noise can be fitted exactly; {remedy}"
    elif ratio < 3:
        hint = "" if penalty != "none" else ": on noisy data set alpha='evidence', or use early_stopping=True"
        advice = f"few residuals for so many parameters{hint}"
    return Finding("residuals per parameter", f"{ratio:.3g}", advice)


def is_saturated(activation: str, units: np.ndarray) -> np.ndarray:
    """Return which units of a layer are at the end of their range for nearly all rows."""
    low, high = _kernels.ACTIVATIONS[activation].bounds
    return ((units <= low + NEAR) | (units >= high - NEAR)).mean(axis=1) >= SHARE


def is_constant(activation: str, units: np.ndarray) -> np.ndarray:
    """Return which units of a layer have the same value for all rows."""
    return np.ptp(units, axis=1) <= VARIATION * np.abs(units).max(axis=1)


def is_duplicate(activation: str, units: np.ndarray) -> np.ndarray:
    """Return which units of a layer correlate with an earlier one."""
    centred = units - units.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    correlation = np.abs(centred @ centred.T) / np.maximum(np.outer(norm, norm), np.finfo(np.float64).tiny)
    return (np.tril(correlation, -1) > CORRELATION).any(axis=1)


def _units(
    name: str, layers: list[tuple[str, np.ndarray]], is_found: Callable[[str, np.ndarray], np.ndarray], advice: str
) -> Finding:
    """Return the number of units that have a property, and the layer and number of the first five, from 1."""
    found = [
        f"{number}.{unit + 1}" for number, layer in enumerate(layers, 1) for unit in np.flatnonzero(is_found(*layer))
    ]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    advice = f"{', '.join(found[:5])}{more}: {advice}" if found else "none"
    return Finding(name, f"{len(found)} of {sum(len(units) for _, units in layers)}", advice)
