"""Is the network larger than it need be, or than the data bear? Findings with advice, from a fitted model."""

from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .._network.topology import make_network, pack

# A unit counts as saturated where its activation is this near to one of its ends, ...
NEAR = 0.01
# ... if that is so for this share of the rows.
SHARE = 0.95
# Two units of a layer whose activations correlate more than this are duplicates.
ALIKE = 0.9999


class Finding(NamedTuple):
    name: str
    value: str
    advice: str


def health(model: Any) -> list[Finding]:
    """Findings for a fitted `LMRegressor`."""
    units = hidden_units(model)
    return [_rank(model), _size(model), _saturated(model, units), _constant(units), _duplicates(units)]


def hidden_units(model: Any) -> list[np.ndarray]:
    """Activations of each hidden layer on the rows that the model keeps, (n_units, n_rows)."""
    X = model._sample_X
    network = make_network(
        X.shape[1], [len(b) for b in model.intercepts_[:-1]], model.n_outputs_, model.hidden_activations_
    )
    lines = np.empty((_kernels.n_units_in(network.layout), _kernels.LINE))
    scaling = np.vstack([model.x_offset_, model.x_scale_])
    _kernels.forward_block(X, scaling, pack(model.coefs_, model.intercepts_), network.layout, lines)
    layers, first = [], network.sizes[0] + 1
    for size in network.sizes[1:-1]:
        layers.append(lines[first : first + size, : len(X)])
        first += size + 1  # a line of ones stands after each layer
    return layers


def _rank(model: Any) -> Finding:
    name, n_parameters = "rank of the Gram matrix", _n_parameters(model)
    if model._posterior is None:
        return Finding(name, "not known", "steps were found without a Gram matrix (solver)")
    rank = model._posterior.factor.rank
    missing = n_parameters - rank
    if missing == 0:
        advice = "every parameter is determined by the data"
    elif missing <= _n_relu(model):
        advice = "no more are missing than there are relu units, whose scale is free by nature"
    else:
        have = "combination of parameters has" if missing == 1 else "combinations of parameters have"
        advice = f"{missing} {have} no influence: {_remedy(model)}"
    return Finding(name, f"{rank} of {n_parameters}", advice)


def _n_parameters(model: Any) -> int:
    return sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True))


def has_penalty(model: Any) -> bool:
    """Of a fitted model: one that it found, or one that it was given."""
    return "alpha_" in vars(model) or (not isinstance(model.alpha, str) and model.alpha > 0)


def _remedy(model: Any) -> str:
    return "fit fewer units" if has_penalty(model) else "fit fewer units, or set alpha > 0"


def _n_relu(model: Any) -> int:
    pairs = zip(model.hidden_activations_, model.intercepts_[:-1], strict=True)
    return sum(len(b) for name, b in pairs if name == "relu")


def _size(model: Any) -> Finding:
    ratio = model._set_sizes["train"] * model.n_outputs_ / _n_parameters(model)
    if ratio < 1:
        advice = f"fewer residuals than parameters: noise can be fitted exactly; {_remedy(model)}"
    elif ratio < 3:
        advice = "few residuals for so many parameters"
        if not has_penalty(model):
            advice += ": on noisy data set alpha='evidence', or use early_stopping=True"
    else:
        advice = "enough data for this network"
    return Finding("residuals per parameter", f"{ratio:.3g}", advice)


def _saturated(model: Any, units: list[np.ndarray]) -> Finding:
    found = []
    for number, (lines, name) in enumerate(zip(units, model.hidden_activations_, strict=True), start=1):
        low, high = _kernels.ACTIVATIONS[name].bounds
        is_at_end = (lines <= low + NEAR) | (lines >= high - NEAR)
        found += [(number, j) for j in np.flatnonzero(is_at_end.mean(axis=1) >= SHARE)]
    advice = "none" if not found else f"{_names(found)}: act as steps or not at all; {_remedy(model)}"
    return Finding("saturated units", f"{len(found)} of {sum(map(len, units))}", advice)


def _constant(units: list[np.ndarray]) -> Finding:
    found = []
    for number, lines in enumerate(units, start=1):
        spread = np.ptp(lines, axis=1)
        found += [(number, j) for j in np.flatnonzero(spread <= 1e-6 * np.abs(lines).max(axis=1))]
    advice = "none" if not found else f"{_names(found)}: do no more than a bias; fit fewer units"
    return Finding("constant units", f"{len(found)} of {sum(map(len, units))}", advice)


def _duplicates(units: list[np.ndarray]) -> Finding:
    found = []
    for number, lines in enumerate(units, start=1):
        centred = lines - lines.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1)
        likeness = np.abs(centred @ centred.T) / np.maximum(np.outer(norm, norm), np.finfo(np.float64).tiny)
        # Of each group of like units all but the first.
        found += [(number, j) for j in range(len(lines)) if (likeness[j, :j] > ALIKE).any()]
    advice = "none" if not found else f"{_names(found)}: much the same as another unit of their layer; fit fewer units"
    return Finding("duplicate units", f"{len(found)} of {sum(map(len, units))}", advice)


def _names(found: list[tuple[int, Any]]) -> str:
    """Layer and unit, counted from 1; at most five of them."""
    names = ", ".join(f"{layer}.{unit + 1}" for layer, unit in found[:5])
    return names if len(found) <= 5 else f"{names} and {len(found) - 5} more"
