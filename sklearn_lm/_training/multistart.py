"""Several starts in a race: all get a few iterations, the better part goes on, the best few run to the end.

Successive halving (Jamieson & Talwalkar, AISTATS 2016) over starts from a mix of families. On many rows the rounds
are run on a sample of them, and only those who are left see all rows.
"""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs

from .._kernels import interrupt
from .._optimize.levenberg_marquardt import advance
from .._optimize.objective import Objective
from .._optimize.state import DataChangedError, OptimizerSettings, OptimizerSnapshot, OptimizerState
from .._optimize.termination import Ending, is_late
from . import history
from .history import Monitor


class Rung(NamedTuple):
    """How far a start gets before it is judged, and who goes on."""

    n_iter: int
    share: float
    at_least: int


RUNGS = (Rung(12, 0.3, 3), Rung(40, 0.08, 3), Rung(90, 0.05, 2))
# Multiply-adds of a race's first round, and in the same unit what the bookkeeping of one iteration comes to, and a
# hidden unit for one row (its activation, forward and backward passes).
BUDGET, OVERHEAD, UNIT = 7.5e8, 1e6, 60
MAX_STARTS = 40
# Relative difference of errors up to which two starts count as equally good.
SAME = 1e-6
# From this number of distinct rows on the rounds are run on a sample of so many.
SAMPLE_ROWS = 3000


class RunFactory(NamedTuple):
    """What a race is run on: a maker of objectives and a maker of monitors, both called once per start or thread."""

    objective: Callable[[], Objective]
    monitor: Callable[[], Monitor]
    negligible: float  # errors below this are rounding errors


class Memory(NamedTuple):
    """What a `StartRun` must remember to go on."""

    number: int
    family: str
    theta: np.ndarray
    errors: dict[int, float]
    fate: str
    ending: Ending | None
    standing: OptimizerSnapshot | None
    monitor: history.Memory


class StartRun:
    """One start on its way."""

    def __init__(self, number: int, family: str, theta: np.ndarray, monitor: Monitor):
        self.number, self.family, self.theta, self.monitor = number, family, theta, monitor
        self.state: OptimizerState | None = None
        self.ending: Ending | None = None
        self.failure: ValueError | None = None
        self.errors: dict[int, float] = {}  # at the end of each round
        self.fate = ""
        self.origin: Any = None  # the memory that it goes on from
        self._standing: OptimizerSnapshot | None = None

    @property
    def error(self) -> float:
        return self.monitor.best()[0] if self.monitor.last else math.inf

    @property
    def scale(self) -> float | None:
        """Of a robust loss."""
        known = self._standing if self.state is None else self.state
        return known.scale if known is not None else None

    @property
    def has_begun(self) -> bool:
        return self.state is not None or self._standing is not None

    def best(self) -> tuple[float, int, np.ndarray]:
        """What to set_fitted_attributes: error to compare by, iteration, theta."""
        return self.monitor.best()

    def candidate(self) -> tuple[Any, np.ndarray]:
        """What would be published now: the problem, if it is not that of the course any more, and theta."""
        return None, self.best()[2]

    @property
    def iteration(self) -> int:
        return self.monitor.last[1] if self.monitor.last else 0

    def run(self, objective: Objective, settings: OptimizerSettings, start_time: float, pause_at: int | None) -> None:
        """Iterate to `pause_at` (None: to the end). A start that overflows is lost, and no reason to stop a race."""
        if self.ending is not None or self.fate or (pause_at is not None and self.iteration >= pause_at):
            return
        if self.state is None:
            try:
                self._begin(objective, settings, start_time)
            except ValueError as failure:
                self.failure, self.fate = failure, "not finite"
                return
        assert self.state is not None
        self.ending = advance(objective, self.state, settings, self.monitor, pause_at, self.monitor.on_reject)

    def _begin(self, objective: Objective, settings: OptimizerSettings, start_time: float) -> None:
        self.state = OptimizerState(objective, self.theta, settings, start_time, self._standing)

    def judge(self, number: int) -> float:
        """Error at the end of round `number`, the same however often it is asked."""
        return self.errors.setdefault(number, self.error)

    def memory(self) -> Any:
        """What it must remember to go on: a `Memory`, or what a descendant makes of it."""
        standing = self._standing if self.state is None else self.state.snapshot()
        return Memory(
            self.number, self.family, self.theta, dict(self.errors), self.fate, self.ending, standing,
            self.monitor.memory(),
        )  # fmt: skip

    @classmethod
    def recall(cls, memory: Memory, monitor: Monitor, settings: OptimizerSettings) -> "StartRun":
        """A runner that goes on from there, further than `settings` let it go before."""
        runner = cls(memory.number, memory.family, memory.theta, monitor)
        runner.origin = memory
        standing = memory.standing
        if standing is None:  # lost before its first iteration, or never begun
            return runner
        if not monitor.recall(memory.monitor):
            raise DataChangedError
        n_rounds = sum(round_.n_iter <= standing.iteration for round_ in RUNGS)  # that it ran to their end
        runner.errors = {number: error for number, error in memory.errors.items() if number <= n_rounds}
        runner._standing = standing
        # Where the damping has grown to its end, or F has no digits left, another search would find nothing. All other
        # reasons to end are asked again.
        has_no_step = memory.ending is Ending.DAMPING and standing.damping.mu > settings.mu_max * standing.unit
        if has_no_step or memory.ending is Ending.PRECISION:
            runner.ending = memory.ending
        return runner


