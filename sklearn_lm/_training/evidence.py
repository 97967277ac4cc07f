"""Fits that find their own penalty: the iteration pauses, the precisions are updated, the iteration goes on.

The formulas stand in `evidence_formulas`. The order of things (after MacKay 1992 and Foresee & Hagan 1997):

1. A start has a scale of weights and a first noise precision of its own. One first precision for all is a trap: too
   high, and noise is fitted from the beginning; too low, and the network never leaves the straight line.
2. Levenberg-Marquardt on F. After the fifth iteration and then after every third: the evidence, and one update of the
   precisions. F changes by its penalty alone, so nothing is summed over the rows again. (If steps are found by a
   subsample, the Gram matrix of all rows is made for the evidence, once.)
3. The state of the largest evidence is kept, and after five evaluations without a larger one the fit ends. For the
   evidence rises and falls: the updates, which take the network for linear around theta, go on to explain noise by
   weights until the estimate of the noise has collapsed. The solution comes from before that.
4. From a first noise precision that is much too high for the data there is no time before that: noise is taken for
   structure at once. An evidence far below that of a linear network shows it. Then the fit restarts from the same
   weights, with less precision. What else may go wrong shows at the end: see `fallback`.

Several outputs have a noise precision each. Their targets are brought to scales on which these are equal, so the
formulas need one beta; the scales are part of what is found.
"""

import math
from collections.abc import Sequence

import numpy as np

from .._data.blocks import BlockRows
from .._data.rows import Rows
from .._network.losses import RobustObjective
from .._network.objective import NetworkObjective, Problem
from .._network.penalty import Groups, Precisions, penalty_of
from .._network.subsample import is_quicker
from .._network.topology import Network, layer_matrices
from .._optimize.levenberg_marquardt import advance
from .._optimize.linearization import Curvature, Linearization
from .._optimize.objective import Objective
from .._optimize.state import DataChangedError, OptimizerSettings, OptimizerState
from .._optimize.termination import Ending, check_limits
from .evidence_formulas import MAX_BETA, MAX_LINEAR_BETA, MIN_FREEDOM, log_evidence, near, updated
from .history import Monitor
from .linear_baseline import fit_linear
from .snapshot import FIRST, BestEvidence, EvidenceState, Start

# Iterations between two evaluations, and before a state may be kept. Evaluations without a larger evidence that end a
# fit.
EVERY, SETTLED, PATIENCE = 3, 8, 5
# A rise by less, in nats or as nats a row, is none, unless the network is linear: its maximum is reached to all digits.
# With 10^5 rows, rises of a nat reduced the error by a thousandth in 100 iterations.
MIN_RISE, MIN_RISE_A_ROW = 0.1, 1e-5
# Relative differences of the evidence below this are its rounding errors.
RESOLUTION = 1e-13
# Precisions that an update changes by less than this fraction have arrived.
ARRIVED = 1e-10
# Endings of the iteration that say no more than: a minimum, for these precisions.
AT_MINIMUM = (Ending.GRADIENT, Ending.REDUCTION, Ending.PRECISION, Ending.DAMPING)
# A run restarts if its evidence is below that of a linear network by more than so many nats a row: where that is the
# truth, good ones come out a little below, too. It restarts so often, each time with so much less precision.
SHORTFALL, MAX_RESTARTS, LESS = 0.1, 3, 0.2


