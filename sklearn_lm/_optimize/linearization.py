"""What an iteration needs to know of a point: F, its gradient, and the Gram matrix or what takes its place.

Two more kinds stand where they are made: `SubsampledLinearization` and `matrix_free.MatrixFreeLinearization`.
"""

from typing import NamedTuple

import numpy as np


class GramLinearization(NamedTuple):
    """With the Gram matrix itself."""

    cost: float
    gradient: np.ndarray  # (n_parameters,)
    gram: np.ndarray  # (n_parameters, n_parameters); only the lower triangle is set
    squares: np.ndarray  # (n_outputs,), weighted sums of squared residuals without the penalty


class JacobianLinearization(NamedTuple):
    """Where residuals are fewer than parameters: J takes the place of the Gram matrix."""

    cost: float
    gradient: np.ndarray  # (n_parameters,)
    jacobian: np.ndarray  # (n_residuals, n_parameters and zeros up to a multiple of `VECTOR`), times root weights
    residual: np.ndarray  # (n_residuals,), times root weights
    penalty_diag: np.ndarray  # (n_parameters,), of the penalty: what the Gram matrix has on its diagonal beside J'J
    squares: np.ndarray  # (n_outputs,)


class PassedPoint(NamedTuple):
    """Of a point that the iteration has left already: what is told of it."""

    cost: float
    squares: np.ndarray  # (n_outputs,)
