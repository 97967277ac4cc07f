"""Linear network on the same rows, whose evidence a fit should reach; see `_training/fallback.py`."""

import math
from typing import NamedTuple

import numpy as np

from .._network.objective import NetworkObjective, Problem
from .._network.penalty import Groups, Penalty, Precisions, make_groups, penalty_of
from .._network.topology import make_network
from .._optimize.linearization import GramLinearization
from .evidence_formulas import MIN_FREEDOM, log_evidence, updated

# Updates of the precisions of a linear network, which has no other iterations: at most so many, until they change the
# evidence by less.
N_LINEAR, MIN_CHANGE = 30, 1e-3


class LinearFit(NamedTuple):
    """Linear network of the largest evidence."""

    log_evidence: float  # -inf if it has nearly as many effective parameters as there are rows
    matrix: np.ndarray  # (n_outputs, n_inputs + 1), weights and bias of each output


def fit_linear(problem: Problem, kind: str) -> LinearFit:
    """Return the network without hidden layers that has the largest evidence on the same rows.

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
    fits = []
    for o in range(n_outputs):
        own = slice(o * n, (o + 1) * n)
        part = GramLinearization(zero.squares[o] / 2, zero.gradient[own], zero.gram[own, own], zero.squares[o : o + 1])
        known = problem.known_beta
        fits.append(_fit_output(part, groups, problem.rows["train"].weight, None if known is None else float(known[o])))
    return LinearFit(sum(fit[0] for fit in fits), np.array([fit[1] for fit in fits]))


def _fit_output(
    zero: GramLinearization, groups: Groups, weight: float, known_beta: float | None
) -> tuple[float, np.ndarray]:
    """Return the largest log evidence of a linear model of one output, and its theta; `zero` is at theta = 0."""
    products = np.tril(zero.gram) + np.tril(zero.gram, -1).T
    precisions, best = Precisions(np.ones(len(groups.size)), known_beta or 1.0), (-math.inf, zero.gradient)
    last = -math.inf
    for _ in range(N_LINEAR):
        penalty = penalty_of(precisions, groups)
        H = products + np.diag(penalty.penalty_diag)
        theta = -np.linalg.solve(H, zero.gradient)
        squares = float(zero.squares[0] + 2 * zero.gradient @ theta + theta @ products @ theta)
        cost = 0.5 * squares + penalty.cost(theta)
        curvature = zero._replace(gram=H).curvature(penalty.penalty_diag)
        evidence = log_evidence(cost, precisions, penalty.penalty_diag, curvature.log_det, weight)
        gamma = curvature.gamma
        # Without freedom the rows are reproduced, the evidence has no maximum, and rounding errors choose the weights.
        if evidence > best[0] and gamma.sum() < (1 - MIN_FREEDOM) * weight:
            best = evidence, theta
        if abs(evidence - last) < MIN_CHANGE:
            break
        last = evidence
        alpha, beta = updated(precisions, groups, gamma, theta, np.array([squares]), gamma.sum(keepdims=True), weight)
        precisions = Precisions(alpha, known_beta or float(beta[0]))
    return best
