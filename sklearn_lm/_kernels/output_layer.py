"""The linear output layer: its cross products, and its least-squares solution."""

import numpy as np
from numba import prange

from .compile import jit, serial_and_parallel
from .forward import forward_rows, load_residuals, load_root_weights, total_cost
from .layout import ALL_OF_IT, BLOCK, N_IN, N_OUT, OFFSET, SOURCE, START, TO_OUTPUTS, block_starts, matrix_at, n_padded
from .linalg import cholesky, cholesky_solve
from .tiles import add_gram

# Relative to the largest diagonal entry. Along directions that the hidden units do not span, rounding errors of the
# gradient are magnified by its inverse; the part of a solution that it holds back is caught up with in the next
# iterations. From 1e-13 to 1e-6 the iterations to an error are the same (multimodal curve, friedman1, ripple).
OUTPUT_RIDGE = 1e-8


@jit()
def add_output_products(Y, root_weight, first, layout, units, basis, count, padded, all_of_it, gram):
    """Add the Gram matrix of sqrt(w) [a, 1, r]: the inputs of the output layer, and the residual of every output.

    If not `all_of_it`, only the rows of r are added, which are enough for the gradient.
    """
    last, n_outputs = layout.shape[0] - 1, Y.shape[1]
    n_in, source = layout[last, N_IN], layout[last, SOURCE]
    weight_line = basis[n_in]
    load_root_weights(root_weight, first, count, padded, weight_line)
    for i in range(n_in):
        a, line = units[source + i], basis[i]
        for s in range(padded):
            line[s] = weight_line[s] * a[s]
    for o in range(n_outputs):
        load_residuals(Y, first, o, units[source + n_in + 1 + o], weight_line, basis[n_in + 1 + o], count, padded)
    add_gram(basis, START if all_of_it else n_in + 1, n_in + 1 + n_outputs, padded, gram)


@serial_and_parallel
def accumulate_output_products(part, rows, network, buffers):
    """Add the Gram matrix of the inputs of the output layer and of the residuals.

    `buffers.sums` is (n_slots, n_output_sums(layout)).
    """
    X, Y, root_weight, x_scaling, _ = rows
    theta, layout = network
    all_units, is_fresh, scratch, sums = buffers
    n = layout[layout.shape[0] - 1, N_IN] + 1 + Y.shape[1]
    for slot in prange(part.first_slot, part.end_slot):
        gram = matrix_at(sums[slot], START, n, n)
        if part.begins:
            gram[:] = 0.0
        for first in block_starts(slot, part, X.shape[0]):
            units = all_units[first // BLOCK % all_units.shape[0]]
            count, padded = forward_rows(X, first, x_scaling, theta, layout, units, is_fresh, TO_OUTPUTS)
            basis = scratch[slot]
            add_output_products(Y, root_weight, first, layout, units, basis, count, padded, ALL_OF_IT, gram)


@jit(inline="always")
def finish_output_layer(network, total, penalty_diag, solved):
    """Set `solved` to theta with its output layer solved for by penalised least squares; return F there.

    Variable projection in its plainest form (Golub & Pereyra 1973). The equations are those of the *change* of the
    output layer, so their right-hand side is the gradient, which is exact near the solution. `total`, from
    `accumulate_output_products`, is overwritten.
    """
    theta, layout = network
    last = layout.shape[0] - 1
    n_basis, n_outputs, offset = layout[last, N_IN] + 1, layout[last, N_OUT], layout[last, OFFSET]
    products = matrix_at(total, START, n_basis + n_outputs, n_basis + n_outputs)
    squares = np.empty(n_outputs)
    for o in range(n_outputs):
        squares[o] = products[n_basis + o, n_basis + o]
    cost = total_cost(squares, penalty_diag, theta)
    for j in range(theta.size):
        solved[j] = theta[j]
    largest = 0.0
    for i in range(n_basis):
        products[i, i] += penalty_diag[offset + i]  # the same for every output
        if products[i, i] > largest:
            largest = products[i, i]
    L = np.zeros((n_padded(n_basis), n_padded(n_basis)))
    if not cholesky(products[:n_basis], OUTPUT_RIDGE * largest, np.ones(n_basis), L):
        return cost
    change = np.empty(n_basis)
    for o in range(n_outputs):
        row, reduction = offset + o * n_basis, 0.0
        for i in range(n_basis):
            change[i] = -(products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i])
        cholesky_solve(L, change)
        for i in range(n_basis):
            solved[row + i] = theta[row + i] + change[i]
            reduction += (products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i]) * change[i]
        # F is quadratic in the output layer: F + g'd + 1/2 d'Gd, where Gd = -g but for the tiny ridge.
        cost += 0.5 * reduction
    return cost
