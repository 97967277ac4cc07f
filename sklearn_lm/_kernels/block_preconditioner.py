"""A preconditioner of diagonal blocks of the Gram matrix, one per unit and group of its inputs."""

import math

import numpy as np
from numba import prange

from .compile import jit, serial_and_parallel
from .layout import BLOCK, INPUT_LINE, LINE, PARAMETER, PLACE, SIZE, START, UNIT_LINE, matrix_at
from .linalg import cholesky, cholesky_solve
from .tiles import add_gram


@serial_and_parallel
def block_grams(part, blocks, kept, lines, grams):
    """Compute the blocks of J'J over the rows that were kept; `lines` is (n_slots, n_padded(largest), LINE)."""
    for slot in prange(part.first_slot, part.end_slot):
        for b in range(slot, blocks.shape[0], part.n_slots):
            _block_gram(b, blocks, kept, lines[slot], grams)


@jit()
def _block_gram(b, blocks, kept, lines, grams):
    """Compute one block: the sum of D_jj a_i a_h over the kept rows."""
    root = np.empty(LINE)
    size, source = blocks[b, SIZE], blocks[b, INPUT_LINE]
    gram = matrix_at(grams, blocks[b, PLACE], size, size)
    gram[:] = 0.0
    for k in range(kept.shape[0]):
        squared_deltas = kept[k, 1, blocks[b, UNIT_LINE]]
        for s in range(BLOCK):
            root[s] = math.sqrt(squared_deltas[s])
        for i in range(size):
            a, line = kept[k, 0, source + i], lines[i]
            for s in range(BLOCK):
                line[s] = root[s] * a[s]
        add_gram(lines, START, size, BLOCK, gram)


@serial_and_parallel
def factor_blocks(part, blocks, grams, exact, added, ridge, factors):
    """Compute Cholesky factors of the blocks of the preconditioner.

    The diagonal is (1 + ridge) `exact`, the diagonal of J'J over all rows, plus `added`. The entries off the diagonal
    have the correlations of the kept rows. If rounding leaves no factor, the diagonal alone takes the place of the
    block.
    """
    for slot in prange(part.first_slot, part.end_slot):
        for b in range(slot, blocks.shape[0], part.n_slots):
            _factor_block(b, blocks, grams, exact, added, ridge, factors)


@jit()
def _factor_block(b, blocks, grams, exact, added, ridge, factors):
    """Compute the factor of one block."""
    size, first = blocks[b, SIZE], blocks[b, PARAMETER]
    gram = matrix_at(grams, blocks[b, PLACE], size, size)
    L = matrix_at(factors, blocks[b, PLACE], size, size)
    A, scale, diagonal = np.empty((size, size)), np.zeros(size), np.empty(size)
    for i in range(size):
        if gram[i, i] > 0.0:
            scale[i] = math.sqrt(exact[first + i] / gram[i, i])
        diagonal[i] = (1.0 + ridge) * exact[first + i] + added[first + i]
    for i in range(size):
        for k in range(i):
            A[i, k] = scale[i] * gram[i, k] * scale[k]
        A[i, i] = diagonal[i]
    if not cholesky(A, 0.0, np.ones(size), L):
        L[:] = 0.0
        for i in range(size):
            L[i, i] = math.sqrt(diagonal[i])


@serial_and_parallel
def precondition(part, blocks, factors, z):
    """Replace z by the solution x of M x = z, with M the preconditioner."""
    for slot in prange(part.first_slot, part.end_slot):
        for b in range(slot, blocks.shape[0], part.n_slots):
            size, first = blocks[b, SIZE], blocks[b, PARAMETER]
            cholesky_solve(matrix_at(factors, blocks[b, PLACE], size, size), z[first : first + size])
