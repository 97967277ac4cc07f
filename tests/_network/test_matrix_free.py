"""Steps without a matrix: products with J'J, blocks as a preconditioner, and conjugate gradients against Cholesky."""

import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest
from conftest import COMPILED, may_end_early, size
from objectives import steps

from sklearn_lm import LMRegressor, _kernels
from sklearn_lm._data.out_of_core import column_range
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling, minmax_scaling
from sklearn_lm._kernels import ACTIVATIONS
from sklearn_lm._network import matrix_free, objective, subsample
from sklearn_lm._network.matrix_free import BlockPreconditioner
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network


@pytest.fixture(autouse=True)
def without_sample(monkeypatch):
    """The preconditioner of `test_sampled.py` never has rows enough."""
    monkeypatch.setattr(subsample, "SAMPLED", 10**9)


@pytest.fixture
def exact(monkeypatch):
    """Conjugate gradients that run on until rounding errors stop them."""
    monkeypatch.setattr(BlockPreconditioner, "forcing", 0.0)
    monkeypatch.setattr(BlockPreconditioner, "acceleration_forcing", 0.0)


def two_objectives(rng, hidden=(6, 5), n_outputs=2, alpha=0.3, n_rows=150, activation="tanh"):
    """Return objectives with conjugate gradients and with the Gram matrix, of the same rows."""
    network = make_network(3, hidden, n_outputs, [activation] * len(hidden))
    X = rng.normal(size=(n_rows, 3))
    rows = make_rows(X, rng.normal(size=(n_rows, n_outputs)), rng.uniform(0.1, 3, n_rows), identity_scaling(n_outputs))
    table, penalty = minmax_scaling(column_range(X)).table(), fixed_l2(alpha, is_weight(network))
    free, gram = (NetworkObjective(network, rows, table, penalty, solver) for solver in ("cg", "gram"))
    return free, gram, rng.normal(size=network.n_parameters)


def jacobian(objective, theta):
    rows, network = objective.rows, objective.network
    J = np.empty((rows.Y.size, theta.size))
    _kernels.jacobian_rows(
        rows.X, rows.root_weight, objective.x_scaling, _kernels.NetworkArrays(theta, network.layout), J
    )
    return J


@pytest.mark.parametrize("hidden", [(), (4,), (6, 5)])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("n_rows", [1, 9, size(700, 30)])
def test_products_are_those_of_the_jacobian(hidden, activation, n_rows, rng):
    """(J'W J + S) v, with J row by row."""
    free, _, theta = two_objectives(rng, hidden, activation=activation, n_rows=n_rows)
    v, J = rng.normal(size=theta.size), jacobian(free, theta)
    expected = J.T @ (J @ v) + free.penalty.penalty_diag * v
    np.testing.assert_allclose(free.linearize(theta).times(v), expected, rtol=1e-10, atol=1e-10)


def test_products_are_differences_of_the_gradient_where_residuals_vanish(rng):
    """There J'J is the Hessian of F."""
    free, _, theta = two_objectives(rng, alpha=0.0)
    J = jacobian(free, theta)
    weight = np.repeat(free.rows.root_weight, 2)
    free.rows = free.rows._replace(Y=free.rows.Y + (_residuals(free, theta) / weight).reshape(-1, 2))
    v, h = rng.normal(size=theta.size), 1e-6
    above, below = (free.linearize(theta + t * v).gradient for t in (h, -h))
    assert np.abs(free.linearize(theta).gradient).max() < 1e-10
    np.testing.assert_allclose(free.linearize(theta).times(v), (above - below) / (2 * h), rtol=1e-5, atol=1e-5)
    assert J.shape == (300, theta.size)


def _residuals(objective, theta):
    dual = NetworkObjective(objective.network, objective.rows, objective.x_scaling, objective.penalty)
    return dual._linearize_by_jacobian(theta).residual


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("hidden", [(), (4,), (6, 5)])
def test_same_equations(hidden, n_outputs, rng):
    free, gram, theta = two_objectives(rng, hidden, n_outputs)
    a, b = free.linearize(theta), gram.linearize(theta)
    assert a.cost == b.cost == free.cost(theta)
    np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(a.squares, b.squares)
    np.testing.assert_allclose(a.diagonal(), b.gram.diagonal(), rtol=1e-11)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("hidden", [(), (4,), (6, 5)])
