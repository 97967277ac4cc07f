"""The Levenberg-Marquardt loop: damped step, gain ratio, damping, endings.

It sees an objective, never a network: anything with

    cost(theta)              F at a trial point
    normal_equations(theta)  an object with .cost, .gradient and .gram (F, its gradient and J'J plus penalty)
    weight                   what F is a sum over (1 if it is no sum); gradients are reported per unit of it

The step delta solves (H + mu D) delta = -g with H the Gram matrix and g the gradient (Levenberg 1944; Marquardt 1963).
D = I, or for parameters of unlike size D = the largest diagonal of H met so far (Moré 1978). Non-finite trial
points, and matrices that have no Cholesky factor, are rejected steps: the damping grows and the step shrinks.

One iteration ends with one accepted step, so F never grows from a record to the next.
"""

import enum
import itertools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.linalg import lapack

EPS = float(np.finfo(np.float64).eps)
# Damping never falls below this multiple of its unit, so that it can always grow again by multiplication.
LEAST_MU = EPS
# Relative changes of F below this are its rounding errors.
RESOLUTION = 64 * EPS
# Reductions are judged over this many accepted steps: a single small step proves nothing.
WINDOW = 5
# A point that overflows is an answer (reject it), not a cause for warnings.
QUIET = {"over": "ignore", "invalid": "ignore"}


class Ending(enum.Enum):
    """Why a fit stopped: a sentence, and what to do where there was more to be had."""

    GRADIENT = "the gradient is below min_grad", ""
    REDUCTION = f"the objective fell by less than tol over {WINDOW} iterations", ""
    PRECISION = "the objective changes by no more than its rounding error", ""
    DAMPING = "no step reduces the objective, with damping up to mu_max", ""
    GOAL = "the training error reached goal", ""
    PATIENCE = "the validation error did not fall for n_iter_no_change iterations", ""
    MAX_ITER = "max_iter iterations were made", "Raise max_iter, or fit fewer units, or set alpha > 0"
    MAX_TIME = "max_time seconds have passed", "Raise max_time"

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
    equations: Any  # what `normal_equations` gave at theta


class Result(NamedTuple):
    theta: np.ndarray
    cost: float
    ending: Ending
    n_iter: int


class Objective(Protocol):
    weight: float

    def cost(self, theta: np.ndarray) -> float: ...

    def normal_equations(self, theta: np.ndarray) -> Any: ...


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


class _Clock:
    def __init__(self, start: float | None, limit: float | None):
        self.start = time.perf_counter() if start is None else start
        self.limit = math.inf if limit is None else limit

    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def is_over(self) -> bool:
        return self.limit < math.inf and self.seconds() >= self.limit


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
    clock = _Clock(start_time, settings.max_time)
    theta = np.array(theta, dtype=np.float64)
    with np.errstate(**QUIET):
        point = objective.normal_equations(theta)
    if not _is_finite(point):
        raise ValueError(
            "The objective is not finite at the starting point: residuals or their derivatives overflow. "
            "Scale the data, or start from smaller weights."
        )
    metric = _Metric(settings, point.gram)
    damping = Damping(settings.mu * metric.unit)
    costs, gain_ratio, n_evaluations = [point.cost], math.nan, 1

    for iteration in range(settings.max_iter + 1):
        grad_norm = float(np.linalg.norm(point.gradient)) / objective.weight
        record = Record(
            iteration, theta, point.cost, grad_norm, damping.mu / metric.unit, gain_ratio,
            n_evaluations, clock.seconds(), point,
        )  # fmt: skip
        ending = listen(record) or _ending(settings, iteration, grad_norm, costs, clock)
        if ending is None:
            metric.update(point.gram)
            found = _search(objective, theta, point, damping, metric, settings, clock)
            damping, gain_ratio, ending = found.damping, found.gain_ratio, found.ending
            n_evaluations += found.n_evaluations
        if ending is not None:
            return Result(theta, point.cost, ending, iteration)
        theta, point = found.theta, found.point
        costs.append(point.cost)
    raise AssertionError("_ending stops at max_iter at the latest")


