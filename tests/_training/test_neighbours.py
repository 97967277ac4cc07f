"""Nearest neighbours as a reference: their leave-one-out errors, and when they count as better than a fit."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from sklearn_lm._training.neighbours import better_neighbours, neighbour_means


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_score_of_neighbours_is_that_of_scikit_learn(rng, n_outputs):
    Z = rng.uniform(size=(60, 2))
    Y = np.column_stack([Z[:, 0] + 0.1 * rng.normal(size=60), 100 * Z[:, 1]])[:, :n_outputs]
    loo = cross_val_predict(KNeighborsRegressor(3), Z, Y, cv=60)
    scores = better_neighbours(Z, Y, np.ones(60), np.zeros((60, n_outputs)) + Y.mean(axis=0))
    assert scores.fit == pytest.approx(0)
    assert scores.neighbours == pytest.approx(np.mean(1 - ((Y - loo) ** 2).mean(axis=0) / Y.var(axis=0)))
    assert better_neighbours(Z, Y, np.ones(60), Y + 0.01) is None


def test_neighbours_of_one_input_are_those_on_both_sides():
    x = np.array([[0.0], [1.0], [2.1], [3.3]])
    (means,) = neighbour_means(x, x**2, [2])
    np.testing.assert_allclose(means[1:3, 0], [(0 + 2.1**2) / 2, (1 + 3.3**2) / 2])


def test_a_row_is_never_its_own_neighbour():
    """Five rows with the same inputs: whichever of them the search returns, the own target is not among them."""
    rng = np.random.default_rng(0)
    X, Y = np.repeat(rng.normal(size=(8, 2)), 5, axis=0), np.eye(40)
    (means,) = neighbour_means(X, Y, [3])
    assert np.all(np.diag(means) == 0)
    np.testing.assert_allclose(means.sum(axis=1), 1)


def test_pure_noise_is_never_predicted_better():
    rng = np.random.default_rng(0)
    for n, n_inputs in [(8, 1), (20, 1), (20, 3), (100, 2)]:
        for _ in range(100):
            Y, weight = rng.normal(size=(n, 1)), np.ones(n)
            scores = better_neighbours(rng.normal(size=(n, n_inputs)), Y, weight, np.full((n, 1), Y.mean()))
            assert scores is None or n == 8  # at the limit one in some hundred sets


@pytest.mark.parametrize("n_periods", [2, 5, 20])
def test_six_rows_a_period_are_enough(n_periods):
    """The mean as fit. Naive: with both ends, whose neighbours are on one side, two periods are not recognised."""
    n = 6 * n_periods
    x = np.linspace(0, 1, n).reshape(-1, 1)
    y = np.sin(2 * np.pi * n_periods * x)
    assert better_neighbours(x, y, np.ones(n), np.zeros((n, 1))).neighbours > 0.4


def test_many_neighbours_see_a_curve_in_strong_noise(rng):
    """Naive: two neighbours alone have larger errors than the mean."""
    x = np.sort(rng.uniform(-1, 1, (500, 1)), axis=0)
    y = np.sin(8 * np.pi * x) + rng.normal(size=(500, 1))
    scores = better_neighbours(x, y, np.ones(500), np.full((500, 1), y.mean()))
    assert scores.n_neighbours > 2
    assert scores.neighbours > 0.2


def test_repeated_rows_count_as_their_weights(rng):
    Z, weight = rng.uniform(size=(40, 1)), rng.randint(1, 4, size=40)
    Y = np.sin(5 * Z)
    ours = better_neighbours(Z, Y, weight, np.full((40, 1), 0.1))
    assert ours.fit == pytest.approx(1 - np.mean((Y.repeat(weight) - 0.1) ** 2) / np.var(Y.repeat(weight)))


def test_rows_of_equal_inputs_are_neighbours(rng):
    Z, Y = np.repeat(rng.normal(size=(10, 1)), 6, axis=0), rng.normal(size=(60, 1))
    assert better_neighbours(Z, Y, np.ones(60), 0 * Y + Y.mean()) is None
    group = 10 * Z  # the rows of a group have one target
    assert better_neighbours(Z, group, np.ones(60), 0 * Y + group.mean()).neighbours == pytest.approx(1)
