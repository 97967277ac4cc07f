"""Mixtures of networks by their precisions."""

import numpy as np

from sklearn_lm._uncertainty.ensemble import mix


def test_one_network_is_no_mixture(rng):
    mean, variance = rng.normal(size=(5, 2)), rng.uniform(1, 2, (5, 2))
    np.testing.assert_array_equal(mix([mean], [variance]), [mean, variance])


def test_networks_of_equal_precision_count_equally():
    mean, variance = mix([np.array([1.0]), np.array([3.0])], [np.array([0.5]), np.array([0.5])])
    np.testing.assert_allclose(mean, 2.0)
    np.testing.assert_allclose(variance, 0.5 + 1.0)


def test_mean_and_variance_are_those_of_draws_from_the_mixture(rng):
    f, v = np.array([[0.0], [1.0], [4.0]]), np.array([[1.0], [2.0], [4.0]])
    weight = np.array([4.0, 2.0, 1.0]) / 7
    k = rng.choice(3, p=weight, size=400_000)
    draws = rng.normal(f[k, 0], np.sqrt(v[k, 0]))
    mean, variance = mix(list(f), list(v))
    np.testing.assert_allclose(mean, draws.mean(), atol=0.02)
    np.testing.assert_allclose(variance, draws.var(), rtol=0.01)


def test_tiny_variances_do_not_overflow():
    tiny = np.array([1e-310])
    mean, variance = mix([np.array([1.0]), np.array([1.0]), np.array([2.0])], [tiny, tiny, np.array([1.0])])
    np.testing.assert_allclose(mean, 1.0)
    np.testing.assert_allclose(variance, 0.0, atol=1e-300)


def test_the_precision_of_one_network_is_bounded():
    """Four networks predict 0 +- 1, one predicts 3 +- 1e-9: it has the weight of the other four."""
    mean, variance = mix([np.zeros(1)] * 4 + [np.full(1, 3.0)], [np.ones(1)] * 4 + [np.full(1, 1e-18)])
    np.testing.assert_allclose(mean, 1.5)
    np.testing.assert_allclose(variance, 0.5 + 1.5**2)
