"""The activations of hidden units: the registry, and phi, phi' and phi'' on one line of a block.

To add an activation, add

- its code and its entry of `ACTIVATIONS`;
- its branch in each of `activate`, `multiply_by_slope` and `propagate_derivatives`, where derivatives are written in
  terms of a = phi(z), because that is what a forward pass keeps: phi must be monotone. At +-inf it must give its bounds
  (mind inf / inf), and NaN must stay NaN;
- its row in `tests/reference.py`, with which tests compare it, and its name in the docstring of `LMRegressor` and in
  `doc/parameters.md`, which a test compares with the registry.
"""

import math
from typing import NamedTuple

import numpy as np

from .compile import jit, prefer_512bit
from .layout import CONTRACTED

IDENTITY, TANH, LOGISTIC, RELU, SOFTPLUS = range(5)


class Activation(NamedTuple):
    """An activation as Python code sees it."""

    code: int  # in the table `layout`
    # Half the width of the pre-activations in which phi is curved, the kink of relu included (about where phi' has
    # fallen to 0.4 of its maximum): initial weights of Nguyen and Widrow spread the units over it. 1 for tanh is the
    # choice of their paper; logistic(2 z) = (1 + tanh z) / 2 has the same shape twice as wide. (2 for tanh, as some
    # programs have it, took four times as many iterations on the multimodal curve of the examples.)
    active_range: float
    bounds: tuple[float, float]  # infimum and supremum of phi: a unit near a finite one is saturated


ACTIVATIONS = {
    "identity": Activation(IDENTITY, active_range=1.0, bounds=(-math.inf, math.inf)),
    "tanh": Activation(TANH, active_range=1.0, bounds=(-1.0, 1.0)),
    "logistic": Activation(LOGISTIC, active_range=2.0, bounds=(0.0, 1.0)),
    "relu": Activation(RELU, active_range=1.0, bounds=(0.0, math.inf)),
    "softplus": Activation(SOFTPLUS, active_range=2.0, bounds=(0.0, math.inf)),
}

# Constants of `_expm1_reduced`: log 2 in two parts, the first with zeros at its end, so that its product with k is
# exact; and 1.5 * 2^52, as a number and as bits.
LOG2_E = 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND_TO_INTEGER = 6755399441055744.0
ROUND_TO_INTEGER_BITS = 0x4338000000000000
# Coefficients 1 / n! of Taylor's series of expm1, the highest first; the compiler unrolls loops over constants.
EVEN, ODD = (tuple(1.0 / math.factorial(n) for n in range(last, 1, -2)) for last in (14, 13))


@jit(fastmath=CONTRACTED, forceinline=True)
def _expm1_reduced(y):
    """Return k and expm1(r) with y = k log 2 + r, |r| <= log(2) / 2 (the reduction of Cody and Waite)."""
    # Adding 1.5 * 2^52 rounds to an integer and leaves that integer in the low bits.
    shifted = y * LOG2_E + ROUND_TO_INTEGER
    k = shifted - ROUND_TO_INTEGER
    high, low = y - k * LOG_2_HIGH, k * LOG_2_LOW
    r = high - low
    lost = (high - r) - low  # the rounding error of r
    # expm1(r) = r + r^2 q, Taylor's series to a term below 2^-56 of r, even and odd powers side by side.
    r2 = r * r
    even, odd = EVEN[0], ODD[0]
    for coefficient in EVEN[1:]:
        even = even * r2 + coefficient
    for coefficient in ODD[1:]:
        odd = odd * r2 + coefficient
    return np.float64(shifted).view(np.int64) - ROUND_TO_INTEGER_BITS, r + (r2 * (even + r * odd) + lost)


@jit(forceinline=True)
def _power_of_two(k):
    """Return 2^k for -1022 <= k <= 1023, made of its bits."""
    return np.int64((k + 1023) << 52).view(np.float64)


@jit(fastmath=CONTRACTED)
def _tanh(z, count):
    """Replace z by tanh(z) within 2 ulp, vectorised (libm's cannot be vectorised and takes six times as long).

    tanh|x| = t / (t + 2) with t = expm1(2|x|) = 2^k expm1(r) + (2^k - 1), in which nothing cancels. Beyond |x| = 22 the
    result is 1.
    """
    prefer_512bit()
    for s in range(count):
        x = z[s]
        y = 2.0 * abs(x)
        y = 44.0 if y > 44.0 else y  # a NaN fails the comparison and stays NaN
        k, expm1_r = _expm1_reduced(y)
        power = _power_of_two(k)
        t = power * expm1_r + (power - 1.0)
        # t / d, corrected by the rounding errors of t + 2 and of the quotient: without the correction, 2.4 ulp.
        d = t + 2.0
        inverse = 1.0 / d
        ratio = t * inverse
        ratio += ((t - ratio * d) - ratio * (t - (d - 2.0))) * inverse
        z[s] = math.copysign(ratio, x)


