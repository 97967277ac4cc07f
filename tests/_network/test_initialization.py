import numpy as np
import pytest

from sklearn_lm._data.rows import DataSet
from sklearn_lm._kernels import ACTIVATIONS
from sklearn_lm._network.initialization import FAMILIES, Sample, _quantiles, draw, mix
from sklearn_lm._network.topology import layer_matrices, make_network


def sample_of(X, Y=None, weight=None):
    X = np.asarray(X, dtype=float)
    weight = np.ones(len(X)) if weight is None else np.asarray(weight, dtype=float)
    Y = X[:, :1] ** 2 if Y is None else Y
    return Sample(np.ascontiguousarray(X.T), weight / weight.sum(), Y)


def first_layer(family, sample, n_units, rng):
    network = make_network(len(sample.lines), (n_units,), 1, ["tanh"])
    return layer_matrices(network, draw(network, family, sample, rng))[0]


def test_nguyen_widrow_spreads_the_units_over_the_range_of_one_input(rng):
    """The points where w x + b = 0 lie inside the range of the input and cover it evenly."""
    matrix = first_layer("nguyen_widrow", sample_of(np.linspace(10, 30, 2001)[:, None]), 12, rng)
    centres = np.sort(-matrix[:, 1] / matrix[:, 0])
    np.testing.assert_allclose(centres, np.linspace(10.4, 29.6, 12), atol=0.02)  # 2 % of the tail on each side
    np.testing.assert_allclose(np.abs(matrix[:, 0]), 0.7 * 12 / 9.6, rtol=2e-3)


def test_nguyen_widrow_measures_the_data_along_each_direction(rng):
    """Two inputs that move together have no range across their diagonal, and slopes there are the steeper for it."""
    x = np.linspace(-1, 1, 500)
    matrix = first_layer("nguyen_widrow", sample_of(np.column_stack([x, x + 1e-3 * np.sin(9 * x)])), 40, rng)
    reach = np.ptp(matrix[:, :2] @ np.vstack([x, x + 1e-3 * np.sin(9 * x)]), axis=1) / 2
    np.testing.assert_allclose(reach, 0.7 * 40**0.5, rtol=0.1)


def test_heavy_tail_does_not_set_the_range(rng):
    """One value a million times as large as all others shifts no unit."""
    x = np.linspace(-1, 1, 400)[:, None]
    with_outlier = np.vstack([x, [[1e6]]])
    plain = first_layer("nguyen_widrow", sample_of(x), 8, np.random.RandomState(0))
    robust = first_layer("nguyen_widrow", sample_of(with_outlier), 8, np.random.RandomState(0))
    np.testing.assert_allclose(robust, plain, atol=0.06)  # one value among 400 shifts a quantile a little


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_inputs_that_never_change_take_no_part(family, rng):
    X = np.column_stack([np.zeros(60), np.linspace(-1, 1, 60)])
    matrix = first_layer(family, sample_of(X), 6, rng)
    if family not in ("glorot", "small"):
        np.testing.assert_array_equal(matrix[:, 0], 0)
        assert (matrix[:, 1] != 0).all()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_binary_inputs(family, rng):
    X = rng.randint(0, 2, size=(50, 4)) * 2.0 - 1
    assert np.isfinite(first_layer(family, sample_of(X), 7, rng)).all()


@pytest.mark.parametrize("family", ["centred", "steep", "selected"])
def test_units_bend_at_data_points(family, rng):
    X = rng.normal(size=(30, 2))
    matrix = first_layer(family, sample_of(X), 5, rng)
    values = np.abs(X @ matrix[:, :2].T + matrix[:, 2]).min(axis=0)
    np.testing.assert_allclose(values, 0, atol=1e-12)


def test_selected_units_find_a_step(rng):
    """The target is one of tanh's own steps: the first unit chosen explains nearly all of it."""
    x = np.linspace(-1, 1, 300)[:, None]
    sample = sample_of(x, np.tanh(8 * (x - 0.4)))
    matrix = first_layer("selected", sample, 1, rng)
    A = np.column_stack([np.tanh(x @ matrix[:, :1].T + matrix[:, 1]), np.ones(300)])
    residual = sample.Y - A @ np.linalg.lstsq(A, sample.Y, rcond=None)[0]
    assert residual.var() < 0.05 * sample.Y.var()


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(), (1,), (5, 1, 4)])
def test_start_is_finite_and_seeded(family, activation, hidden):
    network = make_network(3, hidden, 2, [activation] * len(hidden))
    generator = np.random.RandomState(5)
    sample = sample_of(generator.normal(size=(20, 3)), generator.normal(size=(20, 2)))
    starts = [draw(network, family, sample, np.random.RandomState(seed)) for seed in (0, 0, 1)]
    assert np.isfinite(starts[0]).all()
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_order_and_repetition_of_rows_do_not_matter(family, rng):
    """Through the sample of distinct rows: repeated rows equal weights, and shuffled rows the same rows."""
    X, Y, times = rng.normal(size=(25, 2)), rng.normal(size=(25, 1)), rng.randint(1, 4, size=25)
    rows = np.repeat(np.arange(25), times)
    rng.shuffle(rows)
    starts = []
    for data in (DataSet(X, Y, times.astype(float)), DataSet(X[rows], Y[rows], np.ones(len(rows)))):
        distinct = data.distinct(1000)
        starts.append(
            first_layer(family, sample_of(distinct.X, distinct.Y, distinct.weight), 6, np.random.RandomState(0))
        )
    np.testing.assert_allclose(starts[0], starts[1], rtol=1e-10)


def test_selected_units_differ(rng):
    """More units than the data can tell apart: the rest are still units of their own."""
    X = rng.normal(size=(3, 2))
    matrix = first_layer("selected", sample_of(X), 10, rng)
    assert len(np.unique(matrix, axis=0)) == 10


def test_quantile_is_that_of_repeated_values(rng):
    values, times = rng.normal(size=(3, 20)), rng.randint(1, 5, size=20)
    shares = (0.02, 0.3, 0.5, 0.98)
    for q, found in zip(shares, _quantiles(values, times / times.sum(), shares), strict=True):
        expected = np.quantile(np.repeat(values, times, axis=1), q, axis=1, method="inverted_cdf")
        np.testing.assert_array_equal(found, expected)


def test_glorot_bounds(rng):
    matrix = first_layer("glorot", sample_of(rng.normal(size=(9, 30))), 20, rng)
    bound = np.sqrt(6 / 50)
    assert 0.98 * bound < np.abs(matrix[:, :-1]).max() <= bound
    np.testing.assert_array_equal(matrix[:, -1], 0)


@pytest.mark.parametrize("n_inputs", [1, 5])
def test_mix_begins_with_the_family_that_was_named(n_inputs):
    assert mix(1, n_inputs, "steep") == ["steep"]
    families = mix(24, n_inputs, "glorot")
    assert families[0] == "glorot"
    assert len(families) == 24
    assert set(families) <= set(FAMILIES)
    assert len(set(families)) >= 4
