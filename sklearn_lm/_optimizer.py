"""The Levenberg-Marquardt loop: damped step, gain ratio, damping, endings.

It sees an objective, never a network: anything with

    cost(theta)                   F at a trial point
    normal_equations(theta)       an object with .cost, .gradient and .gram: F, its gradient, and the lower triangle of
                                  J'J plus penalty; or those of `_systems.DualSystem`, with J in place of the last
    weight                        what F is a sum over (1 if it is no sum); gradients are reported per unit of it

and, for the settings of these names,

    solve_linear(theta)           solve_output: theta with its linear part solved for, and F there
    curvature(theta, direction)   acceleration: J'r_vv, r_vv the second derivative of the residuals along direction

and, if it has something better than these one by one,

    attempt(theta, ...)           all that `_attempt` does, as a tuple of the fields of `Attempt`; None where it has not

The step delta solves (H + mu D) delta = -g with H the Gram matrix and g the gradient (Levenberg 1944; Marquardt 1963).
D = I, or for parameters of unlike size D = the largest diagonal of H met so far (Moré 1978). Non-finite trial
points, and matrices that have no Cholesky factor, are rejected steps: the damping grows and the step shrinks.

One iteration ends with one accepted step, so F never grows from a record to the next.
"""

import enum
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import _kernels
from ._systems import system_for

EPS = float(np.finfo(np.float64).eps)
# Damping never falls below this multiple of its unit, nor to zero where that underflows, so that it can always grow
# again by multiplication.
LEAST_MU = EPS
TINY = float(np.finfo(np.float64).tiny)
# Relative changes of F below this are its rounding errors.
RESOLUTION = 64 * EPS
# Reductions are judged over this many accepted steps: a single small step proves nothing.
WINDOW = 5
# A second-order correction longer than this, against the step, is refused.
LARGEST_BEND = 0.75


class Ending(enum.Enum):
    """Why a fit stopped: a sentence, and what to do where there was more to be had."""

    GRADIENT = "the gradient is not above min_grad", ""
    REDUCTION = f"the objective fell by less than tol over {WINDOW} iterations", ""
    PRECISION = "the objective changes by no more than its rounding error", ""
    DAMPING = "no step reduces the objective, with damping up to mu_max", ""
    GOAL = "the training error reached goal", ""
    EVIDENCE = "the evidence of the data did not rise any more", ""
    PATIENCE = "the validation error did not fall for n_iter_no_change iterations", ""
    MAX_ITER = (
        "max_iter iterations were made",
        "Fit fewer units, or raise max_iter",
    )
    MAX_TIME = "max_time seconds have passed", "Raise max_time"
    CALLBACK = "a callback asked to stop", ""
    INTERRUPTED = "interrupted", ""

    def __init__(self, sentence: str, remedy: str):
        self.sentence, self.remedy = sentence, remedy

    @property
    def converged(self) -> bool:
        return not self.remedy


class Settings(NamedTuple):
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
    metric: str = "identity"  # D above: "identity" or "diagonal"


class Record(NamedTuple):
    """One row per iteration, the first for the starting point."""

    iteration: int
    theta: np.ndarray
    cost: float
    grad_norm: float  # Euclidean norm of the gradient per unit of weight
    mu: float  # in units of the largest diagonal entry of the first Gram matrix
    gain_ratio: float  # of the accepted step; NaN at the start and where F no longer resolves the step
    n_evaluations: int  # of the objective so far, trial points included
    time: float  # seconds since `start_time`
    seconds: "Seconds"  # that this iteration took, by phase
    equations: Any  # what `normal_equations` gave at theta


class Seconds(NamedTuple):
    """Where the time of an iteration went."""

    jacobian: float  # gradients and Gram matrices
    solve: float  # factors and steps
    evaluate: float  # trial points, with their second derivatives and output layers


class Rejection(NamedTuple):
    """A trial point that was not accepted."""

    mu: float  # that made it, in the same units as a record's
    gain_ratio: float  # actual over promised reduction; NaN where there was no factor, or F was not finite
    time: float


class Standing(NamedTuple):
    """What a `State` must remember to go on after its objective is gone: the rest follows from theta and the data."""

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


class Result(NamedTuple):
    theta: np.ndarray
    cost: float
    ending: Ending
    n_iter: int