class EvidenceSearch:
    """Updates of the penalty between the pauses of one start run.

    Parameters
    ----------
    start : Start
        With precisions.
    problem : Problem
        Its penalty is not used.
    groups : Groups
        Groups of the penalty.
    monitor : Monitor
        The monitor of the run.

    Attributes
    ----------
    state : EvidenceState
    problem : Problem
        With the penalty and the targets as they are now.
    best_problem : Problem
        The same for the solution: of the largest evidence, or as they are now if there is none yet.
    best_point : Linearization or None
        At the theta of the largest evidence.
    """

    def __init__(self, start: Start, problem: Problem, groups: Groups, monitor: Monitor):
        """Begin at the precisions of the start."""
        assert start.precisions is not None
        self._theta, self._first_precisions, self.groups, self.monitor = start.theta, start.precisions, groups, monitor
        self.problem = self._first = problem._replace(penalty=penalty_of(start.precisions, groups))
        may_restart = start.family == "varied" and problem.network.is_nonlinear
        self.state = EvidenceState(
            start.precisions, n_restarts=0 if may_restart else MAX_RESTARTS, pause=start.first_update
        )
        is_determined = len(problem.network.sizes) == 2 and len(problem.rows["train"].Y) > problem.network.sizes[0] + 1
        self._unit = math.sqrt(MAX_BETA / MAX_LINEAR_BETA) if is_determined else 1.0
        self._min_evidence: float | None = None  # less is a failure
        self._best_problem: Problem | None = None
        self.best_point: Linearization | None = None
        # As in `BestEvidence`, and the iteration that it belongs to.
        self._history, self._history_at = [start.precisions], -1
        monitor.columns = {"log_evidence": math.nan, "n_effective_parameters": math.nan}

    @property
    def best_problem(self) -> Problem:
        return self._best_problem or self.problem

    @property
    def precisions(self) -> Precisions:
        """The precisions of the solution."""
        return self.state.precisions if self.state.best is None else self.state.best.precisions

    @property
    def log_evidence(self) -> float:
        return math.nan if self.state.best is None else self.state.best.log_evidence

    def as_start(self, family: str, theta: np.ndarray) -> Start:
        """Return the solution, or `theta` if there is none, as a start for other rows with targets as they came."""
        best = self.state.best
        rescalings = self.state.rescalings if best is None else best.rescalings
        theta = (theta if best is None else best.theta).copy()
        layer_matrices(self.problem.network, theta)[-1][:] /= np.prod(rescalings, axis=0, initial=1.0)[..., None]
        return Start(family, theta, self.precisions)

    def restore(self, state: EvidenceState) -> None:
        """Go on from `state`, to the same bits."""
        if state.precisions.alpha.shape != self.groups.size.shape:
            raise DataChangedError
        problem = _rescaled(self._first, state.rescalings)
        self.state, self.problem = state, problem._replace(penalty=penalty_of(state.precisions, self.groups))
        self._show(self.problem)
        if state.best is not None:
            self._restore_best(state.best)

    def _restore_best(self, best: BestEvidence) -> None:
        """Linearize at the theta of the largest evidence, and move that through all of its precisions."""
        first, *moved = best.hyperparameter_history
        problem = _rescaled(self._first, best.rescalings)._replace(penalty=penalty_of(first, self.groups))
        with np.errstate(over="ignore", invalid="ignore"):  # as in `advance`
            point = _linearize_with_matrix(problem, first.beta, best.theta)
        for precisions in moved:
            penalty = penalty_of(precisions, self.groups)
            point = point.with_penalty(best.theta, problem.penalty.penalty_diag, penalty.penalty_diag)
            problem = problem._replace(penalty=penalty)
        self._best_problem, self.best_point = problem, point

    def maximise(self, objective: Objective, state: OptimizerState, settings: OptimizerSettings) -> Ending:
        """Iterate to the end, with an update at every pause."""
        # A linear network may need no iteration between two updates: their number is limited too.
        while self.state.n_evaluations < settings.max_iter:
            ending = advance(objective, state, settings, self.monitor, self.state.pause, self.monitor.on_reject)
            point = state.point
            if not point.is_direct:
                point = _linearize_with_matrix(self.problem, self.state.precisions.beta, state.theta)
            curvature = point.curvature(self.problem.penalty.penalty_diag)
            if state.iteration != self._history_at or point is not state.point:
                self._history, self._history_at = [self.state.precisions], state.iteration
            is_settled = state.iteration >= self.state.restart_iteration + SETTLED or ending is not None
            if is_settled and self._has_known_noise():
                self._keep_better(objective, state, point, curvature)
            is_stuck = ending is Ending.DAMPING
            if ending in AT_MINIMUM:  # no end, unless iterations or time are used up
                ending = check_limits(state, settings)
            if ending is not None:
                return ending
            if self.state.n_unimproved >= PATIENCE or not self._update(objective, state, curvature):
                if self.state.n_restarts >= MAX_RESTARTS or not self._has_failed():
                    break
                self._restart(objective, state)
                is_stuck = True
            if is_stuck:
                state.damping = state.damping_scale.first_damping(settings.mu)
            is_restarted = state.iteration == self.state.restart_iteration
            self.state = self.state._replace(
                pause=state.iteration + (FIRST if is_restarted else EVERY), n_evaluations=self.state.n_evaluations + 1
            )
        return Ending.EVIDENCE

    def _has_known_noise(self) -> bool:
        """Return whether the noise precision is the known one, or none is known."""
        known = self._known_betas()
        return known is None or bool(np.allclose(known, self.state.precisions.beta, rtol=ARRIVED, atol=0))

    def _known_betas(self) -> np.ndarray | None:
        """Return the known noise precision of each output, but at most the largest that is used."""
        known, unit = self.problem.known_beta, np.prod(self.state.rescalings, axis=0)
        return None if known is None else np.minimum(known, MAX_BETA / np.square(unit))

    def _keep_better(
        self, objective: Objective, state: OptimizerState, point: Linearization, curvature: Curvature
    ) -> None:
        """Keep the solution if no evidence was larger, and count evaluations since the last rise."""
        problem, known = self.problem, self.state
        n = problem.rows["train"].weight * problem.network.sizes[-1]
        cost = objective.evidence_cost(state.theta, state.point, known.precisions.beta)
        evidence = log_evidence(cost, known.precisions, problem.penalty.penalty_diag, curvature.log_det, n)
        self.monitor.columns = {"log_evidence": evidence, "n_effective_parameters": float(curvature.gamma.sum())}
        rounding = RESOLUTION * abs(evidence) if math.isfinite(evidence) else 0.0
        largest = -math.inf if known.best is None else known.best.log_evidence
        # Fewer rows than columns: a linear network reproduces them, and its evidence has no maximum.
        is_saturated = not problem.network.is_nonlinear and curvature.gamma.sum() > (1 - MIN_FREEDOM) * n
        if is_saturated and known.best is not None:
            evidence = -math.inf
        if known.best is None or evidence >= largest - rounding:
            best = BestEvidence(
                max(evidence, largest), state.iteration, state.theta, curvature.gamma, self._history, known.rescalings
            )
            self.state, self._best_problem, self.best_point = known._replace(best=best), problem, point
        min_rise = max(MIN_RISE, MIN_RISE_A_ROW * n) if problem.network.is_nonlinear else rounding
        if evidence > known.reference + min_rise:
            self.state = self.state._replace(reference=evidence, n_unimproved=0)
        else:
            self.state = self.state._replace(n_unimproved=known.n_unimproved + 1)

    def _update(self, objective: Objective, state: OptimizerState, curvature: Curvature) -> bool:
        """Update the precisions, and with them F; False if they have arrived, or the curvature is not finite."""
        if not math.isfinite(curvature.log_det):
            return False
        old, point = self.state.precisions, state.point
        alpha, betas = updated(
            old, self.groups, curvature.gamma, state.theta, objective.noise_squares(state.theta, point, old.beta),
            _gamma_of_outputs(self.problem.network, curvature.gamma), self.problem.rows["train"].weight,
            np.prod(self.state.rescalings, axis=0) * self._unit,
        )  # fmt: skip
        if (known := self._known_betas()) is not None:  # approached as the others are: the first one is no trap
            betas = near(known, np.full(len(betas), old.beta))
        # Targets times sqrt(beta_o / beta) have the precision beta, the geometric mean: the evidence stays the same.
        beta = float(np.exp(np.log(betas).mean()))
        factor = np.sqrt(betas / beta)
        precisions = Precisions(alpha, beta)
        change = np.max(np.abs(np.log(np.concatenate([alpha / old.alpha, betas / old.beta]))))
        penalty = penalty_of(precisions, self.groups)
        problem, theta, rescalings = self.problem._replace(penalty=penalty), state.theta, self.state.rescalings
        if len(betas) == 1 and objective.loss_scale is None:  # F changes by its penalty alone
            known_point = point.with_penalty(theta, self.problem.penalty.penalty_diag, penalty.penalty_diag)
            history = [*self._history, precisions]
        else:
            known_point, history = None, [precisions]
        if len(betas) > 1:
            theta, rescalings, problem = theta.copy(), [*rescalings, factor], problem.rescaled(factor)
            layer_matrices(problem.network, theta)[-1][:] *= factor[:, None]
        self._move(objective, state, problem, beta, theta, known_point)
        self._history = history
        self.state = self.state._replace(precisions=precisions, rescalings=rescalings)
        return bool(change > ARRIVED)

    def _has_failed(self) -> bool:
        """Return whether the evidence of a linear network is larger by far."""
        if self._min_evidence is None:
            rows, linear = self._first.rows["train"], fit_linear(self._first, self.groups.kind).log_evidence
            self._min_evidence = linear - SHORTFALL * rows.weight * rows.Y.shape[1]
        return self.state.best is None or self.state.best.log_evidence < self._min_evidence

    def _restart(self, objective: Objective, state: OptimizerState) -> None:
        """Go back to the weights and scales of the start, with less precision of the noise."""
        n_restarts, first = self.state.n_restarts + 1, self._first_precisions
        precisions = first._replace(beta=first.beta * LESS**n_restarts)
        problem = self._first._replace(penalty=penalty_of(precisions, self.groups))
        self._move(objective, state, problem, precisions.beta, self._theta)
        self._history = [precisions]
        self.state = EvidenceState(
            precisions, restart_iteration=state.iteration, n_restarts=n_restarts,
            n_evaluations=self.state.n_evaluations, best=self.state.best,
        )  # fmt: skip

    def _move(
        self,
        objective: Objective,
        state: OptimizerState,
        problem: Problem,
        beta: float,
        theta: np.ndarray,
        point: Linearization | None = None,
    ) -> None:
        """Change the penalty, the targets or the loss scale, and theta; `point` is the linearization, if it is known.

        If it has to be computed, and is lost with the workers, the search stays as it was.
        """
        self._adjust(objective, problem, beta)
        point = objective.linearize(theta) if point is None else point
        state.replace(theta, point, objective.loss_scale)
        self.problem = problem

    def prepare(self, objective: Objective) -> None:
        """Give the objective the penalty, the targets and the loss scale as they are now."""
        self._adjust(objective, self.problem, self.state.precisions.beta)

    def _adjust(self, objective: Objective, problem: Problem, beta: float) -> None:
        """Give objective and monitor the penalty and the targets of `problem`, and the loss scale of `beta`."""
        assert isinstance(objective, NetworkObjective | RobustObjective)
        objective.change_to(problem.rows["train"], problem.penalty, beta)
        self._show(problem)

    def _show(self, problem: Problem) -> None:
        self.monitor.train_error, self.monitor.held_out_errors = problem.train_error, problem.held_out_errors()


