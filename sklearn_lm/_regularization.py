"""Penalties on the parameters: what they add to the objective, its gradient and its Gram matrix."""

from typing import NamedTuple

import numpy as np


class Penalty(NamedTuple):
    """1/2 sum_j strength_j theta_j^2, in standardised units (sum form, as in Ridge)."""

    strength: np.ndarray  # one per parameter

    def cost(self, theta: np.ndarray) -> float:
        return 0.5 * float(np.dot(self.strength, theta * theta))

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        return self.strength * theta


def fixed_l2(alpha: float, is_weight: np.ndarray) -> Penalty:
    """The same alpha on every weight; biases go free, so that a shift of the target costs nothing."""
    return Penalty(np.where(is_weight, float(alpha), 0.0))
