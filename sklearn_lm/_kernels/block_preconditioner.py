"""A preconditioner of diagonal blocks of the Gram matrix, one per unit and group of its inputs."""

import math

import numpy as np
from numba import prange

from .compile import jit, serial_and_parallel
from .layout import BLOCK, INPUT_LINE, LINE, PARAMETER, PLACE, SIZE, START, UNIT_LINE, matrix_at
from .linalg import cholesky, cholesky_solve
from .tiles import add_gram


@jit()
def _slot_block_grams(slot, n_slots, blocks, kept, lines, grams):
    root = np.empty(LINE)
    for b in range(slot, blocks.shape[0], n_slots):
        size, source = blocks[b, SIZE], blocks[b, INPUT_LINE]
        gram = matrix_at(grams, blocks[b, PLACE], size, size)
        gram[:] = 0.0
        for room in range(kept.shape[0]):
            energy = kept[room, 1, blocks[b, UNIT_LINE]]
            for s in range(BLOCK):
                root[s] = math.sqrt(energy[s])
            for i in range(size):
                a, line = kept[room, 0, source + i], lines[i]
                for s in range(BLOCK):
                    line[s] = root[s] * a[s]
            add_gram(lines, START, size, BLOCK, gram)


@serial_and_parallel(slots="lines")
def block_grams(part, blocks, kept, lines, grams):
    """Blocks of J'J over the rows that were kept, one per unit and group of its inputs; `lines` has room a slot."""
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], lines.shape[0])):
        _slot_block_grams(slot, lines.shape[0], blocks, kept, lines[slot], grams)


@jit()
def _slot_factor_blocks(slot, n_slots, blocks, grams, exact, added, ridge, factors):
    for b in range(slot, blocks.shape[0], n_slots):
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


@serial_and_parallel(slots="n_slots")
def factor_blocks(part, blocks, grams, exact, added, ridge, n_slots, factors):
    """Cholesky factors of the preconditioner's blocks: `exact` is the diagonal of J'J, `added` what is on top of it.

    Off the diagonal stands the correlation that the kept rows have. Where rounding leaves no factor the diagonal alone
    takes the block's place.
    """
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_factor_blocks(slot, n_slots, blocks, grams, exact, added, ridge, factors)


@jit()
def _slot_precondition(slot, n_slots, blocks, factors, z):
    for b in range(slot, blocks.shape[0], n_slots):
        size, first = blocks[b, SIZE], blocks[b, PARAMETER]
        cholesky_solve(matrix_at(factors, blocks[b, PLACE], size, size), z[first : first + size])


@serial_and_parallel(slots="n_slots")
def precondition(part, blocks, factors, n_slots, z):
    """Replace z by the solution of M z = z, with M the preconditioner."""
    slots, _, _, _ = part
    for slot in prange(slots[0], min(slots[1], n_slots)):
        _slot_precondition(slot, n_slots, blocks, factors, z)
