"""A model as it is saved: plain arrays, text and numbers, with the release that wrote them.

Pickle, joblib, cloudpickle, `copy.deepcopy` and skops all ask for this state. It holds no class of this package but the
estimator's own, so that skops needs to trust no other.
"""

import json
from typing import Any, Self

from ._checkpoint import decode, encode
from ._objective import DualEquations, NormalEquations

# Raise it when a state is no longer what `__setstate__` of earlier releases understands.
FORMAT = 1


class PersistenceMixin:
    """State of an estimator for every way to save it."""

    def __getstate__(self) -> dict[str, Any]:
        from . import __version__  # the package imports this module

        inherited: Any = super().__getstate__()
        state = dict(inherited)
        state["_saved_by"] = {"format": FORMAT, "release": __version__}
        if state.get("_equations") is not None:
            state["_equations"] = state["_equations"]._asdict()
        if "_memory" in state:  # of a race, see `warm_start`
            arrays: list = []
            text = json.dumps(encode(state["_memory"], arrays))
            state["_memory"] = {"text": text, "arrays": {f"a{i}": array for i, array in enumerate(arrays)}}
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
            from . import __version__

            raise ValueError(
                f"This model was saved by release {release} of sklearn-lm, in a form that this release, {__version__}, "
                "does not know. Load it with the release that saved it, or fit it again."
            )
        if state.get("_equations") is not None:
            kind = DualEquations if "jacobian" in state["_equations"] else NormalEquations
            state["_equations"] = kind(**state["_equations"])
        if "_memory" in state:
            state["_memory"] = decode(json.loads(state["_memory"]["text"]), state["_memory"]["arrays"])
        super().__setstate__(state)  # type: ignore[misc]

    def __copy__(self) -> Self:
        """Shallow: nothing is written down on the way."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new
