"""A fit that is continued: by warm_start, and after Ctrl-C."""

import numpy as np
import pytest
from conftest import interrupt_at, may_end_early, size
from resume_cases import ONE_START, SEVERAL_STARTS, assert_same_fit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_lm import LMRegressor
from sklearn_lm._estimator.fit import warm_start_point
from sklearn_lm._network.objective import predict
from sklearn_lm._network.topology import make_network
from sklearn_lm._training import draw_starts, multistart

EVIDENCE = {**ONE_START, "alpha": "evidence"}
TWO_OUTPUTS = {**EVIDENCE, "n_outputs": 2}


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(90, 40), 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=len(X))


def make(**parameters):
    return LMRegressor(**{"hidden_layer_sizes": 4, "random_state": 0, "alpha": 1e-3, **ONE_START, **parameters})


def of_outputs(data, parameters):
    """The data with as many outputs as the parameters say, and the parameters without that."""
    (X, y), parameters = data, dict(parameters)
    return (X, np.column_stack([y, X @ [1.0, 2.0]]) if parameters.pop("n_outputs", 1) == 2 else y), parameters


def fit_n_times(n, data, **parameters):
    model = make(warm_start=True, **parameters)
    with may_end_early():
        for _ in range(n):
            model.fit(*data)
    return model


def fit_once(data, **parameters):
    with may_end_early():
        return make(**parameters).fit(*data)


@pytest.mark.parametrize(
    "parameters",
    [
        ONE_START,
        {**ONE_START, "damping": "marquardt", "solve_output": False},
        {**ONE_START, "early_stopping": True, "random_state": None},
        {**ONE_START, "early_stopping": True, "n_iter_no_change": 2, "test_fraction": 0.1},
        {**ONE_START, "goal": 0.05},
        {**ONE_START, "hidden_layer_sizes": 40, "alpha": 0.01},  # fewer residuals than parameters
        {**ONE_START, "hidden_layer_sizes": ()},
        SEVERAL_STARTS,
        {**SEVERAL_STARTS, "early_stopping": True},
        {**SEVERAL_STARTS, "n_jobs": 2},
        EVIDENCE,
        {**EVIDENCE, "n_starts": 2, "n_jobs": 2},
        {**EVIDENCE, "n_networks": 2},
        {**EVIDENCE, "hidden_layer_sizes": ()},
        {**EVIDENCE, "hidden_layer_sizes": 40},
        {**EVIDENCE, "loss": "cauchy"},
        TWO_OUTPUTS,
    ],
    ids=str,
)
def test_n_fits_of_one_iteration_are_one_of_n(data, parameters):
    n = size(16, 4)  # past the first rung, and several updates of the evidence
    data, parameters = of_outputs(data, parameters)
    if "random_state" in parameters:  # the first split is drawn, and kept to
        stepwise, once = ({**parameters, "random_state": np.random.RandomState(3)} for _ in range(2))
    else:
        stepwise = once = parameters
    assert_same_fit(fit_n_times(n, data, max_iter=1, **stepwise), fit_once(data, max_iter=n, **once))


def test_screening_is_continued_exactly(data, monkeypatch):
    for module in (multistart, draw_starts):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 20)
    n = size(14, 4)
    assert_same_fit(fit_n_times(n, data, max_iter=1, **SEVERAL_STARTS), fit_once(data, max_iter=n, **SEVERAL_STARTS))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"hidden_layer_sizes": 2, "activation": "identity"}, "gradient"),
        ({"hidden_layer_sizes": ()}, "rounding error"),
        ({"tol": 0.05}, "fell by less than tol"),
        ({"mu": 1e-5, "mu_max": 1e-4}, "mu_max"),
        (EVIDENCE, "evidence"),
    ],
    ids=str,
)
def test_a_fit_that_has_converged_stays_where_it_is(data, parameters, reason):
    if reason == "gradient":
        data = data[0], data[0] @ [1.0, 2.0]
    once = fit_once(data, max_iter=300, **parameters)
    assert reason in once.stop_reason_
    twice = fit_n_times(2, data, max_iter=300, **parameters)
    assert_same_fit(once, twice)
    assert once.stop_reason_ == twice.stop_reason_


def test_a_converged_fit_goes_on_when_more_is_asked_of_it(data):
    model = fit_n_times(1, data, tol=0.1, max_iter=300)
    before = model.loss_
    with may_end_early():
        model.set_params(tol=1e-8).fit(*data)
    assert model.loss_ < before


@pytest.mark.parametrize("change", ["y", "X", "alpha", "X_val", "evidence"])
def test_with_other_data_a_warm_start_takes_over_the_weights_alone(data, change):
    X, y = data
    sets = {"X_val": X[:9], "y_val": y[:9]} if change == "X_val" else {}
    model = make(warm_start=True, max_iter=3)
    with may_end_early():
        model.fit(X, y, **sets)
        weights = model.coefs_[0].copy()
        if change == "alpha":
            model.set_params(alpha=0.1)
        elif change == "evidence":
            model.set_params(alpha="evidence")
        elif change == "X_val":
            sets["X_val"] = X[:9] + 0.1
        model.fit(X + 0.1 * (change == "X"), y + 0.1 * (change == "y"), **sets)
    assert model.n_iter_ <= 3
    assert list(model.starts_["family"]) == ["warm_start"]
    assert not np.array_equal(model.coefs_[0], weights)


def test_threads_that_find_other_data_do_not_stop_the_start_that_follows(data):
    """Naive: they end the fit as any error in a thread does, and the new start is never run."""
    X, y = data
    model = fit_n_times(1, data, max_iter=3, n_jobs=2, n_starts=4)
    weights = model.coefs_[0].copy()
    with may_end_early():
        model.fit(X, y + 0.1)
    assert list(model.starts_["family"]) == ["warm_start"]
    assert not np.array_equal(model.coefs_[0], weights)


