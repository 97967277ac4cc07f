import numpy as np

from sklearn_lm._regularization import fixed_l2


def test_fixed_l2_spares_the_biases():
    penalty = fixed_l2(0.5, np.array([True, False, True]))
    theta = np.array([1.0, 2.0, 3.0])
    assert penalty.cost(theta) == 0.5 * 0.5 * (1 + 9)
    np.testing.assert_array_equal(penalty.gradient(theta), [0.5, 0, 1.5])
