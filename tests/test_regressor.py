"""The estimator, tested mostly by identities."""

import pickle

import numpy as np
import pytest
from conftest import may_end_early, size
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_lm import LMRegressor

MAX_ITER = size(200, 80)


def fit(X, y, *, hidden=(4,), sample_weight=None, X_val=None, y_val=None, sample_weight_val=None, **parameters):
    """Fit with one start; the fit may end at max_iter."""
    parameters = {"max_iter": MAX_ITER, "random_state": 0, "n_starts": 1, **parameters}
    with may_end_early():
        return LMRegressor(hidden, **parameters).fit(
            X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val
        )


# ---- linear networks are linear models ----------------------------------------------------------------
@pytest.fixture
def linear_data(rng):
    X = rng.normal(size=(size(60, 20), 3)) * [1, 10, 0.1] + [0, 5, -2]
    Y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(len(X), 2)) + 7
    return X, Y, rng.uniform(0.1, 2, size=len(X))


@pytest.mark.parametrize("scaling", ["minmax", "standard", None])
@pytest.mark.parametrize(("hidden", "activation"), [((), "tanh"), ((3,), "identity"), ((4, 3), "identity")])
def test_linear_network_is_linear_regression(linear_data, hidden, activation, scaling):
    X, Y, weight = linear_data
    peer = LinearRegression().fit(X, Y, weight)
    options = {"activation": activation, "scaling": scaling, "max_iter": 1000}
    model = fit(X, Y, hidden=hidden, alpha=0.0, sample_weight=weight, **options)
    np.testing.assert_allclose(model.predict(X), peer.predict(X), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("alpha", "n_powers", "tolerance"), [("auto", 7, 0.01), (0.0, 7, 1e-6), (0.0, 10, 0.1)])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_powers_of_an_input_are_fitted_as_by_an_orthogonal_factorisation(alpha, n_powers, tolerance, is_weighted, rng):
    x = np.linspace(0, 1, 60)
    X, Y = x[:, None] ** np.arange(1, n_powers + 1), np.column_stack([np.cos(3 * x), np.exp(x) * 1e6])
    root = np.sqrt(rng.uniform(0.1, 2, size=60)) if is_weighted else np.ones(60)
    design = np.column_stack([np.ones(60), X])
    best = np.linalg.lstsq(root[:, None] * design, root[:, None] * Y)[0]
    for y, theta in zip((*Y.T, Y), (*best.T, best), strict=True):
        f = fit(X, y, hidden=(), alpha=alpha, sample_weight=root**2).predict(X)
        least, squares = (root**2 @ (y - g) ** 2 for g in (design @ theta, f))
        assert (squares <= (1 + tolerance) * least).all()


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_network_without_hidden_layers_is_ridge(linear_data, alpha):
    X, Y, weight = linear_data
    peer = Ridge(alpha).fit(X, Y, weight)
    model = fit(X, Y, hidden=(), alpha=alpha, scaling=None, sample_weight=weight, min_grad=1e-13)
    np.testing.assert_allclose(model.coefs_[0].T, peer.coef_, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(model.intercepts_[0], peer.intercept_, rtol=1e-8)
    residual = Y - peer.predict(X)
    objective = 0.5 * (weight @ residual**2).sum() + 0.5 * alpha * (peer.coef_**2).sum()
    assert model.loss_ == pytest.approx(objective, rel=1e-10)


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_alpha_acts_in_scaled_units(linear_data, scaling):
    X, Y, weight = linear_data
    model = fit(X, Y, hidden=(), alpha=2.0, scaling=scaling, sample_weight=weight)
    peer = Ridge(2.0).fit((X - model.x_offset_) / model.x_scale_, (Y - model.y_offset_) / model.y_scale_, weight)
    np.testing.assert_allclose(model.coefs_[0].T, peer.coef_, rtol=1e-8, atol=1e-9)


# ---- weights ------------------------------------------------------------------------------------------
@pytest.fixture
def noisy_data(rng):
    X = rng.uniform(-2, 2, size=(size(50, 25), 2))
    y = np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.1 * rng.normal(size=len(X))
    return X, y, rng.randint(0, 4, size=len(X))


@pytest.mark.parametrize("scaling", ["minmax", "standard", None])
def test_integer_weights_equal_repeated_rows(noisy_data, scaling):
    X, y, times = noisy_data
    options = {"alpha": 0.1, "scaling": scaling, "hidden": (2,), "max_iter": size(2000, 60)}
    weighted = fit(X, y, sample_weight=times, **options)
    repeated = fit(np.repeat(X, times, axis=0), np.repeat(y, times), **options)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7, atol=1e-7)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)


