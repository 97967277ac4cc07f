"""F as it is written at the top of `_network/objective.py`, and the identities that follow from it."""

import numpy as np
import pytest
import reference
from objectives import NETWORK, TABLE, objective_for, some_data, some_theta
from sklearn.linear_model import LinearRegression, Ridge

from sklearn_lm._data.rows import make_rows, read_only
from sklearn_lm._data.scaling import Scaling, identity_scaling
from sklearn_lm._network.objective import mean_squared_error, sum_of_squares
from sklearn_lm._network.topology import is_weight


@pytest.fixture
def data(rng):
    return some_data(rng)


@pytest.fixture
def theta(rng):
    return some_theta(rng)


def test_cost_is_the_formula(data, theta):
    X, Y, weight = data
    f = reference.forward(theta, NETWORK.sizes, NETWORK.activations, X)
    weights, _ = reference.read(theta, NETWORK.sizes)
    penalty = sum(w**2 for layer in weights for unit in layer for w in unit)
    expected = 0.5 * (weight @ (f - Y) ** 2).sum() + 0.5 * 0.7 * penalty
    assert objective_for(X, Y, weight, alpha=0.7).cost(theta) == pytest.approx(expected, rel=1e-13)


def test_gradient_is_the_derivative_of_the_cost(data, theta):
    objective = objective_for(*data, alpha=0.7)
    equations = objective.linearize(theta)
    assert equations.cost == objective.cost(theta)
    h = 1e-6
    differences = [
        (objective.cost(theta + h * e) - objective.cost(theta - h * e)) / (2 * h) for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(equations.gradient, differences, rtol=1e-6, atol=1e-7)


def test_penalty_adds_alpha_to_the_diagonal_of_weights(data, theta):
    plain, penalised = (objective_for(*data, alpha=a).linearize(theta) for a in (0.0, 0.7))
    difference = np.tril(penalised.gram) - np.tril(plain.gram)
    np.testing.assert_allclose(difference, np.diag(0.7 * is_weight(NETWORK)), atol=1e-12)


def test_integer_weights_are_repetitions(data, theta):
    X, Y, weight = data
    times = weight.astype(int)
    weighted = objective_for(X, Y, weight).linearize(theta)
    repeated = objective_for(np.repeat(X, times, 0), np.repeat(Y, times, 0), np.ones(times.sum()))
    for a, b in zip(weighted, repeated.linearize(theta), strict=True):
        a, b = (np.tril(part) if np.ndim(part) == 2 else part for part in (a, b))
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


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_solve_linear_is_the_weighted_ridge_solution(data, theta, alpha):
    """Against scikit-learn's Ridge on the activations of the hidden layer."""
    X, Y, weight = data
    objective = objective_for(X, Y, weight, alpha)
    solved, cost = theta, np.inf
    for _ in range(3):  # each time closes all but 1e-8 of the distance, along directions that are well determined
        solved, cost = objective.solve_output(solved)
    hidden_weights, hidden_biases = (part[0] for part in reference.read(theta, NETWORK.sizes))
    A = np.tanh(X @ np.array(hidden_weights).T + hidden_biases)
    peer = Ridge(alpha, solver="cholesky").fit(A, Y, weight) if alpha else LinearRegression().fit(A, Y, weight)
    weights, biases = reference.read(solved, NETWORK.sizes)
    np.testing.assert_allclose(weights[1], peer.coef_, rtol=1e-8)
    np.testing.assert_allclose(biases[1], peer.intercept_, rtol=1e-8)
    np.testing.assert_array_equal(solved[:9], theta[:9])
    assert cost == pytest.approx(objective.cost(solved), rel=1e-9)
    assert cost < objective.cost(theta)


def test_solve_linear_where_hidden_units_coincide(data, theta):
    """Two equal units leave the split between their weights open: solved, and as good as with one of them."""
    X, Y, weight = data
    theta[3:6] = theta[0:3]
    objective = objective_for(X, Y, weight)
    solved, _ = objective.solve_output(theta)
    solved, cost = objective.solve_output(solved)
    assert np.isfinite(solved).all()
    hidden = reference.read(theta, NETWORK.sizes)
    A = np.column_stack([np.tanh(X @ np.array(hidden[0][0]).T + hidden[1][0])[:, 1:], np.ones(len(X))])
    root = np.sqrt(weight)[:, None]
    best = np.linalg.lstsq(root * A, root * Y, rcond=None)[0]
    assert cost == pytest.approx(0.5 * np.sum((root * (A @ best - Y)) ** 2), rel=1e-9)


def test_solve_linear_of_a_hopeless_point_changes_nothing(data, theta):
    theta[0] = np.nan
    solved, cost = objective_for(*data).solve_output(theta)
    np.testing.assert_array_equal(solved, theta)
    assert np.isnan(cost)
