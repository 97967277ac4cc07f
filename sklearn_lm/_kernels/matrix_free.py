"""Products of the Gram matrix with a vector, and its diagonal, without the matrix."""

import math

from numba import prange

from .activations import multiply_by_slope
from .backward import add_gradient, backward_block, multiply_by_residuals, scatter_gradient, set_output_deltas
from .compile import jit, serial_and_parallel
from .forward import combine_units, forward_rows, load_residuals, load_root_weights
from .layout import (
    ACTIVATION,
    ADDS,
    BLOCK,
    LINE,
    N_IN,
    N_OUT,
    OFFSET,
    SETS,
    SOURCE,
    START,
    TO_HIDDEN,
    TO_OUTPUTS,
    UNITS,
    block_starts,
    first_output,
    matrix_at,
    n_gradient_sums,
    n_padded,
    n_units_in,
    sum_slots,
    total_cost,
)
from .tiles import add_gram


@jit()
def _first_derivatives(theta, direction, layout, units, first, count):
    """J v of every unit: derivatives along `direction` in theta, z' = W a' + V [a, 1], as in `second_derivatives`."""
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        for tile in range(0, layout[layer, N_OUT], UNITS):
            at, begin = source + n_weights + tile, layout[layer, OFFSET] + tile * n_weights
            z, n = first[at:], min(UNITS, layout[layer, N_OUT] - tile)
            combine_units(direction, begin, n_weights, units[source:], n_weights, SETS, z, n, count)
            if layer > 0:
                combine_units(theta, begin, n_weights, first[source:], n_weights - 1, ADDS, z, n, count)
            for j in range(n):
                multiply_by_slope(layout[layer, ACTIVATION], units[at + j], z[j], count)


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
    for start in block_starts(slot, n_slots, rounds, X.shape[0]):
        block = units[start // BLOCK % units.shape[0]]
        count, padded = forward_rows(X, start, x_scaling, theta, layout, block, is_fresh, TO_HIDDEN)
        _first_derivatives(theta, direction, layout, block, first, padded)
        # J'W u is the gradient of a sum of squares whose residuals are u = J v: outputs first, then backward.
        load_root_weights(root_weight, start, count, padded, weight_line)
        for output in range(n_outputs):
            u = first[first_output(layout) + output]
            for s in range(padded):
                u[s] *= weight_line[s] * weight_line[s]
        backward_block(theta, layout, block, first, padded)
        add_gradient(layout, layout.shape[0], first, block, padded, sums)


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
        sum_slots(sums)
        scatter_gradient(layout, layout.shape[0], sums[0], product)
        for j in range(theta.size):
            product[j] += penalty_diag[j] * direction[j]


@jit()
def sum_squared_deltas(layout, deltas, weight_line, squared_deltas, count):
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
    gram = matrix_at(sums, 2 * n_sums, n_outputs, n_outputs)
    if begins:
        sums[:] = 0.0
    for first in block_starts(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = forward_rows(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        load_root_weights(root_weight, first, count, padded, weight_line)
        for o in range(n_outputs):
            f = first_output(layout) + o
            load_residuals(Y, first, o, block[f], weight_line, residuals[o], count, padded)
            set_output_deltas(layout, o, weight_line, deltas[o], padded)
            backward_block(theta, layout, block, deltas[o], padded)
            for s in range(padded):
                weighted[f, s] = weight_line[s] * residuals[o, s]
        add_gram(residuals, START, n_outputs, padded, gram)  # as in `_slot_squares`
        multiply_by_residuals(layout, deltas, residuals, weighted, padded)
        sum_squared_deltas(layout, deltas, weight_line, squared_deltas, padded)
        for line in range(first_output(layout)):
            a, square = block[line], squared[line]
            for s in range(padded):
                square[s] = a[s] * a[s]
        add_gradient(layout, n_layers, weighted, block, padded, sums)
        add_gradient(layout, n_layers, squared_deltas, squared, padded, sums[n_sums:])
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
    sum_slots(sums)
    n_layers, n_outputs = layout.shape[0], squares.size
    n_sums = n_gradient_sums(layout, n_layers)
    scatter_gradient(layout, n_layers, sums[0], gradient)
    scatter_gradient(layout, n_layers, sums[0, n_sums:], diagonal)
    gram = matrix_at(sums[0], 2 * n_sums, n_outputs, n_outputs)
    for o in range(n_outputs):
        squares[o] = gram[o, o]
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
    return total_cost(squares, penalty_diag, theta)
