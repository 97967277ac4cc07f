"""The displays show the record, the errors and the predictions of the model, and change nothing else."""

import doctest
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import may_end_early
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_lm
from sklearn_lm import (
    ErrorHistogramDisplay,
    FitDisplay,
    LMRegressor,
    RegressionDisplay,
    TrainingCurveDisplay,
    TrainingStateDisplay,
)
from sklearn_lm.plot._source import validation_failures

DISPLAYS = (TrainingCurveDisplay, TrainingStateDisplay, ErrorHistogramDisplay, RegressionDisplay, FitDisplay)
OF_DATA = DISPLAYS[2:]
X = np.linspace(-1, 1, 60).reshape(-1, 1)
y = np.sin(3 * X[:, 0]) + 0.1 * np.random.RandomState(0).normal(size=60)
Y = np.column_stack([y, 100 * X[:, 0] ** 2])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fitted(X=X, y=y, fit_params=None, **parameters):
    model = LMRegressor(3, n_starts=1, max_iter=15, random_state=0, **parameters)
    with may_end_early():
        return model.fit(X, y, **(fit_params or {}))


@pytest.fixture(scope="module")
def model():
    """Return a fitted model with all three sets."""
    return fitted(early_stopping=True, validation_fraction=0.2, test_fraction=0.1)


def draw(display, model, ax=None, X=X, y=y):
    return display.from_estimator(model, *((X, y) if display in OF_DATA else ()), ax=ax)


class WithStd(RegressorMixin, BaseEstimator):
    """Regressor that predicts a line, and a standard deviation that grows with the first column."""

    def fit(self, X, y):
        self.line_ = LinearRegression().fit(X, y)
        return self

    def predict(self, X, return_std=False):
        mean = self.line_.predict(X)
        return (mean, 2.0 + np.asarray(X)[:, 0]) if return_std else mean


# ---- all displays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", DISPLAYS)
def test_reachable_in_both_ways(display):
    assert getattr(sklearn_lm, display.__name__) is getattr(sklearn_lm.plot, display.__name__)
    assert display.__name__ in sklearn_lm.__all__
    assert {display.__name__, "plot"} <= set(dir(sklearn_lm))


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'PieDisplay'"):
        sklearn_lm.PieDisplay  # noqa: B018


def test_importing_the_package_leaves_matplotlib_alone():
    code = "import sys, sklearn_lm, sklearn_lm.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_the_error_says_so(display, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=f"{display.__name__}.plot requires matplotlib"):
        draw(display, model)


@pytest.mark.parametrize("display", DISPLAYS)
def test_unfitted_models_raise(display):
    for estimator in (LMRegressor(), make_pipeline(StandardScaler(), LMRegressor())):
        with pytest.raises(NotFittedError):
            draw(display, estimator)


@pytest.mark.parametrize("display", DISPLAYS)
def test_settings_and_data_stay_as_they_were(display, model):
    before, data = dict(mpl.rcParams), (X.copy(), y.copy())
    figure, axes = plt.subplots(1, 2)
    for ax in axes:
        drawn = draw(display, model, ax=ax)
        assert drawn.figure_ is figure
    figure.canvas.draw()
    assert dict(mpl.rcParams) == before
    np.testing.assert_array_equal(X, data[0])
    np.testing.assert_array_equal(y, data[1])
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("display", "n"), [(TrainingCurveDisplay, 1), (TrainingStateDisplay, 4), (ErrorHistogramDisplay, 1),
                       (RegressionDisplay, 4), (FitDisplay, 2)],
)  # fmt: skip
def test_axes_of_the_caller_are_used(display, n, model):
    _, axes = plt.subplots(n, squeeze=False)
    axes = axes.ravel()
    drawn = draw(display, model, ax=axes[0] if n == 1 else axes)
    assert list(getattr(drawn, "axes_", [getattr(drawn, "ax_", None)])) == list(axes)
    assert all(ax.has_data() for ax in axes)


