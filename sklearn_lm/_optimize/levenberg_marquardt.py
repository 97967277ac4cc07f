"""The Levenberg-Marquardt loop: damped step, gain ratio, damping, endings.

It sees an `Objective`, never a network.

The step delta solves (H + mu D) delta = -g with H the Gram matrix and g the gradient (Levenberg 1944; Marquardt 1963).
D = I, or for parameters of unlike size D = the largest diagonal of H met so far (Moré 1978). Non-finite trial
points, and matrices that have no Cholesky factor, are rejected steps: the damping grows and the step shrinks.

One iteration ends with one accepted step, so F never grows from a record to the next.
"""

import enum
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .objective import Objective
from .state import Ahead, Damping, OptimizerSettings, OptimizerState, Record, Seconds, Step, is_finite

EPS = float(np.finfo(np.float64).eps)
# Relative changes of F below this are its rounding errors.
RESOLUTION = 64 * EPS
# Reductions are judged over this many accepted steps: a single small step proves nothing.
WINDOW = 5
# A second-order correction longer than this, against the step, is refused.
MAX_ACCELERATION = 0.75


class Ending(enum.Enum):
    """Why a fit stopped: a sentence, and what to do where there was more to be had."""

    GRADIENT = "the gradient is not above min_grad", ""
    REDUCTION = f"the objective fell by less than tol over {WINDOW} iterations", ""
    PRECISION = "the objective changes by no more than its rounding error", ""
    DAMPING = "no step reduces the objective, with damping up to mu_max", ""
    GOAL = "the training error reached goal", ""
    EVIDENCE = "the evidence of the data did not rise any more", ""
    PATIENCE = "the validation error did not fall for n_iter_no_change iterations", ""
    MAX_ITER = (
        "max_iter iterations were made",
        "Fit fewer units, or raise max_iter",
    )
    MAX_TIME = "max_time seconds have passed", "Raise max_time"
    CALLBACK = "a callback asked to stop", ""
    INTERRUPTED = "interrupted", ""

    def __init__(self, sentence: str, remedy: str):
        self.sentence, self.remedy = sentence, remedy

    @property
    def converged(self) -> bool:
        return not self.remedy


# What the reasons of `iterate` are.
REASONS = {
    _kernels.DONE: None,
    _kernels.NO_DIGITS: Ending.PRECISION,
    _kernels.NO_STEP: Ending.DAMPING,
    _kernels.LATE: Ending.MAX_TIME,
}


class Rejection(NamedTuple):
    """A trial point that was not accepted."""

    mu: float  # that made it, in the same units as a record's
    gain_ratio: float  # actual over predicted reduction; NaN where there was no factor, or F was not finite
    time: float


class Result(NamedTuple):
    theta: np.ndarray
    cost: float
    ending: Ending
    n_iter: int


def minimise(
    objective: Objective,
    theta: np.ndarray,
    settings: OptimizerSettings | None = None,
    listen: Callable[[Record], Ending | None] = lambda record: None,
    start_time: float | None = None,
) -> Result:
    """Minimise a sum of squares from `theta`.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
        Starting point; not changed.
    settings : OptimizerSettings, optional
    listen : callable
        Called with the `Record` of every iteration; may return an `Ending` to stop.
    start_time : float, optional
        `time.perf_counter()` of when the clock began to run; now, if not given.

    Returns
    -------
    Result
        The best accepted point, whatever ended the fit.

    Raises
    ------
    ValueError
        If the objective, its gradient or its Gram matrix is not finite at the starting point.
    """
    settings = settings or OptimizerSettings()
    state = OptimizerState(objective, theta, settings, start_time)
    ending = advance(objective, state, settings, listen)
    assert ending is not None  # it was told of no iteration to pause at
    return Result(state.theta, state.point.cost, ending, state.iteration)


