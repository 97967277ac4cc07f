"""The model of a noise variance that depends on the inputs."""

import numpy as np
import pytest
from scipy.optimize import minimize

from sklearn_lm._uncertainty.heteroscedastic import (
    MAX_LOGARITHM,
    N_FOLDS,
    assign_folds,
    fit_coefficients,
    fit_noise,
)


def draws(rng, slope, n=600):
    X = rng.normal(size=(n, 2))
    return X, rng.normal(size=n), rng.normal(size=n) ** 2 * np.exp(slope * X[:, 0]), np.arange(n) % N_FOLDS


@pytest.mark.parametrize("penalty", [300.0, 10.0])
def test_coefficients_minimise_the_penalised_likelihood(rng, penalty):
    X, _, z_squared, _ = draws(rng, 0.8, n=80)
    phi, weight = np.column_stack([np.ones(80), X]), rng.uniform(0.5, 2, 80)

    def objective(b):
        return (
            0.5 * weight @ (phi @ b + z_squared * np.exp(-phi @ b))
            + weight.sum() / 8 * b[0] ** 2
            + penalty / 2 * b[1:] @ b[1:]
        )

    np.testing.assert_allclose(
        fit_coefficients(phi, z_squared, weight, penalty), minimize(objective, np.zeros(3), tol=1e-10).x, atol=1e-5
    )


def test_an_infinite_penalty_leaves_a_common_factor(rng):
    X, _, z_squared, _ = draws(rng, 0.8)
    b = fit_coefficients(np.column_stack([np.ones(600), X]), z_squared, np.ones(600), np.inf)
    np.testing.assert_array_equal(b[1:], 0)
    assert b[0] != 0


def test_an_integer_weight_is_a_repeated_row(rng):
    X, mean, z_squared, fold = draws(rng, 0.8)
    weight = rng.randint(1, 4, size=600)
    weighted = fit_noise(X, mean, z_squared, weight.astype(float), fold)
    repeated = fit_noise(*(np.repeat(a, weight, axis=0) for a in (X, mean, z_squared)), np.ones(weight.sum()),
                         np.repeat(fold, weight))  # fmt: skip
    np.testing.assert_allclose(weighted.factor(X, mean), repeated.factor(X, mean), rtol=1e-6)


def test_a_variance_that_varies_is_found(rng):
    X, mean, z_squared, fold = draws(rng, 0.8)
    model = fit_noise(X, mean, z_squared, np.ones(600), fold)
    low, high = model.factor(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.zeros(2))
    np.testing.assert_allclose(np.log(high / low), 1.6, atol=0.35)


def test_a_variance_that_does_not_vary_stays_as_it_is(rng):
    X, mean, z_squared, fold = draws(rng, 0.0)
    factor = fit_noise(X, mean, z_squared, np.ones(600), fold).factor(X, mean)
    np.testing.assert_allclose(factor, 1, atol=0.2)


def test_the_factor_is_bounded_far_from_the_data(rng):
    X, mean, z_squared, fold = draws(rng, 2.0)
    far = fit_noise(X, mean, z_squared, np.ones(600), fold).factor(np.array([[1e9, 0.0], [-1e9, 0.0]]), np.zeros(2))
    np.testing.assert_allclose(far, np.exp([MAX_LOGARITHM, -MAX_LOGARITHM]))


def test_few_rows_give_a_common_factor(rng):
    X, mean, z_squared, _ = draws(rng, 0.8, n=4)
    model = fit_noise(X, mean, z_squared, np.ones(4), np.arange(4))
    np.testing.assert_array_equal(model.coefficients[1:], 0)


def test_folds_depend_on_the_order_of_values_only(rng):
    X, Y = np.round(rng.normal(size=(101, 2)), 1), rng.normal(size=(101, 1))
    fold = assign_folds(X, Y, 5)
    np.testing.assert_array_equal(np.sort(np.bincount(fold)), [20, 20, 20, 20, 21])
    rows = np.concatenate([rng.permutation(101), rng.randint(0, 101, size=50)])
    np.testing.assert_array_equal(assign_folds(X[rows], Y[rows], 5), fold[rows])
    np.testing.assert_array_equal(assign_folds(X * [3.7, 1e-9], 0.1 * Y + 1, 5), fold)
    np.testing.assert_array_equal(assign_folds(np.exp(X), Y**3, 5), fold)
    np.testing.assert_array_equal(assign_folds(np.array([[0.0], [-0.0]]), np.zeros((2, 1)), 5), [0, 0])
