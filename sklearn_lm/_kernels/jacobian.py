"""Rows of the Jacobian itself, for problems with fewer residuals than parameters."""

import numpy as np

from .backward import backward_block, set_output_deltas
from .compile import jit
from .forward import forward_rows, load_root_weights
from .layout import BLOCK, LINE, N_IN, N_OUT, OFFSET, SOURCE, STALE, TO_OUTPUTS, first_output, n_units_in, total_cost
from .second_order import second_derivatives


@jit()
def jacobian_lines(layout, units, deltas, jacobian, count):
    """Lines of sqrt(w) J for one output: the parameters of a unit have the derivatives delta * [a, 1]."""
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
def _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, rows):
    """Rows of sqrt(w) J for the block that begins at row `first` of X; its number of rows. `units` has its outputs."""
    n_outputs, weight_line = layout[layout.shape[0] - 1, N_OUT], np.empty(LINE)
    count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
    load_root_weights(root_weight, first, count, padded, weight_line)
    for output in range(n_outputs):
        set_output_deltas(layout, output, weight_line, deltas, padded)
        backward_block(theta, layout, units, deltas, padded)
        jacobian_lines(layout, units, deltas, lines, padded)
        for s in range(count):
            for j in range(theta.size):
                rows[(first + s) * n_outputs + output, j] = lines[j, s]
    return count


@jit()
def dual_equations(X, Y, root_weight, x_scaling, theta, layout, penalty_diag, jacobian, residual, squares, gradient):
    """Rows sqrt(w) J and residuals sqrt(w) (f - y), sums of squares and the gradient J'r + penalty; returns F.

    `jacobian` has as many columns as there are parameters or more; those past them are not touched.
    """
    n_outputs = Y.shape[1]
    units = np.empty((n_units_in(layout), LINE))
    deltas, lines = np.empty_like(units), np.empty((theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        count = _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, jacobian)
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
def dual_curvature(X, root_weight, x_scaling, theta, direction, layout, n_outputs, bend):
    """bend = sqrt(w) r_vv, residual by residual, with r_vv the second derivative along `direction`."""
    units = np.empty((n_units_in(layout), LINE))
    first_derivative, second = np.zeros_like(units), np.zeros_like(units)
    for first in range(0, X.shape[0], BLOCK):
        count, padded = forward_rows(X, first, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        second_derivatives(theta, direction, layout, units, first_derivative, second, padded)
        for o in range(n_outputs):
            line = second[first_output(layout) + o]
            for s in range(count):
                bend[(first + s) * n_outputs + o] = root_weight[first + s] * line[s]


@jit()
def jacobian_rows(X, root_weight, x_scaling, theta, layout, rows):
    """Whole matrix sqrt(w) J of the rows given, (n_rows * n_outputs, n_parameters): row i * n_outputs + o.

    For tests, and for rows that are needed one by one.
    """
    units = np.empty((n_units_in(layout), LINE))
    deltas, lines = np.empty_like(units), np.empty((theta.size, LINE))
    for first in range(0, X.shape[0], BLOCK):
        _jacobian_block(X, root_weight, first, x_scaling, theta, layout, units, deltas, lines, rows)
