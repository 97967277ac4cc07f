"""Which twin of a kernel runs, and that it does not matter for the result."""

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from conftest import COMPILED

from sklearn_lm._kernels import compile

FIT = """
import hashlib, warnings, numba
import numpy as np
from sklearn_lm import LMRegressor
from sklearn_lm._kernels import compile
compile.SMALL_WORK, compile.LARGE_WORK = {small_work}, {large_work}
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 3))
y = np.sin(X @ [1, 2, 3])
warnings.simplefilter("ignore")
model = LMRegressor((12, 12), max_iter=10, n_starts=2, random_state=0).fit(X, y)
parts = [model.predict(X), *model.coefs_, model.history_["train_mse"]]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def digest(small_work: int, threads: int, large_work: float = 1e9) -> str:
    code = FIT.format(small_work=small_work, large_work=large_work)
    # BLAS as well: LAPACK's factors of matrices of 128 rows and more have other last bits with other threads.
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(1 + threads % 2)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.skipif(not COMPILED, reason="plain Python has no threads")
def test_same_bits_for_any_number_of_threads():
    serial = digest(10**12, 1)
    assert len(serial) == 65
    assert [digest(0, threads) for threads in (1, 2, 3)] == [serial] * 3


@pytest.mark.skipif(not COMPILED, reason="plain Python has no threads")
@pytest.mark.parametrize("large_work", [1.0, 3e5])
def test_same_bits_in_many_calls(large_work):
    """Would fail on a build that clears a slot's sums in every call, or adds the slots in more than one."""
    serial = digest(10**12, 1)
    assert [digest(10**12, 1, large_work), digest(0, 3, large_work)] == [serial] * 2


@pytest.fixture
def driver(monkeypatch):
    """Return a driver with 4 slots of 3 rounds each, and its calls: which kernel, and for which part of the work."""
    calls: list[tuple[str, compile.Part]] = []

    def fake_jit(parallel=False, **_):
        return lambda body: lambda part, *rest: calls.append(("parallel" if parallel else "serial", part))

    monkeypatch.setattr(compile, "jit", fake_jit)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "threading_layer", lambda: "omp")

    @compile.serial_and_parallel
    def accumulate(part, sums):
        """Add something to the sums."""

    assert (accumulate.__name__, accumulate.__doc__) == ("accumulate", "Add something to the sums.")
    return lambda work, begins=True: accumulate(compile.Work(work, 4, 3, begins), np.zeros(4)), calls


def kernels(calls):
    """Return which kernels were called."""
    return [name for name, _ in calls]


def covered(calls):
    """Return all slots and rounds of the parts, each of which must occur once."""
    cells = [
        (slot, round_)
        for _, part in calls
        for slot in range(part.first_slot, min(part.end_slot, 4))
        for round_ in range(part.first_round, min(part.end_round, 3))
    ]
    assert len(cells) == len(set(cells))
    return set(cells)


ALL_CELLS = {(slot, round_) for slot in range(4) for round_ in range(3)}


def test_small_work_runs_serially(driver):
    run, calls = driver
    run(compile.SMALL_WORK - 1)
    run(compile.SMALL_WORK)
    assert kernels(calls) == ["serial", "parallel"]


def test_one_thread_runs_serially(driver, monkeypatch):
    run, calls = driver
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    run(compile.SMALL_WORK)
    assert kernels(calls) == ["serial"]


def test_a_second_python_thread_runs_serially(driver):
    """More threads than processors gain nothing."""
    run, calls = driver
    with compile._parallel_region:
        thread = threading.Thread(target=run, args=(compile.SMALL_WORK,))
        thread.start()
        thread.join()
    run(compile.SMALL_WORK)
    assert kernels(calls) == ["serial", "parallel"]


def test_work_that_is_not_large_is_one_call(driver):
    run, calls = driver
    run(compile.LARGE_WORK - 1)
    assert len(calls) == 1
    assert covered(calls) == ALL_CELLS


@pytest.mark.parametrize("times", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_large_work_is_divided_so_that_ctrl_c_is_seen(driver, monkeypatch, times, threads):
    run, calls = driver
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    run(times * compile.LARGE_WORK)
    assert covered(calls) == ALL_CELLS
    assert all(part.begins == (part.first_round == 0) for _, part in calls)
    assert len(calls) >= min(times, 3 * -(-4 // threads))


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
@pytest.mark.parametrize("times", [0.1, 3])
def test_sums_begin_with_the_first_part_only(driver, monkeypatch, begins, layer, times):
    run, calls = driver
    monkeypatch.setattr(numba, "threading_layer", lambda: layer)
    run(times * compile.LARGE_WORK, begins)
    assert covered(calls) == ALL_CELLS
    assert any(part.begins for _, part in calls) == begins


@pytest.mark.parametrize("times", [0.1, 2, 100])
def test_workqueue_is_never_entered(driver, monkeypatch, times):
    """numba aborts the process if two threads are in it, and the other thread may belong to another library."""
    run, calls = driver
    monkeypatch.setattr(numba, "threading_layer", lambda: "workqueue")
    run(times * compile.LARGE_WORK)
    assert covered(calls) == ALL_CELLS
    assert set(kernels(calls)) == {"serial"}


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_an_error_in_a_kernel_leaves_the_parallel_region(driver, monkeypatch, layer):
    run, _ = driver
    monkeypatch.setattr(numba, "threading_layer", lambda: layer)

    def fail(*_):
        raise MemoryError("no memory")

    monkeypatch.setattr(compile.interrupt, "check", fail)
    with pytest.raises(MemoryError, match="no memory"):
        run(compile.SMALL_WORK)
    assert not compile._parallel_region.locked()


def test_a_forked_child_runs_serially(driver, monkeypatch):
    """Even if the parent was in a parallel region at the moment of the fork."""
    run, calls = driver
    monkeypatch.setattr(compile, "_forked", False)
    monkeypatch.setattr(compile, "_parallel_region", compile._parallel_region)
    with compile._parallel_region:
        compile._after_fork_in_child()
        run(compile.SMALL_WORK)
    assert kernels(calls) == ["serial"]
    assert not compile._parallel_region.locked()


def test_works_where_no_cache_folder_is_writable(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compile, "KernelCache", refuse)

    @compile.jit()
    def increment(x):
        return x + 1

    assert increment(1) == 2


def test_importing_changes_no_setting_of_numba():
    code = (
        "import numba; state = lambda: (numba.config.THREADING_LAYER, numba.config.NUMBA_NUM_THREADS,"
        " numba.get_num_threads()); before = state(); import sklearn_lm; assert state() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_kernels_return_the_same_from_two_threads_at_once():
    results = [None, None]

    def work(i):
        from sklearn_lm import LMRegressor

        X = np.linspace(-1, 1, 40)[:, None]
        results[i] = LMRegressor(3, max_iter=500, alpha=1e-3, random_state=0).fit(X, X[:, 0] ** 2).predict(X)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(results[0], results[1])
