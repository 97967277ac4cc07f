import warnings

import numpy as np
import pytest
from conftest import COMPILED, interrupt_at, may_end_early, size
from evidence_problems import SETTINGS, evidence_anew, factory_of, fit, new_fit, noisy_problem
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge

from sklearn_lm import LMRegressor
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network import objective, subsample
from sklearn_lm._network.penalty import make_groups
from sklearn_lm._network.topology import layer_matrices, make_network
from sklearn_lm._optimize.termination import Ending
from sklearn_lm._training import evidence, evidence_formulas
from sklearn_lm._training.evidence import EVERY, MAX_RESTARTS, PATIENCE, SETTLED, SHORTFALL, draw_evidence_start
from sklearn_lm._training.evidence_formulas import PRIOR_RATE, PRIOR_SHAPE
from sklearn_lm._training.linear_baseline import fit_linear
from sklearn_lm._training.multistart import Hooks, Multistart, StartRun
from sklearn_lm._training.snapshot import FIRST


@pytest.mark.parametrize("n", [60, 10])  # by the Gram matrix, and with fewer residuals than parameters
@pytest.mark.parametrize("noise", [(0.3,), (0.3, 0.1)])
def test_state_of_the_largest_evidence_is_consistent(n, noise):
    """Cost, Gram matrix and penalty are changed in place: they must be what they would be if made anew."""
    problem = noisy_problem(n, noise=noise)
    assert problem.objective().is_dual == (n == 10)
    search = fit(problem)[0].evidence
    evidence, gamma = evidence_anew(search)
    np.testing.assert_allclose(search.log_evidence, evidence, rtol=1e-9)
    np.testing.assert_allclose(search.state.best.gamma, gamma, atol=1e-7)


def test_the_largest_evidence_of_all_iterations_is_the_solution():
    winner, _ = fit(noisy_problem())
    best = winner.evidence.state.best
    column = winner.monitor.history()["log_evidence"]
    assert np.isnan(column[: SETTLED + 1]).all()
    assert np.nanmax(column) <= best.log_evidence
    assert winner.best() == (-best.log_evidence, best.iteration, best.theta)
    np.testing.assert_array_equal(winner.monitor.history()["n_effective_parameters"] >= 0, column == column)


def test_patience_ends_the_fit():
    winner, _ = fit(noisy_problem())
    assert winner.ending is Ending.EVIDENCE
    assert winner.state.iteration <= winner.evidence.state.best.iteration + PATIENCE * EVERY
    assert winner.state.iteration >= FIRST + EVERY


def test_max_iter_ends_the_fit():
    winner, _ = fit(noisy_problem(), settings=SETTINGS._replace(max_iter=6))
    assert winner.ending is Ending.MAX_ITER
    assert (winner.state.iteration, winner.evidence.state.best.iteration) == (6, 6)


def test_a_minimum_does_not_hide_that_a_limit_is_reached():
    """Without noise, each update makes way for another iteration, which ends at a minimum."""
    problem = noisy_problem(n=40, hidden=(8,), noise=(0.0,))
    settings = SETTINGS._replace(min_grad=1e-3, max_iter=20)
    winner, _ = fit(problem, settings=settings)
    assert winner.state.iteration <= 20
    late, _ = fit(problem, settings=settings._replace(max_time=1e-9))
    assert late.ending is Ending.MAX_TIME


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_the_noise_is_found(noise):
    search = fit(noisy_problem(n=size(400, 60), hidden=(5,), noise=(noise,)))[0].evidence
    np.testing.assert_allclose(search.precisions.beta**-0.5, noise, rtol=size(1, 3) * 0.1)


def test_each_output_has_its_noise():
    problem = noisy_problem(n=size(400, 60), hidden=(5,), noise=(0.5, 0.1))
    search = fit(problem)[0].evidence
    scale = search.best_problem.y_scaling.scale
    np.testing.assert_allclose(np.prod(scale), 1.0)  # the evidence is that of the targets as they came
    np.testing.assert_allclose(search.best_problem.rows["train"].Y * scale, problem.rows["train"].Y)
    np.testing.assert_allclose(scale * search.precisions.beta**-0.5, [0.5, 0.1], rtol=size(1, 3) * 0.1)


def test_an_input_without_use_is_switched_off():
    winner, _ = fit(noisy_problem(n=size(400, 60)))
    useful, useless = winner.evidence.precisions.alpha[:2]
    assert useless > 30 * useful


def test_the_largest_evidence_wins():
    winner, runs = fit(noisy_problem(), n_starts=4)
    assert winner.evidence.log_evidence == max(run.evidence.log_evidence for run in runs)
    assert sorted(run.status for run in runs) == ["ran to the end"] * 3 + ["won"]
    assert winner.status == "won"


