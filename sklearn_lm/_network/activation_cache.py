"""Hidden units of all rows, kept between evaluations at one point."""

import numpy as np

from .. import _kernels
from .._data.rows import Table
from .topology import Network

# The activations of all rows are kept between the evaluations at one point if they, twice, take no more than this:
# about what a last-level cache holds. Beyond it, reading them back takes as long as computing them anew.
MAX_KEPT = 32 * 2**20  # bytes
# The same if steps are found by products: four to six passes visit a point, in place of two. (100,000 rows, 5-40-1, 83
# MiB: two thirds of the time of a fit that computes them anew.)
MAX_KEPT_FOR_PRODUCTS = 128 * 2**20


class ActivationCache:
    """Hidden units of all rows at up to two points visited last, so that no evaluation there repeats a forward pass.

    If they would take more than `MAX_KEPT` bytes (`MAX_KEPT_FOR_PRODUCTS` with products), or if rows come in parts,
    there are buffers for one block of each slot instead, and nothing is kept.
    """

    def __init__(self, network: Network, X: Table, has_products: bool = False):
        n_lines, n_rows = _kernels.n_units_in(network.layout), len(X)
        n_blocks = -(-n_rows // _kernels.BLOCK)
        is_small = 2 * n_blocks * n_lines * _kernels.LINE * 8 <= (MAX_KEPT_FOR_PRODUCTS if has_products else MAX_KEPT)
        self.is_kept = is_small and isinstance(X, np.ndarray)
        n_buffers = n_blocks if self.is_kept else _kernels.n_slots_for(n_rows)
        shape = n_buffers, _kernels.n_padded(n_lines), _kernels.LINE
        # The point visited last comes last.
        self._buffers = [_kernels.aligned_zeros(*shape) for _ in range(1 + self.is_kept)]
        self._keys: list[bytes | None] = [None] * len(self._buffers)
        self._pending: bytes | None = None  # key of the pass that has not been committed
        self._n_hidden = int(network.layout[-1, _kernels.OFFSET])

    def acquire(self, theta: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return a buffer for a pass at theta, and whether it holds the hidden units of theta already."""
        if not self.is_kept:
            return self._buffers[0], False
        key = theta[: self._n_hidden].tobytes()
        if key != self._keys[1]:
            # In one statement: an interrupt comes before all of it or after.
            self._buffers, self._keys = self._buffers[::-1], self._keys[::-1]
        is_fresh = key == self._keys[1]
        self._keys[1] = None  # a pass that is interrupted leaves nothing that can be used
        self._pending = key
        return self._buffers[1], is_fresh

    def commit(self) -> None:
        """Record that the pass is done: the buffer of `acquire` holds the hidden units of its theta."""
        if self.is_kept:
            self._keys[1] = self._pending

    def acquire_two(self, theta: np.ndarray) -> tuple[np.ndarray, bool, np.ndarray]:
        """Return the same as `acquire`, and a buffer for a point that follows; only if activations are kept."""
        current, is_fresh = self.acquire(theta)
        self._keys[0] = None
        return current, is_fresh, self._buffers[0]

    def commit_two(self, theta: np.ndarray | None, is_second: bool) -> None:
        """Record that the point visited last is theta, in the second of the two buffers or still in the first.

        None: its hidden units were not computed.
        """
        key = None if theta is None else theta[: self._n_hidden].tobytes()
        self._buffers, self._keys = self._buffers[::-1] if is_second else self._buffers, [None, key]
