"""Leave-one-out errors and the correction of the predicted variance."""

import numpy as np
import pytest

from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import DataSet
from sklearn_lm._data.yeo_johnson import identity_power
from sklearn_lm._uncertainty.posterior import LeftOut
from sklearn_lm._uncertainty.predictive import Errors, NoiseModels, correct, fit_noise_models, score_left_out


def test_without_a_correction_the_variance_stays(rng):
    variance = rng.uniform(1, 2, (4, 2))
    assert correct(variance, [], np.zeros((4, 1)), np.zeros((4, 2))) is variance


def test_the_correction_of_each_output_is_fitted_to_its_own_errors(rng):
    X = rng.normal(size=(500, 1))
    Y = np.column_stack([rng.normal(size=500) * np.exp(0.5 * X[:, 0]), rng.normal(size=500)])
    left_out = LeftOut(np.zeros((500, 2)), np.ones((500, 2)))
    models = fit_noise_models(Errors.from_left_out(DataSet(X, Y, np.ones(500)), identity_power(), [left_out]))
    variance = correct(np.ones((2, 2)), models, np.array([[-1.0], [1.0]]), np.zeros((2, 2)))
    np.testing.assert_allclose(np.log(variance[1] / variance[0]), [2, 0], atol=0.5)


def test_leave_one_out_predictions_are_mixed_as_predictions_are(rng):
    """The variance of a mixture of two distant networks contains their distance."""
    X, Y = rng.normal(size=(200, 1)), rng.normal(size=(200, 1))
    parts = [LeftOut(np.full((200, 1), mean), np.full((200, 1), 0.1)) for mean in (-1.0, 1.0)]
    (model,) = fit_noise_models(Errors.from_left_out(DataSet(X, Y, np.ones(200)), identity_power(), parts))
    factor = model.factor(X[:5], np.zeros(5))
    np.testing.assert_allclose(factor, 1 / 1.1, rtol=0.2)


def test_models_are_fitted_at_their_first_use_to_copies_of_the_rows(rng):
    X, Y = rng.normal(size=(100, 2)), rng.normal(size=(100, 1))
    parts = [LeftOut(np.zeros((100, 1)), np.ones((100, 1)))]
    Y[:, 0], weight = np.round(Y[:, 0]), rng.uniform(0.5, 2, size=100)  # equal targets share a fold
    expected = fit_noise_models(Errors.from_left_out(DataSet(X, Y, weight), identity_power(), parts))
    noise = NoiseModels(Errors.from_left_out(DataSet(X, Y, weight), identity_power(), parts))
    for part in (X, Y, weight):
        part[:] = 0  # as the caller may do
    np.testing.assert_array_equal(noise.models[0].coefficients, expected[0].coefficients)
    assert noise.models is noise.models
    assert NoiseModels().models == []


def test_no_noise_needs_no_correction():
    X = np.arange(20.0)[:, None]
    nothing = LeftOut(X, np.zeros((20, 1)))
    (model,) = fit_noise_models(Errors.from_left_out(DataSet(X, X.copy(), np.ones(20)), identity_power(), [nothing]))
    np.testing.assert_allclose(model.factor(X, X[:, 0]), 1)


def test_the_score_of_rows_left_out_is_r2(rng):
    Y, mean, weight = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), rng.uniform(1, 2, 5)
    train = DataSet(np.zeros((5, 1)), Y, weight)
    residuals, score, press = score_left_out(train, mean, np.array([0, 2, 3, 5, 6]), 8)
    np.testing.assert_array_equal(residuals[[0, 2, 3, 5, 6]], Y - mean)
    assert np.isnan(residuals[[1, 4, 7]]).all()
    unexplained = weight @ (Y - mean) ** 2
    total = weight @ (Y - np.average(Y, axis=0, weights=weight)) ** 2
    assert score == pytest.approx(np.mean(1 - unexplained / total))
    assert press == pytest.approx(unexplained.sum())


@pytest.mark.parametrize("seed", [0, 1, 3, 4])  # two penalties of the noise model are nearly as good
def test_standard_deviations_depend_on_nothing_but_the_data(seed):
    """The order of the rows, weights in place of repetitions, and units change no more than rounding errors do."""
    rng, n = np.random.default_rng(seed), 100
    X = np.column_stack([np.exp(rng.normal(size=n)), rng.normal(size=n)])
    y = np.log(X[:, 0]) + 0.5 * X[:, 1] + 0.2 * np.exp(0.25 * X[:, 1]) * rng.normal(size=n)
    order, weight, units = rng.permutation(n), rng.integers(1, 4, size=n), np.array([3.7, 1e3])

    def std(rows, weight=None, unit=1.0, x_units=1.0):
        model = LMRegressor(2, n_starts=1, random_state=0).fit(X[rows] * x_units, y[rows] * unit, weight)
        assert len(model.x_power_.column) == 1
        return np.concatenate(
            [model.predict(X * x_units, return_std=True)[1] / unit, model.extrapolation_score(X * x_units)]
        )

    expected = std(np.arange(n))
    np.testing.assert_allclose(std(order), expected, rtol=1e-6)
    np.testing.assert_allclose(std(order, unit=0.3, x_units=units), expected, rtol=1e-6)
    np.testing.assert_allclose(std(np.repeat(order, weight[order])), std(np.arange(n), weight.astype(float)), rtol=1e-6)
