"""Machine code on disk is used again, and never after a source file of the kernels has changed."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from conftest import COMPILED
from numba.core.caching import IndexDataCacheFile

import sklearn_lm
from sklearn_lm._kernels.compile import KernelCache, jit

CALLEE = "from .compile import jit\n\n\n@jit()\ndef add(x):\n    return x + {}\n"
CALLER = "from .callee import add\nfrom .compile import jit\n\n\n@jit()\ndef add_twice(x):\n    return add(add(x))\n"
CALL = (
    "from sklearn_lm._kernels.caller import add_twice; x = add_twice(1.0);"
    "print(x, sum(add_twice.stats.cache_hits.values()))"
)
BUNDLE = (
    "from typing import NamedTuple\n\nfrom .compile import jit\n\n\n"
    "class {}(NamedTuple):\n    x: float\n    n: int\n\n\n"
    "@jit()\ndef product(pair):\n    return pair.x * pair.n\n"
)
CALL_WITH_BUNDLE = (
    "from sklearn_lm._kernels.bundle import {0}, product; x = product({0}(2.0, 3));"
    "print(x, sum(product.stats.cache_hits.values()))"
)

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


class CopiedPackage:
    """Copy of the package, with files of its own and an empty cache."""

    def __init__(self, folder: Path):
        self.folder, self.kernels = folder, folder / "sklearn_lm" / "_kernels"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(sklearn_lm.__file__).parent, folder / "sklearn_lm", ignore=ignore)

    def call(self, code: str) -> tuple[float, int]:
        """Return the result in a new process, and how often machine code was read from disk."""
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(self.folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stderr
        result, n_hits = run.stdout.split()
        return float(result), int(n_hits)


@pytest.fixture
def package(tmp_path) -> CopiedPackage:
    return CopiedPackage(tmp_path)


def test_a_changed_callee_in_another_file_is_seen(package):
    """numba compares the source file of the outer kernel only, and would go on with the old callee."""
    (package.kernels / "caller.py").write_text(CALLER)
    (package.kernels / "callee.py").write_text(CALLEE.format(1.0))
    assert package.call(CALL) == (3.0, 0)
    assert package.call(CALL) == (3.0, 1)
    (package.kernels / "callee.py").write_text(CALLEE.format(2.0))
    assert package.call(CALL) == (5.0, 0)


def test_machine_code_for_a_bundle_that_was_renamed_is_not_read(package):
    """The index of the cache names the classes of arguments: an upgrade would fail with "Can't get attribute"."""
    (package.kernels / "bundle.py").write_text(BUNDLE.format("Pair"))
    assert package.call(CALL_WITH_BUNDLE.format("Pair")) == (6.0, 0)
    assert package.call(CALL_WITH_BUNDLE.format("Pair")) == (6.0, 1)
    (package.kernels / "bundle.py").write_text(BUNDLE.format("Factors"))
    assert package.call(CALL_WITH_BUNDLE.format("Factors")) == (6.0, 0)


def increment(x):
    return x + 1


@pytest.fixture
def n_hits(tmp_path, monkeypatch):
    """Function that compiles anew with an empty cache, and returns how often machine code was read from disk."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(KernelCache, "_has_warned", False)

    def compile_anew() -> int:
        kernel = jit()(increment)
        assert (kernel(1), kernel(1.5)) == (2, 2.5)
        return sum(kernel.stats.cache_hits.values())

    return compile_anew


@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("n_bytes", [0, 200])
def test_a_damaged_file_is_written_anew(n_hits, tmp_path, kind, n_bytes):
    """numba: EOFError or UnpicklingError, in this process and in all that follow."""
    assert n_hits() == 0
    for file in tmp_path.rglob(kind):
        file.write_bytes(file.read_bytes()[:n_bytes])
    with pytest.warns(RuntimeWarning, match="could not be read .* NUMBA_CACHE_DIR") as warned:
        assert n_hits() == 0
    assert len(warned) == 1
    assert n_hits() == 2


def test_a_full_disk_is_one_warning(n_hits, monkeypatch):
    """numba: OSError."""

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "_open_for_write", fail)
        with pytest.warns(RuntimeWarning, match="could not be written .*No space left.* NUMBA_CACHE_DIR") as warned:
            assert n_hits() == 0
        assert len(warned) == 1
    assert n_hits() == 0
    assert n_hits() == 2
