"""Robust losses: rho functions, and the objective that weights rows by them.

    F = 1/2 sum_i w_i C^2 rho(z_i) + 1/2 alpha |W|^2,   z_i = (|r_i| / C)^2

with the functions rho of `scipy.optimize.least_squares` and C its `f_scale`; with several outputs |r_i| is the norm of
the row's residuals. If weights are precisions, w_i multiplies z_i in place of rho. Every rho here is concave in z, so
that at any theta the weighted least-squares problem with the weights w_i rho'(z_i) lies above F and touches it there
(iteratively re-weighted least squares; P. W. Holland and R. E. Welsch, Communications in Statistics A6 (1977) 813-827):
its gradient is that of F, and what lowers it lowers F.

Unless C is given it follows the residuals: C = c sigma, where sigma is their median over that of a normal distribution
(P. J. Huber, Robust Statistics, 1981, chapter 5), and c costs 5 % of the efficiency if there are no outliers. It may
only fall, so that F does: from a wide loss, which sees the outliers and has few minima, to one that they hardly affect.

If the penalty is found by the evidence, C = c / sqrt(beta) follows the noise precision beta, which is estimated by
Huber's Proposal 2 (1981, chapter 6): the sum of the squared residuals, cut off at c sigma, has the value that normal
noise gives it. The evidence itself is that of normal noise with a few outliers of any size. (As the density of the
noise, exp(-beta F) would make the largest evidence the one of a sigma that grows with the outliers.)
"""

from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import special, stats

from .._data.reductions import weighted_sum
from .._data.rows import Rows, read_only
from .._data.scaling import Scaling, identity_scaling
from .._optimize.linearization import Linearization
from .._optimize.objective import Objective
from .objective import NetworkObjective, predict
from .penalty import Penalty

# Efficiency of 95 % under normal noise.
TUNING = {"huber": 1.3450, "soft_l1": 1.2871, "cauchy": 2.3849}
# Proposal 2: the mean of min(u, c)^2 of normal noise u, c = TUNING["huber"].
CUT_OFF = TUNING["huber"]
CUT_MEAN = float(stats.chi2.cdf(CUT_OFF**2, 3) + CUT_OFF**2 * stats.chi2.sf(CUT_OFF**2, 1))
# Share and scale, in units of sigma, of the outliers that the evidence expects.
TAIL_SHARE, TAIL_SCALE = 0.05, 3.0
# C never falls below this, in scaled units of y: data that a network reproduces have residuals of rounding errors.
MIN_SCALE = 1e-10


class Loss(NamedTuple):
    """A robust loss."""

    name: str
    scale: float | None  # C in scaled units of y; None to estimate it
    are_counts: bool = True  # whether weights are numbers of rows, else they are precisions of single rows

    def scale_at(self, beta: float) -> float:
        """Return C for a noise precision."""
        return self.scale or max(TUNING[self.name] / np.sqrt(beta), MIN_SCALE)

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


