"""Entry of the training: a problem and settings in, a multistart that is ready to run out. It knows no estimator."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from .._data.blocks import RowSet
from .._network.objective import Problem, is_matrix_free
from .._network.penalty import Groups, make_groups
from .._optimize.state import OptimizerSettings
from .draw_starts import affordable, draw_starts, n_evidence_starts, screening_rows
from .evidence import EvidenceSearch, draw_evidence_start, solver_between
from .fallback import STRONG, EvidenceFallback, penalized_start
from .history import EarlyStopping, Goal, Listener, Monitor, Progress
from .multistart import SAMPLE_ROWS, Hooks, Multistart, RunFactory
from .snapshot import Snapshot, Start

# More parameters than this share of the residuals: the only start that can be afforded often fits noise at once, and a
# second one has a strong penalty.
MANY_PARAMETERS = 0.25


class TrainingSettings(NamedTuple):
    """Options of the training; the estimator's parameters of the same names document them."""

    optimizer: OptimizerSettings
    by_evidence: bool  # whether the penalty is found by the fit
    n_starts: int | str = "auto"
    init: str = "auto"
    penalty_groups: str = "input"
    n_jobs: int | None = None
    verbose: int = 0
    goal: float = 0.0
    n_iter_no_change: int = 10
    warm_start: bool = False


def make_multistart(
    problem: Problem,
    train: RowSet,
    settings: TrainingSettings,
    snapshot: Snapshot,
    rng: np.random.RandomState,
    hooks: Hooks,
) -> Multistart:
    """Return the start runs of one network.

    Parameters
    ----------
    problem : Problem
        Its penalty is that of the fit, and not used if the penalty is found by the evidence.
    train : RowSet
        The training rows of the problem, from which the screening rows are taken.
    settings : TrainingSettings
    snapshot : Snapshot
        What the fit is continued from; a new fit has none but the preparation of its data.
    rng : RandomState
        Draws the starts.
    hooks : Hooks

    Raises
    ------
    ValueError
        If the evidence is asked for where there is no Gram matrix.
    """
    groups, sample = None, None
    screened: RowSet = train
    is_new = not snapshot.runs and (snapshot.theta is None or snapshot.is_extra)
    n_starts = 0 if is_new else max(1, len(snapshot.runs))
    if settings.by_evidence:
        check_has_gram(problem)
        solver = solver_between(problem.solver, problem.network, problem.rows["train"])
        problem, groups = problem._replace(solver=solver), make_groups(problem.network, settings.penalty_groups)
        n_drawn = 1
        if is_new:
            n_drawn, is_screened = n_evidence_starts(problem.network, train, settings.n_starts)
            snapshot = snapshot._replace(is_screened=is_screened)
        if snapshot.is_screened:
            screened = train.distinct(SAMPLE_ROWS)
            sample = screened.rows(problem.y_scaling)
        starts = _evidence_starts(problem, train, settings, groups, snapshot, n_drawn, rng)
        if is_new:
            snapshot = snapshot._replace(seed=int(rng.randint(np.iinfo(np.int32).max)))
    elif is_new:
        starts, sample = draw_starts(problem, train, settings.n_starts, settings.init, rng)
        if snapshot.theta is not None:
            starts = [Start("grown", snapshot.theta), *starts]
    else:
        assert snapshot.theta is not None
        starts, sample = [Start("warm_start", snapshot.theta)], screening_rows(problem, train, n_starts)
    n_starts = n_starts or len(starts)
    # A linear network is one least-squares problem: solving a part of it first would leave nothing to iterate.
    optimizer = settings.optimizer._replace(solve_output=settings.optimizer.solve_output and problem.projects)
    if len(problem.network.sizes) == 2:
        # The gradient of small residuals is below any threshold long before they are orthogonal to the columns: the
        # steps refine the solution of the normal equations until it is that of an orthogonal factorisation.
        optimizer = optimizer._replace(min_grad=0.0)
    if settings.warm_start and hooks.save is None:
        hooks = hooks._replace(save=_discard)
    first, screening = problem, None
    if sample:  # rows in memory, even if all of them are not
        first = problem._replace(rows={"train": sample})
        screening = _run_factory(first, settings, groups, False)
        screening = screening._replace(max_survivors=affordable(problem.network, train))
    fallback = EvidenceFallback(first, screened, groups, snapshot.seed) if groups else None
    factory = _run_factory(problem, settings, groups, n_starts == 1)
    hooks.listener.begin(n_starts, may_grow=fallback is not None)
    return Multistart(starts, factory, optimizer, hooks, snapshot, settings.n_jobs, screening, fallback)


