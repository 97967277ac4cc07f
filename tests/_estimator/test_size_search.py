"""Size search: a hidden layer that grows until more units do not improve the fit."""

import numpy as np
import pytest
from conftest import may_end_early, size
from sklearn.base import clone

from sklearn_lm import LMRegressor
from sklearn_lm._estimator import ensemble, size_search
from sklearn_lm._estimator.config import make_config
from sklearn_lm._estimator.fit import FitInputs, fit_single
from sklearn_lm._estimator.prepare import check_data
from sklearn_lm._estimator.size_search import MIN_RISE, PATIENCE, is_too_large, larger_network
from sklearn_lm._network.objective import predict
from sklearn_lm._network.topology import make_network, unpack


@pytest.fixture
def data(rng):
    X = np.sort(rng.uniform(-1, 1, size=(size(120, 40), 1)), axis=0)
    return X, np.sin(5 * X[:, 0]) + 0.05 * rng.normal(size=len(X))


def fit(X, y, **parameters):
    parameters = {"alpha": "evidence", "max_iter": size(200, 15), "n_starts": 1, "random_state": 0, **parameters}
    with may_end_early():
        return LMRegressor("auto", **parameters).fit(X, y)


def fit_one(n_units, X, y, weight=None):
    """Return the `Fit` of one network, as the search makes it."""
    model = LMRegressor(n_units, alpha=1e-3, n_starts=1, max_iter=10, random_state=0)
    data = check_data(model, X, y, weight, None, None, None, is_resumed=False)
    return fit_single(FitInputs(data, make_config(model.get_params(), False, False), None, [], print))


@pytest.mark.parametrize("alpha", ["evidence", 1e-3])
def test_the_size_with_the_best_criterion_is_taken(data, alpha):
    model = fit(*data, alpha=alpha)
    path = model.growth_
    n_units = len(model.intercepts_[0])
    chosen = list(path["n_units"]).index(n_units)
    assert list(path["n_units"]) == sorted(path["n_units"])
    assert n_units > 1
    # All smaller sizes are worse, and no larger one is better by enough to count.
    assert path["criterion"][chosen] > path["criterion"][:chosen].max()
    if alpha == "evidence":
        assert (path["criterion"][chosen + 1 :] <= path["criterion"][chosen] + MIN_RISE).all()
        assert model.log_evidence_ == path["criterion"][chosen]
    else:
        assert model.loo_score_ == path["criterion"][chosen]
    assert len(path["n_units"]) <= chosen + 1 + PATIENCE
    assert path["n_parameters"][chosen] == 3 * n_units + 1


def test_new_units_change_nothing_at_first(data):
    X, _ = data
    fit = fit_one(3, *data)
    (fitted,), network = fit.networks, make_network(1, (7,), 1, ("tanh",))
    start = larger_network(fit, 7, np.random.RandomState(0))
    np.testing.assert_allclose(
        predict(X, start.scalings.x, start.scalings.y, network, start.theta),
        predict(X, fitted.scalings.x, fitted.scalings.y, fitted.network, fitted.theta),
        atol=1e-12,
    )


def test_a_larger_network_starts_from_the_smaller_one(data):
    """F can only fall from size to size if the penalty is fixed."""
    path = fit(*data, alpha=1e-4, tol=1e-6).growth_
    assert (np.diff(path["train_mse"]) <= 0.02 * path["train_mse"][:-1]).all()


def test_repeated_rows_are_weights(data):
    """Naive: centres of new units are drawn from all rows, repetitions included, and all rows count for the limit."""
    X, y = data
    X, y = X[::4], y[::4]
    weight = 1 + np.arange(len(X)) % 3
    repeated = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    fits = [fit_one(2, *rows) for rows in ((X, y, weight), repeated)]
    network = make_network(1, (7,), 1, ("tanh",))
    (weighted, weighted_biases), (other, other_biases) = (
        unpack(network, larger_network(fit, 7, np.random.RandomState(0)).theta) for fit in fits
    )
    np.testing.assert_allclose(weighted[0], other[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted_biases[0], other_biases[0], rtol=1e-6, atol=1e-8)
    n_parameters = 3 * np.array(size_search.SIZES) + 1
    for fit in fits:
        found = [is_too_large(fit.prepared, n_units) for n_units in size_search.SIZES]
        np.testing.assert_array_equal(found, n_parameters > len(X))


def test_there_are_never_more_parameters_than_residuals(rng):
    X = np.linspace(-1, 1, 14)[:, None]
    model = fit(X, np.sin(9 * X[:, 0]), alpha=1e-9)
    assert model.growth_["n_parameters"].max() <= 14


@pytest.mark.parametrize("test_fraction", [0.0, 0.2])
def test_several_networks_have_the_size_that_the_search_found(data, test_fraction):
    model = fit(*data, n_networks=2, test_fraction=test_fraction)
    sizes = {len(member.intercepts_[0]) for member in model.estimators_}
    assert len(sizes) == 1
    assert sizes < set(model.growth_["n_units"])
    assert np.isfinite(model.predict(data[0], return_std=True)[1]).all()
    assert len(model.split_indices_) == (2 if test_fraction else 1)


def test_the_parameter_stays_auto_and_the_seed_determines_the_result(data):
    first, again = fit(*data), fit(*data)
    assert first.hidden_layer_sizes == clone(first).hidden_layer_sizes == "auto"
    assert first.get_params() == again.get_params()
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])


