"""Selection of start runs, and the report on them."""

import numpy as np
import pytest
from conftest import COMPILED, may_end_early, size

from sklearn_lm import LMRegressor
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._data.yeo_johnson import Scalings, identity_power
from sklearn_lm._optimize.linearization import GramLinearization
from sklearn_lm._optimize.objective import Objective
from sklearn_lm._optimize.state import OptimizerSettings
from sklearn_lm._training import draw_starts, multistart, train
from sklearn_lm._training.history import Monitor
from sklearn_lm._training.multistart import RUNGS, Hooks, Multistart, RunFactory, affordable_starts, summary
from sklearn_lm._training.snapshot import Snapshot, Start


class Bumps(Objective):
    """1/2 (r^2 + depth^2) with a residual of many minima; `start` decides which one is found."""

    weight = 1.0

    def cost(self, theta):
        return self.linearize(theta).cost

    def linearize(self, theta):
        x = float(theta[0])
        r = np.array([x / 10, 3 * np.sin(3 * x)])
        J = np.array([[0.1], [9 * np.cos(3 * x)]])
        return GramLinearization(0.5 * float(r @ r), J.T @ r, J.T @ J, r**2)


def run(starts, **options):
    factory = RunFactory(Bumps, lambda: Monitor(lambda equations: float(equations.squares.sum()), {}), 1e-16)
    starts = [Start("family", np.array([x])) for x in starts]
    snapshot = Snapshot(Scalings(identity_power(), identity_scaling(1), identity_scaling(1)), {})
    multistart = Multistart(starts, factory, OptimizerSettings(), Hooks(0.0), snapshot, **options)
    return multistart.run(), multistart.runs


def test_the_least_error_wins():
    starts = [20.0, -9.0, 0.2, 14.0, 30.0]
    winner, runs = run(starts)
    assert winner is runs[2]
    assert winner.state.theta[0] == pytest.approx(0, abs=1e-8)
    assert [run.theta[0] for run in runs] == starts


def test_rounding_errors_do_not_choose_the_winner():
    """Starts that end in the same minimum: the first of them wins, whatever the last bits say."""
    winner, runs = run([0.3, -0.2, 0.1])
    assert all(run.state.theta[0] == pytest.approx(0, abs=1e-8) for run in runs)
    assert winner is runs[0]


def test_every_run_has_a_status():
    winner, runs = run(np.linspace(-40, 40, 20))
    statuses = [run.status for run in runs]
    assert statuses.count("won") == 1
    assert [statuses.count(fate) for fate in ("left after round 1", "left after round 2", "left after round 3")] == [
        14,
        3,
        1,
    ]
    assert statuses.count("ran to the end") == 1
    assert winner.status == "won"
    left = [run for run in runs if run.status == "left after round 1"]
    assert all(run.state.iteration <= RUNGS[0].n_iter for run in left)


def test_a_small_number_of_starts_all_run_to_the_end():
    _, runs = run([5.0, 0.1])
    assert sorted(run.status for run in runs) == ["ran to the end", "won"]
    assert all(run.ending is not None for run in runs)


def test_a_pause_changes_no_step():
    """With the same settings throughout, the winner of several starts is, to the bit, what it would have been alone."""
    winner, _ = run(np.linspace(0.3, 30, 12))
    alone, _ = run([winner.theta[0]])
    assert winner.state.theta == alone.state.theta
    assert winner.state.costs == alone.state.costs
    assert [row["mu"] for row in winner.monitor.rows] == [row["mu"] for row in alone.monitor.rows]


def test_threads_do_not_matter():
    serial, parallel = (run(np.linspace(-20, 20, 9), n_jobs=n) for n in (None, 2))
    assert [run.state.costs for run in serial[1]] == [run.state.costs for run in parallel[1]]


def test_a_start_that_overflows_ends_no_other_run():
    winner, runs = run([np.nan, 0.1])
    assert winner is runs[1]
    assert runs[0].status == "not finite"
    assert summary(runs)["train_mse"][0] == np.inf
    with pytest.raises(ValueError, match="not finite at the starting point"):
        run([np.nan, np.nan])


def test_number_of_affordable_starts():
    assert affordable_starts(100, 20, 5) == multistart.MAX_STARTS
    assert affordable_starts(1e6, 200, 30) == 1
    assert affordable_starts(499, 60, 10) >= 15
    numbers = [affordable_starts(n, 60, 10) for n in np.logspace(1, 6, 30)]
    assert numbers == sorted(numbers, reverse=True)


# ---- through the estimator ----------------------------------------------------------------------------
@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(80, 30), 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=len(X))


def fit(X, y, sample_weight=None, **parameters):
    parameters = {"max_iter": size(400, 40), "random_state": 0, "n_starts": size(8, 4), "alpha": 0.01, **parameters}
    with may_end_early():
        return LMRegressor(3, **parameters).fit(X, y, sample_weight)


def test_starts_are_reported(data):
    model = fit(*data)
    n = size(8, 4)
    assert {len(column) for column in model.starts_.values()} == {n}
    assert model.starts_["family"][0] == "nguyen_widrow"
    won = list(model.starts_["fate"]).index("won")
    assert model.starts_["train_mse"][won] == model.history_["train_mse"][-1]
    assert model.starts_["n_iter"][won] == model.n_iter_


def test_the_winner_has_the_least_error_of_those_that_ran_to_the_end(data):
    starts = fit(*data).starts_
    finished = np.isin(starts["fate"], ["won", "ran to the end"])
    won = starts["fate"] == "won"
    assert finished.sum() == 2
    # alpha > 0: F decides, and the training error follows it within the penalty's part
    assert starts["train_mse"][won] <= 1.1 * starts["train_mse"][finished].min()


