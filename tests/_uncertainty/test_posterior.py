"""The posterior, compared with explicit inverses, brute force and closed forms."""

import pickle

import numpy as np
import pytest
from conftest import may_end_early, size
from reference import outputs_and_derivatives
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression

from sklearn_lm import LMRegressor
from sklearn_lm._kernels import compile
from sklearn_lm._network.topology import pack
from sklearn_lm._optimize.linearization import GramLinearization, JacobianLinearization
from sklearn_lm._uncertainty.posterior import MIN_FREEDOM, Posterior, leave_one_out, make_factor


def fit(X, y, hidden=(4,), sample_weight=None, **parameters):
    """Fit with a constant noise variance, as in the formulas of these tests."""
    own = {"n_starts": 1, "max_iter": size(60, 20), "random_state": 0, "init": "glorot", "noise": "constant"}
    parameters = {**own, **parameters}
    with may_end_early():
        return LMRegressor(hidden, **parameters).fit(X, y, sample_weight)


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(70, 2))
    Y = np.column_stack([np.sin(3 * X[:, 0]) * X[:, 1], X[:, 0] ** 2]) + 0.1 * rng.normal(size=(len(X), 2))
    return X, 10 * Y


def slow_jacobian(model, X):
    """Return d prediction / d theta in scaled units of y, (n_rows, n_outputs, p), one number at a time."""
    theta = pack(model.coefs_, model.intercepts_)
    sizes = [X.shape[1], *(len(b) for b in model.intercepts_)]
    names = [*model.hidden_activations_, "identity"]
    scaled = (X - model.x_offset_) / model.x_scale_
    columns = [
        [outputs_and_derivatives(theta, direction, sizes, names, x)[1] for x in scaled]
        for direction in np.eye(len(theta))
    ]
    return np.moveaxis(np.array(columns), 0, -1)


