"""Iterations that are made in one call are those that are made one by one."""

import time

import numpy as np
import pytest
from conftest import size
from objectives import NETWORK, TABLE, objective_for, run, some_data, some_theta

from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._kernels import compile
from sklearn_lm._network import fused_loop
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network
from sklearn_lm._optimize.levenberg_marquardt import advance
from sklearn_lm._optimize.state import OptimizerSettings, OptimizerState
from sklearn_lm._optimize.termination import Ending

SMALL = {
    "one layer": (make_network(2, (4,), 1, ["tanh"]), {}),
    "two layers and outputs": (make_network(2, (3, 4), 2, ["logistic", "tanh"]), {}),
    "no output layer solved for": (make_network(2, (4,), 1, ["tanh"]), {"solve_output": False}),
    "no correction": (make_network(2, (4,), 2, ["softplus"]), {"acceleration": False}),
    "neither": (make_network(2, (3,), 1, ["tanh"]), {"solve_output": False, "acceleration": False}),
    "linear": (make_network(2, (), 2, []), {"solve_output": False}),
    "many rejections": (make_network(2, (4,), 1, ["tanh"]), {"mu": 1e-12, "damping": "marquardt"}),
    "to the last digit": (make_network(2, (1,), 1, ["tanh"]), {"max_iter": 100, "tol": 0.0, "min_grad": 0.0}),
    "no step": (make_network(2, (4,), 1, ["tanh"]), {"mu": 1e-12, "mu_max": 1e-11}),
}
ENDS = {"linear": Ending.GRADIENT, "to the last digit": Ending.PRECISION, "no step": Ending.DAMPING}


@pytest.fixture
def data(rng):
    return some_data(rng)


@pytest.fixture
def theta(rng):
    return some_theta(rng)


def assert_same(one, other):
    """Two runs have the same bits, but for times."""
    assert len(one[0]) == len(other[0])
    assert one[1] is other[1]
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
        np.testing.assert_array_equal(a.point.squares, b.point.squares)
        numbers = [(r.iteration, r.cost, r.grad_norm, r.mu, r.gain_ratio, r.n_evaluations) for r in (a, b)]
        np.testing.assert_array_equal(*numbers)
    a, b = one[2], other[2]
    np.testing.assert_array_equal(np.tril(a.point.gram), np.tril(b.point.gram))
    np.testing.assert_array_equal(a.point.gradient, b.point.gradient)
    assert a.point.cost == b.point.cost
    assert (a.damping, a.n_evaluations, a.costs) == (b.damping, b.n_evaluations, b.costs)


@pytest.mark.parametrize("case", SMALL)
def test_one_call_has_the_bits_of_the_calls_it_stands_for(case, rng, monkeypatch):
    network, changes = SMALL[case]
    X = rng.uniform(-1, 1, size=(size(60, 40), 2))
    Y = np.column_stack([np.sin(3 * X[:, 0]) * X[:, 1], X[:, 0] ** 2])[:, : network.sizes[-1]]
    rows = make_rows(X, Y, rng.uniform(0.5, 2, len(X)), identity_scaling(network.sizes[-1]))
    theta, penalty = rng.normal(size=network.n_parameters), fixed_l2(1e-3, is_weight(network))
    one = NetworkObjective(network, rows, TABLE, penalty)
    assert one.iterate is not None
    at_once = run(one, theta, changes)
    monkeypatch.setattr(compile, "HAS_CLOCK", False)
    several = NetworkObjective(network, rows, TABLE, penalty)
    assert several.iterate is None
    one_by_one = run(several, theta, changes)
    assert_same(at_once, one_by_one)
    records, ending, _ = at_once
    assert ending is ENDS.get(case, Ending.MAX_ITER)
    assert len(records) > (0 if case == "no step" else 1 if case in ENDS else 6)
    if case in ("many rejections", "no step"):
        assert at_once[2].n_evaluations > len(records) + 2


def test_one_call_leaves_a_plateau_as_calls_one_by_one(data, theta, monkeypatch):
    """Where a small gradient is not the end, each point is looked at as a whole."""
    changes = {"min_grad": 0.05, "max_iter": 8}
    at_once = run(objective_for(*data, alpha=0.1), theta, changes)
    monkeypatch.setattr(compile, "HAS_CLOCK", False)
    assert_same(at_once, run(objective_for(*data, alpha=0.1), theta, changes))
    small = [record.grad_norm <= 0.05 for record in at_once[0]]
    assert sum(small[:-1]) > 3