# An objective may overflow at a trial point: that is a rejected step and not worth a warning. Entered once for all
# iterations, since it costs as much as the arithmetic of a small one.
@np.errstate(over="ignore", invalid="ignore")
def advance(
    objective: Objective,
    state: OptimizerState,
    settings: OptimizerSettings,
    listen: Callable[[Record], Ending | None] = lambda record: None,
    pause_at: int | None = None,
    on_reject: Callable[[Rejection], None] | None = None,
) -> Ending | None:
    """Iterate until something ends the fit, or until iteration `pause_at` (then None is returned)."""
    own = objective.iterate if on_reject is None and not state.metric.follows_gram else None
    state.settle(objective)  # the last call may have been interrupted before it did
    try:
        while True:
            if not state.is_reported:
                grad_norm = state.norm / objective.weight
                ending = listen(state.record(grad_norm)) or _ending(objective, state, settings, grad_norm)
                state.is_reported = True
                if ending is not None:
                    return ending
            if state.iteration == pause_at:
                return None
            if state.metric.follows_gram:
                state.metric.update(state.point.diagonal())
            if own is None:
                ending = _search(objective, state, settings, on_reject)
            else:
                # On a plateau each point is looked at as a whole: what was made ahead of it would be made in vain.
                is_slow = state.norm <= settings.min_grad * objective.weight
                ending = _go_ahead(own, state, settings, state.iteration + 1 if is_slow else pause_at)
            if ending is not None:
                return ending
    finally:
        state.settle(objective)


def _go_ahead(own: Callable, state: OptimizerState, settings: OptimizerSettings, pause_at: int | None) -> Ending | None:
    """One iteration, of those that the objective makes in one call."""
    while True:
        if state.ahead is None:
            state.ahead = _made(own, state, settings, pause_at)
        ahead, i = state.ahead, state.iteration - state.ahead.first
        if i < len(ahead.steps):
            state.accept(ahead.steps[i])
            return None
        state.ahead = None
        if ahead.ending is not None:
            state.damping, state.n_evaluations = ahead.damping, ahead.n_evaluations
            return ahead.ending


def _made(own: Callable, state: OptimizerState, settings: OptimizerSettings, pause_at: int | None) -> Ahead:
    """What the objective makes of where the fit stands."""
    start = time.perf_counter()
    last = settings.max_iter if pause_at is None else min(pause_at, settings.max_iter)
    seconds = math.inf if settings.max_time is None else settings.max_time - (start - state.start_time)
    made = own(
        state.theta, state.point, state.metric.diagonal, state.solver,
        (*state.damping, settings.rule, state.metric.least_mu, float(settings.mu_max * state.metric.unit)),
        (settings.acceleration, settings.solve_output, RESOLUTION, MAX_ACCELERATION),
        max(1, last - state.iteration), seconds,
    )  # fmt: skip
    steps = [
        Step(theta, point, norm, ratio, Damping(mu), state.n_evaluations + int(n_trials), Seconds(*phases), start + at)
        for theta, point, (_, norm, mu, ratio, n_trials, at, *phases) in zip(
            made.thetas, made.points, made.records, strict=True
        )
    ]
    n_evaluations = state.n_evaluations + made.n_trials
    return Ahead(state.iteration, steps, REASONS[made.reason], Damping(*made.damping), n_evaluations)


class Attempt(NamedTuple):
    """A trial point, and what became of it."""

    theta: np.ndarray
    predicted_reduction: (
        float  # reduction of F by the quadratic model; infinite where there is no step, and nothing else then
    )
    cost: float  # F there
    point: Any  # its normal equations; None where F is no less than it was
    seconds: Seconds

    def is_flat(self, cost: float) -> bool:
        """Whether F has no digits left to tell a better point from a worse one.

        The gradient still has: a minimum is known to half the digits by its F, and to nearly all of them by its
        gradient.
        """
        return self.predicted_reduction <= RESOLUTION * cost


def _search(
    objective: Objective,
    state: OptimizerState,
    settings: OptimizerSettings,
    on_reject: Callable[[Rejection], None] | None,
) -> Ending | None:
    """One iteration: try steps, each more damped than the one before, until one reduces the objective."""
    point, unit = state.point, state.metric.unit
    jacobian = solve = evaluate = 0.0
    while True:
        made = _attempt(objective, state, settings)
        jacobian, solve, evaluate = (
            jacobian + made.seconds.jacobian, solve + made.seconds.solve, evaluate + made.seconds.evaluate
        )  # fmt: skip
        is_flat, new, gain_ratio = made.is_flat(point.cost), made.point, math.nan
        if made.predicted_reduction < math.inf:
            state.n_evaluations += 1
            gain_ratio = math.nan if is_flat else (point.cost - made.cost) / made.predicted_reduction
        if new is not None:
            improves = _halves_gradient(point, new) if is_flat else new.cost < point.cost
            if improves and is_finite(new):
                gain_ratio = math.nan if is_flat else (point.cost - new.cost) / made.predicted_reduction
                damping = state.damping.after(True, 1.0 if is_flat else gain_ratio, settings, state.metric.least_mu)
                step = Step(
                    made.theta, new, _kernels.norm(new.gradient), gain_ratio, damping, state.n_evaluations,
                    Seconds(jacobian, solve, evaluate), time.perf_counter(),
                )  # fmt: skip
                state.accept(step)
                return None
        if on_reject is not None:
            on_reject(Rejection(state.damping.mu / unit, gain_ratio, state.time()))
        state.damping = state.damping.after(False, gain_ratio, settings)
        if is_flat:
            return Ending.PRECISION
        if state.damping.mu > settings.mu_max * unit or math.isinf(state.damping.mu):
            return Ending.DAMPING
        if is_late(settings, state.start_time):
            return Ending.MAX_TIME


