"""Which products make up the Gram matrix J'J, so that it is summed without a Jacobian.

The derivative of output o by the weight from unit i to unit j of a layer is delta_oj a_i, with delta_oj = df_o/dz_j and
a_i what the layer reads (1 for the bias). So for two layers, with units j, k and inputs i, h,

    (J'J)[(j, i), (k, h)] = sum_s (sum_o delta_oj delta_ok) (a_i a_h) = sum_s D_jk P_ih:

a product D P' of two matrices with the samples side by side, lines D_jk (summed over the outputs first, so that
a second output costs next to nothing: Fairbank & Alonso 2012, "Efficient calculation of the Gauss-Newton
approximation of the Hessian matrix in neural networks", Neural Computation 24) and lines P_ih. A layer with itself has
D_jk = D_kj and P_ih = P_hi: j <= k and i <= h are enough, a quarter of the block in place of half of it. The
output layer with itself has one block, the same for each output, which `solve_output` needs as well.

The tables below say to the kernels which lines to multiply and where the results belong. They follow from the
layout alone.
"""

from functools import lru_cache

import numpy as np

from .._kernels import AT, N_IN, N_OUT, OFFSET, SOURCE, GramTables, n_gradient_sums, n_padded


def make_gram_tables(layout: np.ndarray, has_gram: bool = True) -> GramTables:
    """Return the tables for a network with this layout, from a cache: cross-validation asks for the same ones.

    Without the Gram matrix: for the gradient, and for the block of the output layer that is summed with it.
    """
    tables = _make_gram_tables(layout.shape, layout.tobytes())
    if has_gram or len(tables.pairs) == 0:
        return tables
    return tables._replace(pairs=tables.pairs[:0], n_products=int(tables.pairs[0, AT]))


@lru_cache(maxsize=4)
def _make_gram_tables(shape: tuple[int, int], layout_bytes: bytes) -> GramTables:
    """Return the tables for the layout with this shape and these bytes."""
    layout = np.frombuffer(layout_bytes, dtype=np.int64).reshape(shape).copy()  # read-only would be one more type
    n_layers = len(layout)
    n_products = n_padded(layout[-1, N_IN] + 1 + layout[-1, N_OUT]) ** 2 + n_gradient_sums(layout, n_layers - 1)

    pairs: list[tuple[int, ...]] = []
    deltas, inputs = [np.empty((0, 4), dtype=np.int64)], [np.empty((0, 4), dtype=np.int64)]
    d_end = p_end = 0
    for late in range(n_layers):
        for early in range(min(late + 1, n_layers - 1)):
            deltas.append(_delta_factors(layout, early, late))
            inputs.append(_input_factors(layout, early, late))
            d_first, p_first = d_end, p_end
            d_end, p_end = d_first + len(deltas[-1]), p_first + len(inputs[-1])
            pairs.append((d_first, d_end, p_first, p_end, n_products, int(early == late)))
            n_products += n_padded(d_end - d_first) * n_padded(p_end - p_first)
    table = np.array(pairs, dtype=np.int64).reshape(-1, 6)
    return GramTables(table, np.concatenate(deltas), np.concatenate(inputs), int(n_products))


def _delta_factors(layout: np.ndarray, early: int, late: int) -> np.ndarray:
    """Pair every unit j of the early layer with every unit k of the late one; j <= k within one layer."""
    j, k = _combinations(layout[early, N_OUT], layout[late, N_OUT], early == late)
    lines = [layout[layer, SOURCE] + layout[layer, N_IN] + 1 for layer in (early, late)]
    begin = [layout[layer, OFFSET] for layer in (early, late)]
    length = [layout[layer, N_IN] + 1 for layer in (early, late)]
    return np.column_stack([lines[0] + j, lines[1] + k, begin[0] + j * length[0], begin[1] + k * length[1]])


def _input_factors(layout: np.ndarray, early: int, late: int) -> np.ndarray:
    """Pair every input i of the early layer with every input h of the late one, the line of ones included."""
    h, i = _combinations(layout[late, N_IN] + 1, layout[early, N_IN] + 1, False)
    if early == late:
        h, i = h[i <= h], i[i <= h]
    return np.column_stack([layout[late, SOURCE] + h, layout[early, SOURCE] + i, i, h])


def _combinations(n_first: int, n_second: int, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all pairs, the second varying fastest; of (a, b) and (b, a) only a <= b, if `ordered`."""
    first, second = (numbers.ravel() for numbers in np.indices((n_first, n_second)))
    return (first[first <= second], second[first <= second]) if ordered else (first, second)
