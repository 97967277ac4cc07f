"""What the package needs of the machine: no writable folder, and no more memory after a thousand fits."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import COMPILED, may_end_early, size

import sklearn_lm
from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import Rows
from sklearn_lm._network.objective import Problem
from sklearn_lm._training.multistart import Multistart

SMALL_FIT = """
import hashlib, warnings
import numpy as np
warnings.simplefilter("ignore")
from sklearn_lm import LMRegressor
X = np.random.default_rng(0).normal(size=(20, 1))
model = LMRegressor(2, n_starts=1, max_iter=3, random_state=0).fit(X, X[:, 0] ** 2)
print(hashlib.sha256(model.predict(X).tobytes()).hexdigest())
"""


def start(code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-B", "-c", code], env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def output(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return out.strip()


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled, and nothing kept")
def test_where_nothing_is_writable(tmp_path):
    """Naive: `cache=True` and no more: "no locator available for file ...", and the import itself fails.

    A file stands in the place of every folder that numba may write to: that stops root as well.
    """
    package = tmp_path / "packages" / "sklearn_lm"
    source = Path(sklearn_lm.__file__).parent
    for module in source.rglob("*.py"):
        copied = package / module.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(module.read_bytes())
    for folder in {path.parent for path in package.rglob("*.py")}:
        (folder / "__pycache__").write_text("not a folder")
    home = tmp_path / "home"
    home.write_text("not a folder")
    places = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR")}
    code = f"import sys; sys.path.insert(0, {str(package.parent)!r})\n{SMALL_FIT}" + (
        "import sklearn_lm\n"
        f"assert sklearn_lm.__file__.startswith({str(package)!r}), sklearn_lm.__file__\n"
        "from sklearn_lm import _kernels\n"
        "assert type(_kernels.norm._cache).__name__ == 'NullCache', _kernels.norm._cache\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    uncached = subprocess.run(
        [sys.executable, "-B", "-c", code], env={**environment, **places}, capture_output=True, text=True, timeout=400
    )
    assert uncached.returncode == 0, uncached.stderr
    assert uncached.stdout.strip() == output(start(SMALL_FIT))
    assert home.read_text() == "not a folder"


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_two_processes_compile_into_one_empty_folder(tmp_path):
    """Naive: a cache file written in place: the other process reads half of it."""
    both = [start(SMALL_FIT, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    first, second = (output(process) for process in both)
    assert first == second
    assert list(tmp_path.rglob("*.nbi"))
    assert output(start(SMALL_FIT, NUMBA_CACHE_DIR=str(tmp_path))) == first


MANY_FITS = """
import gc, warnings
import numpy as np
warnings.simplefilter("ignore")
from sklearn_lm import LMRegressor

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

KINDS = [
    dict(n_starts=2), dict(n_starts=1), dict(alpha="evidence", n_starts=1), dict(alpha=0.0, early_stopping=True),
    dict(n_networks=2, n_starts=1, n_jobs=2), dict(loss="cauchy", n_starts=1), dict(solver="cg", n_starts=1),
    dict(n_starts=1, warm_start=True), dict(alpha="evidence", n_networks=2), dict(n_starts=3, n_jobs=2),
]

def fit(seed):
    X = np.random.default_rng(seed).normal(size=(20 + seed % 30, 2))
    model = LMRegressor(1 + seed % 5, max_iter=3, random_state=seed, **KINDS[seed % len(KINDS)])
    model.fit(X, X[:, 0] * X[:, 1]).predict(X)
    if model.solver != "cg":
        model.predict(X, return_std=True)

for seed in range(100):
    fit(seed)
gc.collect()
before = resident()
for seed in range(1000):
    fit(seed)
gc.collect()
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="a thousand fits in plain Python take too long")
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the size of a process is read from Linux's /proc")
def test_a_thousand_fits_leave_nothing_behind():
    """Naive: a registry of every objective (say, to end runs by), or a kernel compiled anew for each shape."""
    assert float(output(start(MANY_FITS))) < 20  # MiB


def objects_of_fits() -> list[object]:
    """Return the objects that hold rows during a fit; by type, because `isinstance` fails for dead weak references."""
    return [part for part in gc.get_objects() if type(part) in (Problem, Multistart, Rows)]


@pytest.mark.parametrize(
    "parameters",
    [
        {"alpha": 0.0},
        {"alpha": 0.0, "n_starts": 5, "n_jobs": 2},
        {"alpha": 0.0, "checkpoint": "fit.npz", "warm_start": True},
        {"alpha": 0.0, "early_stopping": True},
        {"loss": "huber"},
        {"solver": "cg"},
        {"n_starts": 2},
        {"checkpoint": "fit.npz", "warm_start": True},
        {"n_networks": 2, "n_jobs": 2},
        {"hidden_layer_sizes": "auto"},
    ],
    ids=str,
)
def test_the_rows_are_let_go_with_the_end_of_fit(parameters, rng, tmp_path, monkeypatch):
    """Naive: start runs and multistart refer to each other, and keep the rows until the next garbage collection."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sklearn_lm._estimator.size_search.SIZES", (1, 2))
    X = rng.normal(size=(size(300, 40), 2))
    y = X[:, 0] * X[:, 1]
    usual = {"hidden_layer_sizes": 3, "n_starts": 1, "max_iter": size(4, 2), "random_state": 0}
    model = LMRegressor(**{**usual, **parameters})
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(X), sys.getrefcount(y)
        others = objects_of_fits()  # of other tests, whose errors may still be known to the test runner
        with may_end_early():
            model.fit(X, y)
        assert (sys.getrefcount(X), sys.getrefcount(y)) == before
        known = {id(part) for part in others}
        assert not [part for part in objects_of_fits() if id(part) not in known]
    finally:
        gc.enable()