def test_a_wrong_number_of_axes_raises(model):
    _, axes = plt.subplots(3)
    with pytest.raises(ValueError, match="has 4 panels and 3 axes were given"):
        TrainingStateDisplay.from_estimator(model, ax=axes)


def test_axes_without_a_grid_are_divided(model):
    figure = plt.figure()
    drawn = TrainingStateDisplay.from_estimator(model, ax=figure.add_axes((0.5, 0.1, 0.4, 0.8)))
    assert all(ax.get_position().x0 >= 0.5 for ax in drawn.axes_)


@pytest.mark.parametrize("display", DISPLAYS)
def test_wrapped_models(display):
    inner = LMRegressor(2, n_starts=1, max_iter=5, early_stopping=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), inner)
    wrapped = [
        pipeline,
        TransformedTargetRegressor(pipeline, transformer=StandardScaler()),
        GridSearchCV(pipeline, {"lmregressor__alpha": [0.0, 0.1]}, cv=2),
    ]
    for estimator in wrapped:
        with may_end_early():
            estimator.fit(X, y)
        drawn = draw(display, estimator)
        if display is ErrorHistogramDisplay:
            expected = np.sort(y - estimator.predict(X))
            np.testing.assert_allclose(np.sort(np.concatenate(list(drawn.errors.values()))), expected)
            assert set(drawn.errors) == {"train", "validation"}


def test_a_record_is_needed_for_curves():
    for display in DISPLAYS[:2]:
        with pytest.raises(TypeError, match="LinearRegression keeps no record"):
            display.from_estimator(LinearRegression().fit(X, y))


def test_docstring_example():
    result = doctest.testmod(sys.modules[TrainingCurveDisplay.__module__])
    assert result.attempted > 0
    assert result.failed == 0


# ---- training curve and state ---------------------------------------------------------------------------


def test_curve_lines_are_the_record(model):
    drawn = TrainingCurveDisplay.from_estimator(model)
    assert set(drawn.lines_) == {"train", "validation", "test"}
    for name, line in drawn.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), model.history_[f"{name}_mse"])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(model.n_iter_ + 1))
    assert drawn.ax_.get_yscale() == "log"
    assert drawn.best_marker_.get_xydata().tolist() == [[model.best_iter_, model.history_["validation_mse"].min()]]


def test_curve_without_held_out_sets():
    model = fitted()
    drawn = TrainingCurveDisplay.from_estimator(model)
    assert set(drawn.lines_) == {"train"}
    assert drawn.best_marker_.get_ydata() == [model.history_["train_mse"][model.best_iter_]]


def test_zero_errors_keep_the_log_axis():
    drawn = TrainingCurveDisplay([1.0, 1e-3, 0.0], [1.0, np.inf, np.nan]).plot()
    drawn.figure_.canvas.draw()
    low, high = drawn.ax_.get_ylim()
    assert 1e-5 < low < 1e-3
    assert 1 < high < 100
    np.testing.assert_array_equal(drawn.zeros_["train"].get_xdata(), [2])
    assert drawn.best_line_ is None


@pytest.mark.parametrize("errors", [[0.0], [0.0, 0.0], [5.0], [1e300, 1e-300]])
def test_curves_of_a_few_points(errors):
    drawn = TrainingCurveDisplay(errors, best_iter=0).plot()
    drawn.figure_.canvas.draw()
    assert drawn.ax_.get_yscale() == ("log" if max(errors) > 0 else "linear")
    ticks = drawn.ax_.get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


def test_state_panels_are_the_record(model):
    drawn = TrainingStateDisplay.from_estimator(model)
    for name in ("grad_norm", "mu", "gain_ratio"):
        np.testing.assert_array_equal(drawn.lines_[name].get_ydata(), model.history_[name])
    scales = [ax.get_yscale() for ax in drawn.axes_]
    assert scales == ["log", "log", "linear", "linear"]
    failures = drawn.lines_["validation_failures"].get_ydata()
    assert failures[model.best_iter_] == 0
    assert failures[-1] == model.n_iter_ - model.best_iter_
    drawn.axes_[0].set_xlim(0, 1)
    assert all(ax.get_xlim() == (0, 1) for ax in drawn.axes_)


