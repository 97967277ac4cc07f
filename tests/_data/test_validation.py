import numpy as np
import pytest
from scipy import sparse

from sklearn_lm import LMRegressor
from sklearn_lm._data.validation import (
    DataSet,
    check_rows,
    check_validation_set,
    distinct_rows,
    divide,
    folds_of,
    set_sizes,
    split_rows,
    thinned,
)

X = np.arange(12.0).reshape(6, 2)
y = np.arange(6.0)


def rows(X=X, y=y, weight=None):
    return check_rows(LMRegressor(), X, y, weight, reset=True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"X": np.where(X == 4, np.nan, X)}, "contains NaN"),
        ({"X": np.where(X == 4, np.inf, X)}, "contains infinity"),
        ({"y": np.where(y == 4, np.nan, y)}, "y contains NaN"),
        ({"X": X[:0], "y": y[:0]}, "0 sample"),
        ({"X": X[:, :0]}, "0 feature"),
        ({"X": X[:, 0]}, "(?s)Expected 2D array.*Reshape"),
        ({"y": y[:5]}, r"inconsistent numbers of samples: \[6, 5\]"),
        ({"y": sparse.csr_array(y[:, None])}, "y is sparse.*toarray"),
        ({"y": y.reshape(6, 1)[:, :0]}, "0 feature"),
        ({"y": y.reshape(6, 1, 1)}, "dim 3"),
        ({"y": y * 1j}, "[Cc]omplex"),
        ({"y": np.array(list("abcdef"))}, "could not convert string"),
        ({"weight": [1, 2]}, "sample_weight.shape == \\(2,\\)"),
        ({"weight": [1, 1, 1, -3, 1, 1]}, "sample_weight has negative values \\(row 3: -3\\).*Use 0"),
        ({"weight": np.zeros(6)}, "sample_weight is zero for every row.*positive"),
        ({"weight": [1, 1, np.nan, 1, 1, 1]}, "sample_weight contains NaN"),
        ({"weight": np.full(6, 1e200)}, r"sample_weight reaches 1e\+200.*Divide"),
        ({"y": y * 1e200}, r"y reaches 5e\+200 in column 0.*divide"),
    ],
)
def test_bad_input_is_named(bad, message):
    with pytest.raises(ValueError, match=message):
        rows(**bad)


def test_sparse_X_is_refused():
    with pytest.raises(ValueError, match="toarray"):
        rows(X=sparse.csr_array(X))


def test_rows_are_float64_and_two_dimensional():
    data, y_is_1d = rows(X.astype(np.float32), [1, 0, 1, 0, 0, 1], 2)
    assert y_is_1d
    assert (data.X.dtype, data.Y.dtype, data.Y.shape) == (np.float64, np.float64, (6, 1))
    np.testing.assert_array_equal(data.weight, 2.0)
    assert not rows(y=y[:, None])[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X, None), "y_val is missing"),
        ((None, y), "X_val is missing"),
        ((X, np.c_[y, y]), "y_val has 2 columns and y has 1"),
        ((X[:, :1], y), "X_val, y_val, .*: X has 1 features"),
        ((X * np.nan, y), "X_val, y_val, .*NaN"),
        ((X, y * 1e200), "X_val, y_val, .*: y reaches"),
    ],
)
def test_bad_validation_set_is_named(given, message):
    model = LMRegressor()
    check_rows(model, X, y, None, reset=True)
    with pytest.raises(ValueError, match=message):
        check_validation_set(model, *given, None, n_outputs=1)


