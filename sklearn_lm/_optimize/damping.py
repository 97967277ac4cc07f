"""Damping: its scale D, its first value and the range of mu.

The rules themselves are compiled: a further one is an entry of `DAMPING_RULES` in `_kernels/damping.py`.
"""

from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._kernels import DampingRule

# Least damping, as a multiple of the unit of mu.
MIN_MU = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)


class Damping(NamedTuple):
    """mu and the factor by which Nielsen's rule raises it after the next rejection."""

    mu: float
    growth: float = 2.0


class DampingScale:
    """The diagonal of D (MINPACK's diag) and the unit of mu.

    D = I and mu is in units of the largest diagonal entry of the first H; or, for parameters of unlike size, D is the
    largest diagonal of H met so far (Moré 1978) and the unit is 1.
    """

    def __init__(self, follows_gram: bool, gram_diagonal: np.ndarray):
        largest = float(gram_diagonal.max(initial=0.0))
        self.follows_gram = follows_gram
        self.diagonal = np.zeros(len(gram_diagonal)) if follows_gram else np.ones(len(gram_diagonal))
        # H = 0 has a zero gradient, too, and any unit will do.
        self.unit = 1.0 if follows_gram or largest == 0.0 else largest

    def update(self, gram_diagonal: np.ndarray) -> None:
        """Raise D to a new diagonal of H; a parameter without influence so far is damped as by the identity."""
        diagonal = np.maximum(self.diagonal, gram_diagonal)
        self.diagonal = np.where(diagonal > 0, diagonal, 1.0)

    def first_damping(self, mu: float) -> Damping:
        """Return the damping of a first step; mu must not be zero, for it grows by factors."""
        return Damping(max(mu * self.unit, TINY))

    def rule(self, name: str, increase: float, decrease: float, mu_max: float) -> DampingRule:
        """Return a rule as kernels take it, with the range of mu: it never falls to zero, for the same reason."""
        least, greatest = max(MIN_MU * self.unit, TINY), float(mu_max * self.unit)
        return DampingRule(_kernels.DAMPING_RULES[name], float(increase), float(decrease), least, greatest)
