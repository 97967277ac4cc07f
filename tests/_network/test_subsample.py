"""A sample of the rows makes the matrix: what it is, that cost and gradient are those of all rows, and that it pays."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest
from conftest import COMPILED, may_end_early
from evidence_problems import evidence_anew, fit, noisy_problem
from objectives import steps

from sklearn_lm import LMRegressor, _kernels
from sklearn_lm._data.out_of_core import column_range
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling, minmax_scaling
from sklearn_lm._network import matrix_free, subsample
from sklearn_lm._network.losses import Loss
from sklearn_lm._network.objective import NetworkObjective, subsample_sizes
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.subsample import (
    SubsampledLinearization,
    draw_sample,
    is_quicker,
    n_large_subsample,
    n_small_subsample,
)
from sklearn_lm._network.topology import is_weight, make_network
from sklearn_lm._optimize import linear_solvers
from sklearn_lm._training.evidence import solver_between


def problem(rng, n_rows=400, hidden=(3, 2), n_outputs=2, alpha=0.3, weight=None):
    """Network, rows, scaling of the inputs and penalty, as an objective takes them."""
    network = make_network(3, hidden, n_outputs, ["tanh"] * len(hidden))
    X = rng.normal(size=(n_rows, 3))
    weight = rng.uniform(0.1, 3, n_rows) if weight is None else weight
    rows = make_rows(X, rng.normal(size=(n_rows, n_outputs)), weight, identity_scaling(n_outputs))
    return network, rows, minmax_scaling(column_range(X)).table(), fixed_l2(alpha, is_weight(network))


def full(gram):
    return np.tril(gram) + np.tril(gram, -1).T


def jacobian(network, X, root_weight, table, theta):
    J = np.empty((len(X) * network.sizes[-1], theta.size))
    _kernels.jacobian_rows(
        np.ascontiguousarray(X), root_weight, table, _kernels.NetworkArrays(theta, network.layout), J
    )
    return J


def rows_of(X, weight):
    return make_rows(np.asarray(X, dtype=float), np.zeros((len(X), 1)), weight, identity_scaling(1))


def table_of(X):
    return minmax_scaling(column_range(np.asarray(X, dtype=float))).table()


# ---- the sample ---------------------------------------------------------------------------------------
def test_three_residuals_a_parameter_or_none_at_all():
    assert n_large_subsample(10_000, 1, 701) == 3 * 701
    assert n_large_subsample(5_000, 2, 701) == -(-3 * 701 // 2)
    assert n_large_subsample(2 * 3 * 701 - 1, 1, 701) == 0


def test_up_to_six_where_that_is_an_eighth_of_all():
    assert n_large_subsample(40 * 701, 1, 701) == 5 * 701
    assert n_large_subsample(10**6, 1, 701) == 6 * 701
    assert n_large_subsample(10**6, 2, 701) == 3 * 701


def test_it_is_taken_where_both_its_share_and_the_products_cost_little():
    assert is_quicker(20_000, 2, 2162)
    assert is_quicker(10_000, 1, 211)
    assert not is_quicker(10**6, 1, 150)  # products cost more
    assert not is_quicker(2_000, 1, 300)  # it is too large a share


def test_a_small_sample_is_for_few_inputs_and_many_parameters():
    assert n_small_subsample(1000, 1, 681, 1) == 227
    assert n_small_subsample(1000, 2, 681, 2) == 114
    assert n_small_subsample(1000, 1, 681, 3) == 0
    assert n_small_subsample(1000, 1, 399, 1) == 0
    assert n_small_subsample(680, 1, 681, 1) == 0  # fewer residuals than parameters: a system of their own


def test_of_constant_columns_the_weights_are_kept_to_their_sum(rng):
    weight = rng.uniform(0.1, 3, 200)
    rows = rows_of(np.ones((200, 2)), weight)
    chosen, stretch = draw_sample(rows, table_of(rows.X), 50)
    assert (np.diff(chosen) > 0).all()
    assert (rows.root_weight[chosen] * stretch) ** 2 @ np.ones(len(chosen)) == pytest.approx(weight.sum())


def test_sums_over_all_samples_are_those_over_all_rows(rng, monkeypatch):
    """The mean over many draws, against its own standard error."""
    X, weight, value = rng.normal(size=(60, 2)), rng.uniform(0.1, 3, 60), rng.normal(size=60)
    rows, table, sums = rows_of(X, weight), table_of(X), []
    draw = np.random.default_rng
    for seed in range(400):
        monkeypatch.setattr(np.random, "default_rng", lambda _, seed=seed: draw(seed))
        chosen, stretch = draw_sample(rows, table, 20)
        sums.append((rows.root_weight[chosen] * stretch) ** 2 @ value[chosen])
    error = np.std(sums) / np.sqrt(len(sums))
    assert error > 0
    assert np.mean(sums) == pytest.approx(weight @ value, abs=4 * error)


def test_weights_are_repeated_neighbours(rng):
    X, weight = rng.normal(size=(120, 3)), rng.randint(1, 4, 120)
    once, often = rows_of(X, weight.astype(float)), rows_of(np.repeat(X, weight, axis=0), np.ones(weight.sum()))
    a, b = draw_sample(once, table_of(X), 40), draw_sample(often, table_of(X), 40)
    number = np.repeat(np.arange(120), weight)[b.rows]
    mass = np.bincount(number, b.stretch**2, 120)
    np.testing.assert_allclose(np.bincount(a.rows, a.stretch**2 * weight[a.rows], 120), mass, rtol=1e-9)


def test_no_region_of_sorted_rows_is_left_out():
    X = np.linspace(-1, 1, 1000)[:, None]
    chosen, _ = draw_sample(rows_of(X, np.ones(1000)), table_of(X), 100)
    assert np.diff(chosen).max() < 60


def test_a_column_of_a_few_rows_is_in_the_sample(rng):
    """Five rows of ten thousand; in proportion to weights alone, a sample of 200 would hold none."""
    X = rng.normal(size=(10_000, 2))
    rare = rng.choice(10_000, 5, replace=False)
    X[:, 1] = 0.0
    X[rare, 1] = 1.0
    chosen, _ = draw_sample(rows_of(X, np.ones(10_000)), table_of(X), 200)
    assert set(rare) <= set(chosen)


# ---- equations ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("hidden", [(), (4,), (3, 2)])
def test_cost_and_gradient_have_the_bits_of_the_full_matrix(hidden, n_outputs, rng):
    arguments = problem(rng, hidden=hidden, n_outputs=n_outputs)
    sampled, whole = (NetworkObjective(*arguments, solver) for solver in ("cg", "cholesky"))
    theta = rng.normal(size=arguments[0].n_parameters)
    a, b = sampled.linearize(theta), whole.linearize(theta)
    assert isinstance(a, SubsampledLinearization)
    assert a.cost == b.cost
    np.testing.assert_array_equal(a.gradient, b.gradient)
    np.testing.assert_array_equal(a.squares, b.squares)
    v = rng.normal(size=theta.size)
    np.testing.assert_allclose(a.times(v), full(b.gram) @ v, rtol=1e-9, atol=1e-9)


def test_its_matrix_is_that_of_the_drawn_rows(rng):
    network, rows, table, penalty = problem(rng)
    theta = rng.normal(size=network.n_parameters)
    equations = NetworkObjective(network, rows, table, penalty, "cg").linearize(theta)
    chosen, stretch = draw_sample(rows, table, n_large_subsample(400, 2, theta.size))
    J = jacobian(network, rows.X[chosen], rows.root_weight[chosen] * stretch, table, theta)
    np.testing.assert_allclose(full(equations.gram), J.T @ J + np.diag(penalty.penalty_diag), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(equations.data_diagonal, (J**2).sum(axis=0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mu", [10.0, 1e-2])
@pytest.mark.parametrize("hidden", [(), (4,), (3, 2)])
def test_step_and_acceleration_are_those_of_cholesky(hidden, mu, rng, monkeypatch):
    for name in ("SAMPLE_FORCING", "SAMPLE_ACCELERATION_FORCING"):
        monkeypatch.setattr(subsample, name, 0.0)
    arguments = problem(rng, hidden=hidden)
    theta = rng.normal(size=arguments[0].n_parameters)
    a, b = (
        steps(NetworkObjective(*arguments, solver), theta, mu, np.ones(theta.size)) for solver in ("cg", "cholesky")
    )
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-8 * np.abs(theirs).max())


def products_of(objective, theta, mu, monkeypatch):
    """Products with H that one step takes."""
    calls = []
    times = matrix_free.gram_times
    for module in (matrix_free, subsample):
        monkeypatch.setattr(module, "gram_times", lambda *arguments: calls.append(0) or times(*arguments))
    equations = objective.linearize(theta)
    equations.make_solver().solve(equations, mu, np.ones(theta.size), theta)
    for module in (matrix_free, subsample):
        monkeypatch.setattr(module, "gram_times", times)
    return len(calls)


def test_conditioning_costs_few_products(rng, monkeypatch):
    """Blocks need several times as many products to six digits, with almost no damping."""
    monkeypatch.setattr(subsample, "SAMPLE_FORCING", 0.0)
    monkeypatch.setattr(matrix_free.BlockPreconditioner, "forcing", 0.0)
    monkeypatch.setattr(linear_solvers, "MIN_RESIDUAL", 1e-6)
    network, rows, table, penalty = problem(rng, n_rows=600, hidden=(5, 3), n_outputs=1, alpha=0.0)
    theta = rng.normal(size=network.n_parameters)
    sampled = NetworkObjective(network, rows, table, penalty, "cg")
    monkeypatch.setattr(subsample, "SAMPLED", 10**9)
    blocks = NetworkObjective(network, rows, table, penalty, "cg")
    n_sampled, n_blocks = (products_of(objective, theta, 1e-9, monkeypatch) for objective in (sampled, blocks))
    assert 3 * n_sampled < n_blocks


def test_the_diagonal_replaces_a_subsample_without_factor(rng):
    arguments = problem(rng)
    theta = rng.normal(size=arguments[0].n_parameters)
    equations = NetworkObjective(*arguments, "cg").linearize(theta)
    broken = equations._replace(gram=np.ones_like(equations.gram) * equations.gram.diagonal().max())
    broken.gram[np.diag_indices(theta.size)] = equations.gram.diagonal()
    system = broken.make_solver()
    assert 0 < system.solve(broken, 1e-3, np.ones(theta.size), theta).predicted_reduction < np.inf


def test_overflow_is_detected(rng):
    arguments = problem(rng)
    equations = NetworkObjective(*arguments, "cg").linearize(rng.normal(size=arguments[0].n_parameters))
    assert equations.is_finite()
    equations.gram[3, 3] = np.inf
    assert not equations.is_finite()


# ---- the small sample ---------------------------------------------------------------------------------
@pytest.fixture
def small_subsample(monkeypatch):
    """A small sample whatever the shape, and truncation nowhere."""
    monkeypatch.setattr(subsample, "MIN_PARAMETERS", 1)
    monkeypatch.setattr(subsample, "MAX_INPUTS", 3)
    for name in ("SMALL_FORCING", "SAMPLE_FORCING"):
        monkeypatch.setattr(subsample, name, 0.0)


@pytest.mark.usefixtures("small_subsample")
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_small_sample_makes_the_preconditioner(n_outputs, rng):
    arguments = problem(rng, hidden=(4, 3), n_outputs=n_outputs)
    network, rows, table, penalty = arguments
    theta, mu, diagonal = rng.normal(size=network.n_parameters), 1e3, rng.uniform(0.5, 2, network.n_parameters)
    equations = NetworkObjective(*arguments, "auto").linearize(theta)
    chosen, stretch = draw_sample(rows, table, n_small_subsample(400, n_outputs, theta.size, 3))
    J = jacobian(network, rows.X[chosen], rows.root_weight[chosen] * stretch, table, theta)
    assert len(J) < theta.size
    np.testing.assert_allclose(equations.small_jacobian[:, : theta.size], J, rtol=1e-12)
    np.testing.assert_allclose(equations.data_diagonal, (J**2).sum(axis=0), rtol=1e-12)
    system = equations.make_solver()
    system._preconditioner.factor(equations, mu, diagonal)
    z = rng.normal(size=theta.size)
    x = z.copy()
    system._preconditioner.solve(x)
    M = J.T @ J + np.diag(penalty.penalty_diag + mu * diagonal)
    np.testing.assert_allclose(M @ x, z, rtol=1e-8, atol=1e-8)


@pytest.mark.usefixtures("small_subsample")
@pytest.mark.parametrize(("mu", "is_enough"), [(1e4, True), (1e-3, False)])
def test_it_is_enough_where_its_effective_parameters_are_half_its_residuals(mu, is_enough, rng, monkeypatch):
    """Else the matrix of all rows takes its place. Both find the step of Cholesky, the second by one product."""
    arguments = problem(rng, hidden=(4, 3), n_outputs=1)
    theta = rng.normal(size=arguments[0].n_parameters)
    objective = NetworkObjective(*arguments, "auto")
    equations = objective.linearize(theta)
    J = equations.small_jacobian[:, : theta.size]
    K = J / (equations.penalty_diag + mu) @ J.T
    assert (np.trace(np.linalg.solve(np.eye(len(K)) + K, K)) <= len(K) / 2) == is_enough
    grams = []
    make_gram = SubsampledLinearization.make_gram
    monkeypatch.setattr(SubsampledLinearization, "make_gram", lambda of: grams.append(0) or make_gram(of))
    ours = steps(objective, theta, mu, np.ones(theta.size))
    assert len(grams) == (not is_enough)
    for a, b in zip(ours, steps(NetworkObjective(*arguments, "cholesky"), theta, mu, np.ones(theta.size)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7 * np.abs(b).max())
    assert is_enough or products_of(objective, theta, mu, monkeypatch) <= 2


@pytest.mark.usefixtures("small_subsample")
def test_a_second_trial_at_a_point_makes_no_second_matrix(rng, monkeypatch):
    arguments = problem(rng, hidden=(4, 3), n_outputs=1)
    theta, grams = rng.normal(size=arguments[0].n_parameters), []
    make_gram = SubsampledLinearization.make_gram
    monkeypatch.setattr(SubsampledLinearization, "make_gram", lambda of: grams.append(0) or make_gram(of))
    equations = NetworkObjective(*arguments, "auto").linearize(theta)
    system = equations.make_solver()
    for mu in (1e-3, 2e-3):
        system.solve(equations, mu, np.ones(theta.size), theta)
    assert len(grams) == 1


@pytest.mark.usefixtures("small_subsample")
def test_what_was_tried_before_at_a_point_changes_no_step(rng):
    """Naive: the larger sample's matrix, once made, serves all later trials. A fit that goes on has not made it."""
    objective = NetworkObjective(*problem(rng, hidden=(4, 3), n_outputs=1), "auto")
    theta = rng.normal(size=objective.network.n_parameters)
    equations, diagonal, found = objective.linearize(theta), np.ones(theta.size), []
    for before in ((), (1e-3,)):
        system = equations.make_solver()
        found.append([system.solve(equations, mu, diagonal, theta).step for mu in (*before, 1e4)][-1])
    np.testing.assert_array_equal(*found)