@pytest.mark.parametrize("scaling", ["minmax", "standard", None])
def test_zero_weights_equal_dropped_rows(noisy_data, scaling):
    """The dropped rows hold outliers, which must have no influence at all."""
    X, y, times = noisy_data
    dropped = times == 0
    X, y = np.where(dropped[:, None], 1e9, X), np.where(dropped, -1e9, y)
    weighted = fit(X, y, sample_weight=~dropped, scaling=scaling, test_fraction=0.2)
    without = fit(X[~dropped], y[~dropped], scaling=scaling, test_fraction=0.2)
    np.testing.assert_array_equal(weighted.predict(X), without.predict(X))
    for name, indices in without.split_indices_.items():
        np.testing.assert_array_equal(weighted.split_indices_[name], np.flatnonzero(~dropped)[indices])


# ---- any container, any layout ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int16),
        lambda a: a.astype(object),
        lambda a: a.tolist(),
    ],
    ids=["fortran", "strided", "reversed", "float32", "int16", "object", "list"],
)
def test_layout_and_dtype_do_not_matter(convert, rng):
    """The numbers are small integers, so that every dtype holds them exactly."""
    X, y = rng.randint(-9, 9, size=(40, 3)).astype(float), rng.randint(-9, 9, size=40).astype(float)
    expected = fit(X, y, max_iter=5).predict(X)
    np.testing.assert_array_equal(fit(convert(X), convert(y), max_iter=5).predict(convert(X)), expected)


def test_bool_input(rng):
    X = rng.randint(0, 2, size=(30, 3)).astype(bool)
    y = X[:, 0] ^ X[:, 1]
    expected = fit(X.astype(float), y.astype(float), max_iter=5).predict(X.astype(float))
    np.testing.assert_array_equal(fit(X, y, max_iter=5).predict(X), expected)


def test_read_only_input_and_nothing_is_written(curve):
    X, y = curve
    weight = np.linspace(1, 2, len(y))
    before = [array.copy() for array in (X, y, weight)]
    for array in (X, y, weight):
        array.flags.writeable = False
    fit(X, y, sample_weight=weight, max_iter=5, X_val=X, y_val=y).predict(X)
    for array, copy in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_constructor_parameters_are_never_written_to(curve):
    model = LMRegressor([3, 2], ["tanh", "relu"], max_iter=3, random_state=0)
    before = {name: pickle.dumps(value) for name, value in model.get_params().items()}
    with pytest.warns(ConvergenceWarning):
        model.fit(*curve)
    assert {name: pickle.dumps(value) for name, value in model.get_params().items()} == before


def test_pandas_names(curve):
    pandas = pytest.importorskip("pandas")
    X, y = curve
    frame = pandas.DataFrame(X, columns=["angle", "pressure"])
    model = fit(frame, pandas.Series(y), max_iter=5)
    assert list(model.feature_names_in_) == ["angle", "pressure"]
    np.testing.assert_array_equal(model.predict(frame), fit(X, y, max_iter=5).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["pressure", "angle"]])


def test_number_of_dimensions_of_y_comes_back(curve):
    X, y = curve
    assert fit(X, y, max_iter=2).predict(X).shape == (len(y),)
    assert fit(X, y[:, None], max_iter=2).predict(X).shape == (len(y), 1)
    assert fit(X, np.c_[y, -y, y**2], max_iter=2).predict(X).shape == (len(y), 3)


# ---- fitted attributes --------------------------------------------------------------------------------
def test_predictions_follow_from_the_public_attributes(curve):
    """Predictions computed from the public attributes alone."""
    X, y = curve
    model = fit(X, np.c_[y, y**2], hidden=(3, 2), activation=("tanh", "softplus"), max_iter=5)
    a = (X - model.x_offset_) / model.x_scale_
    for W, b, name in zip(model.coefs_, model.intercepts_, (*model.hidden_activations_, "identity"), strict=True):
        z = a @ W + b
        a = {"tanh": np.tanh, "softplus": lambda z: np.log1p(np.exp(z)), "identity": lambda z: z}[name](z)
    np.testing.assert_allclose(model.predict(X), model.y_offset_ + model.y_scale_ * a, rtol=1e-12)
    assert [W.shape for W in model.coefs_] == [(2, 3), (3, 2), (2, 2)]
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (4, 2, "identity")


