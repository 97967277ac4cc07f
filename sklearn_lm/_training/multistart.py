"""Several start runs: all get a few iterations, the better part goes on, the best few run to the end.

Successive halving (Jamieson & Talwalkar, AISTATS 2016) over starts from several families. If there are many rows, the
rungs are run on a subsample of them (screening), and only the survivors see all rows. Start runs that find their
penalty by the evidence all run to the end: their evidence at an early rung says little about the last one. If even the
best of them shows a sign of failure, starts of other kinds follow (`fallback`). If all that is too much for all rows,
it happens on the subsample, and the best goes on from there with all rows.
"""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
from joblib import effective_n_jobs

from .._kernels import interrupt
from .._network.objective import Problem
from .._optimize.levenberg_marquardt import advance
from .._optimize.objective import Objective
from .._optimize.state import DataChangedError, OptimizerSettings, OptimizerState
from .._optimize.termination import Ending, is_late
from .evidence import EvidenceSearch
from .history import Monitor
from .snapshot import EvidenceState, RunSnapshot, Snapshot, Start


class Rung(NamedTuple):
    """Iterations of a start run until it is compared, and how many go on."""

    n_iter: int
    share: float
    at_least: int


RUNGS = (Rung(12, 0.3, 3), Rung(40, 0.08, 3), Rung(90, 0.05, 2))
# Multiply-adds of the first rung, and in the same unit the bookkeeping of one iteration, and a hidden unit for one row
# (its activation, forward and backward passes).
BUDGET, OVERHEAD, UNIT = 7.5e8, 1e6, 60
MAX_STARTS = 40
# Relative difference of errors up to which two starts count as equally good.
SAME = 1e-6
# A run that has made so many is judged even if only `max_iter` ended it.
ENOUGH_ITERATIONS = 100
# From this number of distinct rows on the rungs are run on a subsample of so many.
SAMPLE_ROWS = 3000


class RunFactory(NamedTuple):
    """Makers of the parts of a start run; an objective is made once per run or thread, the rest once per run."""

    objective: Callable[[], Objective]
    monitor: Callable[[], Monitor]
    negligible: float  # errors below this are rounding errors
    evidence: Callable[[Start, Monitor], EvidenceSearch] | None = None  # None: F is minimised with a fixed penalty
    max_survivors: int = MAX_STARTS  # of the rungs


class StartRun:
    """One start run; with an `EvidenceSearch` the penalty is updated at its pauses."""

    def __init__(self, number: int, start: Start, factory: RunFactory):
        """Create a run that has not begun."""
        self.number, self.family, self.theta = number, start.family, start.theta
        self.monitor = factory.monitor()
        self.evidence = None if factory.evidence is None else factory.evidence(start, self.monitor)
        self.state: OptimizerState | None = None
        self.ending: Ending | None = None
        self.failure: ValueError | None = None
        self.status = ""
        self.snapshot = RunSnapshot(number, start, evidence=self._evidence_state())

    @classmethod
    def restore(cls, snapshot: RunSnapshot, factory: RunFactory) -> "StartRun":
        """Return a run that goes on from `snapshot`, to the same bits."""
        if (factory.evidence is None) != (snapshot.evidence is None):
            raise DataChangedError
        run = cls(snapshot.number, snapshot.start, factory)
        if snapshot.optimizer is not None:  # it was neither lost at its first evaluation nor still to begin
            if run.evidence is not None and snapshot.evidence is not None:
                run.evidence.restore(snapshot.evidence)
            if not run.monitor.restore(snapshot.rows, snapshot.optimizer.theta, snapshot.best_theta):
                raise DataChangedError
        run.snapshot = snapshot
        return run

    def take_snapshot(self) -> None:
        """Replace `snapshot`, at an iteration that was just reported."""
        assert self.state is not None
        stopping = self.monitor.stopping
        self.snapshot = self.snapshot._replace(
            optimizer=self.state.snapshot(),
            rows=list(self.monitor.rows),
            best_theta=None if stopping is None else stopping.best_theta,
            evidence=self._evidence_state(),
        )

    def _evidence_state(self) -> EvidenceState | None:
        return None if self.evidence is None else self.evidence.state

    @property
    def error(self) -> float:
        return self.best()[0] if self.monitor.last else math.inf

    @property
    def scale(self) -> float | None:
        """The scale of a robust loss."""
        known = self.snapshot.optimizer if self.state is None else self.state
        return known.scale if known is not None else None

    @property
    def has_begun(self) -> bool:
        return self.state is not None or self.snapshot.optimizer is not None

    @property
    def iteration(self) -> int:
        return self.monitor.last[1] if self.monitor.last else 0

    def best(self) -> tuple[float, int, np.ndarray]:
        """Return the error to compare runs by, iteration and theta of the solution so far."""
        if self.evidence is None:
            return self.monitor.best()
        best = self.evidence.state.best
        if best is None:  # the current point
            return math.inf, self.iteration, self.monitor.best()[2] if self.state is None else self.state.theta
        return -best.log_evidence, best.iteration, best.theta

    def solution(self) -> tuple[Problem | None, np.ndarray]:
        """Return the problem, None if it is still that of the factory, and theta of the solution so far."""
        return None if self.evidence is None else self.evidence.best_problem, self.best()[2]

    def run(self, objective: Objective, settings: OptimizerSettings, start_time: float, pause_at: int | None) -> None:
        """Iterate to `pause_at` (None: to the end). A start that overflows is lost, which ends no other run."""
        if self.ending is not None or self.status or (pause_at is not None and self.iteration >= pause_at):
            return
        if self.state is None:
            if self.evidence is not None:
                self.evidence.prepare(objective)
            try:
                self.state = OptimizerState(objective, self.theta, settings, start_time, self.snapshot.optimizer)
            except ValueError as failure:
                self.failure, self.status = failure, "not finite"
                return
        assert self.state is not None
        if self.evidence is not None:
            self.ending = self.evidence.maximise(objective, self.state, settings)
        else:
            self.ending = advance(objective, self.state, settings, self.monitor, pause_at, self.monitor.on_reject)


