"""Where a fit stands between two iterations, and what it remembers of that to go on later.

`levenberg_marquardt` moves it. An accepted step may have been made ahead, several in one call
(`_network/fused_loop.py`): then the state
moves through them one by one, and of those in between it knows F alone.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .linearization import PassedPoint
from .objective import Objective

# The least damping, as a multiple of its unit.
MIN_MU = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)


class OptimizerSettings(NamedTuple):
    """Options of `minimise`; the estimator's parameters of the same names document them."""

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
    metric: str = "identity"  # D, see `levenberg_marquardt`: "identity" or "diagonal"

    @property
    def rule(self) -> tuple[bool, float, float]:
        """The damping rule, as `damping_after` wants it."""
        return self.damping == "marquardt", float(self.mu_increase), float(self.mu_decrease)


class Record(NamedTuple):
    """One row per iteration, the first for the starting point."""

    iteration: int
    theta: np.ndarray
    cost: float
    grad_norm: float  # Euclidean norm of the gradient per unit of weight
    mu: float  # in units of the largest diagonal entry of the first Gram matrix
    gain_ratio: float  # of the accepted step; NaN at the start and where F no longer resolves the step
    n_evaluations: int  # of the objective so far, trial points included
    time: float  # seconds since `start_time`, until it was made
    seconds: "Seconds"  # that this iteration took, by phase
    equations: Any  # what `linearize` gave at theta, or `PassedPoint`


class Seconds(NamedTuple):
    """Where the time of an iteration went."""

    jacobian: float  # gradients and Gram matrices
    solve: float  # factors and steps
    evaluate: float  # trial points, with their second derivatives and output layers


class Step(NamedTuple):
    """An accepted step: where it leads, and how it came about."""

    theta: np.ndarray
    point: Any  # the normal equations there, or `PassedPoint`
    norm: float  # of the gradient
    gain_ratio: float
    damping: "Damping"
    n_evaluations: int
    seconds: "Seconds"
    moment: float  # when it was made, by `time.perf_counter`


class Ahead(NamedTuple):
    """Steps that were made in one call, and are told one by one."""

    first: int  # iteration that the first of them follows
    steps: list[Step]
    # After them:
    ending: Any  # an `Ending`, or None where there may be more
    damping: "Damping"
    n_evaluations: int


class OptimizerSnapshot(NamedTuple):
    """State of the optimizer as plain data; the rest follows from theta and the data."""

    theta: np.ndarray
    costs: list[float]
    damping: "Damping"
    unit: float
    diagonal: np.ndarray
    gain_ratio: float
    n_evaluations: int
    iteration: int
    seconds: float  # since the fit began
    scale: float | None  # of the objective's robust loss, if it has one


class Damping(NamedTuple):
    """mu and the factor by which Nielsen's rule raises it after the next rejection."""

    mu: float
    growth: float = 2.0

    def after(self, is_accepted: bool, gain_ratio: float, settings: OptimizerSettings, least: float = 0.0) -> "Damping":
        """After a trial step."""
        mu, growth = _kernels.damping_after(is_accepted, self.mu, self.growth, gain_ratio, settings.rule, least)
        return Damping(mu, growth)


