"""The function that is minimised, in terms of rows of data and a network.

    F(theta) = 1/2 sum_i w_i |f(x_i; theta) - y_i|^2 + 1/2 alpha |W|^2

in standardised units: x and y after scaling, the sum over rows and outputs, biases unpenalised. It is the sum form
of Ridge and MLPRegressor, so a network without hidden layers *is* Ridge. With residuals r = f - y and their
Jacobian J (rows multiplied by the square root of the weights) the normal equations are

    gradient = J'r + alpha W,        Gram matrix = J'J + alpha I,

the Gauss-Newton approximation of the Hessian of F.
"""

from typing import NamedTuple

import numpy as np

from . import _kernels
from ._network import Network
from ._regularization import Penalty
from ._scaling import Scaling

# Relative to the largest diagonal entry. Along directions that the hidden units do not span, rounding errors of the
# gradient are magnified by its inverse; the part of a solution that it holds back is caught up with in the next
# iterations. From 1e-13 to 1e-6 the iterations to an error are the same (multimodal curve, friedman1, ripple).
OUTPUT_RIDGE = 1e-8
EPS = float(np.finfo(np.float64).eps)


class Rows(NamedTuple):
    """A set of rows with their weights, ready for the kernels (`make_rows`)."""

    X: np.ndarray  # (n_rows, n_inputs), as the caller gave it: kernels scale it block by block
    Y: np.ndarray  # (n_rows, n_outputs), scaled
    root_weight: np.ndarray  # (n_rows,), square roots of the weights
    weight: float  # sum of the weights


def make_rows(X: np.ndarray, Y: np.ndarray, weight: np.ndarray, y_scaling: Scaling) -> Rows:
    with np.errstate(over="ignore"):  # a validation set may be far away from the training set: its error is inf
        Y = np.ascontiguousarray(y_scaling.forward(Y))
    return Rows(read_only(X), read_only(Y), read_only(np.sqrt(weight)), float(weight.sum()))


def read_only(array: np.ndarray) -> np.ndarray:
    """A contiguous, read-only view: one compiled variant for every caller, and nobody's data can be changed."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


class NormalEquations(NamedTuple):
    """What an iteration needs at an accepted point."""

    cost: float
    gradient: np.ndarray  # (n_parameters,)
    gram: np.ndarray  # (n_parameters, n_parameters)
    squares: np.ndarray  # (n_outputs,), weighted sums of squared residuals without the penalty


def sum_of_squares(rows: Rows, x_scaling: np.ndarray, network: Network, theta: np.ndarray) -> np.ndarray:
    """sum_i w_i (f_o(x_i) - y_io)^2 for each output o, in standardised units."""
    n_rows, n_outputs = rows.Y.shape
    slots = np.empty((_kernels.n_slots_for(n_rows), n_outputs))
    _kernels.sum_of_squares(
        n_rows * network.n_parameters,
        rows.X, rows.Y, rows.root_weight, x_scaling, theta, network.layout, slots,
    )  # fmt: skip
    return slots[0]


def mean_squared_error(rows: Rows, squares: np.ndarray, y_scaling: Scaling) -> float:
    """Weighted mean over rows and outputs, in the target's own squared units, from `sum_of_squares`."""
    return float(np.dot(squares, y_scaling.scale**2)) / (rows.weight * len(squares))


