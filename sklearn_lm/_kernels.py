"""Every compiled loop: activations, forward pass, Jacobian rows, normal equations.

Kernels see arrays only. A network is its flat parameter vector `theta` and the integer table `layout`, one
row per layer with the columns named below; the order of `theta` is defined at the top of `_network.py`.

Rows of data are taken in blocks of `BLOCK`. Inside a block everything is *feature-major*: one line per unit (or
parameter), the samples of the block side by side. So each inner loop runs over contiguous samples.

Two layers (the number of slots depends on the number of rows alone, never on the number of threads):

- a serial body accumulates the blocks slot, slot + S, slot + 2 S, ... into the slot's own sums;
- a thin `prange` driver gives each slot its body; `sum_slots` adds the slots in order.

So the bits of a result do not depend on the number of threads, and the Jacobian of all rows never exists.
"""

import math

import numpy as np
from numba import prange

from ._jit import jit, two_ways

BLOCK = 256  # samples; a line of a block is 2 KiB, so a tile of lines stays in the first-level cache
MAX_SLOTS = 8

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

# Sums may be reordered and contracted to fused multiply-adds, which makes them vectorisable. Full fast-math is
# out of the question: it lets the compiler assume that NaN never occurs, and rejected steps rely on seeing NaN.
REORDERED = {"reassoc", "contract"}


# ---- one block ----------------------------------------------------------------------------------------
@jit()
def _activate(code, z, count):
    """Replace the pre-activations z by phi(z)."""
    if code == TANH:
        for s in range(count):
            z[s] = math.tanh(z[s])
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
def _backward(theta, layout, output, root_weight, first, units, deltas, count):
    """Fill the lines of `deltas` with sqrt(w) df_output/dz for every unit that is not an input."""
    last = layout.shape[0] - 1
    for j in range(layout[last, N_OUT]):
        line = layout[last, SOURCE] + layout[last, N_IN] + j
        for s in range(count):
            deltas[line, s] = root_weight[first + s] if j == output else 0.0
        _times_slope(layout[last, ACTIVATION], units[line], deltas[line], count)
    for layer in range(last, 0, -1):
        n_in, source = layout[layer, N_IN], layout[layer, SOURCE]
        for i in range(n_in):
            delta = deltas[source + i]
            for s in range(count):
                delta[s] = 0.0
            for j in range(layout[layer, N_OUT]):
                if layer == last and j != output:
                    continue
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


@jit()
def _add_gram(jacobian, count, gram):
    """gram += J'J, lower triangle. The plain form: a dot product over the samples for each entry."""
    for j in range(jacobian.shape[0]):
        line = jacobian[j]
        for k in range(j + 1):
            gram[j, k] += _dot(line, jacobian[k], count)


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
        count = min(BLOCK, n_rows - first)
        _load(X, first, count, x_scaling, units)
        _forward(theta, layout, units, count)
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
        count = min(BLOCK, n_rows - first)
        _load(X, first, count, x_scaling, units)
        _forward(theta, layout, units, count)
        for output in range(n_outputs):
            f = units[units.shape[0] - n_outputs + output]
            _residual_line(Y, root_weight, first, output, f, residual, count)
            squares[output] += _dot(residual, residual, count)
            _backward(theta, layout, output, root_weight, first, units, deltas, count)
            _jacobian_lines(layout, units, deltas, jacobian, count)
            for j in range(theta.size):
                gradient[j] += _dot(jacobian[j], residual, count)  # g = J'r
            _add_gram(jacobian, count, gram)


@jit()
def _slot_predict(slot, n_slots, X, x_scaling, y_scaling, theta, layout, f):
    n_rows, n_outputs = f.shape
    units = np.empty((n_units_in(layout), BLOCK))
    for first in range(slot * BLOCK, n_rows, n_slots * BLOCK):
        count = min(BLOCK, n_rows - first)
        _load(X, first, count, x_scaling, units)
        _forward(theta, layout, units, count)
        for output in range(n_outputs):
            line = units[units.shape[0] - n_outputs + output]
            for s in range(count):
                f[first + s, output] = y_scaling[0, output] + y_scaling[1, output] * line[s]


# ---- all slots ----------------------------------------------------------------------------------------
@two_ways
def sum_of_squares(X, Y, root_weight, x_scaling, theta, layout, squares):
    """squares[slot, o] = sum over the slot's rows of w (f_o - y_o)^2."""
    for slot in prange(squares.shape[0]):
        _slot_squares(slot, squares.shape[0], X, Y, root_weight, x_scaling, theta, layout, squares[slot])


@two_ways
def normal_equations(X, Y, root_weight, x_scaling, theta, layout, jacobian, squares, gradient, gram):
    """Per slot: sums of squares as above, gradient J'r and the lower triangle of J'J.

    `jacobian` (n_slots, n_parameters, BLOCK) is room for one block a slot.
    """
    for slot in prange(squares.shape[0]):
        _slot_normal_equations(
            slot, squares.shape[0], X, Y, root_weight, x_scaling, theta, layout,
            jacobian[slot], squares[slot], gradient[slot], gram[slot],
        )  # fmt: skip


@two_ways
def predict(X, x_scaling, y_scaling, theta, layout, n_slots, f):
    """f[i, o] = y_offset_o + y_scale_o f_o(x_i), in the target's own units."""
    for slot in prange(n_slots):
        _slot_predict(slot, n_slots, X, x_scaling, y_scaling, theta, layout, f)


@jit()
def sum_slots(gram_slots, gram):
    """gram = sum of the slots, in order, mirrored to the upper triangle."""
    for j in range(gram.shape[0]):
        for k in range(j + 1):
            total = 0.0
            for slot in range(gram_slots.shape[0]):
                total += gram_slots[slot, j, k]
            gram[j, k] = total
            gram[k, j] = total


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
        count = min(BLOCK, X.shape[0] - first)
        _load(X, first, count, x_scaling, units)
        _forward(theta, layout, units, count)
        for output in range(n_outputs):
            _backward(theta, layout, output, root_weight, first, units, deltas, count)
            _jacobian_lines(layout, units, deltas, lines, count)
            for s in range(count):
                for j in range(theta.size):
                    rows[(first + s) * n_outputs + output, j] = lines[j, s]
    return rows
