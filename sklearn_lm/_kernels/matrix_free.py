"""Gradient and diagonal of the Gram matrix, without the matrix; products with it are in `second_order.py`."""

from numba import prange

from .backward import add_gradient, backward_block, multiply_by_residuals, scatter_gradient, set_output_deltas
from .compile import jit, serial_and_parallel
from .forward import forward_rows, load_residuals, load_root_weights, total_cost
from .layout import BLOCK, LINE, N_IN, N_OUT, SOURCE, START, TO_OUTPUTS
from .layout import block_starts, first_output, matrix_at, n_gradient_sums, n_padded, n_units_in
from .tiles import add_gram


@jit()
def _sum_squared_deltas(layout, deltas, weight_line, squared_deltas, count):
    """Compute D_jj = sum_o delta_oj^2 of every unit; with a_i^2 it makes the diagonal of J'J."""
    last = layout.shape[0] - 1
    for line in range(layout[0, N_IN] + 1, layout[last, SOURCE] + layout[last, N_IN]):
        total = squared_deltas[line]
        total[:count] = 0.0
        for o in range(deltas.shape[0]):
            delta = deltas[o, line]
            for s in range(count):
                total[s] += delta[s] * delta[s]
    for o in range(layout[last, N_OUT]):
        total = squared_deltas[first_output(layout) + o]
        for s in range(count):
            total[s] = weight_line[s] * weight_line[s]


@serial_and_parallel
def accumulate_first_order(part, rows, network, every, kept, buffers):
    """Add the cross products of blocks of rows that make sums of squares, gradient and diagonal of J'J.

    Parameters
    ----------
    every : int
        Block number k `every` of all rows is copied to kept[k].
    kept : ndarray of shape (n_kept, 2, n_units, LINE), zeros at first
        Lines of the units, and of their D_jj, for `block_grams`.
    buffers : Buffers
        `scratch` is (n_slots, n_first_order_lines, LINE), `sums` (n_slots, n_first_order_sums).
    """
    X, Y, root_weight, x_scaling, begin = rows
    theta, layout = network
    all_units, is_fresh, all_scratch, all_sums = buffers
    n_outputs, n_used, n_layers = Y.shape[1], n_units_in(layout), layout.shape[0]
    n_lines, n_sums = n_padded(n_used), n_gradient_sums(layout, n_layers)
    for slot in prange(part.first_slot, part.end_slot):
        scratch, sums = all_scratch[slot], all_sums[slot]
        deltas = scratch[: n_outputs * n_lines].reshape((n_outputs, n_lines, LINE))
        weighted = scratch[n_outputs * n_lines :]
        squared_deltas, squared = weighted[n_lines:], weighted[2 * n_lines :]
        residuals, weight_line = weighted[3 * n_lines :], scratch[scratch.shape[0] - 1]
        gram = matrix_at(sums, 2 * n_sums, n_outputs, n_outputs)
        if part.begins:
            sums[:] = 0.0
        for first in block_starts(slot, part, X.shape[0]):
            units = all_units[first // BLOCK % all_units.shape[0]]
            count, padded = forward_rows(X, first, x_scaling, theta, layout, units, is_fresh, TO_OUTPUTS)
            load_root_weights(root_weight, first, count, padded, weight_line)
            for o in range(n_outputs):
                f = first_output(layout) + o
                load_residuals(Y, first, o, units[f], weight_line, residuals[o], count, padded)
                set_output_deltas(layout, o, weight_line, deltas[o], padded)
                backward_block(theta, layout, units, deltas[o], padded)
                for s in range(padded):
                    weighted[f, s] = weight_line[s] * residuals[o, s]
            add_gram(residuals, START, n_outputs, padded, gram)  # as in `accumulate_squares`
            multiply_by_residuals(layout, deltas, residuals, weighted, padded)
            _sum_squared_deltas(layout, deltas, weight_line, squared_deltas, padded)
            for line in range(first_output(layout)):
                a, square = units[line], squared[line]
                for s in range(padded):
                    square[s] = a[s] * a[s]
            add_gradient(layout, n_layers, weighted, units, padded, sums)
            add_gradient(layout, n_layers, squared_deltas, squared, padded, sums[n_sums:])
            number = (begin + first) // BLOCK
            if number % every == 0:
                for line in range(n_used):
                    for s in range(padded):
                        kept[number // every, 0, line, s] = units[line, s]
                        kept[number // every, 1, line, s] = squared_deltas[line, s]


@jit()
def finish_first_order(network, total, penalty_diag, squares, gradient, diagonal):
    """Compute sums of squares, gradient J'r + S theta and the diagonal of J'J, without S, from the total; return F."""
    theta, layout = network
    n_layers, n_outputs = layout.shape[0], squares.size
    n_sums = n_gradient_sums(layout, n_layers)
    scatter_gradient(layout, n_layers, total, gradient)
    scatter_gradient(layout, n_layers, total[n_sums:], diagonal)
    gram = matrix_at(total, 2 * n_sums, n_outputs, n_outputs)
    for o in range(n_outputs):
        squares[o] = gram[o, o]
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
    return total_cost(squares, penalty_diag, theta)


def n_first_order_sums(layout):
    """Return how many numbers `accumulate_first_order` adds to."""
    last = layout.shape[0] - 1
    return 2 * n_gradient_sums(layout, last + 1) + n_padded(layout[last, N_OUT]) ** 2
