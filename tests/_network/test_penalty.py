import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sklearn_lm._network.penalty import (
    BIAS_PRECISION,
    MAX_BETA,
    PRIOR_RATE,
    PRIOR_SHAPE,
    Groups,
    Precisions,
    fixed_l2,
    log_evidence,
    make_groups,
    updated,
)
from sklearn_lm._network.topology import layer_matrices, make_network
from sklearn_lm._optimize.linearization import GramLinearization, JacobianLinearization


def test_fixed_l2_spares_the_biases():
    penalty = fixed_l2(0.5, np.array([True, False, True]))
    theta = np.array([1.0, 2.0, 3.0])
    assert penalty.cost(theta) == 0.5 * 0.5 * (1 + 9)


# ---- groups ------------------------------------------------------------------------------------------
def labels(kind, hidden=(2,), n_outputs=2):
    network = make_network(3, hidden, n_outputs, ("tanh",) * len(hidden))
    groups = make_groups(network, kind)
    return [matrix.tolist() for matrix in layer_matrices(network, groups.label)], groups


def test_one_group_has_all_parameters():
    matrices, groups = labels("single")
    assert matrices == [[[0, 0, 0, 0]] * 2, [[0, 0, 0]] * 2]
    np.testing.assert_array_equal(groups.size, [14])


def test_groups_by_layer_leave_the_output_biases_out():
    matrices, groups = labels("layer")
    assert matrices == [[[0, 0, 0, 1]] * 2, [[2, 2, 3]] * 2]
    np.testing.assert_array_equal(groups.size, [6, 2, 4])


def test_groups_by_input():
    matrices, groups = labels("input")
    assert matrices == [[[0, 1, 2, 3]] * 2, [[4, 4, 5]] * 2]
    np.testing.assert_array_equal(groups.size, [2, 2, 2, 2, 4])


def test_deeper_layers_are_groups_of_their_own():
    matrices, groups = labels("input", hidden=(1, 1), n_outputs=1)
    assert matrices == [[[0, 1, 2, 3]], [[4, 5]], [[6, 7]]]
    np.testing.assert_array_equal(groups.size, np.ones(7))


def test_a_network_without_hidden_layers_has_its_inputs_for_groups():
    matrices, groups = labels("input", hidden=())
    assert matrices == [[[0, 1, 2, 3]] * 2]
    np.testing.assert_array_equal(groups.size, [2, 2, 2])


def test_sums_and_spread():
    groups = Groups(np.array([0, 1, 0, 2]), np.array([2, 1]))
    np.testing.assert_array_equal(groups.sums(np.array([1.0, 2.0, 3.0, 50.0])), [4, 2])
    np.testing.assert_array_equal(groups.spread(np.array([7.0, 8.0]), BIAS_PRECISION), [7, 8, 7, BIAS_PRECISION])


# ---- curvature ---------------------------------------------------------------------------------------
def of_gram(gram, penalty_diag):
    return GramLinearization(0.0, penalty_diag, gram, np.zeros(1)).curvature(penalty_diag)


def of_jacobian(J, penalty_diag):
    return JacobianLinearization(0.0, penalty_diag, J, np.zeros(len(J)), penalty_diag, np.zeros(1)).curvature(
        penalty_diag
    )


@pytest.mark.parametrize("n_rows", [4, 30])
def test_curvature_equals_dense_algebra(rng, n_rows):
    J, penalty_diag = rng.normal(size=(n_rows, 9)), rng.uniform(0.1, 3, 9)
    H = J.T @ J + np.diag(penalty_diag)
    upper_is_not_read = np.tril(H) + np.triu(np.full_like(H, np.nan), 1)
    for log_det, gamma in (of_gram(upper_is_not_read, penalty_diag), of_jacobian(J, penalty_diag)):
        np.testing.assert_allclose(log_det, np.linalg.slogdet(H)[1], rtol=1e-12)
        np.testing.assert_allclose(gamma, 1 - penalty_diag * np.diag(np.linalg.inv(H)), rtol=1e-10)


def test_a_prior_that_rounding_swallows_still_has_a_factor(rng):
    J, penalty_diag = np.repeat(1e4 * rng.normal(size=(40, 1)), 3, axis=1), np.full(3, 1e-12)
    log_det, gamma = of_gram(J.T @ J + np.diag(penalty_diag), penalty_diag)
    assert np.isfinite(log_det)
    np.testing.assert_allclose(gamma.sum(), 1, atol=0.5)  # of three equal columns one can be told


def test_what_has_no_factor_has_an_infinite_determinant():
    log_det, gamma = of_gram(np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2))
    assert log_det == np.inf
    assert not gamma.any()


# ---- evidence ----------------------------------------------------------------------------------------
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


def test_updates_climb_to_the_summit_of_the_evidence(rng):
    J, y, groups = linear_model(rng)

    def evidence(logarithms):
        precisions = Precisions(np.exp(logarithms[:-1]), float(np.exp(logarithms[-1])))
        penalty_diag, H, _, _, cost = posterior(J, y, groups, precisions)
        return log_evidence(cost, precisions, penalty_diag, np.linalg.slogdet(H)[1], len(y))

    precisions = Precisions(np.ones(2), 1.0)
    for _ in range(500):
        penalty_diag, H, theta, squares, _ = posterior(J, y, groups, precisions)
        gamma = of_gram(H, penalty_diag).gamma
        alpha, beta = updated(precisions, groups, gamma, theta, np.array([squares]), gamma.sum(keepdims=True), len(y))
        precisions = Precisions(alpha, float(beta[0]))
    at = np.log([*precisions.alpha, precisions.beta])
    slopes = [(evidence(at + step) - evidence(at - step)) / 2e-4 for step in 1e-4 * np.eye(3)]
    np.testing.assert_allclose(slopes, 0, atol=1e-6)
    assert evidence(at) > evidence(np.zeros(3)) + 1


def test_an_update_is_no_leap():
    """Where residuals vanish, or weights, the fixed point is infinitely far away."""
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


def test_equal_rows_and_next_to_no_noise_have_no_factor():
    """I + J S^-1 J' is singular by rounding: an evidence of minus infinity, and no warning."""
    curvature = of_jacobian(np.array([[1.0, 0.0, 0.0]] * 2), np.full(3, 2.0**-100))
    assert curvature.log_det == np.inf
    np.testing.assert_array_equal(curvature.gamma, np.zeros(3))
