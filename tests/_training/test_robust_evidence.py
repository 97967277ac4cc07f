"""A penalty found by the evidence under a robust loss."""

import numpy as np
import pytest
from conftest import may_end_early, size

from sklearn_lm import LMRegressor
from sklearn_lm._network.losses import TUNING

NAMES = sorted(TUNING)
N_SEEDS = size(5, 2)


def regressor(hidden=(10,), **parameters):
    return LMRegressor(hidden, **{"random_state": 0, "max_iter": size(200, 30), **parameters})


def sine(seed, n_outliers=0, size_of_outliers=4.0, n=30):
    """Return a noisy sine with outliers, most of them above it, and rows to predict with the true values."""
    rng = np.random.RandomState(seed)
    X = np.sort(rng.uniform(-1, 1, size=(n, 1)), axis=0)
    y = np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=n)
    rows = rng.choice(n, n_outliers, replace=False)
    y[rows] += size_of_outliers * rng.choice([-1, 1, 1], n_outliers) * rng.uniform(0.5, 1.2, n_outliers)
    x = np.linspace(-0.95, 0.95, 100)[:, None]
    return X, y, x, np.sin(3 * x[:, 0])


def median_error(loss, **options):
    errors = []
    for seed in range(N_SEEDS):
        X, y, x, truth = sine(seed, **options)
        with may_end_early():
            model = regressor(loss=loss, n_starts=2).fit(X, y)
        errors.append(np.sqrt(np.mean((model.predict(x) - truth) ** 2)))
    return np.median(errors)


@pytest.fixture(scope="module")
def errors_of_squares():
    return {n: median_error("squared_error", n_outliers=n) for n in (0, 4)}


@pytest.mark.parametrize("loss", NAMES)
def test_outliers_hardly_matter_and_without_them_nothing_is_lost(loss, errors_of_squares):
    """Naive: without a penalty, 30 rows and ten units are error enough."""
    assert median_error(loss) < 1.2 * errors_of_squares[0]
    assert median_error(loss, n_outliers=4) < 0.3 * errors_of_squares[4]


@pytest.mark.parametrize("loss", NAMES)
def test_the_size_of_outliers_does_not_matter(loss):
    """Naive: they take part in the scale of y, beside which the curve is nothing."""
    assert median_error(loss, n_outliers=3, size_of_outliers=1e4) < 0.12


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 15, 19])
def test_outliers_do_not_hide_a_curve_of_several_periods(seed):
    """Naive: all starts take the curve for noise, and neighbours that are outliers are no better."""
    rng = np.random.RandomState(seed)
    X = np.sort(rng.uniform(-1, 1, size=(60, 1)), axis=0)
    y = np.sin(8 * X[:, 0]) + 0.1 * rng.normal(size=60)
    rows = rng.choice(60, 8, replace=False)
    y[rows] += rng.choice([-1, 1, 1], 8) * rng.uniform(2, 5, 8)
    with may_end_early():
        model = LMRegressor(loss="cauchy", random_state=seed).fit(X, y)
    x = np.linspace(-0.95, 0.95, 100)[:, None]
    assert np.sqrt(np.mean((model.predict(x) - np.sin(8 * x[:, 0])) ** 2)) < 0.15


def test_the_default_is_the_evidence():
    X, y, _, _ = sine(0, 4)
    default, named = (regressor(loss="huber", max_iter=9, **own) for own in ({}, {"alpha": "evidence"}))
    with may_end_early():
        np.testing.assert_array_equal(default.fit(X, y).alpha_, named.fit(X, y).alpha_)


