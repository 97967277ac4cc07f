"""Fallback starts: each sign of failure by the smallest data that shows it, through the estimator."""

import numpy as np
import pytest
from conftest import COMPILED, may_end_early
from evidence_problems import SETTINGS, fit, noisy_problem
from sklearn.linear_model import LinearRegression

from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import DataSet
from sklearn_lm._network.objective import predict
from sklearn_lm._network.penalty import make_groups
from sklearn_lm._network.topology import make_network
from sklearn_lm._training.fallback import EvidenceFallback
from sklearn_lm._training.linear_baseline import fit_linear

needs_compilation = pytest.mark.skipif(
    not COMPILED, reason="fits of 30 units and more take minutes without compilation"
)


def fallback_of(problem):
    """Return the fallback of a problem whose rows are standardised already."""
    rows = problem.rows["train"]
    train = DataSet(rows.X, rows.Y, rows.root_weight**2)
    return EvidenceFallback(problem, train, make_groups(problem.network, "input"), 0)


def families(model):
    return list(model.starts_["family"])


# ---- the target is not taken for noise -----------------------------------------------------------------
@needs_compilation
@pytest.mark.parametrize(("n_periods", "n_rows", "units"), [(2, 12, 10), (4, 24, 20), (8, 200, 30), (20, 120, 60)])
def test_a_curve_of_many_periods_is_followed(n_periods, n_rows, units):
    """The runs of all other starts end with the mean as prediction, and an evidence that is large with few rows."""
    x = np.linspace(0, 1, n_rows).reshape(-1, 1)
    with may_end_early():
        model = LMRegressor(units, random_state=0).fit(x, np.sin(2 * np.pi * n_periods * x[:, 0]))
    new = np.linspace(0, 1, 1001).reshape(-1, 1)
    assert model.score(new, np.sin(2 * np.pi * n_periods * new[:, 0])) > 0.999
    assert families(model)[0] == "varied"
    assert families(model)[-1] == "penalized"


@needs_compilation
@pytest.mark.parametrize("seed", range(3))
def test_a_trend_with_a_season_is_followed(seed):
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, 300)
    truth = 2 * x + np.sin(20 * np.pi * x)
    with may_end_early():
        model = LMRegressor(30, random_state=seed).fit(x[:, None], truth + 0.1 * rng.normal(size=300))
    assert model.score(x[:, None], truth) > 0.99