class _Metric:
    """The diagonal of D and the unit of mu."""

    def __init__(self, settings: Settings, gram: np.ndarray):
        largest = float(gram.diagonal().max(initial=0.0))
        self.follows_gram = settings.metric == "diagonal"
        self.diagonal = np.zeros(len(gram)) if self.follows_gram else np.ones(len(gram))
        # Where H = 0 the gradient is zero too, and any unit will do.
        self.unit = 1.0 if self.follows_gram or largest == 0.0 else largest

    def update(self, gram: np.ndarray) -> None:
        if self.follows_gram:
            self.diagonal = np.maximum(self.diagonal, gram.diagonal())

    def times(self, mu: float) -> np.ndarray:
        """mu D; a parameter without influence so far is damped as by the identity."""
        return mu * np.where(self.diagonal > 0, self.diagonal, 1.0)


class _Found(NamedTuple):
    """What came of one iteration: the accepted point, or why there is none."""

    theta: np.ndarray
    point: Any
    damping: Damping
    gain_ratio: float
    n_evaluations: int
    ending: Ending | None


@np.errstate(**QUIET)
def _search(
    objective: Objective,
    theta: np.ndarray,
    point: Any,
    damping: Damping,
    metric: _Metric,
    settings: Settings,
    clock: _Clock,
) -> _Found:
    """Try steps, each more damped than the one before, until one reduces the objective."""
    for n_evaluations in itertools.count(1):
        predicted = math.inf  # a matrix without a factor promises nothing, and is no reason to stop
        step = _damped_step(point, metric.times(damping.mu))
        if step is not None:
            # The quadratic model's -g'd - 1/2 d'Hd, which is 1/2 d'(mu D d - g) for this step.
            predicted = 0.5 * float(step @ (metric.times(damping.mu) * step - point.gradient))
            # Where F has no digits left to tell a better point from a worse one, the gradient still has: a
            # minimum is known to half the digits by its F, and to nearly all of them by its gradient.
            is_flat = predicted <= RESOLUTION * point.cost
            trial = theta + step
            # A NaN fails this comparison, as it should. Gradient and Gram matrix can overflow where F does not.
            if objective.cost(trial) < (1 + RESOLUTION * is_flat) * point.cost:
                new = objective.normal_equations(trial)
                if _is_finite(new) and (not is_flat or _halves_gradient(point, new)):
                    gain_ratio = math.nan if is_flat else (point.cost - new.cost) / predicted
                    relaxed = damping.relax(settings, 1.0 if is_flat else gain_ratio, LEAST_MU * metric.unit)
                    return _Found(trial, new, relaxed, gain_ratio, n_evaluations, None)
        damping = damping.tighten(settings)
        ending = None
        if predicted <= RESOLUTION * point.cost:
            ending = Ending.PRECISION
        elif damping.mu > settings.mu_max * metric.unit:
            ending = Ending.DAMPING
        elif clock.is_over():
            ending = Ending.MAX_TIME
        if ending is not None:
            return _Found(theta, point, damping, math.nan, n_evaluations, ending)
    raise AssertionError("the damping grows at every turn, so mu_max ends the loop")


def _is_finite(point: Any) -> bool:
    return bool(math.isfinite(point.cost) and np.isfinite(point.gradient).all() and np.isfinite(point.gram).all())


def _halves_gradient(point: Any, new: Any) -> bool:
    return bool(np.linalg.norm(new.gradient) <= 0.5 * np.linalg.norm(point.gradient))


def _ending(settings: Settings, iteration: int, grad_norm: float, costs: list[float], clock: _Clock) -> Ending | None:
    if grad_norm <= settings.min_grad:
        return Ending.GRADIENT
    if iteration >= WINDOW and costs[-1 - WINDOW] - costs[-1] <= settings.tol * costs[-1 - WINDOW]:
        return Ending.REDUCTION
    if iteration >= settings.max_iter:
        return Ending.MAX_ITER
    if clock.is_over():
        return Ending.MAX_TIME
    return None


def _damped_step(point: Any, damping: np.ndarray) -> np.ndarray | None:
    """Solve (H + mu D) delta = -g by Cholesky, or None where there is no factor. `damping` is the diagonal mu D."""
    # The copy of a symmetric matrix, transposed, is in Fortran order: LAPACK works on it in place.
    damped = point.gram.copy().T
    damped[np.diag_indices(len(damped))] += damping
    factor, info = lapack.dpotrf(damped, lower=1, clean=0, overwrite_a=1)
    if info != 0:
        return None
    step, info = lapack.dpotrs(factor, -point.gradient, lower=1)
    return step if np.isfinite(step).all() else None
