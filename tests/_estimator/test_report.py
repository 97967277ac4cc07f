"""Summary and history of a fitted model."""

import html
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import may_end_early, size
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor
from sklearn_lm._estimator.report import Table


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(100, 40), 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=len(X))


def fit(X, y, **parameters):
    with may_end_early():
        return LMRegressor((4, 3), n_starts=1, max_iter=5, random_state=0, **parameters).fit(X, y)


def lines_of(model, title):
    tables = {table.title: table for table in model.summary().tables}
    return {row[0]: row[1:] for row in tables[title].rows}


def test_summary_counts_the_parameters(data):
    layers = lines_of(fit(*data), "Layers")
    assert layers["1"] == ("4", "tanh", "2 x 4", "4", "12")
    assert layers["2"] == ("3", "tanh", "4 x 3", "3", "15")
    assert layers["3"] == ("1", "identity", "3 x 1", "1", "4")
    assert layers["all"][-1] == "31"


def test_summary_has_the_errors_of_all_sets(data):
    X, y = data
    model = fit(X, y, early_stopping=True, test_fraction=0.1)
    errors = lines_of(model, "Errors (RMSE in units of y)")
    assert list(errors) == ["train", "validation", "test"]
    for name, (n_rows, mse, rmse) in errors.items():
        rows = model.split_indices_[name]
        assert n_rows == str(len(rows))
        assert float(mse) == pytest.approx(np.mean((model.predict(X[rows]) - y[rows]) ** 2), rel=1e-3)
        assert float(rmse) ** 2 == pytest.approx(float(mse), rel=1e-2)


def test_summary_has_the_stop_reason(data):
    fit_lines = lines_of(fit(*data), "Fit")
    assert fit_lines["stopped because"] == ("max_iter iterations were made",)
    assert fit_lines["iterations"] == ("5, best 5",)


def test_summary_is_printable_and_has_all_tables(data):
    text = str(fit(*data).summary())
    assert [title for title in ("Layers", "Fit", "Errors", "Health") if f"\n\n{title}" in f"\n\n{text}"] == [
        "Layers", "Fit", "Errors", "Health",
    ]  # fmt: skip
    assert max(map(len, text.splitlines())) <= 140


def test_columns_are_aligned():
    text = Table("T", ("a", "bb"), [("x", "1"), ("long", "22")]).text()
    assert text == "T\n  a     bb\n  x      1\n  long  22"


def test_a_notebook_shows_the_summary_below_the_diagram(data):
    model = LMRegressor()
    assert "Summary of the fit" not in model._repr_html_()
    model = fit(*data)
    assert "Summary of the fit" in model._repr_html_()
    assert html.escape("2 x 4") in model._repr_html_()
    assert "Summary of the fit" in model._repr_mimebundle_()["text/html"]
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
    assert isinstance(make_pipeline(StandardScaler(), LMRegressor())._repr_html_(), str)


def test_cells_are_escaped_in_html():
    assert "<b>x" not in Table("t", ("",), [("<b>x",)]).html()


def test_history_frame_has_the_record(data, tmp_path):
    model = fit(*data)
    frame = model.history_frame()
    assert list(frame.columns) == ["loss", *model.history_]
    assert (frame.index.name, len(frame)) == ("iteration", model.n_iter_ + 1)
    frame.to_csv(tmp_path / "record.csv")
    read = pd.read_csv(tmp_path / "record.csv", index_col="iteration")
    np.testing.assert_allclose(read["train_mse"], model.history_["train_mse"])


def test_history_frame_without_pandas_has_a_remedy(data, monkeypatch):
    model = fit(*data)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas.*history_"):
        model.history_frame()


@pytest.mark.parametrize("method", ["summary", "history_frame"])
def test_an_estimator_that_is_not_fitted_raises(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(LMRegressor(), method)()
