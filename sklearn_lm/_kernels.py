"""Every compiled loop: activations, forward pass, Jacobian rows, normal equations.

Kernels see arrays only. A network is its flat parameter vector `theta` and the integer table `layout`, one
row per layer with the columns named below; the order of `theta` is defined at the top of `_network.py`.

Rows of data are taken in blocks of `BLOCK`. Inside a block everything is *feature-major*: one line per unit (or
parameter), the samples of the block side by side. So each inner loop runs over contiguous samples.

Two layers (the number of slots depends on the number of rows alone, never on the number of threads):

- a serial body accumulates the blocks slot, slot + S, slot + 2 S, ... into the slot's own sums;
- a thin `prange` driver gives each slot its body and then adds the slots in order.

So the bits of a result do not depend on the number of threads, and the Jacobian of all rows never exists.
"""

import math

import numpy as np
from numba import prange

from ._jit import jit, two_ways

BLOCK = 256  # samples; a line of a block is 2 KiB, so a tile of lines stays in the first-level cache
MAX_SLOTS = 8
BAND = 24  # columns of a Cholesky factor

# Columns of `layout`.
N_IN, N_OUT, OFFSET, SOURCE, ACTIVATION = range(5)
# N_IN, N_OUT   units that the layer reads and makes
# OFFSET        where its parameters begin in theta
# SOURCE        line of its first input among the lines of all units; its own units follow its inputs
# ACTIVATION    code of its activation:
IDENTITY, TANH, LOGISTIC, RELU, SOFTPLUS = range(5)
ACTIVATIONS = {
    "identity": IDENTITY,
    "tanh": TANH,
    "logistic": LOGISTIC,
    "relu": RELU,
    "softplus": SOFTPLUS,
}

# Constants of `_tanh`: log 2 in two parts, the first with zeros at its end, so that its product with k is exact.
LOG2_E = 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND_TO_INTEGER = 6755399441055744.0

# Sums may be reordered and contracted to fused multiply-adds, which makes them vectorisable. Full fast-math is
# out of the question: it lets the compiler assume that NaN never occurs, and rejected steps rely on seeing NaN.
REORDERED = {"reassoc", "contract"}


# ---- one block ----------------------------------------------------------------------------------------
@jit(fastmath={"contract"})
def _tanh(z, count):
    """tanh in place, vectorised, within 2 ulp (libm's cannot be vectorised and takes six times as long).

    tanh|x| = t / (t + 2) with t = expm1(2|x|), which cancels nowhere. expm1 by Cody and Waite's reduction
    2|x| = k log 2 + r, |r| <= log(2) / 2, and expm1(2|x|) = 2^k expm1(r) + (2^k - 1). Beyond |x| = 22 the result is 1.
    """
    for s in range(count):
        x = z[s]
        y = 2.0 * abs(x)
        y = 44.0 if y > 44.0 else y  # NaN fails the comparison and goes on
        # Adding 1.5 * 2^52 rounds to an integer and leaves that integer in the low bits.
        shifted = y * LOG2_E + ROUND_TO_INTEGER
        k = shifted - ROUND_TO_INTEGER
        high, low = y - k * LOG_2_HIGH, k * LOG_2_LOW
        r = high - low
        lost = (high - r) - low  # the rounding error of r
        exponent = np.float64(shifted).view(np.int64) + 1023
        power = np.int64(exponent << 52).view(np.float64)  # 2^k
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
        expm1_r = r + (r2 * (even + r * odd) + lost)
        t = power * expm1_r + (power - 1.0)
        # t / d, and once more with what the roundings of t + 2 and of the quotient took: without it, 2.4 ulp.
        d = t + 2.0
        inverse = 1.0 / d
        ratio = t * inverse
        ratio += ((t - ratio * d) - ratio * (t - (d - 2.0))) * inverse
        z[s] = math.copysign(ratio, x)


@jit()
def _activate(code, z, count):
    """Replace the pre-activations z by phi(z)."""
    if code == TANH:
        _tanh(z, count)
    elif code == LOGISTIC:
        for s in range(count):
            # exp of a non-positive number only: no overflow on either side
            e = math.exp(-abs(z[s]))
            z[s] = (1.0 if z[s] >= 0.0 else e) / (1.0 + e)
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
        _activate(code, z[line], z.shape[1])


@jit()
def _times_slope(code, a, delta, count):
    """Multiply delta by phi'(z), written in terms of a = phi(z), which is what a forward pass keeps."""
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


