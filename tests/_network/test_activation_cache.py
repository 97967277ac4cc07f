"""Hidden units that are kept between evaluations must never be taken for those of another point."""

import numpy as np
import pytest
from objectives import objective_for, run, some_data, some_theta

from sklearn_lm._network import activation_cache


@pytest.fixture
def data(rng):
    return some_data(rng)


@pytest.fixture
def theta(rng):
    return some_theta(rng)


def test_activations_kept_change_nothing(data, theta, rng, monkeypatch):
    """Evaluations in any order, at points come back to, against an objective that has seen nothing before."""
    objective = objective_for(*data, alpha=0.3)
    points = [theta, theta + 0.1 * rng.normal(size=theta.size), theta - 0.1]
    direction = rng.normal(size=theta.size)

    def evaluations(objective, point):
        solved, cost = objective.solve_output(point)
        equations = objective.linearize(solved)
        curvature = objective.curvature(solved, direction)
        return solved, cost, equations.cost, equations.gradient, np.tril(equations.gram), curvature

    kept = [evaluations(objective, points[i]) for i in (0, 1, 0, 2, 1)]
    monkeypatch.setattr(activation_cache, "MAX_KEPT", 0)
    fresh = [evaluations(objective_for(*data, alpha=0.3), points[i]) for i in (0, 1, 0, 2, 1)]
    for one, other in zip(kept, fresh, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_activations_of_a_pass_that_was_interrupted_are_not_used(data, theta):
    objective = objective_for(*data)
    expected = objective.linearize(theta)
    buffer, _ = objective._workspace.activations.acquire(theta + 1)
    buffer[:] = np.nan  # and no `commit`
    again = objective.linearize(theta + 1)
    assert np.isfinite(again.cost)
    assert objective.linearize(theta).cost == expected.cost


def test_activations_that_one_call_leaves_are_those_of_their_points(data, theta):
    """What is kept of theta must not be taken for that of another point."""
    for n in range(1, 6):
        objective, anew = objective_for(*data), objective_for(*data)
        records, _, _ = run(objective, theta, {"mu": 1e-9, "max_iter": n})
        direction = np.linspace(-1, 1, len(theta))
        for point in [record.theta for record in records[::-1]] + [theta]:
            a, b = objective.linearize(point), anew.linearize(point)
            np.testing.assert_array_equal(np.tril(a.gram), np.tril(b.gram))
            np.testing.assert_array_equal(objective.curvature(point, direction), anew.curvature(point, direction))