@needs_compilation
def test_a_fast_function_of_one_of_several_inputs_is_followed():
    """Neighbours see nothing in five dimensions; the fit explains no more than a line, which calls for other starts."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (400, 5))
    with may_end_early():
        model = LMRegressor(30, random_state=0).fit(X, np.sin(8 * np.pi * X[:, 0]) + 0.05 * rng.randn(400))
    assert model.score(X, np.sin(8 * np.pi * X[:, 0])) > 0.99


@needs_compilation
def test_each_output_is_followed():
    """Naive: the linear output hides that nothing of the other is explained, and lets max_iter end the fit."""
    x = np.linspace(0, 1, 200).reshape(-1, 1)
    Y = np.column_stack([x[:, 0], np.sin(16 * np.pi * x[:, 0])])
    with may_end_early():
        model = LMRegressor(30, random_state=0).fit(x, Y)
    np.testing.assert_allclose(model.predict(x), Y, atol=0.02)


def test_noise_is_not_followed():
    """Neighbours predict noise worse than the mean does, and starts with a small penalty have a smaller evidence."""
    rng = np.random.default_rng(0)
    x, y = np.linspace(-1, 1, 100).reshape(-1, 1), rng.normal(size=100)
    with may_end_early():
        model = LMRegressor(10, random_state=0).fit(x, y)
    assert np.std(model.predict(x)) < 0.5
    assert families(model)[list(model.starts_["fate"]).index("won")] in ("varied", "linear")


# ---- never less than a linear network ------------------------------------------------------------------
@pytest.mark.parametrize("hidden", [(4,), (3, 5)])
@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "softplus", "identity"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_start_that_is_nearly_linear_equals_the_linear_network(hidden, activation, n_outputs):
    problem = noisy_problem(hidden=hidden, noise=(0.3, 0.5)[:n_outputs])
    network = make_network(2, hidden, n_outputs, (activation,) * len(hidden))
    problem = problem._replace(network=network)
    matrix = fit_linear(problem, "input").matrix
    start = fallback_of(problem)._linear_start(matrix)
    X = problem.rows["train"].X
    expected = X @ matrix[:, :-1].T + matrix[:, -1]
    f = predict(X, problem.x_scaling, problem.y_scaling, network, start.theta)
    np.testing.assert_allclose(f, expected, atol=0.1 * np.std(expected))


@pytest.mark.parametrize(("signal", "seed"), [(1.0, 0), (0.0, 1)])
def test_linear_truth_and_noise_are_fitted_as_a_linear_network_would(signal, seed):
    """Naive: networks that take part of the noise for structure, of an evidence 30 to 100 nats smaller."""
    rng = np.random.default_rng(seed)
    n = 300 if COMPILED else 60
    X, X_new, slopes = rng.normal(size=(n, 8)), rng.normal(size=(500, 8)), signal * rng.normal(size=8)
    y = X @ slopes + rng.normal(size=n)
    with may_end_early():
        model = LMRegressor(10, n_starts=1, random_state=seed).fit(X, y)
        linear = LMRegressor((), alpha="evidence").fit(X, y)
    assert model.log_evidence_ > linear.log_evidence_ - 8
    error, of_least_squares = (
        np.sqrt(np.mean((fitted.predict(X_new) - X_new @ slopes) ** 2))
        for fitted in (model, LinearRegression().fit(X, y))
    )
    assert error < 1.2 * of_least_squares


@pytest.mark.parametrize("seed", [0, 3])
def test_many_inputs_are_fitted_as_a_linear_network_would(seed):
    """Naive: generalised cross-validation prefers a network that reproduces nearly all of the 100 rows."""
    rng = np.random.RandomState(seed)
    X, X_new, slopes = rng.randn(100, 60), rng.randn(500, 60), 2 * rng.randn(60) / 60**0.5
    with may_end_early():
        y = X @ slopes + rng.randn(100)
        scores = [LMRegressor(hidden, random_state=0).fit(X, y).score(X_new, X_new @ slopes) for hidden in (10, ())]
    assert scores[0] > scores[1] - 0.05


# ---- many units ----------------------------------------------------------------------------------------
@needs_compilation
def test_more_units_are_not_worse_than_fewer():
    """The evidence of the only start that can be afforded is often largest when it has fitted the noise."""
    rng = np.random.default_rng(0)
    X, X_new = rng.uniform(-1, 1, (2, 600, 5))

    def truth(X):
        return np.sin(3 * X[:, 0]) * X[:, 1] + np.abs(X[:, 2])

    y, errors = truth(X) + 0.1 * rng.normal(size=600), []
    for units in (10, 70):
        with may_end_early():
            model = LMRegressor(units, random_state=0).fit(X, y)
        errors.append(np.sqrt(np.mean((model.predict(X_new) - truth(X_new)) ** 2)))
    assert errors[1] < 1.2 * errors[0]


# ---- what must stay --------------------------------------------------------------------------------------
def test_a_fit_that_was_cut_short_is_not_judged():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    with may_end_early():
        model = LMRegressor(10, n_starts=1, max_iter=4, random_state=0).fit(X, y)
    assert families(model) == ["varied"]


def test_a_run_of_a_fixed_penalty_has_no_fallback():
    winner, runs = fit(noisy_problem(), settings=SETTINGS)
    assert len(runs) == 1
    assert fallback_of(noisy_problem()).starts(winner) == []  # a fit without a sign of failure