@jit()
def _bend(code, a, first, second, count):
    """From the first and second derivatives of z along a line to those of a = phi(z), in place.

    a' = phi'(z) z' and a'' = phi'(z) z'' + phi''(z) z'^2, with phi' and phi'' in terms of a.
    """
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


@jit(fastmath=REORDERED)
def _dot(a, b, count):
    total = 0.0
    for s in range(count):
        total += a[s] * b[s]
    return total


@jit()
def _load(X, first, count, x_scaling, units):
    """Scale rows first, first + 1, ... of X and transpose them into the first lines of `units`."""
    for i in range(X.shape[1]):
        offset, scale = x_scaling[0, i], x_scaling[1, i]
        for s in range(count):
            units[i, s] = (X[first + s, i] - offset) / scale


@jit()
def _forward(theta, layout, units, count):
    """Fill the lines of all units after the inputs: a_j = phi(b_j + sum_i W_ji a_i), layer by layer."""
    for layer in range(layout.shape[0]):
        n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
        for j in range(layout[layer, N_OUT]):
            row = layout[layer, OFFSET] + j * (n_in + 1)
            z = units[source + n_in + j]
            bias = theta[row + n_in]
            for s in range(count):
                z[s] = bias
            for i in range(n_in):
                weight, a = theta[row + i], units[source + i]
                for s in range(count):
                    z[s] += weight * a[s]
            _activate(layout[layer, ACTIVATION], z, count)


@jit()
def _forward_rows(X, first, x_scaling, theta, layout, units):
    """Load the block of rows that begins at `first` and run it forward; its number of rows."""
    count = min(BLOCK, X.shape[0] - first)
    _load(X, first, count, x_scaling, units)
    _forward(theta, layout, units, count)
    return count


@jit()
def _select_output(output, n_outputs, root_weight, first, deltas, count):
    """Output lines of `deltas` for the derivatives of sqrt(w) f_output."""
    for j in range(n_outputs):
        line = deltas[deltas.shape[0] - n_outputs + j]
        for s in range(count):
            line[s] = root_weight[first + s] if j == output else 0.0


@jit()
def _backward(theta, layout, units, deltas, count):
    """From the derivatives of a scalar by the (linear) outputs to its derivatives by every pre-activation.

    The output lines of `deltas` are given, those of the hidden units are filled.
    """
    for layer in range(layout.shape[0] - 1, 0, -1):
        n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
        for i in range(n_in):
            delta = deltas[source + i]
            for s in range(count):
                delta[s] = 0.0
            for j in range(layout[layer, N_OUT]):
                weight = theta[layout[layer, OFFSET] + j * (n_in + 1) + i]
                above = deltas[source + n_in + j]
                for s in range(count):
                    delta[s] += weight * above[s]
            _times_slope(layout[layer - 1, ACTIVATION], units[source + i], delta, count)


@jit()
def _jacobian_lines(layout, units, deltas, jacobian, count):
    """Lines of sqrt(w) J for one output: the parameters of a unit have the derivatives delta * [a, 1]."""
    for layer in range(layout.shape[0]):
        n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
        for j in range(layout[layer, N_OUT]):
            row = layout[layer, OFFSET] + j * (n_in + 1)
            delta = deltas[source + n_in + j]
            for i in range(n_in):
                a, line = units[source + i], jacobian[row + i]
                for s in range(count):
                    line[s] = delta[s] * a[s]
            for s in range(count):
                jacobian[row + n_in, s] = delta[s]


@jit()
def _residual_line(Y, root_weight, first, output, f, residual, count):
    """sqrt(w) (f - y) of one output."""
    for s in range(count):
        residual[s] = root_weight[first + s] * (f[s] - Y[first + s, output])


@jit(fastmath=REORDERED)
def _tile(lines, j, k, start, stop):
    """Twelve dot products over [start, stop): lines j, ..., j + 3 with lines k, k + 1, k + 2.

    One scalar sum for each, which the compiler turns into full vectors of fused multiply-adds; seven lines read for
    twelve products, where a single product reads two.
    """
    a0, a1, a2, a3 = lines[j], lines[j + 1], lines[j + 2], lines[j + 3]
    b0, b1, b2 = lines[k], lines[k + 1], lines[k + 2]
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = s30 = s31 = s32 = 0.0
    for s in range(start, stop):
        s00 += a0[s] * b0[s]
        s01 += a0[s] * b1[s]
        s02 += a0[s] * b2[s]
        s10 += a1[s] * b0[s]
        s11 += a1[s] * b1[s]
        s12 += a1[s] * b2[s]
        s20 += a2[s] * b0[s]
        s21 += a2[s] * b1[s]
        s22 += a2[s] * b2[s]
        s30 += a3[s] * b0[s]
        s31 += a3[s] * b1[s]
        s32 += a3[s] * b2[s]
    return ((s00, s01, s02), (s10, s11, s12), (s20, s21, s22), (s30, s31, s32))