def test_another_fit_removes_growth(data):
    model = fit(*data)
    with may_end_early():
        model.set_params(hidden_layer_sizes=(2,)).fit(*data)
    assert not hasattr(model, "growth_")
    assert model.coefs_[0].shape == (1, 2)


def test_conjugate_gradients_are_an_error(data):
    """Naive: an AttributeError for the leave-one-out score, which needs the Gram matrix."""
    with pytest.raises(ValueError, match=r"solver='cg': sizes are compared .* Set solver='auto'"):
        fit(*data, solver="cg")


def test_the_search_ends_before_the_gram_matrix_is_too_large(data, monkeypatch):
    monkeypatch.setattr(size_search, "MAX_MATRIX", 8**2)
    assert fit(*data).growth_["n_parameters"].max() <= 8


def test_verbose_prints_a_line_for_each_size(data, capsys):
    model = fit(*data, verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == len(model.growth_["n_units"])


def test_several_outputs_and_a_validation_set(data):
    X, y = data
    model = fit(X, np.column_stack([y, X[:, 0]]), alpha=0.0, early_stopping=True, test_fraction=0.1)
    assert model.predict(X).shape == (len(X), 2)
    assert set(model.split_indices_) == {"train", "validation", "test"}


def test_the_units_of_an_output_do_not_matter(rng):
    """Naive: sizes are compared by PRESS, which the output in small units dominates."""
    X = rng.uniform(size=(80, 1))
    y = np.column_stack([np.sin(8 * X[:, 0]), X[:, 0] + 0.1 * rng.normal(size=80)])
    sizes = []
    for unit in (1.0, 1e4):
        with may_end_early():
            model = LMRegressor("auto", alpha=1e-3, n_starts=1, max_iter=20, random_state=0).fit(X, y * [1.0, unit])
        sizes.append(len(model.intercepts_[0]))
    assert sizes[0] == sizes[1] > 1


def test_an_interrupted_search_keeps_the_best_size_so_far(rng, monkeypatch):
    X = rng.uniform(size=(60, 1))
    fits = iter([size_search.fit_network] * 2)

    def interrupted(*arguments):
        if (fit := next(fits, None)) is None:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(size_search, "fit_network", interrupted)
    model = LMRegressor("auto", alpha=1e-3, n_starts=1, max_iter=20, random_state=0)
    with may_end_early(), pytest.raises(KeyboardInterrupt):
        model.fit(X, np.sin(8 * X[:, 0]))
    assert len(model.intercepts_[0]) == 2
    assert np.isfinite(model.predict(X)).all()


def test_an_interrupted_ensemble_has_no_networks_of_an_earlier_search(rng, monkeypatch):
    """Naive: networks of the previous fit, with other inputs, take the place of those that were not begun."""
    X = rng.normal(size=(40, 3))
    model = LMRegressor("auto", n_networks=2, max_iter=4, random_state=0, warm_start=True)
    with may_end_early():
        model.fit(X[:, :2], X[:, 0])
    original = ensemble.fit_network

    def interrupted(prepared, config, rng, resume_point, hooks):
        hooks.on_interrupt(original(prepared, config, rng, resume_point, hooks))
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "fit_network", interrupted)
    with may_end_early(), pytest.raises(KeyboardInterrupt):
        model.fit(X, X[:, 0])
    assert {network.n_features_in_ for network in model.estimators_} == {3}
    assert len(model.predict(X)) == len(X)
