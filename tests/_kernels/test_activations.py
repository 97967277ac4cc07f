"""The registry of activations, and each of them against the plain functions of `reference.py`."""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import reference
from conftest import size

from sklearn_lm import LMRegressor
from sklearn_lm._kernels import ACTIVATIONS, activate_lines
from sklearn_lm._kernels.activations import multiply_by_slope

PARAMETERS = Path(__file__).parents[2] / "doc" / "parameters.md"


def test_every_activation_is_documented_and_has_a_reference():
    assert set(reference.ACTIVATIONS) == set(ACTIVATIONS)
    texts = inspect.getdoc(LMRegressor), PARAMETERS.read_text(encoding="utf-8")
    assert not [name for name in ACTIVATIONS for text in texts if f'"{name}"' not in text]


def test_every_activation_has_its_own_code():
    assert len({activation.code for activation in ACTIVATIONS.values()}) == len(ACTIVATIONS)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activation_at_the_edges(activation):
    """Finite where the function is, and NaN stays NaN: rejected steps rely on it."""
    z = np.array([0.0, -0.0, 1e-300, -1e-300, 40.0, -40.0, 800.0, -800.0, np.inf, -np.inf, np.nan])
    a = z.copy()
    activate_lines(ACTIVATIONS[activation].code, a[None])
    assert np.isnan(a[-1])
    np.testing.assert_array_equal(a[[-2, -3]], ACTIVATIONS[activation].bounds)
    phi = reference.ACTIVATIONS[activation][0]
    np.testing.assert_allclose(a[:6], [phi(value) for value in z[:6]], rtol=1e-15)
    assert not np.isnan(a[6:8]).any()

    slope = np.ones_like(a)
    multiply_by_slope(ACTIVATIONS[activation].code, a, slope, len(a))
    np.testing.assert_allclose(
        slope[:5], [reference.ACTIVATIONS[activation][1](value) for value in z[:5]], rtol=1e-12, atol=1e-16
    )
    assert activation == "relu" or math.isnan(slope[-1]) or activation == "identity"


def test_tanh_within_two_units_in_the_last_place(rng):
    """Against extended precision, from the smallest numbers to where tanh is 1."""
    n = size(200_000, 2_000)
    x = np.concatenate([rng.normal(size=n) * 10.0**e for e in (-308, -100, -9, -3, -1, -0.5, 0, 0.5, 1)])
    x = np.concatenate([x, np.linspace(-25, 25, n), [5e-324, -1e-310, 22.0, 1e308]])
    a = x.copy()
    with np.errstate(over="ignore", invalid="ignore"):  # without compilation NumPy warns of 2 * 1e308
        activate_lines(ACTIVATIONS["tanh"].code, a[None])
    exact = np.tanh(x.astype(np.longdouble))
    error = np.abs(a - exact) / np.spacing(np.abs(exact.astype(np.float64)))
    assert error.max() <= 2.0
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    with np.errstate(over="ignore", invalid="ignore"):
        activate_lines(ACTIVATIONS["tanh"].code, special[None])
    np.testing.assert_array_equal(special, [0, 0, 1, -1, np.nan])
    assert np.signbit(special[1])


def test_logistic_within_two_units_in_the_last_place(rng):
    """Against extended precision, down to where the result is subnormal and then zero."""
    n = size(200_000, 2_000)
    x = np.concatenate([rng.normal(size=n) * 10.0**e for e in (-308, -100, -9, -1, 0, 1, 2)])
    x = np.concatenate([x, np.linspace(-746, -700, n), np.linspace(-40, 40, n), [5e-324, -1e-310, 1e308, -1e308]])
    a = x.copy()
    activate_lines(ACTIVATIONS["logistic"].code, a[None])
    with np.errstate(over="ignore"):  # exp(1e308), whose inverse is the 0 that we want
        exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    error = np.abs(a - exact) / np.spacing(exact.astype(np.float64))
    assert error.max() <= 2.0
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        activate_lines(ACTIVATIONS["logistic"].code, special[None])
    np.testing.assert_array_equal(special, [0.5, 0.5, 1, 0, np.nan])