@jit()
def _add_gram(lines, n, count, gram):
    """gram += A'A for the first n of `lines`, lower triangle, in tiles of 4 x 3.

    `lines` has at least `n_padded(n)` lines: a tile at the edge reads past the n-th, and throws the products away.
    """
    for j in range(0, n, 4):
        for k in range(0, min(j + 4, n), 3):
            products = _tile(lines, j, k, 0, count)
            for dj in range(min(4, n - j)):
                for dk in range(min(3, j + dj + 1 - k)):
                    gram[j + dj, k + dk] += products[dj][dk]


@jit()
def n_padded(n):
    """Lines that a block needs for a Gram matrix of n of them."""
    return n + 4


# ---- one slot -----------------------------------------------------------------------------------------
@jit()
def n_slots_for(n_rows):
    """Number of slots: a function of the number of rows alone, so that results do not depend on threads."""
    return max(1, min(MAX_SLOTS, (n_rows + BLOCK - 1) // BLOCK))


@jit()
def n_units_in(layout):
    """Lines that a block needs: the inputs and every unit."""
    last = layout.shape[0] - 1
    return layout[last, SOURCE] + layout[last, N_IN] + layout[last, N_OUT]


@jit()
def _slot_squares(slot, n_slots, X, Y, root_weight, x_scaling, theta, layout, squares):
    n_rows, n_outputs = Y.shape
    units = np.empty((n_units_in(layout), BLOCK))
    residual = np.empty(BLOCK)
    squares[:] = 0.0
    for first in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = _forward_rows(X, first, x_scaling, theta, layout, units)
        for output in range(n_outputs):
            f = units[units.shape[0] - n_outputs + output]
            _residual_line(Y, root_weight, first, output, f, residual, count)
            squares[output] += _dot(residual, residual, count)


@jit()
def _slot_normal_equations(
    slot, n_slots, X, Y, root_weight, x_scaling, theta, layout, jacobian, squares, gradient, gram
):
    n_rows, n_outputs = Y.shape
    units = np.empty((n_units_in(layout), BLOCK))
    deltas = np.empty_like(units)
    residual = np.empty(BLOCK)
    squares[:], gradient[:], gram[:] = 0.0, 0.0, 0.0
    for first in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = _forward_rows(X, first, x_scaling, theta, layout, units)
        for output in range(n_outputs):
            f = units[units.shape[0] - n_outputs + output]
            _residual_line(Y, root_weight, first, output, f, residual, count)
            squares[output] += _dot(residual, residual, count)
            _select_output(output, n_outputs, root_weight, first, deltas, count)
            _backward(theta, layout, units, deltas, count)
            _jacobian_lines(layout, units, deltas, jacobian, count)
            for j in range(theta.size):
                gradient[j] += _dot(jacobian[j], residual, count)  # g = J'r
            _add_gram(jacobian, theta.size, count, gram)


@jit()
def _second_derivatives(theta, direction, layout, units, first, second, count):
    """First and second derivatives of every unit along `direction` in theta, after `_forward`.

    z' = W a' + V [a, 1] and z'' = W a'' + 2 V a', with [W | b] from theta and V from the direction.
    """
    for i in range(layout[0, N_IN]):
        for s in range(count):
            first[i, s] = 0.0
            second[i, s] = 0.0
    for layer in range(layout.shape[0]):
        n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
        for j in range(layout[layer, N_OUT]):
            row = layout[layer, OFFSET] + j * (n_in + 1)
            line = source + n_in + j
            z1, z2 = first[line], second[line]
            for s in range(count):
                z1[s] = direction[row + n_in]
                z2[s] = 0.0
            for i in range(n_in):
                w, v = theta[row + i], direction[row + i]
                a, a1, a2 = units[source + i], first[source + i], second[source + i]
                for s in range(count):
                    z1[s] += w * a1[s] + v * a[s]
                    z2[s] += w * a2[s] + 2.0 * v * a1[s]
            _bend(layout[layer, ACTIVATION], units[line], z1, z2, count)


@jit()
def _slot_curvature(slot, n_slots, X, root_weight, x_scaling, theta, direction, layout, n_outputs, gradient):
    n_rows = X.shape[0]
    units = np.empty((n_units_in(layout), BLOCK))
    first = np.empty_like(units)
    second = np.empty_like(units)
    gradient[:] = 0.0
    for start in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = _forward_rows(X, start, x_scaling, theta, layout, units)
        _second_derivatives(theta, direction, layout, units, first, second, count)
        # J'W r_vv is the gradient of a sum of squares whose residuals are r_vv: outputs first, then backward.
        for output in range(n_outputs):
            line = second[units.shape[0] - n_outputs + output]
            for s in range(count):
                line[s] *= root_weight[start + s] * root_weight[start + s]
        _backward(theta, layout, units, second, count)
        for layer in range(layout.shape[0]):
            n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
            for j in range(layout[layer, N_OUT]):
                row = layout[layer, OFFSET] + j * (n_in + 1)
                delta = second[source + n_in + j]
                for i in range(n_in):
                    gradient[row + i] += _dot(delta, units[source + i], count)
                for s in range(count):
                    gradient[row + n_in] += delta[s]


@jit()
def _slot_output_equations(slot, n_slots, X, Y, root_weight, x_scaling, theta, layout, squares, gradient, gram):
    n_rows, n_outputs = Y.shape
    last = layout.shape[0] - 1
    n_in, source = layout[last, N_IN], layout[last, SOURCE]
    units = np.empty((n_units_in(layout), BLOCK))
    basis = np.zeros((n_padded(n_in + 1), BLOCK))
    residual = np.empty(BLOCK)
    squares[:], gradient[:], gram[:] = 0.0, 0.0, 0.0
    for first in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = _forward_rows(X, first, x_scaling, theta, layout, units)
        for s in range(count):
            basis[n_in, s] = root_weight[first + s]
        for i in range(n_in):
            for s in range(count):
                basis[i, s] = root_weight[first + s] * units[source + i, s]
        _add_gram(basis, n_in + 1, count, gram)
        for output in range(n_outputs):
            _residual_line(Y, root_weight, first, output, units[source + n_in + output], residual, count)
            squares[output] += _dot(residual, residual, count)
            for i in range(n_in + 1):
                gradient[output, i] += _dot(basis[i], residual, count)


@jit()
def _slot_predict(slot, n_slots, X, x_scaling, y_scaling, theta, layout, f):
    n_rows, n_outputs = f.shape
    units = np.empty((n_units_in(layout), BLOCK))
    for first in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = _forward_rows(X, first, x_scaling, theta, layout, units)
        for output in range(n_outputs):
            line = units[units.shape[0] - n_outputs + output]
            for s in range(count):
                f[first + s, output] = y_scaling[0, output] + y_scaling[1, output] * line[s]


# ---- all slots ----------------------------------------------------------------------------------------
@jit()
def _sum_slots(slots):
    """Add slots 1, 2, ... to slot 0, in order; more dimensions than one are one long line."""
    lines = slots.reshape(slots.shape[0], -1)
    for slot in range(1, lines.shape[0]):
        for i in range(lines.shape[1]):
            lines[0, i] += lines[slot, i]


@two_ways
def sum_of_squares(X, Y, root_weight, x_scaling, theta, layout, squares):
    """squares[slot, o] = sum over the slot's rows of w (f_o - y_o)^2. As everywhere below, slot 0 has the total."""
    for slot in prange(squares.shape[0]):
        _slot_squares(slot, squares.shape[0], X, Y, root_weight, x_scaling, theta, layout, squares[slot])
    _sum_slots(squares)


@two_ways
def normal_equations(X, Y, root_weight, x_scaling, theta, layout, jacobian, squares, gradient, gram_slots, gram):
    """Per slot: sums of squares as above, gradient J'r and the lower triangle of J'J. `gram` is the whole of J'J.

    `jacobian` (n_slots, n_padded(n_parameters), BLOCK) is room for one block a slot.
    """
    for slot in prange(squares.shape[0]):
        _slot_normal_equations(
            slot, squares.shape[0], X, Y, root_weight, x_scaling, theta, layout,
            jacobian[slot], squares[slot], gradient[slot], gram_slots[slot],
        )  # fmt: skip
    _sum_slots(squares)
    _sum_slots(gradient)
    for j in range(gram.shape[0]):
        for k in range(j + 1):
            total = 0.0
            for slot in range(gram_slots.shape[0]):
                total += gram_slots[slot, j, k]
            gram[j, k] = total
            gram[k, j] = total


@two_ways
def output_equations(X, Y, root_weight, x_scaling, theta, layout, squares, gradient, gram):
    """The part of the normal equations in which the model is linear.

    Per slot: sums of squares; gradient[slot, o] by the output layer's [w_o, b_o]; and the lower triangle of the
    Gram matrix of [a, 1], the activations of the last hidden layer, which is the same for every output.
    """
    for slot in prange(squares.shape[0]):
        _slot_output_equations(
            slot, squares.shape[0], X, Y, root_weight, x_scaling, theta, layout,
            squares[slot], gradient[slot], gram[slot],
        )  # fmt: skip
    _sum_slots(squares)
    _sum_slots(gradient)
    _sum_slots(gram)


@two_ways
def curvature(X, root_weight, x_scaling, theta, direction, layout, n_outputs, gradient):
    """Per slot: J'W r_vv, with r_vv the second derivative of the residuals along `direction`."""
    for slot in prange(gradient.shape[0]):
        _slot_curvature(
            slot, gradient.shape[0], X, root_weight, x_scaling, theta, direction, layout, n_outputs, gradient[slot]
        )
    _sum_slots(gradient)


@two_ways
def predict(X, x_scaling, y_scaling, theta, layout, n_slots, f):
    """f[i, o] = y_offset_o + y_scale_o f_o(x_i), in the target's own units."""
    for slot in prange(n_slots):
        _slot_predict(slot, n_slots, X, x_scaling, y_scaling, theta, layout, f)


# ---- linear algebra -----------------------------------------------------------------------------------
@jit()
def cholesky(gram, diagonal, L):
    """Lower factor of gram + diag(diagonal) in the first lines of L (n_padded(n), n); False if there is none.

    Only the lower triangle of `gram` is read. LAPACK's factor has other last bits with another number of BLAS
    threads; this one has not. Rows of L are contiguous, so all the work is in dot products of rows, in tiles:
    L_ij = (A_ij - sum_{k<j} L_ik L_jk) / L_jj. In bands of columns, so that lines are used while they are near.
    """
    n = gram.shape[0]
    for i in range(n):
        for j in range(i + 1):
            L[i, j] = gram[i, j]
        L[i, i] += diagonal[i]
    for first in range(0, n, BAND):
        last = min(first + BAND, n)
        if first > 0:
            for i in range(first, n, 4):
                for j in range(first, min(last, i + 4), 3):
                    _subtract_tile(L, i, j, 0, first, n, last)
        for j in range(first, last, 3):
            end = min(j + 3, last)
            if j > first:
                for i in range(j, n, 4):
                    _subtract_tile(L, i, j, first, j, n, end)
            for c in range(j, end):
                pivot = L[c, c]
                for k in range(j, c):
                    pivot -= L[c, k] * L[c, k]
                if not pivot > 0.0:  # NaN included
                    return False
                root = math.sqrt(pivot)
                L[c, c] = root
                for i in range(c + 1, n):
                    value = L[i, c]
                    for k in range(j, c):
                        value -= L[i, k] * L[c, k]
                    L[i, c] = value / root
    return True


@jit()
def _subtract_tile(L, i, j, start, stop, n_rows, n_columns):
    products = _tile(L, i, j, start, stop)
    for di in range(min(4, n_rows - i)):
        for dj in range(min(3, n_columns - j, i + di + 1 - j)):
            L[i + di, j + dj] -= products[di][dj]


@jit()
def cholesky_solve(L, x):
    """Replace x by the solution of L L' x = x, L as `cholesky` left it."""
    n = x.size
    for i in range(n):
        x[i] = (x[i] - _dot(L[i], x, i)) / L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= L[i, i]
        for k in range(i):
            x[k] -= x[i] * L[i, k]


@jit()
def jacobian_rows(X, root_weight, x_scaling, theta, layout, n_outputs):
    """Whole matrix sqrt(w) J of the rows given, (n_rows * n_outputs, n_parameters): row i * n_outputs + o.

    For tests and for rows that are needed one by one; a fit never calls it.
    """
    units = np.empty((n_units_in(layout), BLOCK))
    deltas = np.empty_like(units)
    lines = np.empty((theta.size, BLOCK))
    rows = np.empty((X.shape[0] * n_outputs, theta.size))
    for first in range(0, X.shape[0], BLOCK):
        count = _forward_rows(X, first, x_scaling, theta, layout, units)
        for output in range(n_outputs):
            _select_output(output, n_outputs, root_weight, first, deltas, count)
            _backward(theta, layout, units, deltas, count)
            _jacobian_lines(layout, units, deltas, lines, count)
            for s in range(count):
                for j in range(theta.size):
                    rows[(first + s) * n_outputs + output, j] = lines[j, s]
    return rows
