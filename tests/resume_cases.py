"""Fits that are interrupted and continued: parameters, and what must be equal to a fit that was not interrupted."""

import numpy as np
from conftest import size

ONE_START = {"n_starts": 1}
SEVERAL_STARTS = {"n_starts": size(9, 5), "hidden_layer_sizes": 2}


def assert_same_fit(first, second, but=()):
    """Assert equal bits of weights and history, times and the columns named in `but` excepted."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(first, name), getattr(second, name), strict=True):
            np.testing.assert_array_equal(a, b)
    assert first.n_iter_ == second.n_iter_
    assert first.best_iter_ == second.best_iter_
    assert first.loss_curve_ == second.loss_curve_
    for name in set(first.history_) - {"time", "time_jacobian", "time_solve", "time_evaluate", *but}:
        np.testing.assert_array_equal(first.history_[name], second.history_[name])
    assert list(first.starts_["fate"]) == list(second.starts_["fate"])
