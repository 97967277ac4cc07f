"""Cholesky factors of whole matrices, with the same bits on any number of threads (see `cholesky`)."""

import numpy as np

from .. import _kernels


def factor_buffer(n: int) -> np.ndarray:
    """Return a buffer for a factor of n rows, each of which is aligned.

    Rows are an odd number of cache lines apart: rows a power of two apart would evict each other from the cache.
    """
    n_padded = _kernels.n_padded(n)
    return _kernels.aligned_zeros(n_padded, _kernels.VECTOR * (-(-n_padded // _kernels.VECTOR) | 1))


def factor(gram: np.ndarray, mu: float, diagonal: np.ndarray) -> np.ndarray | None:
    """Return L with L L' = gram + mu diag(diagonal) in its first rows and columns; None if there is no such factor.

    Only the lower triangle of `gram` is read, and only that of L is defined.
    """
    L = factor_buffer(len(diagonal))
    return L if _kernels.cholesky(np.ascontiguousarray(gram), mu, diagonal, L) else None


def inverse(L: np.ndarray, n: int) -> np.ndarray:
    """Return V = L^-1 in the first rows and columns, zeros around it: H^-1 = V'V for H = L L'."""
    V = factor_buffer(n)
    _kernels.invert_factor(L, n, np.zeros_like(V), V)
    return V


def log_determinant(L: np.ndarray, n: int) -> float:
    """Return log det L L'."""
    return 2.0 * float(np.log(L.diagonal()[:n]).sum())
