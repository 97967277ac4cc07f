"""F as it is written at the top of `_objective.py`, and the identities that follow from it."""

import numpy as np
import pytest
import reference

from sklearn_lm._network import is_weight, make_network
from sklearn_lm._objective import NetworkObjective, make_rows, mean_squared_error, read_only, sum_of_squares
from sklearn_lm._regularization import fixed_l2
from sklearn_lm._scaling import Scaling, identity_scaling

NETWORK = make_network(2, (3,), 2, ["tanh"])
TABLE = identity_scaling(2).table()


def objective_for(X, Y, weight, alpha=0.0):
    rows = make_rows(X, Y, weight, identity_scaling(2))
    return NetworkObjective(NETWORK, rows, TABLE, fixed_l2(alpha, is_weight(NETWORK)))


@pytest.fixture
def data(rng):
    return rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), rng.randint(0, 4, size=20).astype(float)


@pytest.fixture
def theta(rng):
    return rng.normal(size=NETWORK.n_parameters)


def test_cost_is_the_formula(data, theta):
    X, Y, weight = data
    f = reference.forward(theta, NETWORK.sizes, NETWORK.activations, X)
    weights, _ = reference.read(theta, NETWORK.sizes)
    penalty = sum(w**2 for layer in weights for unit in layer for w in unit)
    expected = 0.5 * (weight @ (f - Y) ** 2).sum() + 0.5 * 0.7 * penalty
    assert objective_for(X, Y, weight, alpha=0.7).cost(theta) == pytest.approx(expected, rel=1e-13)


def test_gradient_is_the_derivative_of_the_cost(data, theta):
    objective = objective_for(*data, alpha=0.7)
    equations = objective.normal_equations(theta)
    assert equations.cost == objective.cost(theta)
    h = 1e-6
    differences = [
        (objective.cost(theta + h * e) - objective.cost(theta - h * e)) / (2 * h) for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(equations.gradient, differences, rtol=1e-6, atol=1e-7)


def test_penalty_adds_alpha_to_the_diagonal_of_weights(data, theta):
    plain, penalised = (objective_for(*data, alpha=a).normal_equations(theta) for a in (0.0, 0.7))
    difference = penalised.gram - plain.gram
    np.testing.assert_allclose(difference, np.diag(0.7 * is_weight(NETWORK)), atol=1e-12)


def test_integer_weights_are_repetitions(data, theta):
    X, Y, weight = data
    times = weight.astype(int)
    weighted = objective_for(X, Y, weight).normal_equations(theta)
    repeated = objective_for(np.repeat(X, times, 0), np.repeat(Y, times, 0), np.ones(times.sum()))
    for a, b in zip(weighted, repeated.normal_equations(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_mean_squared_error_is_in_the_targets_units(data, theta):
    X, Y, weight = data
    y_scaling = Scaling(np.array([3.0, -1.0]), np.array([2.0, 10.0]))
    rows = make_rows(X, Y, weight, y_scaling)
    f = y_scaling.offset + y_scaling.scale * reference.forward(theta, NETWORK.sizes, NETWORK.activations, X)
    squares = sum_of_squares(rows, TABLE, NETWORK, theta)
    expected = np.average((f - Y) ** 2, axis=0, weights=weight).mean()
    assert mean_squared_error(rows, squares, y_scaling) == pytest.approx(expected, rel=1e-12)


def test_nothing_the_caller_owns_can_be_written_to(data):
    X, Y, weight = data
    rows = make_rows(X, Y, weight, identity_scaling(2))
    assert rows.X.base is X
    assert not any(array.flags.writeable for array in (rows.X, rows.Y, rows.root_weight))
    assert X.flags.writeable
    assert read_only(np.asfortranarray(X)).flags.c_contiguous


def test_overflow_gives_infinity_and_no_exception(data):
    objective = objective_for(*data, alpha=1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(objective.cost(np.full(NETWORK.n_parameters, 1e200)))
    assert np.isnan(objective.cost(np.full(NETWORK.n_parameters, np.nan)))
