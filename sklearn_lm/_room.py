"""Working room for kernels: where an array begins in memory, and how long its lines are."""

import numpy as np

from . import _kernels


def aligned_zeros(*shape: int) -> np.ndarray:
    """Zeros that begin at a multiple of 64 bytes: the widest loads are slow where they straddle two cache lines."""
    n = int(np.prod(shape))
    buffer = np.zeros(n + 8)
    first = -(buffer.ctypes.data // 8) % 8
    return buffer[first : first + n].reshape(shape)


def room_for_factor(n: int) -> np.ndarray:
    """Room for a Cholesky factor of n rows, every row of which is aligned.

    Rows are an odd number of cache lines apart: rows a power of two apart would evict each other from the cache.
    """
    n_padded = _kernels.n_padded(n)
    return aligned_zeros(n_padded, _kernels.VECTOR * (-(-n_padded // _kernels.VECTOR) | 1))
