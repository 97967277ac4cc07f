"""What the processes of `test_concurrency.py` do: `python cells.py NAME` runs the function of that name.

Each prints digests of the bits of fits and predictions, one a line, or asserts for itself.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable

import numba
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_lm import LMRegressor
from sklearn_lm._kernels import compile
from sklearn_lm._uncertainty import posterior, predictive

warnings.simplefilter("ignore", ConvergenceWarning)
warnings.simplefilter(
    "ignore", DeprecationWarning
)  # Python 3.12 warns of a fork beside threads, which is the point here

N_ROWS, N_PARAMETERS = 4000, 217


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    return X, np.sin(X @ [1.0, 2.0, 3.0])


def model(**parameters) -> LMRegressor:
    return LMRegressor(
        **{"hidden_layer_sizes": (12, 12), "max_iter": 4, "n_starts": 1, "random_state": 0, **parameters}
    )


def digest() -> str:
    """Of a fit and a prediction that are large enough for several threads."""
    assert N_ROWS * N_PARAMETERS**2 / 2 > compile.SMALL_WORK
    X, y = data()
    fitted = model().fit(X, y)
    assert sum(w.size for w in (*fitted.coefs_, *fitted.intercepts_)) == N_PARAMETERS
    parts = [*fitted.coefs_, *fitted.intercepts_, np.asarray(fitted.loss_curve_), fitted.predict(np.tile(X, (10, 1)))]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def say(_=None) -> None:
    sys.stdout.write(digest() + "\n")  # in one piece: there are other threads
    sys.stdout.flush()


def at_once(*functions: Callable) -> None:
    """Each in a thread of its own; the first error is raised."""
    errors: list[BaseException] = []

    def run(function: Callable) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_child(function: Callable) -> None:
    """`function` in a forked process; fails unless that ends well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"a forked process ended with status {status}"


# ---- the cells ----------------------------------------------------------------------------------------
def layer() -> None:
    """The threading layer that numba loads when asked for the one in the environment."""
    numba.get_num_threads()
    print(numba.threading_layer())


def alone() -> None:
    say()


def threads() -> None:
    at_once(*[say] * 4)


def multistart() -> None:
    """Starts in parallel threads end with the same bits as starts in sequence."""
    X, y = data()
    bits = [model(n_starts=3, max_iter=14, n_jobs=n_jobs).fit(X, y).predict(X).tobytes() for n_jobs in (1, 2)]
    assert bits[0] == bits[1]


@numba.njit(parallel=True, nogil=True)
def another_kernel(a):
    total = 0.0
    for i in numba.prange(a.size):
        total += np.sin(a[i])
    return total


def beside_another_library() -> None:
    a, is_over = np.ones(200_000), threading.Event()
    expected = another_kernel(a)

    def other() -> None:
        while not is_over.is_set():
            assert abs(another_kernel(a) - expected) < 1e-6 * expected

    def ours() -> None:
        try:
            say()
        finally:
            is_over.set()

    at_once(other, ours)


def generations() -> None:
    """This process's child, and the child's child."""

    def child() -> None:
        say()
        in_child(say)

    in_child(child)


def forks() -> None:
    """Before a fit, with the layer loaded only, after a fit, and during one; 2, 2, 3 and 4 digests."""
    generations()
    numba.get_num_threads()
    generations()
    say()
    generations()
    begun, is_over = threading.Event(), threading.Event()

    def work() -> None:
        while not is_over.is_set():
            digest()
            begun.set()

    def fork() -> None:
        try:
            begun.wait()
            for _ in range(2):
                generations()
        finally:
            is_over.set()

    at_once(work, fork)


def forks_in_lazy_parts() -> None:
    """While another thread computes the factor or the noise model, or compiles; the child does the same."""
    X, y = (part[:60] for part in data())
    lazy, eager = (model(hidden_layer_sizes=(3,), alpha=1e-3, leave_one_out=flag).fit(X, y) for flag in (False, True))
    for kind, attribute, use in (
        (posterior, "make_factor", lambda: lazy.predict(X, return_std=True)),
        (predictive, "fit_noise", lambda: eager.predict(X, return_std=True)),
        (numba.core.compiler, "compile_extra", lambda: numba.njit(lambda x: x + 1.0)(1.0)),
    ):
        function, begun = getattr(kind, attribute), threading.Event()

        def slow(*arguments, function=function, begun=begun, **options):
            begun.set()
            time.sleep(0.0 if threading.current_thread() is threading.main_thread() else 1.0)
            return function(*arguments, **options)

        setattr(kind, attribute, slow)
        thread = threading.Thread(target=use)
        thread.start()
        assert begun.wait(30), attribute
        in_child(lambda use=use: (signal.alarm(30), use()))
        thread.join()
        setattr(kind, attribute, function)


def process_pool() -> None:
    """Workers forked before and after a fit of the parent's."""
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        with context.Pool(2) as pool:
            pool.map(say, range(2), chunksize=1)
        say()


def grid(*backends: str) -> None:
    from joblib import parallel_config

    X, y = data()
    search = {"alpha": [1e-3, 1e-1]}
    expected = GridSearchCV(model(), search, cv=2, n_jobs=1).fit(X, y)
    scores = cross_val_score(model(), X, y, cv=2, n_jobs=1)
    for backend in backends:
        with parallel_config(backend=backend):
            found = GridSearchCV(model(), search, cv=2, n_jobs=2).fit(X, y)
            np.testing.assert_array_equal(cross_val_score(model(), X, y, cv=2, n_jobs=2), scores)
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def grid_within() -> None:
    grid("threading", "multiprocessing")


def grid_loky() -> None:
    grid("loky")


def kernel_threads(_) -> int:
    """In how many threads a fit in this process spreads its slots, at most."""
    digest()
    return numba.get_num_threads()


def workers() -> None:
    """Two workers together use no more threads than there are processors."""
    from joblib import Parallel, cpu_count, delayed

    counts = Parallel(n_jobs=2, backend="loky")(delayed(kernel_threads)(i) for i in range(2))
    assert sum(counts) <= max(2, cpu_count()), counts


def settings() -> None:
    """Nothing global is changed by import, fit and predict."""
    from threadpoolctl import threadpool_info

    def state() -> list:
        random = np.random.get_state()  # noqa: NPY002 - is it left alone?
        return [
            numba.config.THREADING_LAYER,
            numba.config.THREADING_LAYER_PRIORITY,
            numba.config.NUMBA_NUM_THREADS,
            numba.get_num_threads(),
            sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"),
            list(warnings.filters),
            np.geterr(),
            np.geterrcall(),
            (random[0], random[1].tolist(), *random[2:]),
            np.get_printoptions(),
        ]

    np.seterr(all="raise")
    numba.set_num_threads(2)
    X, y = data()
    before = state()
    fitted = model(n_starts=3, n_jobs=2, max_iter=13).fit(X, y)
    fitted.predict(X)
    fitted.summary()
    assert state() == before


if __name__ == "__main__":
    globals()[sys.argv[1]]()
