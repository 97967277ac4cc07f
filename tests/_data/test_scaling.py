import numpy as np
import pytest

from sklearn_lm._data.out_of_core import column_range
from sklearn_lm._data.ranges import check_underflow
from sklearn_lm._data.scaling import (
    ArrayColumns,
    identity_scaling,
    make_scaling,
    minmax_scaling,
    standard_scaling,
    without_outliers,
)  # fmt: skip


def columns(*arrays):
    return [ArrayColumns(Z, np.ones(len(Z))) for Z in arrays]


def test_minmax_brings_columns_to_one():
    Z = np.array([[0.0, 5.0], [10.0, 5.0], [2.0, 5.0]])
    scaled = minmax_scaling(column_range(Z)).forward(Z)
    np.testing.assert_array_equal(scaled[:, 0], [-1, 1, -0.6])
    np.testing.assert_array_equal(scaled[:, 1], 0)  # a constant column is only shifted


def test_standard_scaling_has_weighted_moments(rng):
    Z, weight = rng.normal(3, 5, size=(50, 3)), rng.uniform(0, 2, size=50)
    scaling = standard_scaling(ArrayColumns(Z, weight))
    mean = np.average(Z, axis=0, weights=weight)
    np.testing.assert_allclose(scaling.offset, mean, rtol=1e-13)
    np.testing.assert_allclose(scaling.scale**2, np.average((Z - mean) ** 2, axis=0, weights=weight), rtol=1e-13)


def test_standard_scaling_takes_weights_as_repetitions(rng):
    Z, times = rng.normal(size=(9, 2)), np.arange(1, 10)
    weighted = standard_scaling(ArrayColumns(Z, times.astype(float)))
    repeated = standard_scaling(ArrayColumns(np.repeat(Z, times, axis=0), np.ones(times.sum())))
    np.testing.assert_allclose(weighted.offset, repeated.offset, rtol=1e-13)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, 1e300, -7.3e-310])
def test_constant_column_has_scale_one(value):
    """The mean of equal numbers is not always that number."""
    Z = np.full((7, 1), value)
    for scaling in (minmax_scaling(column_range(Z)), standard_scaling(ArrayColumns(Z, np.ones(7)))):
        assert scaling.scale[0] == 1.0
        np.testing.assert_array_equal(scaling.forward(Z), 0)


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_moments_in_any_unit(unit):
    """Squares of these numbers underflow or overflow; the scale does not."""
    Z = np.linspace(-9, 9, 10)[:, None]
    scaling = standard_scaling(ArrayColumns(Z * unit, np.ones(10)))
    assert scaling.scale[0] / unit == pytest.approx(Z.std(), rel=1e-9 if unit > 1e-300 else 1e-3)
    assert np.abs(scaling.forward(Z * unit)).max() < 2


def test_no_scaling_leaves_everything():
    Z = np.array([[1.0, 2.0], [3.0, 4.0]])
    for scaling in make_scaling(None, *columns(Z, Z)):
        np.testing.assert_array_equal(scaling.forward(Z), Z)
    assert identity_scaling(2).table().shape == (2, 2)


def test_overflow_raises_with_a_remedy():
    good, large = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 1.0], [1.0, -1e200]])
    with pytest.raises(ValueError, match=r"X reaches 1e\+200 in column 1.*scaling='minmax'"):
        make_scaling(None, *columns(large, good))


def test_underflow_raises_with_a_remedy():
    Y = np.array([[0.0, 1.0, 3.0], [1.0, 1.0, 3.0 + 1e-16], [2.0, 1.0, 3.0]])
    check_underflow("y", column_range(Y), "")  # a constant column passes
    with pytest.raises(ValueError, match=r"y varies by no more than 2e-200 in column 0.*multiply"):
        check_underflow("y", column_range(1e-200 * Y), "multiply it by a constant")


def test_all_weight_on_one_value_leaves_a_usable_scale():
    """The variance underflows although the values differ."""
    scaling = standard_scaling(ArrayColumns(np.array([[0.0], [0.0], [1.0]]), np.array([1e100, 1e100, 1e-300])))
    assert scaling.scale[0] > 0


def test_scaling_makes_large_inputs_harmless():
    X = np.array([[-1e300], [1e300]])
    x_scaling, _ = make_scaling("minmax", *columns(X, X / 1e300))
    np.testing.assert_array_equal(x_scaling.forward(X), [[-1], [1]])


@pytest.mark.parametrize("value", [0.1, -4.2e30, 1e-300, 0.0])
def test_the_scale_of_a_constant_target_is_a_rounding_error(value):
    """It multiplies whatever a network does where there are no rows."""
    noise = np.array([-2, 0, 1, 2, 0, -1]) * np.spacing(value)
    Y = np.column_stack([np.full(6, value), value + noise, np.arange(6.0)])
    _, scaling = make_scaling("minmax", *columns(Y, Y))
    assert (scaling.scale[:2] > 0).all()
    assert (scaling.scale[:2] <= max(1e-14 * abs(value), 1e-60)).all()
    assert scaling.scale[2] == pytest.approx(np.arange(6).std())
    assert (np.abs(scaling.forward(Y)[:, :2]) <= 1).all()


def test_outliers_are_cut_off_and_other_values_kept(rng):
    Z = rng.normal(size=(200, 2)) * [1.0, 1e-5]
    np.testing.assert_array_equal(without_outliers(Z, np.ones(200)), Z)
    spoilt = Z.copy()
    spoilt[:20, 0] = 1e12
    cut = without_outliers(spoilt, np.ones(200))
    np.testing.assert_array_equal(cut[20:], Z[20:])
    assert 3 < cut[0, 0] < 10
    weight = rng.randint(0, 3, size=200)
    repeated = without_outliers(np.repeat(spoilt, weight, axis=0), np.ones(weight.sum()))
    np.testing.assert_array_equal(np.repeat(without_outliers(spoilt, weight.astype(float)), weight, axis=0), repeated)
    constant = np.append(np.zeros(199), 7.0)[:, None]  # no spread to go by
    np.testing.assert_array_equal(without_outliers(constant, np.ones(200)), constant)
