"""Sizes and data shared by all tests.

With NUMBA_DISABLE_JIT=1 kernels are plain Python, whose lines are counted and whose indices are checked; sizes shrink.

Options of pytest for this suite:

- `-m slow` runs the tests that are deselected by default, `-m ""` runs all.
- `-n auto` runs tests in as many processes as there are processors. Tests that share something costly, or would disturb
  each other, have the same mark `xdist_group`: they run one after the other in one process.
- `--hypothesis-profile=thorough` tries six times as many examples.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported: one of scikit-learn's checks asks for it

import joblib
import matplotlib
import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm._network.objective import NetworkObjective

matplotlib.use("Agg")

COMPILED = not numba.config.DISABLE_JIT
if not COMPILED:  # they fit full-size networks
    collect_ignore = ["test_examples.py", "test_doc.py"]


def size(compiled: int, interpreted: int) -> int:
    """A size that plain Python can bear as well."""
    return compiled if COMPILED else interpreted


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes of `-n auto`: a container may allow fewer processors than the machine has."""
    return min(joblib.cpu_count(), 8)


for profile, n_examples in {"default": size(50, 8), "thorough": 300}.items():
    # Derandomised: the same examples in every run.
    settings.register_profile(
        profile, derandomize=True, deadline=None, database=None, max_examples=n_examples,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
settings.load_profile("default")


@contextmanager
def may_end_early() -> Iterator[None]:
    """For fits that may end at max_iter, in tests that are not about that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def before_evaluations(monkeypatch: pytest.MonkeyPatch, call: Callable[[int], None]) -> list[int]:
    """Call `call` with the number of each evaluation of normal equations before it is made; none is made ahead."""
    numbers: list[int] = []
    original = NetworkObjective.linearize

    def watched(self, *arguments):
        numbers.append(len(numbers) + 1)
        call(numbers[-1])
        return original(self, *arguments)

    monkeypatch.setattr(NetworkObjective, "linearize", watched)
    monkeypatch.setattr(NetworkObjective, "iterate", None)
    return numbers


def interrupt_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Raise KeyboardInterrupt at the evaluation of this number; the numbers of all that were asked for."""

    def call(current: int) -> None:
        if current == number:
            raise KeyboardInterrupt

    return before_evaluations(monkeypatch, call)


@pytest.fixture
def rng() -> np.random.RandomState:
    return np.random.RandomState(0)


@pytest.fixture
def curve() -> tuple[np.ndarray, np.ndarray]:
    """A smooth noise-free function of two inputs of very unlike units."""
    generator = np.random.RandomState(1)
    X = np.column_stack([generator.uniform(-1, 1, size(120, 30)), generator.uniform(1e3, 3e3, size(120, 30))])
    return X, 50 + 20 * np.sin(2 * X[:, 0]) * (X[:, 1] / 2e3) ** 2
