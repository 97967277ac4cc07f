"""Buffers for kernels."""

import math

import numpy as np


def aligned_zeros(*shape: int) -> np.ndarray:
    """Return zeros that begin at a multiple of 64 bytes: wide loads are slow if they straddle two cache lines."""
    n = math.prod(shape)
    buffer = np.zeros(n + 8)
    first = -(buffer.ctypes.data // 8) % 8
    return buffer[first : first + n].reshape(shape)
