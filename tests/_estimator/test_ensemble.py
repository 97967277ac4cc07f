"""Ensembles of networks."""

import numpy as np
import pytest
from conftest import may_end_early
from sklearn.base import clone

from sklearn_lm import LMRegressor
from sklearn_lm._uncertainty.ensemble import mix


@pytest.fixture
def data(rng):
    X = rng.normal(size=(50, 2))
    return X, np.sin(2 * X[:, 0]) + 0.2 * rng.normal(size=50)


def ensemble(**parameters):
    return LMRegressor(4, **{"alpha": "evidence", "n_networks": 3, "random_state": 0, **parameters})


def test_members_are_estimators_of_one_network(data):
    model = ensemble(noise="constant").fit(*data)
    assert [member.n_networks for member in model.estimators_] == [1, 1, 1]
    assert len({member.log_evidence_ for member in model.estimators_}) == 3
    alone = LMRegressor().set_params(**model.estimators_[1].get_params()).fit(*data)
    np.testing.assert_array_equal(alone.predict(data[0]), model.estimators_[1].predict(data[0]))


def test_predictions_are_those_of_the_mixture(data):
    model = ensemble(noise="constant").fit(*data)
    parts = [member.predict(data[0], return_std=True) for member in model.estimators_]
    mean, variance = mix([mean for mean, _ in parts], [std**2 for _, std in parts])
    got_mean, got_std = model.predict(data[0], return_std=True)
    np.testing.assert_allclose(got_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(got_std, np.sqrt(variance), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(data[0]), got_mean)


@pytest.mark.parametrize("noise", ["auto", "constant"])
def test_the_variance_is_that_of_the_noise_and_that_of_the_mean(data, noise):
    X, y = data
    Y = np.column_stack([y, X[:, 1] + 0.3 * np.exp(X[:, 0]) * y[::-1]])
    model, new = ensemble(noise=noise).fit(X, Y), 1.5 * X[:20]
    mean, std, of_mean = model.predict(new), *(model.predict(new, return_std=kind)[1] for kind in (True, "mean"))
    assert (of_mean < std).all()
    same, covariance = model.predict(new, return_cov=True)
    np.testing.assert_array_equal(same, mean)
    covariance_of_mean = model.predict(new, return_cov="mean")[1]
    np.testing.assert_allclose(np.einsum("iio->io", covariance), std**2, rtol=1e-9)
    np.testing.assert_allclose(np.einsum("iio->io", covariance_of_mean), of_mean**2, rtol=1e-6)
    rest = covariance - covariance_of_mean  # the noise of two rows is independent
    np.testing.assert_allclose(rest, np.eye(20)[:, :, None] * (std**2 - of_mean**2), atol=1e-9 * covariance.max())
    if noise == "constant":
        parts = [member.noise_variance_ * member._posterior.student_variance for member in model.estimators_]
        assert (np.min(parts, axis=0) <= std**2 - of_mean**2 + 1e-12).all()
        assert (np.max(parts, axis=0) >= std**2 - of_mean**2 - 1e-12).all()


def test_a_mixture_of_equal_networks_is_one_of_them(data):
    with may_end_early():
        one, three = (LMRegressor((), alpha=0.1, n_networks=n, random_state=0).fit(*data) for n in (1, 3))
    for options in ({"return_std": "mean"}, {"return_std": True}, {"return_cov": "mean"}, {"return_cov": True}):
        for a, b in zip(one.predict(data[0], **options), three.predict(data[0], **options), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-10)


def test_the_attributes_are_those_of_the_best_network(data):
    model = ensemble().fit(*data)
    best = max(model.estimators_, key=lambda member: member.log_evidence_)
    assert model.log_evidence_ == best.log_evidence_
    np.testing.assert_array_equal(model.coefs_[0], best.coefs_[0])
    np.testing.assert_array_equal(model.history_["train_mse"], best.history_["train_mse"])


def test_the_number_of_threads_does_not_matter(data):
    one, two = (ensemble(n_jobs=n_jobs).fit(*data).predict(data[0], return_std=True) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_all_networks_have_the_same_split(data):
    model = ensemble(test_fraction=0.3).fit(*data)
    for member in model.estimators_:
        np.testing.assert_array_equal(member.split_indices_["test"], model.split_indices_["test"])
    assert len(model.split_indices_["test"]) == 15


def test_several_outputs(data):
    X, y = data
    mean, std = ensemble().fit(X, np.column_stack([y, 10 * y[::-1]])).predict(X, return_std=True)
    assert mean.shape == std.shape == (50, 2)


def test_a_warm_start_continues_every_network(data):
    model = ensemble(warm_start=True).fit(*data)
    before = model.estimators_
    again = model.fit(data[0], data[1] + 1e-9)
    assert again.estimators_ is not before
    assert [member.starts_["family"][0] for member in again.estimators_] == ["warm_start"] * 3


def test_one_network_has_no_members(data):
    model = ensemble().fit(*data).set_params(n_networks=1).fit(*data)
    assert not hasattr(model, "estimators_")


def test_constructor_parameters_do_not_change(data):
    model = ensemble()
    before = model.get_params()
    with may_end_early():
        model.fit(*data)
    assert model.get_params() == before


@pytest.mark.parametrize("alpha", [0.01, "evidence"])
def test_the_noise_depends_on_the_inputs_unless_it_is_said_to_be_constant(rng, alpha):
    X = rng.uniform(-1, 1, size=(300, 1))
    y = X[:, 0] ** 2 + np.exp(2 * X[:, 0] - 3) * rng.normal(size=300)
    std = {}
    for noise in ("auto", "constant"):
        with may_end_early():
            model = LMRegressor(4, alpha=alpha, noise=noise, n_starts=1, max_iter=30, random_state=0).fit(X, y)
        std[noise] = model.predict([[-0.8], [0.8]], return_std=True)[1]
    assert std["auto"][1] > 3 * std["auto"][0]
    assert std["constant"][1] < 1.5 * std["constant"][0]


@pytest.mark.parametrize("parameters", [{"leave_one_out": False}, {"loss": "huber"}])
def test_without_rows_left_out_or_with_a_robust_loss_the_noise_is_constant(data, parameters):
    with may_end_early():
        own = {"alpha": 0.01, "n_starts": 1, "max_iter": 20, "random_state": 0, **parameters}
        models = [LMRegressor(4, noise=noise, **own).fit(*data) for noise in ("auto", "constant")]
    one, two = (model.predict(data[0], return_std=True)[1] for model in models)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "parameters", [{"alpha": 0.1, "n_starts": 2}, {"alpha": "evidence"}, {"alpha": "evidence", "n_networks": 2}]
)
def test_error_bars_of_integer_weights_are_those_of_repeated_rows(data, parameters, rng):
    """Naive: all repetitions of a row are left out together, and its error is used as that of one row."""
    X, y = data
    weight = rng.randint(1, 4, size=len(X))
    model = LMRegressor(3, random_state=0, **parameters)
    with may_end_early():
        weighted = clone(model).fit(X, y, sample_weight=weight).predict(X, return_std=True)
        repeated = clone(model).fit(X.repeat(weight, axis=0), y.repeat(weight)).predict(X, return_std=True)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_no_attribute_of_the_previous_fit_stays(data):
    model = ensemble(n_networks=2, alpha=0.1, n_starts=1, leave_one_out=True)
    with may_end_early():
        model.fit(*data)
        assert np.isfinite(model.loo_score_)
        model.set_params(leave_one_out=False).fit(*data)
    with pytest.raises(AttributeError, match="leave_one_out=True"):
        _ = model.loo_score_
