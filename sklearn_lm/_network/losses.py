"""Robust losses: what large residuals count, and the objective in which they count so.

    F = 1/2 sum_i w_i C^2 rho(z_i) + 1/2 alpha |W|^2,   z_i = (|r_i| / C)^2

with the functions rho of `scipy.optimize.least_squares` and C its `f_scale`; with several outputs |r_i| is the norm of
the row's residuals. Every rho here is concave in z, so that at any theta the weighted least-squares problem with the
weights w_i rho'(z_i) lies above F and touches it there (iteratively re-weighted least squares; P. W. Holland and R. E.
Welsch, Communications in Statistics A6 (1977) 813-827): its gradient is that of F, and what lowers it lowers F.

Unless C is given it follows the residuals: C = c sigma, where sigma is their median over that of a normal distribution
(P. J. Huber, Robust Statistics, 1981, chapter 5), and c costs 5 % of the efficiency where there are no outliers. It may
only fall, so that F does: from a wide loss, which sees the outliers and has few minima, to one that they hardly touch.
"""

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from .._data.reductions import weighted_sum
from .._data.rows import Rows, read_only
from .._data.scaling import Scaling
from .._optimize.linearization import Linearization
from .objective import NetworkObjective, predict

# Efficiency of 95 % under normal noise.
TUNING = {"huber": 1.3450, "soft_l1": 1.2871, "cauchy": 2.3849}
# C never falls below this, in scaled units of y: data that a network reproduces have residuals of rounding errors.
MIN_SCALE = 1e-10


class Loss(NamedTuple):
    name: str
    scale: float | None  # C in scaled units of y; None to estimate it


def rho(name: str, z: np.ndarray) -> np.ndarray:
    """What a squared residual z, in units of C^2, counts."""
    if name == "huber":
        return np.where(z <= 1, z, 2 * np.sqrt(z) - 1)
    return 2 * (np.sqrt(1 + z) - 1) if name == "soft_l1" else np.log1p(z)


def slope(name: str, z: np.ndarray) -> np.ndarray:
    """rho'(z), between 0 and 1: the weight of a row."""
    if name == "huber":
        return 1 / np.sqrt(np.maximum(z, 1.0))
    return 1 / np.sqrt(1 + z) if name == "soft_l1" else 1 / (1 + z)


def spread(norms: np.ndarray, weight: np.ndarray, n_outputs: int) -> float:
    """Robust standard deviation of residuals with these norms: the weighted median, over that of normal noise."""
    order = np.argsort(norms)
    cumulated = np.cumsum(weight[order])
    median = norms[order[np.searchsorted(cumulated, cumulated[-1] / 2)]]
    return float(median / np.sqrt(stats.chi2.ppf(0.5, n_outputs)))


class RobustObjective(NetworkObjective):
    """F with a robust loss, for one run: C belongs to where the run stands.

    `rows` are those of the least-squares problem that touches F where they were weighted last.
    """

    def __init__(self, *arguments, loss: Loss):
        super().__init__(*arguments)
        self.loss, self.given = loss, self.rows
        self.scale = np.inf if loss.scale is None else loss.scale
        self._weight = self.given.root_weight**2

    @property
    def iterate(self) -> None:
        """None: at every trial point the rows are weighed anew."""
        return None

    @property
    def loss_scale(self) -> float:
        return self.scale

    @loss_scale.setter
    def loss_scale(self, scale: float) -> None:
        self.scale = scale

    def fork(self) -> "RobustObjective":
        """The same with a scale of its own, for another run in the same thread."""
        return copy(self)

    def cost(self, theta: np.ndarray) -> float:
        return self._cost(self._norms(theta), theta)

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """theta with the output layer that minimises the weighted squares: no larger an F, if not the least."""
        norms = self._norms(theta)
        self._weigh(norms)
        solved, _ = super().solve_output(theta)
        before, after = self._cost(norms, theta), self.cost(solved)
        return (solved, after) if after <= before else (theta, before)

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        self._weigh(self._norms(theta))
        return super().curvature(theta, direction)

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Those of the weighted squares, but with F itself, and with `squares` that rho' does not weigh."""
        residuals = self._residuals(theta)
        norms = self._norms_of(residuals)
        if self.loss.scale is None:
            self.scale = min(self.scale, self._scale_of(norms))
        self._weigh(norms)
        linearization: Any = super().linearize(theta)
        return linearization._replace(cost=self._cost(norms, theta), squares=weighted_sum(self._weight, residuals**2))

    def sigma(self, theta: np.ndarray) -> np.ndarray:
        """Standard deviation of the residuals of each output, as far as the outliers let it be known."""
        return np.array([spread(np.abs(r), self._weight, 1) for r in self._residuals(theta).T])

    def row_weights(self, theta: np.ndarray) -> np.ndarray:
        """rho' of every row."""
        return slope(self.loss.name, (self._norms(theta) / self.scale) ** 2)

    def _residuals(self, theta: np.ndarray) -> np.ndarray:
        n_outputs = self.given.Y.shape[1]
        as_they_are = Scaling(np.zeros(n_outputs), np.ones(n_outputs))
        return predict(self.given.X, Scaling(*self.x_scaling), as_they_are, self.network, theta) - self.given.Y

    def _norms(self, theta: np.ndarray) -> np.ndarray:
        return self._norms_of(self._residuals(theta))

    def _norms_of(self, residuals: np.ndarray) -> np.ndarray:
        norms = np.sqrt((residuals**2).sum(axis=1))
        if np.isinf(self.scale):  # the first point
            self.scale = self._scale_of(norms)
        return norms

    def _scale_of(self, norms: np.ndarray) -> float:
        sigma = spread(norms, self._weight, self.rows.Y.shape[1])
        return max(TUNING[self.loss.name] * sigma, MIN_SCALE)

    def _cost(self, norms: np.ndarray, theta: np.ndarray) -> float:
        counts = self.scale**2 * rho(self.loss.name, (norms / self.scale) ** 2)
        return 0.5 * float(weighted_sum(self._weight, counts)) + self.penalty.cost(theta)

    def _weigh(self, norms: np.ndarray) -> None:
        root = np.sqrt(slope(self.loss.name, (norms / self.scale) ** 2))
        self.rows = Rows(self.given.X, self.given.Y, read_only(self.given.root_weight * root), self.given.weight)