class StartListener:
    """Listener to the starts; this one does nothing."""

    def begin(self, n_starts: int) -> None:
        """Called once, before the first start runs."""

    def lost(self, runner: StartRun) -> None:
        """It has left the race."""

    def final(self, runner: StartRun) -> None:
        """It will now run to the end; its monitor takes watchers."""

    def end(self, winner: StartRun) -> None:
        """The race is over, and the winner is published."""


class Hooks(NamedTuple):
    """What the caller of a fit has to do with it while it lasts."""

    start_time: float
    listener: StartListener = StartListener()
    # Called after every iteration of any start with what is needed to go on from there.
    save: "Callable[[MultistartSnapshot], None] | None" = None
    stop: threading.Event | None = None  # ends the fit, from another thread


class Multistart:
    """Several starts against each other.

    Parameters
    ----------
    starts : sequence of (family, theta)
    course : RunFactory
    settings : OptimizerSettings
    hooks : Hooks
    n_jobs : int, optional
        Threads, as in joblib.
    screening : RunFactory, optional
        Where the rounds are run, if not on `course`.
    memory : MultistartSnapshot, optional
        Where an earlier race stood. The race goes on from there, unless the data are other ones: then it begins with
        `starts`.

    Attributes
    ----------
    runners : list of StartRun
        All, in the order of their numbers; their `fate` tells what became of each.
    """

    def __init__(
        self,
        starts: Sequence[tuple[str, np.ndarray]],
        course: RunFactory,
        settings: OptimizerSettings,
        hooks: Hooks,
        n_jobs: int | None = None,
        screening: RunFactory | None = None,
        memory: "MultistartSnapshot | None" = None,
    ):
        self.course, self.settings, self.start_time, self.n_jobs = course, settings, hooks.start_time, n_jobs
        self._starts, self._memory, self._audience = starts, memory, hooks.listener
        self.screening = screening
        self.runners: list[StartRun] = []
        self._screened: list[StartRun] = []  # those of the rounds: all, if these are run on the course itself
        self._survivors: dict[int, Memory] = {}
        self._is_over = hooks.stop or threading.Event()
        self._winner: StartRun | None = None
        self._all: list[StartRun] = []
        self._max_iter_before = 0  # of the races that this one goes on from
        self._save, self._snapshots, self._saving = hooks.save, dict[StartRun, Memory](), threading.Lock()

    def run(self) -> StartRun:
        """The one with the least error among those that ran to the end; the first of them where several are equal.

        Raises
        ------
        ValueError
            If no start is finite.
        """
        try:
            if self._memory is not None:
                try:
                    return self._run_on(self._memory)
                except DataChangedError:  # then it begins anew
                    pass
            self._enter()
            return self._run()
        finally:  # else the race and its runners hold each other, and the rows, until the next garbage collection
            for runner in self._all:
                runner.monitor.rules.clear()
                runner.monitor.watchers.clear()

    def _run_on(self, memory: "MultistartSnapshot") -> StartRun:
        """Go on from where an earlier race stood, by as many iterations more."""
        settings = self.settings
        self.settings = settings._replace(max_iter=memory.max_iter + settings.max_iter)
        self._max_iter_before = memory.max_iter
        try:
            self._screened = [self._entered(self._recalled(runner)) for runner in memory.runners]
            self._survivors = memory.survivors
            return self._run()
        except DataChangedError:
            self.settings, self._max_iter_before = settings, 0
            raise

    def _recalled(self, memory: Any) -> StartRun:
        if not isinstance(memory, Memory):  # the penalty was found during the fit
            raise DataChangedError
        return StartRun.recall(memory, self._first.monitor(), self.settings)

    def _enter(self) -> None:
        """Runners for the starts."""
        first = self._first
        self._screened = [self._entered(StartRun(i, *start, first.monitor())) for i, start in enumerate(self._starts)]
        self._survivors = {}

    @property
    def _first(self) -> RunFactory:
        return self.course if self.screening is None else self.screening

    def _run(self) -> StartRun:
        self.runners = self._screened
        field = self._rounds()
        if self.screening is not None:
            self.runners = list(self._screened)
            field = [self._survivor(scout) for scout in field]
            for runner in field:
                self.runners[runner.number] = runner
        return self._to_the_end(field)

    def _to_the_end(self, field: Sequence[StartRun]) -> StartRun:
        """Who wins among those who are left."""
        for runner in field:
            self._audience.final(runner)
        self._run_all(field, self.course, self.settings, None)
        self._winner = winner = self._best(field)
        if winner.failure is not None:
            raise winner.failure
        for runner in field:
            runner.fate = runner.fate or ("won" if runner is winner else "ran to the end")
        return winner

    def end(self) -> None:
        """The winner is published."""
        assert self._winner is not None
        self._audience.end(self._winner)

    def leader(self) -> StartRun | None:
        """The best of those who have begun, for a race that was interrupted."""
        begun = [runner for runner in self.runners if runner.monitor.last]
        if not begun:
            return None
        leader = self._best(begun)
        leader.ending = Ending.INTERRUPTED
        for runner in self.runners:
            runner.fate = runner.fate or ("won" if runner is leader else "interrupted")
        return leader

    def memory(self) -> "MultistartSnapshot | None":
        """To go on from the end, by more iterations."""
        return self._memory_of(StartRun.memory)._replace(max_iter=self.settings.max_iter)

    def _memory_of(self, remember: Callable[[StartRun], Memory]) -> "MultistartSnapshot":
        survivors = {runner.number: remember(runner) for runner in self.runners if runner not in self._screened}
        return MultistartSnapshot(self._max_iter_before, [remember(runner) for runner in self._screened], survivors)

    def _rounds(self) -> list[StartRun]:
        """Run the rounds; who is left."""
        course = self._first
        # In the rounds the second-order correction costs a fifth of the time and finds no better minima (measured on
        # the suite of asv_benchmarks); those who run to the end have it.
        settings = self.settings._replace(acceleration=False)
        field = self.runners
        for number, (n_iter, share, at_least) in enumerate(RUNGS, start=1):
            n_kept = max(at_least, math.ceil(share * len(self.runners)))
            if n_kept < len(field):
                self._run_all(field, course, settings, n_iter)
                errors = {runner: max(runner.judge(number), course.negligible) for runner in field}
                field = sorted(field, key=errors.__getitem__)  # stable
                for loser in field[n_kept:]:
                    loser.fate = loser.fate or f"left after round {number}"
                    self._audience.lost(loser)
                field = field[:n_kept]
        return field

    def _survivor(self, scout: StartRun) -> StartRun:
        """The scout's double on the course itself."""
        theta = scout.monitor.last[2] if scout.monitor.last else scout.theta
        known = self._survivors.get(scout.number)
        if known is not None and np.array_equal(known.theta, theta):
            return self._entered(StartRun.recall(known, self.course.monitor(), self.settings))
        return self._entered(StartRun(scout.number, scout.family, theta, self.course.monitor()))

    def _best(self, field: Sequence[StartRun]) -> StartRun:
        # Starts that found the same minimum, or zero, differ by rounding errors: those must not choose between them.
        least = max(min(runner.error for runner in field), self.course.negligible) * (1 + SAME)
        return min(field, key=lambda runner: (max(runner.error, least), runner.number))

    def _run_all(
        self, field: Sequence[StartRun], course: RunFactory, settings: OptimizerSettings, pause_at: int | None
    ) -> None:

        def run(i: int, runner: StartRun, objective: Objective) -> None:
            # A start that is made late costs an evaluation of F and moves nowhere; but there must be one.
            if i > 0 and not runner.has_begun and is_late(settings, self.start_time):
                runner.fate = "no time left"
            if not self._is_over.is_set():
                runner.run(objective, settings, self.start_time, pause_at)

        n_threads = min(effective_n_jobs(self.n_jobs), len(field))
        if n_threads == 1:
            objective = course.objective()
            for i, runner in enumerate(field):
                run(i, runner, objective)
            return
        # Threads: the kernels hold no lock, and the runners are changed in place. Each run has an objective of its own,
        # for an objective holds room that two runs must not share.
        with ThreadPoolExecutor(n_threads, initializer=interrupt.obey, initargs=(self._is_over,)) as pool:
            runs = [pool.submit(run, i, runner, course.objective()) for i, runner in enumerate(field)]
            try:
                for future in runs:
                    future.result()
            except BaseException:  # of a run, or Ctrl-C: the others end with their call of a kernel
                self._is_over.set()
                raise

    def _entered(self, runner: StartRun) -> StartRun:
        """The same runner, whose run ends when the race is over, and is saved if that is asked for."""
        self._all.append(runner)
        runner.monitor.rules.append(lambda record, row: Ending.INTERRUPTED if self._is_over.is_set() else None)
        if self._save is not None:
            # Of one that has told of no iteration yet: as it enters, or what it goes on from.
            self._snapshots[runner] = runner.memory() if runner.origin is None else runner.origin
            runner.monitor.watchers.append(lambda record, row: self._save_with(runner))
        return runner

    def _save_with(self, runner: StartRun) -> None:
        """Called in the runner's own thread, where its state is whole; of the others the last such state is known."""
        assert self._save is not None
        memory = runner.memory()
        with self._saving:
            self._snapshots[runner] = memory
            self._save(self._memory_of(self._snapshots.__getitem__))