def test_weights_of_a_validation_set_are_checked_like_all_others():
    model = LMRegressor()
    check_rows(model, X, y, None, reset=True)
    with pytest.raises(ValueError, match=r"X_val, y_val, sample_weight_val: .*negative values \(row 0"):
        check_validation_set(model, X, y, [-1, 1, 1, 1, 1, 1], n_outputs=1)
    with pytest.raises(ValueError, match="sample_weight_val was passed without X_val"):
        check_validation_set(model, None, None, np.ones(6), n_outputs=1)
    given = check_validation_set(model, X, y, np.arange(1.0, 7), n_outputs=1)
    np.testing.assert_array_equal(given.weight, np.arange(1, 7))


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
    """In any stretch of rows each set has its share, within two rows."""
    sets = split(200, *fractions, how="interleaved")
    for rows in sets.values():
        count = np.searchsorted(rows, np.arange(201))
        assert np.abs(count - np.arange(201) * len(rows) / 200).max() < 2
    np.testing.assert_array_equal(split(6, 1 / 3, 0, how="interleaved")["validation"], [1, 4])


@pytest.mark.parametrize(("fractions", "name"), [((0.01, 0), "validation"), ((0, 0.01), "test"), ((0.5, 0.5), "train")])
def test_empty_set_is_refused(fractions, name):
    with pytest.raises(ValueError, match=f"The {name} set would be empty: 10 rows"):
        set_sizes(10, *fractions)


def test_a_previous_division_is_kept_to_while_it_fits():
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


def test_given_validation_set_takes_the_place_of_the_fraction(rng):
    data = DataSet(X, y[:, None], np.ones(6))
    sets, indices = divide(data, data, 0.5, 0.0, "random", rng)
    assert sets["train"] is data
    assert sets["validation"] is data
    assert list(indices) == ["train"]


def test_distinct_rows_carry_the_sum_of_their_weights(rng):
    times = rng.randint(1, 5, size=6)
    rows = np.repeat(np.arange(6), times)
    rng.shuffle(rows)
    distinct = distinct_rows(DataSet(X[rows], y[rows, None], np.full(len(rows), 0.5)), 100)
    order = np.argsort(distinct.Y[:, 0])
    np.testing.assert_array_equal(distinct.X[order], X)
    np.testing.assert_array_equal(distinct.weight[order], 0.5 * times)


def test_sample_of_distinct_rows_does_not_depend_on_order_or_repetition(rng):
    Z, t = rng.normal(size=(200, 2)), rng.normal(size=(200, 1))
    rows = np.concatenate([rng.permutation(200), rng.randint(0, 200, size=300)])
    few = [distinct_rows(DataSet(a, b, np.ones(len(a))), 30) for a, b in ((Z, t), (Z[rows], t[rows]))]
    np.testing.assert_array_equal(few[0].X, few[1].X)
    assert len(few[0].X) == 30


def test_rows_that_differ_in_one_place_are_distinct():
    Z = np.zeros((65, 3))
    Z[np.arange(64), np.arange(64) % 3] = np.spacing(1.0) * np.arange(64)
    assert len(distinct_rows(DataSet(Z, np.zeros((65, 1)), np.ones(65)), 100).X) == 64
    assert len(distinct_rows(DataSet(np.array([[0.0], [-0.0]]), np.zeros((2, 1)), np.ones(2)), 9).X) == 1


def test_folds_follow_from_the_values_of_a_row(rng):
    data = DataSet(rng.normal(size=(101, 2)), rng.normal(size=(101, 1)), np.ones(101))
    fold = folds_of(data, 5)
    np.testing.assert_array_equal(np.sort(np.bincount(fold)), [20, 20, 20, 20, 21])
    order = rng.permutation(101)
    shuffled = data._replace(X=data.X[order], Y=data.Y[order])
    np.testing.assert_array_equal(folds_of(shuffled, 5), fold[order])
    twice = np.repeat(np.arange(101), 2)
    np.testing.assert_array_equal(folds_of(data.take(twice), 5), fold[twice])


def test_thinned_rows_follow_from_their_values(rng):
    data = DataSet(rng.normal(size=(50, 2)), rng.normal(size=(50, 1)), np.ones(50))
    np.testing.assert_array_equal(thinned(data, 50), np.arange(50))
    rows, order = thinned(data, 20), rng.permutation(50)
    assert len(rows) == 20
    shuffled = thinned(data._replace(X=data.X[order], Y=data.Y[order]), 20)
    np.testing.assert_array_equal(np.sort(order[shuffled]), rows)
