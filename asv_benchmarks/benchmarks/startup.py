"""Times of a new process: the import, and the first fit with and without compiled kernels on disk.

asv runs the code that a `timeraw` benchmark returns in a new process. The second part of a pair is the setup.
"""

# A small fit with the defaults. It reaches the goal, so there is no warning.
PREPARE = """
import numpy as np
from sklearn_lm import LMRegressor
x = np.linspace(-1, 1, 100)
model = LMRegressor(goal=1e-6, random_state=0)
"""
FIT = "model.fit(x.reshape(-1, 1), np.sin(6 * x))"
# An empty cache for numba. The folder is removed with the object, at the end of the process.
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""


class Import:
    """Import of the package and of scikit-learn's networks. Most of the difference is numba."""

    number = 1
    warmup_time = 0

    def timeraw_sklearn_lm(self):
        return "import sklearn_lm"

    def timeraw_sklearn_neural_network(self):
        return "import sklearn.neural_network"


class FirstFit:
    """First fit of a new process, with compiled kernels on disk."""

    number = 1
    warmup_time = 0

    def setup(self):
        exec(PREPARE + FIT, {})  # writes the kernels to disk

    def timeraw_fit(self):
        return FIT, PREPARE


class FirstFitEver:
    """First fit that compiles the kernels. It is slow and runs once."""

    number = 1
    repeat = 1
    processes = 1
    warmup_time = 0
    timeout = 300

    def timeraw_fit(self):
        return FIT, EMPTY_CACHE + PREPARE
