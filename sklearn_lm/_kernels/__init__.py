"""Compiled kernels, which know arrays only: this file names those that the other packages call.

The sizes and tables that they share, and how the work is divided so that a result has the same bits on any number of
threads, are described in `layout.py`; how a kernel is compiled and cached in `compile.py`.
"""

# ruff: noqa: F401
from .activations import ACTIVATIONS, activate_lines
from .block_preconditioner import block_grams, factor_blocks, precondition
from .bundles import Buffers, GramTables, NetworkArrays, RowData, aligned_zeros
from .compile import Driver, Work
from .damping import ACCEPTED, LATE, NO_DIGITS, NO_STEP, REJECTED, RESOLUTION, DAMPING_RULES, DampingRule, Trial
from .damping import acceptable_cost, damping_after, decide, is_flat
from .forward import accumulate_squares, forward_block, predict, total_cost
from .fused import COST, N_RECORDED, iterate
from .gram import accumulate_gram_products, finish_linearization
from .jacobian import dual_curvature, dual_equations, jacobian_rows
from .layout import AT, BLOCK, LINE, MAX_SLOTS, N_IN, N_OUT, OFFSET, PLACE, SIZE, SOURCE, VECTOR, n_first_order_lines
from .layout import n_gradient_sums, n_output_sums, n_padded, n_scratch_lines, n_slots_for, n_units_in, total_of_slots
from .layout import work_on_rows
from .linalg import cholesky, cholesky_solve, dot, invert_factor, is_finite, multiply_by_inverse_factor, norm
from .matrix_free import accumulate_first_order, finish_first_order, n_first_order_sums
from .output_layer import accumulate_output_products, finish_output_layer
from .second_order import accumulate_along, finish_gradient
from .steps import add_acceleration, add_dual_acceleration, add_half, damped_step, dual_factor, dual_solve, dual_step
from .steps import take_step
from .tiles import gram_of
from .variances import prediction_variances
