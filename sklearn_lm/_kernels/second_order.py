"""Derivatives of residuals along a direction: first, for products with J'J, and second, for geodesic acceleration."""

from numba import prange

from .activations import multiply_by_slope, propagate_derivatives
from .backward import add_gradient, backward_block, scatter_gradient
from .compile import jit, serial_and_parallel
from .forward import combine_units, forward_rows, load_root_weights
from .layout import ACTIVATION, ADDS, BLOCK, CONTRACTED, N_IN, N_OUT, OFFSET, SETS, SOURCE, TO_HIDDEN, UNITS
from .layout import block_starts, first_output, n_padded, n_units_in


@jit(fastmath=CONTRACTED)
def derivatives_along(theta, direction, layout, units, first, second, to_second, count):
    """Compute the first and, if `to_second`, second derivatives of every unit along `direction` in theta.

    z' = W a' + V [a, 1] and z'' = W a'' + 2 V a', after a forward pass, with [W | b] from theta and V from the
    direction.
    """
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        n_in, below = n_weights - 1, units[source:]
        for tile in range(0, layout[layer, N_OUT], UNITS):
            at, begin = source + n_weights + tile, layout[layer, OFFSET] + tile * n_weights
            z1, z2, n = first[at:], second[at:], min(UNITS, layout[layer, N_OUT] - tile)
            combine_units(direction, begin, n_weights, below, n_weights, SETS, z1, n, count)
            if layer > 0:  # neither data nor the line of ones moves with theta
                combine_units(theta, begin, n_weights, first[source:], n_in, ADDS, z1, n, count)
            if not to_second:
                for j in range(n):
                    multiply_by_slope(layout[layer, ACTIVATION], units[at + j], z1[j], count)
                continue
            if layer == 0:
                z2[:n, :count] = 0.0
            else:
                combine_units(direction, begin, n_weights, first[source:], n_in, SETS, z2, n, count)
                for j in range(n):
                    for s in range(count):
                        z2[j, s] *= 2.0
                combine_units(theta, begin, n_weights, second[source:], n_in, ADDS, z2, n, count)
            for j in range(n):
                propagate_derivatives(layout[layer, ACTIVATION], units[at + j], z1[j], z2[j], count)


@serial_and_parallel
def accumulate_along(part, rows, network, direction, to_second, buffers):
    """Add the parts of J'W J direction or, if `to_second`, of J'W r_vv, r_vv the second derivative of the residuals.

    Neither J nor J'J exists. `buffers.sums` is (n_slots, n_gradient_sums) for all layers.
    """
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    all_units, is_fresh, all_scratch, all_sums = buffers
    n_outputs, n_lines = Y.shape[1], n_padded(n_units_in(layout))
    for slot in prange(part.first_slot, part.end_slot):
        scratch, sums = all_scratch[slot], all_sums[slot]
        first, second, weight_line = scratch[:n_lines], scratch[n_lines : 2 * n_lines], scratch[2 * n_lines]
        u = second if to_second else first
        if part.begins:
            sums[:] = 0.0
        for start in block_starts(slot, part, X.shape[0]):
            units = all_units[start // BLOCK % all_units.shape[0]]
            count, padded = forward_rows(X, start, x_scaling, theta, layout, units, is_fresh, TO_HIDDEN)
            derivatives_along(theta, direction, layout, units, first, second, to_second, padded)
            # J'W u is the gradient of a sum of squares whose residuals are u: outputs first, then backward.
            load_root_weights(root_weight, start, count, padded, weight_line)
            for output in range(n_outputs):
                line = u[first_output(layout) + output]
                for s in range(padded):
                    line[s] *= weight_line[s] * weight_line[s]
            backward_block(theta, layout, units, u, padded)
            add_gradient(layout, layout.shape[0], u, units, padded, sums)


@jit()
def finish_gradient(layout, total, gradient):
    """Write a gradient, as `accumulate_along` adds it up, in the order of theta."""
    scatter_gradient(layout, layout.shape[0], total, gradient)