class Objective(Protocol):
    """See the top of this file. The last two are needed only by the settings that use them."""

    weight: float

    def cost(self, theta: np.ndarray) -> float: ...

    def normal_equations(self, theta: np.ndarray) -> Any: ...

    def solve_linear(self, theta: np.ndarray) -> tuple[np.ndarray, float]: ...

    def curvature(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray: ...


class Damping(NamedTuple):
    """mu and the factor by which Nielsen's rule raises it after the next rejection."""

    mu: float
    growth: float = 2.0

    def relax(self, settings: Settings, gain_ratio: float, least: float) -> "Damping":
        """After an accepted step."""
        if settings.damping == "marquardt":
            return Damping(max(self.mu * settings.mu_decrease, least))
        # H. B. Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05, eq. 2.5: a smooth function of
        # the gain ratio. Its cube overflows when a tiny reduction was predicted, hence the cap at 2.
        factor = max(1 / 3, 1 - (2 * min(gain_ratio, 2.0) - 1) ** 3)
        return Damping(max(self.mu * factor, least))

    def tighten(self, settings: Settings) -> "Damping":
        """After a rejected step."""
        if settings.damping == "marquardt":
            return Damping(self.mu * settings.mu_increase)
        return Damping(self.mu * self.growth, self.growth * 2)


class State:
    """Where a fit stands: `advance` changes it, and can go on from it as if it had never paused."""

    def __init__(
        self,
        objective: Objective,
        theta: np.ndarray,
        settings: Settings,
        start_time: float | None = None,
        standing: Standing | None = None,
    ):
        started = time.perf_counter()
        # An objective with a robust loss has a scale that belongs to where this run stands.
        self._scaled: Any = objective if hasattr(objective, "scale") else None
        self.start_time = started if start_time is None else start_time
        self.theta = np.array(theta, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            if settings.solve_output and standing is None:
                self.theta = objective.solve_linear(self.theta)[0]
            evaluated = time.perf_counter()
            self.point = objective.normal_equations(self.theta)
        self.system = system_for(self.point)
        if not self.is_finite(self.point):
            raise ValueError(
                "The objective is not finite at the starting point: residuals or their derivatives overflow. "
                "Scale the data, or start from smaller weights."
            )
        self.seconds = Seconds(time.perf_counter() - evaluated, 0.0, evaluated - started)
        self.metric = _Metric(settings, self.system.diagonal(self.point))
        self.damping = Damping(max(settings.mu * self.metric.unit, TINY))
        self.costs = [self.point.cost]
        self.gain_ratio = math.nan
        self.n_evaluations = 1
        self.iteration = 0
        self.seconds_before = 0.0  # that earlier calls of `fit` took
        self.step = np.empty_like(self.theta)
        self.is_told = False  # whether the listener has heard of this iteration
        if standing is not None:
            self._restore(standing)

    @classmethod
    def resume(
        cls, objective: Objective, standing: Standing, settings: Settings, start_time: float | None = None
    ) -> "State | None":
        """The state that stood so; None if F there is not what it was, for then the data are other ones."""
        if standing.scale is not None:
            objective.scale = standing.scale  # type: ignore[attr-defined]
        state = cls(objective, standing.theta, settings, start_time, standing)
        return state if state.point.cost == standing.costs[-1] else None

    def _restore(self, standing: Standing) -> None:
        self.costs, self.damping = list(standing.costs), standing.damping
        self.metric.unit, self.metric.diagonal = standing.unit, standing.diagonal
        self.gain_ratio, self.n_evaluations = standing.gain_ratio, standing.n_evaluations
        self.iteration, self.seconds_before = standing.iteration, standing.seconds

    def standing(self) -> Standing:
        return Standing(
            self.theta, list(self.costs), self.damping, self.metric.unit, self.metric.diagonal, self.gain_ratio,
            self.n_evaluations, self.iteration, self.time(), self.scale,
        )  # fmt: skip

    @property
    def scale(self) -> float | None:
        """Of the objective's robust loss, if it has one."""
        return None if self._scaled is None else self._scaled.scale

    def time(self) -> float:
        """Seconds since the fit began."""
        return self.seconds_before + time.perf_counter() - self.start_time

    def record(self, grad_norm: float) -> Record:
        return Record(
            self.iteration, self.theta, self.point.cost, grad_norm, self.damping.mu / self.metric.unit,
            self.gain_ratio, self.n_evaluations, self.time(), self.seconds, self.point,
        )  # fmt: skip

    def accept(self, theta: np.ndarray, point: Any, gain_ratio: float, damping: Damping, seconds: Seconds) -> None:
        # No calls: a keyboard interrupt comes before all of it or after.
        self.theta, self.point, self.gain_ratio, self.damping, self.seconds = theta, point, gain_ratio, damping, seconds
        self.costs, self.iteration, self.is_told = [*self.costs, point.cost], self.iteration + 1, False

    def replace(self, theta: np.ndarray, point: Any) -> None:
        """The objective has changed: theta and `point` are where the fit stands in it. F of before tells nothing."""
        self.theta, self.point = theta, point
        self.costs = [point.cost]

    def damped_step(self) -> tuple[np.ndarray, float]:
        """theta + d with (H + mu D) d = -g, and the reduction of F that the quadratic model promises for it.

        Infinity where there is no such step: that promises nothing, and is no reason to stop. `step` is d.
        """
        trial = np.empty_like(self.theta)
        promised = self.system.step(self.point, self.damping.mu, self.metric.diagonal, self.theta, self.step, trial)
        return trial, promised

    def is_finite(self, point: Any) -> bool:
        return math.isfinite(point.cost) and self.system.is_finite(point)


def minimise(
    objective: Objective,
    theta: np.ndarray,
    settings: Settings | None = None,
    listen: Callable[[Record], Ending | None] = lambda record: None,
    start_time: float | None = None,
) -> Result:
    """Minimise a sum of squares from `theta`.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
        Starting point; not changed.
    settings : Settings, optional
    listen : callable
        Called with the `Record` of every iteration; may return an `Ending` to stop.
    start_time : float, optional
        `time.perf_counter()` of when the clock began to run; now, if not given.

    Returns
    -------
    Result
        The best accepted point, whatever ended the fit.

    Raises
    ------
    ValueError
        If the objective, its gradient or its Gram matrix is not finite at the starting point.
    """
    settings = settings or Settings()
    state = State(objective, theta, settings, start_time)
    ending = advance(objective, state, settings, listen)
    assert ending is not None  # it was told of no iteration to pause at
    return Result(state.theta, state.point.cost, ending, state.iteration)


# An objective may overflow at a trial point: that is a rejected step and not worth a warning. Entered once for all
# iterations, since it costs as much as the arithmetic of a small one.
@np.errstate(over="ignore", invalid="ignore")
def advance(
    objective: Objective,
    state: State,
    settings: Settings,
    listen: Callable[[Record], Ending | None] = lambda record: None,
    pause_at: int | None = None,
    on_reject: Callable[[Rejection], None] | None = None,
) -> Ending | None:
    """Iterate until something ends the fit, or until iteration `pause_at` (then None is returned)."""
    while True:
        if not state.is_told:
            grad_norm = _kernels.norm(state.point.gradient) / objective.weight
            ending = listen(state.record(grad_norm))
            state.is_told = True
            ending = ending or _ending(objective, state, settings, grad_norm)
            if ending is not None:
                return ending
        if state.iteration == pause_at:
            return None
        if state.metric.follows_gram:
            state.metric.update(state.system.diagonal(state.point))
        ending = _search(objective, state, settings, on_reject)
        if ending is not None:
            return ending


class _Metric:
    """The diagonal of D and the unit of mu."""

    def __init__(self, settings: Settings, gram_diagonal: np.ndarray):
        largest = float(gram_diagonal.max(initial=0.0))
        self.follows_gram = settings.metric == "diagonal"
        self.diagonal = np.zeros(len(gram_diagonal)) if self.follows_gram else np.ones(len(gram_diagonal))
        # Where H = 0 the gradient is zero too, and any unit will do.
        self.unit = 1.0 if self.follows_gram or largest == 0.0 else largest

    def update(self, gram_diagonal: np.ndarray) -> None:
        # A parameter without influence so far is damped as by the identity.
        diagonal = np.maximum(self.diagonal, gram_diagonal)
        self.diagonal = np.where(diagonal > 0, diagonal, 1.0)


class Attempt(NamedTuple):
    """A trial point, and what became of it."""

    theta: np.ndarray
    promised: float  # reduction of F by the quadratic model; infinite where there is no step, and nothing else then
    cost: float  # F there
    point: Any  # its normal equations; None where F is no less than it was
    seconds: Seconds

    def is_flat(self, cost: float) -> bool:
        """Whether F has no digits left to tell a better point from a worse one.

        The gradient still has: a minimum is known to half the digits by its F, and to nearly all of them by its
        gradient.
        """
        return self.promised <= RESOLUTION * cost


def _search(
    objective: Objective, state: State, settings: Settings, on_reject: Callable[[Rejection], None] | None
) -> Ending | None:
    """One iteration: try steps, each more damped than the one before, until one reduces the objective."""
    point, unit = state.point, state.metric.unit
    jacobian = solve = evaluate = 0.0
    while True:
        made = _attempt(objective, state, settings)
        jacobian, solve, evaluate = (
            jacobian + made.seconds.jacobian, solve + made.seconds.solve, evaluate + made.seconds.evaluate
        )  # fmt: skip
        is_flat, new, gain_ratio = made.is_flat(point.cost), made.point, math.nan
        if made.promised < math.inf:
            state.n_evaluations += 1
            gain_ratio = math.nan if is_flat else (point.cost - made.cost) / made.promised
        if new is not None:
            improves = _halves_gradient(point, new) if is_flat else new.cost < point.cost
            if improves and state.is_finite(new):
                gain_ratio = math.nan if is_flat else (point.cost - new.cost) / made.promised
                least = max(LEAST_MU * unit, TINY)
                damping = state.damping.relax(settings, 1.0 if is_flat else gain_ratio, least)
                state.accept(made.theta, new, gain_ratio, damping, Seconds(jacobian, solve, evaluate))
                return None
        if on_reject is not None:
            on_reject(Rejection(state.damping.mu / unit, gain_ratio, state.time()))
        state.damping = state.damping.tighten(settings)
        if is_flat:
            return Ending.PRECISION
        if state.damping.mu > settings.mu_max * unit or math.isinf(state.damping.mu):
            return Ending.DAMPING
        if is_late(settings, state.start_time):
            return Ending.MAX_TIME


def _attempt(objective: Objective, state: State, settings: Settings) -> Attempt:
    """A step with the state's damping, its correction, F there and, if that is less, the normal equations."""
    own: Callable | None = getattr(objective, "attempt", None)
    if own is not None:
        theta, promised, trial_cost, new, seconds = own(
            state.theta, state.point, state.damping.mu, state.metric.diagonal, state.system, settings.acceleration,
            settings.solve_output, RESOLUTION, LARGEST_BEND, state.step,
        )  # fmt: skip
        return Attempt(theta, promised, trial_cost, new, Seconds(*seconds))
    clock, cost = time.perf_counter, state.point.cost
    start = clock()
    trial, promised = state.damped_step()
    stepped = clock()
    if promised == math.inf:
        return Attempt(trial, promised, math.nan, None, Seconds(0.0, stepped - start, 0.0))
    is_flat = promised <= RESOLUTION * cost
    if settings.acceleration and not is_flat:
        _bend(objective, state, trial)
    if settings.solve_output:
        trial, trial_cost = objective.solve_linear(trial)
    else:
        trial_cost = objective.cost(trial)
    evaluated = clock()
    # A NaN fails this comparison, as it should. Gradient and Gram matrix can overflow where F does not.
    is_less = trial_cost < (1 + RESOLUTION * is_flat) * cost
    new = objective.normal_equations(trial) if is_less else None
    seconds = Seconds(clock() - evaluated, stepped - start, evaluated - stepped)
    return Attempt(trial, promised, trial_cost, new, seconds)


def _bend(objective: Objective, state: State, trial: np.ndarray) -> None:
    """Add the geodesic correction to the trial point: theta + v + 1/2 a follows the path that v is tangent to.

    M. K. Transtrum and J. P. Sethna, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares
    minimization", arXiv:1201.5885 (2012), eq. 9 and 15: (H + mu D) a = -J'r_vv, to be refused where |a| is not
    small against |v|, for then the expansion behind it does not hold. Refusing a keeps v: rejecting the
    whole step, as they do, cost more iterations than it saved here. A correction of a hundredth of the step still
    matters: leaving it out after steps whose gain ratio was within 0.01 of 1 took half as many iterations more.
    """
    curvature = objective.curvature(state.theta, state.step)
    state.system.add_bend(
        state.point, state.damping.mu, state.metric.diagonal, curvature, LARGEST_BEND, state.step, trial
    )


def _halves_gradient(point: Any, new: Any) -> bool:
    return _kernels.norm(new.gradient) <= 0.5 * _kernels.norm(point.gradient)


def _ending(objective: Objective, state: State, settings: Settings, grad_norm: float) -> Ending | None:
    if grad_norm <= settings.min_grad and not _is_plateau(objective, state, settings):
        return Ending.GRADIENT
    costs = state.costs
    if len(costs) > WINDOW and costs[-1 - WINDOW] - costs[-1] <= settings.tol * costs[-1 - WINDOW]:
        return Ending.REDUCTION
    if state.iteration >= settings.max_iter:
        return Ending.MAX_ITER
    if is_late(settings, state.start_time):
        return Ending.MAX_TIME
    return None


def is_late(settings: Settings, start_time: float) -> bool:
    """Whether max_time has passed since `start_time`."""
    return settings.max_time is not None and time.perf_counter() - start_time >= settings.max_time


def _is_plateau(objective: Objective, state: State, settings: Settings) -> bool:
    """Whether a gradient is small although the model promises a way down: at a distance, not at a minimum.

    Where residuals vanish the promise is always all of F; there the size of F tells.
    """
    if state.point.cost <= settings.min_grad * objective.weight:
        return False
    _, promised = state.damped_step()
    return max(settings.tol, RESOLUTION) * state.point.cost < promised < math.inf
