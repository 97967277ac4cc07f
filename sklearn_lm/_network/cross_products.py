"""Sums over the rows that an evaluation of F needs: all that passes over the rows, and all that travels from a cluster.

Each function is a reduction for `Rows.total`: it returns the sums of cross products over the rows it is given,
which may be all rows or one block of them. Of the total, a kernel `finish_...` makes gradient, Gram matrix or output
layer in the process of the fit. For a Gram matrix about p^2 / 4 numbers travel from each block, with one hidden layer.
"""

import numpy as np

from .. import _kernels
from .._data.rows import Rows, Table
from .activation_cache import ActivationCache
from .gram_tables import make_gram_tables
from .topology import Network


class Workspace:
    """Buffers of the drivers for one set of rows, made once: a fresh page costs about as much as the arithmetic on it.

    Parameters
    ----------
    network : Network
    x_scaling : ndarray of shape (2, n_inputs)
    X : ndarray, Source or Table
        Inputs of the rows. Other rows, such as those of a block, get a workspace of their own for each reduction.
    has_products : bool
        Whether steps are found by products with the Gram matrix: then more is kept.
    """

    def __init__(self, network: Network, x_scaling: np.ndarray, X: Table, has_products: bool = False):
        self.network, self.x_scaling, self.X, self._has_products = network, x_scaling, X, has_products
        self._activations: ActivationCache | None = None
        self._sums: dict[int, np.ndarray] = {}
        self._scratch: dict[int, np.ndarray] = {}

    def of(self, rows: Rows) -> "Workspace":
        """Return the workspace for these rows: this one if it was made for them."""
        if rows.X is self.X:
            return self
        network = self.network._replace(layout=np.array(self.network.layout))  # writeable, even if it has travelled
        return Workspace(network, np.array(self.x_scaling), rows.X, self._has_products)

    @property
    def activations(self) -> ActivationCache:
        """Return the cache of the hidden units of the rows."""
        if self._activations is None:  # no cached_property, which holds a lock in Python 3.11
            self._activations = ActivationCache(self.network, self.X, self._has_products)
        return self._activations

    def sums(self, n: int) -> np.ndarray:
        """Return a buffer (n_slots, n)."""
        if n not in self._sums:
            self._sums[n] = np.empty((_kernels.n_slots_for(len(self.X)), n))
        return self._sums[n]

    def scratch(self, n_lines: int) -> np.ndarray:
        """Return a buffer (n_slots, n_lines, LINE)."""
        if n_lines not in self._scratch:
            self._scratch[n_lines] = _kernels.aligned_zeros(_kernels.n_slots_for(len(self.X)), n_lines, _kernels.LINE)
        return self._scratch[n_lines]

    def reduce(
        self, driver: _kernels.Driver, rows: Rows, theta: np.ndarray, multiply_adds: float, n_sums: int,
        *arguments: object, n_lines: int = 0,
    ) -> np.ndarray:  # fmt: skip
        """Return the total of the cross products that a driver adds up.

        Parameters
        ----------
        multiply_adds : float
            For each row and parameter.
        n_sums : int
            Numbers that each slot adds up.
        n_lines : int
            Scratch lines of each slot; 0 if it is the usual number.
        """
        layout = self.network.layout
        scratch, sums = self.scratch(n_lines or _kernels.n_scratch_lines(layout)), self.sums(n_sums)
        units, is_fresh = self.activations.acquire(theta)
        total = rows.reduce(
            driver, sums, multiply_adds * theta.size, self.x_scaling, self.network.at(theta), *arguments,
            _kernels.Buffers(units, is_fresh, scratch, sums),
        )  # fmt: skip
        self.activations.commit()
        return total


def sum_of_squares(rows: Rows, x_scaling: np.ndarray, network: Network, theta: np.ndarray) -> np.ndarray:
    """Return sum_i w_i (f_o(x_i) - y_io)^2 for each output o, in standardised units."""
    (n_rows, n_outputs), n_padded = rows.Y.shape, _kernels.n_padded(rows.Y.shape[1])
    sums = np.empty((_kernels.n_slots_for(n_rows), n_padded**2))
    total = rows.reduce(_kernels.accumulate_squares, sums, theta.size, x_scaling, network.at(theta), sums)
    return total[:: n_padded + 1][:n_outputs].copy()


def gram_products(rows: Rows, workspace: Workspace, theta: np.ndarray, has_gram: bool) -> np.ndarray:
    """Return the sums that make squares, gradient and, if `has_gram`, the Gram matrix; see `gram_tables.py`."""
    workspace = workspace.of(rows)
    tables = make_gram_tables(workspace.network.layout, has_gram)
    multiply_adds = theta.size / 2 if has_gram else 3 * rows.Y.shape[1]
    driver = _kernels.accumulate_gram_products
    return workspace.reduce(driver, rows, theta, multiply_adds, tables.n_products, tables)


def output_products(rows: Rows, workspace: Workspace, theta: np.ndarray) -> np.ndarray:
    """Return the sums that make the least-squares solution of the output layer."""
    workspace = workspace.of(rows)
    n_sums = _kernels.n_output_sums(workspace.network.layout)
    return workspace.reduce(_kernels.accumulate_output_products, rows, theta, rows.Y.shape[1], n_sums)


def sums_along(rows: Rows, workspace: Workspace, theta: np.ndarray, v: np.ndarray, to_second: bool) -> np.ndarray:
    """Return the sums that make J'W J v or, if `to_second`, J'W r_vv."""
    workspace, multiply_adds = workspace.of(rows), 4 * rows.Y.shape[1] if to_second else 5
    n_sums = n_gradient(workspace.network)
    return workspace.reduce(_kernels.accumulate_along, rows, theta, multiply_adds, n_sums, v, to_second)


def first_order_sums(rows: Rows, workspace: Workspace, theta: np.ndarray, every: int, kept: np.ndarray) -> np.ndarray:
    """Return the sums that make squares, gradient and diagonal of J'J; fill `kept` as `accumulate_first_order` says."""
    workspace = workspace.of(rows)
    layout = workspace.network.layout
    return workspace.reduce(
        _kernels.accumulate_first_order, rows, theta, 4 + 2 * rows.Y.shape[1], _kernels.n_first_order_sums(layout),
        every, kept, n_lines=_kernels.n_first_order_lines(layout),
    )  # fmt: skip


def n_gradient(network: Network) -> int:
    """Return how many numbers a slot adds up for a gradient."""
    return int(_kernels.n_gradient_sums(network.layout, len(network.layout)))