@pytest.mark.parametrize("parameters", [ONE_START, EVIDENCE, TWO_OUTPUTS], ids=str)
def test_the_fallback_start_predicts_the_same(data, parameters):
    """Evidence fits change the scales of several outputs, and to go on exactly is to begin with the first ones."""
    (X, y), parameters = of_outputs(data, parameters)
    model = fit_n_times(1, (X, y), **parameters, max_iter=20)
    network = make_network(2, (4,), model.n_outputs_, ("tanh",))
    snapshot = warm_start_point(vars(model), network)
    (power, *scalings), theta = snapshot.scalings, snapshot.theta
    np.testing.assert_allclose(
        predict(power.forward(X), *scalings, network, theta).ravel(), model.predict(X).ravel(), rtol=1e-12
    )


@pytest.mark.parametrize("change", [{"alpha": 0.1}, {"penalty_groups": "single"}, {}], ids=str)
@pytest.mark.parametrize("parameters", [EVIDENCE, TWO_OUTPUTS], ids=str)
def test_an_evidence_fit_of_other_data_begins_where_the_last_has_ended(data, parameters, change):
    (X, y), parameters = of_outputs(data, parameters)
    model = fit_n_times(1, (X, y), **parameters, max_iter=20).set_params(max_iter=1, **change)
    y = y if change else y + 1e-9
    with may_end_early():
        anew = clone(model).fit(X, y)
        model.fit(X, y)
    assert model.n_iter_ == 1
    assert model.starts_["family"][0] == "warm_start"
    assert np.mean((model.predict(X) - y) ** 2) < np.mean((anew.predict(X) - y) ** 2)


@pytest.mark.parametrize("alpha", [1e-3, "evidence"])
def test_weights_that_were_set_by_hand_are_where_it_begins(data, alpha):
    model = fit_n_times(1, data, alpha=alpha, max_iter=3)
    other = make(alpha=alpha, max_iter=3, random_state=1, warm_start=True)
    with may_end_early():
        other.fit(*data)
        model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
        model.set_params(max_iter=1).fit(*data)
        begun = other.__dict__.pop("_snapshot"), other.set_params(max_iter=1).fit(*data)
    assert begun[0] is not None
    assert model.n_iter_ == 1
    if alpha != "evidence":  # whose precisions are the model's own
        for mine, theirs in zip(model.coefs_, other.coefs_, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_only_a_warm_started_model_has_a_snapshot(data):
    assert not hasattr(fit_once(data, max_iter=2), "_snapshot")
    model = fit_n_times(1, data, max_iter=2)
    assert hasattr(model, "_snapshot")
    with may_end_early():
        model.set_params(warm_start=False).fit(*data)
    assert not hasattr(model, "_snapshot")


# ---- Ctrl-C -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("parameters", [ONE_START, {**ONE_START, "early_stopping": True}], ids=str)
def test_interrupted_fit_keeps_the_best_so_far_and_raises(data, monkeypatch, parameters):
    model = make(max_iter=50, warm_start=True, **parameters)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data)
    assert model.stop_reason_ == "interrupted"
    until_then = fit_once(data, max_iter=model.n_iter_, **parameters)
    assert_same_fit(model, until_then)
    assert np.isfinite(model.predict(data[0])).all()
    with may_end_early():  # and it goes on as if nothing had been
        model.set_params(max_iter=5).fit(*data)
    assert_same_fit(model, fit_once(data, max_iter=55, **parameters), but=["n_evaluations"])  # one was made twice


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_best_start_is_kept_after_an_interrupt(data, monkeypatch, n_jobs):
    model = make(max_iter=50, n_jobs=n_jobs, **SEVERAL_STARTS)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20)
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data)
    assert model.stop_reason_ == "interrupted"
    assert list(model.starts_["fate"]).count("won") == 1
    won = list(model.starts_["fate"]).index("won")
    assert model.starts_["train_mse"][won] == model.history_["train_mse"][-1]
    assert np.isfinite(model.predict(data[0])).all()


def test_interrupted_before_the_first_evaluation_a_model_stays_as_it_was(data, monkeypatch):
    model = make(max_iter=3)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.predict(data[0])
    with may_end_early():
        model.fit(*data)
    fitted = model.coefs_[0].copy()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            model.fit(data[0], -data[1])
    np.testing.assert_array_equal(model.coefs_[0], fitted)


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_a_robust_loss_takes_over_the_weights_of_squared_errors(data, loss):
    """The snapshot knows no scale of the loss: F is not what it was, and the fit begins at the weights."""
    model = fit_n_times(1, data, max_iter=3)
    start = model.coefs_[0]
    with may_end_early():
        model.set_params(loss=loss, max_iter=1).fit(*data)
    assert model.n_iter_ <= 1
    assert np.abs(model.coefs_[0] - start).max() < 1.0
    assert model.loss_scale_ > 0


@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"test_fraction": 0.2}], ids=str)
def test_the_split_of_new_rows_is_kept_by_the_fits_that_follow(data, parameters):
    """Naive: the snapshot keeps the split of the old rows; that is refused and drawn again at every later fit."""
    X, y = data
    model = make(warm_start=True, **{**parameters, "random_state": None, "max_iter": 2})
    with may_end_early():
        model.fit(X[: len(X) // 2], y[: len(X) // 2]).fit(X, y)
        split, n_iter = model.split_indices_, model.n_iter_
        model.fit(X, y)
    assert model.n_iter_ >= n_iter
    for name, rows in split.items():
        np.testing.assert_array_equal(model.split_indices_[name], rows)
