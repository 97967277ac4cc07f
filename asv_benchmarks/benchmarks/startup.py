"""What a new process waits for: the import, and the first fit with and without compiled kernels on disk.

asv runs the code that a `timeraw` benchmark returns in a process of its own. Of a pair, the second part is the setup.
"""

# A small fit with the defaults. The goal is met, so nothing is warned of.
PREPARE = """
import numpy as np
from sklearn_lm import LMRegressor
x = np.linspace(-1, 1, 100)
model = LMRegressor(goal=1e-6, random_state=0)
"""
FIT = "model.fit(x.reshape(-1, 1), np.sin(6 * x))"
# Nothing is on disk that numba could load. The folder goes when its last name does, at the end.
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""


class Import:
    """Beside the part of scikit-learn that has networks. Most of the difference is numba."""

    number = 1
    warmup_time = 0

    def timeraw_sklearn_lm(self):
        return "import sklearn_lm"

    def timeraw_sklearn_neural_network(self):
        return "import sklearn.neural_network"


class FirstFit:
    """Of a new process, on a machine where an earlier one has compiled the kernels."""

    number = 1
    warmup_time = 0

    def setup(self):
        exec(PREPARE + FIT, {})  # sees to it that they are on disk

    def timeraw_fit(self):
        return FIT, PREPARE


class FirstFitEver:
    """Compiles the kernels. Slow, so it is done once."""

    number = 1
    repeat = 1
    processes = 1
    warmup_time = 0
    timeout = 300

    def timeraw_fit(self):
        return FIT, EMPTY_CACHE + PREPARE
