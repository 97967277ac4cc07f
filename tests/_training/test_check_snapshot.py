"""Files that no fit has written, or that a fit cannot write: one clear error each, or a fit, and never a crash.

Naive: arrays of other shapes go to kernels, which write beyond their ends.
"""

import errno
import json
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import interrupt_at, may_end_early

from sklearn_lm import LMRegressor
from sklearn_lm._training.checkpoint import Checkpoint

DAMAGED = r"is not a checkpoint that this version can read.*Delete the file"
PARAMETERS = [
    {"alpha": "evidence", "n_starts": 2},
    {"alpha": 1e-3, "n_starts": 1, "early_stopping": True},
    {"alpha": "evidence", "n_starts": 1, "n_networks": 2},
]


@pytest.fixture
def data(rng):
    X = np.exp(rng.normal(scale=2.0, size=(40, 2)))  # skewed: with a power map
    return X, np.column_stack([np.sin(np.log(X[:, 0])), X[:, 1] > 1])


def make(**parameters):
    return LMRegressor(**{"hidden_layer_sizes": 3, "max_iter": 12, "random_state": 0, "max_time": 5.0, **parameters})


def fit(model, data):
    with may_end_early():
        return model.fit(*data)


@pytest.fixture(params=PARAMETERS, ids=str)
def written(request, data, tmp_path, monkeypatch):
    """A model with the file of its interrupted fit, the members of the file, and a function that writes other ones."""
    file = tmp_path / "fit.npz"
    model = make(checkpoint=file, **request.param)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 11)
        with pytest.raises(KeyboardInterrupt):
            fit(model, data)
    with np.load(file) as archive:
        members = dict(archive)
    return model, members, lambda **changes: np.savez(file, **{**members, **changes})


def test_a_transform_without_exponent_is_no_damage(data, tmp_path, monkeypatch, rng):
    """arcsinh has the exponent NaN."""
    data = rng.standard_cauchy(size=(80, 2)), rng.normal(size=80)
    undisturbed = fit(make(alpha="evidence", n_starts=1), data)
    assert np.isnan(undisturbed.x_power_.exponent).any()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            fit(make(alpha="evidence", n_starts=1, checkpoint=tmp_path / "fit.npz"), data)
    again = fit(make(alpha="evidence", n_starts=1, checkpoint=tmp_path / "fit.npz"), data)
    np.testing.assert_array_equal(again.predict(data[0]), undisturbed.predict(data[0]))


def test_an_array_of_another_shape_or_type_is_an_error(written, data):
    model, members, write = written
    names = [name for name in members if name != "content"]
    assert len(names) > 20
    for name in names:
        Z = members[name]
        for changed in (Z[:-1], np.append(Z, Z[-1:]), np.append(Z, np.zeros(1000, Z.dtype)), Z[None], Z.astype("f4")):
            write(**{name: changed})
            try:
                fit(model, data)  # such as row numbers that are no division: the rows are divided anew
            except ValueError as error:
                assert "is not a checkpoint" in str(error), (name, error)  # noqa: PT017
            write()


def leaves(value, path=()):
    """Return the paths to all parts of a JSON value."""
    parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(leaf for key, part in parts for leaf in leaves(part, (*path, key)))]


