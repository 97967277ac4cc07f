"""Hashes of values: of rows, by which rows are chosen whatever their order, and of whole arrays.

Rows are chosen by a hash of their values. Neither the order in which the rows come nor how often a row is repeated
plays a part, as it would with row numbers drawn at random. Nor do powers of two in the units: see `_hash_block`.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from .out_of_core import Source, sweep, sweep_together

MIXERS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)  # odd factors of the finaliser of MurmurHash3


def fingerprint(arrays: Iterable[np.ndarray | Source]) -> str:
    """Return a digest that is the same for equal arrays, and practically never for others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(repr(array.shape).encode())
        for block in sweep(array):
            digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return digest.hexdigest()


def distinct_rows(
    X: np.ndarray | Source, Y: np.ndarray, weight: np.ndarray, n_max: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of at most `n_max` distinct rows of (X, Y), and for each the sum of the weights of its copies.

    The rows with the smallest hashes are kept. They come in the order of their values, which no unit changes.
    """
    # A row that is not among the smallest hashes after some blocks will not be among them at the end.
    kept: tuple[np.ndarray, ...] = (np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.intp), np.empty(0))
    begin = 0
    for x, y, w in sweep_together(X, Y, weight):
        hashes = _hash_block(x, y)
        new = np.arange(len(x)) if len(kept[0]) < n_max else np.flatnonzero(hashes <= kept[0][-1])
        candidates = np.concatenate([kept[0], hashes[new]])
        rows = np.concatenate([kept[1], begin + new])
        weights = np.concatenate([kept[2], w[new]])
        unique, first, inverse = np.unique(candidates, return_index=True, return_inverse=True)
        sums = np.bincount(inverse, weights=weights)
        kept = unique[:n_max], rows[first[:n_max]], sums[:n_max]
        begin += len(x)
    _, rows, sums = kept
    order = np.lexsort((*Y[rows].T, *X[rows].T))
    return rows[order], sums[order]


def thin_rows(X: np.ndarray | Source, Y: np.ndarray, n_max: int) -> np.ndarray:
    """Return the numbers of the `n_max` rows with the smallest hashes, or of all rows, in ascending order."""
    if len(X) <= n_max:
        return np.arange(len(X))
    hashes = np.concatenate([_hash_block(*blocks) for blocks in sweep_together(X, Y)])
    largest = np.partition(hashes, n_max - 1)[n_max - 1]  # no full sort: it takes longer than Ctrl-C may wait
    below = np.flatnonzero(hashes < largest)
    return np.sort(np.concatenate([below, np.flatnonzero(hashes == largest)[: n_max - len(below)]]))


def _hash_block(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return a well-mixed uint64 for each row; equal rows have equal hashes.

    The upper half, by which rows are ordered, is that of the mantissas: columns times powers of two keep their order.
    """
    hashes, exponents = np.zeros((2, len(X)), dtype=np.uint64)
    for column in (*X.T, *Y.T):
        mantissa, exponent = np.frexp(column + 0.0)  # + 0.0: -0.0 and 0.0 are the same number
        hashes = _mix(hashes ^ mantissa.view(np.uint64))
        exponents = exponents * np.uint64(MIXERS[0]) + exponent.astype(np.uint64)
    return hashes ^ (_mix(exponents) >> np.uint64(32))


def _mix(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes after the finaliser of MurmurHash3."""
    for factor in MIXERS:
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))
