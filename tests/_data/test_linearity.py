import numpy as np
import pytest

from sklearn_lm._data.linearity import is_linear
from sklearn_lm._data.rows import DataSet
from sklearn_lm._data.yeo_johnson import make_power


def prefers_lines(X, Y, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    return is_linear(DataSet(X, Y.reshape(len(X), -1), weight), make_power(X, weight))


@pytest.fixture
def X(rng):
    return rng.lognormal(sigma=1.5, size=(150, 3))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_lines_are_left_as_they_are(X, noise, rng):
    y = X @ [3.0, 1.0, 0.0] + 1 + noise * rng.normal(size=150)
    assert prefers_lines(X, y)
    assert prefers_lines(X, y, rng.uniform(0.1, 2, size=150))
    assert prefers_lines(X, np.column_stack([y, -1e6 * X[:, 2], np.ones(150)]))
    assert prefers_lines(np.column_stack([X, X[:, 0], np.ones(150)]), y)


@pytest.mark.parametrize("function", [np.log, np.sqrt, lambda x: x / (1 + x), lambda x: np.sin(3 * np.log(x))])
def test_curves_are_transformed(X, function, rng):
    y = function(X[:, 0]) + 0.05 * rng.normal(size=150)
    assert not prefers_lines(X, y)
    assert not prefers_lines(X, np.column_stack([y, X[:, 1]]))  # one output is not linear


def test_neither_noise_nor_one_far_point_nor_a_few_rows_make_a_line(X, rng):
    assert not prefers_lines(X, rng.normal(size=150))
    x = np.append(rng.normal(size=99), 1e6)
    assert not prefers_lines(x[:, None], np.sin(2 * x) * (x < 10))
    assert not prefers_lines(X[:9], X[:9, 0])