class StartListener:
    """Listener to the starts; this one does nothing."""

    def begin(self, n_starts: int, may_grow: bool) -> None:
        """Called once, before the first start runs; others may follow if `may_grow`."""

    def lost(self, run: StartRun) -> None:
        """Called when a run is dropped."""

    def final(self, run: StartRun) -> None:
        """Called before a run goes to the end; its monitor takes further listeners."""

    def end(self, winner: StartRun) -> None:
        """Called when the attributes of the winner are set."""


class Hooks(NamedTuple):
    """Connections of a fit with its caller while it runs."""

    start_time: float
    listener: StartListener = StartListener()
    save: Callable[[Snapshot], None] | None = None  # called after every iteration of any run
    stop: threading.Event | None = None  # ends the fit, from another thread


class Fallback(Protocol):
    """Starts for a fit that has failed (`fallback.EvidenceFallback`)."""

    def starts(self, winner: StartRun) -> list[Start]:
        """Return starts of other kinds, none if `winner` shows no sign of failure."""

    def replaces(self, run: StartRun, winner: StartRun) -> bool:
        """Return whether a run from a fallback start is better than the winner of the other starts."""

    def explains_less(self, run: StartRun) -> bool:
        """Return whether nearest neighbours predict left-out rows better than the run fits them."""


