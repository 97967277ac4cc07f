"""State of a fit between two iterations, and its snapshot, from which a later fit is restored.

An accepted step may have been made ahead, several in one call (`_network/fused_loop.py`): the state moves through them
one by one, and knows only F and its sums of squares at those in between (`PassedPoint`).
"""

import math
import time
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .damping import Damping, DampingScale
from .linear_solvers import DampedStep
from .linearization import Linearization
from .objective import Objective


class OptimizerSettings(NamedTuple):
    """Options of `levenberg_marquardt.advance`; the estimator's parameters of the same names document them."""

    damping: str = "nielsen"
    mu: float = 1e-3
    mu_increase: float = 10.0
    mu_decrease: float = 0.1
    mu_max: float = 1e10
    max_iter: int = 200
    tol: float = 1e-10
    min_grad: float = 1e-10
    max_time: float | None = None
    solve_output: bool = False
    acceleration: bool = False
    damping_scale: str = "identity"  # "identity" or "diagonal", see `DampingScale`


class Seconds(NamedTuple):
    """Time of an iteration by phase."""

    jacobian: float = 0.0  # gradients and Gram matrices
    solve: float = 0.0  # factors and steps
    evaluate: float = 0.0  # trial points, with their second derivatives and output layers


class Record(NamedTuple):
    """Report of one iteration, the first of the starting point."""

    iteration: int
    theta: np.ndarray
    cost: float
    grad_norm: float  # Euclidean norm of the gradient per unit of weight
    mu: float  # in units of the largest diagonal entry of the first Gram matrix
    gain_ratio: float  # of the accepted step; NaN at the start and if F no longer resolves the step
    n_evaluations: int  # of the objective so far, trial points included
    time: float  # seconds since `start_time`, until it was made
    seconds: Seconds
    point: Linearization  # at theta, or `PassedPoint`


class Rejection(NamedTuple):
    """A trial point that was not accepted."""

    mu: float  # of its step, in the same units as a record's
    gain_ratio: float  # actual over predicted reduction; NaN if there was no factor, or F was not finite
    time: float


class Step(NamedTuple):
    """An accepted step: the point it leads to, and how it was made."""

    theta: np.ndarray
    point: Linearization
    norm: float  # of the gradient
    gain_ratio: float
    damping: Damping
    n_evaluations: int
    seconds: Seconds
    moment: float  # when it was made, by `time.perf_counter`
    scale: float | None = None  # of the objective's robust loss at the point


class Ahead(NamedTuple):
    """Steps that were made in one call and are reported one by one, and the state after them."""

    first: int  # iteration that the first of them follows
    steps: list[Step]
    status: int  # of the last trial, see `_kernels.damping`
    damping: Damping
    n_evaluations: int


class OptimizerSnapshot(NamedTuple):
    """State of the optimizer as plain data; the rest follows from theta and the data."""

    theta: np.ndarray
    costs: list[float]
    damping: Damping
    unit: float  # and
    diagonal: np.ndarray  # of the damping scale
    gain_ratio: float
    n_evaluations: int
    iteration: int
    seconds: float  # since the fit began
    scale: float | None  # of the objective's robust loss, if it has one


class DataChangedError(Exception):
    """A fit cannot be restored: F is not what it was, so the data are other ones."""


