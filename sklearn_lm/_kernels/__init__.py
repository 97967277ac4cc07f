"""Every compiled loop: activations, forward pass, normal equations, linear algebra.

Kernels see arrays only. A network is its flat parameter vector `theta` and the integer table `layout`, one
row per layer with the columns named below; the order of `theta` is defined at the top of `_network/topology.py`.

Rows of data are taken in blocks of `BLOCK`. Inside a block everything is *feature-major*: one line per unit (or
parameter), the samples of the block side by side. So each inner loop runs over contiguous samples. Each layer's
inputs are followed by a line of ones, so that a bias is the weight of one more input. A block that is not full
repeats its last row with weight zero up to a multiple of `VECTOR`: no loop has a tail.

Two layers (the number of slots depends on the number of rows alone, never on the number of threads):

- a serial body accumulates the blocks slot, slot + S, slot + 2 S, ... into the slot's own sums;
- a thin `prange` driver gives each slot its body and then adds the slots in order.

So the bits of a result do not depend on the number of threads, and the Jacobian of all rows never exists. A driver may
be called for a `part` of its work: some slots, some of their blocks, the sum in the last call of all
(`serial_and_parallel`).
The slots keep their sums from call to call, so these are the same.
How the Gram matrix is summed without one is told at the top of `_network/gram_tables.py`.
"""

import math

import numpy as np
from numba import prange

from .compile import BEGINS, ENDS, WHOLE, clock, jit, prefer_512bit, serial_and_parallel  # noqa: F401 (the first three: for callers)

BLOCK = 512  # samples; a tile of lines (7 x 4 KiB) stays in the first-level cache
VECTOR = 8  # samples in the widest vector
LINE = BLOCK + VECTOR  # length of a line in memory: lines a power of two apart would evict each other from the cache
STRIP = 64  # samples taken together where all parameters have a line each
MAX_SLOTS = 8
TILE_ROWS, TILE_COLUMNS = 4, 3  # of the Gram matrix, see `_add_tile`
DELTA_PANEL, INPUT_PANEL = 4, 96  # lines; the first stays in the first-level cache, the second in the next
UNITS = 4  # of a layer whose derivatives are made together, see `_combine_four`
BAND = 24  # columns of a Cholesky factor

# Columns of `layout`.
N_IN, N_OUT, OFFSET, SOURCE, ACTIVATION = range(5)
# N_IN, N_OUT   units that the layer reads and makes
# OFFSET        where its parameters begin in theta
# SOURCE        line of its first input; then come the line of ones and its own units
# ACTIVATION    code of its activation:
IDENTITY, TANH, LOGISTIC, RELU, SOFTPLUS = range(5)
ACTIVATIONS = {
    "identity": IDENTITY,
    "tanh": TANH,
    "logistic": LOGISTIC,
    "relu": RELU,
    "softplus": SOFTPLUS,
}

# Columns of `pairs`, one row per pair of layers, see `_network/gram_tables.py`.
D_FIRST, D_END, P_FIRST, P_END, AT, IS_SAME = range(6)

# Constants of `_expm1_reduced`: log 2 in two parts, the first with zeros at its end, so that its product with k is
# exact; and 1.5 * 2^52, as a number and as bits.
LOG2_E = 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUND_TO_INTEGER = 6755399441055744.0
ROUND_TO_INTEGER_BITS = 0x4338000000000000

# Relative to the largest diagonal entry. Along directions that the hidden units do not span, rounding errors of the
# gradient are magnified by its inverse; the part of a solution that it holds back is caught up with in the next
# iterations. From 1e-13 to 1e-6 the iterations to an error are the same (multimodal curve, friedman1, ripple).
OUTPUT_RIDGE = 1e-8

# Arguments of kernels. To numba a plain 0, 1, True or False is a type of its own, and a kernel that is called with one
# is compiled once more for it, with all that it calls; these have the type of any other number or flag.
START, NEXT = np.int64(0), np.int64(1)
STALE, SETS, TO_HIDDEN = np.bool_(False), np.bool_(False), np.bool_(False)
ADDS, ALL_OF_IT, TO_OUTPUTS = np.bool_(True), np.bool_(True), np.bool_(True)

# Numbers for indices that are never negative, see `_tile`.
UNSIGNED = np.uint64
ZERO, ONE, TWO, THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)

# A product and a sum may become one fused multiply-add; sums may be reordered, which makes them vectorisable. Full
# fast-math is out of the question: it lets the compiler assume that NaN never occurs, and rejected steps rely on
# seeing NaN.
CONTRACTED = {"contract"}
REORDERED = {"reassoc", "contract"}


# ---- activations --------------------------------------------------------------------------------------
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
def _activate(code, z, count):
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
        _activate(code, z[line], z.shape[1])


@jit(fastmath=CONTRACTED)
def _times_slope(code, a, delta, count):
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
def _bend(code, a, first, second, count):
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


# ---- one block: forward and backward ------------------------------------------------------------------
@jit(inline="always")
def _load(X, first, count, padded, x_scaling, units):
    """Scale rows first, first + 1, ... of X and transpose them into the first lines of `units`, padding included."""
    for i in range(X.shape[1]):
        offset, scale = x_scaling[0, i], x_scaling[1, i]
        for s in range(count):
            units[i, s] = (X[first + s, i] - offset) / scale
        units[i, count:padded] = units[i, count - 1]


@jit(fastmath=CONTRACTED)
def _combine(theta, begin, step, lines, n_lines, adds, out, count):
    """out = sum_i theta[begin + i step] lines_i, or += where it `adds`: four at a time, to load and store it less."""
    prefer_512bit()
    if not adds:
        for s in range(count):
            out[s] = 0.0
    tail = n_lines % 4
    for i in range(tail):
        w, a = theta[begin + i * step], lines[i]
        for s in range(count):
            out[s] += w * a[s]
    for i in range(tail, n_lines, 4):
        at = begin + i * step
        w0, w1, w2, w3 = theta[at], theta[at + step], theta[at + 2 * step], theta[at + 3 * step]
        a0, a1, a2, a3 = lines[i], lines[i + 1], lines[i + 2], lines[i + 3]
        for s in range(count):
            out[s] += w0 * a0[s] + w1 * a1[s] + w2 * a2[s] + w3 * a3[s]


@jit(fastmath=CONTRACTED)
def _combine_four(theta, begin, across, lines, first, n_lines, out, count):
    """out_j += sum_i theta[begin + j across + i] lines_i, i = first, first + 4, ... and the three after each.

    Four results of four terms at a time: a line that is read, often from the second-level cache, serves four sums.
    """
    prefer_512bit()
    z0, z1, z2, z3 = out[0], out[1], out[2], out[3]
    for i in range(first, n_lines, 4):
        at = begin + i
        u0, u1, u2, u3 = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
        at += across
        v0, v1, v2, v3 = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
        at += across
        w0, w1, w2, w3 = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
        at += across
        x0, x1, x2, x3 = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
        a0, a1, a2, a3 = lines[i], lines[i + 1], lines[i + 2], lines[i + 3]
        for s in range(count):
            a, b, c, d = a0[s], a1[s], a2[s], a3[s]
            z0[s] = z0[s] + u0 * a + u1 * b + u2 * c + u3 * d
            z1[s] = z1[s] + v0 * a + v1 * b + v2 * c + v3 * d
            z2[s] = z2[s] + w0 * a + w1 * b + w2 * c + w3 * d
            z3[s] = z3[s] + x0 * a + x1 * b + x2 * c + x3 * d


@jit()
def _combine_units(theta, begin, across, lines, n_lines, adds, out, n_out, count):
    """out_j = sum_i theta[begin + j across + i] lines_i for j < n_out <= UNITS, or += where it `adds`."""
    done = n_lines % 4 if n_out == UNITS else n_lines
    for j in range(n_out):
        _combine(theta, begin + j * across, NEXT, lines, done, adds, out[j], count)
    if done < n_lines:
        _combine_four(theta, begin, across, lines, done, n_lines, out, count)


@jit(inline="always")
def _forward_layer(layer, theta, layout, units, count):
    """Fill the lines of a layer's units: a_j = phi(b_j + sum_i W_ji a_i)."""
    n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
    for j in range(layout[layer, N_OUT]):
        z = units[source + n_weights + j]
        _combine(theta, layout[layer, OFFSET] + j * n_weights, NEXT, units[source:], n_weights, SETS, z, count)
        _activate(layout[layer, ACTIVATION], z, count)


@jit()
def _forward(X, first, x_scaling, theta, layout, units, is_fresh, to_outputs):
    """Run the block of rows that begins at `first` through all layers, or all hidden ones; its number of rows, and that
    with padding.

    Where `units` is fresh, it has all lines but the outputs already.
    """
    count = min(BLOCK, X.shape[0] - first)
    padded = (count + VECTOR - 1) // VECTOR * VECTOR
    if not is_fresh:
        _load(X, first, count, padded, x_scaling, units)
        for layer in range(layout.shape[0]):
            ones = units[layout[layer, SOURCE] + layout[layer, N_IN]]
            for s in range(padded):
                ones[s] = 1.0
    last = layout.shape[0] - 1
    for layer in range(last if is_fresh else 0, last + 1 if to_outputs else last):
        _forward_layer(layer, theta, layout, units, padded)
    return count, padded


