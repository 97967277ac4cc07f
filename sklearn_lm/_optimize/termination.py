"""Termination: why a fit ends, and the rules that the optimizer checks after each iteration."""

import enum
import math
import time

from .._kernels import LATE, NO_DIGITS, NO_STEP, RESOLUTION
from .objective import Objective
from .state import OptimizerSettings, OptimizerState

# Reductions of F are compared over this many accepted steps: a single small step proves nothing.
WINDOW = 5


class Ending(enum.Enum):
    """Why a fit stopped: a sentence, and a remedy if it could have gone on to a better point."""

    GRADIENT = "the gradient is not above min_grad", ""
    REDUCTION = f"the objective fell by less than tol over {WINDOW} iterations", ""
    PRECISION = "the objective changes by no more than its rounding error", ""
    DAMPING = "no step reduces the objective, with damping up to mu_max", ""
    GOAL = "the training error reached goal", ""
    EVIDENCE = "the evidence of the data did not rise any more", ""
    PATIENCE = "the validation error did not fall for n_iter_no_change iterations", ""
    MAX_ITER = "max_iter iterations were made", "Raise max_iter, or fit fewer units"
    MAX_TIME = "max_time seconds have passed", "Raise max_time"
    CALLBACK = "a callback asked to stop", ""
    INTERRUPTED = "interrupted", ""

    def __init__(self, sentence: str, remedy: str):
        self.sentence, self.remedy = sentence, remedy

    @property
    def converged(self) -> bool:
        """Whether there is nothing to remedy."""
        return not self.remedy


# Endings by the status of the last trial, see `_kernels.damping.decide`.
OF_STATUS = {NO_DIGITS: Ending.PRECISION, NO_STEP: Ending.DAMPING, LATE: Ending.MAX_TIME}


def check_termination(objective: Objective, state: OptimizerState, settings: OptimizerSettings) -> Ending | None:
    """Return the ending that applies at the current point, if any."""
    if state.grad_norm <= settings.min_grad and not _is_plateau(objective, state, settings):
        return Ending.GRADIENT
    costs = state.costs
    if len(costs) > WINDOW and costs[-1 - WINDOW] - costs[-1] <= settings.tol * costs[-1 - WINDOW]:
        return Ending.REDUCTION
    return check_limits(state, settings)


def check_limits(state: OptimizerState, settings: OptimizerSettings) -> Ending | None:
    """Return the ending of a fit that has no iterations or no seconds left."""
    if state.iteration >= settings.max_iter:
        return Ending.MAX_ITER
    return Ending.MAX_TIME if is_late(settings, state.start_time) else None


def is_late(settings: OptimizerSettings, start_time: float) -> bool:
    """Return whether max_time has passed since `start_time`."""
    return settings.max_time is not None and time.perf_counter() - start_time >= settings.max_time


def _is_plateau(objective: Objective, state: OptimizerState, settings: OptimizerSettings) -> bool:
    """Return whether the gradient is small far from a minimum: the quadratic model predicts a reduction of F.

    Vanishing residuals make the predicted reduction always all of F; then the size of F decides.
    """
    if state.point.cost <= settings.min_grad * objective.weight:
        return False
    state.settle(objective)
    return max(settings.tol, RESOLUTION) * state.point.cost < state.damped_step().predicted_reduction < math.inf
