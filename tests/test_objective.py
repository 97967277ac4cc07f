"""F as it is written at the top of `_objective.py`, and the identities that follow from it."""

import time

import numpy as np
import pytest
import reference
from conftest import size
from sklearn.linear_model import LinearRegression, Ridge

from sklearn_lm import _activations, _jit, _kernels, _small
from sklearn_lm._network import is_weight, make_network
from sklearn_lm._objective import NetworkObjective, make_rows, mean_squared_error, read_only, sum_of_squares
from sklearn_lm._optimizer import Ending, advance
from sklearn_lm._regularization import fixed_l2
from sklearn_lm._scaling import Scaling, identity_scaling
from sklearn_lm._state import Settings, State

NETWORK = make_network(2, (3,), 2, ["tanh"])
TABLE = identity_scaling(2).table()


def objective_for(X, Y, weight, alpha=0.0):
    rows = make_rows(X, Y, weight, identity_scaling(2))
    return NetworkObjective(NETWORK, rows, TABLE, fixed_l2(alpha, is_weight(NETWORK)))


@pytest.fixture
def data(rng):
    return rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), rng.randint(0, 4, size=20).astype(float)


@pytest.fixture
def theta(rng):
    return rng.normal(size=NETWORK.n_parameters)


def test_cost_is_the_formula(data, theta):
    X, Y, weight = data
    f = reference.forward(theta, NETWORK.sizes, NETWORK.activations, X)
    weights, _ = reference.read(theta, NETWORK.sizes)
    penalty = sum(w**2 for layer in weights for unit in layer for w in unit)
    expected = 0.5 * (weight @ (f - Y) ** 2).sum() + 0.5 * 0.7 * penalty
    assert objective_for(X, Y, weight, alpha=0.7).cost(theta) == pytest.approx(expected, rel=1e-13)


