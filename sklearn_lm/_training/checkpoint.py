"""A fit on disk: what it must remember to go on in another process, and whose fit it is.

The file is a zip archive of plain arrays and one JSON text (numpy's ``.npz``). It holds no code, and reading it runs
none. It is written to a temporary file beside it, which then takes its name, so that there is always a whole one.
"""

import json
import os
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._data.scaling import Scaling
from .._data.yeo_johnson import PowerTransform, Scalings
from .._network.penalty import Precisions
from .._optimize import state
from .._optimize.damping import Damping
from .._optimize.termination import Ending
from . import evidence, history, multistart

FORMAT = 2
# What may stand in a file, by name: reading makes these and nothing else.
TUPLES = {
    "damping": Damping,
    "standing": state.OptimizerSnapshot,
    "monitor": history.Memory,
    "runner": multistart.Memory,
    "race": multistart.MultistartSnapshot,
    "evidence": evidence.EvidenceSnapshot,
    "found": evidence.BestEvidenceSnapshot,
    "precisions": Precisions,
    "power": PowerTransform,
    "scaling": Scaling,
    "scalings": Scalings,
}
ENDINGS = {ending.name: ending for ending in Ending}


class ResumePoint(NamedTuple):
    """What a fit goes on from: an earlier one of the same model, or its own checkpoint."""

    scalings: Scalings
    split_indices: dict[str, np.ndarray]
    race: multistart.MultistartSnapshot | None
    theta: np.ndarray  # where to begin if the race cannot go on
    precisions: Precisions | None = None  # and the precisions to begin with

    @property
    def n_starts(self) -> int:
        return len(self.race.runners) if self.race else 1


class WarmStartState(NamedTuple):
    """What a fitted model knows of its fit, to go on exactly."""

    race: multistart.MultistartSnapshot
    theta: np.ndarray  # as it was published: a model with other weights does not go on, but begins at these
    y_scale: np.ndarray  # that the fit began with; evidence fits change it


class Checkpoint:
    """The file of one call of `fit`: a part for each network that it fits.

    A network that is done stays in the file as it was told of last: it is brought to its end again, by less than an
    iteration, and what followed from it follows again.

    Parameters
    ----------
    path : str or path-like
    owner : mapping of str to str
        What the fit is made of (`fingerprint` for data); a file with another owner is refused.

    Raises
    ------
    ValueError
        If there is no such folder, or a file that is no checkpoint, or one of another fit.
    """

    def __init__(self, path: str | os.PathLike, owner: Mapping[str, str]):
        self.path, self.owner = Path(path), dict(owner)
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r}: the folder {str(self.path.parent)!r} does not exist.")
        self._temporary = self.path.with_name(self.path.name + ".tmp")
        self._saving = threading.Lock()
        # By name: what `encode` made of a part, with the arrays of it.
        self._parts: dict[str, tuple[Any, list[np.ndarray]]] = {}
        self.is_begun = self._read()

    def _read(self) -> bool:
        """Take over what was saved; False if there is no file."""
        try:
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            content = json.loads(str(arrays.pop("content")))
            if content["format"] != FORMAT:
                raise ValueError("another version of the format")
            owner = content["owner"]
            parts = {
                name: (part, [arrays[f"{name}/{i}"] for i in range(n_arrays)])
                for name, (part, n_arrays) in content["parts"].items()
            }
            if owner == self.owner:
                for part, part_arrays in parts.values():
                    _decoded(part, part_arrays)
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a checkpoint that this version can read ({error}). "
                "Delete the file, or give another name."
            ) from error
        if owner != self.owner:
            different = [name for name in self.owner if self.owner[name] != owner.get(name)]
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {', '.join(different)} differ. "
                "Go on with what it was begun with, delete the file, or give another name."
            )
        self._parts = parts
        return True

    def part(self, name: str) -> "Part":
        return Part(self, name)

    def random_state(self, given: np.random.RandomState) -> np.random.RandomState:
        """`given`, or as it was when the fit began: what follows from it is drawn again."""
        name = "random_state"
        if name not in self._parts:
            kind, key, position, has_gauss, gauss = given.get_state(legacy=True)
            self._parts[name] = [kind, {"array": 0}, position, has_gauss, gauss], [np.array(key)]
            return given
        state, (key,) = self._parts[name]
        rng = np.random.RandomState()
        rng.set_state((state[0], key, *state[2:]))
        return rng

    def load(self, name: str) -> ResumePoint | None:
        if name not in self._parts:
            return None
        scalings, split_indices, race = _decoded(*self._parts[name])
        return ResumePoint(scalings, split_indices, race, race.leading())

    def save(self, name: str, value: Any) -> None:
        arrays: list[np.ndarray] = []
        part = encode(value, arrays), arrays
        with self._saving:
            self._parts[name] = part
            content = {
                "format": FORMAT,
                "owner": self.owner,
                "parts": {name: [part, len(arrays)] for name, (part, arrays) in self._parts.items()},
            }
            named = {
                f"{name}/{i}": array for name, (_, arrays) in self._parts.items() for i, array in enumerate(arrays)
            }
            with open(self._temporary, "wb") as file:
                np.savez(file, content=np.array(json.dumps(content)), **named)  # type: ignore[arg-type]
            os.replace(self._temporary, self.path)

    def remove(self) -> None:
        """After a fit that came to its end."""
        self.path.unlink(missing_ok=True)
        self._temporary.unlink(missing_ok=True)  # of a process that was killed while it wrote


