"""scikit-learn's callbacks: the fit as a tree of tasks, and what is reported to them.

The interface is experimental and came with scikit-learn 1.9. Only this file knows it; with an older scikit-learn
`CallbackSupport` is empty and `set_callbacks` does not exist.

A fit from one start has a subtask "iteration" for each iteration, the first for the starting point. A fit from several
starts has a subtask "start" for each of them; those that run to the end have "iteration" subtasks from there on. A
callback that returns True at the end of a task stops the fit. Starts that follow a fit that failed (`fallback`) are
reported as the others: of a fit from one start they continue its iterations.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._network.objective import Problem
from .._optimize.state import Record
from .._optimize.termination import Ending
from .history import Row
from .multistart import StartListener, StartRun

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:

    class CallbackSupport:  # type: ignore[no-redef]
        """Empty class, for a scikit-learn without callbacks."""


SklearnObject = Any  # an estimator, context or task, of the experimental interface


class Tasks(StartListener):
    """The tasks of one call of `fit`; without callbacks it does nothing.

    Parameters
    ----------
    estimator : LMRegressor
    problem : Problem
    n_iterations : int
        The largest number of iterations.
    data : dict
        X and y as the caller gave them, and `metadata` with the sample weights if there are any.
    attributes : callable
        The fitted attributes that `predict` needs, for a problem and parameters theta.
    """

    def __init__(
        self, estimator: SklearnObject, problem: Problem, n_iterations: int, data: dict[str, object],
        attributes: Callable[[Problem, np.ndarray], dict[str, object]],
    ):  # fmt: skip
        """Create tasks that have not begun."""
        self._estimator, self._problem, self._data, self._attributes = estimator, problem, data, attributes
        self._is_stopped = False
        self._n_iterations = n_iterations + 1  # the starting point is one
        self._survivors: list[tuple[SklearnObject, StartRun]] = []
        self._root: SklearnObject = None
        self._has_starts = False
        # The optimizer ignores overflows at trial points; what a callback does is none of its trials.
        self._numpy_errors = np.geterr()

    def begin(self, n_starts: int, may_grow: bool) -> None:
        """Begin the task of the fit, whose number of subtasks is not known if starts may be added."""
        estimator, data = self._estimator, self._data
        has_callbacks = "_skl_callbacks" in vars(estimator)  # of its own; or it is part of a fit that may have some
        if not has_callbacks and "_parent_callback_ctx" not in vars(estimator):
            return
        self._has_starts = n_starts > 1
        n_subtasks = n_starts if self._has_starts else self._n_iterations
        context = estimator._init_callback_context(
            max_subtasks=None if may_grow else n_subtasks, sequential_subtasks=not self._has_starts
        )
        if has_callbacks:
            self._root = context.call_on_fit_task_begin(estimator=estimator, **data)

    def lost(self, run: StartRun) -> None:
        """Begin and end the task of a dropped start."""
        if self._root is None:
            return
        task = self._root.subcontext(task_name="start", task_id=run.number)
        task.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        self._end(task, run)

    def final(self, run: StartRun) -> None:
        """Begin the task of a start that runs to the end, and report its iterations from now on."""
        if self._root is None:
            return
        task = self._root
        if self._has_starts:
            task = self._root.subcontext(task_name="start", task_id=run.number, max_subtasks=self._n_iterations)
            self._survivors.append((task.call_on_fit_task_begin(estimator=self._estimator, **self._data), run))

        def report(record: Record, row: Row) -> Ending | None:
            with np.errstate(**self._numpy_errors):
                iteration = task.subcontext(task_name="iteration")
                iteration.call_on_fit_task_begin(estimator=self._estimator, **self._data)
                self._end(iteration, run)
            return Ending.CALLBACK if self._is_stopped else None

        run.monitor.listeners.append(report)

    def end(self, winner: StartRun) -> None:
        """End the tasks of starts and fit."""
        if self._root is None:
            return
        for task, run in self._survivors:
            self._end(task, run)
        self._end(self._root, winner)

    def _end(self, task: SklearnObject, run: StartRun) -> None:
        """End a task with the solution so far."""

        def attributes() -> dict[str, object]:
            problem, theta = run.solution()
            return self._attributes(problem or self._problem, theta)

        reconstruction = attributes if run.monitor.last else None
        self._is_stopped |= task.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=reconstruction
        )
