"""Checks of a snapshot from a file, before anything is computed with it.

Kernels do not check shapes: with an array that is too short they would read and write beyond its end. So types are
compared with the annotations of the NamedTuples, and each array with the shape that its name demands.
"""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from .snapshot import Snapshot

MAX_INT, MAX_SEED = 2**53, 2**32
NUMBERS = (bool, int, float)


class Sizes(NamedTuple):
    """Sizes of a fit, on which the shapes of its arrays depend."""

    n_parameters: int
    n_groups: int  # of the penalty
    n_inputs: int
    n_outputs: int


def check_snapshot(value: object, sizes: Sizes) -> Snapshot:
    """Return `value`, which is a snapshot of a fit of these sizes.

    Raises
    ------
    ValueError
        If it is not.
    """
    p = sizes.n_parameters
    shapes: dict[str, tuple[int, ...]] = {
        "theta": (p,), "best_theta": (p,), "gamma": (p,), "diagonal": (p,), "alpha": (sizes.n_groups,),
        "rescalings": (sizes.n_outputs,), "x": (sizes.n_inputs,), "y": (sizes.n_outputs,),
    }  # fmt: skip
    _check(value, Snapshot, ("snapshot",), shapes)
    assert isinstance(value, Snapshot)
    column, *others = value.scalings.power
    n_mapped = (len(column),)
    _require(all(Z.shape == n_mapped for Z in value.scalings.power), "power")
    _require(bool(np.all((column >= 0) & (column < sizes.n_inputs))), "power")
    positive = [value.scalings.x.scale, value.scalings.y.scale, others[1]]
    _require(all(bool(np.all(Z > 0)) for Z in positive), "scale")
    _require("train" in value.split_indices and value.seed < MAX_SEED, "seed")
    for i, run in enumerate([*value.runs, *value.later]):
        _require(i >= len(value.runs) or run.number == i, "number")
        _require(len({frozenset(row) for row in run.rows}) <= 1, "rows")
        if run.optimizer is not None:
            _require(len(run.rows) == run.optimizer.iteration + 1 and len(run.optimizer.costs) > 0, "rows")
        _require((run.start.precisions is None) == (run.evidence is None), "precisions")
        best = None if run.evidence is None else run.evidence.best
        _require(best is None or len(best.hyperparameter_history) > 0, "hyperparameter_history")
    return value


def check_random_state(state: object) -> None:
    """Raise ValueError unless `state` is one of NumPy's RandomState: numbers beyond its end would be read."""
    _require(isinstance(state, dict) and isinstance(state.get("state"), dict), "random_state")
    assert isinstance(state, dict)
    key, position = state["state"].get("key"), state["state"].get("pos", 0)
    if key is not None:  # of the Mersenne Twister
        _require(isinstance(key, np.ndarray) and key.shape == (624,) and key.dtype.kind in "ui", "random_state")
    _require(type(position) is int and 0 <= position <= 624, "random_state")


def _require(is_valid: bool, name: str) -> None:
    if not is_valid:
        raise ValueError(f"{name} is damaged, or of a fit of another size")


def _check(value: object, kind: type, path: tuple[str, ...], shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless `value` has the annotated type `kind`, with arrays of these shapes; `path` leads to it.

    An array without a shape of its own is a vector of any length.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        assert parts[1:] == (NoneType,)
        if value is not None:
            _check(value, parts[0], path, shapes)
    elif issubclass(origin or kind, tuple):  # a NamedTuple
        _require(type(value) is kind, path[-1])
        for name, part_kind in get_type_hints(kind).items():
            _check(getattr(value, name), part_kind, (*path, name), shapes)
    elif origin is dict:
        _require(isinstance(value, dict) and all(type(name) is str for name in value), path[-1])
        assert isinstance(value, dict)
        for part in value.values():
            _check(part, parts[1], path, shapes)
    elif issubclass(origin or kind, Sequence) and kind is not str:
        _require(isinstance(value, list | tuple), path[-1])
        assert isinstance(value, list | tuple)
        for part in value:
            _check(part, parts[0], path, shapes)
    elif kind is np.ndarray:
        _require(isinstance(value, np.ndarray), path[-1])
        assert isinstance(value, np.ndarray)
        shape = next((shapes[name] for name in reversed(path) if name in shapes), (value.size,))
        is_index = path[1] == "split_indices" or path[-1] == "column"
        _require(value.shape == shape and value.dtype.kind == ("i" if is_index else "f"), path[-1])
        _require(is_index or value.dtype == np.float64, path[-1])
        _require(path[-1] == "exponent" or bool(np.isfinite(value).all()), path[-1])  # NaN: arcsinh
    elif kind is float:
        _require(type(value) in NUMBERS, path[-1])
    elif kind is int:
        _require(type(value) is int and 0 <= value < MAX_INT, path[-1])
    else:
        _require(type(value) is kind, path[-1])
