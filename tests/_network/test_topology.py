import numpy as np
import reference

from sklearn_lm._network.topology import is_weight, make_network, pack, unpack


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


def test_a_network_of_identity_units_does_not_bend():
    assert not make_network(2, (3,), 1, ["identity"]).is_nonlinear
    assert not make_network(2, (), 1, []).is_nonlinear
    assert make_network(2, (3, 2), 1, ["identity", "relu"]).is_nonlinear