@jit()
def forward_block(X, x_scaling, theta, layout, units):
    """Lines of all units for up to BLOCK rows; `units` is (n_units_in(layout), LINE)."""
    _forward(X, START, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)


@jit()
def _output_deltas(layout, output, weight_line, deltas, count):
    """Output lines of `deltas` for the derivatives of sqrt(w) f_output: sqrt(w) on its own, zero on the others."""
    for o in range(layout[layout.shape[0] - 1, N_OUT]):
        line = deltas[first_output(layout) + o]
        for s in range(count):
            line[s] = weight_line[s] if o == output else 0.0


@jit()
def _backward(theta, layout, units, deltas, count):
    """From the derivatives of a scalar by the (linear) outputs to its derivatives by every pre-activation.

    The output lines of `deltas` are given, those of the hidden units are filled.
    """
    for layer in range(layout.shape[0] - 1, 0, -1):
        n_in, source, n_out = layout[layer, N_IN], layout[layer, SOURCE], layout[layer, N_OUT]
        late = deltas[source + n_in + 1 :]
        for i in range(n_in):
            delta = deltas[source + i]
            _combine(theta, layout[layer, OFFSET] + i, n_in + 1, late, n_out, SETS, delta, count)
            _times_slope(layout[layer - 1, ACTIVATION], units[source + i], delta, count)


@jit()
def _weigh(root_weight, first, count, padded, weight_line):
    """Line of the square roots of the weights, zero for padding."""
    for s in range(count):
        weight_line[s] = root_weight[first + s]
    weight_line[count:padded] = 0.0


@jit()
def _residual_line(Y, first, output, f, weight_line, residual, count, padded):
    """sqrt(w) (f - y) of one output."""
    for s in range(count):
        residual[s] = weight_line[s] * (f[s] - Y[first + s, output])
    residual[count:padded] = 0.0


# ---- one block: sums over samples ---------------------------------------------------------------------
@jit(fastmath=REORDERED, forceinline=True)
def _tile(A, j, B, k, count):
    """Twelve dot products over the first `count` samples: lines j, ..., j + 3 of A with lines k, k + 1, k + 2 of B.

    One scalar sum for each, which the compiler turns into full vectors of fused multiply-adds; seven lines read for
    twelve products, where a single product reads two. (6 x 4 spills registers on AVX2.) All numbers are
    UNSIGNED: an index that may be negative, and mean one from the end, keeps a loop from being vectorised.
    """
    prefer_512bit()
    a0, a1, a2, a3 = A[j], A[j + ONE], A[j + TWO], A[j + THREE]
    b0, b1, b2 = B[k], B[k + ONE], B[k + TWO]
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = s30 = s31 = s32 = 0.0
    for s in range(count):
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
    return (s00, s01, s02), (s10, s11, s12), (s20, s21, s22), (s30, s31, s32)


@jit(forceinline=True)
def _add_tile(A, j, B, k, count, out, row, column):
    """out[row + dj, column + dk] += A[j + dj] . B[k + dk] for a whole tile; unsigned numbers."""
    t0, t1, t2, t3 = _tile(A, j, B, k, count)
    for t, line in ((t0, out[row]), (t1, out[row + ONE]), (t2, out[row + TWO]), (t3, out[row + THREE])):
        line[column] += t[0]
        line[column + ONE] += t[1]
        line[column + TWO] += t[2]


@jit()
def _add_products(A, n_a, B, n_b, count, out, row, column):
    """out[row:, column:] += A B' for the first n_a lines of A and n_b of B, in whole tiles.

    Tiles at the edges read up to three lines beyond, and write as many rows and columns, which mean nothing.
    """
    prefer_512bit()
    for k in range(ZERO, UNSIGNED(n_b), UNSIGNED(TILE_COLUMNS)):
        for j in range(ZERO, UNSIGNED(n_a), UNSIGNED(TILE_ROWS)):
            _add_tile(A, j, B, k, UNSIGNED(count), out, UNSIGNED(row) + j, UNSIGNED(column) + k)


