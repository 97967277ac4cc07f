import numpy as np
import pytest
import reference

from sklearn_lm._network import initial_theta, is_weight, layer_matrices, make_network, pack, unpack


def test_flat_parameters_are_unit_by_unit():
    """The convention, as the reference reads it."""
    network = make_network(2, (3,), 2, ["tanh"])
    theta = np.arange(network.n_parameters, dtype=float)
    weights, biases = reference.read(theta, network.sizes)
    coefs, intercepts = unpack(network, theta)
    for layer in range(2):
        np.testing.assert_array_equal(coefs[layer].T, weights[layer])
        np.testing.assert_array_equal(intercepts[layer], biases[layer])
    np.testing.assert_array_equal(pack(coefs, intercepts), theta)


def test_number_of_parameters_of_the_main_job():
    assert make_network(1, (20, 20, 10), 1, ["tanh"] * 3).n_parameters == 681


def test_weights_and_biases_are_told_apart():
    network = make_network(3, (4,), 2, ["tanh"])
    mask = is_weight(network)
    assert mask.sum() == 3 * 4 + 4 * 2
    np.testing.assert_array_equal(np.flatnonzero(~mask), [3, 7, 11, 15, 20, 25])


def test_nguyen_widrow_spreads_the_bends_over_the_range_of_one_input(rng):
    """Each unit's bend, where w x + b = 0, lies inside the range, and together they cover it."""
    network = make_network(1, (12,), 1, ["tanh"])
    matrix = layer_matrices(network, initial_theta(network, "nguyen_widrow", np.r_[10.0], np.r_[30.0], rng))[0]
    bends = np.sort(-matrix[:, 1] / matrix[:, 0])
    np.testing.assert_allclose(bends, np.linspace(10, 30, 12))
    np.testing.assert_allclose(np.abs(matrix[:, 0]), 0.7 * 12 / 10)


def test_nguyen_widrow_ignores_inputs_that_never_change(rng):
    network = make_network(2, (6,), 1, ["tanh"])
    low, high = np.array([0.0, -1.0]), np.array([0.0, 1.0])
    matrix = layer_matrices(network, initial_theta(network, "nguyen_widrow", low, high, rng))[0]
    np.testing.assert_array_equal(matrix[:, 0], 0)
    np.testing.assert_allclose(np.abs(matrix[:, 1]), 0.7 * 6)


@pytest.mark.parametrize("init", ["nguyen_widrow", "glorot"])
@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "softplus", "identity"])
@pytest.mark.parametrize("hidden", [(), (1,), (5, 1, 4)])
def test_start_is_finite_and_seeded(init, activation, hidden):
    network = make_network(3, hidden, 2, [activation] * len(hidden))
    low, high = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 0.0, 7.0])
    starts = [initial_theta(network, init, low, high, np.random.RandomState(seed)) for seed in (0, 0, 1)]
    assert np.isfinite(starts[0]).all()
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


def test_glorot_bounds(rng):
    network = make_network(30, (20,), 1, ["tanh"])
    matrix = layer_matrices(network, initial_theta(network, "glorot", np.zeros(30), np.ones(30), rng))[0]
    bound = np.sqrt(6 / 50)
    assert 0.98 * bound < np.abs(matrix[:, :-1]).max() <= bound
    np.testing.assert_array_equal(matrix[:, -1], 0)