class Part:
    """What a checkpoint knows of one network."""

    def __init__(self, file: Checkpoint, name: str):
        self._file, self._name = file, name

    def load(self) -> ResumePoint | None:
        """What was saved, or None."""
        return self._file.load(self._name)

    def save_race(
        self, scalings: Scalings, split_indices: dict[str, np.ndarray], race: multistart.MultistartSnapshot
    ) -> None:
        self._file.save(self._name, [scalings, split_indices, race])


def _decoded(part: Any, arrays: list[np.ndarray]) -> Any:
    return decode(part, {f"a{i}": array for i, array in enumerate(arrays)})


def encode(value: Any, arrays: list[np.ndarray], tuples: Mapping[str, Any] = TUPLES) -> Any:
    """As JSON can hold it; arrays are put into `arrays`. Floats keep all their digits."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Ending):
        return {"ending": value.name}
    for name, kind in tuples.items():
        if type(value) is kind:
            return {name: [encode(part, arrays, tuples) for part in value]}
    if (
        isinstance(value, list)
        and value
        and all(isinstance(row, dict) and row.keys() == value[0].keys() for row in value)
    ):
        columns = {name: np.array([row[name] for row in value]) for name in value[0]}
        return {"table": [[name, encode(column, arrays, tuples)] for name, column in columns.items()]}
    if isinstance(value, list | tuple):
        return [encode(part, arrays, tuples) for part in value]
    if isinstance(value, dict):  # as pairs, for keys that are no text
        return {"dict": [[key, encode(part, arrays, tuples)] for key, part in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    return value


def decode(value: Any, arrays: Mapping[str, np.ndarray], tuples: Mapping[str, Any] = TUPLES) -> Any:
    """The inverse of `encode`, but for tuples without a name: they become lists."""
    if isinstance(value, list):
        return [decode(part, arrays, tuples) for part in value]
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    if name == "array":
        return arrays[f"a{content}"]
    if name == "ending":
        return ENDINGS[content]
    if name == "table":
        columns = [decode(column, arrays, tuples).tolist() for _, column in content]
        return [dict(zip([key for key, _ in content], row, strict=True)) for row in zip(*columns, strict=True)]
    if name == "dict":
        return {key: decode(part, arrays, tuples) for key, part in content}
    return tuples[name](*decode(content, arrays, tuples))