def test_several_starts_keep_to_max_time(data):
    """One start is made whatever the time; the others have the status that none was left."""
    model = fit(*data, max_time=1e-9)
    assert list(model.starts_["fate"]) == ["won"] + ["no time left"] * (size(8, 4) - 1)
    assert model.stop_reason_ == "max_time seconds have passed"


def test_screening_keeps_to_max_time(data, monkeypatch):
    """The solution is that of the best start when the time is over."""
    for module in (multistart, draw_starts):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 20)
    model = fit(*data, max_time=1e-9)
    assert list(model.starts_["fate"]).count("won") == 1
    assert np.isfinite(model.predict(data[0])).all()


def test_starts_follow_the_seed(data):
    first, again, threads = (fit(*data, n_jobs=n).predict(data[0]) for n in (None, None, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, threads)


def test_integer_weights_equal_repeated_rows_with_several_starts(data, rng):
    X, y = data
    times = rng.randint(0, 3, size=len(y))
    weighted = fit(X, y, times, n_starts="auto", max_iter=size(2000, 60))
    repeated = fit(np.repeat(X, times, axis=0), np.repeat(y, times), n_starts="auto", max_iter=size(2000, 60))
    assert len(weighted.starts_["fate"]) == len(repeated.starts_["fate"])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-7)


def test_order_of_rows_does_not_matter(data, rng):
    X, y = data
    order = rng.permutation(len(y))
    np.testing.assert_allclose(fit(X, y).predict(X), fit(X[order], y[order]).predict(X), atol=1e-7)


def test_screening_of_many_rows(data, monkeypatch):
    """The winner's history is that of a fit to all rows; the losers saw the subsample only."""
    for module in (multistart, draw_starts):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 20)
    model = fit(*data)
    mse = np.mean((model.predict(data[0]) - data[1]) ** 2)
    assert model.history_["train_mse"][-1] == pytest.approx(mse, rel=1e-9)
    assert list(model.starts_["fate"]).count("won") == 1
    assert model.starts_["n_iter"].max() <= model.max_iter


def test_linear_networks_need_one_start(data):
    assert len(LMRegressor((), random_state=0).fit(*data).starts_["fate"]) == 1


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_prints_its_starts_and_then_the_winner(data, capsys, verbose):
    model = fit(*data, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    starts, iterations = lines[: 1 + size(8, 4)], lines[1 + size(8, 4) :]
    assert [line.split()[0] for line in starts[1:]] == [str(number) for number in range(1, size(8, 4) + 1)]
    printed = [line for line in iterations[1:] if "rejected" not in line]
    assert [int(line.split()[0]) for line in printed] == list(range(model.n_iter_ + 1))
    assert (len(printed) < len(iterations) - 1) == (verbose == 2)


def test_with_a_validation_set_the_winner_has_the_least_validation_error(data):
    X, y = data
    model = fit(X, y, early_stopping=True, validation_fraction=0.3, alpha=0.0)
    assert model.best_iter_ == np.argmin(model.history_["validation_mse"])


@pytest.mark.skipif(not COMPILED, reason="thousands of rows take minutes without compilation")
@pytest.mark.parametrize(("alpha", "n_outputs"), [(0.0, 1), ("auto", 1), ("auto", 2)])
def test_many_rows_are_screened_on_a_sample(alpha, n_outputs, monkeypatch):
    """All starts are compared on the sample, and the best goes on with all rows: more starts for the same time.

    The history is that of the run on all rows, and the last bits are those of any number of threads.
    """
    monkeypatch.setattr(multistart, "BUDGET", 3e8)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (6000, 3))
    Y = np.column_stack([np.sin(3 * X[:, 0]) * X[:, 1], 5 * np.abs(X[:, 2])])[:, :n_outputs]
    Y = Y + [0.1, 0.3][:n_outputs] * rng.normal(size=(6000, n_outputs))
    one, two = (
        LMRegressor(6, alpha=alpha, n_jobs=n_jobs, max_iter=60, tol=1e-6, random_state=0) for n_jobs in (None, 2)
    )
    with may_end_early():
        one.fit(X, Y)
        two.fit(X, Y)
    np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    status = list(one.starts_["fate"])
    assert len(status) >= 2
    assert sum(word in ("won", "ran to the end") for word in status) <= 2
    assert np.mean((one.predict(X).reshape(Y.shape) - Y) ** 2, axis=0) == pytest.approx(
        [0.01, 0.09][:n_outputs], rel=0.2
    )
    assert len(one.history_["train_mse"]) == one.n_iter_ + 1


@pytest.mark.skipif(not COMPILED, reason="thousands of rows take minutes without compilation")
@pytest.mark.parametrize("budget", [1e6, 3e8])  # one drawn start and one with a strong penalty; several, screened
def test_continued_fits_of_many_rows_have_the_same_bits(budget, monkeypatch):
    """Naive: the screening is decided anew from the number of runs, and the continued fit begins again."""
    monkeypatch.setattr(multistart, "BUDGET", budget)
    monkeypatch.setattr(train, "MANY_PARAMETERS", 1e-3)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3100, 2))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=3100)
    with may_end_early():
        whole = LMRegressor(5, max_iter=6, random_state=0).fit(X, y)
        parts = LMRegressor(5, max_iter=3, warm_start=True, random_state=0).fit(X, y).fit(X, y)
    assert list(parts.starts_["fate"]) == list(whole.starts_["fate"])
    assert len(whole.starts_["fate"]) > 1
    np.testing.assert_array_equal(parts.coefs_[0], whole.coefs_[0])
