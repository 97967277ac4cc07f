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
X = rng.normal(size=({n_rows}, 3))
y = np.sin(X @ [1, 2, 3])
warnings.simplefilter("ignore")
model = LMRegressor({hidden}, max_iter={max_iter}, n_starts=2, random_state=0).fit(X, y)
parts = [model.predict(X), *model.coefs_, model.history_["train_mse"]]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def digest(small_work: int, threads: int, large_work: float = 1e9) -> str:
    n_rows, max_iter, hidden = (3000, 10, (12, 12)) if COMPILED else (300, 1, (2, 2))
    code = FIT.format(small_work=small_work, large_work=large_work, n_rows=n_rows, max_iter=max_iter, hidden=hidden)
    # BLAS as well: LAPACK's factors of matrices of 128 rows and more have other last bits with other threads.
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(1 + threads % 2)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_same_bits_for_any_number_of_threads():
    serial = digest(10**12, 1)
    assert len(serial) == 65
    assert [digest(0, threads) for threads in (1, 2, 3)] == [serial] * 3


@pytest.mark.parametrize("large_work", [1.0, 3e5])
def test_same_bits_in_many_calls(large_work):
    """Would fail on a build that clears a slot's sums in every call, or adds the slots in more than one."""
    serial = digest(10**12, 1)
    assert [digest(10**12, 1, large_work), digest(0, 3, large_work)] == [serial] * 2


@pytest.fixture
def kernel(monkeypatch):
    """A driver whose two twins tell themselves apart."""
    calls: list[str] = []

    def fake_jit(parallel=False, **_):
        def decorate(function):
            return lambda part, *rest: calls.append("parallel" if parallel else "serial") or function(part, *rest)

        return decorate

    monkeypatch.setattr(compile, "jit", fake_jit)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "threading_layer", lambda: "omp")

    @compile.serial_and_parallel(slots="n_slots")
    def double(part, value, n_slots):
        """Twice the value."""
        return 2 * value

    return lambda work: double(work, compile.WHOLE, 21, 1), calls, double


def test_small_work_runs_serially(kernel):
    double, calls, driver = kernel
    assert double(compile.SMALL_WORK - 1) == 42
    assert double(compile.SMALL_WORK) == 42
    assert calls == ["serial", "parallel"]
    assert (driver.__name__, driver.__doc__) == ("double", "Twice the value.")


def test_one_thread_runs_serially(kernel, monkeypatch):
    double, calls, _ = kernel
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    double(compile.SMALL_WORK)
    assert calls == ["serial"]


def test_a_second_python_thread_runs_serially(kernel):
    """More threads than processors gain nothing."""
    double, calls, _ = kernel
    with compile._parallel_region:
        thread = threading.Thread(target=double, args=(compile.SMALL_WORK,))
        thread.start()
        thread.join()
    double(compile.SMALL_WORK)
    assert calls == ["serial", "parallel"]


@pytest.fixture
def parts(monkeypatch):
    """A driver that writes down for which parts of its work it was called, for 4 slots of 3 rounds each."""
    calls: list[tuple] = []
    monkeypatch.setattr(compile, "jit", lambda **_: lambda function: function)
    monkeypatch.setattr(compile, "_twin", lambda function, suffix: function)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "threading_layer", lambda: "omp")

    @compile.serial_and_parallel(slots="sums", block=10)
    def note(part, rows, sums):
        calls.append(part)
        return part[3]

    return lambda work, which=compile.WHOLE: note(work, which, np.zeros(101), np.zeros(4)), calls


def covered(calls):
    """Slots and rounds of all parts."""
    cells = [
        (slot, round_)
        for (first, end), (begin, stop), _, _ in calls
        for slot in range(first, min(end, 4))
        for round_ in range(begin, min(stop, 3))
    ]
    assert len(cells) == len(set(cells))
    return set(cells)


ALL_CELLS = {(slot, round_) for slot in range(4) for round_ in range(3)}


def test_work_that_is_not_large_is_one_call(parts):
    note, calls = parts
    assert note(compile.LARGE_WORK - 1)
    assert calls == [(compile.ALL, compile.ALL, True, True)]
    assert covered(calls) == ALL_CELLS


@pytest.mark.parametrize("times", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_large_work_is_divided_so_that_ctrl_c_is_heard(parts, monkeypatch, times, threads):
    note, calls = parts
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    assert note(times * compile.LARGE_WORK)
    assert covered(calls) == ALL_CELLS
    assert [ends for _, _, _, ends in calls] == [False] * (len(calls) - 1) + [True]
    assert all(begins == (rounds[0] == 0) for _, rounds, begins, _ in calls if rounds[0] < 3)
    assert len(calls) >= min(times, 3 * -(-4 // threads))


@pytest.mark.parametrize("which", [0, compile.BEGINS, compile.ENDS])
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
@pytest.mark.parametrize("times", [0.1, 3])
def test_a_part_of_the_rows_begins_and_ends_what_it_should(parts, monkeypatch, which, layer, times):
    note, calls = parts
    monkeypatch.setattr(numba, "threading_layer", lambda: layer)
    assert note(times * compile.LARGE_WORK, which) == (which == compile.ENDS)
    assert covered(calls) == ALL_CELLS
    assert any(begins for _, _, begins, _ in calls) == (which == compile.BEGINS)
    assert any(ends for _, _, _, ends in calls) == (which == compile.ENDS)


@pytest.mark.parametrize("times", [0.1, 2, 100])
def test_workqueue_is_never_entered(parts, monkeypatch, times):
    """Numba aborts the process when two threads are in it, and the other thread may be another library's."""
    note, calls = parts
    monkeypatch.setattr(numba, "threading_layer", lambda: "workqueue")
    assert note(times * compile.LARGE_WORK)
    assert covered(calls) == ALL_CELLS
    assert [ends for _, _, _, ends in calls] == [False] * (len(calls) - 1) + [True]
    assert all(begins == (rounds[0] == 0) for _, rounds, begins, _ in calls if rounds[0] < 3)
    assert all(end - first <= 1 for (first, end), _, _, _ in calls)


def test_an_error_in_one_of_our_threads_is_raised(monkeypatch):
    monkeypatch.setattr(compile, "jit", lambda **_: lambda function: function)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(numba, "threading_layer", lambda: "workqueue")

    @compile.serial_and_parallel(slots="n_slots")
    def fail(part, value, n_slots):
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        fail(compile.SMALL_WORK, compile.WHOLE, None, 4)
    assert not compile._parallel_region.locked()


def test_a_forked_child_runs_serially(kernel, monkeypatch):
    """Whatever the parent was doing at the moment of the fork."""
    double, calls, _ = kernel
    monkeypatch.setattr(compile, "_forked", False)
    monkeypatch.setattr(compile, "_parallel_region", compile._parallel_region)
    with compile._parallel_region:
        compile._after_fork_in_child()
        double(compile.SMALL_WORK)
    assert calls == ["serial"]
    assert not compile._parallel_region.locked()


def test_works_where_no_cache_folder_is_writable(monkeypatch):
    real = numba.njit

    def refuse_cache(*arguments, **options):
        def decorate(function):
            if options.get("cache") and function.__name__ == "increment":
                raise RuntimeError("cannot cache function: no locator available")
            return real(**options)(function)

        return real(*arguments, **options) if arguments else decorate

    monkeypatch.setattr(numba, "njit", refuse_cache)

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
