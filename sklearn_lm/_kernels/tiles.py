"""Sums of products over the samples of a block, in tiles of 4 x 3 dot products that the compiler vectorises."""

from .compile import jit, prefer_512bit
from .layout import CONTRACTED, ONE, REORDERED, START, THREE, TILE_COLUMNS, TILE_ROWS, TWO, UNSIGNED, ZERO


@jit(fastmath=REORDERED, forceinline=True)
def tile(A, j, B, k, count):
    """Return twelve dot products over the first `count` samples: lines j to j + 3 of A with lines k to k + 2 of B.

    One scalar sum for each, which the compiler turns into full vectors of fused multiply-adds; seven lines read for
    twelve products, where a single product reads two. (6 x 4 spills registers on AVX2.) All numbers are
    UNSIGNED: an index that may be negative, and mean one from the end, keeps a loop from being vectorised.
    """
    prefer_512bit()
    a0, a1, a2, a3 = A[j], A[j + ONE], A[j + TWO], A[j + THREE]
    b0, b1, b2 = B[k], B[k + ONE], B[k + TWO]
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = s30 = s31 = s32 = 0.0
    for s in range(count):
        s00 += a0[s] * b0[s]
        s01 += a0[s] * b1[s]
        s02 += a0[s] * b2[s]
        s10 += a1[s] * b0[s]
        s11 += a1[s] * b1[s]
        s12 += a1[s] * b2[s]
        s20 += a2[s] * b0[s]
        s21 += a2[s] * b1[s]
        s22 += a2[s] * b2[s]
        s30 += a3[s] * b0[s]
        s31 += a3[s] * b1[s]
        s32 += a3[s] * b2[s]
    return (s00, s01, s02), (s10, s11, s12), (s20, s21, s22), (s30, s31, s32)


@jit(forceinline=True)
def add_tile(A, j, B, k, count, out, row, column):
    """Add A[j + dj] . B[k + dk] to out[row + dj, column + dk] for a whole tile; unsigned numbers."""
    t0, t1, t2, t3 = tile(A, j, B, k, count)
    for t, line in ((t0, out[row]), (t1, out[row + ONE]), (t2, out[row + TWO]), (t3, out[row + THREE])):
        line[column] += t[0]
        line[column + ONE] += t[1]
        line[column + TWO] += t[2]


@jit()
def add_products(A, n_a, B, n_b, count, out, row, column):
    """Add A B' to out[row:, column:] for the first n_a lines of A and n_b of B, in whole tiles.

    Tiles at the edges read up to three lines beyond, and write as many rows and columns, which mean nothing.
    """
    prefer_512bit()
    for k in range(ZERO, UNSIGNED(n_b), UNSIGNED(TILE_COLUMNS)):
        for j in range(ZERO, UNSIGNED(n_a), UNSIGNED(TILE_ROWS)):
            add_tile(A, j, B, k, UNSIGNED(count), out, UNSIGNED(row) + j, UNSIGNED(column) + k)


@jit()
def add_gram(lines, first, n, count, gram):
    """Add A A' to the lower triangle of gram for the first n of `lines`, in whole tiles: both have n_padded(n) lines.

    Rows before the `first` may be left out.
    """
    prefer_512bit()
    for j in range(UNSIGNED(first // TILE_ROWS * TILE_ROWS), UNSIGNED(n), UNSIGNED(TILE_ROWS)):
        for k in range(ZERO, min(j + UNSIGNED(TILE_ROWS), UNSIGNED(n)), UNSIGNED(TILE_COLUMNS)):
            add_tile(lines, j, lines, k, UNSIGNED(count), gram, j, k)


@jit(fastmath=CONTRACTED)
def multiply_lines(factors, begin, end, lines, count, panel):
    """Compute lines begin, ..., end - 1 of a table of products: line d is sum_o of lines d_0 and d_1 of output o.

    Four at a time where they share their first factor, as most neighbours do: it is loaded once.
    """
    prefer_512bit()
    d = begin
    while d < end:
        line = factors[d, 0]
        is_four = d + 3 < end and factors[d + 3, 0] == line
        for o in range(lines.shape[0]):
            a = lines[o, line]
            if is_four:
                b0, b1 = lines[o, factors[d, 1]], lines[o, factors[d + 1, 1]]
                b2, b3 = lines[o, factors[d + 2, 1]], lines[o, factors[d + 3, 1]]
                at = d - begin
                c0, c1, c2, c3 = panel[at], panel[at + 1], panel[at + 2], panel[at + 3]
                if o == 0:
                    for s in range(count):
                        x = a[s]
                        c0[s] = x * b0[s]
                        c1[s] = x * b1[s]
                        c2[s] = x * b2[s]
                        c3[s] = x * b3[s]
                else:
                    for s in range(count):
                        x = a[s]
                        c0[s] += x * b0[s]
                        c1[s] += x * b1[s]
                        c2[s] += x * b2[s]
                        c3[s] += x * b3[s]
            else:
                b, c = lines[o, factors[d, 1]], panel[d - begin]
                if o == 0:
                    for s in range(count):
                        c[s] = a[s] * b[s]
                else:
                    for s in range(count):
                        c[s] += a[s] * b[s]
        d += 4 if is_four else 1


@jit()
def gram_of(lines, n, count, penalty_diag, gram):
    """Compute the lower triangle of A A' + diag(penalty_diag) for n lines A of `count` numbers, padded for tiles."""
    gram[:] = 0.0
    add_gram(lines, START, n, count, gram)
    for j in range(n):
        gram[j, j] += penalty_diag[j]
