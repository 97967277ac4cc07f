"""The test problems themselves: Jacobians, certified values and published minima."""

import numpy as np
import pytest
from problems import MGH, NIST, Problem
from scipy.optimize import least_squares

TIGHT = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "max_nfev": 2000}


def each(problems: list[Problem]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("problem", problems, ids=lambda problem: problem.name)


def sum_of_squares(problem: Problem, theta: np.ndarray) -> float:
    return float(np.sum(problem.residual(theta) ** 2))


def assert_jacobian(problem: Problem, theta: np.ndarray) -> None:
    """Equal to central differences, column by column, up to their rounding error."""
    eps = np.finfo(float).eps
    jacobian = problem.jacobian(theta)
    rounding = eps * np.linalg.norm(problem.residual(theta))
    assert jacobian.shape == (problem.residual(theta).size, theta.size)
    for j, step in enumerate(np.cbrt(eps) * np.where(theta == 0, 1, np.abs(theta))):
        shift = step * np.eye(theta.size)[j]
        difference = problem.residual(theta + shift) - problem.residual(theta - shift)
        error = np.linalg.norm(jacobian[:, j] - difference / (2 * step))
        assert error <= 1e-6 * np.linalg.norm(jacobian[:, j]) + rounding / step


def test_names_are_unique():
    names = [problem.name for problem in MGH + NIST]
    assert len(set(names)) == len(names)


@each(MGH + NIST)
def test_jacobian_at_start(problem: Problem):
    assert_jacobian(problem, np.array(problem.start, dtype=float))


@each(MGH + NIST)
def test_jacobian_away_from_start(problem: Problem):
    start = np.array(problem.start, dtype=float)
    shift = 1 + 0.01 * np.cos(np.arange(start.size))
    assert_jacobian(problem, np.where(start == 0, 0.1, start) * shift)


@each(NIST)
def test_certified_sum_of_squares(problem: Problem):
    # Lanczos1 has 1e-25, which its eleven certified digits do not resolve.
    atol = 1e-20 if problem.name.startswith("Lanczos1") else 0
    value = sum_of_squares(problem, np.array(problem.solution))
    assert value == pytest.approx(problem.minimum, rel=1e-9, abs=atol)


@each(NIST)
def test_certified_standard_deviations(problem: Problem):
    theta = np.array(problem.solution)
    jacobian = problem.jacobian(theta)
    scale = np.linalg.norm(jacobian, axis=0)
    r = np.linalg.qr(jacobian / scale, mode="r")
    variance = problem.minimum / (len(jacobian) - theta.size)
    deviations = np.sqrt(variance) * np.linalg.norm(np.linalg.inv(r), axis=1) / scale
    assert problem.deviations is not None
    np.testing.assert_allclose(deviations, problem.deviations, rtol=1e-6)


@each([problem for problem in MGH if problem.solution is not None])
def test_solution_attains_minimum(problem: Problem):
    value = sum_of_squares(problem, np.array(problem.solution, dtype=float))
    assert value == pytest.approx(problem.minimum, rel=1e-7, abs=1e-12)


@each(MGH)
def test_reference_optimizer_attains_a_minimum(problem: Problem):
    # "trf", since MINPACK's "lm" may stop at the rank-deficient start of biggs_exp6.
    fit = least_squares(problem.residual, problem.start, problem.jacobian, method="trf", x_scale="jac", **TIGHT)
    assert any(2 * fit.cost == pytest.approx(f, rel=1e-8, abs=1e-18) for f in problem.minima)