class MultistartSnapshot(NamedTuple):
    """Where a race stood: a race that goes on from it and is given more iterations ends as one that had them at once.

    That is so because the rounds are judged by errors that are remembered, and because nobody is dropped for good: who
    ended only for want of iterations runs on, and all judgements are made again.
    """

    max_iter: int
    runners: list[Memory]  # of the rounds
    survivors: dict[int, Memory]  # by number, where the rounds are run on a sample

    def leading(self) -> np.ndarray:
        """theta of the start with the least error so far."""
        last = [runner.monitor.last for runner in (*self.survivors.values(), *self.runners) if runner.monitor.last]
        return min(last, key=lambda record: record[0])[2]


def affordable_starts(n_residuals: float, n_parameters: int, n_hidden: int) -> int:
    """As many starts as a small budget of arithmetic allows, 1 for large problems.

    Counted and not timed, so that the result is the same on every machine. `n_residuals` is a sum of weights.
    """
    iteration = n_residuals * (n_parameters**2 / 2 + UNIT * n_hidden) + OVERHEAD
    return int(min(MAX_STARTS, max(1.0, BUDGET / (iteration * RUNGS[0].n_iter))))


def summary(runners: Sequence[StartRun]) -> dict[str, np.ndarray]:
    """Family, error, iterations and fate of each start."""

    def last_error(runner: StartRun) -> float:
        return runner.monitor.rows[-1]["train_mse"] if runner.monitor.rows else math.inf

    return {
        "family": np.array([runner.family for runner in runners]),
        "train_mse": np.array([last_error(runner) for runner in runners]),
        "n_iter": np.array([runner.iteration for runner in runners]),
        "fate": np.array([runner.fate for runner in runners]),
    }
