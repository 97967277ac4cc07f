"""Sums over rows, with the same bits on any number of threads.

The operator @ calls BLAS, which divides a long vector among its threads. The loops of NumPy, which `einsum` runs, do
not; and on a busy machine they do not wait for a pool of threads.
"""

import numpy as np


def weighted_sum(weight: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return sum_i w_i z_i of a vector, or of each column of a matrix."""
    return np.einsum("i,i...->...", weight, Z)


def weighted_gram(weight: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return sum_i w_i z_i z_i' over the rows of a matrix with few columns."""
    return np.array([weighted_sum(weight * column, Z) for column in Z.T])


def combined(Z: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return sum_j b_j z_ij of each row."""
    return np.einsum("ij,j->i", Z, coefficients)


def squares_of_columns(Z: np.ndarray) -> np.ndarray:
    """Return sum_i z_ij^2 of each column: the diagonal of Z'Z."""
    return np.einsum("ij,ij->j", Z, Z)
