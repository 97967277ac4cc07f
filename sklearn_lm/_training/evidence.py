"""Fits that find their own penalty: the iteration pauses, the precisions move, the iteration goes on.

The formulas stand in `penalty`. Here is the order of things (after MacKay 1992 and Foresee & Hagan 1997):

1. A start with a scale of weights and a first noise precision of its own. One first precision for all is a trap: too
   high, and noise is fitted from the beginning; too low, and the network never leaves the straight line.
2. Levenberg-Marquardt on F. After the fifth iteration and then after every third: the evidence, and one update of the
   precisions. F changes by its penalty alone, so nothing is summed over the rows again. (Where steps are found by a
   sample, the Gram matrix of all rows is made for the evidence, once.)
3. The state of the largest evidence is kept, and after five evaluations without a larger one the fit ends. For the
   evidence rises and falls: the updates, which take the network for linear around theta, go on to explain noise by
   weights until the estimate of the noise has collapsed. What is published comes from before that.
4. From a first noise precision that is much too high for the data there is no time before that: noise is taken for
   structure at once. One sees it by an evidence below that of a linear network. Then the fit begins again from the same
   weights, with less precision.

Several outputs have a noise precision each. Their targets are brought to scales on which these are equal, so the
formulas need one beta; the scales are part of what is found.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._network.objective import Problem
from .._network.penalty import (
    Groups,
    Precisions,
    log_evidence,
    penalty_of,
    updated,
)
from .._network.subsample import is_quicker
from .._network.topology import Network, layer_matrices
from .._optimize.levenberg_marquardt import advance
from .._optimize.linearization import Curvature, Linearization
from .._optimize.state import DataChangedError, OptimizerSettings, OptimizerState
from .._optimize.termination import Ending, check_limits
from . import multistart
from .history import Monitor
from .linear_baseline import evidence_of_linear
from .multistart import Hooks, Multistart, MultistartSnapshot, RunFactory, StartRun

# Iterations before the first evaluation, between two, and before a state may be kept. Evaluations without a larger
# evidence that end a fit.
FIRST, EVERY, SETTLED, PATIENCE = 5, 3, 8, 5
# A rise by less, in nats, is none, but where the network is linear: there the summit is reached to all digits.
MIN_RISE = 0.1
# Relative differences of the evidence below this are its rounding errors.
RESOLUTION = 1e-13
# Precisions that an update changes by less than this fraction have arrived.
ARRIVED = 1e-10
# Endings of the iteration that say no more than: a minimum, for these precisions.
AT_MINIMUM = (Ending.GRADIENT, Ending.REDUCTION, Ending.PRECISION, Ending.DAMPING)


# A fit has failed if its evidence is below that of a linear network by more than so many nats a row: where that is the
# truth, good ones come out a little below, too. It begins again so often, each time with so much less precision.
SHORTFALL, MAX_RESTARTS, LESS = 0.1, 3, 0.2


class Start(NamedTuple):
    theta: np.ndarray
    precisions: Precisions
    family: str = "varied"

    def resumed(self, theta: np.ndarray, precisions: Precisions | None) -> "Start":
        """Where a previous fit has ended; without precisions, or with other groups, those of this start."""
        is_usable = precisions is not None and precisions.alpha.shape == self.precisions.alpha.shape
        return Start(theta, precisions if precisions is not None and is_usable else self.precisions, "warm_start")


class BestEvidence(NamedTuple):
    """The state of the largest evidence."""

    log_evidence: float
    iteration: int
    theta: np.ndarray
    problem: Problem  # with the penalty and the scales of the targets that were found
    precisions: Precisions
    gamma: np.ndarray  # (n_parameters,), how far the data determine each
    point: Any  # the normal equations at theta
    # Precisions under which the rows were gone through at theta, and those that they were moved to since: the way to
    # the same bits of `point`.
    hyperparameter_history: list[Precisions]
    factors: list[np.ndarray]  # by which its targets were multiplied, one after the other


class BestEvidenceSnapshot(NamedTuple):
    """What a `BestEvidence` is made of."""

    log_evidence: float
    iteration: int
    theta: np.ndarray
    gamma: np.ndarray
    hyperparameter_history: list[Precisions]
    factors: list[np.ndarray]


class EvidenceSnapshot(NamedTuple):
    """What an `EvidenceRun` must remember to go on."""

    runner: multistart.Memory
    first: Precisions  # of the start
    precisions: Precisions
    factors: list[np.ndarray]  # by which the targets of each output were multiplied, one after the other
    begun: int
    n_restarts: int
    pause: int  # the iteration of the next evaluation
    n_evaluations: int
    n_unimproved: int
    reference: float
    found: BestEvidenceSnapshot | None

    @property
    def monitor(self) -> Any:
        return self.runner.monitor


class EvidenceRun(StartRun):
    """One start on its way to the largest evidence."""

    def __init__(self, number: int, start: Start, problem: Problem, groups: Groups, monitor: Monitor):
        super().__init__(number, start.family, start.theta, monitor)
        self.groups, self.precisions = groups, start.precisions
        self.problem = self._first = problem._replace(penalty=penalty_of(start.precisions, groups))
        self._first_precisions = start.precisions
        self._n_restarts = 0 if start.family == "varied" and problem.network.is_nonlinear else MAX_RESTARTS
        monitor.columns = {"log_evidence": math.nan, "n_effective_parameters": math.nan}
        self.found: BestEvidence | None = None
        self.reference = -math.inf  # the evidence when it was last found to rise
        self._least: float | None = None  # that it must come up to
        self._begun = 0  # the iteration at which it began, again if it had failed
        self._pause, self._n_evaluations, self._n_unimproved = FIRST, 0, 0
        self._factors: list[np.ndarray] = []
        self._hyperparameter_history, self._hyperparameter_history_at = (
            [start.precisions],
            -1,
        )  # as in `BestEvidence`, and the iteration that it belongs to

    def run(self, objective: Any, settings: OptimizerSettings, start_time: float, pause_at: int | None = None) -> None:
        """Iterate to the end, with an update at every pause."""
        self._adjust(objective, self.problem)
        try:
            self._begin(objective, settings, start_time)
        except ValueError as failure:
            self.failure, self.fate = failure, "not finite"
            return
        state = self.state
        assert state is not None
        # A linear network may need no iteration between two updates; these must not go on for ever either.
        while self._n_evaluations < settings.max_iter:
            self.ending = advance(objective, state, settings, self.monitor, self._pause, self.monitor.on_reject)
            point = self._with_matrix(state)
            curvature = point.curvature(self.problem.penalty.penalty_diag)
            if state.iteration != self._hyperparameter_history_at or point is not state.point:
                self._hyperparameter_history, self._hyperparameter_history_at = [self.precisions], state.iteration
            if state.iteration >= self._begun + SETTLED or self.ending is not None:
                self._n_unimproved = 0 if self._keep_better(state, point, curvature) else self._n_unimproved + 1
            is_stuck = self.ending is Ending.DAMPING
            if self.ending in AT_MINIMUM:  # no end, unless there is no room for more
                self.ending = check_limits(state, settings)
            if self.ending is not None:
                return
            if self._n_unimproved >= PATIENCE or not self._update(objective, state, curvature):
                if self._n_restarts >= MAX_RESTARTS or not self._has_failed():
                    break
                self._begin_again(objective, state)
                is_stuck = True
            if is_stuck:
                state.damping = state.damping_scale.first_damping(settings.mu)
            self._pause = state.iteration + (FIRST if state.iteration == self._begun else EVERY)
            self._n_evaluations += 1
        self.ending = Ending.EVIDENCE

    @property
    def error(self) -> float:
        """Minus the log evidence."""
        return math.inf if self.found is None else -self.found.log_evidence

    def best(self) -> tuple[float, int, np.ndarray]:
        """As of any runner; where it stands, if nothing was found yet."""
        if self.found is None:
            return math.inf, self.iteration, super().best()[2] if self.state is None else self.state.theta
        return self.error, self.found.iteration, self.found.theta

    def candidate(self) -> tuple[Problem, np.ndarray]:
        return (self.problem if self.found is None else self.found.problem), self.best()[2]

    # ---- to go on later --------------------------------------------------------------------------------
    def memory(self) -> Any:
        """Of an iteration that was just told: nothing has been evaluated at its theta but F."""
        found = self.found
        kept = None if found is None else BestEvidenceSnapshot(
            found.log_evidence, found.iteration, found.theta, found.gamma, found.hyperparameter_history, found.factors
        )  # fmt: skip
        return EvidenceSnapshot(
            super().memory(), self._first_precisions, self.precisions, list(self._factors), self._begun,
            self._n_restarts, self._pause, self._n_evaluations, self._n_unimproved, self.reference, kept,
        )  # fmt: skip

    @classmethod
    def from_memory(
        cls, memory: EvidenceSnapshot, problem: Problem, groups: Groups, monitor: Monitor, settings: OptimizerSettings
    ) -> "EvidenceRun":
        """A runner that goes on from there, to the same bits."""
        known = memory.runner
        if memory.precisions.alpha.shape != groups.size.shape:
            raise DataChangedError
        runner = cls(known.number, Start(known.theta, memory.first, known.family), problem, groups, monitor)
        runner.origin = memory
        if known.standing is None:  # lost before its first iteration, or never begun
            return runner
        runner.precisions, runner._factors = memory.precisions, list(memory.factors)
        runner.problem = _rescaled(problem, memory.factors)._replace(penalty=penalty_of(memory.precisions, groups))
        runner._begun, runner._n_restarts = memory.begun, memory.n_restarts
        runner._pause, runner._n_evaluations = memory.pause, memory.n_evaluations
        runner._n_unimproved, runner.reference = memory.n_unimproved, memory.reference
        if memory.found is not None:
            runner.found = _recalled(memory.found, _rescaled(problem, memory.found.factors), groups)
        monitor.held_out_errors = runner.problem.held_out_errors()
        if not monitor.recall(known.monitor):
            raise DataChangedError
        monitor.columns = {name: monitor.rows[-1][name] for name in monitor.columns}
        runner._standing = known.standing
        return runner

    def _with_matrix(self, state: OptimizerState) -> Linearization:
        """Return the linearization of the state with the matrix of all rows, which the evidence needs."""
        if state.point.is_direct:
            return state.point
        return self.problem.objective(with_matrix=True).linearize(state.theta)

    def _keep_better(self, state: OptimizerState, point: Any, curvature: Curvature) -> bool:
        """Keep this state if its evidence is as large as any; whether that is a rise."""
        problem = self.problem
        n = problem.rows["train"].weight * problem.network.sizes[-1]
        evidence = log_evidence(state.point.cost, self.precisions, problem.penalty.penalty_diag, curvature.log_det, n)
        self.monitor.columns = {"log_evidence": evidence, "n_effective_parameters": float(curvature.gamma.sum())}
        rounding = RESOLUTION * abs(evidence) if math.isfinite(evidence) else 0.0
        best = -math.inf if self.found is None else self.found.log_evidence
        if self.found is None or evidence >= best - rounding:
            theta, gamma = state.theta, curvature.gamma
            self.found = BestEvidence(
                max(evidence, best), state.iteration, theta, problem, self.precisions, gamma, point,
                list(self._hyperparameter_history), list(self._factors),
            )  # fmt: skip
        if evidence > self.reference + (MIN_RISE if problem.network.is_nonlinear else rounding):
            self.reference = evidence
            return True
        return False

    def _update(self, objective: Any, state: OptimizerState, curvature: Curvature) -> bool:
        """Move the precisions, and with them F; False where they have arrived, or cannot be told where to go."""
        if not math.isfinite(curvature.log_det):
            return False
        old, point = self.precisions, state.point
        alpha, betas = updated(
            old, self.groups, curvature.gamma, state.theta, point.squares,
            _gamma_of_outputs(self.problem.network, curvature.gamma), self.problem.rows["train"].weight,
            np.prod(self._factors, axis=0),
        )  # fmt: skip
        # Targets times sqrt(beta_o / beta) have the precision beta, the geometric mean: the evidence stays the same.
        beta = float(np.exp(np.log(betas).mean()))
        factor = np.sqrt(betas / beta)
        precisions = Precisions(alpha, beta)
        change = np.max(np.abs(np.log(np.concatenate([alpha / old.alpha, betas / old.beta]))))
        penalty = penalty_of(precisions, self.groups)
        problem, theta = self.problem._replace(penalty=penalty), state.theta
        if len(betas) == 1:
            point = point.with_penalty(theta, self.problem.penalty.penalty_diag, penalty.penalty_diag)
            self._move(objective, state, problem, precisions, theta, point)
            self._hyperparameter_history.append(precisions)
        else:
            theta = theta.copy()
            layer_matrices(problem.network, theta)[-1][:] *= factor[:, None]
            self._move(objective, state, problem.rescaled(factor), precisions, theta)
            self._factors.append(factor)
            self._hyperparameter_history = [precisions]
        return bool(change > ARRIVED)

    def _has_failed(self) -> bool:
        """Whether the data speak rather for a linear network."""
        if self._least is None:
            rows = self._first.rows["train"]
            self._least = evidence_of_linear(self._first, self.groups.kind) - SHORTFALL * rows.weight * rows.Y.shape[1]
        return -self.error < self._least

    def _begin_again(self, objective: Any, state: OptimizerState) -> None:
        """The weights and scales of the start, with less precision of the noise."""
        self._n_restarts += 1
        first = self._first_precisions
        precisions = first._replace(beta=first.beta * LESS**self._n_restarts)
        problem = self._first._replace(penalty=penalty_of(precisions, self.groups))
        self._move(objective, state, problem, precisions, self.theta)
        self._factors, self._hyperparameter_history = [], [precisions]
        self.reference, self._begun, self._n_unimproved = -math.inf, state.iteration, 0

    def _move(
        self,
        objective: Any,
        state: OptimizerState,
        problem: Problem,
        precisions: Precisions,
        theta: np.ndarray,
        point: Any = None,
    ) -> None:
        """To another penalty or other targets, and to theta there; `point` is what the objective says of it, if known.

        Where that is lost with the workers that had to find it out, everything stands as it was.
        """
        self._adjust(objective, problem)
        state.replace(theta, objective.linearize(theta) if point is None else point)
        self.problem, self.precisions = problem, precisions

    def _adjust(self, objective: Any, problem: Problem) -> None:
        """Objective and monitor see the penalty and the targets as they are now."""
        objective.change_to(problem.rows["train"], problem.penalty)
        self.monitor.train_error = problem.train_error
        self.monitor.held_out_errors = problem.held_out_errors()


class EvidenceMultistart(Multistart):
    """Starts that find their own penalty: all of them run to the end, and the largest evidence wins.

    Parameters
    ----------
    starts : sequence of Start
    course : RunFactory
    settings : OptimizerSettings
    hooks : Hooks
    n_jobs : int, optional
        Threads, as in joblib.
    problem : Problem
        Its penalty is not used.
    groups : Groups
        Of the penalty.
    memory : MultistartSnapshot, optional
        Where such a race was broken off; its runners' are `EvidenceSnapshot`. It goes on from there, to the same bits.
    remembers : bool
        Whether another race may go on from the end of this one.
    """

    def __init__(
        self,
        starts: Sequence[Start],
        course: RunFactory,
        settings: OptimizerSettings,
        hooks: Hooks,
        n_jobs: int | None,
        problem: Problem,
        groups: Groups,
        memory: MultistartSnapshot | None = None,
        remembers: bool = False,
    ):
        if remembers and hooks.save is None:
            hooks = hooks._replace(save=_unsaved)
        super().__init__([], course, settings, hooks, n_jobs, memory=memory)
        self._varied, self._problem, self._groups = starts, problem, groups

    def _enter(self) -> None:
        self._screened = [
            self._entered(EvidenceRun(i, start, self._problem, self._groups, self.course.monitor()))
            for i, start in enumerate(self._varied)
        ]

    def _recalled(self, memory: Any) -> StartRun:
        if not isinstance(memory, EvidenceSnapshot):  # alpha was a number
            raise DataChangedError
        monitor = self.course.monitor()
        return EvidenceRun.from_memory(memory, self._problem, self._groups, monitor, self.settings)

    def _run(self) -> StartRun:
        self.runners = self._screened
        return self._to_the_end(self.runners)

    def _best(self, field: Sequence[StartRun]) -> StartRun:
        return min(field, key=lambda runner: (runner.error, runner.number))

    def memory(self) -> MultistartSnapshot | None:
        """As of the iterations that were told last: what was evaluated since belongs to the end of this race alone."""
        told = self._memory_of(self._snapshots.__getitem__)
        return told._replace(max_iter=self.settings.max_iter)


def solver_between(solver: str, network: Network, rows: Any) -> str:
    """By which steps are found where every third point has its Gram matrix of all `rows`.

    A linear network needs hardly a step between two such points.
    """
    n_rows, n_outputs = rows.Y.shape
    is_sampled = network.is_nonlinear and is_quicker(n_rows, n_outputs, network.n_parameters, is_between=True)
    return solver if is_sampled else "cholesky"


def draw_evidence_start(network: Network, groups: Groups, rng: np.random.RandomState) -> Start:
    """Weights N(0, 1 / n_in), those of the hidden layers and their biases on a scale between 0.5 and 1.7.

    The first noise precision lies between 2 and 50, and the first alphas are the precisions of the unscaled weights.
    Networks that differ in these are also better to mix than equal ones.
    """
    scale, beta = 0.5 * 3.4 ** rng.uniform(), 2.0 * 25.0 ** rng.uniform()
    theta, alpha = np.zeros(network.n_parameters), np.ones(network.n_parameters)
    *hidden, output = layer_matrices(network, theta)
    for matrix in hidden:
        matrix[:] = scale * rng.normal(size=matrix.shape)
        matrix[:, :-1] /= math.sqrt(matrix.shape[1] - 1)
    output[:, :-1] = rng.normal(size=(len(output), output.shape[1] - 1)) / math.sqrt(output.shape[1] - 1)
    for matrix in layer_matrices(network, alpha):
        matrix[:, :-1] = math.sqrt(matrix.shape[1] - 1)
    return Start(theta, Precisions(groups.sums(alpha) / groups.size, beta))


def _unsaved(memory: MultistartSnapshot) -> None:
    """Where snapshots are taken, but for no file."""


def _rescaled(problem: Problem, factors: Sequence[np.ndarray]) -> Problem:
    for factor in factors:
        problem = problem.rescaled(factor)
    return problem


def _recalled(found: BestEvidenceSnapshot, problem: Problem, groups: Groups) -> BestEvidence:
    """`found` as it was, on the problem with its targets."""
    first, *moved = found.hyperparameter_history
    problem = problem._replace(penalty=penalty_of(first, groups))
    with np.errstate(over="ignore", invalid="ignore"):  # as in `advance`
        point = problem.objective(with_matrix=True).linearize(found.theta)
    for precisions in moved:
        penalty = penalty_of(precisions, groups)
        point = point.with_penalty(found.theta, problem.penalty.penalty_diag, penalty.penalty_diag)
        problem = problem._replace(penalty=penalty)
    return BestEvidence(
        found.log_evidence, found.iteration, found.theta, problem, found.hyperparameter_history[-1], found.gamma, point,
        found.hyperparameter_history, found.factors,
    )  # fmt: skip


def _gamma_of_outputs(network: Network, gamma: np.ndarray) -> np.ndarray:
    """How many parameters each output has used up: those of its own row, and an equal part of the hidden layers'."""
    own = layer_matrices(network, gamma)[-1].sum(axis=1)
    return own + (gamma.sum() - own.sum()) / len(own)
