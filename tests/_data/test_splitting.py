import numpy as np
import pytest

from sklearn_lm._data.rows import DataSet
from sklearn_lm._data.splitting import divide, set_sizes, split_rows

X = np.arange(12.0).reshape(6, 2)
y = np.arange(6.0)


def split(n_rows, *fractions, how="random", seed=0):
    sizes = set_sizes(n_rows, *fractions)
    parts = split_rows(n_rows, list(sizes.values()), how, np.random.RandomState(seed))
    return dict(zip(sizes, parts, strict=True))


@pytest.mark.parametrize("how", ["random", "block", "interleaved"])
@pytest.mark.parametrize("fractions", [(0.2, 0.1), (0.15, 0.0), (0.0, 0.3), (0.0, 0.0)])
def test_split_is_a_partition(fractions, how):
    sets = split(100, *fractions, how=how)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(sets.values()))), np.arange(100))
    sizes = {name: len(rows) for name, rows in sets.items()}
    expected = {
        "train": 100 - round(100 * sum(fractions)),
        "validation": 100 * fractions[0],
        "test": 100 * fractions[1],
    }
    assert sizes == {name: n for name, n in expected.items() if n}
    assert all((np.diff(rows) > 0).all() for rows in sets.values())


def test_random_split_follows_the_seed():
    first, again, other = (split(50, 0.2, 0.2, seed=seed)["train"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_blocks_keep_the_order_of_time():
    sets = split(10, 0.2, 0.3, how="block")
    assert {name: list(rows) for name, rows in sets.items()} == {
        "train": [0, 1, 2, 3, 4],
        "validation": [5, 6],
        "test": [7, 8, 9],
    }


@pytest.mark.parametrize("fractions", [(0.2, 0.1), (0.15, 0.15), (0.5, 0.25)])
def test_interleaved_sets_are_spread_evenly(fractions):
    """Each set has its share of any range of rows, within two rows."""
    sets = split(200, *fractions, how="interleaved")
    for rows in sets.values():
        count = np.searchsorted(rows, np.arange(201))
        assert np.abs(count - np.arange(201) * len(rows) / 200).max() < 2
    np.testing.assert_array_equal(split(6, 1 / 3, 0, how="interleaved")["validation"], [1, 4])


@pytest.mark.parametrize(("fractions", "name"), [((0.01, 0), "validation"), ((0, 0.01), "test"), ((0.5, 0.5), "train")])
def test_empty_set_raises(fractions, name):
    with pytest.raises(ValueError, match=f"The {name} set would be empty: 10 rows"):
        set_sizes(10, *fractions)


def test_a_previous_division_of_the_same_rows_is_kept():
    data = DataSet(X, y[:, None], np.ones(6))
    previous = {"train": np.array([0, 1, 2]), "validation": np.array([3, 4, 5])}

    def again(data, fraction):
        return divide(data, None, fraction, 0.0, "interleaved", np.random.RandomState(0), previous)[1]

    assert again(data, 0.5) is previous
    assert len(again(data, 1 / 3)["validation"]) == 2
    assert list(again(data._replace(weight=np.array([1.0, 1, 1, 0, 1, 1])), 0.5)["validation"]) != [3, 4, 5]


def test_rows_of_weight_zero_are_in_no_set(rng):
    data = DataSet(X, y[:, None], np.array([1.0, 0, 1, 1, 0, 1]))
    sets, indices = divide(data, None, 0.25, 0.0, "random", rng)
    assert sorted(np.concatenate(list(indices.values()))) == [0, 2, 3, 5]
    np.testing.assert_array_equal(sets["train"].X, X[indices["train"]])


def test_validation_set_of_the_caller_replaces_the_fraction(rng):
    data = DataSet(X, y[:, None], np.ones(6))
    sets, indices = divide(data, data, 0.5, 0.0, "random", rng)
    assert sets["train"] is data
    assert sets["validation"] is data
    assert list(indices) == ["train"]
