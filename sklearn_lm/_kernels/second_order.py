"""Second derivatives of the residuals along a direction, for geodesic acceleration."""

from numba import prange

from .activations import activation_derivatives
from .backward import add_gradient, backward_block, scatter_gradient
from .compile import jit, serial_and_parallel
from .forward import combine_units, forward_rows, load_root_weights
from .layout import (
    ACTIVATION,
    ADDS,
    BLOCK,
    CONTRACTED,
    N_IN,
    N_OUT,
    OFFSET,
    SETS,
    SOURCE,
    TO_HIDDEN,
    UNITS,
    block_starts,
    first_output,
    n_padded,
    n_units_in,
    sum_slots,
)


@jit(fastmath=CONTRACTED)
def second_derivatives(theta, direction, layout, units, first, second, count):
    """First and second derivatives of every unit along `direction` in theta, after a forward pass.

    z' = W a' + V [a, 1] and z'' = W a'' + 2 V a', with [W | b] from theta and V from the direction.
    """
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        n_in, below = n_weights - 1, units[source:]
        for tile in range(0, layout[layer, N_OUT], UNITS):
            at, begin = source + n_weights + tile, layout[layer, OFFSET] + tile * n_weights
            z1, z2, n = first[at:], second[at:], min(UNITS, layout[layer, N_OUT] - tile)
            combine_units(direction, begin, n_weights, below, n_weights, SETS, z1, n, count)
            if layer == 0:  # neither data nor the line of ones moves with theta
                z2[:n, :count] = 0.0
            else:
                combine_units(direction, begin, n_weights, first[source:], n_in, SETS, z2, n, count)
                for j in range(n):
                    for s in range(count):
                        z2[j, s] *= 2.0
                combine_units(theta, begin, n_weights, first[source:], n_in, ADDS, z1, n, count)
                combine_units(theta, begin, n_weights, second[source:], n_in, ADDS, z2, n, count)
            for j in range(n):
                activation_derivatives(layout[layer, ACTIVATION], units[at + j], z1[j], z2[j], count)


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
    for start in block_starts(slot, n_slots, rounds, X.shape[0]):
        block = units[start // BLOCK % units.shape[0]]
        count, padded = forward_rows(X, start, x_scaling, theta, layout, block, is_fresh, TO_HIDDEN)
        second_derivatives(theta, direction, layout, block, first, second, padded)
        # J'W r_vv is the gradient of a sum of squares whose residuals are r_vv: outputs first, then backward.
        load_root_weights(root_weight, start, count, padded, weight_line)
        for output in range(n_outputs):
            line = second[first_output(layout) + output]
            for s in range(padded):
                line[s] *= weight_line[s] * weight_line[s]
        backward_block(theta, layout, block, second, padded)
        add_gradient(layout, layout.shape[0], second, block, padded, sums)


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
        sum_slots(sums)
        scatter_gradient(layout, layout.shape[0], sums[0], gradient)
