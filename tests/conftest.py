"""Sizes and data shared by all tests.

The suite runs twice: compiled, and with NUMBA_DISABLE_JIT=1, where kernels are plain Python and sizes shrink.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported: one of scikit-learn's checks asks for it

import matplotlib
import numba
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

matplotlib.use("Agg")

COMPILED = not numba.config.DISABLE_JIT
if not COMPILED:  # they fit full-size networks
    collect_ignore = ["test_examples.py", "test_doc.py"]


def size(compiled: int, interpreted: int) -> int:
    """A size that plain Python can bear as well."""
    return compiled if COMPILED else interpreted


@contextmanager
def may_end_early() -> Iterator[None]:
    """For fits that may end at max_iter, in tests that are not about that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def rng() -> np.random.RandomState:
    return np.random.RandomState(0)


@pytest.fixture
def curve() -> tuple[np.ndarray, np.ndarray]:
    """A smooth noise-free function of two inputs of very unlike units."""
    generator = np.random.RandomState(1)
    X = np.column_stack([generator.uniform(-1, 1, size(120, 30)), generator.uniform(1e3, 3e3, size(120, 30))])
    return X, 50 + 20 * np.sin(2 * X[:, 0]) * (X[:, 1] / 2e3) ** 2