class OptimizerState:
    """Where a fit stands: `advance` changes it, and can go on from it as if it had never paused."""

    def __init__(
        self,
        objective: Objective,
        theta: np.ndarray,
        settings: OptimizerSettings,
        start_time: float | None = None,
        standing: OptimizerSnapshot | None = None,
    ):
        started = time.perf_counter()
        # A robust loss has a scale that belongs to the state of this run.
        self._scaled = objective if objective.loss_scale is not None else None
        self.start_time = started if start_time is None else start_time
        self.theta = np.array(theta, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            if settings.solve_output and standing is None:
                self.theta = objective.solve_output(self.theta)[0]
            evaluated = time.perf_counter()
            self.point = objective.linearize(self.theta)
        self.solver = self.point.make_solver()
        if not is_finite(self.point):
            raise ValueError(
                "The objective is not finite at the starting point: residuals or their derivatives overflow. "
                "Scale the data, or start from smaller weights."
            )
        self.seconds = Seconds(time.perf_counter() - evaluated, 0.0, evaluated - started)
        self.metric = DampingScale(settings, self.point.diagonal())
        self.damping = Damping(max(settings.mu * self.metric.unit, TINY))
        self.costs = [self.point.cost]
        self.norm = _kernels.norm(self.point.gradient)  # of the gradient
        self.moment = time.perf_counter()  # when this iteration was made
        self.gain_ratio = math.nan
        self.n_evaluations = 1
        self.iteration = 0
        self.seconds_before = 0.0  # that earlier calls of `fit` took
        self.step = np.empty_like(self.theta)
        self.is_reported = False  # whether the listener has heard of this iteration
        self.ahead: Ahead | None = None
        if standing is not None:
            self._restore(standing)

    @classmethod
    def resume(
        cls,
        objective: Objective,
        standing: OptimizerSnapshot,
        settings: OptimizerSettings,
        start_time: float | None = None,
    ) -> "OptimizerState | None":
        """The state that stood so; None if F there is not what it was, for then the data are other ones."""
        if standing.scale is not None:
            objective.loss_scale = standing.scale
        state = cls(objective, standing.theta, settings, start_time, standing)
        return state if state.point.cost == standing.costs[-1] else None

    def _restore(self, standing: OptimizerSnapshot) -> None:
        self.costs, self.damping = list(standing.costs), standing.damping
        self.metric.unit, self.metric.diagonal = standing.unit, standing.diagonal
        self.gain_ratio, self.n_evaluations = standing.gain_ratio, standing.n_evaluations
        self.iteration, self.seconds_before = standing.iteration, standing.seconds

    def standing(self) -> OptimizerSnapshot:
        return OptimizerSnapshot(
            self.theta, list(self.costs), self.damping, self.metric.unit, self.metric.diagonal, self.gain_ratio,
            self.n_evaluations, self.iteration, self.time(), self.scale,
        )  # fmt: skip

    @property
    def scale(self) -> float | None:
        """Of the objective's robust loss, if it has one."""
        return None if self._scaled is None else self._scaled.loss_scale

    def time(self) -> float:
        """Seconds since the fit began."""
        return self._seconds_until(time.perf_counter())

    def _seconds_until(self, moment: float) -> float:
        return self.seconds_before + moment - self.start_time

    def record(self, grad_norm: float) -> Record:
        return Record(
            self.iteration, self.theta, self.point.cost, grad_norm, self.damping.mu / self.metric.unit,
            self.gain_ratio, self.n_evaluations, self._seconds_until(self.moment), self.seconds, self.point,
        )  # fmt: skip

    def accept(self, step: Step) -> None:
        # No calls: a keyboard interrupt comes before all of it or after.
        self.theta, self.point, self.norm, self.gain_ratio = step.theta, step.point, step.norm, step.gain_ratio
        self.damping, self.n_evaluations = step.damping, step.n_evaluations
        self.seconds, self.moment = step.seconds, step.moment
        self.costs, self.iteration, self.is_reported = [*self.costs, step.point.cost], self.iteration + 1, False

    def replace(self, theta: np.ndarray, point: Any) -> None:
        """The objective has changed: theta and `point` are where the fit stands in it. F of before tells nothing."""
        self.theta, self.point, self.norm = theta, point, _kernels.norm(point.gradient)
        self.costs = [point.cost]

    def settle(self, objective: Objective) -> None:
        """Forget the steps that were made ahead and not told, and know the point where it stands as a whole."""
        self.ahead = None
        if isinstance(self.point, PassedPoint):
            self.point = objective.linearize(self.theta)

    def damped_step(self) -> tuple[np.ndarray, float]:
        """theta + d with (H + mu D) d = -g, and the reduction of F that the quadratic model promises for it.

        Infinity where there is no such step: that promises nothing, and is no reason to stop. `step` is d.
        """
        trial = np.empty_like(self.theta)
        predicted_reduction = self.solver.step(
            self.point, self.damping.mu, self.metric.diagonal, self.theta, self.step, trial
        )
        return trial, predicted_reduction


def is_finite(point: Any) -> bool:
    """Return whether F, its gradient and H are finite."""
    return math.isfinite(point.cost) and point.is_finite()


class DampingScale:
    """The diagonal of D and the unit of mu."""

    def __init__(self, settings: OptimizerSettings, gram_diagonal: np.ndarray):
        largest = float(gram_diagonal.max(initial=0.0))
        self.follows_gram = settings.metric == "diagonal"
        self.diagonal = np.zeros(len(gram_diagonal)) if self.follows_gram else np.ones(len(gram_diagonal))
        # Where H = 0 the gradient is zero too, and any unit will do.
        self.unit = 1.0 if self.follows_gram or largest == 0.0 else largest

    @property
    def least_mu(self) -> float:
        """Damping never falls below it, nor to zero where that underflows: it must be able to grow by factors."""
        return max(MIN_MU * self.unit, TINY)

    def update(self, gram_diagonal: np.ndarray) -> None:
        # A parameter without influence so far is damped as by the identity.
        diagonal = np.maximum(self.diagonal, gram_diagonal)
        self.diagonal = np.where(diagonal > 0, diagonal, 1.0)
