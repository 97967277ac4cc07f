"""Formulas of the evidence: marginal likelihood of a linear model, and the fixed point of the updates."""

import numpy as np
from scipy.stats import multivariate_normal

from sklearn_lm._network.penalty import BIAS_PRECISION, Groups, Precisions
from sklearn_lm._optimize.linearization import GramLinearization
from sklearn_lm._training.evidence_formulas import MAX_BETA, PRIOR_RATE, PRIOR_SHAPE, log_evidence, updated


def linear_model(rng, n=25):
    J = rng.normal(size=(n, 4))
    return J, J @ rng.normal(size=4) + 0.3 * rng.normal(size=n), Groups(np.array([0, 0, 1, 2]), np.array([2, 1]))


def posterior(J, y, groups, precisions):
    penalty_diag = groups.spread(precisions.alpha, BIAS_PRECISION) / precisions.beta
    H = J.T @ J + np.diag(penalty_diag)
    theta = np.linalg.solve(H, J.T @ y)
    squares = float(np.sum((J @ theta - y) ** 2))
    return penalty_diag, H, theta, squares, 0.5 * squares + 0.5 * float(penalty_diag @ theta**2)


def test_evidence_of_a_linear_model_is_its_marginal_likelihood(rng):
    J, y, groups = linear_model(rng)
    precisions = Precisions(np.array([0.7, 2.0]), 5.0)
    penalty_diag, H, _, _, cost = posterior(J, y, groups, precisions)
    covariance = np.eye(len(y)) / precisions.beta + J / (precisions.beta * penalty_diag) @ J.T
    priors = 0.5 * np.sum(PRIOR_SHAPE * np.log(precisions.alpha) - PRIOR_RATE * precisions.alpha)
    np.testing.assert_allclose(
        log_evidence(cost, precisions, penalty_diag, np.linalg.slogdet(H)[1], len(y)),
        multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) + priors,
        rtol=1e-12,
    )


def test_updates_converge_to_the_maximum_of_the_evidence(rng):
    J, y, groups = linear_model(rng)

    def evidence(logarithms):
        precisions = Precisions(np.exp(logarithms[:-1]), float(np.exp(logarithms[-1])))
        penalty_diag, H, _, _, cost = posterior(J, y, groups, precisions)
        return log_evidence(cost, precisions, penalty_diag, np.linalg.slogdet(H)[1], len(y))

    precisions = Precisions(np.ones(2), 1.0)
    for _ in range(500):
        penalty_diag, H, theta, squares, _ = posterior(J, y, groups, precisions)
        gamma = GramLinearization(0.0, penalty_diag, H, np.zeros(1)).curvature(penalty_diag).gamma
        alpha, beta = updated(precisions, groups, gamma, theta, np.array([squares]), gamma.sum(keepdims=True), len(y))
        precisions = Precisions(alpha, float(beta[0]))
    at = np.log([*precisions.alpha, precisions.beta])
    slopes = [(evidence(at + step) - evidence(at - step)) / 2e-4 for step in 1e-4 * np.eye(3)]
    np.testing.assert_allclose(slopes, 0, atol=1e-6)
    assert evidence(at) > evidence(np.zeros(3)) + 1


def test_an_update_is_limited_to_a_factor():
    """If residuals or weights vanish, the fixed point is infinitely far away."""
    groups = Groups(np.array([0, 0]), np.array([2]))
    alpha, beta = updated(
        Precisions(np.array([2.0]), 3.0), groups, np.array([0.5, 0.5]), np.zeros(2), np.zeros(1), np.ones(1), 10.0
    )
    np.testing.assert_allclose(alpha, [10.0])
    np.testing.assert_allclose(beta, [15.0])


def test_each_output_has_a_noise_of_its_own():
    groups = Groups(np.array([0]), np.array([1]))
    _, beta = updated(
        Precisions(np.ones(1), 1.0), groups, np.ones(1), np.ones(1), np.array([4.0, 16.0]), np.array([2.0, 4.0]), 20.0
    )
    np.testing.assert_allclose(beta, [18 / 4, 16 / 16])


def test_noise_does_not_fall_without_end():
    """Targets of the second output are a hundred times larger than scaled ones: its noise may be so, too."""
    groups = Groups(np.array([0]), np.array([1]))
    given = Precisions(np.ones(1), MAX_BETA), groups, np.ones(1), np.ones(1), np.zeros(2), np.ones(2), 20.0
    _, beta = updated(*given, unit=np.array([1.0, 100.0]))
    np.testing.assert_allclose(beta, [MAX_BETA, MAX_BETA / 1e4])
