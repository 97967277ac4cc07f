"""Rows that are not in memory: the same bits of the fit, and never more than one part in memory."""

import numpy as np
import pytest
from conftest import may_end_early, size

from sklearn_lm import LMRegressor
from sklearn_lm._data import out_of_core
from sklearn_lm._data.out_of_core import Source, column_range, is_source, part_rows, parts, sweep


class Table:
    """Table on disk like those of HDF5, with shape, dtype and row slices only. It counts the rows that were read."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.most, self.read = 0, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        assert rows.step in (None, 1)
        got = self._array[rows].copy()
        self.most, self.read = max(self.most, len(got)), self.read + len(got)
        return got


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Make parts small, so that some thousand rows are many parts."""
    monkeypatch.setattr(out_of_core, "PART_BYTES", 1)
    monkeypatch.setattr(out_of_core, "SWEEP", 1000)


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(20_000, 4_500), 3)).astype(np.float32).astype(np.float64)
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    X[:, 1] = np.exp(3 * X[:, 1]).astype(np.float32)  # skewed
    return X, y


def on_disk(folder, X, dtype=np.float64, order="C"):
    path = folder / "X.bin"
    mapped = np.memmap(path, dtype=dtype, mode="w+", shape=X.shape, order=order)
    mapped[:] = X
    mapped.flush()
    return np.memmap(path, dtype=dtype, mode="r", shape=X.shape, order=order)


def model(**parameters):
    defaults = {"max_iter": size(4, 1), "n_starts": 1, "random_state": 0}
    return LMRegressor(size(5, 2), **{**defaults, **parameters})


def same(a, b):
    assert a.loss_curve_ == b.loss_curve_
    for mine, theirs in zip(a.coefs_, b.coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)


OPTIONS = [
    {},
    {"scaling": "power"},
    {"scaling": "standard", "solve_output": False},
    {"solver": "cg"},
    {"early_stopping": True, "split": "random", "test_fraction": 0.1},
    {"early_stopping": True, "split": "block"},
    {"early_stopping": True, "split": "interleaved"},
    {"n_starts": 6, "max_iter": 14},
]


@pytest.mark.parametrize("options", OPTIONS[: size(len(OPTIONS), 3)], ids=str)
@pytest.mark.parametrize("kind", ["float64", "float32", "Fortran order", "table"])
def test_same_bits_as_in_memory(kind, options, data, tmp_path, rng):
    X, y = data
    weight = rng.uniform(0.5, 2, size=len(X))
    source = {
        "float64": lambda: on_disk(tmp_path, X),
        "float32": lambda: on_disk(tmp_path, X, np.float32),
        "Fortran order": lambda: on_disk(tmp_path, X, order="F"),
        "table": lambda: Table(X),
    }[kind]()
    with may_end_early():
        there, here = (model(**options).fit(rows, y, weight) for rows in (source, X))
    same(there, here)
    np.testing.assert_array_equal(there.predict(source), here.predict(X))
    assert there.n_features_in_ == 3
    assert there.summary()


def test_a_table_is_never_in_memory(data):
    """At most one part is read at once, in fit and in predict, with every split."""
    X, y = data
    for split in ("random", "block"):
        table = Table(X)
        with may_end_early():
            fitted = model(early_stopping=True, split=split, max_iter=2).fit(table, y)
        assert table.most <= part_rows(3)
        assert table.read > 5 * len(X)
        table.most = 0
        fitted.predict(table)
        assert 0 < table.most <= part_rows(3)


def test_targets_weights_and_validation_sets_may_be_tables(data, rng):
    X, y = data
    weight = rng.uniform(0.5, 2, size=len(X))
    n = len(X) // 2
    with may_end_early():
        there = model().fit(Table(X[:n]), Table(y[:n]), weight[:n], X_val=Table(X[n:]), y_val=Table(y[n:]))
        here = model().fit(X[:n], y[:n], weight[:n], X_val=X[n:], y_val=y[n:])
    same(there, here)
    np.testing.assert_array_equal(there.history_["validation_mse"], here.history_["validation_mse"])


def test_fewer_residuals_than_parameters(data):
    X, y = data
    with may_end_early():
        same(model().fit(Table(X[:12]), y[:12]), model().fit(X[:12], y[:12]))


def test_rows_of_weight_zero_are_dropped(data):
    X, y = data
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    with may_end_early():
        same(model().fit(Table(X), y, weight), model().fit(X, y, weight))


def test_a_checkpoint_knows_the_rows(data, tmp_path):
    X, y = data
    with may_end_early():
        first = model(checkpoint=tmp_path / "fit.npz").fit(Table(X), y)
        same(first, model().fit(X, y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.where(X[4100, 1] == X, np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X[4100, 1] == X, np.inf, X), "Input X contains infinity"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:, :0], "0 feature"),
        (lambda X: X[:-1], "inconsistent numbers of samples"),
    ],
)
def test_bad_tables_raise(change, message, data):
    X, y = data
    with pytest.raises(ValueError, match=message):
        model().fit(Table(change(X)), y)


def test_predict_checks_its_columns(data):
    X, y = data
    with may_end_early():
        fitted = model().fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but LMRegressor is expecting 3"):
        fitted.predict(Table(X[:, :2]))
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.predict(Table(X * np.nan))


def test_a_missing_y_is_named(data):
    with pytest.raises(ValueError, match="requires y to be passed"):
        model().fit(Table(data[0]), None)


def test_is_source(data, tmp_path):
    X, _ = data
    assert is_source(Table(X))
    assert is_source(on_disk(tmp_path, X))
    for other in (X, X.tolist(), Table(X.astype(object)), Table(X[:, 0]), "rows", None):
        assert not is_source(other)


def test_rows_by_numbers(data):
    X, _ = data
    numbers = np.random.RandomState(3).permutation(len(X))[:500]
    for array in (X, Table(X)):
        np.testing.assert_array_equal(Source(array)[numbers], X[numbers])
        some = Source(array, np.arange(1, len(X), 3))
        np.testing.assert_array_equal(some[5:500:7], X[1::3][5:500:7])
        np.testing.assert_array_equal(some.take(np.array([2, 5, 900]))[:], X[1::3][[2, 5, 900]])


def test_parts_are_all_rows_once(data):
    X, y = data
    got = list(parts(Source(X), y, y))
    np.testing.assert_array_equal(np.concatenate([part[0] for part in got]), X)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in got]), y)
    assert len(got) > 1
    assert all(len(part[0]) % (8 * 512) == 0 for part in got[:-1])
    assert not any(part[0].flags.writeable for part in got)  # else the kernels were compiled once more
    np.testing.assert_array_equal(np.concatenate(list(sweep(X))), X)


def test_range_of_columns(data):
    low, high = column_range(Source(data[0]))
    np.testing.assert_array_equal([low, high], [data[0].min(axis=0), data[0].max(axis=0)])


def test_a_file_in_the_layout_of_the_kernels_is_read_in_place(data, tmp_path):
    mapped = on_disk(tmp_path, data[0])
    assert np.shares_memory(Source(mapped).in_place(), mapped)
    neighbours = Source(mapped, np.arange(7, 90)).in_place()
    assert np.shares_memory(neighbours, mapped)
    np.testing.assert_array_equal(neighbours, data[0][7:90])
    assert isinstance(Source(mapped, np.arange(0, 90, 2)).in_place(), Source)


def test_the_file_is_not_changed(data, tmp_path):
    X, y = data
    mapped = on_disk(tmp_path, X)
    with may_end_early():
        model().fit(mapped, y)
    np.testing.assert_array_equal(mapped, X)