@jit()
def _add_gram(lines, first, n, count, gram):
    """gram += A A' for the first n of `lines`, lower triangle, in whole tiles: `lines` and `gram` have n_padded(n).

    Rows before the `first` may be left out.
    """
    prefer_512bit()
    for j in range(UNSIGNED(first // TILE_ROWS * TILE_ROWS), UNSIGNED(n), UNSIGNED(TILE_ROWS)):
        for k in range(ZERO, min(j + UNSIGNED(TILE_ROWS), UNSIGNED(n)), UNSIGNED(TILE_COLUMNS)):
            _add_tile(lines, j, lines, k, UNSIGNED(count), gram, j, k)


@jit()
def n_padded(n):
    """Lines, rows or columns that whole tiles over n of them touch."""
    return n + TILE_ROWS


@jit(fastmath=CONTRACTED)
def _multiply_lines(factors, begin, end, lines, count, panel):
    """Lines begin, ..., end - 1 of a table of products, into `panel`: line d is sum_o of lines d_0 and d_1 of output o.

    Four at a time where they share their first factor, as most neighbours do: it is loaded once.
    """
    prefer_512bit()
    d = begin
    while d < end:
        line = factors[d, 0]
        is_four = d + 3 < end and factors[d + 3, 0] == line
        for o in range(lines.shape[0]):
            a = lines[o, line]
            if is_four:
                b0, b1 = lines[o, factors[d, 1]], lines[o, factors[d + 1, 1]]
                b2, b3 = lines[o, factors[d + 2, 1]], lines[o, factors[d + 3, 1]]
                at = d - begin
                c0, c1, c2, c3 = panel[at], panel[at + 1], panel[at + 2], panel[at + 3]
                if o == 0:
                    for s in range(count):
                        x = a[s]
                        c0[s] = x * b0[s]
                        c1[s] = x * b1[s]
                        c2[s] = x * b2[s]
                        c3[s] = x * b3[s]
                else:
                    for s in range(count):
                        x = a[s]
                        c0[s] += x * b0[s]
                        c1[s] += x * b1[s]
                        c2[s] += x * b2[s]
                        c3[s] += x * b3[s]
            else:
                b, c = lines[o, factors[d, 1]], panel[d - begin]
                if o == 0:
                    for s in range(count):
                        c[s] = a[s] * b[s]
                else:
                    for s in range(count):
                        c[s] += a[s] * b[s]
        d += 4 if is_four else 1


# ---- one slot -----------------------------------------------------------------------------------------
# What a slot does has one caller, its driver, and is compiled as a part of that ("inline"). So is whatever else has one
# caller in a usual fit, and neither `fastmath` nor `prefer_512bit`: numba optimises a kernel anew for each caller of
# its
# callers, so that a level less is seconds less in the first fit.
def n_slots_for(n_rows):
    """Number of slots: a function of the number of rows alone, so that results do not depend on threads.

    A power of two, with four blocks a slot or more where there are many: each slot has its own sums to clear and add.
    """
    n_blocks = (n_rows + BLOCK - 1) // BLOCK
    if n_blocks < 2:
        return 1
    n_slots = 2
    while n_slots < MAX_SLOTS and 8 * n_slots <= n_blocks:
        n_slots *= 2
    return n_slots


@jit(forceinline=True)
def _rows_of(slot, n_slots, rounds, n_rows):
    """First rows of the slot's blocks number rounds[0], ..., rounds[1] - 1."""
    stride = n_slots * BLOCK
    return range(slot * BLOCK + rounds[0] * stride, min(n_rows, rounds[1] * stride), stride)


@jit()
def n_units_in(layout):
    """Lines that a block needs: the inputs, a line of ones for each layer, and every unit."""
    return first_output(layout) + layout[layout.shape[0] - 1, N_OUT]


@jit()
def first_output(layout):
    """Line of the first output."""
    last = layout.shape[0] - 1
    return layout[last, SOURCE] + layout[last, N_IN] + 1


def n_scratch_lines(layout):
    """Lines of working room that one slot needs for any of the drivers below."""
    last, n_units = layout.shape[0] - 1, n_units_in(layout)
    n_outputs = layout[last, N_OUT]
    basis = n_padded(layout[last, N_IN] + 1 + n_outputs)
    return max(n_outputs * n_units + n_padded(n_units) + basis + DELTA_PANEL + INPUT_PANEL, 2 * n_padded(n_units) + 1)


@jit(inline="always")
def _slot_squares(slot, n_slots, begins, rounds, X, Y, root_weight, x_scaling, theta, layout, gram):
    n_rows, n_outputs = Y.shape
    units = np.empty((n_units_in(layout), LINE))
    lines = np.zeros((n_padded(n_outputs), LINE))
    weight_line = np.empty(LINE)
    if begins:
        gram[:] = 0.0
    for first in _rows_of(slot, n_slots, rounds, n_rows):
        count, padded = _forward(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        _weigh(root_weight, first, count, padded, weight_line)
        for output in range(n_outputs):
            f = units[first_output(layout) + output]
            _residual_line(Y, first, output, f, weight_line, lines[output], count, padded)
        _add_gram(lines, START, n_outputs, padded, gram)  # in tiles as below: all sums of squares have the same bits


@jit()
def _add_output_moments(Y, root_weight, first, layout, units, basis, count, padded, all_of_it, gram):
    """gram += the Gram matrix of sqrt(w) [a, 1, r]: what the output layer reads, and the residual of every output.

    If not `all_of_it`, the rows of r: what the gradient needs.
    """
    last, n_outputs = layout.shape[0] - 1, Y.shape[1]
    n_in, source = layout[last, N_IN], layout[last, SOURCE]
    weight_line = basis[n_in]
    _weigh(root_weight, first, count, padded, weight_line)
    for i in range(n_in):
        a, line = units[source + i], basis[i]
        for s in range(padded):
            line[s] = weight_line[s] * a[s]
    for o in range(n_outputs):
        _residual_line(Y, first, o, units[source + n_in + 1 + o], weight_line, basis[n_in + 1 + o], count, padded)
    _add_gram(basis, START if all_of_it else n_in + 1, n_in + 1 + n_outputs, padded, gram)


@jit(inline="always")
def _slot_output_moments(
    slot, n_slots, begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units, scratch, moments
):
    if begins:
        moments[:] = 0.0
    for first in _rows_of(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = _forward(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        _add_output_moments(Y, root_weight, first, layout, block, scratch, count, padded, ALL_OF_IT, moments)


@jit()
def _add_gradient(layout, n_layers, deltas, units, count, sums):
    """For each of the first layers, g_ji += sum_s delta_j a_i, in matrices with room for whole tiles."""
    at = START
    for layer in range(n_layers):
        n_weights, source, n_out = layout[layer, N_IN] + 1, layout[layer, SOURCE], layout[layer, N_OUT]
        place = _matrix_at(sums, at, n_out, n_weights)
        _add_products(deltas[source + n_weights :], n_out, units[source:], n_weights, count, place, START, START)
        at += place.size


@jit()
def _scatter_gradient(layout, n_layers, sums, gradient):
    """What `_add_gradient` has summed, in the order of theta."""
    at = START
    for layer in range(n_layers):
        n_weights, n_out = layout[layer, N_IN] + 1, layout[layer, N_OUT]
        place = _matrix_at(sums, at, n_out, n_weights)
        for j in range(n_out):
            row = layout[layer, OFFSET] + j * n_weights
            for i in range(n_weights):
                gradient[row + i] = place[j, i]
        at += place.size


@jit()
def n_gradient_sums(layout, n_layers):
    """Size of `sums` in the two functions above."""
    total = 0
    for layer in range(n_layers):
        total += n_padded(layout[layer, N_OUT]) * n_padded(layout[layer, N_IN] + 1)
    return total


@jit()
def _matrix_at(moments, at, n_rows, n_columns):
    """A matrix of products, with room for whole tiles, inside the flat array of a slot."""
    n_rows, n_columns = n_padded(n_rows), n_padded(n_columns)
    return moments[at : at + n_rows * n_columns].reshape((n_rows, n_columns))


@jit(inline="always")
def _add_pairs(pairs, delta_factors, input_factors, deltas, units, scratch, count, moments):
    """D P' of every pair of layers, see `_network/gram_tables.py`: products of deltas times products of what the
    layers read."""
    delta_panel, input_panel = scratch[:DELTA_PANEL], scratch[DELTA_PANEL:]
    inputs = units.reshape((1, units.shape[0], units.shape[1]))
    for pair in range(pairs.shape[0]):
        d_first, d_end = pairs[pair, D_FIRST], pairs[pair, D_END]
        p_first, p_end = pairs[pair, P_FIRST], pairs[pair, P_END]
        place = _matrix_at(moments, pairs[pair, AT], d_end - d_first, p_end - p_first)
        for p in range(p_first, p_end, INPUT_PANEL):
            n_p = min(INPUT_PANEL, p_end - p)
            _multiply_lines(input_factors, p, p + n_p, inputs, count, input_panel)
            for d in range(d_first, d_end, DELTA_PANEL):
                n_d = min(DELTA_PANEL, d_end - d)
                _multiply_lines(delta_factors, d, d + n_d, deltas, count, delta_panel)
                _add_products(delta_panel, n_d, input_panel, n_p, count, place, d - d_first, p - p_first)


@jit(inline="always")
def _weigh_deltas(layout, deltas, residuals, weighted, count):
    """sum_o delta_jo r_o of every hidden unit."""
    last = layout.shape[0] - 1
    for line in range(layout[0, SOURCE] + layout[0, N_IN] + 1, layout[last, SOURCE] + layout[last, N_IN]):
        out = weighted[line]
        for s in range(count):
            out[s] = deltas[0, line, s] * residuals[0, s]
        for o in range(1, deltas.shape[0]):
            for s in range(count):
                out[s] += deltas[o, line, s] * residuals[o, s]


@jit(inline="always")
def _slot_normal_equations(
    slot, n_slots, begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
    pairs, delta_factors, input_factors, scratch, moments,
):  # fmt: skip
    n_outputs, n_lines, last = Y.shape[1], n_units_in(layout), layout.shape[0] - 1
    n_basis = layout[last, N_IN] + 1
    deltas = scratch[: n_outputs * n_lines].reshape((n_outputs, n_lines, LINE))
    weighted = scratch[n_outputs * n_lines :]
    basis = weighted[n_padded(n_lines) :]
    panels = basis[n_padded(n_basis + n_outputs) :]
    output_gram = _matrix_at(moments, START, n_basis + n_outputs, n_basis + n_outputs)
    has_gram = last == 0 or pairs.shape[0] > 0  # or the gradient alone is wanted
    if begins:
        moments[:] = 0.0
    for first in _rows_of(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = _forward(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        _add_output_moments(Y, root_weight, first, layout, block, basis, count, padded, has_gram, output_gram)
        if last == 0:
            continue
        for output in range(n_outputs):
            _output_deltas(layout, output, basis[n_basis - 1], deltas[output], padded)
            _backward(theta, layout, block, deltas[output], padded)
        _weigh_deltas(layout, deltas, basis[n_basis:], weighted, padded)
        _add_gradient(layout, last, weighted, block, padded, moments[output_gram.size :])
        _add_pairs(pairs, delta_factors, input_factors, deltas, block, panels, padded, moments)


@jit(fastmath=CONTRACTED)
def _second_derivatives(theta, direction, layout, units, first, second, count):
    """First and second derivatives of every unit along `direction` in theta, after a forward pass.

    z' = W a' + V [a, 1] and z'' = W a'' + 2 V a', with [W | b] from theta and V from the direction.
    """
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        n_in, below = n_weights - 1, units[source:]
        for tile in range(0, layout[layer, N_OUT], UNITS):
            at, begin = source + n_weights + tile, layout[layer, OFFSET] + tile * n_weights
            z1, z2, n = first[at:], second[at:], min(UNITS, layout[layer, N_OUT] - tile)
            _combine_units(direction, begin, n_weights, below, n_weights, SETS, z1, n, count)
            if layer == 0:  # neither data nor the line of ones moves with theta
                z2[:n, :count] = 0.0
            else:
                _combine_units(direction, begin, n_weights, first[source:], n_in, SETS, z2, n, count)
                for j in range(n):
                    for s in range(count):
                        z2[j, s] *= 2.0
                _combine_units(theta, begin, n_weights, first[source:], n_in, ADDS, z1, n, count)
                _combine_units(theta, begin, n_weights, second[source:], n_in, ADDS, z2, n, count)
            for j in range(n):
                _bend(layout[layer, ACTIVATION], units[at + j], z1[j], z2[j], count)


@jit(inline="always")
def _slot_curvature(
    slot,
    n_slots,
    begins,
    rounds,
    X,
    root_weight,
    x_scaling,
    theta,
    direction,
    layout,
    is_fresh,
    units,
    n_outputs,
    scratch,
    sums,
):
    n_lines = n_padded(n_units_in(layout))
    first, second = scratch[:n_lines], scratch[n_lines : 2 * n_lines]
    weight_line = scratch[2 * n_lines]
    if begins:
        sums[:] = 0.0
    for start in _rows_of(slot, n_slots, rounds, X.shape[0]):
        block = units[start // BLOCK % units.shape[0]]
        count, padded = _forward(X, start, x_scaling, theta, layout, block, is_fresh, TO_HIDDEN)
        _second_derivatives(theta, direction, layout, block, first, second, padded)
        # J'W r_vv is the gradient of a sum of squares whose residuals are r_vv: outputs first, then backward.
        _weigh(root_weight, start, count, padded, weight_line)
        for output in range(n_outputs):
            line = second[first_output(layout) + output]
            for s in range(padded):
                line[s] *= weight_line[s] * weight_line[s]
        _backward(theta, layout, block, second, padded)
        _add_gradient(layout, layout.shape[0], second, block, padded, sums)


@jit(inline="always")
def _slot_predict(slot, n_slots, rounds, X, x_scaling, y_scaling, theta, layout, f):
    n_rows, n_outputs = f.shape
    units = np.empty((n_units_in(layout), LINE))
    for first in _rows_of(slot, n_slots, rounds, n_rows):
        count, _ = _forward(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        for output in range(n_outputs):
            line = units[first_output(layout) + output]
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


@serial_and_parallel(slots="grams", block=BLOCK)
def sum_of_squares(part, X, Y, root_weight, x_scaling, theta, layout, grams, squares):
    """squares[o] = sum of w (f_o - y_o)^2.

    As in all drivers below each slot adds up products of its own, here in `grams` (n_slots, n, n),
    n = n_padded(n_outputs), and slot 0 has the total at the end. `part` is what `serial_and_parallel` says it is.
    """
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], grams.shape[0])):
        _slot_squares(slot, grams.shape[0], begins, rounds, X, Y, root_weight, x_scaling, theta, layout, grams[slot])
    if ends:
        _sum_slots(grams)
        for o in range(squares.size):
            squares[o] = grams[0, o, o]


@serial_and_parallel(slots="moments", block=BLOCK)
def normal_equations(
    part, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
    pairs, delta_factors, input_factors, scratch, moments, penalty_diag, squares, gradient, gram,
):  # fmt: skip
    """Sums of squares, gradient J'r + penalty and the lower triangle of J'J + penalty; returns F.

    Parameters
    ----------
    is_fresh : bool
        `units` (n_rooms, n_units, LINE) has the hidden units of this theta: block b in room b modulo n_rooms.
    pairs, delta_factors, input_factors : integer tables
        See `_network/gram_tables.py`.
    scratch : (n_slots, n_lines, LINE)
        Room for one block a slot: `n_scratch_lines`.
    moments : (n_slots, n_moments)
        Sums of products of one slot.
    penalty_diag : (n_parameters,)
        Of the penalty 1/2 sum_j strength_j theta_j^2.
    squares, gradient, gram : results
    """
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], moments.shape[0])):
        _slot_normal_equations(
            slot, moments.shape[0], begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
            pairs, delta_factors, input_factors, scratch[slot], moments[slot],
        )  # fmt: skip
    if not ends:
        return math.nan
    _sum_slots(moments)
    return finish_normal_equations(
        theta, layout, pairs, delta_factors, input_factors, moments[0], penalty_diag, squares, gradient, gram
    )


@jit(inline="always")
def finish_normal_equations(
    theta, layout, pairs, delta_factors, input_factors, moments, penalty_diag, squares, gradient, gram
):
    """What `normal_equations` gives, from the products that all rows have added to."""
    n_output_moments = _scatter_output_moments(layout, moments, squares, gradient, gram)
    _scatter_gradient(layout, layout.shape[0] - 1, moments[n_output_moments:], gradient)
    _scatter_pairs(pairs, delta_factors, input_factors, moments, gram)
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
        gram[j, j] += penalty_diag[j]
    return total_cost(squares, penalty_diag, theta)


@jit()
def total_cost(squares, penalty_diag, theta):
    """F = 1/2 sum_o squares_o + 1/2 sum_j strength_j theta_j^2."""
    cost = 0.0
    for o in range(squares.size):
        cost += 0.5 * squares[o]
    for j in range(theta.size):
        cost += 0.5 * penalty_diag[j] * theta[j] * theta[j]
    return cost


@jit(inline="always")
def _scatter_output_moments(layout, moments, squares, gradient, gram):
    """From the Gram matrix of sqrt(w) [a, 1, r]: the output layer's blocks are the same for every output.

    Returns the number of moments that this matrix takes.
    """
    last, n_outputs = layout.shape[0] - 1, squares.size
    n_basis, offset = layout[last, N_IN] + 1, layout[last, OFFSET]
    products = _matrix_at(moments, START, n_basis + n_outputs, n_basis + n_outputs)
    for o in range(n_outputs):
        row = offset + o * n_basis
        squares[o] = products[n_basis + o, n_basis + o]
        for i in range(n_basis):
            gradient[row + i] = products[n_basis + o, i]
            gram[row + i, offset:row] = 0.0
            for k in range(i + 1):
                gram[row + i, row + k] = products[i, k]
    return products.size


@jit(inline="always")
def _scatter_pairs(pairs, delta_factors, input_factors, moments, gram):
    """gram[(k, h), (j, i)] = (D P')[(j, k), (i, h)], where k, h are of the later layer; the lower triangle."""
    for pair in range(pairs.shape[0]):
        d_first, p_first, p_end = pairs[pair, D_FIRST], pairs[pair, P_FIRST], pairs[pair, P_END]
        products = _matrix_at(moments, pairs[pair, AT], pairs[pair, D_END] - d_first, p_end - p_first)
        is_same = pairs[pair, IS_SAME] == 1
        for d in range(d_first, pairs[pair, D_END]):
            column, row = delta_factors[d, 2], delta_factors[d, 3]
            line = products[d - d_first]
            for p in range(p_first, p_end):
                i, h = input_factors[p, 2], input_factors[p, 3]
                gram[row + h, column + i] = line[p - p_first]
                if is_same and row > column:  # a product of i and h is one of h and i
                    gram[row + i, column + h] = line[p - p_first]


@serial_and_parallel(slots="moments", block=BLOCK)
def solve_output(
    part, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units, scratch, moments, penalty_diag, solved
):
    """`solved` = theta with its output layer solved for by penalised least squares; returns F there.

    Variable projection in its plainest form (Golub & Pereyra 1973). The equations are those of the *change* of
    the output layer, so their right-hand side is the gradient, which is exact where the solution is near. `moments`
    is (n_slots, n, n), n = n_padded(n_basis + n_outputs); the other arguments are those of `normal_equations`.
    """
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], moments.shape[0])):
        _slot_output_moments(
            slot, moments.shape[0], begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
            scratch[slot], moments[slot],
        )  # fmt: skip
    if not ends:
        return math.nan
    _sum_slots(moments)
    return solve_output_moments(layout, moments[0], Y.shape[1], penalty_diag, theta, solved)


