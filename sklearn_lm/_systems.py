"""The damped system of one iteration: (H + mu D) d = -g, where H = J'J + S with the penalty's diagonal S.

`GramSystem` has the Gram matrix H and a Cholesky factor of as many rows as there are parameters. `DualSystem` has J
itself and a factor of as many rows as there are residuals; it takes the other's place where those are fewer, and finds
the same step. Which of the two an objective needs follows from what its normal equations are.
"""

from typing import Any

import numpy as np

from . import _kernels


class GramSystem:
    """For equations with `gradient` and `gram`, of which the lower triangle is read."""

    def __init__(self, equations: Any):
        n = len(equations.gradient)
        self.factor = np.zeros((_kernels.n_padded(n), n))

    @staticmethod
    def diagonal(equations: Any) -> np.ndarray:
        """Of H."""
        return equations.gram.diagonal()

    @staticmethod
    def is_finite(equations: Any) -> bool:
        return _kernels.is_finite(equations.gradient, equations.gram)

    def step(
        self, equations: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray, step: np.ndarray, trial: np.ndarray
    ) -> float:
        """Fill `step` with d and `trial` with theta + d; the reduction of F that the quadratic model promises.

        Infinity where there is no such step: that promises nothing.
        """
        return _kernels.damped_step(equations.gram, equations.gradient, mu, diagonal, self.factor, theta, step, trial)

    def add_bend(
        self,
        equations: Any,
        mu: float,
        diagonal: np.ndarray,
        curvature: np.ndarray,
        largest: float,
        step: np.ndarray,
        trial: np.ndarray,
    ) -> None:
        """After `step`: trial += a / 2, (H + mu D) a = -curvature, unless a is longer than `largest` times the step."""
        _kernels.add_bend(self.factor, curvature, diagonal, largest, step, trial)


class DualSystem:
    """For equations with `gradient`, `jacobian`, `residual` and `strength`, see `_objective.DualEquations`."""

    def __init__(self, equations: Any):
        n, width = equations.jacobian.shape
        n_padded = _kernels.n_padded(n)
        self.scaled, self.gram = np.zeros((n_padded, width)), np.zeros((n_padded, n_padded))
        self.factor = np.zeros((n_padded, n))

    @staticmethod
    def diagonal(equations: Any) -> np.ndarray:
        squares = np.einsum("ij,ij->j", equations.jacobian, equations.jacobian)
        return squares[: len(equations.strength)] + equations.strength

    @staticmethod
    def is_finite(equations: Any) -> bool:
        # Squares of J enter the system. Where they overflow J'J would, too.
        return bool(np.isfinite(equations.gradient).all() and np.isfinite(DualSystem.diagonal(equations)).all())

    def step(
        self, equations: Any, mu: float, diagonal: np.ndarray, theta: np.ndarray, step: np.ndarray, trial: np.ndarray
    ) -> float:
        """As `GramSystem.step`."""
        return _kernels.dual_step(
            equations.jacobian, equations.residual, equations.strength, mu, diagonal,
            self.scaled, self.gram, self.factor, equations.gradient, theta, step, trial,
        )  # fmt: skip

    def add_bend(
        self,
        equations: Any,
        mu: float,
        diagonal: np.ndarray,
        curvature: np.ndarray,
        largest: float,
        step: np.ndarray,
        trial: np.ndarray,
    ) -> None:
        """As `GramSystem.add_bend`, with the second derivatives of the residuals themselves as `curvature`."""
        _kernels.add_dual_bend(
            equations.jacobian, equations.strength, mu, diagonal, self.factor, curvature, largest, step, trial
        )


def system_for(equations: Any) -> GramSystem | DualSystem:
    """The one that such equations need, with working room of its own."""
    return DualSystem(equations) if hasattr(equations, "jacobian") else GramSystem(equations)