def test_state_without_validation_set_has_three_panels():
    assert len(TrainingStateDisplay.from_estimator(fitted()).axes_) == 3


def test_state_prefers_the_recorded_failures():
    model = fitted(early_stopping=True)
    recorded = np.full(model.n_iter_ + 1, 3)
    model.history_ = {**model.history_, "validation_failures": recorded}
    drawn = TrainingStateDisplay.from_estimator(model)
    np.testing.assert_array_equal(drawn.lines_["validation_failures"].get_ydata(), recorded)


def test_validation_failures_count_since_the_least_error():
    assert validation_failures(np.array([3.0, 2, 2, 5, 1, 4])).tolist() == [0, 0, 1, 2, 0, 1]
    assert validation_failures(np.array([np.nan, np.nan, 1])).tolist() == [0, 1, 0]


# ---- errors and regression ------------------------------------------------------------------------------


def test_histogram_counts_every_row_once(model):
    drawn = ErrorHistogramDisplay.from_estimator(model, X, y, bins=7)
    errors = y - model.predict(X)
    total = np.zeros(7)
    for name, rows in model.split_indices_.items():
        counts, _ = np.histogram(errors[rows], drawn.edges_)
        heights = [bar.get_height() for bar in drawn.bars_[name]]
        assert heights == counts.tolist()
        assert [bar.get_y() for bar in drawn.bars_[name]] == total.tolist()
        assert counts.sum() == len(rows)
        total += counts
    assert total.sum() == len(y)
    assert list(drawn.zero_line_.get_xdata()) == [0, 0]


@pytest.mark.parametrize("display", OF_DATA)
def test_rows_of_weight_zero_are_left_out(display):
    weight = np.ones(60)
    weight[::4] = 0
    drawn = draw(display, fitted(fit_params={"sample_weight": weight}))
    shown = drawn.errors if hasattr(drawn, "errors") else drawn.targets
    assert set(shown) == {"all"}
    assert len(shown["all"]) == 45


@pytest.mark.parametrize("display", OF_DATA)
def test_a_validation_set_by_hand(display):
    model = fitted(fit_params={"X_val": X[:9] + 0.01, "y_val": y[:9]})
    drawn = display.from_estimator(model, X, y, X_val=X[:9] + 0.01, y_val=y[:9])
    assert len(drawn.targets["validation"] if hasattr(drawn, "targets") else drawn.errors["validation"]) == 9
    alone = display.from_estimator(model, X, y)
    assert set(alone.targets if hasattr(alone, "targets") else alone.errors) == {"train"}
    with pytest.raises(ValueError, match="y_val is missing"):
        display.from_estimator(model, X, y, X_val=X)


@pytest.mark.parametrize("display", OF_DATA)
def test_other_data_need_split_none(display, model):
    with pytest.raises(ValueError, match="or split=None for other data"):
        display.from_estimator(model, X[:5], y[:5])
    with pytest.raises(ValueError, match=f"X has {2 * len(X)} rows, and the model was fitted to {len(X)}"):
        display.from_estimator(model, np.vstack([X, X]), np.concatenate([y, y]))  # naive: half of them are not drawn
    with pytest.raises(ValueError, match="has taken a validation set from X"):
        display.from_estimator(model, X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="split must be"):
        display.from_estimator(model, X, y, split={"holdout": [1]})
    drawn = display.from_estimator(model, X[:5], y[:5], split=None)
    assert len(drawn.errors["all"] if hasattr(drawn, "errors") else drawn.targets["all"]) == 5


