"""The optimizer alone, on problems that have nothing to do with networks."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from problems import MGH, NIST, Problem
from scipy.optimize import least_squares

from sklearn_lm._optimize.levenberg_marquardt import advance
from sklearn_lm._optimize.linearization import GramLinearization
from sklearn_lm._optimize.objective import Objective
from sklearn_lm._optimize.state import OptimizerSettings, OptimizerState
from sklearn_lm._optimize.termination import WINDOW, Ending

# Parameters of unlike size: D follows the Gram matrix. A first step without damping, as MINPACK takes it.
GENERAL = OptimizerSettings(damping_scale="diagonal", mu=1e-14, mu_max=1e20, max_iter=3000, tol=1e-15, min_grad=0.0)


class LeastSquares(Objective):
    """Any residual and Jacobian, in the form that the optimizer takes."""

    weight = 1.0

    def __init__(self, residual, jacobian):
        self.residual, self.jacobian = residual, jacobian
        self.points: list[np.ndarray] = []

    def cost(self, theta):
        self.points.append(theta.copy())
        with np.errstate(all="ignore"):
            r = self.residual(theta)
            return 0.5 * float(r @ r)

    def linearize(self, theta):
        with np.errstate(all="ignore"):
            r, J = self.residual(theta), self.jacobian(theta)
            return GramLinearization(0.5 * float(r @ r), J.T @ r, J.T @ J, np.array([r @ r]))


class Result(NamedTuple):
    theta: np.ndarray
    cost: float
    ending: Ending
    n_iter: int


def minimise(objective, theta, settings=None, listen=lambda record: None):
    """Minimise from theta until something ends it."""
    settings = settings or OptimizerSettings()
    state = OptimizerState(objective, theta, settings)
    ending = advance(objective, state, settings, listen)
    return Result(state.theta, state.point.cost, ending, state.iteration)


ROSENBROCK = LeastSquares(
    lambda t: np.array([10 * (t[1] - t[0] ** 2), 1 - t[0]]),
    lambda t: np.array([[-20 * t[0], 10.0], [-1.0, 0.0]]),
)
START = np.array([-1.2, 1.0])


def excess(sum_of_squares: float, problem: Problem) -> float:
    """Distance to the nearest known minimum: relative, or absolute if the minimum is zero."""
    return min(abs(sum_of_squares - m) / (m if m > 1e-20 else 1.0) for m in problem.minima)


@pytest.mark.parametrize("problem", [*MGH, *NIST], ids=lambda problem: problem.name)
def test_solves_what_scipy_solves(problem):
    """Moré, Garbow & Hillstrom (1981) and NIST StRD, both NIST starts. Nothing is left out."""
    found = minimise(LeastSquares(problem.residual, problem.jacobian), np.array(problem.start), GENERAL)
    if excess(2 * found.cost, problem) > 1e-8:
        with np.errstate(all="ignore"):
            peer = least_squares(
                problem.residual, np.array(problem.start, dtype=float), problem.jacobian,
                method="lm", x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=20000,
            )  # fmt: skip
        assert excess(2 * peer.cost, problem) > 1e-8, "scipy's LM solves this problem"
        assert found.cost <= peer.cost * (1 + 1e-8)


@pytest.mark.parametrize("problem", NIST, ids=lambda problem: problem.name)
def test_certified_parameters(problem):
    """The parameters have as many digits as NIST asks of good software (six; four for the best-known hard ones)."""
    found = minimise(LeastSquares(problem.residual, problem.jacobian), np.array(problem.start), GENERAL)
    if excess(2 * found.cost, problem) <= 1e-8:
        error = np.abs(found.theta - problem.solution) / np.abs(problem.solution)
        assert error.max() < 1e-5
    else:
        assert problem.name == "BoxBOD-start1"


@pytest.mark.parametrize("damping", ["nielsen", "marquardt"])
@pytest.mark.parametrize("damping_scale", ["identity", "diagonal"])
def test_damping_rules_and_scales_agree_on_the_minimum(damping, damping_scale):
    found = minimise(ROSENBROCK, START, OptimizerSettings(damping=damping, damping_scale=damping_scale))
    np.testing.assert_allclose(found.theta, 1.0, rtol=1e-9)
    assert found.ending is Ending.GRADIENT


def test_start_is_not_changed_and_cost_never_grows():
    start, records = START.copy(), []
    start.flags.writeable = False
    minimise(ROSENBROCK, start, OptimizerSettings(), records.append)
    costs = [record.cost for record in records]
    assert costs == sorted(costs, reverse=True)
    assert [record.iteration for record in records] == list(range(len(records)))
    assert math.isnan(records[0].gain_ratio)
    assert records[0].mu == 1e-3
    assert all(record.gain_ratio > 0 for record in records[1:])
    assert (np.diff([record.n_evaluations for record in records]) >= 1).all()
    assert (np.diff([record.time for record in records]) > 0).all()


def test_first_step_is_the_levenberg_marquardt_step():
    """(J'J + mu unit I) delta = -J'r, by numpy, with the unit the largest diagonal entry of J'J."""
    records = []
    settings = OptimizerSettings(max_iter=1, mu=0.5)
    minimise(ROSENBROCK, np.array([1.2, 1.0]), settings, records.append)
    first, second = records
    equations = ROSENBROCK.linearize(first.theta)
    mu = 0.5 * equations.gram.diagonal().max()
    step = np.linalg.solve(equations.gram + mu * np.eye(2), -equations.gradient)
    np.testing.assert_allclose(second.theta - first.theta, step, rtol=1e-12)
    predicted = -equations.gradient @ step - 0.5 * step @ equations.gram @ step
    assert second.gain_ratio == pytest.approx((first.cost - second.cost) / predicted, rel=1e-10)


def test_scaling_all_weights_changes_no_step():
    """mu has the unit of the Gram matrix, so 1000 times the weights give the same path."""
    heavy = LeastSquares(lambda t: 32 * ROSENBROCK.residual(t), lambda t: 32 * ROSENBROCK.jacobian(t))
    heavy.weight = 1024.0
    paths = [[], []]
    for objective, path in zip((ROSENBROCK, heavy), paths, strict=True):
        minimise(objective, START, OptimizerSettings(), lambda record, path=path: path.append(record.theta))
    np.testing.assert_array_equal(paths[0], paths[1])


# ---- projection and acceleration -----------------------------------------------------------------------
class Exponentials(LeastSquares):
    """y = c exp(-k x) in (k, c): linear in c, curved in k, with exact second derivatives."""

    x = np.linspace(0, 4, 30)

    def __init__(self):
        target = 3 * np.exp(-1.3 * self.x)
        super().__init__(
            lambda t: t[1] * np.exp(-t[0] * self.x) - target,
            lambda t: np.column_stack([-t[1] * self.x * np.exp(-t[0] * self.x), np.exp(-t[0] * self.x)]),
        )
        self.target, self.n_solved, self.n_curvatures = target, 0, 0

    def solve_output(self, theta):
        self.n_solved += 1
        e = np.exp(-theta[0] * self.x)
        solved = np.array([theta[0], e @ self.target / (e @ e)])
        return solved, self.cost(solved)

    def curvature(self, theta, direction):
        self.n_curvatures += 1
        (k, c), (dk, dc) = theta, direction
        e = np.exp(-k * self.x)
        return self.jacobian(theta).T @ (c * self.x**2 * e * dk**2 - 2 * self.x * e * dk * dc)


@pytest.mark.parametrize("acceleration", [False, True])
@pytest.mark.parametrize("solve_output", [False, True])
def test_projection_and_acceleration_find_the_same_minimum(solve_output, acceleration):
    objective = Exponentials()
    settings = OptimizerSettings(solve_output=solve_output, acceleration=acceleration)
    found = minimise(objective, np.array([0.1, 20.0]), settings)
    np.testing.assert_allclose(found.theta, [1.3, 3.0], rtol=1e-8)
    assert (objective.n_solved > 0, objective.n_curvatures > 0) == (solve_output, acceleration)


def test_projection_starts_from_the_solved_linear_part():
    records = []
    minimise(Exponentials(), np.array([0.5, 1e6]), OptimizerSettings(solve_output=True), records.append)
    solved, _ = Exponentials().solve_output(np.array([0.5, 1e6]))
    np.testing.assert_array_equal(records[0].theta, solved)


def test_accelerated_step_is_of_second_order():
    """delta = v + a / 2 with (H + mu D) a = -J'r_vv, by numpy."""
    records, objective = [], Exponentials()
    minimise(objective, np.array([1.2, 3.1]), OptimizerSettings(acceleration=True, max_iter=1), records.append)
    theta = records[0].theta
    equations = objective.linearize(theta)
    A = equations.gram + 1e-3 * equations.gram.diagonal().max() * np.eye(2)
    v = np.linalg.solve(A, -equations.gradient)
    a = np.linalg.solve(A, -objective.curvature(theta, v))
    assert np.linalg.norm(a) < 0.75 * np.linalg.norm(v)
    np.testing.assert_allclose(records[1].theta - theta, v + a / 2, rtol=1e-10)


def test_an_acceleration_that_is_too_long_is_left_out():
    records, objective = [], Exponentials()
    objective.curvature = lambda theta, direction: 1e9 * np.ones(2)
    minimise(objective, np.array([1.2, 3.1]), OptimizerSettings(acceleration=True, max_iter=1), records.append)
    plain = []
    minimise(Exponentials(), np.array([1.2, 3.1]), OptimizerSettings(max_iter=1), plain.append)
    np.testing.assert_array_equal(records[1].theta, plain[1].theta)


# ---- difficult points ---------------------------------------------------------------------------------
def test_singular_gram_matrix_is_solved():
    """Two parameters that do the same: no Cholesky factor without damping, a whole line of solutions."""
    pair = LeastSquares(lambda t: np.array([t[0] + t[1] - 3.0, 0.0]), lambda t: np.array([[1.0, 1.0], [0.0, 0.0]]))
    found = minimise(pair, np.zeros(2), OptimizerSettings(min_grad=1e-14))
    np.testing.assert_allclose(found.theta, [1.5, 1.5], rtol=1e-12)


def test_non_finite_trial_points_are_rejected():
    """The undamped first step would lead to the logarithm of a negative number."""
    with_wall = LeastSquares(lambda t: np.log(t) - 1.0, lambda t: np.diag(1 / t))
    found = minimise(with_wall, np.array([30.0]), OptimizerSettings(mu=1e-8))
    assert any(point[0] < 0 for point in with_wall.points)
    assert found.theta[0] == pytest.approx(math.e, rel=1e-9)


def test_gram_matrix_that_overflows_is_a_rejected_step():
    calls = []

    def jacobian(t):
        calls.append(t)
        return np.array([[1.0]]) * (1e200 if 0 < abs(t[0] - 1.0) < 0.5 else 1.0)

    found = minimise(LeastSquares(lambda t: t - 1.2, jacobian), np.array([3.0]), OptimizerSettings(max_iter=20))
    assert np.isfinite(found.cost)
    assert abs(found.theta[0] - 1.0) >= 0.5


def test_non_finite_start_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"not finite at the starting point.*Scale the data"):
        minimise(ROSENBROCK, np.array([np.nan, 0.0]))