def test_history_is_consistent(curve):
    X, y = curve
    model = fit(X, y, alpha=0.01, max_iter=8)
    history = model.history_
    phases = {"time_jacobian", "time_solve", "time_evaluate"}
    assert set(history) == {"train_mse", "grad_norm", "mu", "gain_ratio", "n_evaluations", "time"} | phases
    assert {column.shape for column in history.values()} == {(model.n_iter_ + 1,)}
    assert history["train_mse"][-1] == pytest.approx(np.mean((model.predict(X) - y) ** 2), rel=1e-10)
    assert len(model.loss_curve_) == model.n_iter_ + 1
    assert model.loss_ == model.loss_curve_[-1] == min(model.loss_curve_)
    assert model.best_iter_ == model.n_iter_
    mse = history["train_mse"][-1] / model.y_scale_[0] ** 2
    penalty = 0.01 * sum((W**2).sum() for W in model.coefs_)
    assert model.loss_ == pytest.approx(0.5 * len(y) * mse + 0.5 * penalty, rel=1e-10)


def test_weighted_training_error(curve):
    X, y = curve
    weight = np.linspace(0, 3, len(y))
    model = fit(X, y, sample_weight=weight, max_iter=5)
    expected = np.average((model.predict(X) - y) ** 2, weights=weight)
    assert model.history_["train_mse"][-1] == pytest.approx(expected, rel=1e-10)


def test_same_seed_same_model(curve):
    first, again, other = (fit(*curve, random_state=s, max_iter=5).predict(curve[0]) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("damping", ["nielsen", "marquardt"])
@pytest.mark.parametrize("init", ["nguyen_widrow", "glorot"])
@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "softplus"])
def test_every_kind_of_network_learns(curve, activation, init, damping):
    X, y = curve
    model = fit(X, y, hidden=(8,), activation=activation, init=init, damping=damping, max_iter=size(100, 15))
    assert model.score(X, y) > (0.98 if size(1, 0) else 0.9)


# ---- validation and test sets -------------------------------------------------------------------------
@pytest.fixture
def overfitting(rng):
    """30 noisy points and a network that can reproduce the noise."""
    X = rng.uniform(-3, 3, size=(60, 1))
    return X, np.sin(X[:, 0]) + 0.3 * rng.normal(size=60)


def test_early_stopping_keeps_the_best_validation_iteration(overfitting):
    X, y = overfitting
    model = fit(X, y, hidden=(10,), alpha=0.0, early_stopping=True, validation_fraction=0.3, test_fraction=0.1)
    errors = model.history_["validation_mse"]
    assert model.best_iter_ == np.argmin(errors)
    assert model.n_iter_ == model.best_iter_ + model.n_iter_no_change
    assert model.stop_reason_ == "the validation error did not fall for n_iter_no_change iterations"
    for name, indices in model.split_indices_.items():
        mse = np.mean((model.predict(X[indices]) - y[indices]) ** 2)
        assert model.history_[f"{name}_mse"][model.best_iter_] == pytest.approx(mse, rel=1e-10)
    assert model.loss_ == model.loss_curve_[model.best_iter_]


def test_given_validation_set_switches_early_stopping_on(overfitting):
    X, y = overfitting
    split = fit(X, y, alpha=0.0, early_stopping=True, validation_fraction=0.3)
    train, validation = split.split_indices_["train"], split.split_indices_["validation"]
    given = fit(X[train], y[train], X_val=X[validation], y_val=y[validation], alpha=0.0)
    assert "validation_mse" in given.history_
    assert given.best_iter_ == np.argmin(given.history_["validation_mse"])
    assert list(given.split_indices_) == ["train"]


def test_weights_of_a_validation_set_equal_repeated_rows(overfitting):
    X, y = overfitting
    X_val, y_val, weight = X[40:], y[40:], np.arange(20) % 3
    weighted = fit(X[:40], y[:40], X_val=X_val, y_val=y_val, sample_weight_val=weight, alpha=0.0)
    X_val, y_val = np.repeat(X_val, weight, axis=0), np.repeat(y_val, weight)
    repeated = fit(X[:40], y[:40], X_val=X_val, y_val=y_val, alpha=0.0)
    np.testing.assert_allclose(
        weighted.history_["validation_mse"], repeated.history_["validation_mse"], rtol=1e-10, atol=1e-14
    )
    assert weighted.best_iter_ == repeated.best_iter_


