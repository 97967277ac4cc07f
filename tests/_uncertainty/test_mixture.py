"""Mixtures of networks by their precisions."""

import numpy as np

from sklearn_lm._uncertainty.ensemble import mix, mix_covariances, mixture_weights


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


def test_a_part_of_the_variance_is_mixed_with_the_weights_of_all_of_it(rng):
    f, noise, rest = rng.normal(size=(3, 5)), rng.uniform(1, 2, (3, 5)), rng.uniform(0, 1, (3, 5))
    mean, total = mix(f, noise + rest)
    same_mean, part = mix(f, noise + rest, rest)
    np.testing.assert_array_equal(same_mean, mean)
    np.testing.assert_allclose(total - part, (mixture_weights(noise + rest) * noise).sum(axis=0))


def random_covariances(rng, n_networks, n):
    """Return means, variances and covariances of networks at n points, for one output."""
    A = rng.normal(size=(n_networks, n, n))
    C = np.einsum("kip,kjp->kij", A, A)
    return rng.normal(size=(n_networks, n, 1)), np.einsum("kii->ki", C)[..., None], C[..., None]


def test_the_covariance_of_networks_of_equal_weights_is_the_law_of_total_covariance(rng):
    f, _, C = random_covariances(rng, 3, 4)
    covariance = mix_covariances(f, np.ones((3, 4, 1)), C)
    mean = f.mean(axis=0)
    for i in range(4):
        for j in range(4):
            within = np.mean([C[k, i, j, 0] for k in range(3)])
            between = np.mean([(f[k, i, 0] - mean[i, 0]) * (f[k, j, 0] - mean[j, 0]) for k in range(3)])
            np.testing.assert_allclose(covariance[i, j, 0], within + between, atol=1e-14)


def test_the_covariance_is_positive_semidefinite_with_the_variances_on_its_diagonal(rng):
    f, v, C = random_covariances(rng, 4, 6)
    covariance = mix_covariances(f, v, C)[..., 0]
    np.testing.assert_allclose(np.diag(covariance), mix(f, v)[1][:, 0])
    assert np.linalg.eigvalsh(covariance).min() > -1e-12 * covariance.max()
