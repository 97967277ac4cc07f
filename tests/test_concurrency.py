"""Threads, forks and workers of other people's programs: nothing crashes, hangs or changes a bit.

Every cell of the table (what happens) x (numba's threading layer) runs in a process of its own, with a time-out: a
failure may be an abort or a hang. What the processes do is in `cells.py`. Each test names a build that would fail it.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import COMPILED

if not COMPILED:
    pytest.skip("threads are numba's", allow_module_level=True)
pytestmark = pytest.mark.xdist_group("threads")  # one after the other: some measure how threads are shared

CELLS = Path(__file__).with_name("cells.py")
# A plain installation has omp, whose threads survive no fork. The others are in the slow tests.
LAYERS = [pytest.param("workqueue", marks=pytest.mark.slow), "omp", pytest.param("tbb", marks=pytest.mark.slow)]


def run(
    cell: str, layer: str | None, threads: int | None = 2, timeout: float | None = 240
) -> subprocess.CompletedProcess:
    """None: what numba and joblib choose; no time-out."""
    libraries = [os.path.join(sys.prefix, "lib"), os.environ.get("LD_LIBRARY_PATH", "")]  # where pip puts libtbb
    chosen = {
        "NUMBA_THREADING_LAYER": layer,
        "NUMBA_NUM_THREADS": threads and str(threads),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        "PYTHONWARNINGS": "ignore",  # of workers
    }
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    environment.update({name: value for name, value in chosen.items() if value})
    return subprocess.run(
        [sys.executable, CELLS, cell], env=environment, capture_output=True, text=True, timeout=timeout
    )


@cache
def is_present(layer: str) -> bool:
    return run("layer", layer).stdout.split() == [layer]


@cache
def serial() -> str:
    """The bits of one thread."""
    return run("alone", "workqueue", threads=1).stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Machine code of both twins is on disk before a clock runs: on a busy machine to compile it can take minutes."""
    for threads in (1, 2):
        run("alone", None, threads, timeout=None)


@pytest.fixture(params=LAYERS)
def layer(request) -> str:
    if not is_present(request.param):
        pytest.skip(f"numba cannot load its threading layer {request.param} here")
    return request.param


def assert_well(cell: str, layer: str | None, n_digests: int, threads: int | None = 2) -> None:
    ended = run(cell, layer, threads)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [serial()] * n_digests


def test_serial_bits_are_a_digest():
    """All other cells are compared with it: an empty one would equal an empty one."""
    assert len(serial()) == 64


def test_python_threads_fit_and_predict_at_once(layer):
    """Naive: prange under workqueue, entered by two threads: "Concurrent access has been detected", abort."""
    assert_well("threads", layer, 4)


def test_starts_in_parallel_threads(layer):
    """Naive: the same, by n_jobs=2; or objectives that share their workspace."""
    assert_well("multistart", layer, 0)


def test_beside_a_parallel_kernel_of_another_library(layer):
    """Naive: a lock around our own parallel calls alone; the other library does not ask for it, workqueue aborts."""
    assert_well("beside_another_library", layer, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_process_and_its_child(layer):
    """Naive: prange after a fork: a child of omp is killed, its child hangs. During: a lock held at the fork is never
    released in the child."""
    assert_well("forks", layer, 11)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork_while_a_thread_computes_a_lazy_part():
    """Naive: a lock around what is computed at its first use, which the child inherits locked."""
    assert_well("forks_in_lazy_parts", None, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_pool_of_forked_workers(layer):
    """Naive: the same; the pool waits for ever for a worker that was killed."""
    assert_well("process_pool", layer, 6)


def test_grid_search_and_cross_validation_in_workers(layer):
    """Naive: the threading backend aborts under workqueue, multiprocessing is killed under omp; and scores that depend
    on the number of threads, which is another in a worker, differ in their last bits."""
    assert_well("grid_within", layer, 0)


def test_grid_search_and_cross_validation_in_loky():
    """Naive: scores that depend on the number of threads. (The workers are new processes, whatever the layer.)"""
    assert_well("grid_loky", None, 0)


def test_workers_do_not_use_more_threads_than_processors():
    """Naive: `numba.set_num_threads(os.cpu_count())`, or a pool of our own of that size, in each of two workers."""
    assert_well("workers", None, 0, threads=None)


def test_no_global_setting_is_changed(layer):
    """Naive: `np.seterr`, `np.random.seed`, `warnings.simplefilter`, a limit on BLAS or numba threads left behind."""
    assert_well("settings", layer, 0)