@pytest.mark.parametrize("mu", [10.0, 1e-2])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_step_and_acceleration_are_those_of_cholesky(hidden, mu, alpha, rng):
    free, gram, theta = two_objectives(rng, hidden, alpha=alpha)
    diagonal = rng.uniform(0.5, 2, theta.size)
    for a, b in zip(steps(free, theta, mu, diagonal), steps(gram, theta, mu, diagonal), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * np.abs(b).max())


def test_the_predicted_reduction_of_a_truncated_step_is_that_of_the_model(rng):
    free, gram, theta = two_objectives(rng)
    predicted_reduction, step, _, _ = steps(free, theta, 1e-3, np.ones(theta.size))
    b = gram.linearize(theta)
    H = np.tril(b.gram) + np.tril(b.gram, -1).T
    assert predicted_reduction == pytest.approx(-b.gradient @ step - 0.5 * step @ H @ step, rel=1e-8)
    best = steps(gram, theta, 1e-3, np.ones(theta.size))[0]
    assert 0.5 * best < predicted_reduction < best * (1 + 1e-9)


def test_an_acceleration_that_is_too_long_is_left_out(rng):
    free, _, theta = two_objectives(rng)
    _, _, plain, trial = steps(free, theta, 1e-2, np.ones(theta.size), max_acceleration=0.0)
    np.testing.assert_array_equal(plain, trial)


@pytest.mark.parametrize("largest", [64, 3])
def test_the_preconditioner_is_the_diagonal_of_blocks(largest, rng, monkeypatch):
    """All rows are kept if they are few, and each block is that of J'J: one for each unit and group of its inputs."""
    monkeypatch.setattr(matrix_free, "MAX_BLOCK", largest)
    free, _, theta = two_objectives(rng)
    equations, J = free.linearize(theta), jacobian(free, theta)
    system, mu, diagonal = equations.make_solver(), 0.1, rng.uniform(0.5, 2, theta.size)
    system._preconditioner.factor(equations, mu, diagonal)
    H, M = J.T @ J, np.zeros((theta.size, theta.size))
    covered = np.zeros(theta.size, dtype=int)
    for _, _, first, n, _ in system._preconditioner.blocks:
        block = slice(first, first + n)
        M[block, block] = H[block, block]
        covered[block] += 1
        assert n <= largest
    assert (covered == 1).all()
    M += np.diag(equations.penalty_diag + mu * diagonal)
    r = rng.normal(size=theta.size)
    z = r.copy()
    system._preconditioner.solve(z)
    np.testing.assert_allclose(M @ z, r, rtol=1e-6, atol=1e-6)


def test_the_diagonal_replaces_a_block_without_factor(rng):
    free, _, theta = two_objectives(rng)
    equations = free.linearize(theta)
    system = equations.make_solver()
    equations.kept[:] = 1.0  # all lines alike
    system._preconditioner.factor(equations, 0.0, np.ones(theta.size))
    z = np.ones(theta.size)
    system._preconditioner.solve(z)
    assert np.isfinite(z).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_overflow_is_detected_and_gives_no_step(bad, rng):
    free, _, theta = two_objectives(rng)
    equations = free.linearize(theta)
    assert equations.is_finite()
    equations.data_diagonal[3] = bad
    assert not equations.is_finite()
    theta = np.full(theta.size, bad)
    with np.errstate(invalid="ignore"):
        assert steps(free, theta, 1.0, np.ones(theta.size))[0] == np.inf


def test_no_gradient_no_step(rng):
    free, _, theta = two_objectives(rng)
    equations = free.linearize(theta)._replace(gradient=np.zeros(theta.size))
    damped = equations.make_solver().solve(equations, 1.0, np.ones(theta.size), theta)
    assert (damped.predicted_reduction, np.abs(damped.step).max()) == (0.0, 0.0)


