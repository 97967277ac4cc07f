"""Compiled kernels, which know arrays only: this file names those that the other packages call.

The sizes and tables that they share, and how the work is divided so that a result has the same bits on any number of
threads, are described in `layout.py`; how a kernel is compiled and cached in `compile.py`.
"""

from .activations import ACTIVATIONS, activate_lines
from .backward import gradient_of_sums
from .block_preconditioner import block_grams, factor_blocks, precondition
from .compile import BEGINS, ENDS, WHOLE
from .damping import (
    ACCEPTED,
    LATE,
    NO_DIGITS,
    NO_STEP,
    REJECTED,
    RESOLUTION,
    RULES,
    DampingRule,
    Trial,
    acceptable_cost,
    damping_after,
    decide,
    is_flat,
)
from .forward import forward_block, predict, sum_of_squares
from .fused import COST, N_RECORDED, iterate
from .gram import finish_normal_equations, normal_equations
from .jacobian import dual_curvature, dual_equations, jacobian_rows
from .layout import (
    AT,
    BLOCK,
    LINE,
    MAX_SLOTS,
    N_IN,
    N_OUT,
    OFFSET,
    PLACE,
    SIZE,
    SOURCE,
    VECTOR,
    n_first_order_lines,
    n_gradient_sums,
    n_padded,
    n_scratch_lines,
    n_slots_for,
    n_units_in,
    total_cost,
    total_of_slots,
)  # fmt: skip
from .linalg import cholesky, cholesky_solve, dot, invert_factor, is_finite, multiply_by_inverse_factor, norm
from .matrix_free import first_order, gram_times
from .output_layer import solve_output, solve_output_moments
from .second_order import curvature
from .steps import (
    add_acceleration,
    add_dual_acceleration,
    add_half,
    damped_step,
    dual_factor,
    dual_solve,
    dual_step,
    take_step,
)  # fmt: skip
from .tiles import gram_of
from .variances import prediction_variances

__all__ = [
    "ACCEPTED",
    "ACTIVATIONS",
    "AT",
    "BEGINS",
    "BLOCK",
    "COST",
    "ENDS",
    "LATE",
    "LINE",
    "MAX_SLOTS",
    "NO_DIGITS",
    "NO_STEP",
    "N_IN",
    "N_OUT",
    "N_RECORDED",
    "OFFSET",
    "PLACE",
    "REJECTED",
    "RESOLUTION",
    "RULES",
    "SIZE",
    "SOURCE",
    "VECTOR",
    "WHOLE",
    "DampingRule",
    "Trial",
    "acceptable_cost",
    "activate_lines",
    "add_acceleration",
    "add_dual_acceleration",
    "add_half",
    "block_grams",
    "cholesky",
    "cholesky_solve",
    "curvature",
    "damped_step",
    "damping_after",
    "decide",
    "dot",
    "dual_curvature",
    "dual_equations",
    "dual_factor",
    "dual_solve",
    "dual_step",
    "factor_blocks",
    "finish_normal_equations",
    "first_order",
    "forward_block",
    "gradient_of_sums",
    "gram_of",
    "gram_times",
    "invert_factor",
    "is_finite",
    "is_flat",
    "iterate",
    "jacobian_rows",
    "multiply_by_inverse_factor",
    "n_first_order_lines",
    "n_gradient_sums",
    "n_padded",
    "n_scratch_lines",
    "n_slots_for",
    "n_units_in",
    "norm",
    "normal_equations",
    "precondition",
    "predict",
    "prediction_variances",
    "solve_output",
    "solve_output_moments",
    "sum_of_squares",
    "take_step",
    "total_cost",
    "total_of_slots",
]  # fmt: skip
