"""Cholesky factors, their solutions and inverses, norms: with the same bits on any number of threads."""

import math

import numpy as np

from .compile import jit, prefer_512bit
from .layout import CONTRACTED, ONE, REORDERED, THREE, TILE_COLUMNS, TILE_ROWS, TWO, UNSIGNED, VECTOR, ZERO
from .tiles import add_tile, tile

BAND = 24  # columns of a Cholesky factor that are computed together


@jit()
def norm(v):
    """Return the Euclidean norm, scaled so that no square overflows or underflows."""
    largest, total = 0.0, 0.0
    for value in v:
        if not abs(value) <= largest:  # NaN included
            largest = abs(value)
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    for value in v:
        total += (value / largest) ** 2
    return largest * math.sqrt(total)


@jit(fastmath=CONTRACTED)
def dot_of_first(a, b, count):
    """Return the inner product of the first `count` numbers, in four sums.

    Left to the compiler, the sums of a tail are not the same in each build.
    """
    prefer_512bit()
    s0 = s1 = s2 = s3 = 0.0
    tail = count % 4
    for s in range(tail):
        s0 += a[s] * b[s]
    for s in range(tail, count, 4):
        s0 += a[s] * b[s]
        s1 += a[s + 1] * b[s + 1]
        s2 += a[s + 2] * b[s + 2]
        s3 += a[s + 3] * b[s + 3]
    return (s0 + s1) + (s2 + s3)


@jit()
def dot(a, b):
    """Return the inner product; BLAS would give other last bits with another number of its threads."""
    return dot_of_first(a, b, a.size)


@jit(fastmath=REORDERED)
def is_finite(gradient, gram):
    """Return whether gradient and lower triangle of the Gram matrix are finite: a sum is only if every term is."""
    prefer_512bit()
    total = 0.0
    for i in range(gram.shape[0]):
        row = gram[i]
        for j in range(i + 1):
            total += abs(row[j])
        total += abs(gradient[i])
    return math.isfinite(total)


@jit()
def cholesky(gram, mu, diagonal, L):
    """Compute the lower factor of gram + mu diag(diagonal) in the first lines of L; return False if there is none.

    Only the lower triangle of `gram` is read. L has n_padded(n) rows and as many columns or more, zeros past the n-th
    row at first; beside the factor it is left with numbers that mean nothing. LAPACK's factor has other last bits with
    another number of BLAS threads; this one has not. L_ij = (A_ij - sum_{k<j} L_ik L_jk) / L_jj, in bands of columns:
    nearly all the work is in the part of the sum that lies left of the band, which is dot products of rows, in tiles.
    These add, so that until its band is factored an entry has its sign changed.
    """
    prefer_512bit()
    n = diagonal.size
    for i in range(n):
        for j in range(i + 1):
            L[i, j] = -gram[i, j]
        L[i, i] -= mu * diagonal[i]
        L[i, i + 1 : i + TILE_ROWS + TILE_COLUMNS] = 0.0  # where tiles reach across the diagonal
    lines = np.empty((BAND, n))
    for first in range(0, n, BAND):
        last = min(first + BAND, n)
        if first > 0:
            for i in range(UNSIGNED(first), UNSIGNED(n), UNSIGNED(TILE_ROWS)):
                for j in range(UNSIGNED(first), min(UNSIGNED(last), i + UNSIGNED(TILE_ROWS)), UNSIGNED(TILE_COLUMNS)):
                    add_tile(L, i, L, j, UNSIGNED(first), L, i, j)
        if not _factor_band(L, first, last, n, lines):
            return False
    return True


@jit(fastmath=CONTRACTED)
def _factor_band(L, first, last, n, lines):
    """Factor columns first, ..., last - 1, copied to contiguous `lines`; return False if there is no factor."""
    prefer_512bit()
    count = n - first
    for i in range(count):
        for c in range(min(last - first, i + 1)):
            lines[c, i] = -L[first + i, first + c]
    for c in range(last - first):
        line, pivot = lines[c, c:], lines[c, c]
        if not pivot > 0.0:  # NaN included
            return False
        scale = 1.0 / math.sqrt(pivot)
        for i in range(count - c):
            line[i] *= scale
        for k in range(1, last - first - c):
            factor, other, rest = line[k], lines[c + k, c + k :], line[k:]
            for i in range(count - c - k):
                other[i] -= factor * rest[i]
    for i in range(count):
        for c in range(min(last - first, i + 1)):
            L[first + i, first + c] = lines[c, i]
    return True


@jit(fastmath=CONTRACTED)
def cholesky_solve(L, x):
    """Replace x by the solution of L L' x = x, L as `cholesky` left it."""
    prefer_512bit()
    n = x.size
    for i in range(n):
        x[i] = (x[i] - dot_of_first(L[i], x, i)) / L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= L[i, i]
        for k in range(i):
            x[k] -= x[i] * L[i, k]


@jit()
def multiply_by_inverse_factor(V, p, rows, n_rows, z):
    """Compute z = rows V' for the first rows, in tiles, without whole vectors above the diagonal of V.

    V is as `invert_factor` leaves it, `rows` (n_padded(n_rows), V's columns) and z (n_padded(n_rows), n_padded(p)).
    """
    prefer_512bit()
    for j in range(ZERO, UNSIGNED(p), UNSIGNED(TILE_ROWS)):
        # Up to the diagonal of the tile's last row, in whole vectors.
        length = (j + UNSIGNED(TILE_ROWS + VECTOR - 1)) // UNSIGNED(VECTOR) * UNSIGNED(VECTOR)
        for i in range(ZERO, UNSIGNED(n_rows), UNSIGNED(TILE_COLUMNS)):
            t0, t1, t2, t3 = tile(V, j, rows, i, min(length, UNSIGNED(V.shape[1])))
            for d in range(TILE_COLUMNS):
                line = z[i + UNSIGNED(d)]
                line[j], line[j + ONE], line[j + TWO], line[j + THREE] = t0[d], t1[d], t2[d], t3[d]


@jit(fastmath=CONTRACTED)
def invert_factor(L, n, transpose, V):
    """Compute V = L^-1 for a lower triangle of n rows, V_ic = (1_ic - sum_k L_ik V_kc) / L_ii, in bands of rows.

    As in `cholesky` nearly all of the sum lies left of the band, and is dot products in tiles: of rows of L with those
    of V', for which `transpose` is a buffer. This and V have the shape of L, and are zeros at first.
    """
    prefer_512bit()
    for first in range(0, n, BAND):
        last = min(first + BAND, n)
        for c in range(ZERO, UNSIGNED(first), UNSIGNED(TILE_ROWS)):
            for i in range(UNSIGNED(first), UNSIGNED(last), UNSIGNED(TILE_COLUMNS)):
                add_tile(transpose, c, L, i, UNSIGNED(first), transpose, c, i)
        for i in range(first, last):
            row = V[i]
            for c in range(first):
                row[c] = -transpose[c, i]
            row[i] = 1.0
            for k in range(first, i):
                factor, other = L[i, k], V[k]
                for c in range(k + 1):
                    row[c] -= factor * other[c]
            scale = 1.0 / L[i, i]
            for c in range(i + 1):
                row[c] *= scale
        for c in range(last):
            for i in range(first, last):
                transpose[c, i] = V[i, c]
