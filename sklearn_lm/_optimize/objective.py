"""The contract between an objective and the optimizer."""

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

from .linearization import Linearization


class Objective(Protocol):
    """Nonlinear least-squares objective F, with defaults for what not every objective has."""

    weight: float  # sum of the weights that F is a sum over (1 if it is no sum): gradients are reported per unit of it
    loss_scale: float | None = None  # of a robust loss; it belongs to a point, see `rescaled`

    def cost(self, theta: np.ndarray) -> float:
        """Return F at a trial point."""

    def linearize(self, theta: np.ndarray) -> Linearization:
        """Return F, its gradient and a form of H = J'J + penalty."""

    def solve_output(self, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return theta with its linear part replaced by the minimiser, and its F; for the setting of this name."""

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Return J'r_vv, r_vv the second derivative of the residuals along `direction`; for geodesic acceleration.

        A Jacobian in place of the Gram matrix takes r_vv itself.
        """

    @property
    def iterate(self) -> Callable[..., Any] | None:
        """Several iterations in one call, see `_network/fused_loop.py`; None if the objective has no such loop.

        It takes the state of the optimizer; `control`: mu, its growth and rule, whether to accelerate and to solve for
        the output layer, and the largest ratio of acceleration to step; the largest number of accepted steps; and the
        seconds that are left. It returns what `_optimize.state.Ahead` describes.
        """
        return None

    def with_loss_scale(self, scale: float | None) -> Self:
        """Return the objective with another scale of its robust loss: itself, if it has none."""
        return self

    def rescaled(self, theta: np.ndarray) -> Self:
        """Return the objective with the scale that its robust loss has at theta: itself, if it has none."""
        return self

    def noise_squares(self, theta: np.ndarray, point: Linearization, beta: float) -> np.ndarray:
        """Return for each output the sum of squares from which the noise precision, now `beta`, is estimated."""
        return point.squares

    def evidence_cost(self, theta: np.ndarray, point: Linearization, beta: float) -> float:
        """Return F with the loss that the evidence has for a noise precision `beta`."""
        return point.cost
