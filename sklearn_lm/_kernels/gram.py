"""Gradient and Gram matrix without a Jacobian: sums of products of deltas times products of activations."""

import math

from numba import prange

from .backward import add_gradient, backward_block, multiply_by_residuals, scatter_gradient, set_output_deltas
from .compile import jit, serial_and_parallel
from .forward import forward_rows
from .layout import (
    AT,
    BLOCK,
    D_END,
    D_FIRST,
    DELTA_PANEL,
    INPUT_PANEL,
    IS_SAME,
    LINE,
    N_IN,
    P_END,
    P_FIRST,
    START,
    TO_OUTPUTS,
    block_starts,
    matrix_at,
    n_padded,
    n_units_in,
    sum_slots,
    total_cost,
)
from .output_layer import add_output_moments, scatter_output_moments
from .tiles import add_products, multiply_lines


@jit(inline="always")
def _add_pairs(pairs, delta_factors, input_factors, deltas, units, scratch, count, moments):
    """D P' of every pair of layers, see `_network/gram_tables.py`: products of deltas times products of what the
    layers read."""
    delta_panel, input_panel = scratch[:DELTA_PANEL], scratch[DELTA_PANEL:]
    inputs = units.reshape((1, units.shape[0], units.shape[1]))
    for pair in range(pairs.shape[0]):
        d_first, d_end = pairs[pair, D_FIRST], pairs[pair, D_END]
        p_first, p_end = pairs[pair, P_FIRST], pairs[pair, P_END]
        place = matrix_at(moments, pairs[pair, AT], d_end - d_first, p_end - p_first)
        for p in range(p_first, p_end, INPUT_PANEL):
            n_p = min(INPUT_PANEL, p_end - p)
            multiply_lines(input_factors, p, p + n_p, inputs, count, input_panel)
            for d in range(d_first, d_end, DELTA_PANEL):
                n_d = min(DELTA_PANEL, d_end - d)
                multiply_lines(delta_factors, d, d + n_d, deltas, count, delta_panel)
                add_products(delta_panel, n_d, input_panel, n_p, count, place, d - d_first, p - p_first)


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
    output_gram = matrix_at(moments, START, n_basis + n_outputs, n_basis + n_outputs)
    has_gram = last == 0 or pairs.shape[0] > 0  # or the gradient alone is wanted
    if begins:
        moments[:] = 0.0
    for first in block_starts(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = forward_rows(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        add_output_moments(Y, root_weight, first, layout, block, basis, count, padded, has_gram, output_gram)
        if last == 0:
            continue
        for output in range(n_outputs):
            set_output_deltas(layout, output, basis[n_basis - 1], deltas[output], padded)
            backward_block(theta, layout, block, deltas[output], padded)
        multiply_by_residuals(layout, deltas, basis[n_basis:], weighted, padded)
        add_gradient(layout, last, weighted, block, padded, moments[output_gram.size :])
        _add_pairs(pairs, delta_factors, input_factors, deltas, block, panels, padded, moments)


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
    sum_slots(moments)
    return finish_normal_equations(
        theta, layout, pairs, delta_factors, input_factors, moments[0], penalty_diag, squares, gradient, gram
    )


@jit(inline="always")
def finish_normal_equations(
    theta, layout, pairs, delta_factors, input_factors, moments, penalty_diag, squares, gradient, gram
):
    """What `normal_equations` gives, from the products that all rows have added to."""
    n_output_moments = scatter_output_moments(layout, moments, squares, gradient, gram)
    scatter_gradient(layout, layout.shape[0] - 1, moments[n_output_moments:], gradient)
    _scatter_pairs(pairs, delta_factors, input_factors, moments, gram)
    for j in range(theta.size):
        gradient[j] += penalty_diag[j] * theta[j]
        gram[j, j] += penalty_diag[j]
    return total_cost(squares, penalty_diag, theta)


@jit(inline="always")
def _scatter_pairs(pairs, delta_factors, input_factors, moments, gram):
    """gram[(k, h), (j, i)] = (D P')[(j, k), (i, h)], where k, h are of the later layer; the lower triangle."""
    for pair in range(pairs.shape[0]):
        d_first, p_first, p_end = pairs[pair, D_FIRST], pairs[pair, P_FIRST], pairs[pair, P_END]
        products = matrix_at(moments, pairs[pair, AT], pairs[pair, D_END] - d_first, p_end - p_first)
        is_same = pairs[pair, IS_SAME] == 1
        for d in range(d_first, pairs[pair, D_END]):
            column, row = delta_factors[d, 2], delta_factors[d, 3]
            line = products[d - d_first]
            for p in range(p_first, p_end):
                i, h = input_factors[p, 2], input_factors[p, 3]
                gram[row + h, column + i] = line[p - p_first]
                if is_same and row > column:  # a product of i and h is one of h and i
                    gram[row + i, column + h] = line[p - p_first]
