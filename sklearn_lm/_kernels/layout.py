"""Sizes and tables that all kernels share: blocks of rows, lines of a block, columns of integer tables.

Kernels see arrays only. A network is its flat parameter vector `theta` and the integer table `layout`, one
row per layer with the columns named below; the order of `theta` is defined at the top of `_network/topology.py`.

Rows of data are taken in blocks of `BLOCK`. Inside a block everything is *feature-major*: one line per unit (or
parameter), the samples of the block side by side. So each inner loop runs over contiguous samples. Each layer's
inputs are followed by a line of ones, so that a bias is the weight of one more input. A block that is not full
repeats its last row with weight zero up to a multiple of `VECTOR`: no loop has a tail.

The work is divided on two levels (the number of slots depends on the number of rows alone, never on the number of
threads):

- a serial body accumulates the blocks slot, slot + S, slot + 2 S, ... into the sums of its slot;
- a thin `prange` driver gives each slot its body and then adds the slots in order.

So the bits of a result do not depend on the number of threads, and the Jacobian of all rows never exists. A driver may
be called for a part of its work: some slots, some of their blocks (`compile.Part`). The slots keep their sums from call
to call, so the total is the same. After the last call `total_of_slots` adds the slots, and a function `finish_...`
makes of the total what the optimizer needs.
"""

import numpy as np

from .compile import Work, jit

BLOCK = 512  # samples; a tile of lines (7 x 4 KiB) stays in the first-level cache
VECTOR = 8  # samples in the widest vector
LINE = BLOCK + VECTOR  # length of a line in memory: lines a power of two apart would evict each other from the cache
STRIP = 64  # samples taken together where all parameters have a line each
MAX_SLOTS = 8
TILE_ROWS, TILE_COLUMNS = 4, 3  # of the Gram matrix, see `tiles.add_tile`
DELTA_PANEL, INPUT_PANEL = 4, 96  # lines; the first stays in the first-level cache, the second in the next
UNITS = 4  # units of a layer whose derivatives are computed together, see `forward._combine_four`

# Columns of `layout`:
#   N_IN, N_OUT   numbers of inputs and of units of the layer
#   OFFSET        index in theta of its first parameter
#   SOURCE        line of its first input; the line of ones and the lines of its own units follow its inputs
#   ACTIVATION    code of its activation, see `activations`
N_IN, N_OUT, OFFSET, SOURCE, ACTIVATION = range(5)

# Columns of `pairs`, one row per pair of layers, see `_network/gram_tables.py`.
D_FIRST, D_END, P_FIRST, P_END, AT, IS_SAME = range(6)

# Columns of `blocks`, one row per diagonal block of the preconditioner, see `_network/matrix_free.py`.
UNIT_LINE, INPUT_LINE, PARAMETER, SIZE, PLACE = range(5)

# Arguments of kernels. To numba a plain 0, 1, True or False is a type of its own, and a kernel that is called with one
# is compiled once more for it, with all that it calls; these have the type of any other number or flag.
START, NEXT = np.int64(0), np.int64(1)
STALE, SETS, TO_HIDDEN = np.bool_(False), np.bool_(False), np.bool_(False)
ADDS, ALL_OF_IT, TO_OUTPUTS, TO_SECOND = np.bool_(True), np.bool_(True), np.bool_(True), np.bool_(True)

# Numbers for indices that are never negative, see `tiles.tile`.
UNSIGNED = np.uint64
ZERO, ONE, TWO, THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)

# A product and a sum may become one fused multiply-add; sums may be reordered, which makes them vectorisable. Full
# fast-math is out of the question: it lets the compiler assume that NaN never occurs, and rejected steps rely on
# seeing NaN.
CONTRACTED = {"contract"}
REORDERED = {"reassoc", "contract"}

# The body of a slot has one caller, its driver, and is compiled as a part of that (inline="always"). So is every other
# function that has one caller in a usual fit and neither `fastmath` nor `prefer_512bit`: numba optimises a kernel anew
# for each caller of its callers, so that one level less saves seconds in the first fit.


@jit()
def n_padded(n):
    """Return the number of lines, rows or columns that whole tiles over n of them touch."""
    return n + TILE_ROWS


def n_slots_for(n_rows):
    """Return the number of slots: a function of the number of rows alone, so that results do not depend on threads.

    A power of two; each of many slots has four blocks or more, because its sums must be cleared and added, too.
    """
    n_blocks = (n_rows + BLOCK - 1) // BLOCK
    if n_blocks < 2:
        return 1
    n_slots = 2
    while n_slots < MAX_SLOTS and 8 * n_slots <= n_blocks:
        n_slots *= 2
    return n_slots


def work_on_rows(n_rows, n_slots, multiply_adds_per_row, begins=True):
    """Return the size of a call of a driver for blocks of rows."""
    return Work(n_rows * multiply_adds_per_row, n_slots, -(-n_rows // (BLOCK * n_slots)), begins)


@jit(forceinline=True)
def block_starts(slot, part, n_rows):
    """Return the first rows of the blocks of a slot that are in a part of the work."""
    stride = part.n_slots * BLOCK
    return range(slot * BLOCK + part.first_round * stride, min(n_rows, part.end_round * stride), stride)


@jit()
def n_units_in(layout):
    """Return the number of lines of a block: the inputs, a line of ones for each layer, and every unit."""
    return first_output(layout) + layout[layout.shape[0] - 1, N_OUT]


@jit()
def first_output(layout):
    """Return the line of the first output."""
    last = layout.shape[0] - 1
    return layout[last, SOURCE] + layout[last, N_IN] + 1


def n_scratch_lines(layout):
    """Return the number of scratch lines of one slot, enough for any driver but `accumulate_first_order`."""
    last, n_units = layout.shape[0] - 1, n_units_in(layout)
    n_outputs = layout[last, N_OUT]
    basis = n_padded(layout[last, N_IN] + 1 + n_outputs)
    return max(n_outputs * n_units + n_padded(n_units) + basis + DELTA_PANEL + INPUT_PANEL, 2 * n_padded(n_units) + 1)


def n_first_order_lines(layout):
    """Return the number of scratch lines of one slot for `accumulate_first_order`."""
    n_lines, n_outputs = n_padded(n_units_in(layout)), layout[layout.shape[0] - 1, N_OUT]
    return (n_outputs + 3) * n_lines + n_padded(n_outputs) + 1


@jit()
def n_gradient_sums(layout, n_layers):
    """Return how many numbers `backward.add_gradient` adds to."""
    total = 0
    for layer in range(n_layers):
        total += n_padded(layout[layer, N_OUT]) * n_padded(layout[layer, N_IN] + 1)
    return total


def n_output_sums(layout):
    """Return how many numbers `accumulate_output_products` adds to."""
    last = layout.shape[0] - 1
    return n_padded(layout[last, N_IN] + 1 + layout[last, N_OUT]) ** 2


@jit()
def matrix_at(sums, at, n_rows, n_columns):
    """Return a view of a matrix of sums, padded for whole tiles, in the flat array of a slot."""
    n_rows, n_columns = n_padded(n_rows), n_padded(n_columns)
    return sums[at : at + n_rows * n_columns].reshape((n_rows, n_columns))


@jit()
def total_of_slots(sums):
    """Return the sums (n_slots, n_sums) over all slots, added in order: a view of slot 0, whose sums these become."""
    for slot in range(1, sums.shape[0]):
        for i in range(sums.shape[1]):
            sums[0, i] += sums[slot, i]
    return sums[0]
