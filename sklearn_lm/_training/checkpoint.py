"""A fit on disk: its snapshots, and the description of the fit that they belong to.

The file is a zip archive of plain arrays and one JSON text (numpy's ``.npz``). It holds no code, and reading it runs
none. It is written to a temporary file beside it, which then takes its name, so that there is always a whole one. The
temporary files of two processes have different names.
"""

import io
import json
import math
import os
import re
import threading
import uuid
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._data.scaling import Scaling
from .._data.yeo_johnson import PowerTransform, Scalings
from .._network.penalty import Precisions
from .._optimize.damping import Damping
from .._optimize.state import OptimizerSnapshot
from .check_snapshot import Sizes, check_random_state, check_snapshot
from .snapshot import BestEvidence, EvidenceState, RunSnapshot, Snapshot, Start

Json = Any  # what the json module reads and writes
FORMAT = 4
# Classes that a file may hold, by name: reading makes these and nothing else.
TUPLES: dict[str, type] = {
    "best": BestEvidence, "damping": Damping, "evidence": EvidenceState, "optimizer": OptimizerSnapshot,
    "power": PowerTransform, "precisions": Precisions, "run": RunSnapshot, "scaling": Scaling, "scalings": Scalings,
    "snapshot": Snapshot, "start": Start,
}  # fmt: skip


class Checkpoint:
    """The file of one call of `fit`: a snapshot of each network that it fits.

    A network that is done stays in the file as it was last reported: it is brought to its end again, by less than an
    iteration, and what followed from it follows again.

    Parameters
    ----------
    path : str or path-like
    owner : mapping of str to str
        What the fit is made of (`fingerprint` for data); a file with another owner is an error.

    Raises
    ------
    ValueError
        If there is no such folder, or a file that is no checkpoint, or one of another fit.
    """

    def __init__(self, path: str | os.PathLike, owner: Mapping[str, str]):
        """Read the file, if there is one."""
        self.path, self.owner = Path(path), dict(owner)
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r}: the folder {str(self.path.parent)!r} does not exist.")
        self._saving, self._has_warned = threading.Lock(), False
        # By name: JSON of a part as `encode` made it, and its arrays.
        self._parts: dict[str, tuple[Json, list[np.ndarray]]] = {}
        self.is_begun = self._read()

    def _read(self) -> bool:
        """Take over what was saved; False if there is no file."""
        try:
            owner = self._read_parts()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ValueError(f"checkpoint={str(self.path)!r} cannot be read ({error}). Give another name.") from error
        except Exception as error:  # the file may hold anything, and zipfile, JSON and NumPy have many errors
            raise self._damaged(error) from error
        if owner != self.owner:
            different = [name for name in self.owner if self.owner[name] != owner.get(name)]
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {', '.join(different)} differ. "
                "Go on with what it was begun with, delete the file, or give another name."
            )
        return True

    def _read_parts(self) -> dict[str, str]:
        """Take over the parts of the file, and return its owner."""
        with zipfile.ZipFile(self.path) as archive:
            content = json.loads(str(_read_array(archive, "content")))
            if content["format"] != FORMAT:
                raise ValueError("another version of the format")
            owner = content["owner"]
            if not isinstance(owner, dict):
                raise ValueError("no owner")
            for name, (part, n_arrays) in content["parts"].items():
                self._parts[name] = part, [_read_array(archive, f"{name}/{i}") for i in range(n_arrays)]
        if owner == self.owner:
            for part, arrays in self._parts.values():
                decode(part, arrays)
        return owner

    def _damaged(self, error: Exception) -> ValueError:
        return ValueError(
            f"checkpoint={str(self.path)!r} is not a checkpoint that this version can read "
            f"({str(error) or type(error).__name__}). Delete the file, or give another name."
        )

    def part(self, name: str) -> "Part":
        return Part(self, name)

    def random_state(self, given: np.random.RandomState) -> np.random.RandomState:
        """Return `given`, or as it was when the fit began: what follows from it is drawn again."""
        name = "random_state"
        if name not in self._parts:
            self._put(name, given.get_state(legacy=False))
            return given
        rng = np.random.RandomState()
        try:
            state = self._load(name)
            check_random_state(state)
            rng.set_state(state)
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(error) from error
        return rng

    def load(self, name: str, sizes: Sizes) -> Snapshot | None:
        """Return a part as it was saved, or None. An error if it is not of a fit of these sizes."""
        value = self._load(name)
        try:
            return None if value is None else check_snapshot(value, sizes)
        except ValueError as error:
            raise self._damaged(error) from error

    def _load(self, name: str) -> Json:
        return decode(*self._parts[name]) if name in self._parts else None

    def save(self, name: str, value: object) -> None:
        """Replace a part, and write the file anew. If that fails, the fit is worth more than the file: warn once."""
        with self._saving:
            self._put(name, value)
            parts = {name: [part, len(arrays)] for name, (part, arrays) in self._parts.items()}
            content = {"format": FORMAT, "owner": self.owner, "parts": parts}
            named = {f"{name}/{i}": Z for name, (_, arrays) in self._parts.items() for i, Z in enumerate(arrays)}
            archive = io.BytesIO()  # in memory: a ZipFile that could not be written fails once more when it is deleted
            np.savez(archive, content=np.array(json.dumps(content)), **named)  # type: ignore[arg-type]
            try:
                self._write(archive.getbuffer())
            except OSError as error:
                self._warn("written", error)

    def _write(self, data: memoryview, n_attempts: int = 4) -> None:
        """Replace the file at once: a temporary file of a name of its own takes its name."""
        temporary = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, self.path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if n_attempts == 1 or not isinstance(error, FileNotFoundError):
                raise
            self._write(data, n_attempts - 1)  # another fit of this name has come to its end, and has cleaned up

    def _warn(self, done: str, error: OSError) -> None:
        """Warn once."""
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"checkpoint={str(self.path)!r} could not be {done} ({error}); the fit goes on. Until there is space, "
                "or permission, a fit that is killed continues from the file as it is, or from the beginning.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _put(self, name: str, value: object) -> None:
        arrays: list[np.ndarray] = []
        self._parts[name] = encode(value, arrays), arrays

    def remove(self) -> None:
        """Delete the file, after a fit that came to its end, and what processes left that were killed in a write."""
        temporary = re.compile(re.escape(self.path.name) + r"\.[0-9a-f]{32}\.tmp")
        try:
            self.path.unlink(missing_ok=True)
            for file in self.path.parent.iterdir():
                if temporary.fullmatch(file.name):
                    file.unlink(missing_ok=True)
        except OSError as error:
            self._warn("removed", error)