def test_sample_weights_are_split_with_their_rows(overfitting):
    X, y = overfitting
    weight = 1.0 + np.arange(60) % 4
    model = fit(X, y, sample_weight=weight, early_stopping=True, test_fraction=0.2, split="interleaved")
    for name, rows in model.split_indices_.items():
        mse = np.average((model.predict(X[rows]) - y[rows]) ** 2, weights=weight[rows])
        assert model.history_[f"{name}_mse"][model.best_iter_] == pytest.approx(mse, rel=1e-10)


def test_block_split_tests_on_the_last_rows(overfitting):
    X, y = overfitting
    model = fit(X, y, early_stopping=True, validation_fraction=0.2, test_fraction=0.1, split="block", max_iter=3)
    ends = {name: (rows[0], rows[-1]) for name, rows in model.split_indices_.items()}
    assert ends == {"train": (0, 41), "validation": (42, 53), "test": (54, 59)}


def test_test_set_has_no_influence_on_the_fit(overfitting):
    X, y = overfitting
    model = fit(X, y, test_fraction=0.25, max_iter=10)
    held_out = model.split_indices_["test"]
    assert len(held_out) == 15
    assert model.best_iter_ == model.n_iter_
    changed = y.copy()
    changed[held_out] = 1e6
    again = fit(X, changed, test_fraction=0.25, max_iter=10)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))


# ---- endings ------------------------------------------------------------------------------------------
def test_unconverged_fit_warns_with_reason_and_remedy(curve):
    with pytest.warns(ConvergenceWarning, match=r"max_iter iterations were made.*Raise max_iter") as caught:
        model = LMRegressor(max_iter=2, random_state=0).fit(*curve)
    assert caught[0].filename == __file__
    assert (model.n_iter_, model.stop_reason_) == (2, "max_iter iterations were made")


@pytest.mark.parametrize(("alpha", "is_reported"), [(0.0, True), (1e-3, False), ("evidence", False)])
def test_a_penalty_is_the_remedy_only_for_fits_without_one(curve, alpha, is_reported):
    with pytest.warns(ConvergenceWarning) as caught:
        LMRegressor(alpha=alpha, max_iter=2, random_state=0).fit(*curve)
    message = str(caught[0].message)
    assert message.endswith("Raise max_iter, or fit fewer units.")
    assert ("set alpha='evidence'" in message) == is_reported


def test_max_time_returns_the_best_so_far(curve):
    with pytest.warns(ConvergenceWarning, match=r"max_time seconds have passed.*Raise max_time"):
        model = LMRegressor(max_time=1e-9, random_state=0).fit(*curve)
    assert np.isfinite(model.predict(curve[0])).all()


def test_goal_ends_the_fit_in_the_targets_units(curve):
    X, y = curve
    model = fit(X, y, goal=0.5, max_iter=MAX_ITER)
    assert model.stop_reason_ == "the training error reached goal"
    assert model.history_["train_mse"][-1] <= 0.5 < model.history_["train_mse"][-2]


def test_converged_fit_is_silent(linear_data):
    X, Y, _ = linear_data
    model = LMRegressor((), random_state=0).fit(X, Y)
    assert model.n_iter_ < 50


# ---- problems without a unique answer are fitted --------------------------------------------------------
@pytest.mark.parametrize("hidden", [(), (6,)])
def test_duplicate_and_constant_columns(hidden, rng):
    x = rng.uniform(-1, 1, size=30)
    X = np.column_stack([x, x, np.full(30, 3.7), 1e-9 * x])
    model = fit(X, 2 * x + 1, hidden=hidden, alpha=0.0)
    np.testing.assert_allclose(model.predict(X), 2 * x + 1, rtol=1e-4)


def test_more_parameters_than_rows(rng):
    X, y = rng.normal(size=(5, 3)), rng.normal(size=5)
    model = fit(X, y, hidden=(6,), alpha=0.0, max_iter=MAX_ITER)
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_rows", [1, 2])
def test_very_few_rows(n_rows):
    X, y = np.arange(2.0 * n_rows).reshape(n_rows, 2), np.arange(5.0, 5.0 + n_rows)
    np.testing.assert_allclose(fit(X, y, alpha=0.0).predict(X), y, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, -4.2, 1e-9, 1e-300, 1e100])
