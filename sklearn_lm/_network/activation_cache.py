"""Hidden units of all rows, kept between evaluations at one point."""

import numpy as np

from .. import _kernels
from .._data.out_of_core import Source
from .._kernels.buffers import aligned_zeros
from .topology import Network

# The activations of all rows are kept between the evaluations at one point where they, twice, take no more than this:
# about what a last-level cache holds. Beyond it, reading them back takes as long as computing them anew.
MAX_KEPT = 32 * 2**20  # bytes
# The same where steps go by products: four to six passes visit a point, in place of two. (100,000 rows, 5-40-1, 83 MiB:
# two thirds of the time of a fit that computes them anew.)
MAX_KEPT_FOR_PRODUCTS = 128 * 2**20


class Activations:
    """Hidden units of all rows at up to two points visited last, so that no evaluation there repeats a forward pass.

    Where they would take more than `MAX_KEPT` bytes (where there are products, `MAX_KEPT_FOR_PRODUCTS`), or where
    rows come in parts, there is room for one block a slot instead, and nothing is kept.
    """

    def __init__(self, network: Network, X: np.ndarray | Source, has_products: bool = False):
        n_lines, n_rows = _kernels.n_units_in(network.layout), len(X)
        n_blocks = -(-n_rows // _kernels.BLOCK)
        is_small = 2 * n_blocks * n_lines * _kernels.LINE * 8 <= (MAX_KEPT_FOR_PRODUCTS if has_products else MAX_KEPT)
        self.is_kept = is_small and isinstance(X, np.ndarray)
        n_rooms = n_blocks if self.is_kept else _kernels.n_slots_for(n_rows)
        # The point visited last comes last.
        self._rooms = [
            aligned_zeros(n_rooms, _kernels.n_padded(n_lines), _kernels.LINE) for _ in range(1 + self.is_kept)
        ]
        self._keys: list[bytes | None] = [None] * len(self._rooms)
        self._pending: bytes | None = None  # of the pass that is under way
        self._n_hidden = int(network.layout[-1, _kernels.OFFSET])

    def before(self, theta: np.ndarray) -> tuple[np.ndarray, bool]:
        """Room for a pass at theta, and whether it holds the hidden units of theta already."""
        if not self.is_kept:
            return self._rooms[0], False
        key = theta[: self._n_hidden].tobytes()
        if key != self._keys[1]:
            # In one statement: an interrupt comes before all of it or after.
            self._rooms, self._keys = self._rooms[::-1], self._keys[::-1]
        is_fresh = key == self._keys[1]
        self._keys[1] = None  # a pass that is interrupted leaves nothing that can be used
        self._pending = key
        return self._rooms[1], is_fresh

    def acquire_two(self, theta: np.ndarray) -> tuple[np.ndarray, bool, np.ndarray]:
        """As `before`, with more room for a point that follows; only where activations are kept."""
        here, is_fresh = self.before(theta)
        self._keys[0] = None
        return here, is_fresh, self._rooms[0]

    def commit_two(self, theta: np.ndarray | None, is_second: bool) -> None:
        """As `after`, where the last point is now theta, in the second of the two rooms or still in the first.

        None: its hidden units were not made.
        """
        key = None if theta is None else theta[: self._n_hidden].tobytes()
        self._rooms, self._keys = self._rooms[::-1] if is_second else self._rooms, [None, key]

    def after(self) -> None:
        """The pass is done: the hidden units of its theta are in the room that `before` gave."""
        if self.is_kept:
            self._keys[1] = self._pending
