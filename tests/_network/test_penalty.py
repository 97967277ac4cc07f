import numpy as np
import pytest

from sklearn_lm._network.penalty import BIAS_PRECISION, Groups, fixed_l2, make_groups
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
    np.testing.assert_allclose(gamma.sum(), 1, atol=0.5)  # of three equal columns one is determined


def test_what_has_no_factor_has_an_infinite_determinant():
    log_det, gamma = of_gram(np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2))
    assert log_det == np.inf
    assert not gamma.any()


def test_equal_rows_and_next_to_no_noise_have_no_factor():
    """I + J S^-1 J' is singular by rounding: an evidence of minus infinity, and no warning."""
    curvature = of_jacobian(np.array([[1.0, 0.0, 0.0]] * 2), np.full(3, 2.0**-100))
    assert curvature.log_det == np.inf
    np.testing.assert_array_equal(curvature.gamma, np.zeros(3))
