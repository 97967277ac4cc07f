"""The backward pass over one block of rows: derivatives by every pre-activation, and sums that make a gradient."""

from .activations import multiply_by_slope
from .compile import jit
from .forward import combine
from .layout import ACTIVATION, N_IN, N_OUT, OFFSET, SETS, SOURCE, START, first_output, matrix_at
from .tiles import add_products


@jit()
def set_output_deltas(layout, output, weight_line, deltas, count):
    """Set the output lines of `deltas` for derivatives of sqrt(w) f_output: sqrt(w) in its own, zero in the others."""
    for o in range(layout[layout.shape[0] - 1, N_OUT]):
        line = deltas[first_output(layout) + o]
        for s in range(count):
            line[s] = weight_line[s] if o == output else 0.0


@jit()
def backward_block(theta, layout, units, deltas, count):
    """Compute the derivatives of a scalar with respect to the pre-activation of every hidden unit.

    The output lines of `deltas` hold its derivatives with respect to the (linear) outputs.
    """
    for layer in range(layout.shape[0] - 1, 0, -1):
        n_in, source, n_out = layout[layer, N_IN], layout[layer, SOURCE], layout[layer, N_OUT]
        late = deltas[source + n_in + 1 :]
        for i in range(n_in):
            delta = deltas[source + i]
            combine(theta, layout[layer, OFFSET] + i, n_in + 1, late, n_out, SETS, delta, count)
            multiply_by_slope(layout[layer - 1, ACTIVATION], units[source + i], delta, count)


@jit(inline="always")
def multiply_by_residuals(layout, deltas, residuals, weighted, count):
    """Compute sum_o delta_jo r_o for every hidden unit j."""
    last = layout.shape[0] - 1
    for line in range(layout[0, SOURCE] + layout[0, N_IN] + 1, layout[last, SOURCE] + layout[last, N_IN]):
        out = weighted[line]
        for s in range(count):
            out[s] = deltas[0, line, s] * residuals[0, s]
        for o in range(1, deltas.shape[0]):
            for s in range(count):
                out[s] += deltas[o, line, s] * residuals[o, s]


@jit()
def add_gradient(layout, n_layers, deltas, units, count, sums):
    """Add sum_s delta_j a_i to g_ji for each of the first layers, in matrices that are padded for whole tiles."""
    at = START
    for layer in range(n_layers):
        n_weights, source, n_out = layout[layer, N_IN] + 1, layout[layer, SOURCE], layout[layer, N_OUT]
        place = matrix_at(sums, at, n_out, n_weights)
        add_products(deltas[source + n_weights :], n_out, units[source:], n_weights, count, place, START, START)
        at += place.size


@jit()
def scatter_gradient(layout, n_layers, sums, gradient):
    """Write what `add_gradient` has summed for the first layers, in the order of theta."""
    at = START
    for layer in range(n_layers):
        n_weights, n_out = layout[layer, N_IN] + 1, layout[layer, N_OUT]
        place = matrix_at(sums, at, n_out, n_weights)
        for j in range(n_out):
            row = layout[layer, OFFSET] + j * n_weights
            for i in range(n_weights):
                gradient[row + i] = place[j, i]
        at += place.size