@pytest.mark.skipif(not COMPILED, reason="takes many parameters")
def test_a_deep_network_on_a_curve_comes_to_the_same_error_in_as_many_iterations():
    x = np.linspace(-1, 1, 700)[:, None]
    y = np.sin(5 * x[:, 0]) + 0.3 * np.cos(11 * x[:, 0])
    options = {"alpha": 0.0, "n_starts": 1, "max_iter": 8, "random_state": 0}
    with may_end_early():
        sampled, whole = (LMRegressor((20, 20), solver=s, **options).fit(x, y) for s in ("auto", "cholesky"))
    assert sampled.loss_curve_ != whole.loss_curve_
    np.testing.assert_allclose(np.log10(sampled.loss_curve_), np.log10(whole.loss_curve_), atol=0.5)


@pytest.mark.skipif(not COMPILED, reason="takes many parameters")
def test_a_curve_goes_on_exactly_and_has_the_same_bits_on_any_number_of_threads():
    x = np.linspace(-1, 1, 700)[:, None]
    y = np.sin(5 * x[:, 0])
    options = {"hidden_layer_sizes": (20, 20), "alpha": 0.0, "n_starts": 1, "random_state": 0}
    before = numba.get_num_threads()
    with may_end_early():
        whole = LMRegressor(max_iter=4, **options).fit(x, y)
        try:
            numba.set_num_threads(1)
            parts = LMRegressor(max_iter=1, warm_start=True, **options)
            for _ in range(4):
                parts.fit(x, y)
        finally:
            numba.set_num_threads(before)
    assert parts.loss_curve_ == whole.loss_curve_