# ---- endings ------------------------------------------------------------------------------------------
def test_ends_at_max_iter_unconverged():
    found = minimise(ROSENBROCK, START, OptimizerSettings(max_iter=3))
    assert (found.ending, found.n_iter) == (Ending.MAX_ITER, 3)
    assert not found.ending.converged


def test_ends_after_max_time_with_the_best_point_so_far():
    found = minimise(ROSENBROCK, START, OptimizerSettings(max_time=1e-9))
    assert (found.ending, found.n_iter) == (Ending.MAX_TIME, 0)
    assert found.cost == ROSENBROCK.cost(START)
    assert not found.ending.converged


def test_max_time_is_checked_between_trial_points():
    uphill = LeastSquares(lambda t: 1 + np.abs(t), lambda t: np.array([[-1.0]]))
    found = minimise(uphill, np.zeros(1), OptimizerSettings(max_time=1e-9, mu_max=1e300))
    assert found.ending is Ending.MAX_TIME


def test_ends_when_the_gradient_is_zero_at_the_start():
    found = minimise(ROSENBROCK, np.ones(2))
    assert (found.ending, found.n_iter) == (Ending.GRADIENT, 0)


def test_a_plateau_is_left():
    """Far out on a logistic curve the gradient is 1e-11 and the residual 1: no minimum, and no reason to stop."""
    curve = LeastSquares(lambda t: 1 / (1 + np.exp(-t)), lambda t: np.diag(1 / (1 + np.exp(-t)) / (1 + np.exp(t))))
    start = np.array([25.0])
    assert np.linalg.norm(curve.linearize(start).gradient) < OptimizerSettings().min_grad
    found = minimise(curve, start)
    assert found.n_iter > 0
    assert found.cost < 1e-10


