"""Machine code on disk is used again, and never after a source file of the kernels has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import COMPILED

import sklearn_lm

CALLEE = "from .compile import jit\n\n\n@jit()\ndef add(x):\n    return x + {}\n"
CALLER = "from .callee import add\nfrom .compile import jit\n\n\n@jit()\ndef add_twice(x):\n    return add(add(x))\n"
CALL = (
    "from sklearn_lm._kernels.caller import add_twice; x = add_twice(1.0);"
    "print(x, sum(add_twice.stats.cache_hits.values()))"
)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_changed_callee_in_another_file_is_seen(tmp_path):
    """numba compares the source file of the outer kernel only, and would go on with the old callee."""
    package = tmp_path / "sklearn_lm"
    shutil.copytree(Path(sklearn_lm.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}

    def call() -> tuple[float, int]:
        """Return the result in a new process, and how often machine code was read from disk."""
        run = subprocess.run(
            [sys.executable, "-c", CALL], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stderr
        result, n_hits = run.stdout.split()
        return float(result), int(n_hits)

    (package / "_kernels" / "caller.py").write_text(CALLER)
    (package / "_kernels" / "callee.py").write_text(CALLEE.format(1.0))
    assert call() == (3.0, 0)
    assert call() == (3.0, 1)
    (package / "_kernels" / "callee.py").write_text(CALLEE.format(2.0))
    assert call() == (5.0, 0)