class Multistart:
    """Start runs against each other.

    Parameters
    ----------
    starts : sequence of Start
        For a new fit, or one that cannot be continued from `snapshot`.
    factory : RunFactory
    settings : OptimizerSettings
    hooks : Hooks
    snapshot : Snapshot
        What the fit is continued from, by `settings.max_iter` iterations more. If its runs cannot be continued, for
        the data have changed, `starts` are used.
    n_jobs : int, optional
        Threads, as in joblib.
    screening : RunFactory, optional
        Of the rungs, if they are not run on all rows.
    fallback : Fallback, optional
        Makes further starts if the best run has failed.

    Attributes
    ----------
    runs : list of StartRun
        All, in the order of their numbers; with their `status`.
    is_surpassed : bool
        Whether nearest neighbours predict left-out rows better than the winner reproduces them.
    """

    def __init__(
        self,
        starts: Sequence[Start],
        factory: RunFactory,
        settings: OptimizerSettings,
        hooks: Hooks,
        snapshot: Snapshot,
        n_jobs: int | None = None,
        screening: RunFactory | None = None,
        fallback: Fallback | None = None,
    ):
        """Create a multistart whose runs are made by `run`."""
        self.factory, self.settings, self.hooks, self.n_jobs = factory, settings, hooks, n_jobs
        self.screening, self.fallback = screening, fallback
        self.runs: list[StartRun] = []
        self.is_surpassed = False
        self._starts, self._snapshot = starts, snapshot
        self._screened: list[StartRun] = []  # the runs of the rungs: all, if there is no screening
        self._entered: list[StartRun] = []
        self._stop, self._saving = hooks.stop or threading.Event(), threading.Lock()
        self._winner: StartRun | None = None

    @property
    def _first(self) -> RunFactory:
        return self.factory if self.screening is None else self.screening

    def run(self) -> StartRun:
        """Return the run of the least error among those that ran to the end, the first of equal ones.

        Raises
        ------
        ValueError
            If no start is finite.
        """
        settings = self.settings
        try:
            if self._snapshot.runs:
                self.settings = settings._replace(max_iter=self._snapshot.max_iter + settings.max_iter)
                try:
                    return self._run([self._restored(run, self._first) for run in self._snapshot.runs])
                except DataChangedError:
                    self.settings = settings
                    self._snapshot = self._snapshot._replace(max_iter=0, runs=(), later=())
            return self._run([self._enter(StartRun(i, start, self._first)) for i, start in enumerate(self._starts)])
        finally:  # otherwise multistart and runs hold each other, and the rows, until the next garbage collection
            for run in self._entered:
                run.monitor.rules.clear()
                run.monitor.listeners.clear()

    def _run(self, runs: list[StartRun]) -> StartRun:
        """Run the rungs, and the survivors to the end."""
        self._screened, self.runs = runs, list(runs)
        remaining = self._run_rungs()
        if self.screening is not None:
            remaining = [self._survivor(run) for run in remaining]
            for run in remaining:
                self.runs[run.number] = run
            self._run_all(remaining, self.factory, self.settings, None, is_final=True)
        else:
            remaining = self._run_with_fallback(remaining, self.factory, is_final=True)
        self._winner = winner = self._best(remaining)
        if winner.failure is not None:
            raise winner.failure
        for run in self.runs:
            run.status = run.status or ("won" if run is winner else "ran to the end")
        return winner

    def _run_rungs(self) -> list[StartRun]:
        """Return the runs that are left after the last rung, or after the screening by the evidence."""
        remaining, factory = self.runs, self._first
        if factory.evidence is not None and self.screening is not None:
            best = self._best(self._run_with_fallback(self.runs, factory, is_final=False))
            self._drop([run for run in self.runs if run is not best], "left after the screening")
            return [best]
        # In the rungs the second-order correction costs a fifth of the time and finds no better minima (measured on
        # the suite of asv_benchmarks); the survivors have it.
        settings = self.settings._replace(acceleration=False)
        for number, (n_iter, share, at_least) in enumerate(() if factory.evidence else RUNGS, start=1):
            n_kept = max(at_least, math.ceil(share * len(self.runs)))
            if n_kept < len(remaining):
                self._run_all(remaining, factory, settings, n_iter)
                errors = {run: max(run.monitor.error_at(n_iter), factory.negligible) for run in remaining}
                remaining = sorted(remaining, key=errors.__getitem__)  # stable
                n_kept = min(n_kept, factory.max_survivors if number == len(RUNGS) else n_kept)
                self._drop(remaining[n_kept:], f"left after round {number}")
                remaining = remaining[:n_kept]
        return remaining

    def _drop(self, runs: Sequence[StartRun], status: str) -> None:
        for run in runs:
            run.status = run.status or status
            self.hooks.listener.lost(run)

    def _run_with_fallback(self, runs: list[StartRun], factory: RunFactory, is_final: bool) -> list[StartRun]:
        """Run all to the end, and the fallback starts if the best has failed; return those to choose from."""
        self._run_all(runs, factory, self.settings, None, is_final)
        winner, fallback = self._best(runs), self.fallback
        if fallback is None or not self._may_fall_back(winner) or not (starts := fallback.starts(winner)):
            return runs
        further = [self._later_run(len(self.runs) + i, start, factory) for i, start in enumerate(starts)]
        self.runs += further
        self._run_all(further, factory, self.settings, None, is_final)
        if not fallback.explains_less(winner):
            return [winner, *(run for run in further if fallback.replaces(run, winner))]
        passed = [run for run in further if not fallback.explains_less(run)]
        self.is_surpassed = not passed
        return passed or [*runs, *further]

    def _may_fall_back(self, winner: StartRun) -> bool:
        """Return whether the best run came to its own end, or had iterations enough, and there is time left."""
        is_done = winner.ending is Ending.EVIDENCE
        is_done |= winner.ending is Ending.MAX_ITER and winner.iteration >= ENOUGH_ITERATIONS
        return is_done and not is_late(self.settings, self.hooks.start_time)

    def _survivor(self, run: StartRun) -> StartRun:
        """Return the run on all rows that begins where `run` has ended on the subsample."""
        theta = run.monitor.last[2] if run.monitor.last else run.theta
        start = Start(run.family, theta) if run.evidence is None else run.evidence.as_start(run.family, theta)
        return self._later_run(run.number, start, self.factory)

    def _later_run(self, number: int, start: Start, factory: RunFactory) -> StartRun:
        """Return the run from `start`, restored if it was begun before."""
        for known in self._snapshot.later:
            if known.number == number and np.array_equal(known.start.theta, start.theta):
                return self._restored(known, factory)
        return self._enter(StartRun(number, start, factory))

    def _best(self, runs: Sequence[StartRun]) -> StartRun:
        """Return the run of the least error, the first of equal ones."""
        # Starts that found the same minimum, or zero, differ by rounding errors: those must not choose between them.
        tolerance = 0.0 if self.factory.evidence else SAME
        least = max(min(run.error for run in runs), self.factory.negligible) * (1 + tolerance)
        return min(runs, key=lambda run: (max(run.error, least), run.number))

    def _run_all(
        self,
        runs: Sequence[StartRun],
        factory: RunFactory,
        settings: OptimizerSettings,
        pause_at: int | None,
        is_final: bool = False,
    ) -> None:
        """Run all to `pause_at`, in threads; the listener follows them if that is the end on all rows."""
        start_time = self.hooks.start_time
        for run in runs if is_final else ():
            self.hooks.listener.final(run)

        def run_one(i: int, run: StartRun, objective: Objective) -> None:
            # A start after max_time would cost an evaluation of F and change nothing; but one start must be evaluated.
            if i > 0 and not run.has_begun and is_late(settings, start_time):
                run.status = "no time left"
            if not self._stop.is_set():
                run.run(objective, settings, start_time, pause_at)

        n_threads = min(effective_n_jobs(self.n_jobs), len(runs))
        if n_threads == 1:
            objective = factory.objective()
            for i, run in enumerate(runs):
                run_one(i, run, objective)
            return
        # Threads: the kernels hold no lock, and the runs are changed in place. Each run has an objective of its own,
        # for an objective holds buffers that two runs must not share.
        with ThreadPoolExecutor(n_threads, initializer=interrupt.obey, initargs=(self._stop,)) as pool:
            futures = [pool.submit(run_one, i, run, factory.objective()) for i, run in enumerate(runs)]
            try:
                for future in futures:
                    future.result()
            except DataChangedError:  # the others find the same; the starts that follow must not be stopped
                raise
            except BaseException:  # of a run, or Ctrl-C: the others end with their call of a kernel
                self._stop.set()
                raise

    def end(self) -> None:
        """Report to the listener that the attributes of the winner are set."""
        assert self._winner is not None
        self.hooks.listener.end(self._winner)

    def leader(self) -> StartRun | None:
        """Return the best of the runs that have begun, after an interrupt."""
        begun = [run for run in self.runs if run.monitor.last]
        if not begun:
            return None
        leader = self._best(begun)
        leader.ending = Ending.INTERRUPTED
        for run in self.runs:
            run.status = run.status or ("won" if run is leader else "interrupted")
        return leader

    # ---- snapshots -------------------------------------------------------------------------------------
    def snapshot(self, theta: np.ndarray) -> Snapshot:
        """Return what is needed to go on from the end, by more iterations; `theta` is the solution."""
        return self._current()._replace(max_iter=self.settings.max_iter, theta=theta)

    def _current(self) -> Snapshot:
        return self._snapshot._replace(
            runs=[run.snapshot for run in self._screened],
            later=[run.snapshot for run in self.runs if run not in self._screened],
        )

    def _restored(self, snapshot: RunSnapshot, factory: RunFactory) -> StartRun:
        return self._enter(StartRun.restore(snapshot, factory))

    def _enter(self, run: StartRun) -> StartRun:
        """Return the same run, which ends when the multistart is stopped, and is saved if that is asked for."""
        self._entered.append(run)
        run.monitor.rules.append(lambda record, row: Ending.INTERRUPTED if self._stop.is_set() else None)
        if self.hooks.save is not None:
            run.monitor.listeners.append(lambda record, row: self._save(run))
        return run

    def _save(self, run: StartRun) -> None:
        """Save all runs, in the thread of `run`: its state is whole, the others are as they were last reported."""
        assert self.hooks.save is not None
        run.take_snapshot()
        with self._saving:
            last = [known.monitor.last for known in self.runs if known.monitor.last]
            self.hooks.save(self._current()._replace(theta=min(last, key=lambda record: record[0])[2]))


def affordable_starts(n_residuals: float, n_parameters: int, n_hidden: int) -> int:
    """Return as many starts as a small budget of arithmetic allows, 1 for large problems.

    Counted and not timed, so that the result is the same on every machine. `n_residuals` is a sum of weights.
    """
    iteration = n_residuals * (n_parameters**2 / 2 + UNIT * n_hidden) + OVERHEAD
    return int(min(MAX_STARTS, max(1.0, BUDGET / (iteration * RUNGS[0].n_iter))))


def summary(runs: Sequence[StartRun]) -> dict[str, np.ndarray]:
    """Return family, error, iterations and status of each start."""

    def last_error(run: StartRun) -> float:
        return run.monitor.rows[-1]["train_mse"] if run.monitor.rows else math.inf

    return {
        "family": np.array([run.family for run in runs]),
        "train_mse": np.array([last_error(run) for run in runs]),
        "n_iter": np.array([run.iteration for run in runs]),
        "fate": np.array([run.status for run in runs]),
    }
