"""Kernels against the plain-loop oracle."""

import math
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import reference
from conftest import COMPILED, size

from sklearn_lm import _kernels
from sklearn_lm._data.rows import make_rows, read_only
from sklearn_lm._data.scaling import Scaling, identity_scaling
from sklearn_lm._kernels import ACTIVATIONS, BLOCK, tiles
from sklearn_lm._network.objective import NetworkObjective, predict, sum_of_squares
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import make_network
from sklearn_lm._optimize.cholesky import factor_buffer

DEPTHS = {0: (), 1: (4,), 2: (3, 4), 3: (3, 2, 4), 4: (2, 3, 2, 3)}


def make_case(hidden, n_outputs, activations, n_rows, seed=0):
    """A network with random weights, scaled data and weights."""
    rng = np.random.RandomState(seed)
    network = make_network(3, hidden, n_outputs, activations)
    theta = rng.normal(size=network.n_parameters)
    x_scaling = Scaling(rng.normal(size=3), rng.uniform(0.5, 2, size=3))
    X, Y = rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, n_outputs))
    rows = make_rows(X, Y, rng.uniform(0.1, 3, size=n_rows), identity_scaling(n_outputs))
    return network, theta, x_scaling, rows


def gram_objective(network, rows, x_scaling, theta):
    """With a Gram matrix however few the rows (`test_systems.py` has the other kind)."""
    objective = NetworkObjective(network, rows, x_scaling.table(), fixed_l2(0.0, theta == theta), "gram")
    return objective


def jacobian_of(network, theta, x_scaling, X, root_weight=None):
    root_weight = np.ones(len(X)) if root_weight is None else root_weight
    n_outputs = network.sizes[-1]
    rows = np.empty((len(X) * n_outputs, network.n_parameters))
    _kernels.jacobian_rows(
        read_only(X), read_only(root_weight), x_scaling.table(), _kernels.NetworkArrays(theta, network.layout), rows
    )
    return rows


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_jacobian_and_gram(activation, depth, n_outputs):
    hidden = DEPTHS[depth]
    network, theta, x_scaling, rows = make_case(hidden, n_outputs, [activation] * depth, n_rows=7)
    Z = x_scaling.forward(rows.X)
    oracle = reference.jacobian(theta, network.sizes, network.activations, Z)

    J = jacobian_of(network, theta, x_scaling, rows.X)
    np.testing.assert_allclose(J, oracle, rtol=1e-12, atol=1e-13)
    differences = reference.finite_difference_jacobian(theta, network.sizes, network.activations, Z)
    np.testing.assert_allclose(J, differences, rtol=1e-6, atol=1e-7)

    weight = np.repeat(rows.root_weight**2, n_outputs)
    residual = reference.forward(theta, network.sizes, network.activations, Z) - rows.Y
    objective = gram_objective(network, rows, x_scaling, theta)
    equations = objective.linearize(theta)
    np.testing.assert_allclose(
        np.tril(equations.gram), np.tril(oracle.T @ (weight[:, None] * oracle)), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(equations.gradient, oracle.T @ (weight * residual.ravel()), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(equations.squares, rows.root_weight**2 @ residual**2, rtol=1e-12)


def test_one_activation_per_layer():
    network, theta, x_scaling, rows = make_case((3, 4, 2), 2, ["relu", "tanh", "softplus"], n_rows=5)
    oracle = reference.jacobian(theta, network.sizes, network.activations, x_scaling.forward(rows.X))
    np.testing.assert_allclose(jacobian_of(network, theta, x_scaling, rows.X), oracle, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n_rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, 9 * BLOCK + 1])
def test_blocks_equal_the_whole(n_rows):
    """Sums over blocks and slots against one matrix product with the Jacobian of all rows."""
    if n_rows > 4 * BLOCK:
        n_rows = size(n_rows, BLOCK + 2)
    network, theta, x_scaling, rows = make_case((2,), 2, ["tanh"], n_rows)
    J = jacobian_of(network, theta, x_scaling, rows.X, rows.root_weight)
    f = predict(rows.X, x_scaling, identity_scaling(2), network, theta)
    residual = (rows.root_weight[:, None] * (f - rows.Y)).ravel()

    objective = gram_objective(network, rows, x_scaling, theta)
    equations = objective.linearize(theta)
    np.testing.assert_allclose(np.tril(equations.gram), np.tril(J.T @ J), rtol=1e-12, atol=1e-12 * n_rows)
    np.testing.assert_allclose(equations.gradient, J.T @ residual, rtol=1e-11, atol=1e-12 * n_rows)
    assert equations.cost == pytest.approx(0.5 * residual @ residual, rel=1e-13)
    assert objective.cost(theta) == equations.cost


def test_workspace_holds_nothing_from_the_call_before():
    network, theta, x_scaling, rows = make_case((3,), 1, ["tanh"], 40)
    objective = gram_objective(network, rows, x_scaling, theta)
    first = objective.linearize(theta)
    objective.linearize(theta * np.nan)
    again = objective.linearize(theta)
    np.testing.assert_array_equal(np.tril(first.gram), np.tril(again.gram))
    np.testing.assert_array_equal(first.gradient, again.gradient)


def test_prediction_of_a_row_does_not_depend_on_its_neighbours():
    network, theta, x_scaling, rows = make_case((3,), 2, ["logistic"], BLOCK + 7)
    scalings = x_scaling, Scaling(np.array([1.0, -2.0]), np.array([3.0, 0.5]))
    whole = predict(rows.X, *scalings, network, theta)
    np.testing.assert_array_equal(whole[BLOCK:], predict(rows.X[BLOCK:], *scalings, network, theta))
    f = reference.forward(theta, network.sizes, network.activations, x_scaling.forward(rows.X[:4]))
    np.testing.assert_allclose(whole[:4], [1, -2] + [3, 0.5] * f, rtol=1e-12)


def test_number_of_slots_follows_the_number_of_rows():
    n_slots = [_kernels.n_slots_for(n) for n in (0, 1, BLOCK, BLOCK + 1, 16 * BLOCK, 32 * BLOCK, 10**6)]
    assert n_slots == [1, 1, 1, 2, 4, 8, 8]


def test_sum_of_squares_is_per_output():
    network, theta, x_scaling, rows = make_case((2,), 3, ["tanh"], 11)
    f = reference.forward(theta, network.sizes, network.activations, x_scaling.forward(rows.X))
    squares = sum_of_squares(rows, x_scaling.table(), network, theta)
    np.testing.assert_allclose(squares, rows.root_weight**2 @ (f - rows.Y) ** 2, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 12, 13])