class Part(NamedTuple):
    """The part of a checkpoint that belongs to one network."""

    file: Checkpoint
    name: str

    def load(self, sizes: Sizes) -> Snapshot | None:
        return self.file.load(self.name, sizes)

    def save(self, snapshot: Snapshot) -> None:
        self.file.save(self.name, snapshot)


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return a member as an array. It takes no more memory than the file has bytes, whatever its header says."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or member.file_size != member.compress_size:
        raise ValueError(f"{name} is compressed or encrypted")
    data = io.BytesIO(archive.read(member))
    if np.lib.format.read_magic(data) != (1, 0):
        raise ValueError(f"{name} is no plain array")
    shape, _, dtype = np.lib.format.read_array_header_1_0(data)
    size = math.prod(shape) * dtype.itemsize
    if dtype.kind not in "biufU" or not dtype.isnative or size != len(data.getbuffer()) - data.tell():
        raise ValueError(f"{name} is no plain array")
    data.seek(0)
    return np.load(data, allow_pickle=False)


def encode(value: object, arrays: list[np.ndarray], tuples: Mapping[str, type] = TUPLES) -> Json:
    """Return `value` as JSON can hold it; arrays are appended to `arrays`. Floats keep all their digits."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    for name, kind in tuples.items():
        if isinstance(value, tuple) and type(value) is kind:
            return {name: [encode(part, arrays, tuples) for part in value]}
    rows = value if isinstance(value, list) else []
    if rows and all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {"table": [[name, encode(column, arrays, tuples)] for name, column in columns.items()]}
    if isinstance(value, list | tuple):
        return [encode(part, arrays, tuples) for part in value]
    if isinstance(value, dict):  # as pairs, for keys that are no text
        return {"dict": [[key, encode(part, arrays, tuples)] for key, part in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    return value


def decode(value: Json, arrays: Sequence[np.ndarray], tuples: Mapping[str, type] = TUPLES) -> Json:
    """Return the inverse of `encode`, except that tuples without a name become lists."""
    if isinstance(value, list):
        return [decode(part, arrays, tuples) for part in value]
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    if name == "array":
        return arrays[content]
    if name == "table":
        columns = [decode(column, arrays, tuples).tolist() for _, column in content]
        return [dict(zip([key for key, _ in content], row, strict=True)) for row in zip(*columns, strict=True)]
    if name == "dict":
        return {key: decode(part, arrays, tuples) for key, part in content}
    return tuples[name](*decode(content, arrays, tuples))
