"""Ctrl-C on many rows: heard between two calls of a kernel, none of which is long.

That a call is divided is tested in `test_jit.py` without a clock. Here a process gets a real SIGINT while it fits, and
the calls of the kernels that begin after it are counted.
"""

import os
import subprocess
import sys

import pytest
from conftest import COMPILED

FIT = """
import os, signal, threading, warnings
import numpy as np
from sklearn_lm import LMRegressor, _jit

warnings.simplefilter("ignore")
_jit.LARGE_WORK = 20_000_000  # a hundredth of a pass over these rows
X = np.random.default_rng(0).normal(size=(20_000, 8))
y = np.sin(X.sum(axis=1))
model = LMRegressor(25, n_starts={n_starts}, n_jobs={n_jobs}, max_iter=100_000, tol=0, min_grad=0, random_state=0)
LMRegressor(25, n_starts=1, max_iter=2, random_state=0).fit(X, y)  # compiles
pieces = 0  # begun since the signal was sent
sent = False

def watched(kernel, work, which, extent, arguments, n_threads=1):
    def piece(*given):
        global pieces
        pieces += sent
        return kernel(*given)
    return original(piece, work, which, extent, arguments, n_threads)

original, _jit._in_turn = _jit._in_turn, watched

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


@pytest.mark.skipif(not COMPILED, reason="plain Python hears Ctrl-C anyway")
@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to the process itself")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_waits_for_one_piece_and_no_more(threads):
    """Naive: one call of a kernel for all rows: the signal waits for its end, a minute on a million rows."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    run = subprocess.run(
        [sys.executable, "-c", FIT.format(n_starts=1, n_jobs=None)],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    reason, pieces, is_finite = run.stdout.split()
    assert (reason, is_finite) == ("interrupted", "True")
    assert int(pieces) <= 1