def _attempt(objective: Objective, state: OptimizerState, settings: OptimizerSettings) -> Attempt:
    """A step with the state's damping, its correction, F there and, if that is less, the normal equations."""
    clock, cost = time.perf_counter, state.point.cost
    start = clock()
    trial, predicted_reduction = state.damped_step()
    stepped = clock()
    if predicted_reduction == math.inf:
        return Attempt(trial, predicted_reduction, math.nan, None, Seconds(0.0, stepped - start, 0.0))
    is_flat = predicted_reduction <= RESOLUTION * cost
    if settings.acceleration and not is_flat:
        _bend(objective, state, trial)
    if settings.solve_output:
        trial, trial_cost = objective.solve_output(trial)
    else:
        trial_cost = objective.cost(trial)
    evaluated = clock()
    # A NaN fails this comparison, as it should. Gradient and Gram matrix can overflow where F does not.
    is_less = trial_cost < (1 + RESOLUTION * is_flat) * cost
    new = objective.linearize(trial) if is_less else None
    seconds = Seconds(clock() - evaluated, stepped - start, evaluated - stepped)
    return Attempt(trial, predicted_reduction, trial_cost, new, seconds)


def _bend(objective: Objective, state: OptimizerState, trial: np.ndarray) -> None:
    """Add the geodesic correction to the trial point: theta + v + 1/2 a follows the path that v is tangent to.

    M. K. Transtrum and J. P. Sethna, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares
    minimization", arXiv:1201.5885 (2012), eq. 9 and 15: (H + mu D) a = -J'r_vv, to be refused where |a| is not
    small against |v|, for then the expansion behind it does not hold. Refusing a keeps v: rejecting the
    whole step, as they do, cost more iterations than it saved here. A correction of a hundredth of the step still
    matters: leaving it out after steps whose gain ratio was within 0.01 of 1 took half as many iterations more.
    """
    curvature = objective.curvature(state.theta, state.step)
    state.solver.add_acceleration(state.point, state.metric.diagonal, curvature, MAX_ACCELERATION, state.step, trial)


def _halves_gradient(point: Any, new: Any) -> bool:
    return _kernels.norm(new.gradient) <= 0.5 * _kernels.norm(point.gradient)


def _ending(
    objective: Objective, state: OptimizerState, settings: OptimizerSettings, grad_norm: float
) -> Ending | None:
    if grad_norm <= settings.min_grad and not _is_plateau(objective, state, settings):
        return Ending.GRADIENT
    costs = state.costs
    if len(costs) > WINDOW and costs[-1 - WINDOW] - costs[-1] <= settings.tol * costs[-1 - WINDOW]:
        return Ending.REDUCTION
    if state.iteration >= settings.max_iter:
        return Ending.MAX_ITER
    if is_late(settings, state.start_time):
        return Ending.MAX_TIME
    return None


def is_late(settings: OptimizerSettings, start_time: float) -> bool:
    """Whether max_time has passed since `start_time`."""
    return settings.max_time is not None and time.perf_counter() - start_time >= settings.max_time


def _is_plateau(objective: Objective, state: OptimizerState, settings: OptimizerSettings) -> bool:
    """Whether a gradient is small although the model promises a way down: at a distance, not at a minimum.

    Where residuals vanish the promise is always all of F; there the size of F tells.
    """
    if state.point.cost <= settings.min_grad * objective.weight:
        return False
    state.settle(objective)
    _, predicted_reduction = state.damped_step()
    return max(settings.tol, RESOLUTION) * state.point.cost < predicted_reduction < math.inf
