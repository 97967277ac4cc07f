"""Rows of the Jacobian itself, for problems with fewer residuals than parameters."""

import numpy as np

from .backward import backward_block, set_output_deltas
from .compile import jit
from .forward import forward_rows, load_root_weights, total_cost
from .layout import BLOCK, LINE, N_IN, N_OUT, OFFSET, SOURCE, STALE, TO_OUTPUTS, TO_SECOND, first_output, n_units_in
from .second_order import derivatives_along


@jit()
def _jacobian_lines(layout, units, deltas, jacobian, count):
    """Compute lines of sqrt(w) J for one output: delta * [a, 1] for the parameters of each unit."""
    for layer in range(layout.shape[0]):
        n_weights, source = layout[layer, N_IN] + 1, layout[layer, SOURCE]
        for j in range(layout[layer, N_OUT]):
            row = layout[layer, OFFSET] + j * n_weights
            delta = deltas[source + n_weights + j]
            for i in range(n_weights):
                a, line = units[source + i], jacobian[row + i]
                for s in range(count):
                    line[s] = delta[s] * a[s]


@jit()
def jacobian_of_block(network, units, weight_line, deltas, lines, J, first, count, padded):
    """Compute the rows of sqrt(w) J for a block after its forward pass: row (first + s) n_outputs + o for sample s.

    `deltas` and `lines` are buffers: lines of units and of parameters.
    """
    theta, layout = network
    n_outputs = layout[layout.shape[0] - 1, N_OUT]
    for output in range(n_outputs):
        set_output_deltas(layout, output, weight_line, deltas, padded)
        backward_block(theta, layout, units, deltas, padded)
        _jacobian_lines(layout, units, deltas, lines, padded)
        for s in range(count):
            row = J[(first + s) * n_outputs + output]
            for j in range(theta.size):
                row[j] = lines[j, s]


@jit()
def _jacobian_block(X, root_weight, first, x_scaling, network, buffers, J):
    """Compute the rows of sqrt(w) J for the block that begins at row `first` of X; return its number of rows.

    `buffers` are lines of units, which get those of the block, of deltas and of parameters.
    """
    theta, layout = network
    units, deltas, lines = buffers
    weight_line = np.empty(LINE)
    count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
    load_root_weights(root_weight, first, count, padded, weight_line)
    jacobian_of_block(network, units, weight_line, deltas, lines, J, first, count, padded)
    return count


@jit()
def dual_equations(rows, network, penalty_diag, jacobian, residual, squares, gradient):
    """Compute sqrt(w) J, residuals sqrt(w) (f - y), sums of squares and the gradient J'r + S theta; return F.

    `jacobian` has as many columns as there are parameters or more; those past them are not touched.
    """
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    n_outputs = Y.shape[1]
    units = np.empty((n_units_in(layout), LINE))
    buffers = units, np.empty_like(units), np.empty((theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        count = _jacobian_block(X, root_weight, first, x_scaling, network, buffers, jacobian)
        for o in range(n_outputs):
            f = units[first_output(layout) + o]
            for s in range(count):
                row = first + s
                residual[row * n_outputs + o] = root_weight[row] * (f[s] - Y[row, o])
    squares[:] = 0.0
    for j in range(theta.size):
        gradient[j] = penalty_diag[j] * theta[j]
    for row in range(residual.size):
        squares[row % n_outputs] += residual[row] * residual[row]
        for j in range(theta.size):
            gradient[j] += jacobian[row, j] * residual[row]
    return total_cost(squares, penalty_diag, theta)


@jit()
def dual_curvature(rows, network, direction, curvature):
    """Compute sqrt(w) r_vv, residual by residual, with r_vv the second derivative along `direction`."""
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    n_outputs = Y.shape[1]
    units = np.empty((n_units_in(layout), LINE))
    first_derivative, second = np.zeros_like(units), np.zeros_like(units)
    for first in range(0, X.shape[0], BLOCK):
        count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        derivatives_along(theta, direction, layout, units, first_derivative, second, TO_SECOND, padded)
        for o in range(n_outputs):
            line = second[first_output(layout) + o]
            for s in range(count):
                curvature[(first + s) * n_outputs + o] = root_weight[first + s] * line[s]


@jit()
def jacobian_rows(X, root_weight, x_scaling, network, J):
    """Compute the matrix sqrt(w) J, (n_rows * n_outputs, n_parameters): row i * n_outputs + o."""
    units = np.empty((n_units_in(network.layout), LINE))
    buffers = units, np.empty_like(units), np.empty((network.theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        _jacobian_block(X, root_weight, first, x_scaling, network, buffers, J)
