"""The tables of products, against the Kronecker form that they are derived from."""

import numpy as np
import pytest

from sklearn_lm._kernels.layout import AT, D_END, D_FIRST, IS_SAME, P_END, P_FIRST, n_padded
from sklearn_lm._network.gram_tables import make_gram_tables
from sklearn_lm._network.topology import make_network

NETWORKS = {"linear": (3, (), 2), "one layer": (2, (4,), 1), "three layers": (3, (2, 5, 3), 2)}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pair_of_parameters_occurs_once(name):
    """Except pairs within the output layer, which are not in the tables."""
    network = make_network(*NETWORKS[name], ["tanh"] * len(NETWORKS[name][1]))
    tables = make_gram_tables(network.layout)
    seen = np.zeros((network.n_parameters, network.n_parameters), dtype=int)
    for pair in tables.pairs:
        for _, _, column, row in tables.delta_factors[pair[D_FIRST] : pair[D_END]]:
            for _, _, i, h in tables.input_factors[pair[P_FIRST] : pair[P_END]]:
                seen[row + h, column + i] += 1
                if pair[IS_SAME] and row > column and i != h:
                    seen[row + i, column + h] += 1
    n_output = network.sizes[-1] * (network.sizes[-2] + 1)
    expected = np.tril(np.ones_like(seen))
    expected[-n_output:, -n_output:] = 0
    np.testing.assert_array_equal(seen, expected)


def test_places_do_not_overlap():
    """Neither with each other nor with the Gram matrix of the output layer, which is first, with padding."""
    tables = make_gram_tables(make_network(3, (2, 5, 3), 2, ["tanh"] * 3).layout)
    taken = np.zeros(tables.n_products, dtype=int)
    for pair in tables.pairs:
        size = n_padded(pair[D_END] - pair[D_FIRST]) * n_padded(pair[P_END] - pair[P_FIRST])
        taken[pair[AT] : pair[AT] + size] += 1
    assert taken.max() == 1
    begin = int(np.argmax(taken))
    assert begin >= n_padded(3 + 1 + 2) ** 2
    assert taken[begin:].all()
