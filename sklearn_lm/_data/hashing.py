"""Digests of arrays: whether data are the same as at another time."""

import hashlib
from collections.abc import Iterable

import numpy as np

from .out_of_core import Source, sweep


def fingerprint(arrays: Iterable[np.ndarray | Source | None]) -> str:
    """The same for equal arrays, and practically never for others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(repr(array.shape).encode())
        for block in sweep(array):
            digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return digest.hexdigest()
