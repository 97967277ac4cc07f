"""Entry of the training: a problem and settings in, a multistart that is ready to run out. It knows no estimator."""

from functools import partial
from typing import NamedTuple

import numpy as np

from .._data.rows import RowSet
from .._network.objective import NetworkObjective, Problem, is_matrix_free
from .._network.penalty import make_groups
from .._optimize.state import OptimizerSettings
from .checkpoint import ResumePoint
from .draw_starts import affordable, draw_starts, screening_rows
from .evidence import EvidenceMultistart, draw_evidence_start, solver_between
from .history import EarlyStopping, Goal, Listener, Monitor, Progress
from .multistart import Hooks, Multistart, RunFactory

# With n_starts="auto", for penalties that are found by the fit.
MAX_EVIDENCE_STARTS = 5


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
    resume_point: ResumePoint | None,
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
    resume_point : ResumePoint or None
        What an earlier fit is continued from.
    rng : RandomState
        Draws the starts.
    hooks : Hooks

    Raises
    ------
    ValueError
        If the evidence is asked for where there is no Gram matrix.
    """
    # A linear network is one least-squares problem: solving a part of it first would leave nothing to iterate.
    optimizer = settings.optimizer._replace(solve_output=settings.optimizer.solve_output and problem.projects)
    settings = settings._replace(optimizer=optimizer)
    make = _make_evidence_multistart if settings.by_evidence else _make_plain_multistart
    return make(problem, train, settings, resume_point, rng, hooks)


def _make_plain_multistart(
    problem: Problem,
    train: RowSet,
    settings: TrainingSettings,
    resume_point: ResumePoint | None,
    rng: np.random.RandomState,
    hooks: Hooks,
) -> Multistart:
    """Return start runs that minimise F with the penalty as it is."""
    if resume_point:
        starts, n_starts = [("warm_start", resume_point.theta)], resume_point.n_starts
        sample = screening_rows(problem, train, n_starts)
    else:
        starts, sample = draw_starts(problem, train, settings.n_starts, settings.init, rng)
        n_starts = len(starts)
    screening = None
    if sample:  # rows in memory, wherever all of them are
        kind = NetworkObjective if train.is_distributed else problem.kind
        screening = _run_factory(problem._replace(rows={"train": sample}, kind=kind), settings, False)
    hooks.listener.begin(n_starts)
    return Multistart(
        starts, _run_factory(problem, settings, n_starts == 1), settings.optimizer, hooks, settings.n_jobs, screening,
        resume_point and resume_point.race,
    )  # fmt: skip


def _make_evidence_multistart(
    problem: Problem,
    train: RowSet,
    settings: TrainingSettings,
    resume_point: ResumePoint | None,
    rng: np.random.RandomState,
    hooks: Hooks,
) -> Multistart:
    """Return start runs that find their penalty by the evidence."""
    if is_matrix_free(problem.solver, problem.network, problem.rows["train"].Y.size):
        raise ValueError(
            f"alpha='evidence' needs the Gram matrix, which solver={problem.solver!r} does not make for "
            f"{problem.network.n_parameters} parameters. Fit fewer units, set alpha to a number, or solver='cholesky'."
        )
    solver = solver_between(problem.solver, problem.network, problem.rows["train"])
    problem, groups = problem._replace(solver=solver), make_groups(problem.network, settings.penalty_groups)
    n_starts = settings.n_starts
    if n_starts == "auto":
        n_starts = min(MAX_EVIDENCE_STARTS, affordable(problem.network, train))
    assert isinstance(n_starts, int)
    starts = [draw_evidence_start(problem.network, groups, rng) for _ in range(n_starts)]
    memory = None
    if resume_point:  # the start is used only if the fit cannot be continued exactly
        starts = [starts[0].resumed(resume_point.theta, resume_point.precisions)]
        memory = resume_point.race
    n_starts = len(memory.runners) if memory else len(starts)
    hooks.listener.begin(n_starts)
    return EvidenceMultistart(
        starts, _run_factory(problem, settings, n_starts == 1), settings.optimizer, hooks, settings.n_jobs, problem,
        groups, memory, settings.warm_start,
    )  # fmt: skip


def _run_factory(problem: Problem, settings: TrainingSettings, is_alone: bool) -> RunFactory:
    return RunFactory(problem.objective, partial(_make_monitor, problem, settings, is_alone), problem.negligible())


def _make_monitor(problem: Problem, settings: TrainingSettings, is_alone: bool) -> Monitor:
    """Return the monitor of one start run: errors of all sets, stopping rules, progress."""
    # An error of zero ends a fit by its gradient; one that only underflows must not end it by its goal.
    rules: list[Listener] = [Goal(settings.goal)] if settings.goal > 0 else []
    stopping = EarlyStopping(settings.n_iter_no_change) if "validation" in problem.rows else None
    progress = Progress(is_live=is_alone, tells_rejected=settings.verbose > 1) if settings.verbose else None
    return Monitor(problem.train_error, problem.held_out_errors(), rules, stopping, progress)
