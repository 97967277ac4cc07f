import numpy as np

from sklearn_lm._data import out_of_core
from sklearn_lm._data.hashing import thin_rows
from sklearn_lm._data.rows import DataSet

X = np.arange(12.0).reshape(6, 2)
y = np.arange(6.0)


def test_distinct_rows_carry_the_sum_of_their_weights(rng):
    times = rng.randint(1, 5, size=6)
    rows = np.repeat(np.arange(6), times)
    rng.shuffle(rows)
    distinct = DataSet(X[rows], y[rows, None], np.full(len(rows), 0.5)).distinct(100)
    order = np.argsort(distinct.Y[:, 0])
    np.testing.assert_array_equal(distinct.X[order], X)
    np.testing.assert_array_equal(distinct.weight[order], 0.5 * times)


def test_sample_of_distinct_rows_does_not_depend_on_order_or_repetition(rng):
    Z, t = rng.normal(size=(200, 2)), rng.normal(size=(200, 1))
    rows = np.concatenate([rng.permutation(200), rng.randint(0, 200, size=300)])
    samples = [DataSet(a, b, np.ones(len(a))).distinct(30) for a, b in ((Z, t), (Z[rows], t[rows]))]
    np.testing.assert_array_equal(samples[0].X, samples[1].X)
    assert len(samples[0].X) == 30


def test_rows_that_differ_in_one_place_are_distinct():
    Z = np.zeros((65, 3))
    Z[np.arange(64), np.arange(64) % 3] = np.spacing(1.0) * np.arange(64)
    assert len(DataSet(Z, np.zeros((65, 1)), np.ones(65)).distinct(100).X) == 64
    assert len(DataSet(np.array([[0.0], [-0.0]]), np.zeros((2, 1)), np.ones(2)).distinct(9).X) == 1


def test_thinned_rows_follow_from_their_values(rng):
    Z, t = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    np.testing.assert_array_equal(thin_rows(Z, t, 50), np.arange(50))
    rows, order = thin_rows(Z, t, 20), rng.permutation(50)
    assert len(rows) == 20
    np.testing.assert_array_equal(np.sort(order[thin_rows(Z[order], t[order], 20)]), rows)


def test_hashes_do_not_depend_on_the_size_of_blocks(rng, monkeypatch):
    Z, t = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    whole = thin_rows(Z, t, 20), DataSet(Z, t, np.ones(50)).distinct(20).X
    monkeypatch.setattr(out_of_core, "SWEEP", 7)
    np.testing.assert_array_equal(thin_rows(Z, t, 20), whole[0])
    np.testing.assert_array_equal(DataSet(Z, t, np.ones(50)).distinct(20).X, whole[1])


def test_powers_of_two_in_the_units_change_no_choice(rng):
    Z, t = rng.normal(size=(200, 3)), rng.normal(size=(200, 1))
    other, unit = Z * [1024.0, 0.25, 2.0**-300], 2.0**70
    np.testing.assert_array_equal(thin_rows(other, t * unit, 30), thin_rows(Z, t, 30))
    for n_max in (30, 200):
        a, b = (DataSet(x, y, np.ones(200)).distinct(n_max).Y for x, y in ((Z, t), (other, t * unit)))
        np.testing.assert_array_equal(a * unit, b)


def test_rows_that_are_multiples_of_each_other_are_distinct():
    powers = 2.0 ** np.arange(50)[:, None]
    assert len(DataSet(powers, powers, np.ones(50)).distinct(100).X) == 50
