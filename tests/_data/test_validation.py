import numpy as np
import pytest
from conftest import may_end_early
from scipy import sparse

from sklearn_lm import LMRegressor
from sklearn_lm._data import out_of_core
from sklearn_lm._data.validation import check_rows, check_validation_set

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


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"y": np.where(y > 3, np.nan, y)}, r"y contains NaN.*Rows of y .*: 2 of 6; the first is row 4. Leave.*out\.$"),
        ({"y": np.c_[y, np.where(y == 2, np.inf, y)]}, "y contains inf.*: 1 of 6; the first is row 2"),
        ({"y": [0, None, 2, 3, 4, 5]}, "y contains NaN.*: 1 of 6; the first is row 1"),
        ({"X": np.where(X == 4, np.nan, X)}, "(?s)X contains NaN.*: 1 of 6; the first is row 2.*SimpleImputer"),
        ({"weight": np.where(y == 5, np.nan, 1)}, "sample_weight contains NaN.*: 1 of 6; the first is row 5"),
        # MATLAB's samples are columns: one sample with six outputs, which took seconds for some hundred.
        ({"X": y[None], "y": y[None]}, r"one row and 6 columns: rows are samples.*X\.T and y\.T"),
        ({"X": y[None]}, r"inconsistent numbers of samples.*X has 6 columns.*transpose X, X\.T"),
        ({"X": X.T}, r"inconsistent numbers of samples.*X has 6 columns.*transpose X, X\.T"),
    ],
)
def test_errors_say_where_and_what_to_do(bad, message):
    with pytest.raises(ValueError, match=message):
        rows(**bad)


def test_rows_that_are_read_in_parts_say_where(monkeypatch, tmp_path):
    monkeypatch.setattr(out_of_core, "SWEEP", 2)
    np.where(X == 8, np.nan, X).tofile(tmp_path / "X")
    with pytest.raises(ValueError, match=r"(?s)X contains NaN.*Rows of X; the first is row 4. Leave"):
        rows(np.memmap(tmp_path / "X", np.float64, "r", shape=X.shape))


TIMES = [np.datetime64("2020-01-01") + np.timedelta64(i, "D") for i in range(6)]


@pytest.mark.parametrize("name", ["X", "y", "weight"])
@pytest.mark.parametrize("kind", ["Date", "Datetime", "Duration", "Time", "objects", "lists", "differences"])
def test_dates_are_an_error_whose_remedy_is_numbers(name, kind):
    """Naive: numbers of days, of microseconds or of nanoseconds, whatever the library stores."""
    if kind in ("objects", "lists", "differences"):
        times = [time - TIMES[0] for time in TIMES] if kind == "differences" else TIMES
        values = [[time] for time in times] if name == "X" else times
        values = np.array(values, dtype=object) if kind == "objects" else values
    else:
        polars = pytest.importorskip("polars")
        series = polars.Series("a", range(6)).cast(getattr(polars, kind))
        values = polars.DataFrame([polars.Series("b", y), series]) if name == "X" else series
    with pytest.raises(ValueError, match=r"holds dates or time differences.*Convert them to numbers"):
        rows(**{name: values})


def test_a_fraction_without_effect_warns():
    """Naive: silence, and a user who believes in a validation set."""
    model = LMRegressor(1, n_starts=1, max_iter=1, validation_fraction=0.3)
    with (
        may_end_early(),
        pytest.warns(UserWarning, match=r"validation_fraction=0.3 has no .*early_stopping=True") as own,
    ):
        model.fit(X, y)
    assert own[0].filename == __file__
    with may_end_early():
        model.set_params(early_stopping=True).fit(X, y)


def test_sparse_X_raises():
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