@pytest.mark.parametrize("change", [None, -1, 10**9, 0.5, "x", [], {}, {"array": 3}, {"theta": []}], ids=str)
def test_another_value_is_an_error_or_a_fit(written, data, change):
    model, members, write = written
    content = json.loads(str(members["content"]))
    paths = [("parts", *path) for path in leaves(content["parts"])]
    rng = np.random.default_rng(0)
    for number in rng.choice(len(paths), size=max(1, len(paths) // 50), replace=False):
        changed = json.loads(str(members["content"]))
        *outer, last = paths[number]
        part = changed
        for key in outer:
            part = part[key]
        part[last] = change
        write(content=np.array(json.dumps(changed)))
        try:
            fit(model, data)
        except ValueError as error:
            assert "is not a checkpoint" in str(error), (paths[number], error)  # noqa: PT017
        write()


def npy(header: str) -> bytes:
    """Return an array without data, of this header."""
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def as_content(text: str) -> dict[str, bytes]:
    return {
        "content.npy": npy(f"{{'descr': '<U{len(text)}', 'fortran_order': False, 'shape': ()}}")
        + text.encode("utf-32-le")
    }


HOSTILE = {
    "8 TB": {"content.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}")},
    "no bytes": {"content.npy": npy("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,)}")},
    "deep header": {"content.npy": npy("(" * 100)},
    "deep JSON": as_content("[" * 100_000),
    "deep parts": as_content('{"format": 4, "owner": {}, "parts": {"a": [' + "[" * 3000 + "]" * 3000 + ", 0]}}"),
    "no owner": as_content('{"format": 4, "owner": 3, "parts": {}}'),
    "no parts": as_content('{"format": 4, "owner": {}, "parts": {"a": 1}}'),
    "no dictionary": as_content("3"),
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_clear_error(tmp_path, members):
    """Naive: MemoryError, RecursionError, AttributeError."""
    with zipfile.ZipFile(tmp_path / "fit.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=DAMAGED):
        Checkpoint(tmp_path / "fit.npz", {}).random_state(None)


@pytest.mark.parametrize("kind", ["compressed", "unknown compression", "encrypted"])
def test_a_compressed_or_encrypted_file_is_one_clear_error(tmp_path, kind):
    """Naive: RuntimeError, NotImplementedError, or some GB of memory for a file of some MB."""
    file = tmp_path / "fit.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED) as archive:
        archive.writestr("content.npy", as_content(" " * 1000)["content.npy"])
    data = bytearray(file.read_bytes())
    directory = data.index(b"PK\x01\x02")
    if kind == "encrypted":
        data[6] = data[directory + 8] = 1
    elif kind == "unknown compression":
        data[8] = data[directory + 10] = 77
    file.write_bytes(data)
    with pytest.raises(ValueError, match=DAMAGED):
        Checkpoint(file, {})


def test_a_folder_is_one_clear_error(tmp_path):
    """Naive: IsADirectoryError."""
    with pytest.raises(ValueError, match=r"checkpoint=.* cannot be read .*directory.*Give another name"):
        Checkpoint(tmp_path, {})


def test_random_numbers_beyond_their_end_are_not_read(tmp_path):
    """Naive: NumPy takes any position, and reads memory that is not its own."""
    file, rng = tmp_path / "fit.npz", np.random.RandomState(0)
    state = rng.get_state(legacy=False)
    for position in (-1, 625, 10**9, 2.5):
        state["state"]["pos"] = position
        Checkpoint(file, {}).save("random_state", state)
        with pytest.raises(ValueError, match=DAMAGED):
            Checkpoint(file, {}).random_state(rng)
        file.unlink()


def test_a_full_disk_is_one_warning(data, tmp_path, monkeypatch):
    """Naive: OSError, and the fit is lost."""
    undisturbed = fit(make(alpha=1e-3, n_starts=1), data)
    n_writes = 0

    def fail(self, content):
        nonlocal n_writes
        n_writes += 1
        with open(self, "wb") as file:
            file.write(content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = make(alpha=1e-3, n_starts=1, checkpoint=tmp_path / "fit.npz").fit(*data)
    assert n_writes > 1
    assert [warning.category for warning in caught if "No space left" in str(warning.message)] == [RuntimeWarning]
    np.testing.assert_array_equal(model.predict(data[0]), undisturbed.predict(data[0]))
    assert not list(tmp_path.iterdir())


def test_two_fits_of_one_name_do_not_end_each_other(tmp_path):
    """Naive: one temporary name: each takes away the file of the other, FileNotFoundError."""
    (tmp_path / "fit.npz.of_the_caller.tmp").touch()
    files, errors = [Checkpoint(tmp_path / "fit.npz", {}) for _ in range(2)], []

    def write(file: Checkpoint) -> None:
        try:
            for number in range(60):
                file.save("part", [number])
                if number % 10 == 9:
                    file.remove()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(file,)) for file in files]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert not caught
    assert [file.name for file in tmp_path.iterdir()] == ["fit.npz.of_the_caller.tmp"]
