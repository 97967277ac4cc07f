"""State of an estimator for saving: plain arrays, text and numbers, with the release that wrote them.

Pickle, joblib, cloudpickle, `copy.deepcopy` and skops all use this state. The only class of this package in it is the
estimator's own, so that skops need not trust any other.
"""

import json
from typing import Any, Self

import numpy as np

from .._optimize.linearization import GramLinearization, JacobianLinearization
from .._training.checkpoint import TUPLES, decode, encode
from .._uncertainty.heteroscedastic import NoiseModel
from .._uncertainty.posterior import Factor, Posterior, PosteriorState
from .._uncertainty.predictive import LooScore, NoiseModels
from .prediction import Attributes

# To be raised when `__setstate__` of earlier releases cannot read a state any more.
FORMAT = 1
# Attributes that are not plain data, and the NamedTuples that they are made of, by their names in saved models.
PACKED = ("_loo", "_noise_models", "_posterior", "_precisions", "_snapshot", "x_power_")
KINDS = {
    **TUPLES, "dual": JacobianLinearization, "factor": Factor, "loo": LooScore, "noise": NoiseModel,
    "normal": GramLinearization, "posterior": PosteriorState,
}  # fmt: skip


class PersistenceMixin:
    """Add a state of plain data to `LMRegressor`, for all ways to save it."""

    def __getstate__(self) -> Attributes:
        """Return all attributes as plain data."""
        from .. import __version__  # the package imports this module

        inherited: Any = super().__getstate__()
        state = {**inherited, "_saved_by": {"format": FORMAT, "release": __version__}}
        for name in PACKED:
            value, arrays = state.get(name), list[np.ndarray]()
            if value is not None:
                value = value.state if name == "_posterior" else value.models if name == "_noise_models" else value
                text = json.dumps(encode(value, arrays, KINDS))
                state[name] = {"text": text, "arrays": {f"a{i}": array for i, array in enumerate(arrays)}}
        return state

    def __setstate__(self, state: Attributes) -> None:
        """Set all attributes.

        Raises
        ------
        ValueError
            If a later release wrote the state in a format that this one cannot read.
        """
        from .. import __version__

        saved_by = state.get("_saved_by") or {"release": "unknown"}
        if saved_by.get("format") != FORMAT:
            raise ValueError(
                f"This model was saved by release {saved_by['release']} of sklearn-lm, in a form that this release, "
                f"{__version__}, does not know. Load it with the release that saved it, or fit it again."
            )
        # Release 0.1.0 wrote `_memory` for a warm start, which is not read: such a model continues from its weights.
        state = {name: value for name, value in state.items() if name not in ("_saved_by", "_memory")}
        for name in PACKED:
            if state.get(name) is not None:
                arrays = state[name]["arrays"]
                value = decode(json.loads(state[name]["text"]), [arrays[f"a{i}"] for i in range(len(arrays))], KINDS)
                if name == "_posterior":
                    value = Posterior(value)
                state[name] = NoiseModels(models=value) if name == "_noise_models" else value
        # A parameter that the earlier release did not have gets its default: `repr` and `fit` read all of them.
        super().__setstate__({**vars(type(self)()), **state})  # type: ignore[misc]

    def __copy__(self) -> Self:
        """Return a shallow copy, without the conversion to plain data."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new
