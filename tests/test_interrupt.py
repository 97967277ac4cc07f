"""Ctrl-C on many rows: heard between two calls of a kernel, none of which is long.

That a call is divided is tested in `test_jit.py` without a clock. Here a process gets a real SIGINT while it fits, and
the calls of the kernels that begin after it are counted.
"""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import COMPILED, interrupt_at, may_end_early
from sklearn.base import clone

from sklearn_lm import LMRegressor
from sklearn_lm._estimator import fit as fit_module
from sklearn_lm._kernels import interrupt
from sklearn_lm._training.history import Monitor

FIT = """
import os, signal, threading, warnings
import numpy as np
from sklearn_lm import LMRegressor
from sklearn_lm._kernels import compile

warnings.simplefilter("ignore")
compile.LARGE_WORK = 20_000_000  # a hundredth of a pass over these rows
X = np.random.default_rng(0).normal(size=(20_000, 8))
y = np.sin(X.sum(axis=1))
model = LMRegressor(25, {parameters}, max_iter=100_000, tol=0, min_grad=0, random_state=0)
LMRegressor(25, n_starts=1, max_iter=2, random_state=0).fit(X, y)  # compiles
pieces = 0  # begun since the signal was sent
sent = False

def watched(kernel, work, arguments, n_threads):
    def piece(*given):
        global pieces
        pieces += sent
        return kernel(*given)
    return original(piece, work, arguments, n_threads)

original, compile._run_in_turn = compile._run_in_turn, watched

def send():
    global sent
    sent = True
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(1.0, send).start()
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print(model.stop_reason_, pieces, np.isfinite(model.predict(X)).all())
"""


def pieces_after_the_signal(threads, parameters):
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    run = subprocess.run(
        [sys.executable, "-c", FIT.format(parameters=parameters)],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    reason, pieces, is_finite = run.stdout.split()
    assert (reason, is_finite) == ("interrupted", "True")
    return int(pieces)


pytestmark = [
    pytest.mark.skipif(not COMPILED, reason="plain Python sees Ctrl-C at once"),
    pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to the process itself"),
]


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_waits_for_one_piece_and_no_more(threads):
    """Naive: one call of a kernel for all rows: the signal waits for its end, a minute on a million rows."""
    assert pieces_after_the_signal(threads, "n_starts=1") <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters", ["n_starts=3, n_jobs=2", "n_networks=2, n_jobs=2, n_starts=1", "n_jobs=2, alpha='evidence'"]
)
def test_starts_and_networks_in_threads_end_in_the_middle_of_an_iteration(parameters):
    """Naive: threads that are asked once in an iteration whether all is over, or never (joblib's): a pass over the rows
    has a hundred pieces, and an iteration has five passes and more. The main thread needs a moment to tell the others:
    the bound is a third of a pass."""
    assert pieces_after_the_signal(2, parameters) <= 33


def interrupted(monkeypatch, **parameters):
    """A fit of rows that count as many, interrupted in an evaluation; and the evaluations that come after it."""
    monkeypatch.setattr(fit_module, "CHEAP", 0)
    numbers = interrupt_at(monkeypatch, 9)
    X = np.random.RandomState(0).normal(size=(60, 2))
    model = LMRegressor(5, n_starts=1, random_state=0, tol=0, leave_one_out=True, **parameters)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, np.sin(3 * X[:, 0]) * X[:, 1] + np.random.RandomState(1).normal(size=60))
    assert model.stop_reason_ == "interrupted"
    return model, X, len(numbers) - 9


@pytest.mark.parametrize(
    "parameters",
    [{}, {"alpha": 0.0, "early_stopping": True, "n_iter_no_change": 50}, {"loss": "cauchy"}, {"alpha": "evidence"}],
    ids=str,
)
def test_nothing_long_is_computed_after_ctrl_c(monkeypatch, parameters):
    """Naive: the fitted attributes as of any fit: one more pass for the Gram matrix, one for leave-one-out."""
    model, X, n_after = interrupted(monkeypatch, **parameters)
    assert n_after == 0
    assert np.isfinite(model.predict(X)).all()
    assert not hasattr(model, "loo_residuals_")
    str(model.summary())


@pytest.mark.parametrize("call", [3, 4, 9])
def test_standard_deviations_are_those_of_the_weights(monkeypatch, call):
    """Ctrl-C between acceptance and report of a step. Naive: the factor after that step, with the weights before."""
    original, calls = Monitor._held_out, []

    def held_out(self, theta):
        calls.append(theta)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(self, theta)

    X = np.random.RandomState(0).normal(size=(60, 2))
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    model = LMRegressor(5, n_starts=1, random_state=0, alpha=0.01, test_fraction=0.2, tol=0, noise="constant")
    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "_held_out", held_out)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    with may_end_early():
        whole = clone(model).set_params(max_iter=model.n_iter_).fit(X, y)
    assert model.n_iter_ == call - 2
    np.testing.assert_array_equal(model.predict(X, return_std=True), whole.predict(X, return_std=True))


def test_standard_deviations_that_were_not_computed_say_why(monkeypatch):
    """Naive: the message of networks that are too large for a Gram matrix."""
    model, X, _ = interrupted(monkeypatch, loss="cauchy")
    with pytest.raises(ValueError, match=r"because the fit was interrupted. Fit to the end"):
        model.predict(X, return_std=True)


def test_a_thread_ends_when_it_is_told_to():
    """Naive: a flag of the process, which would end the main thread and every fit of other threads."""
    is_over, heard = threading.Event(), []

    def work():
        interrupt.obey(is_over)
        interrupt.check()
        heard.append("nothing")
        is_over.set()
        try:
            interrupt.check()
        except KeyboardInterrupt:
            heard.append("the end")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == ["nothing", "the end"]
    interrupt.check()  # the main thread obeys nobody
