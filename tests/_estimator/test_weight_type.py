"""Sample weights as repetitions, precisions and inverse variances: each reading against an independent result."""

import warnings

import numpy as np
import pytest
from conftest import may_end_early, size
from scipy import stats
from sklearn.base import clone

from sklearn_lm import LMRegressor

SETTINGS = [{}, {"n_networks": 2}, {"hidden_layer_sizes": "auto"}, {"test_fraction": 0.2}]


def regressor(hidden=(3,), **parameters):
    return LMRegressor(**{"hidden_layer_sizes": hidden, "max_iter": size(200, 40), "random_state": 0, **parameters})


def results(model, X, y, weight):
    with may_end_early(), warnings.catch_warnings():
        warnings.filterwarnings("error", message="sample_weight")
        model = clone(model).fit(X, y, sample_weight=weight)
    return np.array([*model.predict(X, return_std=True)])


@pytest.fixture
def sine(rng):
    """Rows with noise of very different, known standard deviations."""
    X = np.sort(rng.uniform(-1, 1, size=(size(40, 25), 1)), axis=0)
    sigma = np.exp(rng.uniform(np.log(0.02), np.log(0.3), len(X)))
    return X, np.sin(3 * X[:, 0]) + sigma * rng.normal(size=len(X)), sigma


@pytest.mark.parametrize("parameters", SETTINGS)
@pytest.mark.parametrize("kind", ["constant", "frequency", "precision"])
def test_a_constant_factor_of_all_weights_changes_nothing(sine, parameters, kind):
    """Naive: each weight is a number of rows, and 10^4 of each leave no room for noise."""
    X, y, sigma = sine
    weight = {"constant": np.ones(len(X)), "frequency": 1.0 + np.arange(len(X)) % 3, "precision": sigma**-2}[kind]
    model = regressor(**parameters)
    expected = results(model, X, y, weight)
    np.testing.assert_array_equal(results(model, X, y, weight * 2.0**-30), expected)
    np.testing.assert_allclose(results(model, X, y, weight * 1e4), expected, rtol=1e-6, atol=1e-8)


def test_equal_weights_are_none(sine):
    X, y, _ = sine
    np.testing.assert_array_equal(results(regressor(), X, y, np.full(len(X), 0.3)), results(regressor(), X, y, None))


def test_frequencies_are_repeated_rows_and_precisions_are_not(sine):
    X, y, _ = sine
    weight = np.array([2, 4] * len(X))[: len(X)]
    rows = np.repeat(np.arange(len(X)), weight)
    repeated = results(regressor(), X[rows], y[rows], None)
    counted = results(regressor(weight_type="frequency"), X, y, weight)
    np.testing.assert_allclose(counted, repeated[:, np.searchsorted(rows, np.arange(len(X)))], rtol=1e-4)
    in_lowest_terms, precise = (results(regressor(weight_type=kind), X, y, weight) for kind in ("auto", "precision"))
    assert np.mean(counted[1]) < np.mean(in_lowest_terms[1]) < np.mean(precise[1])


def test_a_fixed_penalty_counts_weights_unless_told_otherwise(sine):
    X, y, _ = sine
    weight = np.full(len(X), 2.0)
    own = {"alpha": 0.1, "n_starts": 1}
    default = results(regressor(**own), X, y, weight)
    np.testing.assert_array_equal(default, results(regressor(weight_type="frequency", **own), X, y, weight))
    repeated = results(regressor(**own), np.repeat(X, 2, axis=0), np.repeat(y, 2), None)
    np.testing.assert_allclose(default, repeated[:, ::2], rtol=1e-6)
    precise = results(regressor(weight_type="precision", **own), X, y, weight)
    np.testing.assert_array_equal(precise, results(regressor(**own), X, y, None))