@pytest.mark.parametrize("options", [{}, {"alpha": 0.0}, {"loss": "huber"}, {"early_stopping": True}, {"hidden": ()}])
def test_constant_target(value, options, rng):
    """It is predicted as constant everywhere, to rounding errors in its own unit."""
    X, X_new, weight = rng.normal(size=(20, 3)), 2 * rng.normal(size=(30, 3)), rng.uniform(0.1, 2, size=20)
    y = np.full(20, value)
    rounded = y + np.spacing(value) * rng.randint(-3, 4, size=20)
    for Y, n_rows in ((y, 20), (rounded, 20), (np.column_stack([y, X[:, 0]]), 20), (y, 4)):
        f = fit(X[:n_rows], Y[:n_rows], sample_weight=weight[:n_rows], **options).predict(X_new)
        np.testing.assert_allclose(f.reshape(30, -1)[:, 0], value, rtol=1e-12, atol=1e-50 * (value == 0))


@pytest.mark.parametrize("options", [{}, {"alpha": 1e-3}, {"loss": "huber"}, {"early_stopping": True}])
def test_powers_of_two_do_not_change_a_bit(options, rng):
    X = rng.normal(size=(40, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=40)
    means, stds = zip(
        *(fit(a * X, b * y, n_starts=4, **options).predict(a * X, return_std=True) for a, b in ((1, 1), (0.25, 2))),
        strict=True,
    )
    np.testing.assert_array_equal(2 * means[0], means[1])
    np.testing.assert_array_equal(2 * stds[0], stds[1])


def test_single_constant_input():
    X, y = np.full((10, 1), 2.0), np.arange(10.0)
    np.testing.assert_allclose(fit(X, y).predict(X), 4.5, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-140, 1e-9, 1e9, 1e140])
def test_units_do_not_matter(unit, curve):
    X, y = curve
    expected = fit(X, y, max_iter=5).predict(X)
    np.testing.assert_allclose(fit(X * unit, y * unit, max_iter=5).predict(X * unit), expected * unit, rtol=1e-6)


# ---- errors -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", 0), ("hidden_layer_sizes", (3, -1)), ("hidden_layer_sizes", "large"),
        ("hidden_layer_sizes", (2.5,)), ("activation", "sine"), ("activation", ("tanh", "tanh")), ("activation", 3),
        ("alpha", -1.0), ("alpha", np.nan), ("scaling", "robust"), ("init", "zeros"),
        ("solve_output", 1.5), ("acceleration", "no"), ("n_starts", 0), ("n_starts", "many"),
        ("n_jobs", 0), ("damping", "none"),
        ("mu", 0.0), ("mu_increase", 1.0), ("mu_decrease", 1.0), ("mu_max", -1), ("max_iter", 0), ("max_iter", 2.5),
        ("tol", -1e-3), ("min_grad", -1), ("goal", -1), ("max_time", 0), ("early_stopping", "yes"),
        ("validation_fraction", 1.0), ("test_fraction", 1.0), ("n_iter_no_change", 0), ("warm_start", 2),
        ("verbose", -1), ("random_state", "seed"),
    ],
)  # fmt: skip
def test_wrong_parameter_is_named(name, value, curve):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of LMRegressor"):
        LMRegressor(**{name: value}).fit(*curve)


def test_activation_that_cannot_be_looked_up_is_named(curve):
    with pytest.raises(InvalidParameterError, match="'activation'"):
        LMRegressor(activation=[["tanh"]]).fit(*curve)


def test_overflow_in_the_data_names_column_and_remedy():
    X = np.array([[1.0, 2.0], [1e200, 3.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"X reaches 1e\+200 in column 0.*scaling='minmax'"):
        LMRegressor(scaling=None).fit(X, X[:, 1])
    with pytest.raises(ValueError, match=r"y reaches 1e\+200 in column 0.*divide"):
        LMRegressor().fit(X, X[:, 0])


def test_failed_fit_leaves_an_unfitted_model_unfitted():
    model = LMRegressor()
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[np.nan], [1.0]], [0.0, 1.0])
    with pytest.raises(NotFittedError):
        model.predict([[1.0]])


