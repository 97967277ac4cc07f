"""Gradient and Gram matrix without a Jacobian: sums of products of deltas times products of activations."""

from numba import prange

from .backward import add_gradient, backward_block, multiply_by_residuals, scatter_gradient, set_output_deltas
from .compile import jit, serial_and_parallel
from .forward import forward_rows, total_cost
from .layout import AT, BLOCK, DELTA_PANEL, D_END, D_FIRST, INPUT_PANEL, IS_SAME, LINE, N_IN, OFFSET, P_END, P_FIRST
from .layout import START, TO_OUTPUTS, block_starts, matrix_at, n_padded, n_units_in
from .output_layer import add_output_products
from .tiles import add_products, multiply_lines


@jit(inline="always")
def _add_pairs(tables, deltas, units, scratch, count, sums):
    """Add D P' of every pair of layers: products of deltas times products of what the layers read."""
    delta_panel, input_panel = scratch[:DELTA_PANEL], scratch[DELTA_PANEL:]
    inputs = units.reshape((1, units.shape[0], units.shape[1]))
    pairs, delta_factors, input_factors, _ = tables
    for pair in range(pairs.shape[0]):
        d_first, d_end = pairs[pair, D_FIRST], pairs[pair, D_END]
        p_first, p_end = pairs[pair, P_FIRST], pairs[pair, P_END]
        place = matrix_at(sums, pairs[pair, AT], d_end - d_first, p_end - p_first)
        for p in range(p_first, p_end, INPUT_PANEL):
            n_p = min(INPUT_PANEL, p_end - p)
            multiply_lines(input_factors, p, p + n_p, inputs, count, input_panel)
            for d in range(d_first, d_end, DELTA_PANEL):
                n_d = min(DELTA_PANEL, d_end - d)
                multiply_lines(delta_factors, d, d + n_d, deltas, count, delta_panel)
                add_products(delta_panel, n_d, input_panel, n_p, count, place, d - d_first, p - p_first)


@serial_and_parallel
def accumulate_gram_products(part, rows, network, tables, buffers):
    """Add the cross products of blocks of rows that make sums of squares, gradient and Gram matrix.

    `buffers.sums` is (n_slots, tables.n_products). Tables without pairs leave out the Gram matrix.
    """
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    all_units, is_fresh, all_scratch, all_sums = buffers
    n_outputs, n_lines, last = Y.shape[1], n_units_in(layout), layout.shape[0] - 1
    n_basis = layout[last, N_IN] + 1
    has_gram = last == 0 or tables.pairs.shape[0] > 0
    for slot in prange(part.first_slot, part.end_slot):
        scratch, sums = all_scratch[slot], all_sums[slot]
        deltas = scratch[: n_outputs * n_lines].reshape((n_outputs, n_lines, LINE))
        weighted = scratch[n_outputs * n_lines :]
        basis = weighted[n_padded(n_lines) :]
        panels = basis[n_padded(n_basis + n_outputs) :]
        output_gram = matrix_at(sums, START, n_basis + n_outputs, n_basis + n_outputs)
        if part.begins:
            sums[:] = 0.0
        for first in block_starts(slot, part, X.shape[0]):
            units = all_units[first // BLOCK % all_units.shape[0]]
            count, padded = forward_rows(X, first, x_scaling, theta, layout, units, is_fresh, TO_OUTPUTS)
            add_output_products(Y, root_weight, first, layout, units, basis, count, padded, has_gram, output_gram)
            if last == 0:
                continue
            for output in range(n_outputs):
                set_output_deltas(layout, output, basis[n_basis - 1], deltas[output], padded)
                backward_block(theta, layout, units, deltas[output], padded)
            multiply_by_residuals(layout, deltas, basis[n_basis:], weighted, padded)
            add_gradient(layout, last, weighted, units, padded, sums[output_gram.size :])
            _add_pairs(tables, deltas, units, panels, padded, sums)


@jit(inline="always")
def finish_linearization(network, tables, products, penalty_diag, squares, gradient, gram):
    """Compute sums of squares, gradient J'r + S theta and the lower triangle of J'J + S from the total; return F."""
    theta, layout = network
    n_output_products = _scatter_output_products(layout, products, squares, gradient, gram)
    scatter_gradient(layout, layout.shape[0] - 1, products[n_output_products:], gradient)
    _scatter_pairs(tables, products, gram)
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
        gram[j, j] += penalty_diag[j]
    return total_cost(squares, penalty_diag, theta)


@jit(inline="always")
def _scatter_output_products(layout, sums, squares, gradient, gram):
    """Write the blocks of the output layer, equal for every output, from the Gram matrix of sqrt(w) [a, 1, r].

    Returns how many of the sums this matrix takes.
    """
    last, n_outputs = layout.shape[0] - 1, squares.size
    n_basis, offset = layout[last, N_IN] + 1, layout[last, OFFSET]
    products = matrix_at(sums, START, n_basis + n_outputs, n_basis + n_outputs)
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
def _scatter_pairs(tables, sums, gram):
    """Write gram[(k, h), (j, i)] = (D P')[(j, k), (i, h)], k and h of the later layer; the lower triangle."""
    pairs, delta_factors, input_factors, _ = tables
    for pair in range(pairs.shape[0]):
        d_first, p_first, p_end = pairs[pair, D_FIRST], pairs[pair, P_FIRST], pairs[pair, P_END]
        products = matrix_at(sums, pairs[pair, AT], pairs[pair, D_END] - d_first, p_end - p_first)
        is_same = pairs[pair, IS_SAME] == 1
        for d in range(d_first, pairs[pair, D_END]):
            column, row = delta_factors[d, 2], delta_factors[d, 3]
            line = products[d - d_first]
            for p in range(p_first, p_end):
                i, h = input_factors[p, 2], input_factors[p, 3]
                gram[row + h, column + i] = line[p - p_first]
                if is_same and row > column:  # a product of i and h is one of h and i
                    gram[row + i, column + h] = line[p - p_first]