@pytest.mark.parametrize("count", [1, 5, BLOCK])
def test_gram_tiles_equal_the_plain_product(n, count, rng):
    """Lines past the n-th and samples past count hold rubbish, which must not be seen."""
    lines = np.full((_kernels.n_padded(n), BLOCK), 1e100)
    lines[:n, :count] = rng.normal(size=(n, count))
    gram = np.zeros((_kernels.n_padded(n), _kernels.n_padded(n)))
    tiles.add_gram(lines, 0, n, count, gram)
    expected = np.tril(lines[:n, :count] @ lines[:n, :count].T)
    np.testing.assert_allclose(np.tril(gram[:n, :n]), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.skipif(not COMPILED, reason="there is no machine code")
def test_the_widest_vectors_are_used(tmp_path):
    """Where the processor has AVX-512: LLVM by itself would use half of it."""
    code = """
        import numpy as np
        from numba.core.codegen import get_host_cpu_features
        from sklearn_lm._kernels import n_padded
        from sklearn_lm._kernels.tiles import add_products
        lines = np.ones((n_padded(4), 16))
        add_products(lines, 4, lines, 3, 16, np.zeros((8, 8)), 0, 0)
        (text,) = add_products.inspect_asm().values()
        print("+avx512f" in get_host_cpu_features(), "zmm" in text)
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}  # from a cache there is no text to inspect
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    has_avx512, uses_it = run.stdout.split()
    assert uses_it == has_avx512


@pytest.mark.parametrize("hidden", [(), (4,), (3, 2)])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_curvature_is_the_second_derivative_along_a_line(activation, hidden):
    """J'W r_vv, with r_vv from differences of the reference's first derivatives."""
    network, theta, x_scaling, rows = make_case(hidden, 2, [activation] * len(hidden), n_rows=6)
    v = np.random.RandomState(3).normal(size=theta.size)
    Z = x_scaling.forward(rows.X)
    h = 1e-5

    def along(t):
        return np.array(
            [reference.outputs_and_derivatives(t, v, network.sizes, network.activations, z)[1] for z in Z]
        ).ravel()

    second = (along(theta + h * v) - along(theta - h * v)) / (2 * h)
    J = reference.jacobian(theta, network.sizes, network.activations, Z)
    expected = J.T @ (np.repeat(rows.root_weight**2, 2) * second)
    objective = gram_objective(network, rows, x_scaling, theta)
    np.testing.assert_allclose(
        objective.curvature(theta, v), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max() + 1e-8
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 23, 24, 25, 27, 30, 49, size(131, 50)])
def test_cholesky_solves(n, rng):
    """Against NumPy, for all sizes around the tile and the band; the upper triangle is never read."""
    A = rng.normal(size=(n, n + 2))
    gram, diagonal = A @ A.T, rng.uniform(0.1, 1, size=n)
    L = factor_buffer(n)
    half = np.tril(gram) + np.triu(np.full((n, n), np.nan), 1)
    assert _kernels.cholesky(half, 1.0, diagonal, L)
    np.testing.assert_allclose(np.tril(L[:n, :n]), np.linalg.cholesky(gram + np.diag(diagonal)), rtol=1e-9, atol=1e-11)
    b = rng.normal(size=n)
    x = b.copy()
    _kernels.cholesky_solve(L, x)
    np.testing.assert_allclose((gram + np.diag(diagonal)) @ x, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.nan])
@pytest.mark.parametrize("at", [0, 5, 27])
def test_cholesky_says_when_there_is_no_factor(at, bad):
    gram = np.eye(28)
    gram[at, at] = bad
    assert not _kernels.cholesky(gram, 1.0, np.zeros(28), factor_buffer(28))


def test_norms_neither_overflow_nor_underflow():
    for unit in (1e-200, 1e200):
        assert _kernels.norm(unit * np.array([3.0, 4.0])) == pytest.approx(5 * unit)
    assert math.isnan(_kernels.norm(np.array([1.0, np.nan, 2.0])))
    assert _kernels.norm(np.array([1.0, -np.inf])) == np.inf
    assert _kernels.norm(np.zeros(0)) == 0.0
