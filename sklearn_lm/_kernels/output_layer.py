"""The linear output layer: its cross products, and its least-squares solution."""

import math

import numpy as np
from numba import prange

from .compile import jit, serial_and_parallel
from .forward import forward_rows, load_residuals, load_root_weights
from .layout import (
    ALL_OF_IT,
    BLOCK,
    N_IN,
    OFFSET,
    SOURCE,
    START,
    TO_OUTPUTS,
    block_starts,
    matrix_at,
    n_padded,
    sum_slots,
    total_cost,
)
from .linalg import cholesky, cholesky_solve
from .tiles import add_gram

# Relative to the largest diagonal entry. Along directions that the hidden units do not span, rounding errors of the
# gradient are magnified by its inverse; the part of a solution that it holds back is caught up with in the next
# iterations. From 1e-13 to 1e-6 the iterations to an error are the same (multimodal curve, friedman1, ripple).
OUTPUT_RIDGE = 1e-8


@jit()
def add_output_moments(Y, root_weight, first, layout, units, basis, count, padded, all_of_it, gram):
    """gram += the Gram matrix of sqrt(w) [a, 1, r]: what the output layer reads, and the residual of every output.

    If not `all_of_it`, the rows of r: what the gradient needs.
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


@jit(inline="always")
def _slot_output_moments(
    slot, n_slots, begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units, scratch, moments
):
    if begins:
        moments[:] = 0.0
    for first in block_starts(slot, n_slots, rounds, X.shape[0]):
        block = units[first // BLOCK % units.shape[0]]
        count, padded = forward_rows(X, first, x_scaling, theta, layout, block, is_fresh, TO_OUTPUTS)
        add_output_moments(Y, root_weight, first, layout, block, scratch, count, padded, ALL_OF_IT, moments)


@jit(inline="always")
def scatter_output_moments(layout, moments, squares, gradient, gram):
    """From the Gram matrix of sqrt(w) [a, 1, r]: the output layer's blocks are the same for every output.

    Returns the number of moments that this matrix takes.
    """
    last, n_outputs = layout.shape[0] - 1, squares.size
    n_basis, offset = layout[last, N_IN] + 1, layout[last, OFFSET]
    products = matrix_at(moments, START, n_basis + n_outputs, n_basis + n_outputs)
    for o in range(n_outputs):
        row = offset + o * n_basis
        squares[o] = products[n_basis + o, n_basis + o]
        for i in range(n_basis):
            gradient[row + i] = products[n_basis + o, i]
            gram[row + i, offset:row] = 0.0
            for k in range(i + 1):
                gram[row + i, row + k] = products[i, k]
    return products.size


@serial_and_parallel(slots="moments", block=BLOCK)
def solve_output(
    part, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units, scratch, moments, penalty_diag, solved
):
    """`solved` = theta with its output layer solved for by penalised least squares; returns F there.

    Variable projection in its plainest form (Golub & Pereyra 1973). The equations are those of the *change* of
    the output layer, so their right-hand side is the gradient, which is exact where the solution is near. `moments`
    is (n_slots, n, n), n = n_padded(n_basis + n_outputs); the other arguments are those of `normal_equations`.
    """
    slots, rounds, begins, ends = part
    for slot in prange(slots[0], min(slots[1], moments.shape[0])):
        _slot_output_moments(
            slot, moments.shape[0], begins, rounds, X, Y, root_weight, x_scaling, theta, layout, is_fresh, units,
            scratch[slot], moments[slot],
        )  # fmt: skip
    if not ends:
        return math.nan
    sum_slots(moments)
    return solve_output_moments(layout, moments[0], Y.shape[1], penalty_diag, theta, solved)


@jit(inline="always")
def solve_output_moments(layout, products, n_outputs, penalty_diag, theta, solved):
    """What `solve_output` gives, from the products that all rows have added to."""
    last = layout.shape[0] - 1
    n_basis, offset = layout[last, N_IN] + 1, layout[last, OFFSET]
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
        row, total = offset + o * n_basis, 0.0
        for i in range(n_basis):
            change[i] = -(products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i])
        cholesky_solve(L, change)
        for i in range(n_basis):
            solved[row + i] = theta[row + i] + change[i]
            total += (products[n_basis + o, i] + penalty_diag[row + i] * theta[row + i]) * change[i]
        # F is quadratic in the output layer: F + g'd + 1/2 d'Gd, where Gd = -g but for the tiny ridge.
        cost += 0.5 * total
    return cost
