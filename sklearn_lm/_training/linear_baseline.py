"""Evidence of a linear network on the same rows, below which a fit has failed; see `_training/evidence.py`."""

import math

import numpy as np

from .._network.objective import NetworkObjective, Problem
from .._network.penalty import Groups, Penalty, Precisions, make_groups, penalty_of
from .._network.topology import make_network
from .._optimize.linearization import GramLinearization
from .evidence_formulas import log_evidence, updated

# Updates of the precisions of a linear network, which has no other iterations.
N_LINEAR = 30


def evidence_of_linear(problem: Problem, kind: str) -> float:
    """Return the largest log evidence of a network without hidden layers on the same rows.

    Parameters
    ----------
    problem : Problem
    kind : {"single", "layer", "input"}
        Groups of the penalty.
    """
    n_inputs, *_, n_outputs = problem.network.sizes
    network = make_network(n_inputs, (), n_outputs, ())
    theta = np.zeros(network.n_parameters)
    objective = problem._replace(
        network=network, penalty=Penalty(theta), kind=NetworkObjective, solver="gram"
    ).objective()
    zero = objective.linearize(theta)
    assert isinstance(zero, GramLinearization)
    # The outputs have no parameter in common, and each has precisions of its own.
    groups, n = make_groups(make_network(n_inputs, (), 1, ()), kind), n_inputs + 1
    total = 0.0
    for o in range(n_outputs):
        own = slice(o * n, (o + 1) * n)
        part = GramLinearization(zero.squares[o] / 2, zero.gradient[own], zero.gram[own, own], zero.squares[o : o + 1])
        known = problem.known_beta
        total += _max_evidence(part, groups, problem.rows["train"].weight, None if known is None else float(known[o]))
    return total


def _max_evidence(zero: GramLinearization, groups: Groups, weight: float, known_beta: float | None) -> float:
    """Return the largest log evidence of a linear model of one output, from its linearization at theta = 0."""
    products = np.tril(zero.gram) + np.tril(zero.gram, -1).T
    precisions, best = Precisions(np.ones(len(groups.size)), known_beta or 1.0), -math.inf
    for _ in range(N_LINEAR):
        penalty = penalty_of(precisions, groups)
        H = products + np.diag(penalty.penalty_diag)
        theta = -np.linalg.solve(H, zero.gradient)
        squares = float(zero.squares[0] + 2 * zero.gradient @ theta + theta @ products @ theta)
        cost = 0.5 * squares + penalty.cost(theta)
        curvature = zero._replace(gram=H).curvature(penalty.penalty_diag)
        best = max(best, log_evidence(cost, precisions, penalty.penalty_diag, curvature.log_det, weight))
        gamma = curvature.gamma
        alpha, beta = updated(precisions, groups, gamma, theta, np.array([squares]), gamma.sum(keepdims=True), weight)
        precisions = Precisions(alpha, known_beta or float(beta[0]))
    return best
