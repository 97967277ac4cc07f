"""scikit-learn's own callbacks, and some of a user's."""

import numpy as np
import pytest
from conftest import COMPILED, may_end_early, size
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(100, 40), 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=len(X))


def make(**parameters):
    return LMRegressor(**{"hidden_layer_sizes": 3, "n_starts": 1, "max_iter": 8, "random_state": 0, **parameters})


def fit(model, X, y, *arguments, **keywords):
    with may_end_early():
        return model.fit(X, y, *arguments, **keywords)


class Listener:
    """Records its calls, and stops the fit at the end of iteration `stop_at`."""

    def __init__(self, stop_at=None):
        self.stop_at, self.reported = stop_at, []

    def setup(self, estimator, context):
        self.reported.append(("setup", context.task_name, context.max_subtasks))

    def teardown(self, estimator, context):
        self.reported.append(("teardown", context.task_name, None))

    def on_fit_task_begin(self, estimator, context):
        self.reported.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.fitted, self.data, self.metadata, self.errors = fitted_estimator, (X, y), metadata, np.geterr()
        self.reported.append(("end", context.task_name, context.task_id))
        return context.task_name == "iteration" and context.task_id == self.stop_at


@pytest.mark.parametrize(("alpha", "n_announced"), [(0.0, 9), ("evidence", None)])  # other starts may follow
def test_a_fit_is_a_task_with_a_subtask_for_each_iteration(data, alpha, n_announced):
    listener = Listener()
    model = fit(make(alpha=alpha).set_callbacks(listener), *data)
    iterations = [(what, "iteration", i) for i in range(model.n_iter_ + 1) for what in ("begin", "end")]
    assert listener.reported == [
        ("setup", "fit", n_announced), ("begin", "fit", 0), *iterations, ("end", "fit", 0), ("teardown", "fit", None),
    ]  # fmt: skip
    assert listener.data == data
    assert listener.metadata is None


def test_callbacks_get_the_sample_weights(data):
    listener, weight = Listener(), np.arange(1.0, len(data[0]) + 1)
    fit(make().set_callbacks(listener), *data, weight)
    assert listener.metadata["sample_weight"] is weight


def test_a_callback_sees_the_model_as_if_the_fit_had_stopped_there(data):
    X, y = data
    listener, scores = Listener(), []
    listener.on_fit_task_end = lambda estimator, context, *, fitted_estimator: scores.append(
        fitted_estimator.score(X, y)
    )
    model = fit(make(alpha=0.0, early_stopping=True).set_callbacks(listener), X, y)
    short = fit(make(alpha=0.0, early_stopping=True, max_iter=3), X, y)
    assert scores[3] == short.score(X, y)
    assert scores[-1] == model.score(X, y)


def test_a_callback_can_stop_the_fit(data):
    model = fit(make(max_iter=100).set_callbacks(Listener(stop_at=4)), *data)
    assert model.n_iter_ == 4
    assert model.stop_reason_ == "a callback asked to stop"


def test_a_fit_with_callbacks_has_the_same_bits(data):
    quiet, watched = (fit(model, *data) for model in (make(), make().set_callbacks(Listener())))
    np.testing.assert_array_equal(quiet.coefs_[0], watched.coefs_[0])


def test_numpy_warns_a_callback_as_it_warns_its_caller(data):
    """While the optimizer itself ignores overflows at trial points."""
    listener = Listener()
    with np.errstate(over="raise", invalid="warn"):
        fit(make().set_callbacks(listener), *data)
    assert (listener.errors["over"], listener.errors["invalid"]) == ("raise", "warn")


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("n", [2, 5])
def test_several_starts_have_a_task_each(data, n, n_jobs):
    listener = Listener()
    model = fit(make(n_starts=n, alpha=0.0, max_iter=14, n_jobs=n_jobs).set_callbacks(listener), *data)
    ended = [task for what, name, task in listener.reported if (what, name) == ("end", "start")]
    assert sorted(ended) == list(range(n))
    assert listener.reported[0] == ("setup", "fit", n)
    # Those that run to the end report their iterations from there on: all of them if none is dropped before.
    n_iterations = sum((what, name) == ("end", "iteration") for what, name, _ in listener.reported)
    assert n_iterations == (sum(model.starts_["n_iter"] + 1) if n == 2 else 0)
    np.testing.assert_array_equal(listener.fitted.coefs_[0], model.coefs_[0])


