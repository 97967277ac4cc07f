"""Against scipy's robust least squares, and on data with outliers."""

import numpy as np
import pytest
from conftest import may_end_early, size
from scipy import optimize, stats

from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.losses import CUT_MEAN, CUT_OFF, TUNING, Loss, contaminated_normal_loss, rho, slope, spread
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network

NAMES = sorted(TUNING)


def fit(X, y, hidden=(3,), sample_weight=None, **parameters):
    parameters = {"alpha": 0.0, "n_starts": 1, "max_iter": size(200, 60), "random_state": 0, **parameters}
    with may_end_early():
        return LMRegressor(hidden, **parameters).fit(X, y, sample_weight)


@pytest.fixture
def spoilt(rng):
    """A curve on which every sixth point is far off."""
    X = np.sort(rng.uniform(-1, 1, size=(size(90, 48), 1)), axis=0)
    truth = np.sin(3 * X[:, 0])
    y = truth + 0.05 * rng.normal(size=len(X))
    y[::6] += rng.choice([-1, 1, 1], size=len(y[::6])) * rng.uniform(2, 5, size=len(y[::6]))
    return X, y, truth


@pytest.fixture
def objective(rng):
    network = make_network(2, (3,), 2, ("tanh",))
    X, Y = rng.normal(size=(size(700, 30), 2)), rng.normal(size=(size(700, 30), 2))
    rows = make_rows(X, Y, rng.uniform(0.1, 2, len(X)), identity_scaling(2))

    def make(name, scale=0.7):
        table = np.vstack([np.zeros(2), np.ones(2)])
        return Loss(name, scale).objective(network, rows, table, fixed_l2(0.1, is_weight(network)))

    return make, rng.normal(size=network.n_parameters)


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_those_of_scipy(name):
    """Half the cost of one residual r at f_scale 1 is rho(r^2) / 2."""
    for r in (0.0, 0.3, 1.0, 1.7, 40.0):
        scipy = optimize.least_squares(lambda x, r=r: [r + 0 * x[0]], [1.0], loss=name).cost
        assert 0.5 * rho(name, np.array(r * r)) == pytest.approx(scipy, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative_and_falls(name):
    z = np.linspace(0.05, 9, 40)
    np.testing.assert_allclose(slope(name, z), (rho(name, z + 1e-6) - rho(name, z - 1e-6)) / 2e-6, rtol=1e-5)
    assert (np.diff(slope(name, z)) <= 0).all()
    assert slope(name, np.zeros(1)) == 1


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_spread_of_normal_noise_is_its_standard_deviation(n_outputs):
    """The residuals are the quantiles themselves, without random numbers."""
    norms = np.sqrt(stats.chi2.ppf((np.arange(2001) + 0.5) / 2001, n_outputs)) * 3.0
    assert spread(norms, np.ones(2001), n_outputs) == pytest.approx(3.0, rel=1e-3)
    weight = np.arange(2001) % 3
    repeated = np.repeat(norms, weight)
    assert spread(norms, weight.astype(float), n_outputs) == spread(repeated, np.ones(len(repeated)), n_outputs)


def test_cut_squares_of_normal_noise_have_the_mean_of_proposal_2():
    u = stats.norm.ppf((np.arange(20001) + 0.5) / 20001)
    assert np.mean(np.minimum(u**2, CUT_OFF**2)) == pytest.approx(CUT_MEAN, rel=1e-4)


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_contaminated_noise_has_a_density(n_outputs):
    """Its integral over all directions is one, and outliers cost a logarithm."""
    radius = np.concatenate([np.linspace(0, 20, 20001), np.geomspace(20, 1e9, 20001)[1:]])
    density = np.exp(-contaminated_normal_loss(radius**2, n_outputs) / 2) * (2 * np.pi) ** (-n_outputs / 2)
    surface = {1: 2, 2: 2 * np.pi, 3: 4 * np.pi}[n_outputs] * radius ** (n_outputs - 1)
    assert np.trapezoid(density * surface, radius) == pytest.approx(1, rel=1e-4)
    far = contaminated_normal_loss(np.array([1e8, 1e10]), n_outputs)
    assert far[1] - far[0] == pytest.approx((n_outputs + 1) * np.log(100), rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_precisions_scale_the_residual_and_not_its_loss(name, rng):
    """A line through points of known sigma: scipy's minimum for the residuals in units of sigma."""
    x, sigma = np.linspace(-1, 1, 40), rng.uniform(0.05, 1, 40)
    y = 2 * x + 1 + sigma * rng.normal(size=40)
    y[::5] += 5 * sigma[::5]
    mean = np.mean(sigma**-2)
    model = fit(x[:, None], y, (), sigma**-2, loss=name, loss_scale=1.5 / np.sqrt(mean), scaling=None, tol=0,
                min_grad=1e-13, weight_type="inverse_variance")  # fmt: skip
    scipy = optimize.least_squares(
        lambda p: (p[0] * x + p[1] - y) / sigma, [0.0, 0.0], loss=name, f_scale=1.5, xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    np.testing.assert_allclose([model.coefs_[0][0, 0], model.intercepts_[0][0]], scipy.x, rtol=1e-5)
    assert model.loss_ * mean == pytest.approx(scipy.cost, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_the_cost(objective, name):
    make, theta = objective
    robust = make(name)
    equations = robust.linearize(theta)
    assert equations.cost == pytest.approx(robust.cost(theta), rel=1e-12)
    for j, direction in enumerate(np.eye(len(theta))):
        difference = (robust.cost(theta + 1e-5 * direction) - robust.cost(theta - 1e-5 * direction)) / 2e-5
        assert equations.gradient[j] == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_solving_for_the_output_layer_lowers_the_cost(objective, name):
    make, theta = objective
    robust = make(name)
    solved, cost = robust.solve_output(theta)
    assert cost == pytest.approx(robust.cost(solved), rel=1e-12)
    assert cost < robust.cost(theta)


@pytest.mark.parametrize("name", NAMES)
def test_the_least_cost_is_scipys(name, rng):
    """A line through points with outliers, at a fixed scale."""
    x = np.linspace(-1, 1, 40)
    y = 2 * x + 1 + 0.1 * rng.normal(size=40)
    y[::5] += 3
    model = fit(x[:, None], y, (), loss=name, loss_scale=0.3, scaling=None, tol=0, min_grad=1e-12)
    scipy = optimize.least_squares(
        lambda p: p[0] * x + p[1] - y, [0.0, 0.0], loss=name, f_scale=0.3, xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    np.testing.assert_allclose([model.coefs_[0][0, 0], model.intercepts_[0][0]], scipy.x, rtol=1e-5)
    assert model.loss_ == pytest.approx(scipy.cost, rel=1e-9)
    assert model.loss_scale_ == 0.3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scaling", ["minmax", None])
def test_outliers_hardly_matter(spoilt, name, scaling):
    X, y, truth = spoilt
    robust, squares = (fit(X, y, loss=loss, scaling=scaling) for loss in (name, "squared_error"))
    rmse = [np.sqrt(np.mean((model.predict(X) - truth) ** 2)) for model in (robust, squares)]
    assert rmse[0] < 0.25 * rmse[1]
    is_outlier = np.arange(len(X)) % 6 == 0
    assert robust.loss_weights_[is_outlier].max() < robust.loss_weights_[~is_outlier].min() + 0.5
    assert np.median(robust.loss_weights_[~is_outlier]) > 0.8


def test_the_error_bar_is_that_of_the_good_points(spoilt):
    X, y, truth = spoilt
    model = fit(X, y, loss="cauchy")
    assert 0.03 < np.sqrt(model.noise_variance_) < 0.09
    lower, upper = model.predict_interval(X)
    assert np.mean((lower < truth) & (truth < upper)) == 1.0
    assert np.isfinite(model.loo_residuals_).all()


def test_f_never_grows_although_the_scale_falls(spoilt):
    X, y, _ = spoilt
    model = fit(X, y, loss="cauchy", hidden=(5,))
    assert (np.diff(model.loss_curve_) <= 1e-12).all()
    assert model.loss_scale_ < TUNING["cauchy"] * np.std(y)


@pytest.mark.parametrize("n_starts", [1, 4])
def test_robust_fits_go_on_exactly(spoilt, n_starts):
    X, y, _ = spoilt
    once = fit(X, y, loss="huber", n_starts=n_starts, max_iter=6)
    model = LMRegressor((3,), alpha=0.0, loss="huber", n_starts=n_starts, max_iter=1, random_state=0, warm_start=True)
    with may_end_early():
        for _ in range(6):
            model.fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], once.coefs_[0])
    assert model.loss_curve_ == once.loss_curve_


def test_integer_weights_are_repeated_rows(spoilt):
    X, y, _ = spoilt
    weight = np.arange(len(X)) % 3
    weighted = fit(X, y, (), weight, loss="cauchy")
    repeated = fit(np.repeat(X, weight, axis=0), np.repeat(y, weight), (), loss="cauchy")
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-8)


def test_several_outputs_share_the_weights_of_a_row(spoilt):
    X, y, truth = spoilt
    model = fit(X, np.column_stack([y, truth]), loss="cauchy")
    assert model.loss_weights_.shape == (len(X),)
    assert np.sqrt(np.mean((model.predict(X)[:, 0] - truth) ** 2)) < 0.1


def test_each_output_has_its_own_noise(spoilt, rng):
    """Naive: one sigma for all outputs, from the norms of their residuals."""
    X, y, _ = spoilt
    y = np.column_stack([y, y + 0.5 * rng.normal(size=len(y))])
    model = fit(X, y, loss="cauchy", scaling=None)
    residuals = np.abs(y - model.predict(X))
    # A normal residual is above 0.6745 sigma half of the time.
    np.testing.assert_allclose(np.median(residuals, axis=0) / 0.6745, np.sqrt(model.noise_variance_), rtol=0.05)
    assert 5 < model.noise_variance_[1] / model.noise_variance_[0] < 500


def test_data_that_are_met_exactly_are_no_division_by_zero(rng):
    X = rng.uniform(-1, 1, size=(30, 2))
    for loss in NAMES:
        model = fit(X, X @ [1.0, 2.0], (), loss=loss)
        np.testing.assert_allclose(model.predict(X), X @ [1.0, 2.0], atol=1e-6)
        assert np.isfinite(model.predict(X, return_std=True)[1]).all()
        assert np.isfinite(fit(X, np.ones(30), loss=loss).predict(X)).all()


def test_the_scale_belongs_to_a_point_and_only_falls(objective):
    """The objective itself has none: what is asked at one point changes nothing at another."""
    make, theta = objective
    robust = make("cauchy", None)
    assert robust.loss_scale is None
    near, far = robust.rescaled(theta), robust.rescaled(10 * theta)
    assert near.loss_scale < far.loss_scale
    assert near.rescaled(10 * theta).loss_scale == far.rescaled(theta).loss_scale == near.loss_scale
    cost = near.cost(theta)
    far.linearize(10 * theta)
    assert near.cost(theta) == cost == robust.with_loss_scale(near.loss_scale).cost(theta)
    assert make("cauchy", 0.7).rescaled(theta).loss_scale == 0.7