@jit(inline="always")
def solve_output_moments(layout, products, n_outputs, penalty_diag, theta, solved):
    """What `solve_output` gives, from the products that all rows have added to."""
    last = layout.shape[0] - 1
    n_basis, offset = layout[last, N_IN] + 1, layout[last, OFFSET]
    squares = np.empty(n_outputs)
    for o in range(n_outputs):
        squares[o] = products[n_basis + o, n_basis + o]
    cost = total_cost(squares, penalty_diag, theta)
    for j in range(theta.size):
        solved[j] = theta[j]
    largest = 0.0
    for i in range(n_basis):
        products[i, i] += penalty_diag[offset + i]  # the same for every output
        if products[i, i] > largest:
            largest = products[i, i]
    L = np.zeros((n_padded(n_basis), n_padded(n_basis)))
    if not cholesky(products[:n_basis], OUTPUT_RIDGE * largest, np.ones(n_basis), L):
        return cost
    change = np.empty(n_basis)
    for o in range(n_outputs):
        row, total = offset + o * n_basis, 0.0
        for i in range(n_basis):
            change[i] = -(products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i])
        cholesky_solve(L, change)
        for i in range(n_basis):
            solved[row + i] = theta[row + i] + change[i]
            total += (products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i]) * change[i]
        # F is quadratic in the output layer: F + g'd + 1/2 d'Gd, where Gd = -g but for the tiny ridge.
        cost += 0.5 * total
    return cost


@serial_and_parallel(slots="sums", block=BLOCK)
def curvature(
    part, X, root_weight, x_scaling, theta, direction, layout, is_fresh, units, n_outputs, scratch, sums, gradient
):
    """gradient = J'W r_vv, with r_vv the second derivative of the residuals along `direction`."""
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], sums.shape[0])):
        _slot_curvature(
            slot, sums.shape[0], begins, rounds, X, root_weight, x_scaling, theta, direction, layout, is_fresh, units,
            n_outputs, scratch[slot], sums[slot],
        )  # fmt: skip
    if ends:
        _sum_slots(sums)
        _scatter_gradient(layout, layout.shape[0], sums[0], gradient)


@serial_and_parallel(slots="n_slots", block=BLOCK)
def predict(part, X, x_scaling, y_scaling, theta, layout, n_slots, f):
    """f[i, o] = y_offset_o + y_scale_o f_o(x_i), in the target's own units."""
    slots, rounds, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_predict(slot, n_slots, rounds, X, x_scaling, y_scaling, theta, layout, f)