def test_a_callback_stops_all_starts_that_run_to_the_end(data):
    model = fit(make(n_starts=2, max_iter=100).set_callbacks(Listener(stop_at=3)), *data)
    assert model.stop_reason_ == "a callback asked to stop"
    assert list(model.starts_["n_iter"]) == [3, 0]


def test_an_error_in_a_callback_is_the_callers(data):
    listener = Listener()
    listener.on_fit_task_end = lambda estimator, context: 1 / 0
    model = make().set_callbacks(listener)
    with pytest.raises(ZeroDivisionError):
        fit(model, *data)
    assert not hasattr(model, "coefs_")
    assert listener.reported[-1][0] == "teardown"


def test_scoring_monitor_has_a_score_for_every_iteration(data):
    monitor = callback.ScoringMonitor(scoring="r2")
    model = fit(make().set_callbacks(monitor), *data)
    log = monitor.get_logs().data
    scores = [row["r2"] for row in log if row["task_name"] == "iteration"]
    assert len(scores) == model.n_iter_ + 1
    assert scores == pytest.approx(1 - model.history_["train_mse"] / np.var(data[1]))


def test_progress_bar_of_a_fit(data, capsys):
    pytest.importorskip("rich")
    fit(make().set_callbacks(callback.ProgressBar()), *data)
    assert "LMRegressor - fit" in capsys.readouterr().out


def test_progress_and_scores_of_a_grid_search_in_two_processes(data, capsys):
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring="neg_mean_squared_error")
    pipeline = make_pipeline(StandardScaler(), make())
    pipeline[-1].set_callbacks(monitor)
    search = GridSearchCV(pipeline, {"lmregressor__alpha": [0.01, 1.0]}, cv=2, n_jobs=2)
    fit(search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)), *data)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert "LMRegressor - fit" in out
    iterations = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    fits = {row["parent_task_id_path"] for row in iterations}
    assert len(fits) == 5  # two settings on two folds, and the best on all rows
    assert np.isfinite([row["neg_mean_squared_error"] for row in iterations]).all()


def test_a_clone_keeps_its_callbacks_and_a_fit_leaves_them(data):
    listener = Listener()
    model = clone(make().set_callbacks(listener))
    fit(model, *data)
    assert listener.reported
    n = len(listener.reported)
    fit(model.set_callbacks(), *data)
    assert len(listener.reported) == n


class EndOfFit(Listener):
    """Records the attribute `n_iter_` of the estimator at the end of the fit, and may raise an error there."""

    def __init__(self, error=None):
        super().__init__()
        self.error, self.n_iter = error, []

    def on_fit_task_end(self, estimator, context, **arguments):
        if context.task_name == "fit":
            self.n_iter.append(estimator.n_iter_)
            if self.error is not None:
                raise self.error("at the end")
        return False


def test_the_attributes_are_set_when_the_end_of_the_fit_is_reported(data):
    listener = EndOfFit()
    model = make().set_callbacks(listener)
    counts = [fit(model.set_params(max_iter=n), *data).n_iter_ for n in (3, 5)]
    assert listener.n_iter == counts == [3, 5]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_at_the_end_of_the_fit_leaves_a_fitted_model(data, error):
    model = make(leave_one_out=True).set_callbacks(EndOfFit(error))
    with pytest.raises(error):
        fit(model, *data)
    assert model.stop_reason_ == "max_iter iterations were made"
    assert np.isfinite(model.loo_score_)


@pytest.mark.skipif(not COMPILED, reason="without compilation the fits take a minute")
@pytest.mark.parametrize("n_starts", [1, 2])
def test_starts_that_follow_a_fit_that_failed_are_reported(n_starts):
    """Naive: they exceed the number of subtasks that was announced, which is an error of scikit-learn."""
    x, listener = np.linspace(0, 1, 100).reshape(-1, 1), Listener()
    model = LMRegressor(20, n_starts=n_starts, random_state=0).set_callbacks(listener)
    model.fit(x, np.sin(16 * np.pi * x[:, 0]))
    n_iterations = sum((what, name) == ("end", "iteration") for what, name, _ in listener.reported)
    assert len(model.starts_["fate"]) > n_starts
    assert n_iterations == sum(model.starts_["n_iter"] + 1)
    np.testing.assert_array_equal(listener.fitted.coefs_[0], model.coefs_[0])