def contaminated_normal_loss(z: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return minus twice the log density of noise u with |u|^2 = z, relative to a normal density at zero.

    The density is a mixture of the standard normal and of a multivariate Cauchy density.
    """
    q, s = n_outputs, TAIL_SCALE
    tail = 2 ** (q / 2) * special.gamma((q + 1) / 2) / (np.sqrt(np.pi) * s**q) * (1 + z / s**2) ** (-(q + 1) / 2)
    return -2 * np.log((1 - TAIL_SHARE) * np.exp(-z / 2) + TAIL_SHARE * tail)


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
        self._rows, weight = least_squares.rows, least_squares.rows.root_weight**2
        # The factors of a weight: how often a row counts, and the precision of its residual.
        self._count = weight if loss.are_counts else np.ones_like(weight)
        self._precision = np.ones_like(weight) if loss.are_counts else weight
        self._known = b"", np.empty(0)  # theta and its residuals
        self._is_fixed = loss.scale is not None  # whether C does not follow the residuals

    def change_to(self, rows: Rows, penalty: Penalty, beta: float) -> None:
        """Take other targets of the same rows, another penalty and the C of a noise precision."""
        self._rows, self._penalty, self._known = rows._replace(X=self._rows.X), penalty, (b"", np.empty(0))
        self.loss_scale, self._is_fixed = self.loss.scale_at(beta), True

    def noise_squares(self, theta: np.ndarray, point: Linearization, beta: float) -> np.ndarray:
        """Return sums that are those of the squared residuals if these are normal, by Proposal 2."""
        cut = np.minimum(self._precision[:, None] * self._residuals(theta) ** 2, CUT_OFF**2 / beta)
        return weighted_sum(self._count, cut) / CUT_MEAN

    def evidence_cost(self, theta: np.ndarray, point: Linearization, beta: float) -> float:
        """Return F with the loss of contaminated normal noise."""
        losses = contaminated_normal_loss(beta * self._squares(theta), self._rows.Y.shape[1])
        return 0.5 * float(weighted_sum(self._count, losses)) / beta + self._penalty.cost(theta)

    def with_loss_scale(self, scale: float | None) -> Self:
        """Return the objective with C = `scale`, or as it is."""
        scaled = copy(self)
        scaled.loss_scale = self.loss_scale if scale is None else scale
        return scaled

    def rescaled(self, theta: np.ndarray) -> Self:
        """Return the objective with C as the residuals at theta have it, but no larger than before."""
        if self._is_fixed:
            return self
        sigma = spread(np.sqrt(self._squares(theta)), self._count, self._rows.Y.shape[1])
        scale = max(TUNING[self.loss.name] * sigma, MIN_SCALE)
        return self.with_loss_scale(scale if self.loss_scale is None else min(self.loss_scale, scale))

    def cost(self, theta: np.ndarray) -> float:
        """Return F."""
        return self._cost(theta, self._z(theta))

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return theta with the output layer that minimises the weighted squares, which lowers F, and its F."""
        z = self._z(theta)
        solved, _ = self._weighted(z).solve_output(theta)
        before, after = self._cost(theta, z), self.cost(solved)
        return (solved, after) if after <= before else (theta, before)

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """See `Objective.curvature`, of the weighted residuals."""
        return self._weighted(self._z(theta)).curvature(theta, direction)

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Return the linearization of the weighted squares, but with F itself and unweighted `squares`."""
        z = self._z(theta)
        linearization: Any = self._weighted(z).linearize(theta)
        squares = weighted_sum(self._count * self._precision, self._residuals(theta) ** 2)
        return linearization._replace(cost=self._cost(theta, z), squares=squares)

    def sigma(self, theta: np.ndarray) -> np.ndarray:
        """Return a robust standard deviation of the residuals of each output."""
        root = np.sqrt(self._precision)
        return np.array([spread(root * np.abs(r), self._count, 1) for r in self._residuals(theta).T])

    def row_weights(self, theta: np.ndarray) -> np.ndarray:
        """Return rho' of every row."""
        return slope(self.loss.name, self._z(theta))

    def weighted_rows(self, theta: np.ndarray) -> Rows:
        """Return the rows of the least-squares problem that touches F at theta."""
        return self._weighted(self._z(theta)).rows

    def _weighted(self, z: np.ndarray) -> NetworkObjective:
        """Return the least-squares problem that touches F at residuals with these z."""
        root_weight = read_only(self._rows.root_weight * np.sqrt(slope(self.loss.name, z)))
        self._least_squares.change_to(self._rows._replace(root_weight=root_weight), self._penalty)
        return self._least_squares

    def _cost(self, theta: np.ndarray, z: np.ndarray) -> float:
        assert self.loss_scale is not None
        losses = self.loss_scale**2 * rho(self.loss.name, z)
        return 0.5 * float(weighted_sum(self._count, losses)) + self._penalty.cost(theta)

    def _z(self, theta: np.ndarray) -> np.ndarray:
        assert self.loss_scale is not None  # see `rescaled`
        return self._squares(theta) / self.loss_scale**2

    def _squares(self, theta: np.ndarray) -> np.ndarray:
        """Return the squared norm of the residuals of every row, times its precision."""
        return self._precision * (self._residuals(theta) ** 2).sum(axis=1)

    def _residuals(self, theta: np.ndarray) -> np.ndarray:
        """Return the residuals of all rows; those of the point visited last are kept."""
        key = theta.tobytes()
        if self._known[0] != key:
            network, Y = self._least_squares.network, self._rows.Y
            x_scaling = Scaling(*self._least_squares.x_scaling)
            self._known = key, predict(self._rows.X, x_scaling, identity_scaling(Y.shape[1]), network, theta) - Y
        return self._known[1]