@pytest.mark.parametrize("loss", NAMES)
def test_noise_and_loss_scale_belong_together(loss):
    """And the published weights of the rows are those of the published curve."""
    X, y, _, _ = sine(1, 4)
    with may_end_early():
        model = regressor(loss=loss).fit(X, y)
    sigma = np.sqrt(model.noise_variance_)
    assert model.loss_scale_ == pytest.approx(TUNING[loss] * sigma, rel=1e-9)
    assert 0.07 < sigma < 0.2
    z = ((y - model.predict(X)) / model.loss_scale_) ** 2
    slope = {"huber": 1 / np.sqrt(np.maximum(z, 1)), "soft_l1": 1 / np.sqrt(1 + z), "cauchy": 1 / (1 + z)}[loss]
    np.testing.assert_allclose(model.loss_weights_, slope, rtol=1e-9)
    assert 2 < model.n_effective_parameters_ < 15


def test_a_linear_fit_is_near_the_fixed_point_of_its_formulas():
    """Proposal 2 for the noise, MacKay's update for the penalty, with the effective parameters of weighted rows.

    Near it, because the largest evidence on the way is not at the fixed point.
    """
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 2))
    y = X @ [1.0, -2.0] + 0.3 * rng.standard_t(2, size=60)
    with may_end_early():
        model = regressor((), loss="huber", penalty_groups="layer", scaling="standard", max_iter=1000).fit(X, y)
    scale, Z = model.y_scale_[0], np.column_stack([(X - model.x_offset_) / model.x_scale_, np.ones(60)])
    beta = scale**2 / model.noise_variance_
    theta = np.append(model.coefs_[0][:, 0], model.intercepts_[0])
    S = np.append(np.full(2, model.alpha_[0]), 1e-3 / beta)
    r = (y - model.predict(X)) / scale
    inverse = np.linalg.inv((Z.T * model.loss_weights_) @ Z + np.diag(S))
    gamma = 1 - S * np.diag(inverse)
    np.testing.assert_allclose((Z.T * model.loss_weights_) @ r, S * theta, atol=1e-3)
    assert gamma[:2].sum() / (theta[:2] @ theta[:2]) == pytest.approx(model.alpha_[0] * beta, rel=0.02)
    u = np.random.RandomState(1).normal(size=10**6)
    share = np.mean(np.minimum(u**2, TUNING["huber"] ** 2))
    cut = np.minimum(beta * r**2, TUNING["huber"] ** 2).sum()
    assert cut == pytest.approx((60 - gamma.sum()) * share, rel=0.1)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_weight_is_a_repeated_row(n_outputs):
    X, y, _, _ = sine(2, 4)
    y = np.column_stack([y, np.cos(X[:, 0])])[:, :n_outputs]
    weight = 1 + np.arange(30) % 3
    model = regressor((3,), loss="cauchy", n_starts=1)
    with may_end_early():
        weighted = model.fit(X, y, sample_weight=weight).predict(X, return_std=True)
        repeated = model.fit(X.repeat(weight, axis=0), y.repeat(weight, axis=0)).predict(X, return_std=True)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-3, atol=1e-5)


def test_known_standard_deviations_and_outliers():
    """Residuals are compared with the sigma of their own row."""
    X, y, x, truth = sine(3, 0)
    rng = np.random.RandomState(0)
    sigma = np.where(np.arange(30) % 2, 1.0, 0.05)
    y = np.sin(3 * X[:, 0]) + sigma * rng.normal(size=30)
    y[4] += 3.0
    with may_end_early():
        model = regressor(loss="cauchy", weight_type="inverse_variance").fit(X, y, sample_weight=sigma**-2)
    assert np.sqrt(np.mean((model.predict(x) - truth) ** 2)) < 0.15
    assert model.loss_weights_[4] < 0.02
    assert np.median(model.loss_weights_[1::2]) > 0.7
    assert model.noise_variance_ == pytest.approx(1 / np.mean(sigma**-2))


def test_a_loss_scale_that_is_given_is_kept():
    X, y, x, truth = sine(4, 4)
    with may_end_early():
        model = regressor(loss="huber", loss_scale=0.2).fit(X, y)
    assert model.loss_scale_ == pytest.approx(0.2)
    assert np.sqrt(np.mean((model.predict(x) - truth) ** 2)) < 0.3
