"""Linear solvers with a factor of H and with one of n_residuals rows find the same step."""

import numpy as np
import pytest
from objectives import steps

from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network


def two_objectives(rng, n_outputs, alpha, n_rows=13):
    """Return objectives with the Jacobian and with the Gram matrix, of the same rows, fewer than parameters."""
    network = make_network(3, (6, 5), n_outputs, ["tanh", "logistic"])
    rows = make_rows(
        rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, n_outputs)), rng.uniform(0.1, 3, n_rows),
        identity_scaling(n_outputs),
    )  # fmt: skip
    table, penalty = identity_scaling(3).table(), fixed_l2(alpha, is_weight(network))
    dual, gram = (NetworkObjective(network, rows, table, penalty, solver) for solver in ("cholesky", "gram"))
    assert dual.is_dual
    return dual, gram, rng.normal(size=network.n_parameters)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("mu", [10.0, 1e-2, 1e-4])
def test_same_step_and_same_acceleration(n_outputs, alpha, mu, rng):
    dual, gram, theta = two_objectives(rng, n_outputs, alpha)
    diagonal = rng.uniform(0.5, 2, theta.size)
    for a, b in zip(steps(dual, theta, mu, diagonal), steps(gram, theta, mu, diagonal), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * np.abs(b).max())


def test_an_acceleration_that_is_too_long_is_left_out(rng):
    dual, gram, theta = two_objectives(rng, 1, 0.0)
    for objective in (dual, gram):
        _, _, plain, trial = steps(objective, theta, 1e-2, np.ones(theta.size), max_acceleration=0.0)
        np.testing.assert_array_equal(plain, trial)


def test_same_equations(rng):
    dual, gram, theta = two_objectives(rng, 2, 0.3)
    a, b = dual.linearize(theta), gram.linearize(theta)
    assert a.cost == pytest.approx(b.cost, rel=1e-13)
    np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a.squares, b.squares, rtol=1e-13)
    np.testing.assert_allclose(a.diagonal(), b.diagonal(), rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_shape_alone_decides(n_outputs):
    """Residuals, not rows, are counted."""
    network = make_network(1, (5,), n_outputs, ["tanh"])
    for n_residuals, is_dual in ((network.n_parameters - n_outputs, True), (network.n_parameters, False)):
        n_rows = n_residuals // n_outputs
        rows = make_rows(
            np.ones((n_rows, 1)), np.ones((n_rows, n_outputs)), np.ones(n_rows), identity_scaling(n_outputs)
        )
        penalty = fixed_l2(0.0, np.ones(network.n_parameters, dtype=bool))
        assert NetworkObjective(network, rows, identity_scaling(1).table(), penalty).is_dual == is_dual


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_overflow_is_detected(bad, rng):
    dual, _, theta = two_objectives(rng, 1, 0.0)
    equations = dual.linearize(theta)
    assert equations.is_finite()
    equations.jacobian[3, 4] = bad
    with np.errstate(over="ignore"):
        assert not equations.is_finite()


def test_a_matrix_without_factor_has_no_step(rng):
    for objective in two_objectives(rng, 1, 0.0)[:2]:
        theta = np.full(objective.network.n_parameters, np.nan)
        assert steps(objective, theta, 1.0, np.ones(theta.size))[0] == np.inf


def test_a_large_network_interpolates_few_rows():
    X = np.linspace(-1, 1, 12)[:, None]
    y = np.sin(5 * X[:, 0])
    model = LMRegressor((20, 20), alpha=0.0, n_starts=1, random_state=0).fit(X, y)
    assert model.history_["train_mse"][-1] < 1e-14
