"""A fit on disk: what it must remember to go on in another process, and whose fit it is.

The file is a zip archive of plain arrays and one JSON text (numpy's ``.npz``). It holds no code, and reading it runs
none. It is written to a temporary file beside it, which then takes its name, so that there is always a whole one.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _monitor, _optimizer, _race
from ._power import Power, Scalings
from ._rows import Source, sweep
from ._scaling import Scaling

FORMAT = 1
# What may stand in a file, by name: reading makes these and nothing else.
TUPLES = {
    "damping": _optimizer.Damping,
    "standing": _optimizer.Standing,
    "monitor": _monitor.Memory,
    "runner": _race.Memory,
    "race": _race.RaceMemory,
    "power": Power,
    "scaling": Scaling,
    "scalings": Scalings,
}
ENDINGS = {ending.name: ending for ending in _optimizer.Ending}


class Before(NamedTuple):
    """What a fit goes on from: an earlier one of the same model, or its own checkpoint."""

    scalings: Scalings
    split_indices: dict[str, np.ndarray]
    race: _race.RaceMemory | None
    theta: np.ndarray  # where to begin if the race cannot go on

    @property
    def n_starts(self) -> int:
        return len(self.race.runners) if self.race else 1


class Checkpoint:
    """The file of one fit.

    Parameters
    ----------
    path : str or path-like
    owner : mapping of str to str
        What the fit is made of (`fingerprint` for data); a file with another owner is refused.
    """

    def __init__(self, path: str | os.PathLike, owner: Mapping[str, str]):
        self.path, self.owner = Path(path), dict(owner)
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r}: the folder {str(self.path.parent)!r} does not exist.")
        self._temporary = self.path.with_name(self.path.name + ".tmp")

    def load(self) -> Before | None:
        """What was saved, or None if there is no file.

        Raises
        ------
        ValueError
            If the file is no checkpoint, or one of another fit.
        """
        try:
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            content = json.loads(str(arrays.pop("content")))
            if content["format"] != FORMAT:
                raise ValueError("another version of the format")
            owner = content["owner"]
            saved = None if owner != self.owner else decode(content["saved"], arrays)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a checkpoint that this version can read ({error}). "
                "Delete the file, or give another name."
            ) from error
        if saved is None:
            different = [name for name in self.owner if self.owner[name] != owner.get(name)]
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {', '.join(different)} differ. "
                "Go on with what it was begun with, delete the file, or give another name."
            )
        scalings, split_indices, race = saved
        return Before(scalings, split_indices, race, race.leading())

    def save_race(self, scalings: Scalings, split_indices: dict[str, np.ndarray], race: _race.RaceMemory) -> None:
        arrays: list[np.ndarray] = []
        content = {
            "format": FORMAT,
            "owner": self.owner,
            "saved": encode([scalings, split_indices, race], arrays),
        }
        with open(self._temporary, "wb") as file:
            named = {f"a{i}": array for i, array in enumerate(arrays)}
            np.savez(file, content=np.array(json.dumps(content)), **named)  # type: ignore[arg-type]
        os.replace(self._temporary, self.path)

    def remove(self) -> None:
        """After a fit that came to its end."""
        self.path.unlink(missing_ok=True)
        self._temporary.unlink(missing_ok=True)  # of a process that was killed while it wrote


def fingerprint(arrays: Iterable[np.ndarray | Source | None]) -> str:
    """The same for equal arrays, and practically never for others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(repr(array.shape).encode())
        for block in sweep(array):
            digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return digest.hexdigest()


def encode(value: Any, arrays: list[np.ndarray], tuples: Mapping[str, Any] = TUPLES) -> Any:
    """As JSON can hold it; arrays are put into `arrays`. Floats keep all their digits."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, _optimizer.Ending):
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
