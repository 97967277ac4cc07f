"""Robust losses: rho functions, and the objective that weights rows by them.

    F = 1/2 sum_i w_i C^2 rho(z_i) + 1/2 alpha |W|^2,   z_i = (|r_i| / C)^2

with the functions rho of `scipy.optimize.least_squares` and C its `f_scale`; with several outputs |r_i| is the norm of
the row's residuals. Every rho here is concave in z, so that at any theta the weighted least-squares problem with the
weights w_i rho'(z_i) lies above F and touches it there (iteratively re-weighted least squares; P. W. Holland and R. E.
Welsch, Communications in Statistics A6 (1977) 813-827): its gradient is that of F, and what lowers it lowers F.

Unless C is given it follows the residuals: C = c sigma, where sigma is their median over that of a normal distribution
(P. J. Huber, Robust Statistics, 1981, chapter 5), and c costs 5 % of the efficiency if there are no outliers. It may
only fall, so that F does: from a wide loss, which sees the outliers and has few minima, to one that they hardly affect.
"""

from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import stats

from .._data.reductions import weighted_sum
from .._data.rows import Rows, read_only
from .._data.scaling import Scaling, identity_scaling
from .._optimize.linearization import Linearization
from .._optimize.objective import Objective
from .objective import NetworkObjective, predict

# Efficiency of 95 % under normal noise.
TUNING = {"huber": 1.3450, "soft_l1": 1.2871, "cauchy": 2.3849}
# C never falls below this, in scaled units of y: data that a network reproduces have residuals of rounding errors.
MIN_SCALE = 1e-10


class Loss(NamedTuple):
    """A robust loss."""

    name: str
    scale: float | None  # C in scaled units of y; None to estimate it

    def objective(self, *arguments: Any) -> "RobustObjective":
        """Return the objective with this loss; the arguments are those of `NetworkObjective`."""
        return RobustObjective(NetworkObjective(*arguments), self)


def rho(name: str, z: np.ndarray) -> np.ndarray:
    """Return the loss of squared residuals z, both in units of C^2."""
    if name == "huber":
        return np.where(z <= 1, z, 2 * np.sqrt(z) - 1)
    return 2 * (np.sqrt(1 + z) - 1) if name == "soft_l1" else np.log1p(z)


def slope(name: str, z: np.ndarray) -> np.ndarray:
    """Return rho'(z), between 0 and 1: the weight of a row."""
    if name == "huber":
        return 1 / np.sqrt(np.maximum(z, 1.0))
    return 1 / np.sqrt(1 + z) if name == "soft_l1" else 1 / (1 + z)


def spread(norms: np.ndarray, weight: np.ndarray, n_outputs: int) -> float:
    """Return a robust standard deviation of residuals: their weighted median norm over that of normal noise."""
    order = np.argsort(norms)
    cumulated = np.cumsum(weight[order])
    median = norms[order[np.searchsorted(cumulated, cumulated[-1] / 2)]]
    return float(median / np.sqrt(stats.chi2.ppf(0.5, n_outputs)))


class RobustObjective(Objective):
    """F with a robust loss, by least-squares problems with weighted rows. Its scale C belongs to a point.

    Parameters
    ----------
    least_squares : NetworkObjective
        Its rows are weighted anew at every point.
    loss : Loss
    """

    def __init__(self, least_squares: NetworkObjective, loss: Loss):
        self.loss, self.loss_scale, self.weight = loss, loss.scale, least_squares.weight
        self._least_squares, self._penalty = least_squares, least_squares.penalty
        self._rows, self._weight = least_squares.rows, least_squares.rows.root_weight**2
        self._known = b"", np.empty(0)  # theta and its residuals

    def with_loss_scale(self, scale: float | None) -> Self:
        """Return the objective with C = `scale`, or as it is."""
        scaled = copy(self)
        scaled.loss_scale = self.loss_scale if scale is None else scale
        return scaled

    def rescaled(self, theta: np.ndarray) -> Self:
        """Return the objective with C as the residuals at theta have it, but no larger than before."""
        if self.loss.scale is not None:
            return self
        sigma = spread(_norms(self._residuals(theta)), self._weight, self._rows.Y.shape[1])
        scale = max(TUNING[self.loss.name] * sigma, MIN_SCALE)
        return self.with_loss_scale(scale if self.loss_scale is None else min(self.loss_scale, scale))

    def cost(self, theta: np.ndarray) -> float:
        """Return F."""
        return self._cost(theta, self._z(self._residuals(theta)))

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return theta with the output layer that minimises the weighted squares, which lowers F, and its F."""
        z = self._z(self._residuals(theta))
        solved, _ = self._weighted(z).solve_output(theta)
        before, after = self._cost(theta, z), self.cost(solved)
        return (solved, after) if after <= before else (theta, before)

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """See `Objective.curvature`, of the weighted residuals."""
        return self._weighted(self._z(self._residuals(theta))).curvature(theta, direction)

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Return the linearization of the weighted squares, but with F itself and unweighted `squares`."""
        residuals = self._residuals(theta)
        z = self._z(residuals)
        linearization: Any = self._weighted(z).linearize(theta)
        squares = weighted_sum(self._weight, residuals**2)
        return linearization._replace(cost=self._cost(theta, z), squares=squares)

    def sigma(self, theta: np.ndarray) -> np.ndarray:
        """Return a robust standard deviation of the residuals of each output."""
        return np.array([spread(np.abs(r), self._weight, 1) for r in self._residuals(theta).T])

    def row_weights(self, theta: np.ndarray) -> np.ndarray:
        """Return rho' of every row."""
        return slope(self.loss.name, self._z(self._residuals(theta)))

    def weighted_rows(self, theta: np.ndarray) -> Rows:
        """Return the rows of the least-squares problem that touches F at theta."""
        return self._weighted(self._z(self._residuals(theta))).rows

    def _weighted(self, z: np.ndarray) -> NetworkObjective:
        """Return the least-squares problem that touches F at residuals with these z."""
        root_weight = read_only(self._rows.root_weight * np.sqrt(slope(self.loss.name, z)))
        return self._least_squares.with_data(self._rows._replace(root_weight=root_weight), self._penalty)

    def _cost(self, theta: np.ndarray, z: np.ndarray) -> float:
        assert self.loss_scale is not None
        losses = self.loss_scale**2 * rho(self.loss.name, z)
        return 0.5 * float(weighted_sum(self._weight, losses)) + self._penalty.cost(theta)

    def _z(self, residuals: np.ndarray) -> np.ndarray:
        assert self.loss_scale is not None  # see `rescaled`
        return (_norms(residuals) / self.loss_scale) ** 2

    def _residuals(self, theta: np.ndarray) -> np.ndarray:
        """Return the residuals of all rows; those of the point visited last are kept."""
        key = theta.tobytes()
        if self._known[0] != key:
            network, Y = self._least_squares.network, self._rows.Y
            x_scaling = Scaling(*self._least_squares.x_scaling)
            self._known = key, predict(self._rows.X, x_scaling, identity_scaling(Y.shape[1]), network, theta) - Y
        return self._known[1]


def _norms(residuals: np.ndarray) -> np.ndarray:
    return np.sqrt((residuals**2).sum(axis=1))