def test_outputs_are_pooled_or_chosen():
    model = fitted(y=Y)
    error = Y - model.predict(X)
    np.testing.assert_allclose(ErrorHistogramDisplay.from_estimator(model, X, Y).errors["all"], error.ravel())
    one = ErrorHistogramDisplay.from_estimator(model, X, Y, output=1)
    np.testing.assert_allclose(one.errors["all"], error[:, 1])
    np.testing.assert_allclose(RegressionDisplay.from_estimator(model, X, Y, output=1).targets["all"], Y[:, 1])
    np.testing.assert_allclose(FitDisplay.from_estimator(model, X, Y, output=1).errors["all"], error[:, 1])
    for display in OF_DATA:
        with pytest.raises(ValueError, match="output=2: there are 2 outputs"):
            display.from_estimator(model, X, Y, output=2)


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0])
def test_histogram_of_equal_errors(value):
    drawn = ErrorHistogramDisplay({"all": np.full(4, value)}).plot()
    assert drawn.counts_["all"].tolist() == [4]
    assert drawn.edges_[0] < value < drawn.edges_[1]


def test_r_is_the_correlation_and_the_line_the_least_squares_line(model):
    drawn = RegressionDisplay.from_estimator(model, X, y)
    assert list(drawn.r_) == ["train", "validation", "test", "all"]
    output = model.predict(X)
    for name, rows in {**model.split_indices_, "all": np.arange(60)}.items():
        assert drawn.r_[name] == pytest.approx(np.corrcoef(y[rows], output[rows])[0, 1], abs=1e-12)
        slope, intercept = np.polyfit(y[rows], output[rows], 1)
        line_x, line_y = drawn.fit_lines_[name].get_data()
        np.testing.assert_allclose(line_y, intercept + slope * np.asarray(line_x), rtol=1e-9)
        assert len(drawn.points_[name].get_xdata()) == len(rows)
        assert list(drawn.identity_lines_[name].get_xdata()) == list(drawn.identity_lines_[name].get_ydata())
    assert [f"{r:.4f}" in ax.get_title() for r, ax in zip(drawn.r_.values(), drawn.axes_, strict=True)] == [True] * 4


def test_constant_targets_have_no_r():
    drawn = RegressionDisplay.from_predictions(np.ones(3), [1.0, 2.0, 3.0])
    assert np.isnan(drawn.r_["all"])
    assert drawn.fit_lines_["all"] is None


def test_from_predictions_is_from_estimator(model):
    split = model.split_indices_
    for display in OF_DATA[:2]:
        one = display.from_estimator(model, X, y)
        other = display.from_predictions(y, model.predict(X), split=split)
        assert str(vars(one).get("counts_", vars(one).get("r_"))) == str(
            vars(other).get("counts_", vars(other).get("r_"))
        )


# ---- fit ------------------------------------------------------------------------------------------------


def test_fit_shows_curve_data_and_errors(model):
    drawn = FitDisplay.from_estimator(model, X, y, grid_resolution=33)
    x, curve = drawn.curve_.get_data()
    np.testing.assert_allclose(curve, model.predict(np.reshape(x, (-1, 1))))
    assert (x[0], x[-1], len(x)) == (-1, 1, 33)
    for name, rows in model.split_indices_.items():
        np.testing.assert_array_equal(drawn.points_[name].get_xydata(), np.column_stack([X[rows, 0], y[rows]]))
        np.testing.assert_allclose(drawn.error_points_[name].get_ydata(), (y - model.predict(X))[rows])
    assert FitDisplay.from_estimator(model, X, y, std=False).band_ is None


def test_fit_has_the_band_of_the_model(model):
    """The band has two standard deviations on either side."""
    drawn = FitDisplay.from_estimator(model, X, y, grid_resolution=33)
    x = drawn.curve_.get_xdata()
    mean, std = model.predict(np.reshape(x, (-1, 1)), return_std=True)
    corners = drawn.band_.get_paths()[0].vertices
    for at, below, above in zip(x, mean - 2 * std, mean + 2 * std, strict=True):
        here = corners[np.isclose(corners[:, 0], at), 1]
        np.testing.assert_allclose([here.min(), here.max()], [below, above])


