"""Preparation of the data, seen from fits with default parameters."""

import numpy as np
import pytest
from conftest import may_end_early

from sklearn_lm import LMRegressor


def saturation_temperature(p):
    """Return the boiling point of water in K at a pressure in MPa (IAPWS-IF97, eq. 31)."""
    n1, n2, n3, n4, n5 = 1167.0521452767, -724213.16703206, -17.073846940092, 12020.82470247, -3232555.0322333
    n6, n7, n8, n9, n10 = 14.91510861353, -4823.2657361591, 405113.40542057, -0.23855557567849, 650.17534844798
    b = p**0.25
    e, f, g = b**2 + n3 * b + n6, n1 * b**2 + n4 * b + n7, n2 * b**2 + n5 * b + n8
    d = 2 * g / (-f - np.sqrt(f**2 - 4 * e * g))
    return (n10 + d - np.sqrt((n10 + d) ** 2 - 4 * (n9 + n10 * d))) / 2


def symmetric_logarithm(x):
    return np.sign(x) * np.log10(1 + 100 * np.abs(x))


def decades(low, high, n):
    return np.logspace(np.log10(low), np.log10(high), n)


CURVES = {
    "five decades": (np.log10, lambda n: decades(1, 1e5, n), 40, 1e-3),
    "twelve decades": (np.log10, lambda n: decades(1e-6, 1e6, n), 40, 1e-3),
    "negative": (lambda x: np.log10(-x), lambda n: -decades(1, 1e6, n), 40, 1e-3),
    "zeros": (symmetric_logarithm, lambda n: np.append(np.zeros(n // 4), decades(1e-2, 1e4, n)), 40, 1e-3),
    "both signs": (symmetric_logarithm, lambda n: np.append(-decades(1e-2, 1e4, n), decades(1e-2, 1e4, n)), 40, 1e-2),
    "offset": (lambda x: np.log10(x - 300), lambda n: 300 + decades(1e-3, 1e3, n), 40, 5e-2),
    "steam": (saturation_temperature, lambda n: decades(0.000612, 22, n), 30, 0.1),
    "few rows of steam": (saturation_temperature, lambda n: np.linspace(0.000612**0.25, 22**0.25, n) ** 4, 15, 0.5),
    "one far point": (lambda x: np.sin(2 * x) * (x < 1e4), lambda n: np.append(np.linspace(-2, 2, n), 1e6), 60, 1e-2),
}


def worst_error(name, seed):
    function, draw, n, _ = CURVES[name]
    X, X_new = draw(n)[:, None], draw(7 * n)[:, None]
    with may_end_early():
        model = LMRegressor(random_state=seed).fit(X, function(X[:, 0]))
    return np.abs(model.predict(X_new) - function(X_new[:, 0])).max()


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_over_decades(name):
    assert worst_error(name, 0) < CURVES[name][-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_a_curve_over_decades_with_any_seed(name):
    assert max(worst_error(name, seed) for seed in range(1, 11)) < CURVES[name][-1]


def test_a_network_without_nonlinear_units_is_linear_in_the_inputs_of_the_caller(rng):
    X = rng.lognormal(size=(60, 1))
    for model in (LMRegressor(()), LMRegressor((3,), "identity", random_state=0)):
        model.fit(X, 3 * X[:, 0] + 1)
        np.testing.assert_allclose(model.predict([[0.0], [100.0]]), [1, 301], rtol=1e-5)
        assert len(model.x_power_.column) == 0


def test_lines_over_inputs_with_long_tails_are_not_fitted_through_a_power_transform(rng):
    X, X_new = rng.lognormal(size=(2, 150, 3))
    y, truth = (Z @ [1.0, 0.5, 0.2] for Z in (X, X_new))
    model = LMRegressor(random_state=0).fit(X, y + 0.1 * rng.normal(size=150))
    assert np.sqrt(np.mean((model.predict(X_new) - truth) ** 2)) < 0.1
    assert len(model.x_power_.column) == 0
    assert len(LMRegressor(scaling="power", random_state=0).fit(X, y).x_power_.column) == 3