def test_every_other_ending_counts_on_a_plateau():
    """The gradient, per unit of weight, is below min_grad everywhere, and the model promises more."""
    for settings, ending in (
        (OptimizerSettings(min_grad=1e-3, max_iter=3), Ending.MAX_ITER),
        (OptimizerSettings(min_grad=1e-3, max_time=1e-9), Ending.MAX_TIME),
    ):
        lifted = LeastSquares(
            lambda t: np.r_[1e3, ROSENBROCK.residual(t)], lambda t: np.vstack([np.zeros(2), ROSENBROCK.jacobian(t)])
        )
        lifted.weight = 1e6
        found = minimise(lifted, START, settings._replace(tol=0.0))
        assert found.ending is ending


def test_ends_when_the_objective_no_longer_falls():
    """x^4 near zero converges linearly, so a coarse tol is what ends it."""
    flat = LeastSquares(lambda t: np.array([1.0, t[0] ** 2]), lambda t: np.array([[0.0], [2 * t[0]]]))
    found = minimise(flat, np.array([0.3]), OptimizerSettings(tol=1e-4, min_grad=0.0))
    assert found.ending is Ending.REDUCTION
    assert found.n_iter >= WINDOW


def test_goes_beyond_the_rounding_error_of_the_objective(rng):
    """F = 5e17 + t^2/2 cannot resolve |t| < 1e3; the gradient can, down to its own rounding error."""
    J = rng.normal(size=(9, 1))
    c = rng.normal(size=9)
    c -= J[:, 0] * (J[:, 0] @ c) / (J[:, 0] @ J[:, 0])
    large_residual = LeastSquares(lambda t: 1e9 * c + J @ t, lambda t: J)
    found = minimise(large_residual, np.array([1e4]), OptimizerSettings(tol=0.0, min_grad=0.0))
    assert found.ending is Ending.PRECISION
    assert abs(found.theta[0]) < 1e-5


def test_ends_at_the_damping_ceiling():
    """A Jacobian of the wrong sign: every step goes uphill."""
    uphill = LeastSquares(lambda t: 1 + np.abs(t), lambda t: np.array([[-1.0]]))
    found = minimise(uphill, np.zeros(1), OptimizerSettings(mu_max=1e3))
    assert (found.ending, found.n_iter) == (Ending.DAMPING, 0)


def test_listener_can_end_it():
    found = minimise(ROSENBROCK, START, None, lambda record: Ending.GOAL if record.iteration == 2 else None)
    assert (found.ending, found.n_iter) == (Ending.GOAL, 2)


def test_every_ending_is_a_sentence_and_unconverged_ones_have_a_remedy():
    for ending in Ending:
        assert len(ending.sentence.split()) > 3 or ending is Ending.INTERRUPTED
        assert ending.converged == (not ending.remedy)
    assert {ending for ending in Ending if not ending.converged} == {Ending.MAX_ITER, Ending.MAX_TIME}