@pytest.mark.usefixtures("exact")
def test_whole_fits_are_those_of_cholesky(curve):
    """Iteration by iteration, with every option at its default and conjugate gradients that run to their end."""
    X, y = curve
    with may_end_early():
        free, gram = (
            LMRegressor(4, alpha=1e-3, solver=solver, max_iter=25, n_starts=1, random_state=0).fit(X, y)
            for solver in ("cg", "cholesky")
        )
    np.testing.assert_allclose(free.loss_curve_, gram.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(free.history_["mu"], gram.history_["mu"], rtol=1e-3)
    np.testing.assert_allclose(free.predict(X), gram.predict(X), rtol=1e-4)


def test_truncated_steps_come_to_the_same_minimum(curve):
    """The network has two units: their paths do not separate between two minima."""
    X, y = curve
    free, gram = (
        LMRegressor(2, alpha=1e-3, solver=solver, n_starts=1, random_state=0).fit(X, y) for solver in ("cg", "cholesky")
    )
    assert free.loss_ == pytest.approx(gram.loss_, rel=1e-8)


def test_the_size_of_the_matrix_decides(monkeypatch, curve):
    """auto: conjugate gradients beyond `MAX_MATRIX` numbers, in J'J or in J."""
    network = make_network(2, (5,), 1, ["tanh"])
    p = network.n_parameters
    monkeypatch.setattr(objective, "MAX_MATRIX", p * p)
    assert not objective.is_matrix_free("auto", network, 10**9)
    assert not objective.is_matrix_free("auto", network, p - 1)
    assert objective.is_matrix_free("auto", make_network(2, (6,), 1, ["tanh"]), 10**9)
    assert not objective.is_matrix_free("auto", make_network(2, (6,), 1, ["tanh"]), 1)
    assert objective.is_matrix_free("cg", network, 10**9)
    assert not objective.is_matrix_free("cholesky", make_network(2, (60,), 1, ["tanh"]), 10**9)


def test_a_wide_last_layer_is_not_solved_for(monkeypatch, curve):
    """Its Gram matrix would be what the solver does without."""
    monkeypatch.setattr(objective, "MAX_PROJECTION", 3)
    X, y = curve
    with may_end_early():
        fits = [
            LMRegressor(4, solver="cg", n_starts=1, solve_output=solve, max_iter=3, random_state=0).fit(X, y)
            for solve in (True, False)
        ]
        projected = LMRegressor(3, solver="cg", n_starts=1, max_iter=1, random_state=0).fit(X, y)
        plain = LMRegressor(3, solver="cg", n_starts=1, max_iter=1, solve_output=False, random_state=0).fit(X, y)
    np.testing.assert_array_equal(fits[0].loss_curve_, fits[1].loss_curve_)
    assert projected.loss_curve_[0] < plain.loss_curve_[0]


def test_a_fitted_model_keeps_no_rows_and_reports_what_is_not_known(curve):
    X, y = curve
    with may_end_early():
        model = LMRegressor(4, solver="cg", n_starts=1, max_iter=3, random_state=0).fit(X, y)
    assert "not known" in str(model.summary())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_unknown_solver():
    with pytest.raises(ValueError, match=r"'solver' parameter .* must be .*'cg'"):
        LMRegressor(solver="lbfgs").fit([[0.0], [1.0]], [0.0, 1.0])


LARGE_FIT = """
import resource, warnings
import numpy as np
from sklearn_lm import LMRegressor
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(600, 100))
y = np.tanh(X[:, 0]) + np.sin(X[:, 1] * X[:, 2])
LMRegressor((10, 10), solver="cg", max_iter=1, n_starts=1).fit(X[:200], y[:200])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = LMRegressor((300, 230), max_iter=1, n_starts=1, random_state=0).fit(X, y)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_)), (after - before) / 1024)
print(model.loss_curve_[-1] / model.loss_curve_[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="a pass takes minutes")
def test_a_hundred_thousand_parameters_in_memory_proportional_to_them():
    """A Gram matrix of that size has 74 GiB."""
    run = subprocess.run([sys.executable, "-c", LARGE_FIT], capture_output=True, text=True, timeout=300, check=True)
    n_parameters, mib, fall = map(float, run.stdout.split())
    assert n_parameters > 99_000
    assert mib < 600
    assert fall < 0.5


@pytest.mark.skipif(not COMPILED, reason="takes a subprocess and many rows")
def test_same_bits_for_any_number_of_threads(rng):
    X = rng.normal(size=(6000, 4))
    y = np.sin(X[:, 0]) * X[:, 1]
    before = numba.get_num_threads()
    curves = []
    try:
        for n in (1, before):
            numba.set_num_threads(n)
            with may_end_early():
                model = LMRegressor((30, 20), solver="cg", n_starts=1, max_iter=4, random_state=0).fit(X, y)
            curves.append(model.loss_curve_)
    finally:
        numba.set_num_threads(before)
    assert curves[0] == curves[1]
