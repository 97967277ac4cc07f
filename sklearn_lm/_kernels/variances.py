"""Variances of predictions: quadratic forms of rows of the Jacobian with the inverse Hessian."""

import numpy as np
from numba import prange

from .compile import jit, serial_and_parallel
from .forward import forward_rows
from .jacobian import jacobian_of_block
from .layout import BLOCK, LINE, STALE, START, STRIP, TO_OUTPUTS, VECTOR
from .layout import block_starts, first_output, n_padded, n_units_in
from .linalg import dot_of_first, multiply_by_inverse_factor


@serial_and_parallel
def prediction_variances(part, X, x_scaling, network, inverse_factor, f, products):
    """Compute f_o(x_i) and products[i, o, q] = J_o(x_i) H^-1 J_q(x_i)' for H^-1 = V'V with a lower triangle V.

    `inverse_factor` is V with zeros around it: n_padded(p) rows and a multiple of VECTOR columns.
    """
    for slot in prange(part.first_slot, part.end_slot):
        for block in block_starts(slot, part, X.shape[0]):
            _block_variances(block, X, x_scaling, network, inverse_factor, f, products)


@jit(inline="always")
def _block_variances(block, X, x_scaling, network, inverse_factor, f, products):
    """Compute both for one block of rows, `STRIP` rows at a time."""
    theta, layout = network
    n_outputs, width = products.shape[1], inverse_factor.shape[1]
    units, ones = np.empty((n_units_in(layout), LINE)), np.ones(LINE)
    deltas, lines = np.empty_like(units), np.empty((theta.size, STRIP + VECTOR))
    rows = np.zeros((n_padded(STRIP * n_outputs), width))
    z = np.zeros((rows.shape[0], n_padded(width)))
    for first in range(block, min(block + BLOCK, X.shape[0]), STRIP):
        strip = X[first : first + STRIP]
        count, padded = forward_rows(strip, START, x_scaling, theta, layout, units, STALE, TO_OUTPUTS)
        jacobian_of_block(network, units, ones, deltas, lines, rows, START, count, padded)
        multiply_by_inverse_factor(inverse_factor, theta.size, rows, count * n_outputs, z)
        for s in range(count):
            for o in range(n_outputs):
                f[first + s, o] = units[first_output(layout) + o, s]
                for q in range(n_outputs):
                    at = s * n_outputs
                    products[first + s, o, q] = dot_of_first(z[at + max(o, q)], z[at + min(o, q)], theta.size)