def check_has_gram(problem: Problem) -> None:
    """Raise a ValueError if the evidence has no Gram matrix to be computed from."""
    if is_matrix_free(problem.solver, problem.network, problem.rows["train"].Y.size):
        raise ValueError(
            f"alpha='evidence' needs the Gram matrix, which solver={problem.solver!r} does not make for "
            f"{problem.network.n_parameters} parameters. Fit fewer units, set alpha to a number, or solver='cholesky'."
        )


def _evidence_starts(
    problem: Problem,
    train: RowSet,
    settings: TrainingSettings,
    groups: Groups,
    snapshot: Snapshot,
    n_starts: int,
    rng: np.random.RandomState,
) -> list[Start]:
    """Return new starts, the one of a fit that cannot be continued exactly, or new ones and a known one."""
    starts = [draw_evidence_start(problem.network, groups, rng) for _ in range(n_starts)]
    if snapshot.theta is None:
        is_wide = problem.network.n_parameters > MANY_PARAMETERS * problem.rows["train"].Y.size
        if settings.n_starts == "auto" and n_starts == 1 and is_wide:
            starts.append(penalized_start(problem, train, groups, STRONG, rng))
        return starts
    precisions, first = snapshot.precisions, starts[0].precisions
    assert first is not None
    if precisions is None or precisions.alpha.shape != groups.size.shape:  # of no evidence fit, or of other groups
        precisions = first
    if not snapshot.is_extra:
        return [Start("warm_start", snapshot.theta, precisions)]
    # An input that fewer units could not use was switched off: more units must find it on.
    precisions = precisions._replace(alpha=np.minimum(precisions.alpha, first.alpha))
    return [Start("grown", snapshot.theta, precisions), *starts]


def _run_factory(problem: Problem, settings: TrainingSettings, groups: Groups | None, is_alone: bool) -> RunFactory:
    """Return the makers of the parts of a run; with groups its penalty is found by the evidence."""
    monitor = partial(_make_monitor, problem, settings, is_alone)
    if groups is None:
        return RunFactory(problem.objective, monitor, problem.negligible())
    return RunFactory(
        problem.objective,
        monitor,
        -math.inf,  # the error is minus the log evidence
        lambda start, monitor: EvidenceSearch(start, problem, groups, monitor),
    )


def _discard(snapshot: Snapshot) -> None:
    """Save nothing: the runs take their snapshots for a warm start."""


def _make_monitor(problem: Problem, settings: TrainingSettings, is_alone: bool) -> Monitor:
    """Return the monitor of one start run: errors of all sets, stopping rules, progress."""
    # An error of zero ends a fit by its gradient; one that only underflows must not end it by its goal.
    rules: list[Listener] = [Goal(settings.goal)] if settings.goal > 0 else []
    # The evidence is a better reason to stop than the error of a few rows: then a validation set is only watched.
    validates = "validation" in problem.rows and not settings.by_evidence
    stopping = EarlyStopping(settings.n_iter_no_change) if validates else None
    progress = Progress(is_live=is_alone, shows_rejected=settings.verbose > 1) if settings.verbose else None
    return Monitor(problem.train_error, problem.held_out_errors(), rules, stopping, progress)