def test_fit_with_stems_or_without_errors(model):
    stems = FitDisplay.from_estimator(model, X, y, show_errors="stems")
    segments = np.concatenate([stems.stems_[name].get_segments() for name in model.split_indices_])
    rows = np.concatenate(list(model.split_indices_.values()))
    np.testing.assert_allclose(segments[:, 0, 1], model.predict(X)[rows])
    np.testing.assert_allclose(segments[:, 1, 1], y[rows])
    assert len(FitDisplay.from_estimator(model, X, y, show_errors=None).axes_) == 1
    with pytest.raises(ValueError, match="show_errors must be"):
        FitDisplay.from_estimator(model, X, y, show_errors="bars")


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline("passthrough", model)])
def test_band_is_two_standard_deviations(wrap):
    model = wrap(WithStd()).fit(X, y)
    drawn = FitDisplay.from_estimator(model, X, y)
    x, curve = drawn.curve_.get_data()
    low, high = drawn.band_.get_datalim(drawn.ax_.transData).intervaly
    assert low == pytest.approx((curve - 2 * (2 + x)).min())
    assert high == pytest.approx((curve + 2 * (2 + x)).max())
    assert FitDisplay.from_estimator(model, X, y, std=False).band_ is None


def test_band_of_a_model_without_deviation():
    line = LinearRegression().fit(X, y)
    assert FitDisplay.from_estimator(line, X, y).band_ is None
    with pytest.raises(ValueError, match="predict of LinearRegression has no return_std"):
        FitDisplay.from_estimator(line, X, y, std=True)
    with pytest.raises(ValueError, match="std must be"):
        FitDisplay.from_estimator(line, X, y, std="yes")


def test_no_band_without_standard_deviations():
    class Without(WithStd):
        def predict(self, X, return_std=False):
            if return_std:
                raise ValueError("this fit keeps no standard deviation")
            return super().predict(X)

    model = Without().fit(X, y)
    assert FitDisplay.from_estimator(model, X, y).band_ is None
    with pytest.raises(ValueError, match="keeps no standard deviation"):
        FitDisplay.from_estimator(model, X, y, std=True)


def test_band_of_several_outputs_is_that_of_the_chosen_one():
    class Each(WithStd):
        def predict(self, X, return_std=False):
            mean = self.line_.predict(X)
            return (mean, np.full(mean.shape, [1.0, 5.0])) if return_std else mean

    drawn = FitDisplay.from_estimator(Each().fit(X, Y), X, Y, output=1)
    np.testing.assert_array_equal(drawn.grid_std, 5.0)


def test_other_columns_stay_at_their_medians(rng):
    Z = rng.normal(size=(30, 3))
    line = LinearRegression().fit(Z, Z @ [1.0, 2.0, 3.0])
    drawn = FitDisplay.from_estimator(line, Z, Z @ [1.0, 2.0, 3.0], feature=1)
    x, curve = drawn.curve_.get_data()
    np.testing.assert_allclose(curve, np.median(Z[:, 0]) + 2 * x + 3 * np.median(Z[:, 2]), atol=1e-12)
    with pytest.raises(ValueError, match="feature=3: X has 3 columns"):
        FitDisplay.from_estimator(line, Z, Z[:, 0], feature=3)


def test_data_frames_keep_their_names(rng):
    frame = pd.DataFrame({"speed": rng.normal(size=30), "gear": rng.randint(1, 4, size=30)})
    target = pd.Series(frame["speed"] * 2, name="force")
    line = LinearRegression().fit(frame, target)
    drawn = FitDisplay.from_estimator(line, frame, target, feature="speed")
    assert (drawn.axes_[-1].get_xlabel(), drawn.ax_.get_ylabel()) == ("speed", "force")
    with pytest.raises(ValueError, match="feature='weight': X has no such column"):
        FitDisplay.from_estimator(line, frame, target, feature="weight")
