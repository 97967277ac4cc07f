"""Arguments of kernels that belong together, and memory for them."""

import math
from typing import NamedTuple

import numpy as np


class RowData(NamedTuple):
    """Rows as the kernels read them; X, Y and root weights are contiguous and read-only."""

    X: np.ndarray  # (n_rows, n_inputs), in the caller's units
    Y: np.ndarray  # (n_rows, n_outputs), scaled
    root_weight: np.ndarray  # (n_rows,), square roots of the weights
    x_scaling: np.ndarray  # (2, n_inputs), offsets and scales of the inputs
    begin: int = 0  # number of the first of these rows among all


class NetworkArrays(NamedTuple):
    """A network with its parameters."""

    theta: np.ndarray  # (n_parameters,)
    layout: np.ndarray  # (n_layers, 5), see `layout.py`


class GramTables(NamedTuple):
    """Tables of the products that make up the Gram matrix, see `_network/gram_tables.py`."""

    # One row per pair of layers except the output layer with itself: its first and last rows in the two tables below,
    # the index of its products among the sums of a slot, and whether it is one layer twice.
    pairs: np.ndarray  # (n_pairs, 6)
    delta_factors: np.ndarray  # (n_D, 4), of D_jk: lines of j and k, and where their parameters begin in theta
    input_factors: np.ndarray  # (n_P, 4), of P_ih: lines of h and i, and i and h themselves
    # Numbers that are summed over the samples: the Gram matrix of the inputs of the output layer and of the residuals,
    # the gradient with respect to the hidden layers, the pairs.
    n_products: int


class Buffers(NamedTuple):
    """Memory that a driver works in."""

    # (n_blocks or n_slots, n_lines, LINE), lines of units: block b uses units[b modulo the first dimension]
    units: np.ndarray
    is_fresh: bool  # whether `units` holds the hidden units of this theta already
    scratch: np.ndarray  # (n_slots, n_lines, LINE)
    sums: np.ndarray  # (n_slots, n_sums), cross products that each slot adds up


def aligned_zeros(*shape: int) -> np.ndarray:
    """Return zeros that begin at a multiple of 64 bytes: wide loads are slow if they straddle two cache lines."""
    n = math.prod(shape)
    buffer = np.zeros(n + 8)
    first = -(buffer.ctypes.data // 8) % 8
    return buffer[first : first + n].reshape(shape)
