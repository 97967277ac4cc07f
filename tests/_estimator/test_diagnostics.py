"""Diagnostics of networks that are made to have a defect."""

import numpy as np
import pytest
from conftest import may_end_early, size

from sklearn_lm import LMRegressor
from sklearn_lm._data.out_of_core import SAMPLE, sample_of
from sklearn_lm._estimator.diagnostics import Finding, hidden_units
from sklearn_lm._estimator.prediction import NetworkPredictor


@pytest.fixture
def model(rng):
    X = rng.uniform(-1, 1, size=(size(200, 60), 2))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=len(X))
    with may_end_early():
        return LMRegressor((4, 3), alpha=0.01, n_starts=1, max_iter=5, random_state=0).fit(X, y)


def findings(model):
    """Return the lines of the last table of the summary by their names."""
    return {row[0]: Finding(*row) for row in model.summary().tables[-1].rows}


def test_hidden_units_are_those_of_the_model(model):
    a = np.tanh((model._sample_X - model.x_offset_) / model.x_scale_ @ model.coefs_[0] + model.intercepts_[0])
    b = np.tanh(a @ model.coefs_[1] + model.intercepts_[1])
    for lines, expected in zip(hidden_units(NetworkPredictor.from_attributes(vars(model))), (a, b), strict=True):
        np.testing.assert_allclose(lines, expected.T, atol=1e-14)


def test_a_network_without_defects_has_no_findings(model):
    found = findings(model)
    assert found["rank of the Gram matrix"].value == "31 of 31"
    assert [found[f"{kind} units"].value for kind in ("saturated", "constant", "duplicate")] == ["0 of 7"] * 3


def test_a_saturated_unit_is_named(model):
    model.intercepts_[0][2] = 50.0
    found = findings(model)
    assert found["saturated units"].value == "1 of 7"
    assert found["saturated units"].advice.startswith("1.3: ")
    assert found["constant units"].advice.startswith("1.3: ")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_duplicate_unit_is_named(model, sign):
    model.coefs_[1][:, 2], model.intercepts_[1][2] = sign * model.coefs_[1][:, 0], sign * model.intercepts_[1][0]
    found = findings(model)["duplicate units"]
    assert found.value == "1 of 7"
    assert found.advice.startswith("2.3: ")


def test_a_dead_relu_is_saturated(model):
    model.hidden_activations_ = ("relu", "tanh")
    model.intercepts_[0][0] = -100.0
    assert findings(model)["saturated units"].advice.startswith("1.1")


def test_more_parameters_than_residuals_is_a_finding(rng):
    X = rng.uniform(-1, 1, size=(12, 1))
    with may_end_early():
        model = LMRegressor(10, alpha=0.0, n_starts=1, max_iter=3, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    found = findings(model)
    assert found["residuals per parameter"].value == f"{12 / 31:.3g}"
    assert "fewer residuals than parameters" in found["residuals per parameter"].advice
    rank, p = map(int, found["rank of the Gram matrix"].value.split(" of "))
    assert rank <= 12 < p == 31


@pytest.mark.parametrize("n_rows", [1, 5, SAMPLE, SAMPLE + 1, 10 * SAMPLE + 3])
def test_a_model_keeps_a_small_sample_of_rows(n_rows):
    X = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    sample = sample_of(X)
    assert min(n_rows, SAMPLE // 2) <= len(sample) <= SAMPLE
    assert not np.shares_memory(sample, X)
