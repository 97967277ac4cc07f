"""Noisy problems for fits by the evidence, the fit itself without an estimator, and the evidence computed anew."""

import math

import numpy as np

from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._data.yeo_johnson import Scalings, identity_power
from sklearn_lm._network.objective import NetworkObjective, Problem
from sklearn_lm._network.penalty import BIAS_PRECISION, fixed_l2, make_groups
from sklearn_lm._network.topology import is_weight, make_network
from sklearn_lm._optimize.state import OptimizerSettings
from sklearn_lm._training.evidence import EvidenceSearch, draw_evidence_start
from sklearn_lm._training.evidence_formulas import log_evidence
from sklearn_lm._training.history import Monitor
from sklearn_lm._training.multistart import Hooks, Multistart, RunFactory
from sklearn_lm._training.snapshot import Snapshot

SETTINGS = OptimizerSettings(solve_output=True, acceleration=True)


def noisy_problem(n=60, hidden=(4,), noise=(0.3,)):
    """Return n rows of two inputs, of which one is used, and an output for each standard deviation of the noise."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 2))
    Y = np.column_stack([np.sin(2 * X[:, 0]) + sd * rng.normal(size=n) for sd in noise])
    network = make_network(2, hidden, len(noise), ("tanh",) * len(hidden))
    rows = {"train": make_rows(X, Y, np.ones(n), identity_scaling(len(noise)))}
    return Problem(network, identity_scaling(2), identity_scaling(len(noise)), rows, fixed_l2(0.0, is_weight(network)))


def new_fit(problem):
    """Return the snapshot of a fit that has not begun."""
    return Snapshot(Scalings(identity_power(), problem.x_scaling, problem.y_scaling), {})


def factory_of(problem, kind="input"):
    """Return the makers of runs that find their penalty by the evidence."""
    groups = make_groups(problem.network, kind)
    return RunFactory(
        problem.objective,
        lambda: Monitor(problem.train_error, problem.held_out_errors()),
        -math.inf,
        lambda start, monitor: EvidenceSearch(start, problem, groups, monitor),
    )


def fit(problem, kind="input", n_starts=1, settings=SETTINGS, n_jobs=None, **hooks):
    """Return the best run and all runs."""
    groups, rng = make_groups(problem.network, kind), np.random.RandomState(0)
    starts = [draw_evidence_start(problem.network, groups, rng) for _ in range(n_starts)]
    multistart = Multistart(
        starts, factory_of(problem, kind), settings, Hooks(0.0, **hooks), new_fit(problem), n_jobs=n_jobs
    )
    return multistart.run(), multistart.runs


def evidence_anew(search, kind="input"):
    """Return log evidence and gamma of the best state, from its theta and precisions alone."""
    best, problem, groups = search.state.best, search.best_problem, make_groups(search.best_problem.network, kind)
    objective = NetworkObjective(
        problem.network, problem.rows["train"], problem.x_scaling.table(), problem.penalty, "gram"
    )
    point = objective.linearize(best.theta)
    penalty_diag = groups.spread(best.precisions.alpha, BIAS_PRECISION) / best.precisions.beta
    np.testing.assert_allclose(problem.penalty.penalty_diag, penalty_diag)
    curvature = point.curvature(penalty_diag)
    n = problem.rows["train"].Y.size
    return log_evidence(point.cost, best.precisions, penalty_diag, curvature.log_det, n), curvature.gamma