class OptimizerState:
    """State of a fit: `advance` changes it, and goes on from it as if it had never paused."""

    def __init__(
        self, objective: Objective, theta: np.ndarray, settings: OptimizerSettings, start_time: float | None = None,
        snapshot: OptimizerSnapshot | None = None,
    ):  # fmt: skip
        """Linearise at `theta`, or restore the state of `snapshot`.

        Raises
        ------
        ValueError
            If the objective, its gradient or its Gram matrix is not finite.
        DataChangedError
            If F is not what it was.
        """
        started = time.perf_counter()
        self.start_time = started if start_time is None else start_time
        self.theta = np.array(theta if snapshot is None else snapshot.theta, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            if settings.solve_output and snapshot is None:
                objective = objective.rescaled(self.theta)
                self.theta = objective.solve_output(self.theta)[0]
            evaluated = time.perf_counter()
            # Without a scale in the snapshot the loss was another one: F will tell.
            scale = snapshot.scale if snapshot else None
            objective = objective.rescaled(self.theta) if scale is None else objective.with_loss_scale(scale)
            self.point, self.scale = objective.linearize(self.theta), objective.loss_scale
        self.solver = self.point.make_solver()
        if not self.point.is_finite():
            raise ValueError(
                "The objective is not finite at the starting point: residuals or their derivatives overflow. "
                "Scale the data, or start from smaller weights."
            )
        self.weight = objective.weight
        self.seconds = Seconds(time.perf_counter() - evaluated, 0.0, evaluated - started)
        self.damping_scale = DampingScale(settings.damping_scale == "diagonal", self.point.diagonal())
        self.damping = self.damping_scale.first_damping(settings.mu)
        self.costs = [self.point.cost]
        self.norm = _kernels.norm(self.point.gradient)
        self.moment = time.perf_counter()  # when this iteration was made
        self.gain_ratio, self.n_evaluations, self.iteration = math.nan, 1, 0
        self.seconds_before = 0.0  # of earlier calls of `fit`
        self.is_reported = False
        self.ahead: Ahead | None = None
        if snapshot is not None:
            if self.point.cost != snapshot.costs[-1]:
                raise DataChangedError
            self.costs, self.damping = list(snapshot.costs), snapshot.damping
            self.damping_scale.unit, self.damping_scale.diagonal = snapshot.unit, snapshot.diagonal
            self.gain_ratio, self.n_evaluations = snapshot.gain_ratio, snapshot.n_evaluations
            self.iteration, self.seconds_before = snapshot.iteration, snapshot.seconds

    def snapshot(self) -> OptimizerSnapshot:
        """Return the state as plain data."""
        return OptimizerSnapshot(
            self.theta, list(self.costs), self.damping, self.damping_scale.unit, self.damping_scale.diagonal,
            self.gain_ratio, self.n_evaluations, self.iteration, self.time(), self.scale,
        )  # fmt: skip

    @property
    def grad_norm(self) -> float:
        """Norm of the gradient per unit of weight."""
        return self.norm / self.weight

    def time(self) -> float:
        """Return the seconds since the fit began."""
        return self._seconds_until(time.perf_counter())

    def _seconds_until(self, moment: float) -> float:
        return self.seconds_before + moment - self.start_time

    def record(self) -> Record:
        """Return the report of this iteration."""
        return Record(
            self.iteration, self.theta, self.point.cost, self.grad_norm, self.damping.mu / self.damping_scale.unit,
            self.gain_ratio, self.n_evaluations, self._seconds_until(self.moment), self.seconds, self.point,
        )  # fmt: skip

    def accept(self, step: Step) -> None:
        """Move to the point of a step."""
        # No calls: a keyboard interrupt comes before all of it or after.
        self.theta, self.point, self.norm, self.gain_ratio = step.theta, step.point, step.norm, step.gain_ratio
        self.damping, self.n_evaluations = step.damping, step.n_evaluations
        self.seconds, self.moment, self.scale = step.seconds, step.moment, step.scale
        self.costs, self.iteration, self.is_reported = [*self.costs, step.point.cost], self.iteration + 1, False

    def replace(self, theta: np.ndarray, point: Linearization, scale: float | None) -> None:
        """Move to a point of another objective, with its loss scale: its F cannot be compared with earlier ones."""
        self.theta, self.point, self.norm = theta, point, _kernels.norm(point.gradient)
        self.costs, self.scale = [point.cost], scale

    def settle(self, objective: Objective) -> None:
        """Forget the steps that were made ahead and not reported, and linearise the current point if it is passed."""
        self.ahead = None
        if self.point.is_passed:
            self.point = objective.linearize(self.theta)

    def damped_step(self) -> DampedStep:
        """Return the step d with (H + mu D) d = -g from the current point."""
        return self.solver.solve(self.point, self.damping.mu, self.damping_scale.diagonal, self.theta)
