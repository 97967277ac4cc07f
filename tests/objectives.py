"""An objective of a small network on a few rows, for tests of what is beneath and around it."""

from unittest.mock import patch

from conftest import size

from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network
from sklearn_lm._optimize import linear_solvers
from sklearn_lm._optimize.levenberg_marquardt import advance
from sklearn_lm._optimize.state import OptimizerSettings, OptimizerState

NETWORK = make_network(2, (3,), 2, ["tanh"])
TABLE = identity_scaling(2).table()


def objective_for(X, Y, weight, alpha=0.0):
    rows = make_rows(X, Y, weight, identity_scaling(2))
    return NetworkObjective(NETWORK, rows, TABLE, fixed_l2(alpha, is_weight(NETWORK)))


def some_data(rng):
    """X, Y and weights."""
    return rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), rng.randint(0, 4, size=20).astype(float)


def some_theta(rng):
    return rng.normal(size=NETWORK.n_parameters)


def run(objective, theta, changes, pause_at=None, listen=lambda record: None):
    """Every record of a run, its ending, and the state that it ends in."""
    settings = OptimizerSettings(solve_output=True, acceleration=True, max_iter=size(12, 6))._replace(**changes)
    records = []
    state = OptimizerState(objective, theta, settings)
    ending = advance(objective, state, settings, lambda record: records.append(record) or listen(record), pause_at)
    return records, ending, state


def steps(objective, theta, mu, diagonal, max_acceleration=1e9):
    """Return the predicted reduction, the step, and the trial point without and with geodesic acceleration."""
    point = objective.linearize(theta)
    solver = point.make_solver()
    damped = solver.solve(point, mu, diagonal, theta)
    plain = damped.trial.copy()
    with patch.object(linear_solvers, "MAX_ACCELERATION", max_acceleration):
        solver.add_acceleration(point, objective.curvature(theta, damped.step), damped)
    return damped.predicted_reduction, damped.step, plain, damped.trial