def test_failed_refit_leaves_the_model_as_it_was(curve):
    """The failure comes after the validation of X, which sets attributes."""
    pandas = pytest.importorskip("pandas")
    X, y = curve
    model = fit(pandas.DataFrame(X, columns=["a", "b"]), y, max_iter=3)
    before = {name: pickle.dumps(value) for name, value in vars(model).items()}
    for bad_X, bad_y in ((np.ones((2, 3)), [1e-200, 0.0]), (np.ones((1, 3)), [1.0])):
        with pytest.raises(ValueError, match=r"y varies|set would be empty"):
            model.set_params(early_stopping=len(bad_y) == 1).fit(bad_X, bad_y)
    model.set_params(early_stopping=False)
    assert {name: pickle.dumps(value) for name, value in vars(model).items()} == before


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_start_with_the_least_error_wins_without_scaling(unit, curve):
    """Errors are in units of y then, and still distinguish the starts."""
    X, y = curve
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), unit * (y - 50) / 20
    starts = fit(X, y, alpha=0.0, scaling=None, n_starts=5, min_grad=0.0, max_iter=12).starts_
    finished = starts["train_mse"][np.isin(starts["fate"], ["won", "ran to the end"])]
    assert starts["train_mse"][starts["fate"] == "won"] == finished.min()


def test_small_targets_do_not_reach_a_goal_of_zero(curve):
    X, y = curve
    model = fit(X, y * 1e-145, max_iter=10)
    assert model.n_iter_ == 10


@pytest.mark.parametrize("sizes", [{3, 4}, {4: 1}, True, (True,), 2.0])
def test_hidden_layers_are_an_ordered_sequence(sizes, curve):
    with pytest.raises(InvalidParameterError, match="'hidden_layer_sizes'"):
        LMRegressor(sizes).fit(*curve)


def test_predict_raises_for_another_number_of_columns(curve):
    with pytest.raises(ValueError, match="X has 1 features, but LMRegressor is expecting 2"):
        fit(*curve, max_iter=2).predict(curve[0][:, :1])


# ---- warm start: see test_resume.py -------------------------------------------------------------------
def test_warm_start_keeps_the_scaling(curve):
    X, y = curve
    model = fit(X, y, max_iter=2, warm_start=True)
    offset = model.x_offset_
    with may_end_early():
        model.fit(10 * X, y)
    np.testing.assert_array_equal(model.x_offset_, offset)


@pytest.mark.parametrize("changed", [{"hidden_layer_sizes": (5,)}, {"activation": "relu"}])
def test_warm_start_of_another_network_is_an_error(curve, changed):
    model = fit(*curve, max_iter=2, warm_start=True).set_params(**changed)
    with pytest.raises(ValueError, match=r"warm_start=True cannot go on.*set warm_start=False"):
        model.fit(*curve)


# ---- with other tools of scikit-learn --------------------------------------------------------------------------
def test_grid_search_over_a_pipeline():
    X, y = make_friedman1(size(150, 80), random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LMRegressor(2, max_iter=size(60, 30), n_starts=size(3, 1), random_state=0)),
        {
            "lmregressor__alpha": [0.1, 1.0],
            "lmregressor__hidden_layer_sizes": [(), (2,)],
            "lmregressor__damping": ["nielsen", "marquardt"],
        },
        cv=3,
    )
    with may_end_early():
        search.fit(X, y)
    assert search.best_params_["lmregressor__hidden_layer_sizes"] == (2,)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_pickle_and_clone(curve):
    X, y = curve
    model = fit(X, y, max_iter=4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "coefs_")


def test_verbose_prints_and_silence_is_silent(curve, capsys):
    fit(*curve, max_iter=3, verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 5
    fit(*curve, max_iter=3)
    assert capsys.readouterr().out == ""


def test_damping_that_starts_at_its_maximum_is_an_error():
    X = np.arange(10.0)[:, None]
    with pytest.raises(ValueError, match=r"mu=.* is not below mu_max=.*Lower mu"):
        LMRegressor(3, mu=1e12).fit(X, X[:, 0])


class Short(LMRegressor):
    """Subclass with fewer parameters, one of them fixed by a property."""

    def __init__(self, hidden=3, checkpoint=None):
        super().__init__(hidden, checkpoint=checkpoint, random_state=0, max_iter=3)
        self.hidden = hidden

    @property
    def mu(self):
        return 1e-2

    @mu.setter
    def mu(self, value):
        pass


def test_a_subclass_has_parameters_of_its_own(rng, tmp_path):
    X = rng.normal(size=(30, 2))
    file = tmp_path / "fit.npz"
    with may_end_early():
        model = Short(checkpoint=file).fit(X, X[:, 0])
        same = LMRegressor(3, random_state=0, max_iter=3, mu=1e-2).fit(X, X[:, 0])
    np.testing.assert_array_equal(model.predict(X), same.predict(X))
    assert not file.exists()