def test_starts_that_are_too_late_are_not_run():
    _, runs = fit(noisy_problem(), n_starts=3, settings=SETTINGS._replace(max_time=1e-9))
    assert [run.status for run in runs] == ["won", "no time left", "no time left"]


def test_threads_do_not_change_the_result():
    one, two = (fit(noisy_problem(), n_starts=3, n_jobs=n_jobs)[0] for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.best()[2], two.best()[2])


def test_a_run_that_takes_the_noise_for_structure_restarts(monkeypatch):
    """Few rows, much noise and many units: without restarts the evidence is far below that of a linear network."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    rows = make_rows(X, (X[:, :1] + rng.normal(size=(40, 1))) / 2**0.5, np.ones(40), identity_scaling(1))
    problem = noisy_problem()._replace(network=make_network(6, (20,), 1, ("tanh",)), x_scaling=identity_scaling(6))
    problem = problem._replace(rows={"train": rows})
    least = fit_linear(problem, "input").log_evidence - SHORTFALL * 40
    best = []
    for n_restarts in (0, MAX_RESTARTS):
        monkeypatch.setattr(evidence, "MAX_RESTARTS", n_restarts)
        best.append(fit(problem)[0].evidence.state)
    assert best[0].best.log_evidence < least < best[1].best.log_evidence
    assert best[1].best.iteration > SETTLED + FIRST  # of the record of all beginnings


@pytest.mark.parametrize(("n", "is_sampled"), [(60, False), (10, False), (200, True)])
def test_the_best_state_is_restored_from_a_snapshot(n, is_sampled, monkeypatch):
    """Bit by bit. If no step is small enough, one point is evaluated many times, and each time the penalty moves.

    Naive: the linearization under the last penalty alone, which has other last bits; or under the first. If steps are
    by a subsample of the rows, it is the last: those of all rows are made for each evaluation.
    """
    if is_sampled:
        monkeypatch.setattr(subsample, "WORTHWHILE", np.inf)
    problem = noisy_problem(n=n, hidden=(3,))
    settings = SETTINGS._replace(mu=1e-3, mu_max=2e-3)
    winner, _ = fit(problem, settings=settings, save=lambda snapshot: None)
    search, snapshot = winner.evidence, winner.snapshot
    best = search.state.best
    assert EVERY * search.state.n_evaluations > winner.state.iteration  # so some were of one point
    assert (len(best.hyperparameter_history) == 1) == is_sampled
    # The snapshot is of the last reported iteration; what the evaluations after it have found is put in.
    snapshot = snapshot._replace(evidence=snapshot.evidence._replace(best=best))
    again = StartRun.restore(snapshot, factory_of(problem)).evidence
    for name, ours in again.best_point._asdict().items():
        theirs = getattr(search.best_point, name)
        lower = np.tril if name == "gram" else np.array
        np.testing.assert_array_equal(lower(ours), lower(theirs), err_msg=name)
    penalty_diag = search.best_problem.penalty.penalty_diag
    np.testing.assert_array_equal(again.best_problem.penalty.penalty_diag, penalty_diag)


def test_without_any_structure_little_is_predicted():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 4)), 3 + rng.normal(size=60)
    with may_end_early():
        model = LMRegressor(15, alpha="evidence", n_starts=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean(), atol=0.6)
    np.testing.assert_allclose(model.noise_variance_, y.var(), rtol=0.25)


def test_a_constant_target_is_no_failure():
    problem = noisy_problem()
    rows = problem.rows["train"]
    problem = problem._replace(rows={"train": rows._replace(Y=np.zeros_like(rows.Y))})
    winner, _ = fit(problem)
    assert winner.ending is Ending.EVIDENCE
    np.testing.assert_allclose(winner.best()[2], 0, atol=1e-2)


def test_starts_differ_in_scale_and_noise():
    network = make_network(4, (500,), 1, ("tanh",))
    groups = make_groups(network, "input")
    for seed in range(3):
        _, theta, precisions, _ = draw_evidence_start(network, groups, np.random.RandomState(seed))
        hidden, output = layer_matrices(network, theta)
        scale = hidden[:, -1].std()
        assert 0.45 < scale < 1.85
        np.testing.assert_allclose(hidden[:, :-1].std(), scale / 2, rtol=0.1)
        np.testing.assert_allclose(output[:, :-1].std(), 500**-0.5, rtol=0.1)
        np.testing.assert_allclose(precisions.alpha, [2, 2, 2, 2, 1, 500**0.5])
        assert 2 <= precisions.beta <= 50


def test_a_start_that_is_not_finite_is_an_error():
    problem = noisy_problem()
    start = draw_evidence_start(problem.network, make_groups(problem.network, "input"), np.random.RandomState(0))
    start.theta[0] = np.nan
    multistart = Multistart([start], factory_of(problem), SETTINGS, Hooks(0.0), new_fit(problem))
    with pytest.raises(ValueError, match="not finite"):
        multistart.run()
    assert multistart.runs[0].status == "not finite"


# ---- through the estimator ---------------------------------------------------------------------------
def noisy_data(rng, n=60):
    X = rng.normal(size=(n, 2)) * [1.0, 100.0]
    return X, 5 + 20 * (np.sin(X[:, 0]) + 0.3 * rng.normal(size=n))


def regressor(hidden=(4,), **parameters):
    return LMRegressor(hidden, alpha="evidence", random_state=0, **parameters)


@pytest.mark.parametrize("n_features", [3, 8])
def test_a_linear_network_is_bayesian_ridge(rng, n_features):
    """With one group, output bias included, BayesianRidge sees standardised inputs and a column of ones."""
    X = rng.normal(size=(40, n_features)) * np.logspace(-2, 2, n_features)
    y = 3 + X @ (rng.normal(size=n_features) / np.logspace(-2, 2, n_features)) + rng.normal(size=40)
    ours = regressor((), penalty_groups="single", scaling="standard", noise="constant", max_iter=1000)
    ours.fit(X, y)
    Z = np.column_stack([(X - ours.x_offset_) / ours.x_scale_, np.ones(40)])
    theirs = BayesianRidge(
        fit_intercept=False, tol=1e-14, max_iter=10_000,
        alpha_1=0, alpha_2=0, lambda_1=PRIOR_SHAPE / 2, lambda_2=PRIOR_RATE / 2,
    ).fit(Z, (y - ours.y_offset_[0]) / ours.y_scale_[0])  # fmt: skip
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_[:-1], rtol=1e-6)
    np.testing.assert_allclose(ours.intercepts_[0], theirs.coef_[-1:], atol=1e-12)
    np.testing.assert_allclose(ours.alpha_, theirs.lambda_ / theirs.alpha_, rtol=1e-6)
    _, std = ours.predict(X[:5], return_std=True)
    # BayesianRidge takes estimated precisions for known ones: its distribution is normal, and not Student's.
    expected = ours.y_scale_ * theirs.predict(Z[:5], return_std=True)[1]
    np.testing.assert_allclose(std, expected * ours._posterior.student_variance**0.5, rtol=1e-6)


def test_a_weight_is_a_repeated_row(rng):
    X, y = noisy_data(rng)
    weight = rng.randint(1, 4, size=60)
    weighted = regressor().fit(X, y, sample_weight=weight)
    repeated = regressor().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    for name in ("alpha_", "noise_variance_", "log_evidence_", "n_effective_parameters_", "feature_relevance_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-4)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4)


@pytest.mark.parametrize("mean", [1.0, 0.2, 0.02])
def test_weights_that_are_shares_cause_a_warning(rng, mean):
    """Naive: weights that sum to one make all data noise, in silence."""
    X, y = noisy_data(rng)
    weight = np.concatenate([np.zeros(30), np.full(60, mean)])  # rows that weigh nothing are none
    X, y = np.concatenate([X[:30], X]), np.concatenate([y[:30], y])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        regressor(max_iter=10, weight_type="frequency").fit(X, y, sample_weight=weight)
        LMRegressor(3, alpha=1e-3, max_iter=10).fit(X, y, sample_weight=weight)  # only the penalty counts for more
        regressor(max_iter=10).fit(X, y, sample_weight=weight)  # equal weights are none
    messages = [w for w in caught if "sample_weight" in str(w.message)]
    assert len(messages) == (mean < 0.1)
    if messages:
        assert "mean of 0.02" in str(messages[0].message)
        assert "set weight_type='auto'" in str(messages[0].message)
        assert messages[0].filename == __file__


def test_a_weight_is_a_repeated_row_where_rows_are_reproduced(rng):
    """More inputs than rows and no noise: the evidence has no maximum, and yet equal data give an equal network."""
    X, y, weight = rng.rand(15, 30), rng.randint(0, 3, size=15), rng.randint(0, 5, size=15)
    with may_end_early():
        weighted = LMRegressor(alpha="evidence", random_state=0).fit(X, y, sample_weight=weight)
        repeated = LMRegressor(alpha="evidence", random_state=0).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7, atol=1e-9)


def test_the_default_is_the_evidence(rng):
    X, y = noisy_data(rng)
    default, named = LMRegressor(3, max_iter=9, random_state=0), regressor(3, max_iter=9)
    with may_end_early():
        default.fit(X, y)
        named.fit(X, y)
    np.testing.assert_array_equal(default.alpha_, named.alpha_)
    np.testing.assert_array_equal(default.predict(X, return_std=True), named.predict(X, return_std=True))


@pytest.mark.parametrize("what", ["cg", "large"])
def test_the_default_is_no_penalty_if_the_evidence_cannot_be_used(what, rng, monkeypatch):
    """No message either, because it was not asked for."""
    X, y = noisy_data(rng)
    options = {"solver": "cg"} if what == "cg" else {}
    if what == "large":
        monkeypatch.setattr(objective, "MAX_MATRIX", 9)
    options = {"hidden_layer_sizes": 3, "max_iter": 9, "random_state": 0, **options}
    with may_end_early():
        default = LMRegressor(**options).fit(X, y)
        plain = LMRegressor(alpha=0.0, **options).fit(X, y)
    assert not hasattr(default, "alpha_")
    assert default.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(default.predict(X), plain.predict(X))


@pytest.mark.parametrize("call", range(2, 12))
def test_an_interrupted_update_leaves_a_consistent_model(call, rng, monkeypatch):
    """Targets of several outputs are rescaled by an update; the interrupt comes between that and what follows of it."""
    X, y = noisy_data(rng)
    Y = np.column_stack([y, X[:, 0] ** 2 + 0.01 * rng.normal(size=len(X))])
    interrupt_at(monkeypatch, call)
    model = regressor(3, n_starts=1, max_iter=9)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    error = np.mean((model.predict(X) - Y) ** 2)
    np.testing.assert_allclose(error, model.history_["train_mse"][model.best_iter_], rtol=1e-10)
    assert np.isfinite(model.predict(X, return_std=True)[1]).all()


def test_the_least_noise_of_each_output_is_in_its_own_unit(rng, monkeypatch):
    """One output that is reproduced exactly, in thousands, beside one with noise."""
    monkeypatch.setattr(evidence_formulas, "MAX_BETA", 1e4)
    X = rng.uniform(-1, 1, size=(40, 2))
    Y = np.column_stack([1e3 * X @ [1.0, 2.0], X @ [2.0, 1.0] + 0.3 * rng.normal(size=40)])
    with may_end_early():
        model = LMRegressor(2, alpha="evidence", random_state=0, noise="constant").fit(X, Y)
    precision = Y.var(axis=0) / model.noise_variance_
    np.testing.assert_allclose(precision[0], 1e4, rtol=1e-6)
    assert precision[1] < 100


@pytest.mark.parametrize("how", ["max_iter", "max_time", "interrupted", "goal"])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_fit_that_was_cut_short_has_the_noise_of_its_residuals(how, loss, rng, monkeypatch):
    """Naive: the first noise precision of its start, which is drawn at random."""
    X, y = noisy_data(rng)
    limit = {"max_iter": {"max_iter": 3}, "max_time": {"max_time": 1e-9}, "goal": {"goal": 200.0}}.get(how, {})
    model = regressor(3, n_starts=1, loss=loss, **limit)
    if how == "interrupted":
        interrupt_at(monkeypatch, 4)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    else:
        with may_end_early():
            model.fit(X, y)
    assert model.stop_reason_ != Ending.EVIDENCE.sentence
    squares = (y - model.predict(X)) ** 2
    if loss == "huber":  # Proposal 2, with the loss scale of the fit
        squares = np.minimum(squares, model.loss_scale_**2) / 0.7101645
    freedom = len(X) - model.n_effective_parameters_
    assert model.noise_variance_ == pytest.approx(squares.sum() / freedom, rel=1e-6)


@pytest.mark.parametrize("max_iter", [1, 3, 7])
def test_intervals_of_a_fit_that_was_cut_short_cover_what_they_say(max_iter):
    covered = []
    for seed in range(size(8, 2)):
        rng = np.random.RandomState(seed)
        X = rng.uniform(-1, 1, size=(400, 3))
        y = np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + 0.1 * rng.normal(size=400)
        model = LMRegressor(max_iter=max_iter, n_starts=1, noise="constant", random_state=seed)
        with may_end_early():
            lower, upper = model.fit(X[:200], y[:200]).predict_interval(X[200:])
        covered.append(np.mean((lower < y[200:]) & (y[200:] < upper)))
    assert 0.93 < np.mean(covered) < 0.98
    assert min(covered) > 0.88


def test_units_do_not_matter(rng):
    X, y = noisy_data(rng)
    first, second = regressor().fit(X, y), regressor().fit(X * [1e3, 1e-3] + 7, 1e-3 * y)
    np.testing.assert_allclose(second.predict(X * [1e3, 1e-3] + 7), 1e-3 * first.predict(X), rtol=1e-5)
    np.testing.assert_allclose(second.noise_variance_, 1e-6 * first.noise_variance_, rtol=1e-5)
    np.testing.assert_allclose(second.alpha_, first.alpha_, rtol=1e-5)


def test_fitted_attributes(rng):
    X, y = noisy_data(rng)
    model = regressor().fit(X, y)
    assert model.log_evidence_ >= np.nanmax(model.history_["log_evidence"])
    assert 0 < model.n_effective_parameters_ < 17
    assert model.alpha_.shape == (4,)  # two inputs, hidden biases, output weights
    np.testing.assert_allclose(model.feature_relevance_.sum(), 1)
    assert model.feature_relevance_[0] > model.feature_relevance_[1]
    np.testing.assert_allclose(np.sqrt(model.noise_variance_), 6, rtol=0.4)
    assert model.stop_reason_ == Ending.EVIDENCE.sentence
    np.testing.assert_allclose(model.history_["train_mse"][model.best_iter_], np.mean((model.predict(X) - y) ** 2))


def test_a_fit_with_fixed_alpha_removes_the_attributes(rng):
    X, y = noisy_data(rng)
    model = regressor().fit(X, y)
    with may_end_early():
        model.set_params(alpha=0.1, max_iter=5).fit(X, y)
    for name in ("alpha_", "log_evidence_", "feature_relevance_"):
        assert not hasattr(model, name)


def test_a_warm_start_of_other_data(rng):
    X, y = noisy_data(rng)
    first = regressor(warm_start=True).fit(X, y)
    evidence = first.log_evidence_
    again = first.fit(X, y + 1e-9)  # other data: not exactly
    assert again.starts_["family"][0] == "warm_start"
    assert again.log_evidence_ > evidence - 1


@pytest.mark.parametrize("alpha", ["auto", "evidence"])
@pytest.mark.parametrize("is_given", [True, False])
def test_a_validation_set_is_only_watched(rng, alpha, is_given):
    """Naive: its error ends the fit without a penalty, 1.1 to 2.7 times as far from the truth."""
    X, y = noisy_data(rng)
    model = LMRegressor(3, alpha=alpha, random_state=0, split="block")
    if is_given:
        train, held_out = np.arange(9, len(X)), np.arange(9)
        watched = clone(model).fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    else:
        watched = clone(model).set_params(early_stopping=True, validation_fraction=0.2).fit(X, y)
        train, held_out = (watched.split_indices_[name] for name in ("train", "validation"))
    alone = model.fit(X[train], y[train])
    np.testing.assert_array_equal(watched.predict(X, return_std=True), alone.predict(X, return_std=True))
    error = np.mean((watched.predict(X[held_out]) - y[held_out]) ** 2)
    assert watched.history_["validation_mse"][watched.best_iter_] == pytest.approx(error, rel=1e-10)
    assert "validation_failures" not in watched.history_


@pytest.mark.parametrize(
    "parameters",
    [
        {"solve_output": False},
        {"acceleration": False},
        {"damping": "marquardt"},
        {"hidden_layer_sizes": (3, 2)},
        {"n_starts": 3},
        {"activation": "relu"},
        {"penalty_groups": "layer"},
        {"penalty_groups": "single"},
    ],
)
def test_every_option_of_the_optimizer(rng, parameters):
    X, y = noisy_data(rng)
    model = regressor().set_params(**parameters)
    with may_end_early():
        model.fit(X, y)
    assert model.score(X, y) > 0.6
    np.testing.assert_allclose(np.sqrt(model.noise_variance_), 6, rtol=0.5)


@pytest.mark.skipif(not COMPILED, reason="200 fits in plain Python take minutes")
def test_intervals_cover_what_they_say():
    """95 % intervals of new values, constant noise, 200 data sets."""
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X = rng.uniform(-2, 2, size=(140, 1))
        y = np.sin(2 * X[:, 0]) + 0.2 * rng.normal(size=140)
        with may_end_early():
            model = LMRegressor(10, alpha="evidence", n_starts=1, random_state=seed).fit(X[:100], y[:100])
        lower, upper = model.predict_interval(X[100:])
        inside.append(np.mean((lower < y[100:]) & (y[100:] < upper)))
    assert 0.93 <= np.mean(inside) <= 0.97
