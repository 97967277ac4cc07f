import numpy as np
import pytest
from scipy import stats

from sklearn_lm._data import yeo_johnson as yeo_johnson_module
from sklearn_lm._data.out_of_core import Source
from sklearn_lm._data.yeo_johnson import best_exponent, identity_power, make_power, yeo_johnson


@pytest.fixture
def skewed(rng):
    return np.column_stack([rng.normal(size=200), rng.lognormal(sigma=1.0, size=200), -rng.exponential(size=200)])


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_yeo_johnson_is_scipys(rng, exponent):
    z = rng.normal(scale=3, size=50)
    np.testing.assert_allclose(yeo_johnson(z, exponent), stats.yeojohnson(z, exponent), rtol=1e-12)


def test_best_exponent_is_scipys(skewed):
    z = stats.zscore(skewed[:, 1])
    np.testing.assert_allclose(best_exponent(z, np.full(200, 1 / 200)), stats.yeojohnson(z)[1], atol=1e-4)


def test_without_an_exponent_the_map_is_arcsinh(rng):
    z = rng.normal(scale=1e3, size=50)
    np.testing.assert_array_equal(yeo_johnson(z, np.nan), np.arcsinh(z))


def mapped_column(x):
    """Return the mapped values, standardised."""
    return stats.zscore(make_power(x[:, None], np.ones(len(x))).forward(x[:, None])[:, 0])


@pytest.mark.parametrize("n_decades", [3, 5, 8, 12, 250])
@pytest.mark.parametrize("sign", [1, -1])
def test_decades_of_one_sign_become_a_line(n_decades, sign):
    exponents = np.linspace(-n_decades / 2, n_decades / 2, 50)
    assert np.corrcoef(mapped_column(sign * 10.0**exponents), sign * exponents)[0, 1] > 0.999


def test_decades_on_both_sides_of_a_centre_become_a_line():
    half = np.logspace(-2, 4, 30)
    x = np.concatenate([-half, half]) + 7
    assert np.corrcoef(mapped_column(x), np.arcsinh(10 * (x - 7)))[0, 1] > 0.99


def test_zeros_do_not_hide_the_decades_above_them():
    x = np.append(np.zeros(20), np.logspace(-2, 4, 40))
    assert np.corrcoef(mapped_column(x), np.log(x + 0.01))[0, 1] > 0.98


@pytest.mark.parametrize("n_rows", [100, 20_000])
@pytest.mark.parametrize("distance", [1e3, -1e9])
def test_one_far_point_does_not_hide_the_others(n_rows, distance, rng):
    x = np.append(rng.normal(size=n_rows - 1), distance)
    assert mapped_column(x)[:-1].std() > 0.5


def test_values_that_rounding_errors_separate_are_no_scale():
    assert mapped_column(np.array([0.3, 0.1 + 0.2, 1.0, 2.0, 50.0]))[2:].std() > 0.5


def test_only_skewed_columns_are_mapped(skewed):
    power = make_power(skewed, np.ones(200))
    np.testing.assert_array_equal(power.column, [1, 2])
    mapped = power.forward(skewed)
    np.testing.assert_array_equal(mapped[:, 0], skewed[:, 0])
    assert (np.abs(stats.skew(mapped)) < 0.5).all()
    for j in range(3):  # increasing
        np.testing.assert_array_equal(np.argsort(mapped[:, j]), np.argsort(skewed[:, j]))


def test_units_do_not_matter(skewed):
    factor, shift = np.array([1.0, 1e-6, -1e4]), np.array([0.0, 5.0, 3.0])
    mapped = make_power(skewed, np.ones(200)).forward(skewed)
    other = make_power(skewed * factor + shift, np.ones(200)).forward(skewed * factor + shift)
    np.testing.assert_allclose(other[:, 1], mapped[:, 1], rtol=1e-5)
    np.testing.assert_allclose(other[:, 2], -mapped[:, 2], rtol=1e-5)  # mirrored, and so is the map


@pytest.mark.parametrize("unit", [2.0**-600, 0.25, 2.0**600])
def test_powers_of_two_in_the_units_change_no_bit(unit, rng):
    X = np.column_stack([np.logspace(-3, 5, 60), rng.standard_cauchy(size=60), rng.exponential(size=60)])
    mapped, other = (make_power(Z, np.ones(60)).forward(Z) for Z in (X, unit * X))
    np.testing.assert_array_equal(mapped, other)


def test_a_weight_is_a_repeated_row(skewed, rng):
    weight = rng.randint(1, 4, size=200)
    skewed = np.column_stack([skewed, rng.lognormal(sigma=4, size=200), rng.standard_cauchy(size=200)])
    repeated = np.repeat(skewed, weight, axis=0)
    for a, b in zip(make_power(skewed, weight.astype(float)), make_power(repeated, np.ones(weight.sum())), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_without_a_mapped_column_there_is_no_copy(skewed, rng):
    rare = np.zeros((200, 1))
    rare[:3] = 1.0
    constant = np.ones((200, 1))
    for X in (rng.normal(size=(50, 2)), rare, constant):
        assert make_power(X, np.ones(len(X))).forward(X) is X
    assert identity_power().forward(skewed) is skewed


def test_a_large_array_is_mapped_as_it_is_read(skewed, monkeypatch):
    """There is no second copy of the data, and the bits are the same."""
    power = make_power(skewed, np.ones(len(skewed)))
    copy, source = power.forward(skewed), power.forward(Source(skewed))
    monkeypatch.setattr(yeo_johnson_module, "MAX_COPY", skewed.nbytes - 1)
    for lazy in (source, power.forward(skewed)):
        assert isinstance(lazy, Source)
        np.testing.assert_array_equal(lazy[:], copy)
        np.testing.assert_array_equal(lazy.take(np.array([1, 3, 4]))[1:], copy[[3, 4]])
        assert lazy.in_place() is lazy  # the kernels must not see the array below


def test_the_callers_array_is_not_changed(skewed):
    original = skewed.copy()
    make_power(skewed, np.ones(200)).forward(skewed)
    np.testing.assert_array_equal(skewed, original)


def test_differences_in_the_last_digits_of_large_values(rng):
    x = 1e16 + np.append(np.zeros(30), [2.0, 4.0, 100.0])
    assert np.isfinite(mapped_column(x)).all()
