"""Several starts in a race: all get a few iterations, the better part goes on, the best few run to the end.

Successive halving (Jamieson & Talwalkar, AISTATS 2016) over starts from a mix of families. On many rows the rounds
are run on a sample of them, and only those who are left see all rows.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from ._monitor import Monitor
from ._optimizer import Ending, Objective, Settings, State, advance, is_late


class Round(NamedTuple):
    """How far a start gets before it is judged, and who goes on."""

    n_iter: int
    share: float
    at_least: int


ROUNDS = (Round(12, 0.3, 3), Round(40, 0.08, 3), Round(90, 0.05, 2))
# Multiply-adds of a race's first round, and in the same unit what the bookkeeping of one iteration comes to, and a
# hidden unit for one row (its activation, forward and backward passes).
BUDGET, OVERHEAD, UNIT = 7.5e8, 1e6, 60
MOST_STARTS = 40
# Relative difference of errors up to which two starts count as equally good.
SAME = 1e-6
# From this number of distinct rows on the rounds are run on a sample of so many.
SAMPLE_ROWS = 3000


class Course(NamedTuple):
    """What a race is run on: a maker of objectives and a maker of monitors, both called once per start or thread."""

    objective: Callable[[], Objective]
    monitor: Callable[[], Monitor]
    negligible: float  # errors below this are rounding errors


class Runner:
    """One start on its way."""

    def __init__(self, number: int, family: str, theta: np.ndarray, monitor: Monitor):
        self.number, self.family, self.theta, self.monitor = number, family, theta, monitor
        self.state: State | None = None
        self.ending: Ending | None = None
        self.failure: ValueError | None = None
        self.error = math.inf
        self.fate = ""

    def run(self, objective: Objective, settings: Settings, start_time: float, pause_at: int | None) -> None:
        """Iterate to `pause_at` (None: to the end). A start that overflows is lost, and no reason to stop a race."""
        if self.ending is not None or self.fate:
            return
        if self.state is None:
            try:
                self.state = State(objective, self.theta, settings, start_time)
            except ValueError as failure:
                self.failure, self.fate = failure, "not finite"
                return
        self.ending = advance(objective, self.state, settings, self.monitor, pause_at)
        self.error = self.monitor.best()[0]


def race(
    starts: Sequence[tuple[str, np.ndarray]],
    course: Course,
    settings: Settings,
    start_time: float,
    n_jobs: int | None = None,
    scouting: Course | None = None,
) -> tuple[Runner, list[Runner]]:
    """Run several starts against each other.

    Parameters
    ----------
    starts : sequence of (family, theta)
    course : Course
    settings : Settings
    start_time : float
    n_jobs : int, optional
        Threads, as in joblib.
    scouting : Course, optional
        Where the rounds are run, if not on `course`.

    Returns
    -------
    winner : Runner
        The one with the least error among those that ran to the end; the first of them where several are equal.
    runners : list of Runner
        All, in the order of `starts`; their `fate` tells what became of each.

    Raises
    ------
    ValueError
        If no start is finite.
    """
    first = course if scouting is None else scouting
    # In the rounds the second-order correction costs a fifth of the time and finds no better minima (measured on the
    # suite of asv_benchmarks); those who run to the end have it.
    in_rounds = settings._replace(acceleration=False)
    runners = [Runner(i, family, theta, first.monitor()) for i, (family, theta) in enumerate(starts)]
    field = runners
    for number, (n_iter, share, at_least) in enumerate(ROUNDS, start=1):
        n_kept = max(at_least, math.ceil(share * len(runners)))
        if n_kept < len(field):
            _run_all(field, first, in_rounds, start_time, n_iter, n_jobs)
            field = sorted(field, key=lambda runner: max(runner.error, first.negligible))  # stable
            for loser in field[n_kept:]:
                loser.fate = loser.fate or f"left after round {number}"
            field = field[:n_kept]
    if scouting is not None:
        field = [
            Runner(scout.number, scout.family, scout.state.theta if scout.state else scout.theta, course.monitor())
            for scout in field
        ]
        for runner in field:
            runners[runner.number] = runner
    _run_all(field, course, settings, start_time, None, n_jobs)
    # Starts that found the same minimum, or zero, differ by rounding errors: those must not choose between them.
    least = max(min(runner.error for runner in field), course.negligible) * (1 + SAME)
    winner = min(field, key=lambda runner: (max(runner.error, least), runner.number))
    if winner.failure is not None:
        raise winner.failure
    for runner in field:
        runner.fate = runner.fate or ("won" if runner is winner else "ran to the end")
    return winner, runners


def _run_all(
    field: Sequence[Runner],
    course: Course,
    settings: Settings,
    start_time: float,
    pause_at: int | None,
    n_jobs: int | None,
) -> None:

    def run(i: int, runner: Runner, objective: Objective) -> None:
        # A start that is made late costs an evaluation of F and moves nowhere; but there must be one.
        if i > 0 and runner.state is None and is_late(settings, start_time):
            runner.fate = "no time left"
        runner.run(objective, settings, start_time, pause_at)

    if n_jobs in (None, 1) or len(field) == 1:
        objective = course.objective()
        for i, runner in enumerate(field):
            run(i, runner, objective)
        return
    # Threads: the kernels hold no lock, and the runners are changed in place. Each run has an objective of its own,
    # for an objective holds room that two runs must not share.
    parallel = Parallel(n_jobs=n_jobs, require="sharedmem")
    parallel(delayed(run)(i, runner, course.objective()) for i, runner in enumerate(field))


def affordable_starts(n_residuals: float, n_parameters: int, n_hidden: int) -> int:
    """As many starts as a small budget of arithmetic allows, 1 for large problems.

    Counted and not timed, so that the result is the same on every machine. `n_residuals` is a sum of weights.
    """
    iteration = n_residuals * (n_parameters**2 / 2 + UNIT * n_hidden) + OVERHEAD
    return int(min(MOST_STARTS, max(1.0, BUDGET / (iteration * ROUNDS[0].n_iter))))


def summary(runners: Sequence[Runner]) -> dict[str, np.ndarray]:
    """Family, error, iterations and fate of each start."""

    def last_error(runner: Runner) -> float:
        return runner.monitor.rows[-1]["train_mse"] if runner.monitor.rows else math.inf

    return {
        "family": np.array([runner.family for runner in runners]),
        "train_mse": np.array([last_error(runner) for runner in runners]),
        "n_iter": np.array([runner.state.iteration if runner.state else 0 for runner in runners]),
        "fate": np.array([runner.fate for runner in runners]),
    }
