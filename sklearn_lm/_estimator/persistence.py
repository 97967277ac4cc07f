"""A model as it is saved: plain arrays, text and numbers, with the release that wrote them.

Pickle, joblib, cloudpickle, `copy.deepcopy` and skops all ask for this state. It holds no class of this package but the
estimator's own, so that skops needs to trust no other.
"""

import json
from typing import Any, Self

from .._data.yeo_johnson import PowerTransform
from .._network.penalty import Precisions
from .._optimize.linearization import GramLinearization, JacobianLinearization
from .._training.checkpoint import TUPLES, decode, encode
from .._uncertainty.heteroscedastic import NoiseModel
from .._uncertainty.posterior import Factor, Posterior, PosteriorState
from .._uncertainty.predictive import LooScore, NoiseModels

# Raise it when a state is no longer what `__setstate__` of earlier releases understands.
FORMAT = 1
# Attributes that are no plain data, and what they are made of.
PACKED = ("_loo", "_noise_models", "_posterior", "_precisions", "_snapshot", "x_power_")
KINDS = {
    **TUPLES,
    "dual": JacobianLinearization,
    "factor": Factor,
    "loo": LooScore,
    "noise": NoiseModel,
    "normal": GramLinearization,
    "posterior": PosteriorState,
    "power": PowerTransform,
    "precisions": Precisions,
}


class PersistenceMixin:
    """State of an estimator for every way to save it."""

    def __getstate__(self) -> dict[str, Any]:
        from .. import __version__  # the package imports this module

        inherited: Any = super().__getstate__()
        state = dict(inherited)
        state["_saved_by"] = {"format": FORMAT, "release": __version__}
        for name in PACKED:
            if state.get(name) is not None:
                arrays: list = []
                value = state[name]
                if isinstance(value, Posterior):
                    value = value.state
                elif isinstance(value, NoiseModels):
                    value = value.models
                text = json.dumps(encode(value, arrays, KINDS))
                state[name] = {"text": text, "arrays": {f"a{i}": array for i, array in enumerate(arrays)}}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """
        Raises
        ------
        ValueError
            If a later release wrote the state in a form that this one does not know.
        """
        state = dict(state)
        saved_by = state.pop("_saved_by", None)
        if not isinstance(saved_by, dict) or saved_by.get("format") != FORMAT:
            release = saved_by.get("release", "unknown") if isinstance(saved_by, dict) else "unknown"
            from .. import __version__

            raise ValueError(
                f"This model was saved by release {release} of sklearn-lm, in a form that this release, {__version__}, "
                "does not know. Load it with the release that saved it, or fit it again."
            )
        # What release 0.1.0 wrote for a warm start is not read: such a model begins at its weights.
        state.pop("_memory", None)
        for name in PACKED:
            if state.get(name) is not None:
                arrays = state[name]["arrays"]
                value = decode(json.loads(state[name]["text"]), [arrays[f"a{i}"] for i in range(len(arrays))], KINDS)
                if name == "_noise_models":
                    value = NoiseModels(models=value)
                state[name] = Posterior(value) if isinstance(value, PosteriorState) else value
        super().__setstate__(state)  # type: ignore[misc]

    def __copy__(self) -> Self:
        """Shallow: nothing is written down on the way."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new
