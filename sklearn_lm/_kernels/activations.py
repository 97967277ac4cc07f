"""The activations of hidden units: phi, phi' and phi'', each in place on one line of a block.

A derivative is written in terms of a = phi(z), since that is what a forward pass keeps.
"""

import math

import numpy as np

from .compile import jit, prefer_512bit
from .layout import CONTRACTED

IDENTITY, TANH, LOGISTIC, RELU, SOFTPLUS = range(5)
ACTIVATIONS = {
    "identity": IDENTITY,
    "tanh": TANH,
    "logistic": LOGISTIC,
    "relu": RELU,
    "softplus": SOFTPLUS,
}

# Constants of `_expm1_reduced`: log 2 in two parts, the first with zeros at its end, so that its product with k is
# exact; and 1.5 * 2^52, as a number and as bits.
LOG2_E = 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND_TO_INTEGER = 6755399441055744.0
ROUND_TO_INTEGER_BITS = 0x4338000000000000


@jit(fastmath=CONTRACTED, forceinline=True)
def _expm1_reduced(y):
    """k and expm1(r) with y = k log 2 + r, |r| <= log(2) / 2 (Cody and Waite's reduction)."""
    # Adding 1.5 * 2^52 rounds to an integer and leaves that integer in the low bits.
    shifted = y * LOG2_E + ROUND_TO_INTEGER
    k = shifted - ROUND_TO_INTEGER
    high, low = y - k * LOG_2_HIGH, k * LOG_2_LOW
    r = high - low
    lost = (high - r) - low  # the rounding error of r
    # expm1(r) = r + r^2 q, Taylor's series to a term below 2^-56 of r, even and odd powers side by side.
    r2 = r * r
    even = 1.0 / 87178291200.0
    even = even * r2 + 1.0 / 479001600.0
    even = even * r2 + 1.0 / 3628800.0
    even = even * r2 + 1.0 / 40320.0
    even = even * r2 + 1.0 / 720.0
    even = even * r2 + 1.0 / 24.0
    even = even * r2 + 0.5
    odd = 1.0 / 6227020800.0
    odd = odd * r2 + 1.0 / 39916800.0
    odd = odd * r2 + 1.0 / 362880.0
    odd = odd * r2 + 1.0 / 5040.0
    odd = odd * r2 + 1.0 / 120.0
    odd = odd * r2 + 1.0 / 6.0
    return np.float64(shifted).view(np.int64) - ROUND_TO_INTEGER_BITS, r + (r2 * (even + r * odd) + lost)


@jit(forceinline=True)
def _power_of_two(k):
    """2^k for -1022 <= k <= 1023, by its bits."""
    return np.int64((k + 1023) << 52).view(np.float64)


@jit(fastmath=CONTRACTED)
def _tanh(z, count):
    """tanh in place, vectorised, within 2 ulp (libm's cannot be vectorised and takes six times as long).

    tanh|x| = t / (t + 2) with t = expm1(2|x|) = 2^k expm1(r) + (2^k - 1), which cancels nowhere. Beyond |x| = 22 the
    result is 1.
    """
    prefer_512bit()
    for s in range(count):
        x = z[s]
        y = 2.0 * abs(x)
        y = 44.0 if y > 44.0 else y  # NaN fails the comparison and goes on
        k, expm1_r = _expm1_reduced(y)
        power = _power_of_two(k)
        t = power * expm1_r + (power - 1.0)
        # t / d, and once more with what the roundings of t + 2 and of the quotient took: without it, 2.4 ulp.
        d = t + 2.0
        inverse = 1.0 / d
        ratio = t * inverse
        ratio += ((t - ratio * d) - ratio * (t - (d - 2.0))) * inverse
        z[s] = math.copysign(ratio, x)


@jit(fastmath=CONTRACTED)
def _logistic(z, count):
    """1 / (1 + exp(-x)) in place, vectorised, within 2 ulp, subnormal results included.

    With e = exp(-|x|) <= 1 it is 1 / (1 + e) for x >= 0 and e / (1 + e) below: no overflow on either side.
    """
    prefer_512bit()
    for s in range(count):
        x = z[s]
        y = -abs(x)
        y = -750.0 if y < -750.0 else y  # exp is zero there; NaN goes on
        k, expm1_r = _expm1_reduced(y)
        # k reaches -1082, where 2^k is no normal number: in two halves.
        half = k >> 1
        power, rest = _power_of_two(half), _power_of_two(k - half)
        exp_r = 1.0 + expm1_r
        e, e_low = exp_r * power * rest, ((1.0 - exp_r) + expm1_r) * power * rest  # and what rounding took from it
        # t / d, and once more with what the roundings of t, of d and of the quotient took: without it, 2.2 ulp.
        t, t_low = (1.0, 0.0) if x >= 0.0 else (e, e_low)
        d = 1.0 + e
        inverse = 1.0 / d
        ratio = t * inverse
        z[s] = ratio + (((t - ratio * d) + t_low) - ratio * ((e - (d - 1.0)) + e_low)) * inverse


@jit(inline="always")
def activate(code, z, count):
    """Replace the pre-activations z by phi(z)."""
    if code == TANH:
        _tanh(z, count)
    elif code == LOGISTIC:
        _logistic(z, count)
    elif code == RELU:
        for s in range(count):
            if z[s] < 0.0:  # and not max(z, 0), which would turn a NaN into 0
                z[s] = 0.0
    elif code == SOFTPLUS:
        for s in range(count):
            z[s] = (z[s] if z[s] > 0.0 else 0.0) + math.log1p(math.exp(-abs(z[s])))


@jit()
def activate_lines(code, z):
    """phi of every line of a matrix, in place."""
    for line in range(z.shape[0]):
        activate(code, z[line], z.shape[1])


@jit(fastmath=CONTRACTED)
def multiply_by_slope(code, a, delta, count):
    """Multiply delta by phi'(z), written in terms of a = phi(z), which is what a forward pass keeps."""
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
def activation_derivatives(code, a, first, second, count):
    """From the first and second derivatives of z along a line to those of a = phi(z), in place.

    a' = phi'(z) z' and a'' = phi'(z) z'' + phi''(z) z'^2, with phi' and phi'' in terms of a.
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