@pytest.mark.parametrize("unit", [1.0, 1e13, 1e-13])
@pytest.mark.parametrize("alpha", [0.0, "evidence"])
def test_known_standard_deviations_give_generalised_least_squares(sine, alpha, unit):
    """For a linear network Cov = (Z'WZ + S)^-1 with W = 1 / sigma^2, whatever the residuals are."""
    X, y, sigma = sine
    y, sigma = y / np.sqrt(unit), sigma / np.sqrt(unit)
    model = regressor((), alpha=alpha, weight_type="inverse_variance", scaling="standard", max_iter=500)
    weight = sigma**-2
    mean, std = model.fit(X, y, sample_weight=weight).predict(X, return_std=True)
    Z = np.column_stack([(X - model.x_offset_) / model.x_scale_, np.ones(len(X))])
    scale = model.y_scale_[0]
    S = np.zeros(2)
    if alpha == "evidence":
        # alpha_ is relative to the mean weight; the output bias has the prior precision 1e-3 in units of y_scale_.
        S = np.array([model.alpha_[0] * weight.mean(), 1e-3 / scale**2])
    covariance = np.linalg.inv((Z.T * weight) @ Z + np.diag(S))
    theta = covariance @ ((Z.T * weight) @ (y - model.y_offset_[0]))
    np.testing.assert_allclose(mean, model.y_offset_[0] + Z @ theta, rtol=1e-6)
    np.testing.assert_allclose(std**2, np.einsum("ij,jk,ik->i", Z, covariance, Z) + 1 / weight.mean(), rtol=1e-6)
    assert model.noise_variance_ == pytest.approx(1 / weight.mean(), rel=1e-12)
    lower, upper = model.predict_interval(X, 0.9)
    np.testing.assert_allclose(upper - lower, 2 * stats.norm.ppf(0.95) * std, rtol=1e-9)


@pytest.mark.parametrize(("kind", "noise"), [("auto", 1e-3), ("precision", 1e-3), ("inverse_variance", 3e-7)])
def test_very_large_weights(rng, kind, noise):
    """Naive: 10^13 rows, and so no noise at all."""
    X = rng.uniform(-1, 1, size=(30, 1))
    weight = noise**-2 * rng.uniform(0.5, 2, 30)
    y = 2 * X[:, 0] + rng.normal(size=30) / np.sqrt(weight)
    given = weight if kind == "inverse_variance" else 1e10 * weight
    _, std = regressor((), weight_type=kind).fit(X, y, sample_weight=given).predict(X, return_std=True)
    np.testing.assert_allclose(std, np.sqrt(1 / weight.mean()), rtol=0.5)


def test_known_noise_needs_weights(sine):
    with pytest.raises(ValueError, match=r"weight_type='inverse_variance' without sample_weight.*1 / sigma"):
        regressor(weight_type="inverse_variance").fit(*sine[:2])


def test_several_outputs_have_the_known_noise_in_their_own_units(sine, rng):
    X, y, sigma = sine
    Y = np.column_stack([y, 50 * X[:, 0] + sigma * rng.normal(size=len(X))])
    for alpha in (0.0, "evidence"):
        model = regressor(alpha=alpha, n_starts=1, weight_type="inverse_variance")
        with may_end_early():
            model.fit(X, Y, sample_weight=sigma**-2)
        np.testing.assert_allclose(model.noise_variance_, 1 / np.mean(sigma**-2), rtol=1e-9)
    # The noise of the second output is 1 / 2500 of its size; a line through it is known as well as that.
    _, std = model.predict(X, return_std=True)
    assert np.median(std[:, 1] ** 2 - model.noise_variance_[1]) < 2 * model.noise_variance_[1]


def test_the_noise_of_weights_is_not_taken_for_noise_that_depends_on_the_inputs(rng):
    """Naive: a row of a hundredth of the weight has ten times the error, which looks like more noise where it is."""
    X = rng.uniform(-1, 1, size=(size(300, 120), 1))
    sigma = np.where(X[:, 0] > 0, 0.3, 0.03)
    y = X[:, 0] + sigma * rng.normal(size=len(X))
    with may_end_early():
        std = {
            kind: regressor(weight_type=kind).fit(X, y, sample_weight=sigma**-2).predict([[-0.5], [0.5]], True)[1]
            for kind in ("precision", "frequency")
        }
        constant = regressor().fit(X, y, sample_weight=sigma**-2 * rng.uniform(0.99, 1.01, len(X)))
    ratio = std["precision"][1] / std["precision"][0]
    assert 0.6 < ratio < 1.6
    assert constant.noise_variance_ == pytest.approx(1 / np.mean(sigma**-2), rel=0.3)


def test_weights_of_other_kinds_of_rows_are_read_alike(sine, tmp_path):
    """Rows on disk to the same bits, Dask rows to rounding."""
    da = pytest.importorskip("dask.array")
    X, y, sigma = sine
    path = tmp_path / "X.npy"
    np.save(path, X)
    expected = results(regressor(), X, y, sigma**-2)
    np.testing.assert_array_equal(results(regressor(), np.load(path, mmap_mode="r"), y, sigma**-2), expected)
    model = regressor().fit(da.from_array(X, chunks=(9, 1)), y, sample_weight=7 * sigma**-2)
    np.testing.assert_allclose(model.predict(X, return_std=True), expected, rtol=1e-3, atol=1e-4)