@jit()
def total_of_slots(slots):
    """What a driver has left in its slots when it was not told that its sums end: their total, as a vector."""
    _sum_slots(slots)
    return slots.reshape(slots.shape[0], -1)[0].copy()


@jit()
def gradient_of_sums(layout, sums, gradient):
    """What `curvature` gives, from the products that all rows have added to."""
    _scatter_gradient(layout, layout.shape[0], sums, gradient)


# ---- linear algebra -----------------------------------------------------------------------------------
@jit()
def cholesky(gram, mu, diagonal, L):
    """Lower factor of gram + mu diag(diagonal) in the first lines of L; False if there is none.

    Only the lower triangle of `gram` is read. L has n_padded(n) rows and as many columns or more, zeros past the n-th
    row at first; beside the factor it is left with numbers that mean nothing. LAPACK's factor has other last bits with
    another number of BLAS threads; this one has not. L_ij = (A_ij - sum_{k<j} L_ik L_jk) / L_jj, in bands of columns:
    nearly all the work is in the part of the sum that lies left of the band, which is dot products of rows, in tiles.
    These add, so that until its band is factored an entry has its sign changed.
    """
    prefer_512bit()
    n = diagonal.size
    for i in range(n):
        for j in range(i + 1):
            L[i, j] = -gram[i, j]
        L[i, i] -= mu * diagonal[i]
        L[i, i + 1 : i + TILE_ROWS + TILE_COLUMNS] = 0.0  # where tiles reach across the diagonal
    lines = np.empty((BAND, n))
    for first in range(0, n, BAND):
        last = min(first + BAND, n)
        if first > 0:
            for i in range(UNSIGNED(first), UNSIGNED(n), UNSIGNED(TILE_ROWS)):
                for j in range(UNSIGNED(first), min(UNSIGNED(last), i + UNSIGNED(TILE_ROWS)), UNSIGNED(TILE_COLUMNS)):
                    _add_tile(L, i, L, j, UNSIGNED(first), L, i, j)
        if not _factor_band(L, first, last, n, lines):
            return False
    return True


@jit(fastmath=CONTRACTED)
def _factor_band(L, first, last, n, lines):
    """Columns first, ..., last - 1 from what is left of them, as contiguous `lines`; False if there is no factor."""
    prefer_512bit()
    count = n - first
    for i in range(count):
        for c in range(min(last - first, i + 1)):
            lines[c, i] = -L[first + i, first + c]
    for c in range(last - first):
        line, pivot = lines[c, c:], lines[c, c]
        if not pivot > 0.0:  # NaN included
            return False
        scale = 1.0 / math.sqrt(pivot)
        for i in range(count - c):
            line[i] *= scale
        for k in range(1, last - first - c):
            factor, other, rest = line[k], lines[c + k, c + k :], line[k:]
            for i in range(count - c - k):
                other[i] -= factor * rest[i]
    for i in range(count):
        for c in range(min(last - first, i + 1)):
            L[first + i, first + c] = lines[c, i]
    return True


@jit(inline="always")
def damped_step(gram, gradient, mu, diagonal, L, theta, step, trial):
    """step = -(gram + mu D)^-1 gradient and trial = theta + step, with L left as the factor.

    Returns the reduction of F that the quadratic model promises, -g'd - 1/2 d'Hd = 1/2 d'(mu D d - g); infinity, a
    promise of nothing, where there is no factor or no finite step.
    """
    if not cholesky(gram, mu, diagonal, L):
        return math.inf
    for j in range(step.size):
        step[j] = -gradient[j]
    cholesky_solve(L, step)
    return take_step(gradient, mu, diagonal, theta, step, trial)


@jit(inline="always")
def take_step(gradient, mu, diagonal, theta, step, trial):
    """trial = theta + step, and what the step promises, see `damped_step`."""
    predicted_reduction = 0.0
    for j in range(step.size):
        predicted_reduction += 0.5 * step[j] * (mu * diagonal[j] * step[j] - gradient[j])
        trial[j] = theta[j] + step[j]
    return predicted_reduction if math.isfinite(predicted_reduction) else math.inf


@jit()
def dual_factor(jacobian, damping, scaled, gram, L):
    """L = the factor of I + J M^-1 J', M = diag(damping); False if there is none.

    `scaled` gets J M^-1/2. Like those of J its rows have a multiple of VECTOR columns, zeros at their ends, and `gram`
    and `scaled` have rows for whole tiles.
    """
    n, root = jacobian.shape[0], np.empty(damping.size)
    for j in range(damping.size):
        root[j] = 1.0 / math.sqrt(damping[j])
    for i in range(n):
        for j in range(damping.size):
            scaled[i, j] = jacobian[i, j] * root[j]
    gram[:] = 0.0
    _add_gram(scaled, START, n, scaled.shape[1], gram)
    return cholesky(gram, 1.0, np.ones(n), L)


@jit()
def dual_solve(jacobian, damping, L, x):
    """Replace x by (J'J + M)^-1 x, with L as `dual_factor` left it: M^-1 x - M^-1 J' (I + J M^-1 J')^-1 J M^-1 x."""
    for j in range(x.size):
        x[j] /= damping[j]
    right = np.empty(jacobian.shape[0])
    for i in range(right.size):
        right[i] = _dot(jacobian[i], x, x.size)
    _subtract_dual(jacobian, damping, L, right, x)


@jit()
def dual_step(jacobian, residual, penalty_diag, damping, mu, diagonal, scaled, gram, L, gradient, theta, step, trial):
    """What `damped_step` does, by a system of as many equations as there are residuals.

    With M = S + mu D = diag(damping), what is not J'J, and g = J'r + S theta, the step -(J'J + M)^-1 g is

        -z - M^-1 J' (I + J M^-1 J')^-1 (r - J z),   z = M^-1 S theta

    (Woodbury's identity, written so that nothing large cancels as mu falls).
    """
    if not dual_factor(jacobian, damping, scaled, gram, L):
        return math.inf
    for j in range(theta.size):
        step[j] = -penalty_diag[j] * theta[j] / damping[j]
    right = np.empty(residual.size)
    for i in range(residual.size):
        right[i] = residual[i] + _dot(jacobian[i], step, theta.size)
    _subtract_dual(jacobian, damping, L, right, step)
    return take_step(gradient, mu, diagonal, theta, step, trial)


@jit()
def _subtract_dual(jacobian, damping, L, right, x):
    """x -= M^-1 J' (I + J M^-1 J')^-1 right, with L as `dual_factor` left it; `right` is overwritten."""
    cholesky_solve(L, right)
    product = np.zeros(x.size)
    for i in range(right.size):
        for j in range(x.size):
            product[j] += jacobian[i, j] * right[i]
    for j in range(x.size):
        x[j] -= product[j] / damping[j]


@jit()
def add_dual_acceleration(jacobian, damping, diagonal, L, bend, largest, step, trial):
    """What `add_acceleration` does, after `dual_step`: J' bend takes the place of `curvature`."""
    acceleration = np.zeros(step.size)
    _subtract_dual(jacobian, damping, L, bend, acceleration)
    add_half(acceleration, diagonal, largest, step, trial)


@jit(inline="always")
def add_acceleration(L, curvature, diagonal, largest, step, trial):
    """trial += a / 2 with a = -(gram + mu D)^-1 curvature, if |a| <= largest |step| in the norm of D."""
    for j in range(step.size):
        curvature[j] = -curvature[j]
    cholesky_solve(L, curvature)
    add_half(curvature, diagonal, largest, step, trial)


@jit(inline="always")
def add_half(acceleration, diagonal, largest, step, trial):
    """trial += acceleration / 2, unless that is too long, see `add_acceleration`."""
    bend, straight = 0.0, 0.0
    for j in range(step.size):
        bend += diagonal[j] * acceleration[j] * acceleration[j]
        straight += diagonal[j] * step[j] * step[j]
    if bend <= largest * largest * straight:  # and not where it is NaN
        for j in range(step.size):
            trial[j] += 0.5 * acceleration[j]


@jit()
def damping_after(is_accepted, mu, growth, gain_ratio, rule, least):
    """mu and its growth after a trial step. `rule` is (whether Marquardt's, mu_increase, mu_decrease)."""
    is_marquardt, increase, decrease = rule
    if not is_accepted:
        return (mu * increase, growth) if is_marquardt else (mu * growth, growth * 2.0)
    if is_marquardt:
        return max(mu * decrease, least), 2.0
    # H. B. Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05, eq. 2.5: a smooth function of the gain
    # ratio. Its cube overflows when a tiny reduction was predicted, hence the cap at 2.
    factor = max(1 / 3, 1 - (2 * min(gain_ratio, 2.0) - 1) ** 3)
    return max(mu * factor, least), 2.0


@jit(fastmath=REORDERED)
def is_finite(gradient, gram):
    """Whether all numbers are, of the Gram matrix in its lower triangle. (A sum is finite only if every term is.)"""
    prefer_512bit()
    total = 0.0
    for i in range(gram.shape[0]):
        row = gram[i]
        for j in range(i + 1):
            total += abs(row[j])
        total += abs(gradient[i])
    return math.isfinite(total)


