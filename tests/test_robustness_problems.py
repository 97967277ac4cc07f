"""Problems of `asv_benchmarks/robustness`: the benchmarks of a change run few of them, so that others could rot."""

import importlib
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "asv_benchmarks"


@pytest.mark.skipif(not FOLDER.exists(), reason="the source distribution has no benchmarks")
def test_each_problem_has_finite_data_that_its_seed_determines_and_errors_of_all_peers(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    problems = importlib.import_module("robustness.problems")
    stored = importlib.import_module("robustness.peers").stored_peers()
    for name in problems.MAKERS:
        data, again = problems.make(name, 0), problems.make(name, 0)
        for array, same in zip(data, again, strict=True):
            np.testing.assert_array_equal(array, same)
            assert array is None or np.isfinite(array).all(), name
        assert data.X.ndim == 2, name
        assert data.y.shape == data.X.shape[:1], name
        assert data.truth.shape == data.X_test.shape[:1], name
        assert data.X_test.shape[1:] == data.X.shape[1:], name
        assert len(stored[name]) >= 3, f"run asv_benchmarks/robustness/compare.py --peers for {name}"
