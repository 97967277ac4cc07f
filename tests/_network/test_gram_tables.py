"""The tables of products, against the Kronecker form that they come from."""

import numpy as np
import pytest

from sklearn_lm._kernels.layout import AT, D_END, D_FIRST, IS_SAME, P_END, P_FIRST, n_padded
from sklearn_lm._network.gram_tables import make_gram_tables
from sklearn_lm._network.topology import make_network

NETWORKS = {"linear": (3, (), 2), "one layer": (2, (4,), 1), "three layers": (3, (2, 5, 3), 2)}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pair_of_parameters_comes_up_once(name):
    """But those of the output layer with itself, which have a table of their own."""
    network = make_network(*NETWORKS[name], ["tanh"] * len(NETWORKS[name][1]))
    products = make_gram_tables(network.layout)
    seen = np.zeros((network.n_parameters, network.n_parameters), dtype=int)
    for pair in products.pairs:
        for _, _, column, row in products.delta_factors[pair[D_FIRST] : pair[D_END]]:
            for _, _, i, h in products.input_factors[pair[P_FIRST] : pair[P_END]]:
                seen[row + h, column + i] += 1
                if pair[IS_SAME] and row > column and i != h:
                    seen[row + i, column + h] += 1
    n_output = network.sizes[-1] * (network.sizes[-2] + 1)
    expected = np.tril(np.ones_like(seen))
    expected[-n_output:, -n_output:] = 0
    np.testing.assert_array_equal(seen, expected)


def test_places_do_not_overlap():
    """Neither each other nor, at the beginning, the Gram matrix of the output layer; rooms for tiles included."""
    products = make_gram_tables(make_network(3, (2, 5, 3), 2, ["tanh"] * 3).layout)
    taken = np.zeros(products.n_moments, dtype=int)
    for pair in products.pairs:
        size = n_padded(pair[D_END] - pair[D_FIRST]) * n_padded(pair[P_END] - pair[P_FIRST])
        taken[pair[AT] : pair[AT] + size] += 1
    assert taken.max() == 1
    begin = int(np.argmax(taken))
    assert begin >= n_padded(3 + 1 + 2) ** 2
    assert taken[begin:].all()