@jit()
def norm(v):
    """Euclidean norm, scaled so that no square overflows or underflows."""
    largest, total = 0.0, 0.0
    for value in v:
        if not abs(value) <= largest:  # NaN included
            largest = abs(value)
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    for value in v:
        total += (value / largest) ** 2
    return largest * math.sqrt(total)


@jit(fastmath=CONTRACTED)
def _dot(a, b, count):
    """In four sums of its own making: left to the compiler, those of a tail are not the same in each build."""
    prefer_512bit()
    s0 = s1 = s2 = s3 = 0.0
    tail = count % 4
    for s in range(tail):
        s0 += a[s] * b[s]
    for s in range(tail, count, 4):
        s0 += a[s] * b[s]
        s1 += a[s + 1] * b[s + 1]
        s2 += a[s + 2] * b[s + 2]
        s3 += a[s + 3] * b[s + 3]
    return (s0 + s1) + (s2 + s3)


@jit(fastmath=CONTRACTED)
def cholesky_solve(L, x):
    """Replace x by the solution of L L' x = x, L as `cholesky` left it."""
    prefer_512bit()
    n = x.size
    for i in range(n):
        x[i] = (x[i] - _dot(L[i], x, i)) / L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= L[i, i]
        for k in range(i):
            x[k] -= x[i] * L[i, k]


# ---- iterations of a small problem --------------------------------------------------------------------
# Several in one call, because with some dozens of parameters a call of a kernel takes as long as what it computes, and
# so does what Python does between two of them.
_EVERY = ((0, 2**31), (0, 2**31), True, True)  # all slots and rounds, from the beginning to the end of their sums
_solve_output, _normal_equations = solve_output.serial, normal_equations.serial  # type: ignore[attr-defined]
_curvature = curvature.serial  # type: ignore[attr-defined]

# Columns of `records`, one row per accepted step: F, norm of its gradient, the damping after it, its gain ratio, trials
# so far; seconds since the call began, and those of its trials in three phases (equations, steps, trial points).
COST, NORM, MU, GAIN_RATIO, N_TRIALS, ELAPSED, JACOBIAN, SOLVE, EVALUATE = range(9)
N_RECORDED = 9
# Why `iterate` returned: it has made what was asked for; F has no digits left; damping has reached its end; it is late.
DONE, NO_DIGITS, NO_STEP, LATE = range(4)


@jit()
def iterate(
    X, Y, root_weight, x_scaling, layout, pairs, delta_factors, input_factors, penalty_diag,
    here, is_here, there, is_there, scratch, moments, output_moments, sums, L,
    theta, cost, gradient, gram, diagonal, mu, growth, rule, least_mu, most_mu, accelerates, solves, resolution,
    max_ratio, n_most, seconds, step, moved, new_gradient, new_gram, thetas, squares, records,
):  # fmt: skip
    """What `_search` does, up to `n_most` times, where there is a Gram matrix of few rows; see there.

    With `n_most` zero nothing moves: the "trial point" is theta, with its output layer solved for if `solves`, else as
    it is and with its normal equations in `new_gradient` and `new_gram`. That is what `solve_output` and
    `normal_equations` do. They are not called for small problems, so that the first of all fits compiles this alone.

    The first two rows of arguments are those of `normal_equations` and of the other drivers, with two rooms for units,
    `here` for theta and `there` for the trial point, and whether they hold these already. `theta`, `gradient` and
    `gram` become those of the last accepted step; `thetas`, `squares` and `records` get a row for each of them; what
    was tried last is in the row after them, if there is one. `rule` is that of `damping_after`, and `seconds` are those
    that are left.

    Returns the number of accepted steps, why there are no more, mu and its growth, the number of trials that F was
    asked for, F at the last trial point, and whether the room for theta holds its units. The two rooms have changed
    places if the number of accepted steps is odd.
    """
    start = now = clock()
    n_accepted, n_trials, reason = 0, 0, DONE
    jacobian = solve = evaluate = 0.0
    moves = n_most > 0
    while True:
        trial, predicted_reduction, is_flat, trial_cost, new_cost = (
            thetas[n_accepted],
            math.inf,
            False,
            math.nan,
            math.nan,
        )
        if moves:
            predicted_reduction = damped_step(gram, gradient, mu, diagonal, L, theta, step, moved)
            is_flat = predicted_reduction <= resolution * cost
        else:
            for j in range(theta.size):
                moved[j] = theta[j]
        largest_cost = (1.0 + resolution * is_flat) * cost
        before, now = now, clock()
        solve += now - before
        if predicted_reduction < math.inf or not moves:
            n_trials += 1
            if moves and accelerates and not is_flat:
                # new_gradient is not needed yet.
                _curvature(
                    _EVERY, X, root_weight, x_scaling, theta, step, layout, is_here, here, Y.shape[1], scratch, sums,
                    new_gradient,
                )  # fmt: skip
                is_here = True
                add_acceleration(L, new_gradient, diagonal, max_ratio, step, moved)
            if solves:
                trial_cost = _solve_output(
                    _EVERY, X, Y, root_weight, x_scaling, moved, layout, is_there, there, scratch, output_moments,
                    penalty_diag, trial,
                )  # fmt: skip
            else:
                for j in range(theta.size):
                    trial[j] = moved[j]
            before, now = now, clock()
            evaluate += now - before
            # A NaN fails this comparison, as it should.
            if (moves and trial_cost < largest_cost) or not solves:
                new_cost = _normal_equations(
                    _EVERY, X, Y, root_weight, x_scaling, trial, layout, solves or is_there, there,
                    pairs, delta_factors, input_factors, scratch, moments, penalty_diag, squares[n_accepted],
                    new_gradient, new_gram,
                )  # fmt: skip
                if not solves:  # F alone would take half as long as all of it
                    trial_cost = new_cost
                before, now = now, clock()
                jacobian += now - before
        if not moves:
            break
        improves, gain_ratio = trial_cost < largest_cost, math.nan
        if improves:
            improves = norm(new_gradient) <= 0.5 * norm(gradient) if is_flat else new_cost < cost
            # Gradient and Gram matrix can overflow where F does not.
            improves = improves and math.isfinite(new_cost) and is_finite(new_gradient, new_gram)
        if improves:
            gain_ratio = math.nan if is_flat else (cost - new_cost) / predicted_reduction
        mu, growth = damping_after(improves, mu, growth, 1.0 if is_flat else gain_ratio, rule, least_mu)
        if improves:
            cost = new_cost
            for j in range(theta.size):
                theta[j], gradient[j] = trial[j], new_gradient[j]
                for k in range(j + 1):
                    gram[j, k] = new_gram[j, k]
            here, is_here, there = there, True, here
            record = records[n_accepted]
            record[COST], record[NORM], record[MU], record[GAIN_RATIO] = cost, norm(gradient), mu, gain_ratio
            record[N_TRIALS], record[ELAPSED] = n_trials, now - start
            record[JACOBIAN], record[SOLVE], record[EVALUATE] = jacobian, solve, evaluate
            jacobian = solve = evaluate = 0.0
            n_accepted += 1
            if n_accepted == n_most:
                break
        elif is_flat:
            reason = NO_DIGITS
            break
        elif mu > most_mu or math.isinf(mu):
            reason = NO_STEP
            break
        elif now - start >= seconds:
            reason = LATE
            break
    return n_accepted, reason, mu, growth, n_trials, trial_cost, is_here


# ---- rows of the Jacobian -----------------------------------------------------------------------------
@jit()
def _jacobian_lines(layout, units, deltas, jacobian, count):
    """Lines of sqrt(w) J for one output: the parameters of a unit have the derivatives delta * [a, 1]."""
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        for j in range(layout[layer, N_OUT]):
            row = layout[layer, OFFSET] + j * n_weights
            delta = deltas[source + n_weights + j]
            for i in range(n_weights):
                a, line = units[source + i], jacobian[row + i]
                for s in range(count):
                    line[s] = delta[s] * a[s]