class NetworkObjective:
    """F for one network on one set of rows. The optimizer sees `cost`, `normal_equations` and `weight`.

    Parameters
    ----------
    network : Network
    rows : Rows
    x_scaling : ndarray of shape (2, n_inputs)
        Offsets and scales of the inputs.
    penalty : Penalty
    """

    def __init__(self, network: Network, rows: Rows, x_scaling: np.ndarray, penalty: Penalty):
        self.network, self.rows, self.x_scaling, self.penalty = network, rows, x_scaling, penalty
        self.weight = rows.weight
        # Room for the kernels, made once: a fresh page costs about as much as the arithmetic on it.
        n_slots, p = _kernels.n_slots_for(len(rows.X)), network.n_parameters
        self._jacobian = np.zeros((n_slots, _kernels.n_padded(p), _kernels.BLOCK))
        self._squares = np.empty((n_slots, rows.Y.shape[1]))
        self._gradient = np.empty((n_slots, p))
        self._gram = np.empty((n_slots, p, p))

    def cost(self, theta: np.ndarray) -> float:
        squares = sum_of_squares(self.rows, self.x_scaling, self.network, theta)
        return 0.5 * float(squares.sum()) + self.penalty.cost(theta)

    def solve_linear(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """theta with the output layer replaced by its (weighted, penalised) least-squares solution, and F there.

        Variable projection in its plainest form (Golub & Pereyra 1973). The equations are those of the *change* of
        the output layer, so their right-hand side is the gradient, which is exact where the solution is near.
        """
        rows, network = self.rows, self.network
        n_slots, n_outputs = self._squares.shape
        n_basis = network.sizes[-2] + 1
        squares = np.empty((n_slots, n_outputs))
        gradients = np.empty((n_slots, n_outputs, n_basis))
        grams = np.empty((n_slots, n_basis, n_basis))
        _kernels.output_equations(
            rows.Y.size * network.n_parameters,
            rows.X, rows.Y, rows.root_weight, self.x_scaling, theta, network.layout, squares, gradients, grams,
        )  # fmt: skip
        tail = slice(network.n_parameters - n_outputs * n_basis, None)
        strength = self.penalty.strength[tail].reshape(n_outputs, n_basis)
        gram = grams[0]
        gradient = gradients[0] + self.penalty.gradient(theta)[tail].reshape(n_outputs, n_basis)
        cost = 0.5 * float(squares[0].sum()) + self.penalty.cost(theta)
        gram.ravel()[:: n_basis + 1] += strength[0]
        change = _solve_output_layer(gram, gradient)
        if change is None:
            return theta, cost
        solved = theta.copy()
        solved[tail] += change.ravel()
        # F is quadratic in the output layer: F + g'd + 1/2 d'Gd, where Gd = -g but for the tiny ridge.
        return solved, cost + 0.5 * float(np.sum(gradient * change))

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """J'W r_vv, r_vv the second derivative of the residuals along `direction` (exact, no finite differences)."""
        rows = self.rows
        slots = np.empty_like(self._gradient)
        _kernels.curvature(
            rows.Y.size * self.network.n_parameters * 4,
            rows.X, rows.root_weight, self.x_scaling, theta, direction, self.network.layout, rows.Y.shape[1], slots,
        )  # fmt: skip
        return slots[0]

    def normal_equations(self, theta: np.ndarray) -> NormalEquations:
        rows, p = self.rows, self.network.n_parameters
        gram = np.empty((p, p))
        _kernels.normal_equations(
            rows.Y.size * p * p / 2,
            rows.X, rows.Y, rows.root_weight, self.x_scaling, theta, self.network.layout,
            self._jacobian, self._squares, self._gradient, self._gram, gram,
        )  # fmt: skip
        squares = self._squares[0].copy()
        gram.ravel()[:: p + 1] += self.penalty.strength
        cost = 0.5 * float(squares.sum()) + self.penalty.cost(theta)
        gradient = self._gradient[0] + self.penalty.gradient(theta)
        return NormalEquations(cost, gradient, gram, squares)


def _solve_output_layer(gram: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    """d with (G + ridge) d = -g for each line g, or None. Only the lower triangle of G is read."""
    n = len(gram)
    factor = np.zeros((_kernels.n_padded(n), n))
    if not _kernels.cholesky(gram, np.full(n, OUTPUT_RIDGE * gram.diagonal().max()), factor):
        return None
    change = -gradient
    for line in change:
        _kernels.cholesky_solve(factor, line)
    return change if np.isfinite(change).all() else None


class Problem(NamedTuple):
    """All that is fixed during a fit."""

    network: Network
    x_scaling: Scaling
    y_scaling: Scaling
    rows: dict[str, Rows]  # "train" and, where there are such sets, "validation" and "test"
    penalty: Penalty

    def objective(self) -> NetworkObjective:
        """A new one, with working room of its own: one for each thread that minimises."""
        return NetworkObjective(self.network, self.rows["train"], self.x_scaling.table(), self.penalty)

    def train_error(self, equations: NormalEquations) -> float:
        """Mean squared training error, in the target's own squared units, of a point already evaluated."""
        return mean_squared_error(self.rows["train"], equations.squares, self.y_scaling)

    def negligible(self) -> float:
        """Errors below this, of the measure by which fits are compared, are rounding errors of a perfect fit."""
        train = self.rows["train"]
        share = train.root_weight**2 / train.weight
        variance = share @ (train.Y - share @ train.Y) ** 2
        if "validation" in self.rows:
            return EPS * float(np.mean(self.y_scaling.scale**2 * variance))
        return EPS * 0.5 * train.weight * float(variance.sum())

    def error(self, name: str, theta: np.ndarray) -> float:
        """Mean squared error on a set, in the same units."""
        squares = sum_of_squares(self.rows[name], self.x_scaling.table(), self.network, theta)
        return mean_squared_error(self.rows[name], squares, self.y_scaling)


def predict(X: np.ndarray, x_scaling: Scaling, y_scaling: Scaling, network: Network, theta: np.ndarray) -> np.ndarray:
    """f(X) in the target's own units, (n_rows, n_outputs), block by block."""
    f = np.empty((len(X), network.sizes[-1]))
    _kernels.predict(
        len(X) * network.n_parameters,
        read_only(X), x_scaling.table(), y_scaling.table(), theta, network.layout,
        _kernels.n_slots_for(len(X)), f,
    )  # fmt: skip
    return f