# ---- the factor ---------------------------------------------------------------------------------------
def test_factor_is_the_root_of_the_inverse(rng):
    J = rng.normal(size=(30, 7))
    penalty_diag = rng.uniform(0, 2, size=7)
    H = J.T @ J + np.diag(penalty_diag)
    factor = make_factor(np.tril(H), penalty_diag)
    V = factor.inverse_factor[:7, :7]
    np.testing.assert_allclose(V.T @ V, np.linalg.inv(H), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(factor.inverse_factor[7:], 0)
    assert factor.n_effective == pytest.approx(np.trace(np.linalg.solve(H, J.T @ J)), rel=1e-10)
    assert factor.rank == 7


def test_both_linearizations_have_the_same_factor(rng):
    J, penalty_diag = rng.normal(size=(4, 7)), rng.uniform(1, 2, size=7)
    gram = J.T @ J + np.diag(penalty_diag)
    normal = GramLinearization(0.0, np.zeros(7), np.tril(gram), np.ones(1))
    dual = JacobianLinearization(
        0.0, np.zeros(7), np.hstack([J, np.zeros((4, 1))]), np.zeros(4), penalty_diag, np.ones(1)
    )
    factors = [Posterior.from_linearization(equations, penalty_diag, 4.0).factor for equations in (normal, dual)]
    np.testing.assert_allclose(factors[0].inverse_factor, factors[1].inverse_factor, rtol=1e-10, atol=1e-13)


def test_rank_does_not_depend_on_the_units(rng):
    J = rng.normal(size=(20, 4)) @ rng.normal(size=(4, 6)) * [1, 1e6, 1e-6, 1, 10, 1]
    J = np.hstack([J, np.zeros((20, 1))])  # and a parameter without any influence
    factor = make_factor(np.tril(J.T @ J), np.zeros(7))
    assert factor.rank == 4
    assert np.isfinite(factor.inverse_factor).all()
    assert 0 <= factor.n_effective <= 7


def test_a_gram_matrix_of_zeros_has_rank_zero():
    factor = make_factor(np.zeros((3, 3)), np.zeros(3))
    assert factor.rank == 0
    assert np.isfinite(factor.inverse_factor).all()


# ---- standard deviations ------------------------------------------------------------------------------
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("alpha", [0.01, 0.3])
def test_std_and_cov_are_those_of_the_linearised_model(data, hidden, n_outputs, alpha):
    X, Y = data
    y = Y[:, 0] if n_outputs == 1 else Y
    weight = np.linspace(0.5, 2, len(X))
    model = fit(X, y, hidden, weight, alpha=alpha, max_iter=8)
    J = slow_jacobian(model, X)
    p = J.shape[-1]
    is_weight = np.concatenate([np.tile(np.r_[np.ones(W.shape[0]), 0.0], W.shape[1]) for W in model.coefs_])
    gram = np.einsum("i,iop,ioq->pq", weight, J, J)
    H = gram + alpha * np.diag(is_weight)
    gamma = np.trace(np.linalg.solve(H, gram))
    residuals = (Y[:, :n_outputs] - model.predict(X).reshape(len(X), -1)) / model.y_scale_
    noise = weight @ residuals**2 / (weight.sum() - gamma / n_outputs)
    new = X[:9] * 1.3
    J_new = slow_jacobian(model, new)
    of_mean = np.einsum("iop,pq,joq->ijo", J_new, np.linalg.inv(H), J_new) * noise * model.y_scale_**2
    covariance = of_mean + np.eye(9)[:, :, None] * noise * model.y_scale_**2

    f, std = model.predict(new, return_std=True)
    np.testing.assert_array_equal(f, model.predict(new))
    assert std.shape == f.shape
    np.testing.assert_allclose(std.reshape(9, -1) ** 2, np.einsum("iio->io", covariance), rtol=1e-5)
    f, cov = model.predict(new, return_cov=True)
    assert cov.shape == (9, 9, *f.shape[1:])
    np.testing.assert_allclose(cov.reshape(9, 9, -1), covariance, rtol=1e-5, atol=1e-7 * covariance.max())
    np.testing.assert_allclose(np.sqrt(np.einsum("ii...->i...", cov)), std, rtol=1e-10)
    _, std = model.predict(new, return_std="mean")
    np.testing.assert_allclose(std.reshape(9, -1) ** 2, np.einsum("iio->io", of_mean), rtol=1e-5)
    _, cov = model.predict(new, return_cov="mean")
    np.testing.assert_allclose(cov.reshape(9, 9, -1), of_mean, rtol=1e-5, atol=1e-7 * of_mean.max())
    assert model.n_effective_parameters_ == pytest.approx(gamma, rel=1e-6)
    np.testing.assert_allclose(
        model.noise_variance_, (noise * model.y_scale_**2)[0 if n_outputs == 1 else slice(None)], rtol=1e-6
    )
    assert p == sum(W.size + len(b) for W, b in zip(model.coefs_, model.intercepts_, strict=True))


def test_std_of_a_line_is_the_textbook_formula(rng):
    """Prediction variance of simple regression: s^2 (1 + 1/n + (x - mean)^2 / Sxx), with s^2 on n - 2."""
    x = rng.uniform(0, 5, size=25)
    y = 3 * x + 1 + rng.normal(size=25)
    model = fit(x[:, None], y, (), alpha=0.0)
    residual = y - LinearRegression().fit(x[:, None], y).predict(x[:, None])
    s2 = residual @ residual / 23
    new = np.linspace(-3, 9, 7)
    expected = s2 * (1 + 1 / 25 + (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    np.testing.assert_allclose(model.predict(new[:, None], return_std=True)[1] ** 2, expected, rtol=1e-8)
    lower, upper = model.predict_interval(new[:, None], coverage=0.9)
    half = stats.t.ppf(0.95, 23) * np.sqrt(expected)
    np.testing.assert_allclose(upper - lower, 2 * half, rtol=1e-8)
    np.testing.assert_allclose((upper + lower) / 2, model.predict(new[:, None]), rtol=1e-10)
    np.testing.assert_allclose(model.predict(new[:, None], return_std="mean")[1] ** 2, expected - s2, rtol=1e-8)
    lower, upper = model.predict_interval(new[:, None], coverage=0.9, kind="confidence")
    np.testing.assert_allclose(upper - lower, 2 * stats.t.ppf(0.95, 23) * np.sqrt(expected - s2), rtol=1e-8)


def test_integer_weights_are_repeated_rows(data):
    X, y = data[0], data[1][:, 0]
    weight = np.arange(len(X)) % 3
    repeated = fit(np.repeat(X, weight, axis=0), np.repeat(y, weight), (), alpha=0.1)
    weighted = fit(X, y, (), weight, alpha=0.1)
    for a, b in zip(weighted.predict(X, return_std=True), repeated.predict(X, return_std=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)


def test_options_are_those_of_gaussian_processes(data):
    X, Y = data
    peer = GaussianProcessRegressor(optimizer=None).fit(X, Y)
    model = fit(X, Y, max_iter=3)
    for option in ("return_std", "return_cov"):
        ours, theirs = (estimator.predict(X[:5], **{option: True}) for estimator in (model, peer))
        assert [part.shape for part in ours] == [part.shape for part in theirs]
    for estimator in (model, peer):
        with pytest.raises(RuntimeError, match="At most one of return_std or return_cov can be requested"):
            estimator.predict(X, return_std=True, return_cov=True)
    for option in ("return_std", "return_cov"):
        with pytest.raises(ValueError, match=f"{option}='noise' must be True, False or \"mean\""):
            model.predict(X, **{option: "noise"})
    with pytest.raises(ValueError, match="kind='mean' must be"):
        model.predict_interval(X, kind="mean")


def test_blocks_and_threads_do_not_matter(data, monkeypatch):
    X, Y = data
    model = fit(X, Y, max_iter=3)
    many = np.tile(X, (size(30, 2), 1))
    whole = model.predict(many, return_std=True)[1]
    monkeypatch.setattr(compile, "SMALL_WORK", 0)
    np.testing.assert_array_equal(model.predict(many, return_std=True)[1], whole)
    np.testing.assert_array_equal(
        np.concatenate([model.predict(many[i : i + 7], return_std=True)[1] for i in range(0, 35, 7)]), whole[:35]
    )


def test_a_fit_that_stopped_early_has_the_posterior_of_its_best_iteration(data):
    """Naive: the linearization of the last iteration."""
    X, y = data[0], data[1][:, 0]
    model = fit(X, y, (6,), alpha=0.0, early_stopping=True, n_iter_no_change=3, max_iter=100)
    assert model.best_iter_ < model.n_iter_
    J = slow_jacobian(model, X[model.split_indices_["train"]])[:, 0]
    new = slow_jacobian(model, X[:5])[:, 0]
    leverage = np.einsum("ip,pq,iq->i", new, np.linalg.inv(J.T @ J), new)
    std = model.predict(X[:5], return_std=True)[1]
    np.testing.assert_allclose(std**2 / model.noise_variance_, 1 + leverage, rtol=1e-4)


def test_more_parameters_than_residuals_give_finite_variances(rng):
    X = rng.uniform(-1, 1, size=(12, 1))
    model = fit(X, np.sin(3 * X[:, 0]), (10,))
    assert model.n_effective_parameters_ <= 12.5
    std = model.predict(np.linspace(-3, 3, 9)[:, None], return_std=True)[1]
    assert np.isfinite(std).all()
    assert (std > 0).all()
    assert model._posterior.degrees_of_freedom >= MIN_FREEDOM * 12


def test_pickle_before_and_after_the_factor_was_made(data):
    X, Y = data
    model = fit(X, Y, max_iter=3)
    before = pickle.loads(pickle.dumps(model))
    std = model.predict(X, return_std=True)[1]
    after = pickle.loads(pickle.dumps(model))
    for loaded in (before, after):
        np.testing.assert_array_equal(loaded.predict(X, return_std=True)[1], std)


# ---- extrapolation ------------------------------------------------------------------------------------
def test_extrapolation_score_is_one_at_most_within_the_data_and_grows_outside(rng):
    X = np.sort(rng.uniform(-1, 1, size=(60, 1)), axis=0)
    model = fit(X, np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=60), (3,), alpha=0.01)
    assert model.extrapolation_score(X).max() == pytest.approx(1.0)
    assert (model.extrapolation_score(X) > 0).all()
    outside = model.extrapolation_score(np.array([[1.5], [3.0]]))
    assert 1 < outside[0] < outside[1]


# ---- leave-one-out ------------------------------------------------------------------------------------
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_leave_one_out_of_a_linear_network_is_brute_force(data, alpha, weighted, n_outputs):
    X, y = data[0][:25], data[1][:25, :n_outputs]
    y = y[:, 0] if n_outputs == 1 else y
    weight = np.linspace(0.5, 2, 25) if weighted else np.ones(25)
    settings = {"hidden": (), "alpha": alpha, "scaling": None, "min_grad": 1e-14}
    model = fit(X, y, sample_weight=weight, **settings)
    for i in range(25):
        others = np.arange(25) != i
        without = fit(X[others], y[others], sample_weight=weight[others], **settings)
        np.testing.assert_allclose(
            model.loo_residuals_[i], y[i] - without.predict(X[i : i + 1])[0], rtol=1e-7, atol=1e-9
        )
    residuals = model.loo_residuals_.reshape(25, -1)
    assert model.press_ == pytest.approx(weight @ (residuals**2).sum(axis=1))
    centred = y.reshape(25, -1) - np.average(y.reshape(25, -1), axis=0, weights=weight)
    assert model.loo_score_ == pytest.approx(np.mean(1 - (weight @ residuals**2) / (weight @ centred**2)))


def test_leave_one_out_of_a_network_is_a_step_of_newton_without_the_row(data):
    """A Gauss-Newton step of the linearised model on all other rows gives the same residual."""
    X, y = data[0], data[1][:, 0]
    model = fit(X, y, (3,), alpha=0.1, max_iter=500, tol=0, min_grad=1e-12)
    J = slow_jacobian(model, X)[:, 0]
    is_weight = np.concatenate([np.tile(np.r_[np.ones(W.shape[0]), 0.0], W.shape[1]) for W in model.coefs_])
    theta, r = pack(model.coefs_, model.intercepts_), (y - model.predict(X)) / model.y_scale_
    for i in range(0, len(X), 7):
        others = np.arange(len(X)) != i
        H = J[others].T @ J[others] + 0.1 * np.diag(is_weight)
        step = np.linalg.solve(H, J[others].T @ r[others] - 0.1 * is_weight * theta)
        assert model.loo_residuals_[i] == pytest.approx((r[i] - J[i] @ step) * model.y_scale_[0], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_variance_without_a_part_of_a_weight_is_that_of_dense_algebra(rng, n_outputs):
    """The variance of one observation after `part` of the row's weight was removed from the normal equations."""
    J, weight, noise = rng.normal(size=(12, n_outputs, 4)), rng.uniform(1, 3, size=12), np.arange(1.0, n_outputs + 1)
    H = np.einsum("i,iop,ioq->pq", weight, J, J) + np.eye(4)
    products = np.einsum("iop,pq,ivq->iov", J, np.linalg.inv(H), J)
    part = np.minimum(weight, 1.5)
    residuals = rng.normal(size=(12, n_outputs))
    _, variance = leave_one_out(products, residuals, residuals, part, noise)
    for i in range(12):
        without = np.linalg.inv(H - part[i] * J[i].T @ J[i])
        np.testing.assert_allclose(variance[i], noise * (1 + np.diag(J[i] @ without @ J[i].T)), rtol=1e-10)


def test_rows_not_used_for_training_have_no_leave_one_out_residual(data):
    X, y = data[0], data[1][:, 0]
    weight = np.ones(len(X))
    weight[3] = 0
    model = fit(X, y, sample_weight=weight, early_stopping=True, test_fraction=0.2, max_iter=5)
    is_known = np.isfinite(model.loo_residuals_)
    np.testing.assert_array_equal(np.flatnonzero(is_known), model.split_indices_["train"])
    assert model.loo_residuals_.shape == y.shape


def test_leave_one_out_is_computed_where_it_is_cheap_or_asked_for(data, monkeypatch):
    X, y = data[0], data[1][:, 0]
    assert np.isfinite(fit(X, y, max_iter=2).press_)
    monkeypatch.setattr("sklearn_lm._estimator.fit.CHEAP", 10.0)
    assert np.isfinite(fit(X, y, max_iter=2, leave_one_out=True).press_)
    for chosen in ("auto", False):
        model = fit(X, y, max_iter=2, leave_one_out=chosen)
        for name in ("loo_residuals_", "loo_score_", "press_"):
            assert not hasattr(model, name)
            with pytest.raises(AttributeError, match="leave_one_out=True"):
                getattr(model, name)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 2, "a", None])
def test_coverage_is_a_share(data, coverage):
    with pytest.raises(ValueError, match=r"coverage=.* must lie between 0 and 1"):
        fit(data[0], data[1], max_iter=2).predict_interval(data[0], coverage)


def test_an_estimator_that_is_not_fitted_raises(data):
    model = LMRegressor()
    for method in (model.predict_interval, model.extrapolation_score):
        with pytest.raises(NotFittedError):
            method(data[0])
    for name in ("noise_variance_", "n_effective_parameters_", "press_"):
        assert not hasattr(model, name)


# ---- an estimated penalty -----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["single", "layer", "input"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_estimated_precisions_cost_degrees_of_freedom(data, kind, n_outputs):
    """Groups of explicit inverses: the weights of each input or layer, hidden biases; no output biases."""
    X, Y = data[0][:30], data[1][:30, :n_outputs]
    model = fit(X, Y, (3,), alpha="evidence", penalty_groups=kind)
    J, (W, V) = slow_jacobian(model, X), model.coefs_
    first = {"single": [0, 0, 0], "layer": [0, 0, 1], "input": [0, 1, 2]}[kind]
    own = max(first) + (kind != "single")
    label = np.array(first * W.shape[1] + ([own] * V.shape[0] + [-1 if kind != "single" else 0]) * n_outputs)
    penalty = np.where(label >= 0, model.alpha_[label], 1e-3 * model._posterior.noise_variance[0])
    gram = np.einsum("iop,ioq->pq", J, J)
    gamma = 1 - penalty * np.diag(np.linalg.inv(gram + np.diag(penalty)))
    of_groups = np.array([gamma[label == group].sum() for group in range(len(model.alpha_))])
    freedom = 30 - gamma.sum() / n_outputs
    nu = freedom - (of_groups / (1 + of_groups)).sum() / n_outputs
    assert model._posterior.student_freedom == pytest.approx(nu, rel=1e-5)

    new = 1.3 * X[:4]
    P = slow_jacobian(model, new)
    leverage = np.einsum("iop,pq,ioq->io", P, np.linalg.inv(gram + np.diag(penalty)), P)
    variance = model.noise_variance_ * (1 + leverage) * freedom / nu
    mean, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(std**2, variance * nu / (nu - 2), rtol=1e-4)
    upper = model.predict_interval(new, 0.9)[1]
    np.testing.assert_allclose(upper - mean, stats.t.ppf(0.95, nu) * np.sqrt(variance), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d"), [(7, 1), (10, 1), (12, 3)])
def test_intervals_of_few_rows_cover(n, d):
    """Coverage of 95 % intervals over 60 sets."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, new = rng.uniform(-1, 1, size=(n, d)), rng.uniform(-1, 1, size=(200, d))
        y, truth = (np.sin(3 * Z[:, 0]) + Z[:, -1] + 0.2 * rng.normal(size=len(Z)) for Z in (X, new))
        with may_end_early():
            lower, upper = LMRegressor(random_state=seed).fit(X, y).predict_interval(new)
        covered.append(np.mean((lower <= truth) & (truth <= upper)))
    assert 0.9 < np.mean(covered) < 0.99