@jit()
def _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, rows):
    """Rows of sqrt(w) J for the block that begins at row `first` of X; its number of rows. `units` has its outputs."""
    n_outputs, weight_line = layout[layout.shape[0] - 1, N_OUT], np.empty(LINE)
    count, padded = _forward(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
    _weigh(root_weight, first, count, padded, weight_line)
    for output in range(n_outputs):
        _output_deltas(layout, output, weight_line, deltas, padded)
        _backward(theta, layout, units, deltas, padded)
        _jacobian_lines(layout, units, deltas, lines, padded)
        for s in range(count):
            for j in range(theta.size):
                rows[(first + s) * n_outputs + output, j] = lines[j, s]
    return count


@jit()
def dual_equations(X, Y, root_weight, x_scaling, theta, layout, penalty_diag, jacobian, residual, squares, gradient):
    """Rows sqrt(w) J and residuals sqrt(w) (f - y), sums of squares and the gradient J'r + penalty; returns F.

    `jacobian` has as many columns as there are parameters or more; those past them are not touched.
    """
    n_outputs = Y.shape[1]
    units = np.empty((n_units_in(layout), LINE))
    deltas, lines = np.empty_like(units), np.empty((theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        count = _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, jacobian)
        for o in range(n_outputs):
            f = units[first_output(layout) + o]
            for s in range(count):
                row = first + s
                residual[row * n_outputs + o] = root_weight[row] * (f[s] - Y[row, o])
    squares[:] = 0.0
    for j in range(theta.size):
        gradient[j] = penalty_diag[j] * theta[j]
    for row in range(residual.size):
        squares[row % n_outputs] += residual[row] * residual[row]
        for j in range(theta.size):
            gradient[j] += jacobian[row, j] * residual[row]
    return total_cost(squares, penalty_diag, theta)


@jit()
def dual_curvature(X, root_weight, x_scaling, theta, direction, layout, n_outputs, bend):
    """bend = sqrt(w) r_vv, residual by residual, with r_vv the second derivative along `direction`."""
    units = np.empty((n_units_in(layout), LINE))
    first_derivative, second = np.zeros_like(units), np.zeros_like(units)
    for first in range(0, X.shape[0], BLOCK):
        count, padded = _forward(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        _second_derivatives(theta, direction, layout, units, first_derivative, second, padded)
        for o in range(n_outputs):
            line = second[first_output(layout) + o]
            for s in range(count):
                bend[(first + s) * n_outputs + o] = root_weight[first + s] * line[s]


@jit()
def jacobian_rows(X, root_weight, x_scaling, theta, layout, rows):
    """Whole matrix sqrt(w) J of the rows given, (n_rows * n_outputs, n_parameters): row i * n_outputs + o.

    For tests, and for rows that are needed one by one.
    """
    units = np.empty((n_units_in(layout), LINE))
    deltas, lines = np.empty_like(units), np.empty((theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, rows)


# ---- variances ----------------------------------------------------------------------------------------
@serial_and_parallel(slots="n_slots", block=BLOCK)
def variances(part, X, x_scaling, theta, layout, inverse_factor, n_slots, f, products):
    """f_o(x_i), and products[i, o, q] = J_o(x_i) H^-1 J_q(x_i)', for H^-1 = V'V with a lower triangle V.

    `inverse_factor` is V with zeros around it: n_padded(p) rows and a multiple of VECTOR columns.
    """
    slots, rounds, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        for block in _rows_of(slot, n_slots, rounds, X.shape[0]):
            _block_variances(block, X, x_scaling, theta, layout, inverse_factor, f, products)


@jit(inline="always")
def _block_variances(block, X, x_scaling, theta, layout, inverse_factor, f, products):
    n_outputs, width = products.shape[1], inverse_factor.shape[1]
    units, ones = np.empty((n_units_in(layout), LINE)), np.ones(LINE)
    deltas, lines = np.empty_like(units), np.empty((theta.size, STRIP + VECTOR))
    rows = np.zeros((n_padded(STRIP * n_outputs), width))
    z = np.zeros((rows.shape[0], n_padded(width)))
    for first in range(block, min(block + BLOCK, X.shape[0]), STRIP):
        count, padded = _forward(X[first : first + STRIP], START, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        for output in range(n_outputs):
            _output_deltas(layout, output, ones, deltas, padded)
            _backward(theta, layout, units, deltas, padded)
            _jacobian_lines(layout, units, deltas, lines, padded)
            for s in range(count):
                row = rows[s * n_outputs + output]
                for j in range(theta.size):
                    row[j] = lines[j, s]
        whiten(inverse_factor, theta.size, rows, count * n_outputs, z)
        for s in range(count):
            for o in range(n_outputs):
                f[first + s, o] = units[first_output(layout) + o, s]
                for q in range(n_outputs):
                    at = s * n_outputs
                    products[first + s, o, q] = _dot(z[at + max(o, q)], z[at + min(o, q)], theta.size)


@jit()
def whiten(V, p, rows, n_rows, z):
    """z = rows V' for the first rows, in tiles; the part of V above its diagonal is left out by whole vectors.

    V is as `invert_factor` leaves it, `rows` (n_padded(n_rows), V's columns) and z (n_padded(n_rows), n_padded(p)).
    """
    prefer_512bit()
    for j in range(ZERO, UNSIGNED(p), UNSIGNED(TILE_ROWS)):
        # Up to the diagonal of the tile's last row, in whole vectors.
        length = (j + UNSIGNED(TILE_ROWS + VECTOR - 1)) // UNSIGNED(VECTOR) * UNSIGNED(VECTOR)
        for i in range(ZERO, UNSIGNED(n_rows), UNSIGNED(TILE_COLUMNS)):
            t0, t1, t2, t3 = _tile(V, j, rows, i, min(length, UNSIGNED(V.shape[1])))
            for d in range(TILE_COLUMNS):
                line = z[i + UNSIGNED(d)]
                line[j], line[j + ONE], line[j + TWO], line[j + THREE] = t0[d], t1[d], t2[d], t3[d]


@jit()
def gram_of(lines, n, count, penalty_diag, gram):
    """gram = A A' + diag(penalty_diag) in its lower triangle, for n lines A of `count` numbers, both n_padded(n)."""
    gram[:] = 0.0
    _add_gram(lines, START, n, count, gram)
    for j in range(n):
        gram[j, j] += penalty_diag[j]


@jit(fastmath=CONTRACTED)
def invert_factor(L, n, transpose, V):
    """V = L^-1 for a lower triangle of n rows, V_ic = (1_ic - sum_k L_ik V_kc) / L_ii, in bands of rows.

    As in `cholesky` nearly all of the sum lies left of the band, and is dot products in tiles: of rows of L with those
    of V', for which `transpose` is room. This and V have the shape of L, and are zeros at first.
    """
    prefer_512bit()
    for first in range(0, n, BAND):
        last = min(first + BAND, n)
        for c in range(ZERO, UNSIGNED(first), UNSIGNED(TILE_ROWS)):
            for i in range(UNSIGNED(first), UNSIGNED(last), UNSIGNED(TILE_COLUMNS)):
                _add_tile(transpose, c, L, i, UNSIGNED(first), transpose, c, i)
        for i in range(first, last):
            row = V[i]
            for c in range(first):
                row[c] = -transpose[c, i]
            row[i] = 1.0
            for k in range(first, i):
                factor, other = L[i, k], V[k]
                for c in range(k + 1):
                    row[c] -= factor * other[c]
            scale = 1.0 / L[i, i]
            for c in range(i + 1):
                row[c] *= scale
        for c in range(last):
            for i in range(first, last):
                transpose[c, i] = V[i, c]


# ---- without a Gram matrix ----------------------------------------------------------------------------
@jit()
def _first_derivatives(theta, direction, layout, units, first, count):
    """J v of every unit: derivatives along `direction` in theta, z' = W a' + V [a, 1], as in `_second_derivatives`."""
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        for tile in range(0, layout[layer, N_OUT], UNITS):
            at, begin = source + n_weights + tile, layout[layer, OFFSET] + tile * n_weights
            z, n = first[at:], min(UNITS, layout[layer, N_OUT] - tile)
            _combine_units(direction, begin, n_weights, units[source:], n_weights, SETS, z, n, count)
            if layer > 0:
                _combine_units(theta, begin, n_weights, first[source:], n_weights - 1, ADDS, z, n, count)
            for j in range(n):
                _times_slope(layout[layer, ACTIVATION], units[at + j], z[j], count)


@jit(inline="always")
def _slot_gram_times(
    slot,
    n_slots,
    begins,
    rounds,
    X,
    root_weight,
    x_scaling,
    theta,
    direction,
    layout,
    is_fresh,
    units,
    n_outputs,
    scratch,
    sums,
):
    n_lines = n_padded(n_units_in(layout))
    first, weight_line = scratch[:n_lines], scratch[n_lines]
    if begins:
        sums[:] = 0.0
    for start in _rows_of(slot, n_slots, rounds, X.shape[0]):
        block = units[start // BLOCK % units.shape[0]]
        count, padded = _forward(X, start, x_scaling, theta, layout, block, is_fresh, TO_HIDDEN)
        _first_derivatives(theta, direction, layout, block, first, padded)
        # J'W u is the gradient of a sum of squares whose residuals are u = J v: outputs first, then backward.
        _weigh(root_weight, start, count, padded, weight_line)
        for output in range(n_outputs):
            u = first[first_output(layout) + output]
            for s in range(padded):
                u[s] *= weight_line[s] * weight_line[s]
        _backward(theta, layout, block, first, padded)
        _add_gradient(layout, layout.shape[0], first, block, padded, sums)


@serial_and_parallel(slots="sums", block=BLOCK)
def gram_times(
    part, X, root_weight, x_scaling, theta, direction, layout, is_fresh, units, n_outputs, scratch, sums,
    penalty_diag, product,
):  # fmt: skip
    """product = (J'W J + penalty) direction, by J v and J'u over blocks of rows: neither J nor J'J exists."""
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], sums.shape[0])):
        _slot_gram_times(
            slot, sums.shape[0], begins, rounds, X, root_weight, x_scaling, theta, direction, layout, is_fresh, units,
            n_outputs, scratch[slot], sums[slot],
        )  # fmt: skip
    if ends:
        _sum_slots(sums)
        _scatter_gradient(layout, layout.shape[0], sums[0], product)
        for j in range(theta.size):
            product[j] += penalty_diag[j] * direction[j]


@jit()
def n_first_order_lines(layout):
    """Lines of working room that one slot needs for `first_order`."""
    n_lines, n_outputs = n_padded(n_units_in(layout)), layout[layout.shape[0] - 1, N_OUT]
    return (n_outputs + 3) * n_lines + n_padded(n_outputs) + 1


@jit()
def _energies(layout, deltas, weight_line, squared_deltas, count):
    """D_jj = sum_o delta_oj^2 of every unit: with a_i^2 it makes the diagonal of J'J, see `_network/gram_tables.py`."""
    last = layout.shape[0] - 1
    for line in range(layout[0, N_IN] + 1, layout[last, SOURCE] + layout[last, N_IN]):
        energy = squared_deltas[line]
        energy[:count] = 0.0
        for o in range(deltas.shape[0]):
            delta = deltas[o, line]
            for s in range(count):
                energy[s] += delta[s] * delta[s]
    for o in range(layout[last, N_OUT]):
        energy = squared_deltas[first_output(layout) + o]
        for s in range(count):
            energy[s] = weight_line[s] * weight_line[s]


@jit(inline="always")
def _slot_first_order(
    slot,
    n_slots,
    begins,
    rounds,
    X,
    Y,
    root_weight,
    x_scaling,
    theta,
    layout,
    is_fresh,
    units,
    begin,
    every,
    scratch,
    sums,
    kept,
):
    n_outputs, n_used, n_layers = Y.shape[1], n_units_in(layout), layout.shape[0]
    n_lines, n_sums = n_padded(n_used), n_gradient_sums(layout, n_layers)
    deltas = scratch[: n_outputs * n_lines].reshape((n_outputs, n_lines, LINE))
    weighted = scratch[n_outputs * n_lines :]
    squared_deltas, squared = weighted[n_lines:], weighted[2 * n_lines :]
    residuals, weight_line = weighted[3 * n_lines :], scratch[scratch.shape[0] - 1]
    gram = _matrix_at(sums, 2 * n_sums, n_outputs, n_outputs)
    if begins:
        sums[:] = 0.0
    for first in _rows_of(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = _forward(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        _weigh(root_weight, first, count, padded, weight_line)
        for o in range(n_outputs):
            f = first_output(layout) + o
            _residual_line(Y, first, o, block[f], weight_line, residuals[o], count, padded)
            _output_deltas(layout, o, weight_line, deltas[o], padded)
            _backward(theta, layout, block, deltas[o], padded)
            for s in range(padded):
                weighted[f, s] = weight_line[s] * residuals[o, s]
        _add_gram(residuals, START, n_outputs, padded, gram)  # as in `_slot_squares`
        _weigh_deltas(layout, deltas, residuals, weighted, padded)
        _energies(layout, deltas, weight_line, squared_deltas, padded)
        for line in range(first_output(layout)):
            a, square = block[line], squared[line]
            for s in range(padded):
                square[s] = a[s] * a[s]
        _add_gradient(layout, n_layers, weighted, block, padded, sums)
        _add_gradient(layout, n_layers, squared_deltas, squared, padded, sums[n_sums:])
        number = (begin + first) // BLOCK
        if number % every == 0:
            room = kept[number // every]
            for line in range(n_used):
                for s in range(padded):
                    room[0, line, s] = block[line, s]
                    room[1, line, s] = squared_deltas[line, s]


@serial_and_parallel(slots="sums", block=BLOCK)
def first_order(
    part, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units, begin, every, scratch, sums, kept,
    penalty_diag, squares, gradient, diagonal,
):  # fmt: skip
    """Sums of squares, gradient J'r + penalty and the diagonal of J'J, without the penalty; returns F.

    Parameters
    ----------
    begin, every : int
        The part begins at row `begin` of all. Block number k `every` of all leaves what `block_grams` needs in kept[k].
    scratch : (n_slots, n_first_order_lines, LINE)
    sums : (n_slots, 2 n_gradient_sums + n_padded(n_outputs)^2)
    kept : (n_kept, 2, n_units, LINE), zeros
        Lines of the units, and their squared_deltas D_jj.
    """
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], sums.shape[0])):
        _slot_first_order(
            slot, sums.shape[0], begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
            begin, every, scratch[slot], sums[slot], kept,
        )  # fmt: skip
    if not ends:
        return math.nan
    _sum_slots(sums)
    n_layers, n_outputs = layout.shape[0], squares.size
    n_sums = n_gradient_sums(layout, n_layers)
    _scatter_gradient(layout, n_layers, sums[0], gradient)
    _scatter_gradient(layout, n_layers, sums[0, n_sums:], diagonal)
    gram = _matrix_at(sums[0], 2 * n_sums, n_outputs, n_outputs)
    for o in range(n_outputs):
        squares[o] = gram[o, o]
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
    return total_cost(squares, penalty_diag, theta)


# Columns of `blocks`, one row per diagonal block of the preconditioner, see `_network/matrix_free.py`.
UNIT_LINE, INPUT_LINE, PARAMETER, SIZE, PLACE = range(5)


@jit()
def _slot_block_grams(slot, n_slots, blocks, kept, lines, grams):
    root = np.empty(LINE)
    for b in range(slot, blocks.shape[0], n_slots):
        size, source = blocks[b, SIZE], blocks[b, INPUT_LINE]
        gram = _matrix_at(grams, blocks[b, PLACE], size, size)
        gram[:] = 0.0
        for room in range(kept.shape[0]):
            energy = kept[room, 1, blocks[b, UNIT_LINE]]
            for s in range(BLOCK):
                root[s] = math.sqrt(energy[s])
            for i in range(size):
                a, line = kept[room, 0, source + i], lines[i]
                for s in range(BLOCK):
                    line[s] = root[s] * a[s]
            _add_gram(lines, START, size, BLOCK, gram)


@serial_and_parallel(slots="lines")
def block_grams(part, blocks, kept, lines, grams):
    """Blocks of J'J over the rows that were kept, one per unit and group of its inputs; `lines` has room a slot."""
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], lines.shape[0])):
        _slot_block_grams(slot, lines.shape[0], blocks, kept, lines[slot], grams)