def test_one_call_ends_where_somebody_stops_the_fit(data, theta, monkeypatch):
    """In the middle of what was made ahead, or between two calls: the state is that of the last record."""
    objective = objective_for(*data, alpha=0.1)
    monkeypatch.setattr(compile, "HAS_CLOCK", False)
    other = objective_for(*data, alpha=0.1)
    for last in range(6):

        def stop(record, last=last):
            return Ending.CALLBACK if record.iteration == last else None

        assert_same(run(objective, theta, {}, listen=stop), run(other, theta, {}, listen=stop))
        assert_same(run(objective, theta, {}, pause_at=last), run(other, theta, {}, pause_at=last))


def test_one_call_that_was_interrupted_leaves_a_state_to_go_on_from(data, theta):
    objective, settings = objective_for(*data, alpha=0.1), OptimizerSettings(solve_output=True, max_iter=6)
    whole, ending, end = run(objective, theta, settings._asdict())

    def interrupt(record):
        if record.iteration == 3:
            raise KeyboardInterrupt

    state = OptimizerState(objective, theta, settings)
    with pytest.raises(KeyboardInterrupt):
        advance(objective, state, settings, interrupt)
    assert state.iteration == 3
    records = []
    assert advance(objective, state, settings, lambda record: records.append(record)) is ending
    assert_same((whole[3:], ending, end), (records, ending, state))


def test_one_call_ends_in_time(data, theta):
    """Trials that find no step, with damping that does not grow, are ended by nothing else."""
    objective = objective_for(*data)
    settings = OptimizerSettings(damping="marquardt", mu_increase=1.0, max_time=0.2)
    state = OptimizerState(objective, theta, settings)
    damping = state.damping
    state.point = state.point._replace(gram=np.full_like(state.point.gram, np.nan))
    assert advance(objective, state, settings) is Ending.MAX_TIME
    assert (state.iteration, state.n_evaluations, state.damping) == (0, 1, damping)
    assert state.time() < 20


def test_one_call_that_was_interrupted_as_it_ended_can_go_on(data, theta, monkeypatch):
    """Ctrl-C while the point, where somebody stopped in the middle of what was made ahead, is looked at as a whole."""
    objective, settings = objective_for(*data, alpha=0.1), OptimizerSettings(solve_output=True, max_iter=6)
    whole, ending, end = run(objective, theta, settings._asdict())
    state = OptimizerState(objective, theta, settings)

    def interrupt(theta):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(objective, "linearize", interrupt)
        with pytest.raises(KeyboardInterrupt):
            advance(objective, state, settings, lambda record: Ending.CALLBACK if record.iteration == 2 else None)
    records = []
    assert advance(objective, state, settings, lambda record: records.append(record)) is ending
    assert_same((whole[3:], ending, end), (records, ending, state))


def test_one_call_tells_its_phases_and_when_it_was_where(data, theta):
    objective = objective_for(*data, alpha=0.1)
    start = time.perf_counter()
    records, _, _ = run(objective, theta, {})
    elapsed = time.perf_counter() - start
    phases = np.array([record.seconds for record in records])
    assert (phases[1:] > 0).all()
    assert phases.sum() < elapsed
    moments = np.array([record.time for record in records])
    assert (np.diff(moments) >= phases[1:].sum(axis=1) * (1 - 1e-6)).all()
    assert moments[-1] < elapsed


def test_a_point_that_must_not_be_changed_is_a_point_like_others(data, theta):
    """As one that is read from a file in memory-mapped form."""
    objective, fixed = objective_for(*data), theta.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(objective.solve_output(fixed)[0], objective.solve_output(theta)[0])
    gram, again = objective.linearize(fixed).gram, objective.linearize(theta).gram
    np.testing.assert_array_equal(np.tril(gram), np.tril(again))


def test_one_call_is_for_small_problems_on_one_thread(monkeypatch):
    assert objective_for(np.ones((40, 2)), np.ones((40, 2)), np.ones(40)).iterate is not None
    monkeypatch.setattr(compile, "SMALL_WORK", 40 * NETWORK.n_parameters**2 / 2)
    assert objective_for(np.ones((40, 2)), np.ones((40, 2)), np.ones(40)).iterate is None
    assert objective_for(np.ones((39, 2)), np.ones((39, 2)), np.ones(39)).iterate is not None


def test_the_more_arithmetic_the_fewer_iterations_in_one_call():
    assert fused_loop.n_ahead((94, 1), 31) == fused_loop.MAX_AHEAD
    assert fused_loop.n_ahead((1000, 1), 31) == 1
    numbers = [fused_loop.n_ahead((n, 1), 31) for n in range(1, 20000, 100)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 0
