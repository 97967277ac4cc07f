"""Decision of a trial step: whether it is accepted, the damping after it, and whether the search for a step ends.

A further damping rule is an entry of `DAMPING_RULES` and a branch of `damping_after`; the compiled loop (`fused.py`)
and `levenberg_marquardt.advance` use it then.
"""

import math
from typing import NamedTuple

import numpy as np

from .compile import jit

NIELSEN, MARQUARDT = range(2)
DAMPING_RULES = {"nielsen": NIELSEN, "marquardt": MARQUARDT}
# Relative changes of F below this are its rounding errors.
RESOLUTION = 64 * float(np.finfo(np.float64).eps)
# Status of a trial, and of the search for a step: F has no digits left; damping has reached its end; max_time is over.
ACCEPTED, REJECTED, NO_DIGITS, NO_STEP, LATE = range(5)


class DampingRule(NamedTuple):
    """Rule by which mu follows the trials, and the range of mu."""

    code: int  # see `DAMPING_RULES`
    increase: float  # factors of Marquardt's rule
    decrease: float
    min_mu: float
    max_mu: float


class Trial(NamedTuple):
    """A trial point; it is linearised only if its F is small enough."""

    predicted_reduction: float  # of F by the quadratic model; infinite if there is no step
    cost: float
    linearized_cost: float  # F as the linearization has it: the same but for rounding errors
    gradient_norm: float
    is_finite: bool  # F, its gradient and H; False without a linearization


@jit()
def damping_after(is_accepted, gain_ratio, mu, growth, rule):
    """Return mu after a trial and the factor by which Nielsen's rule raises it after the next rejection.

    A rule keeps mu at `rule.min_mu` or above after a success; `decide` compares it with `rule.max_mu`. The gain ratio
    is 1 if F is flat, may be huge if a tiny reduction was predicted, and may be NaN after a rejection.
    """
    if rule.code == MARQUARDT:
        return (max(mu * rule.decrease, rule.min_mu), 2.0) if is_accepted else (mu * rule.increase, growth)
    if rule.code == NIELSEN:
        if not is_accepted:
            return mu * growth, growth * 2.0
        # H. B. Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05, eq. 2.5: a smooth function of the
        # gain ratio. Its cube overflows when a tiny reduction was predicted, hence the cap at 2.
        factor = max(1 / 3, 1 - (2 * min(gain_ratio, 2.0) - 1) ** 3)
        return max(mu * factor, rule.min_mu), 2.0
    return math.nan, growth  # a rule without a branch fails the tests


@jit()
def is_flat(cost, predicted_reduction):
    """Return whether F has no digits left to distinguish a better point from a worse one.

    The gradient still has: a minimum is known to half the digits by its F, and to nearly all of them by its gradient.
    """
    return predicted_reduction <= RESOLUTION * cost


@jit()
def acceptable_cost(cost, predicted_reduction):
    """Return the F below which a trial point is worth a linearization."""
    return (1.0 + RESOLUTION) * cost if is_flat(cost, predicted_reduction) else cost


@jit()
def decide(cost, gradient_norm, trial, mu, growth, rule):
    """Return the decision about a trial from a point with F = `cost`.

    Returns its status, the gain ratio (actual over predicted reduction; NaN if F does not resolve it), and mu and its
    growth after it. A point on which F is flat is accepted if it halves the norm of the gradient.
    """
    flat, gain_ratio = is_flat(cost, trial.predicted_reduction), math.nan
    is_accepted = trial.is_finite and trial.cost < acceptable_cost(cost, trial.predicted_reduction)
    if flat:
        is_accepted = is_accepted and trial.gradient_norm <= 0.5 * gradient_norm
    else:
        is_accepted = is_accepted and trial.linearized_cost < cost
        gain_ratio = (cost - (trial.linearized_cost if is_accepted else trial.cost)) / trial.predicted_reduction
    mu, growth = damping_after(is_accepted, 1.0 if flat else gain_ratio, mu, growth, rule)
    if is_accepted:
        return ACCEPTED, gain_ratio, mu, growth
    if flat:
        return NO_DIGITS, gain_ratio, mu, growth
    return (NO_STEP if mu > rule.max_mu or math.isinf(mu) else REJECTED), gain_ratio, mu, growth
