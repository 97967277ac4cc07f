"""optimistix.LevenbergMarquardt on JAX in float64, a compiled step at a time, as its documentation shows for debugging.

Its own Jacobian, a forward pass for every parameter, took ten times as long as reverse mode for the rows of all
samples. So the residuals have a rule of differentiation that uses reverse mode. The tolerances are near rounding, the
other options are defaults. An iteration is an accepted step.
"""

# mypy: disable-error-code="import-not-found"
from functools import partial
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from network import Network
from recorder import Limits, Outcome, Recorder
from tasks import Task

jax.config.update("jax_enable_x64", True)
SOLVER = optx.LevenbergMarquardt(rtol=1e-15, atol=1e-15)
NO_TAGS: frozenset = frozenset()


def forward(network: Network, theta: jax.Array, x: jax.Array) -> jax.Array:
    """Return the outputs of the network for one sample, or for a matrix of samples."""
    begin, a = 0, x
    for layer, (n_in, n_out) in enumerate(pairwise(network)):
        end = begin + n_out * (n_in + 1)
        matrix = theta[begin:end].reshape(n_out, n_in + 1)
        a = (jnp.tanh(a) if layer else a) @ matrix[:, :-1].T + matrix[:, -1]
        begin = end
    return a


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def residuals(network: Network, theta: jax.Array, X: jax.Array, Y: jax.Array) -> jax.Array:
    return (forward(network, theta, X) - Y).ravel()


@residuals.defjvp
def tangent(network, primals, tangents):
    theta, X, Y = primals
    rows = jax.vmap(jax.jacrev(partial(forward, network)), in_axes=(None, 0))(theta, X)
    return residuals(network, theta, X, Y), rows.reshape(-1, len(theta)) @ tangents[0]


class Problem:
    """Compiled functions of one network."""

    def __init__(self, network: Network):
        def objective(theta, data):
            return residuals(network, theta, *data), None

        @eqx.filter_jit
        def initial_state(theta, data):
            structure, _ = jax.eval_shape(objective, theta, data)
            return SOLVER.init(objective, theta, data, {}, structure, None, NO_TAGS)

        @eqx.filter_jit
        def step(theta, state, data):
            """Return the next point, the state, and the mean squared error at the last accepted point."""
            theta, state, _ = SOLVER.step(objective, theta, data, {}, state, NO_TAGS)
            return theta, state, jnp.mean(state.f_info.residual**2)

        self.initial_state, self.step = initial_state, step


PROBLEMS: dict[Network, Problem] = {}  # compiled once


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit, one compiled step at a time."""
    problem = PROBLEMS.setdefault(task.network, Problem(task.network))
    data = jnp.asarray(task.X), jnp.asarray(task.Y)
    point = jnp.asarray(theta)
    n_accepted = 0
    with Recorder(limits) as recorder:
        state = problem.initial_state(point, data)
        while not state.terminate:
            point, state, mse = problem.step(point, state, data)
            recorder.see(float(mse))
            if int(state.num_accepted_steps) > n_accepted:
                n_accepted += 1
                recorder.iterate()
    return recorder.outcome()