@jit()
def _slot_factor_blocks(slot, n_slots, blocks, grams, exact, added, ridge, factors):
    for b in range(slot, blocks.shape[0], n_slots):
        size, first = blocks[b, SIZE], blocks[b, PARAMETER]
        gram = _matrix_at(grams, blocks[b, PLACE], size, size)
        L = _matrix_at(factors, blocks[b, PLACE], size, size)
        A, scale, diagonal = np.empty((size, size)), np.zeros(size), np.empty(size)
        for i in range(size):
            if gram[i, i] > 0.0:
                scale[i] = math.sqrt(exact[first + i] / gram[i, i])
            diagonal[i] = (1.0 + ridge) * exact[first + i] + added[first + i]
        for i in range(size):
            for k in range(i):
                A[i, k] = scale[i] * gram[i, k] * scale[k]
            A[i, i] = diagonal[i]
        if not cholesky(A, 0.0, np.ones(size), L):
            L[:] = 0.0
            for i in range(size):
                L[i, i] = math.sqrt(diagonal[i])


@serial_and_parallel(slots="n_slots")
def factor_blocks(part, blocks, grams, exact, added, ridge, n_slots, factors):
    """Cholesky factors of the preconditioner's blocks: `exact` is the diagonal of J'J, `added` what is on top of it.

    Off the diagonal stands the correlation that the kept rows have. Where rounding leaves no factor the diagonal alone
    takes the block's place.
    """
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_factor_blocks(slot, n_slots, blocks, grams, exact, added, ridge, factors)


@jit()
def _slot_precondition(slot, n_slots, blocks, factors, z):
    for b in range(slot, blocks.shape[0], n_slots):
        size, first = blocks[b, SIZE], blocks[b, PARAMETER]
        cholesky_solve(_matrix_at(factors, blocks[b, PLACE], size, size), z[first : first + size])


@serial_and_parallel(slots="n_slots")
def precondition(part, blocks, factors, n_slots, z):
    """Replace z by the solution of M z = z, with M the preconditioner."""
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_precondition(slot, n_slots, blocks, factors, z)


@jit()
def dot(a, b):
    """Inner product; BLAS would give other last bits with another number of its threads."""
    return _dot(a, b, a.size)
