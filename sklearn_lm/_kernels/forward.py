"""The forward pass over one block of rows, and the two drivers that need nothing else: sums of squares, predictions."""

import numpy as np
from numba import prange

from .activations import activate
from .compile import jit, prefer_512bit, serial_and_parallel
from .layout import ACTIVATION, BLOCK, CONTRACTED, LINE, NEXT, N_IN, N_OUT, OFFSET, SETS, SOURCE, STALE, START
from .layout import TO_OUTPUTS, UNITS, VECTOR, block_starts, first_output, matrix_at, n_padded, n_units_in
from .tiles import add_gram


@jit(inline="always")
def _load(X, first, count, padded, x_scaling, units):
    """Write rows first, first + 1, ... of X, scaled and transposed, into the first lines of `units` (with padding)."""
    for i in range(X.shape[1]):
        offset, scale = x_scaling[0, i], x_scaling[1, i]
        for s in range(count):
            units[i, s] = (X[first + s, i] - offset) / scale
        units[i, count:padded] = units[i, count - 1]


@jit(fastmath=CONTRACTED)
def combine(theta, begin, step, lines, n_lines, adds, out, count):
    """Set out = sum_i theta[begin + i step] lines_i, or add it if `adds`: four lines for each load and store of out."""
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
    """Add sum_i theta[begin + j across + i] lines_i to out_j for j < 4 and i = first, ..., n_lines - 1.

    Four sums of four terms at a time: each line that is read, often from the second-level cache, is used for four sums.
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
    """Set out_j = sum_i theta[begin + j across + i] lines_i for j < n_out <= UNITS, or add it if `adds`."""
    done = n_lines % 4 if n_out == UNITS else n_lines
    for j in range(n_out):
        combine(theta, begin + j * across, NEXT, lines, done, adds, out[j], count)
    if done < n_lines:
        _combine_four(theta, begin, across, lines, done, n_lines, out, count)


@jit(inline="always")
def _forward_layer(layer, theta, layout, units, count):
    """Compute the lines of the units of a layer: a_j = phi(b_j + sum_i W_ji a_i)."""
    n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
    for j in range(layout[layer, N_OUT]):
        z = units[source + n_weights + j]
        combine(theta, layout[layer, OFFSET] + j * n_weights, NEXT, units[source:], n_weights, SETS, z, count)
        activate(layout[layer, ACTIVATION], z, count)


@jit()
def forward_rows(X, first, x_scaling, theta, layout, units, is_fresh, to_outputs):
    """Compute the units of the block of rows that begins at `first`, those of the outputs only if `to_outputs`.

    If `units` is fresh, it has all lines but the outputs already. Returns the number of rows, without and with padding.
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
    """Compute the lines of all units, (n_units_in(layout), LINE), for up to BLOCK rows."""
    forward_rows(X, START, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)


@jit()
def load_root_weights(root_weight, first, count, padded, weight_line):
    """Write the square roots of the weights of a block, and zeros for padding."""
    for s in range(count):
        weight_line[s] = root_weight[first + s]
    weight_line[count:padded] = 0.0


@jit()
def load_residuals(Y, first, output, f, weight_line, residual, count, padded):
    """Write sqrt(w) (f - y) of one output of a block, and zeros for padding."""
    for s in range(count):
        residual[s] = weight_line[s] * (f[s] - Y[first + s, output])
    residual[count:padded] = 0.0


@serial_and_parallel
def accumulate_squares(part, rows, network, sums):
    """Add the Gram matrix of the residuals, whose diagonal has the sums of squares, to the sums of each slot.

    In tiles as in `accumulate_gram_products`, so that all sums of squares have the same bits. `sums` is
    (n_slots, n_padded(n_outputs)^2).
    """
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    n_outputs = Y.shape[1]
    for slot in prange(part.first_slot, part.end_slot):
        units = np.empty((n_units_in(layout), LINE))
        lines = np.zeros((n_padded(n_outputs), LINE))
        weight_line = np.empty(LINE)
        gram = matrix_at(sums[slot], START, n_outputs, n_outputs)
        if part.begins:
            gram[:] = 0.0
        for first in block_starts(slot, part, X.shape[0]):
            count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
            load_root_weights(root_weight, first, count, padded, weight_line)
            for output in range(n_outputs):
                f = units[first_output(layout) + output]
                load_residuals(Y, first, output, f, weight_line, lines[output], count, padded)
            add_gram(lines, START, n_outputs, padded, gram)


@jit()
def total_cost(squares, penalty_diag, theta):
    """Return F = 1/2 sum_o squares_o + 1/2 sum_j penalty_diag_j theta_j^2."""
    cost = 0.0
    for o in range(squares.size):
        cost += 0.5 * squares[o]
    for j in range(theta.size):
        cost += 0.5 * penalty_diag[j] * theta[j] * theta[j]
    return cost


@serial_and_parallel
def predict(part, X, x_scaling, y_scaling, network, f):
    """Compute f[i, o] = y_offset_o + y_scale_o f_o(x_i), in the units of the target."""
    theta, layout = network
    n_outputs = f.shape[1]
    for slot in prange(part.first_slot, part.end_slot):
        units = np.empty((n_units_in(layout), LINE))
        for first in block_starts(slot, part, X.shape[0]):
            count, _ = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
            for output in range(n_outputs):
                line = units[first_output(layout) + output]
                for s in range(count):
                    f[first + s, output] = y_scaling[0, output] + y_scaling[1, output] * line[s]