# ---- whole fits ---------------------------------------------------------------------------------------
@pytest.fixture
def wherever(monkeypatch):
    """Use a subsample whenever the rows are numerous enough."""
    for name in ("WORTHWHILE", "WORTHWHILE_BETWEEN"):
        monkeypatch.setattr(subsample, name, np.inf)


def noisy(rng, n_rows=400):
    X = rng.uniform(-1, 1, (n_rows, 2))
    return X, np.sin(3 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + 0.05 * rng.normal(size=n_rows)


@pytest.mark.usefixtures("wherever")
def test_the_same_minimum_and_error_bars(rng):
    """auto: steps by a sample, and at the end the matrix of all rows, from which the error bars come."""
    X, y = noisy(rng)
    options = {"alpha": 1e-2, "n_starts": 1, "tol": 1e-13, "max_iter": 300, "random_state": 0}
    sampled, whole = (LMRegressor(3, solver=solver, **options).fit(X, y) for solver in ("auto", "cholesky"))
    assert sampled.loss_curve_ != whole.loss_curve_
    assert sampled.loss_ == pytest.approx(whole.loss_, rel=1e-8)
    for a, b in zip(sampled.predict(X, return_std=True), whole.predict(X, return_std=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3)


@pytest.mark.usefixtures("wherever")
@pytest.mark.parametrize("noise", [(0.3,), (0.3, 0.1)])
def test_the_evidence_is_that_of_all_rows(noise):
    """Naive: that of the sample. With three residuals a parameter it is some nats away."""
    problem = noisy_problem(200, noise=noise)
    winner, _ = fit(problem)
    assert isinstance(winner.state.point, SubsampledLinearization)
    evidence, gamma = evidence_anew(winner.evidence)
    assert winner.evidence.log_evidence == pytest.approx(evidence, rel=1e-9)
    np.testing.assert_allclose(winner.evidence.state.best.gamma, gamma, atol=1e-7)


@pytest.mark.usefixtures("wherever")
def test_the_same_evidence_and_error_bars(rng):
    X, y = noisy(rng)
    sampled, whole = (LMRegressor(3, solver=s, n_starts=1, random_state=0).fit(X, y) for s in ("auto", "cholesky"))
    assert sampled.loss_curve_ != whole.loss_curve_
    assert sampled.log_evidence_ == pytest.approx(whole.log_evidence_, abs=0.1)
    for a, b in zip(sampled.predict(X, return_std=True), whole.predict(X, return_std=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.02)


def test_between_evaluations_of_the_evidence_it_must_save_more():
    deep, linear = (make_network(8, hidden, 1, ["tanh"] * len(hidden)) for hidden in ((40, 20), ()))
    large, small = (SimpleNamespace(Y=np.empty((n, 1))) for n in (80_000, 20_000))
    assert is_quicker(20_000, 1, deep.n_parameters)
    assert solver_between("auto", deep, large) == "auto"
    assert solver_between("auto", deep, small) == "cholesky"
    assert solver_between("cholesky", deep, large) == "cholesky"
    assert solver_between("auto", linear, large) == "cholesky"


def test_a_robust_loss_weights_all_sums(rng):
    """Rows that count less do so in gradient, products and sample: as in the matrix of all rows, and in its own."""
    arguments = problem(rng)
    theta, v = rng.normal(size=(2, arguments[0].n_parameters))
    loss = Loss("cauchy", 0.5)
    sampled, whole = (loss.objective(*arguments, solver) for solver in ("cg", "cholesky"))
    a, b = sampled.linearize(theta), whole.linearize(theta)
    assert a.cost == b.cost
    np.testing.assert_array_equal(a.gradient, b.gradient)
    np.testing.assert_allclose(a.times(v), full(b.gram) @ v, rtol=1e-9, atol=1e-9)
    network, given, table, penalty = arguments
    chosen, stretch = draw_sample(given, table, n_large_subsample(400, 2, theta.size))
    root_weight = whole.weighted_rows(theta).root_weight[chosen] * stretch
    J = jacobian(network, given.X[chosen], root_weight, table, theta)
    np.testing.assert_allclose(full(a.gram), J.T @ J + np.diag(penalty.penalty_diag), rtol=1e-9, atol=1e-9)


def test_blocks_weight_a_robust_loss_too(rng, monkeypatch):
    monkeypatch.setattr(subsample, "SAMPLED", 10**9)
    for name in ("forcing", "acceleration_forcing"):
        monkeypatch.setattr(matrix_free.BlockPreconditioner, name, 0.0)
    X, y = noisy(rng)
    y[::9] += 4.0
    options = {"loss": "cauchy", "alpha": 1e-2, "n_starts": 1, "max_iter": 8, "random_state": 0}
    with may_end_early():
        a, b = (LMRegressor(2, solver=s, **options).fit(X, y) for s in ("cg", "cholesky"))
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-5)


def test_rows_on_disk_have_the_bits_of_rows_in_memory(rng, tmp_path):
    X, y = noisy(rng)
    disk = np.memmap(tmp_path / "rows", mode="w+", dtype=np.float32, shape=X.shape)
    disk[:] = X
    options = {"solver": "cg", "alpha": 1e-2, "n_starts": 1, "max_iter": 5, "random_state": 0}
    with may_end_early():
        a, b = (LMRegressor(3, **options).fit(rows, y) for rows in (disk, np.array(disk, dtype=float)))
    assert a.loss_curve_ == b.loss_curve_


@pytest.mark.skipif(not COMPILED, reason="takes many rows")
def test_same_bits_for_any_number_of_threads(rng):
    X = rng.normal(size=(6000, 4))
    y = np.sin(X[:, 0]) * X[:, 1]
    before = numba.get_num_threads()
    curves = []
    try:
        for n in (1, before):
            numba.set_num_threads(n)
            with may_end_early():
                model = LMRegressor((20, 10), solver="cg", n_starts=1, max_iter=4, random_state=0).fit(X, y)
            curves.append(model.loss_curve_)
    finally:
        numba.set_num_threads(before)
    assert curves[0] == curves[1]


def test_the_solver_decides(rng):
    network, rows, _, _ = problem(rng)
    assert subsample_sizes("cg", network, rows) == (0, n_large_subsample(400, 2, network.n_parameters))
    assert subsample_sizes("cg", network, rows)[1] > 0
    assert subsample_sizes("auto", network, rows) == (0, 0)  # too few parameters to be worth it
    assert subsample_sizes("cholesky", network, rows) == (0, 0)