def solver_between(solver: str, network: Network, rows: Rows | BlockRows) -> str:
    """Return how steps are found if every third point has its Gram matrix of all `rows`.

    A linear network needs hardly a step between two such points.
    """
    n_rows, n_outputs = rows.Y.shape
    is_sampled = network.is_nonlinear and is_quicker(n_rows, n_outputs, network.n_parameters, is_between=True)
    return solver if is_sampled else "cholesky"


def draw_evidence_start(network: Network, groups: Groups, rng: np.random.RandomState) -> Start:
    """Draw weights N(0, 1 / n_in), those of the hidden layers and their biases on a scale between 0.5 and 1.7.

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
    return Start("varied", theta, Precisions(groups.sums(alpha) / groups.size, beta))


def _linearize_with_matrix(problem: Problem, beta: float, theta: np.ndarray) -> Linearization:
    """Return the linearization with the Gram matrix of all rows, which the evidence needs."""
    objective = problem.objective(with_matrix=True)
    objective.change_to(problem.rows["train"], problem.penalty, beta)
    return objective.linearize(theta)


def _rescaled(problem: Problem, rescalings: Sequence[np.ndarray]) -> Problem:
    for factor in rescalings:
        problem = problem.rescaled(factor)
    return problem


def _gamma_of_outputs(network: Network, gamma: np.ndarray) -> np.ndarray:
    """Return the parameters used up by each output: its own row, and an equal part of the hidden layers."""
    own = layer_matrices(network, gamma)[-1].sum(axis=1)
    return own + (gamma.sum() - own.sum()) / len(own)
