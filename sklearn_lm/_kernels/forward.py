"""The forward pass over one block of rows, and the two drivers that need nothing else: sums of squares, predictions."""

import numpy as np
from numba import prange

from .activations import activate
from .compile import jit, prefer_512bit, serial_and_parallel
from .layout import (
    ACTIVATION,
    BLOCK,
    CONTRACTED,
    LINE,
    N_IN,
    N_OUT,
    NEXT,
    OFFSET,
    SETS,
    SOURCE,
    STALE,
    START,
    TO_OUTPUTS,
    UNITS,
    VECTOR,
    block_starts,
    first_output,
    n_padded,
    n_units_in,
    sum_slots,
)
from .tiles import add_gram


@jit(inline="always")
def _load(X, first, count, padded, x_scaling, units):
    """Scale rows first, first + 1, ... of X and transpose them into the first lines of `units`, padding included."""
    for i in range(X.shape[1]):
        offset, scale = x_scaling[0, i], x_scaling[1, i]
        for s in range(count):
            units[i, s] = (X[first + s, i] - offset) / scale
        units[i, count:padded] = units[i, count - 1]


@jit(fastmath=CONTRACTED)
def combine(theta, begin, step, lines, n_lines, adds, out, count):
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
def combine_units(theta, begin, across, lines, n_lines, adds, out, n_out, count):
    """out_j = sum_i theta[begin + j across + i] lines_i for j < n_out <= UNITS, or += where it `adds`."""
    done = n_lines % 4 if n_out == UNITS else n_lines
    for j in range(n_out):
        combine(theta, begin + j * across, NEXT, lines, done, adds, out[j], count)
    if done < n_lines:
        _combine_four(theta, begin, across, lines, done, n_lines, out, count)


@jit(inline="always")
def _forward_layer(layer, theta, layout, units, count):
    """Fill the lines of a layer's units: a_j = phi(b_j + sum_i W_ji a_i)."""
    n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
    for j in range(layout[layer, N_OUT]):
        z = units[source + n_weights + j]
        combine(theta, layout[layer, OFFSET] + j * n_weights, NEXT, units[source:], n_weights, SETS, z, count)
        activate(layout[layer, ACTIVATION], z, count)


@jit()
def forward_rows(X, first, x_scaling, theta, layout, units, is_fresh, to_outputs):
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
    forward_rows(X, START, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)


@jit()
def load_root_weights(root_weight, first, count, padded, weight_line):
    """Line of the square roots of the weights, zero for padding."""
    for s in range(count):
        weight_line[s] = root_weight[first + s]
    weight_line[count:padded] = 0.0


@jit()
def load_residuals(Y, first, output, f, weight_line, residual, count, padded):
    """sqrt(w) (f - y) of one output."""
    for s in range(count):
        residual[s] = weight_line[s] * (f[s] - Y[first + s, output])
    residual[count:padded] = 0.0


@jit(inline="always")
def _slot_squares(slot, n_slots, begins, rounds, X, Y, root_weight, x_scaling, theta, layout, gram):
    n_rows, n_outputs = Y.shape
    units = np.empty((n_units_in(layout), LINE))
    lines = np.zeros((n_padded(n_outputs), LINE))
    weight_line = np.empty(LINE)
    if begins:
        gram[:] = 0.0
    for first in block_starts(slot, n_slots, rounds, n_rows):
        count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        load_root_weights(root_weight, first, count, padded, weight_line)
        for output in range(n_outputs):
            f = units[first_output(layout) + output]
            load_residuals(Y, first, output, f, weight_line, lines[output], count, padded)
        add_gram(lines, START, n_outputs, padded, gram)  # in tiles as below: all sums of squares have the same bits


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
        sum_slots(grams)
        for o in range(squares.size):
            squares[o] = grams[0, o, o]


@jit(inline="always")
def _slot_predict(slot, n_slots, rounds, X, x_scaling, y_scaling, theta, layout, f):
    n_rows, n_outputs = f.shape
    units = np.empty((n_units_in(layout), LINE))
    for first in block_starts(slot, n_slots, rounds, n_rows):
        count, _ = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        for output in range(n_outputs):
            line = units[first_output(layout) + output]
            for s in range(count):
                f[first + s, output] = y_scaling[0, output] + y_scaling[1, output] * line[s]


@serial_and_parallel(slots="n_slots", block=BLOCK)
def predict(part, X, x_scaling, y_scaling, theta, layout, n_slots, f):
    """f[i, o] = y_offset_o + y_scale_o f_o(x_i), in the target's own units."""
    slots, rounds, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_predict(slot, n_slots, rounds, X, x_scaling, y_scaling, theta, layout, f)
