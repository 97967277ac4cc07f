"""Which twin of a kernel runs, and that it does not matter for the result."""

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from conftest import COMPILED

from sklearn_lm import _jit

FIT = """
import hashlib, warnings, numba
import numpy as np
from sklearn_lm import LMRegressor, _jit
_jit.SMALL_WORK = {small_work}
rng = np.random.default_rng(0)
X = rng.normal(size=({n_rows}, 3))
y = np.sin(X @ [1, 2, 3])
warnings.simplefilter("ignore")
model = LMRegressor({hidden}, max_iter={max_iter}, n_starts=2, random_state=0).fit(X, y)
parts = [model.predict(X), *model.coefs_, model.history_["train_mse"]]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def digest(small_work: int, threads: int) -> str:
    n_rows, max_iter, hidden = (3000, 10, (12, 12)) if COMPILED else (300, 1, (2, 2))
    code = FIT.format(small_work=small_work, n_rows=n_rows, max_iter=max_iter, hidden=hidden)
    # BLAS as well: LAPACK's factors of matrices of 128 rows and more have other last bits with other threads.
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(1 + threads % 2)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_same_bits_for_any_number_of_threads():
    serial = digest(10**12, 1)
    assert len(serial) == 65
    assert [digest(0, threads) for threads in (1, 2, 3)] == [serial] * 3


@pytest.fixture
def kernel(monkeypatch):
    """A driver whose two twins tell themselves apart."""
    calls: list[str] = []

    def fake_jit(parallel=False):
        def decorate(function):
            return lambda value: calls.append("parallel" if parallel else "serial") or function(value)

        return decorate

    monkeypatch.setattr(_jit, "jit", fake_jit)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)

    @_jit.two_ways
    def double(value):
        """Twice the value."""
        return 2 * value

    return double, calls


def test_small_work_runs_serially(kernel):
    double, calls = kernel
    assert double(_jit.SMALL_WORK - 1, 21) == 42
    assert double(_jit.SMALL_WORK, 21) == 42
    assert calls == ["serial", "parallel"]
    assert (double.__name__, double.__doc__) == ("double", "Twice the value.")


def test_one_thread_runs_serially(kernel, monkeypatch):
    double, calls = kernel
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    double(_jit.SMALL_WORK, 21)
    assert calls == ["serial"]


def test_a_second_python_thread_runs_serially(kernel):
    """Two threads inside numba's workqueue layer would abort the process."""
    double, calls = kernel
    with _jit._parallel_region:
        thread = threading.Thread(target=double, args=(_jit.SMALL_WORK, 21))
        thread.start()
        thread.join()
    double(_jit.SMALL_WORK, 21)
    assert calls == ["serial", "parallel"]


def test_a_forked_child_runs_serially(kernel, monkeypatch):
    """Whatever the parent was doing at the moment of the fork."""
    double, calls = kernel
    monkeypatch.setattr(_jit, "_forked", False)
    monkeypatch.setattr(_jit, "_parallel_region", _jit._parallel_region)
    with _jit._parallel_region:
        _jit._after_fork_in_child()
        double(_jit.SMALL_WORK, 21)
    assert calls == ["serial"]
    assert not _jit._parallel_region.locked()


def test_works_where_no_cache_folder_is_writable(monkeypatch):
    real = numba.njit

    def refuse_cache(*arguments, **options):
        def decorate(function):
            if options.get("cache") and function.__name__ == "increment":
                raise RuntimeError("cannot cache function: no locator available")
            return real(**options)(function)

        return real(*arguments, **options) if arguments else decorate

    monkeypatch.setattr(numba, "njit", refuse_cache)

    @_jit.jit()
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