@jit(fastmath=CONTRACTED)
def _logistic(z, count):
    """Replace z by 1 / (1 + exp(-z)) within 2 ulp, subnormal results included, vectorised.

    With e = exp(-|x|) <= 1 it is 1 / (1 + e) for x >= 0 and e / (1 + e) below: no overflow on either side.
    """
    prefer_512bit()
    for s in range(count):
        x = z[s]
        y = -abs(x)
        y = -750.0 if y < -750.0 else y  # exp is zero below; a NaN stays NaN
        k, expm1_r = _expm1_reduced(y)
        # k reaches -1082, where 2^k is not a normal number: it is the product of two powers.
        half = k >> 1
        power, rest = _power_of_two(half), _power_of_two(k - half)
        exp_r = 1.0 + expm1_r
        # e_low is the rounding error of exp_r, scaled like e.
        e, e_low = exp_r * power * rest, ((1.0 - exp_r) + expm1_r) * power * rest
        # t / d, corrected by the rounding errors of t, of d and of the quotient: without the correction, 2.2 ulp.
        t, t_low = (1.0, 0.0) if x >= 0.0 else (e, e_low)
        d = 1.0 + e
        inverse = 1.0 / d
        ratio = t * inverse
        z[s] = ratio + (((t - ratio * d) + t_low) - ratio * ((e - (d - 1.0)) + e_low)) * inverse


@jit(inline="always")
def activate(code, z, count):
    """Replace the first `count` pre-activations z by phi(z)."""
    if code == TANH:
        _tanh(z, count)
    elif code == LOGISTIC:
        _logistic(z, count)
    elif code == RELU:
        for s in range(count):
            if z[s] < 0.0:  # max(z, 0) would replace a NaN by 0
                z[s] = 0.0
    elif code == SOFTPLUS:
        for s in range(count):
            z[s] = (z[s] if z[s] > 0.0 else 0.0) + math.log1p(math.exp(-abs(z[s])))


@jit()
def activate_lines(code, z):
    """Replace a matrix z of pre-activations by phi(z)."""
    for line in range(z.shape[0]):
        activate(code, z[line], z.shape[1])


@jit(fastmath=CONTRACTED)
def multiply_by_slope(code, a, delta, count):
    """Multiply delta by phi'(z), given a = phi(z)."""
    prefer_512bit()
    if code == TANH:
        for s in range(count):
            delta[s] *= (1.0 - a[s]) * (1.0 + a[s])
    elif code == LOGISTIC:
        for s in range(count):
            delta[s] *= a[s] * (1.0 - a[s])
    elif code == RELU:
        for s in range(count):
            if a[s] <= 0.0:
                delta[s] = 0.0
    elif code == SOFTPLUS:
        for s in range(count):
            delta[s] *= -math.expm1(-a[s])


@jit(fastmath=CONTRACTED)
def propagate_derivatives(code, a, first, second, count):
    """Replace the first and second derivatives of z along a direction by those of a = phi(z).

    a' = phi'(z) z' and a'' = phi'(z) z'' + phi''(z) z'^2.
    """
    prefer_512bit()
    if code == TANH:
        for s in range(count):
            slope = (1.0 - a[s]) * (1.0 + a[s])
            second[s] = slope * (second[s] - 2.0 * a[s] * first[s] * first[s])
            first[s] *= slope
    elif code == LOGISTIC:
        for s in range(count):
            slope = a[s] * (1.0 - a[s])
            second[s] = slope * (second[s] + (1.0 - 2.0 * a[s]) * first[s] * first[s])
            first[s] *= slope
    elif code == RELU:
        for s in range(count):
            if a[s] <= 0.0:
                first[s] = 0.0
                second[s] = 0.0
    elif code == SOFTPLUS:
        for s in range(count):
            slope = -math.expm1(-a[s])
            second[s] = slope * (second[s] + (1.0 - slope) * first[s] * first[s])
            first[s] *= slope
