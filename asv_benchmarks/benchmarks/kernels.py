"""Seconds of single kernels: the parts of an iteration, without the loop around them.

The linearization is also tracked relative to a dense reference: the product J'J of a Jacobian in memory, and one
Cholesky factor, both by BLAS and LAPACK on one thread.
"""

import timeit

import numba
import numpy as np
from scipy.linalg import blas, lapack
from threadpoolctl import threadpool_limits

from sklearn_lm import _kernels
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import make_network
from sklearn_lm._optimize.cholesky import factor_buffer

# Rows, inputs, hidden layers, outputs.
SHAPES = {
    "94 rows, 1-10-1": (94, 1, (10,), 1),
    "1000 rows, 1-20-20-10-1": (1000, 1, (20, 20, 10), 1),
    "10000 rows, 5-30-1": (10_000, 5, (30,), 1),
    "10000 rows, 5-100-1": (10_000, 5, (100,), 1),
    "5000 rows, 10-40-40-2": (5000, 10, (40, 40), 2),
}


def best_of(function, repeat: int = 3) -> float:
    """Return the smallest time of several calls, after a first call."""
    function()
    return min(timeit.repeat(function, number=1, repeat=repeat))


class Evaluations:
    """Kernels at a new point, and at a point with a cached forward pass."""

    params = (tuple(SHAPES),)
    param_names = ("shape",)
    processes = 1
    timeout = 300

    def setup(self, shape):
        numba.set_num_threads(1)
        n_rows, n_inputs, hidden, n_outputs = SHAPES[shape]
        rng = np.random.RandomState(0)
        network = make_network(n_inputs, hidden, n_outputs, ["tanh"] * len(hidden))
        X, Y = rng.uniform(-1, 1, size=(n_rows, n_inputs)), rng.normal(size=(n_rows, n_outputs))
        rows = make_rows(X, Y, np.ones(n_rows), identity_scaling(n_outputs))
        self.n_residuals, self.n_parameters = n_rows * n_outputs, network.n_parameters
        penalty = fixed_l2(0.1, np.ones(network.n_parameters, dtype=bool))
        self.objective = NetworkObjective(network, rows, identity_scaling(n_inputs).table(), penalty)
        self.points = [rng.normal(size=network.n_parameters) for _ in range(3)]  # one more than the cache holds
        self.turn = 0
        self.objective.linearize(self.points[0])
        self.objective.curvature(self.points[0], self.points[1])
        self.objective.solve_output(self.points[0])

    def time_normal_equations(self, shape):
        self.objective.linearize(self.points[0])

    def time_curvature(self, shape):
        self.objective.curvature(self.points[0], self.points[1])

    def time_trial_point(self, shape):
        self.turn = (self.turn + 1) % 3
        self.objective.solve_output(self.points[self.turn])

    def track_share_of_dense_floor(self, shape):
        J = np.asfortranarray(np.random.RandomState(0).normal(size=(self.n_residuals, self.n_parameters)))

        def floor():
            G = blas.dsyrk(1.0, J, trans=1, lower=1)
            G[np.diag_indices(len(G))] += self.n_residuals
            lapack.dpotrf(G, lower=1, overwrite_a=1)

        with threadpool_limits(1):
            dense = best_of(floor)
        return best_of(lambda: self.objective.linearize(self.points[0])) / dense


class Cholesky:
    """Cholesky factor of the damped Gram matrix, compared with LAPACK on one thread."""

    params = (31, 211, 681)
    param_names = ("n_parameters",)
    processes = 1

    def setup(self, n):
        A = np.random.RandomState(0).normal(size=(n, n + 5))
        self.gram, self.diagonal, self.L = A @ A.T, np.ones(n), factor_buffer(n)
        self.time_cholesky(n)

    def time_cholesky(self, n):
        assert _kernels.cholesky(self.gram, 1.0, self.diagonal, self.L)

    def track_share_of_lapack(self, n):
        with threadpool_limits(1):
            lapack_seconds = best_of(lambda: lapack.dpotrf(self.gram, lower=1), 20)
        return best_of(lambda: self.time_cholesky(n), 20) / lapack_seconds


class Activation:
    """Activation functions of 100,000 elements."""

    params = ("tanh", "logistic")
    param_names = ("activation",)
    processes = 1

    def setup(self, name):
        self.code = _kernels.ACTIVATIONS[name].code
        self.lines = np.random.RandomState(0).normal(size=(200, 512))
        _kernels.activate_lines(self.code, self.lines.copy())

    def time_activation(self, name):
        _kernels.activate_lines(self.code, self.lines)
