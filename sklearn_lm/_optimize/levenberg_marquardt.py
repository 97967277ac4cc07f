"""Levenberg-Marquardt: damped step, gain ratio, damping, endings, for any `Objective`.

The step d solves (H + mu D) d = -g with H the Gram matrix and g the gradient (Levenberg 1944; Marquardt 1963), D the
damping scale (`damping.DampingScale`). Non-finite trial points, and matrices that have no Cholesky factor, are rejected
steps: the damping grows and the step shrinks. One iteration ends with one accepted step, so F never grows from a record
to the next. `_kernels.damping.decide` decides about every trial, in this loop and in the fused one of small problems.
"""

import math
import time
from collections.abc import Callable

import numpy as np

from .. import _kernels
from .._kernels import DampingRule, Trial
from .damping import Damping
from .linear_solvers import MAX_ACCELERATION, DampedStep
from .objective import Objective
from .state import OptimizerSettings, OptimizerState, Record, Rejection, Seconds, Step
from .termination import OF_STATUS, Ending, check_termination, is_late


# An objective may overflow at a trial point: that is a rejected step and not worth a warning. Entered once for all
# iterations, since it costs as much as the arithmetic of a small one.
@np.errstate(over="ignore", invalid="ignore")
def advance(
    objective: Objective, state: OptimizerState, settings: OptimizerSettings,
    listen: Callable[[Record], Ending | None] = lambda record: None, pause_at: int | None = None,
    on_reject: Callable[[Rejection], None] | None = None,
) -> Ending | None:  # fmt: skip
    """Iterate until something ends the fit, or until iteration `pause_at`.

    Parameters
    ----------
    objective : Objective
    state : OptimizerState
        Its point is the best one, whatever ended the fit.
    settings : OptimizerSettings
    listen : callable
        Called with the `Record` of every iteration; may return an `Ending` to stop.
    pause_at : int, optional
    on_reject : callable, optional
        Called with every `Rejection`.

    Returns
    -------
    Ending or None
        None at iteration `pause_at`.
    """
    scale = state.damping_scale
    rule = scale.rule(settings.damping, settings.mu_increase, settings.mu_decrease, settings.mu_max)
    is_fused = objective.iterate is not None and on_reject is None and not scale.follows_gram
    state.settle(objective)  # the last call may have been interrupted before it did
    try:
        while True:
            # 0 linearize: the state has the linearization of an accepted trial
            # 4 report
            if not state.is_reported:
                ending = listen(state.record()) or check_termination(objective, state, settings)
                state.is_reported = True
                if ending is not None:
                    return ending
            if state.iteration == pause_at:
                return None
            # 1 solve, 2 trial, 3 decide
            if scale.follows_gram:
                scale.update(state.point.diagonal())
            if is_fused:
                # A plateau is checked point by point: iterations made ahead would be made in vain.
                is_slow = state.norm <= settings.min_grad * objective.weight
                last = state.iteration + 1 if is_slow else pause_at
                ending = _next_step_ahead(objective, state, settings, rule, last)
            else:
                ending = _search_step(objective, state, settings, rule, on_reject)
            if ending is not None:
                return ending
    finally:
        state.settle(objective)


def _search_step(
    objective: Objective, state: OptimizerState, settings: OptimizerSettings, rule: DampingRule,
    on_reject: Callable[[Rejection], None] | None,
) -> Ending | None:  # fmt: skip
    """Make one iteration: try steps, each more damped than the one before, until one reduces the objective."""
    clock, spent, objective = time.perf_counter, np.zeros(3), objective.with_loss_scale(state.scale)
    while True:
        # 1 solve
        start = clock()
        damped = state.damped_step()
        solved = evaluated = clock()
        # 2 trial
        trial, new = Trial(damped.predicted_reduction, math.nan, math.nan, math.nan, False), None
        if damped.predicted_reduction < math.inf:
            theta, cost = _evaluate(objective, state, settings, damped)
            evaluated = clock()
            trial = trial._replace(cost=cost)
            # A NaN fails this comparison, as it should. Gradient and Gram matrix can overflow where F does not.
            if cost < _kernels.acceptable_cost(state.point.cost, damped.predicted_reduction):
                moved = objective.rescaled(theta)
                new = moved.linearize(theta)
                trial = Trial(*trial[:2], new.cost, _kernels.norm(new.gradient), new.is_finite())
            state.n_evaluations += 1
        spent += clock() - evaluated, solved - start, evaluated - solved
        # 3 decide
        status, gain_ratio, *damping = _kernels.decide(state.point.cost, state.norm, trial, *state.damping, rule)
        if status == _kernels.ACCEPTED and new is not None:
            how = Damping(*damping), state.n_evaluations, Seconds(*spent.tolist()), clock(), moved.loss_scale
            state.accept(Step(theta, new, trial.gradient_norm, gain_ratio, *how))
            return None
        if on_reject is not None:
            on_reject(Rejection(state.damping.mu / state.damping_scale.unit, gain_ratio, state.time()))
        state.damping = Damping(*damping)
        if status != _kernels.REJECTED:
            return OF_STATUS[status]
        if is_late(settings, state.start_time):
            return Ending.MAX_TIME


def _evaluate(
    objective: Objective, state: OptimizerState, settings: OptimizerSettings, damped: DampedStep
) -> tuple[np.ndarray, float]:
    """Return the trial point, with its acceleration and its linear part solved for, and its F.

    The geodesic acceleration a makes theta + v + 1/2 a follow the path that v is tangent to: M. K. Transtrum and
    J. P. Sethna, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization",
    arXiv:1201.5885 (2012), eq. 9 and 15: (H + mu D) a = -J'r_vv, to be left out if |a| is not small against |v|, for
    then the expansion behind it does not hold. Leaving a out keeps v: rejecting the whole step, as they do, cost more
    iterations than it saved. A correction of a hundredth of the step still matters: leaving it out after steps
    whose gain ratio was within 0.01 of 1 took half as many iterations more.
    """
    if settings.acceleration and not _kernels.is_flat(state.point.cost, damped.predicted_reduction):
        curvature = objective.curvature(state.theta, damped.step)
        state.solver.add_acceleration(state.point, curvature, damped)
    trial = damped.trial
    return objective.solve_output(trial) if settings.solve_output else (trial, objective.cost(trial))


# ---- iterations made ahead ----------------------------------------------------------------------------
def _next_step_ahead(
    objective: Objective, state: OptimizerState, settings: OptimizerSettings, rule: DampingRule, pause_at: int | None
) -> Ending | None:
    """Make one iteration, of those that the objective makes in one call."""
    while True:
        if state.ahead is None:
            assert objective.iterate is not None
            last = settings.max_iter if pause_at is None else min(pause_at, settings.max_iter)
            used = time.perf_counter() - state.start_time
            seconds = math.inf if settings.max_time is None else settings.max_time - used
            control = *state.damping, rule, settings.acceleration, settings.solve_output, MAX_ACCELERATION
            state.ahead = objective.iterate(state, control, max(1, last - state.iteration), seconds)
        ahead, i = state.ahead, state.iteration - state.ahead.first
        if i < len(ahead.steps):
            state.accept(ahead.steps[i])
            return None
        state.ahead = None
        if ahead.status in OF_STATUS:
            state.damping, state.n_evaluations = ahead.damping, ahead.n_evaluations
            return OF_STATUS[ahead.status]