def test_gradient_is_the_derivative_of_the_cost(data, theta):
    objective = objective_for(*data, alpha=0.7)
    equations = objective.normal_equations(theta)
    assert equations.cost == objective.cost(theta)
    h = 1e-6
    differences = [
        (objective.cost(theta + h * e) - objective.cost(theta - h * e)) / (2 * h) for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(equations.gradient, differences, rtol=1e-6, atol=1e-7)


def test_penalty_adds_alpha_to_the_diagonal_of_weights(data, theta):
    plain, penalised = (objective_for(*data, alpha=a).normal_equations(theta) for a in (0.0, 0.7))
    difference = np.tril(penalised.gram) - np.tril(plain.gram)
    np.testing.assert_allclose(difference, np.diag(0.7 * is_weight(NETWORK)), atol=1e-12)


def test_integer_weights_are_repetitions(data, theta):
    X, Y, weight = data
    times = weight.astype(int)
    weighted = objective_for(X, Y, weight).normal_equations(theta)
    repeated = objective_for(np.repeat(X, times, 0), np.repeat(Y, times, 0), np.ones(times.sum()))
    for a, b in zip(weighted, repeated.normal_equations(theta), strict=True):
        a, b = (np.tril(part) if np.ndim(part) == 2 else part for part in (a, b))
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_mean_squared_error_is_in_the_targets_units(data, theta):
    X, Y, weight = data
    y_scaling = Scaling(np.array([3.0, -1.0]), np.array([2.0, 10.0]))
    rows = make_rows(X, Y, weight, y_scaling)
    f = y_scaling.offset + y_scaling.scale * reference.forward(theta, NETWORK.sizes, NETWORK.activations, X)
    squares = sum_of_squares(rows, TABLE, NETWORK, theta)
    expected = np.average((f - Y) ** 2, axis=0, weights=weight).mean()
    assert mean_squared_error(rows, squares, y_scaling) == pytest.approx(expected, rel=1e-12)


def test_nothing_the_caller_owns_can_be_written_to(data):
    X, Y, weight = data
    rows = make_rows(X, Y, weight, identity_scaling(2))
    assert rows.X.base is X
    assert not any(array.flags.writeable for array in (rows.X, rows.Y, rows.root_weight))
    assert X.flags.writeable
    assert read_only(np.asfortranarray(X)).flags.c_contiguous


def test_overflow_gives_infinity_and_no_exception(data):
    objective = objective_for(*data, alpha=1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(objective.cost(np.full(NETWORK.n_parameters, 1e200)))
    assert np.isnan(objective.cost(np.full(NETWORK.n_parameters, np.nan)))


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_solve_linear_is_the_weighted_ridge_solution(data, theta, alpha):
    """Against scikit-learn's Ridge on the activations of the hidden layer."""
    X, Y, weight = data
    objective = objective_for(X, Y, weight, alpha)
    solved, cost = theta, np.inf
    for _ in range(3):  # each time closes all but 1e-8 of the distance, along directions that are well determined
        solved, cost = objective.solve_linear(solved)
    hidden_weights, hidden_biases = (part[0] for part in reference.read(theta, NETWORK.sizes))
    A = np.tanh(X @ np.array(hidden_weights).T + hidden_biases)
    peer = Ridge(alpha, solver="cholesky").fit(A, Y, weight) if alpha else LinearRegression().fit(A, Y, weight)
    weights, biases = reference.read(solved, NETWORK.sizes)
    np.testing.assert_allclose(weights[1], peer.coef_, rtol=1e-8)
    np.testing.assert_allclose(biases[1], peer.intercept_, rtol=1e-8)
    np.testing.assert_array_equal(solved[:9], theta[:9])
    assert cost == pytest.approx(objective.cost(solved), rel=1e-9)
    assert cost < objective.cost(theta)


def test_solve_linear_where_hidden_units_coincide(data, theta):
    """Two equal units leave the split between their weights open: solved, and as good as with one of them."""
    X, Y, weight = data
    theta[3:6] = theta[0:3]
    objective = objective_for(X, Y, weight)
    solved, _ = objective.solve_linear(theta)
    solved, cost = objective.solve_linear(solved)
    assert np.isfinite(solved).all()
    hidden = reference.read(theta, NETWORK.sizes)
    A = np.column_stack([np.tanh(X @ np.array(hidden[0][0]).T + hidden[1][0])[:, 1:], np.ones(len(X))])
    root = np.sqrt(weight)[:, None]
    best = np.linalg.lstsq(root * A, root * Y, rcond=None)[0]
    assert cost == pytest.approx(0.5 * np.sum((root * (A @ best - Y)) ** 2), rel=1e-9)


def test_solve_linear_of_a_hopeless_point_changes_nothing(data, theta):
    theta[0] = np.nan
    solved, cost = objective_for(*data).solve_linear(theta)
    np.testing.assert_array_equal(solved, theta)
    assert np.isnan(cost)


def test_activations_kept_change_nothing(data, theta, rng, monkeypatch):
    """Evaluations in any order, at points come back to, against an objective that has seen nothing before."""
    objective = objective_for(*data, alpha=0.3)
    points = [theta, theta + 0.1 * rng.normal(size=theta.size), theta - 0.1]
    direction = rng.normal(size=theta.size)

    def evaluations(objective, point):
        solved, cost = objective.solve_linear(point)
        equations = objective.normal_equations(solved)
        bend = objective.curvature(solved, direction)
        return solved, cost, equations.cost, equations.gradient, np.tril(equations.gram), bend

    kept = [evaluations(objective, points[i]) for i in (0, 1, 0, 2, 1)]
    monkeypatch.setattr(_activations, "MOST_KEPT", 0)
    fresh = [evaluations(objective_for(*data, alpha=0.3), points[i]) for i in (0, 1, 0, 2, 1)]
    for one, other in zip(kept, fresh, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_activations_of_a_pass_that_was_interrupted_are_not_used(data, theta):
    objective = objective_for(*data)
    expected = objective.normal_equations(theta)
    room, _ = objective._activations.before(theta + 1)
    room[:] = np.nan  # and no `after`
    again = objective.normal_equations(theta + 1)
    assert np.isfinite(again.cost)
    assert objective.normal_equations(theta).cost == expected.cost


# ---- several iterations in one call -------------------------------------------------------------------
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


def run(objective, theta, changes, pause_at=None, listen=lambda record: None):
    """Every record of a run, its ending, and the state that it ends in."""
    settings = Settings(solve_output=True, acceleration=True, max_iter=size(12, 6))._replace(**changes)
    records = []
    state = State(objective, theta, settings)
    ending = advance(objective, state, settings, lambda record: records.append(record) or listen(record), pause_at)
    return records, ending, state


def assert_same(one, other):
    """Two runs have the same bits, but for times."""
    assert len(one[0]) == len(other[0])
    assert one[1] is other[1]
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
        np.testing.assert_array_equal(a.equations.squares, b.equations.squares)
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
    monkeypatch.setattr(_jit, "HAS_CLOCK", False)
    several = NetworkObjective(network, rows, TABLE, penalty)
    assert several.iterate is None
    one_by_one = run(several, theta, changes)
    assert_same(at_once, one_by_one)
    records, ending, _ = at_once
    assert ending is ENDS.get(case, Ending.MAX_ITER)
    assert len(records) > (0 if case == "no step" else 1 if case in ENDS else 6)
    if case in ("many rejections", "no step"):
        assert at_once[2].n_evaluations > len(records) + 2


def test_one_call_ends_where_somebody_stops_the_fit(data, theta, monkeypatch):
    """In the middle of what was made ahead, or between two calls: the state is that of the last record."""
    objective = objective_for(*data, alpha=0.1)
    monkeypatch.setattr(_jit, "HAS_CLOCK", False)
    other = objective_for(*data, alpha=0.1)
    for last in range(6):

        def stop(record, last=last):
            return Ending.CALLBACK if record.iteration == last else None

        assert_same(run(objective, theta, {}, listen=stop), run(other, theta, {}, listen=stop))
        assert_same(run(objective, theta, {}, pause_at=last), run(other, theta, {}, pause_at=last))


def test_one_call_that_was_interrupted_leaves_a_state_to_go_on_from(data, theta):
    objective, settings = objective_for(*data, alpha=0.1), Settings(solve_output=True, max_iter=6)
    whole, ending, end = run(objective, theta, settings._asdict())

    def interrupt(record):
        if record.iteration == 3:
            raise KeyboardInterrupt

    state = State(objective, theta, settings)
    with pytest.raises(KeyboardInterrupt):
        advance(objective, state, settings, interrupt)
    assert state.iteration == 3
    records = []
    assert advance(objective, state, settings, lambda record: records.append(record)) is ending
    assert_same((whole[3:], ending, end), (records, ending, state))


def test_one_call_ends_in_time(data, theta):
    """A fit that nothing else would end, or that finds no step for very long."""
    objective = objective_for(*data)
    for changes in ({"max_iter": 10**9, "tol": 0.0, "min_grad": 0.0, "max_time": 0.0}, {"max_time": 0.0}):
        records, ending, state = run(objective, theta, changes)
        assert (len(records), ending) == (1, Ending.MAX_TIME)
    # Trials that never reduce F, with damping that does not grow.
    state = State(objective, theta, Settings())
    made = objective.iterate(
        state.theta, state.point._replace(cost=-1.0), state.metric.diagonal, state.system,
        (1.0, 2.0, (True, 1.0, 0.1), 1e-300, 1e300), (False, False, 0.0, 0.75), 8, 1e-3,
    )  # fmt: skip
    assert made.reason == _kernels.LATE
    assert made.n_trials > 0
    assert not made.points


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


def test_activations_that_one_call_leaves_are_those_of_their_points(data, theta):
    """What is kept of theta must not be taken for that of another point."""
    for n in range(1, 6):
        objective, anew = objective_for(*data), objective_for(*data)
        records, _, _ = run(objective, theta, {"mu": 1e-9, "max_iter": n})
        direction = np.linspace(-1, 1, len(theta))
        for point in [record.theta for record in records[::-1]] + [theta]:
            a, b = objective.normal_equations(point), anew.normal_equations(point)
            np.testing.assert_array_equal(np.tril(a.gram), np.tril(b.gram))
            np.testing.assert_array_equal(objective.curvature(point, direction), anew.curvature(point, direction))


def test_a_point_that_must_not_be_changed_is_a_point_like_others(data, theta):
    """As one that is read from a file in memory-mapped form."""
    objective, fixed = objective_for(*data), theta.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(objective.solve_linear(fixed)[0], objective.solve_linear(theta)[0])
    gram, again = objective.normal_equations(fixed).gram, objective.normal_equations(theta).gram
    np.testing.assert_array_equal(np.tril(gram), np.tril(again))


def test_one_call_is_for_small_problems_on_one_thread(monkeypatch):
    assert objective_for(np.ones((40, 2)), np.ones((40, 2)), np.ones(40)).iterate is not None
    monkeypatch.setattr(_jit, "SMALL_WORK", 40 * NETWORK.n_parameters**2 / 2)
    assert objective_for(np.ones((40, 2)), np.ones((40, 2)), np.ones(40)).iterate is None
    assert objective_for(np.ones((39, 2)), np.ones((39, 2)), np.ones(39)).iterate is not None


def test_the_more_arithmetic_the_fewer_iterations_in_one_call():
    assert _small.n_ahead(94, 1, 31) == _small.MOST
    assert _small.n_ahead(1000, 1, 31) == 1
    numbers = [_small.n_ahead(n, 1, 31) for n in range(1, 20000, 100)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 0
