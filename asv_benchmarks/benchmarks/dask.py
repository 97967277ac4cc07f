"""Cost of rows on a Dask cluster: bytes sent, overhead of the scheduler, and speed-up by a second worker."""

import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from sklearn_lm import LMRegressor
from sklearn_lm._data.blocks import RowBlocks
from sklearn_lm._data.dask import make_row_blocks
from sklearn_lm._data.executors import merge_tree
from sklearn_lm._data.scaling import make_scaling
from sklearn_lm._network.objective import NetworkObjective
from sklearn_lm._network.penalty import fixed_l2
from sklearn_lm._network.topology import is_weight, make_network

from .common import IS_TRIAL

N_COLUMNS, N_BLOCKS = 8, 8
LARGE, SMALL = 80_000 if IS_TRIAL else 2_000_000, 8_000
REPEATS = 5


def make_objective(rows: RowBlocks, n_hidden: int = 10) -> NetworkObjective:
    """Return the objective that `fit` makes."""
    checked = rows.checked(LMRegressor(), reset=True)
    x_scaling, y_scaling = make_scaling("minmax", checked.columns("X"), checked.columns("Y"))
    network = make_network(N_COLUMNS, [n_hidden], 1, ["tanh"])
    penalty = fixed_l2(1e-3, is_weight(network))
    return NetworkObjective(network, checked.rows(y_scaling), x_scaling.table(), penalty)


def dask_rows(n_rows: int, n_blocks: int = N_BLOCKS) -> RowBlocks:
    """Return rows in Dask arrays."""
    X = da.random.default_rng(0).uniform(-1, 1, size=(n_rows, N_COLUMNS), chunks=(n_rows // n_blocks, N_COLUMNS))
    return make_row_blocks(X, da.sin(3 * X[:, 0] * X[:, 1]) + X[:, 2] ** 2, None)


def iterate(objective: NetworkObjective) -> None:
    """Do the passes over the rows of one iteration whose first trial is accepted."""
    theta = np.random.default_rng(0).normal(size=objective.network.n_parameters)
    objective.curvature(theta, theta)
    objective.solve_output(theta)
    objective.linearize(theta)


def seconds(objective: NetworkObjective) -> float:
    """Return the seconds of one iteration."""
    begin = time.perf_counter()
    iterate(objective)
    return time.perf_counter() - begin


class Counting:
    """Executor in this process, which counts the bytes that a cluster would send."""

    n_bytes = 0

    def persist(self, function: Callable, *handles: Sequence[Any]) -> list:
        return [function(*of_block) for of_block in zip(*handles, strict=True)]

    def reduce(self, function: Callable, handles: Sequence[Any], merge: Callable = np.add) -> Any:
        result = merge_tree(merge, *(function(handle) for handle in handles))
        self.n_bytes += len(pickle.dumps(function, protocol=5)) + len(pickle.dumps(result, protocol=5))
        return result


class Cluster:
    """Local clusters of several sizes, with one thread per worker."""

    timeout = 900
    sizes: Sequence[int] = (2,)
    n_rows = LARGE

    def setup(self, n_hidden: int = 10) -> None:
        self.stack, self.objectives = ExitStack(), {}
        for n_workers in self.sizes:
            cluster = self.stack.enter_context(
                LocalCluster(
                    n_workers=n_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
                )
            )
            client = self.stack.enter_context(Client(cluster))
            with client.as_current():
                self.objectives[n_workers] = make_objective(dask_rows(self.n_rows), n_hidden)
            iterate(self.objectives[n_workers])

    def teardown(self, n_hidden: int = 10) -> None:
        self.objectives = {}
        self.stack.close()


class Speed(Cluster):
    sizes = (1, 2)
    params = (10, 25)
    param_names = ("units",)

    def track_speed_up(self, n_hidden: int) -> float:
        """Return the speed-up by a second worker: from the smallest times of alternating runs."""
        least = {n_workers: float("inf") for n_workers in self.sizes}
        for _ in range(REPEATS):
            for n_workers, objective in self.objectives.items():
                least[n_workers] = min(least[n_workers], seconds(objective))
        return least[1] / least[2]

    track_speed_up.unit = "times"  # type: ignore[attr-defined]


class Overhead(Cluster):
    n_rows = SMALL

    def track_milliseconds_an_iteration(self) -> float:
        """Return the time of an iteration with almost no computation: the scheduler, the tree, three round trips."""
        return 1e3 * min(seconds(self.objectives[2]) for _ in range(REPEATS))

    track_milliseconds_an_iteration.unit = "ms"  # type: ignore[attr-defined]


class Wire:
    params = (SMALL, 10 * SMALL)
    param_names = ("rows",)

    def track_bytes_an_iteration(self, n_rows: int) -> int:
        """Return the bytes sent and received for one block: the same for any number of rows."""
        X = np.random.default_rng(0).uniform(-1, 1, size=(n_rows, N_COLUMNS))
        executor = Counting()
        rows = RowBlocks(executor, [X], [X[:, 0]], [None], X[:0], True)
        objective = make_objective(rows)
        executor.n_bytes = 0
        iterate(objective)
        return executor.n_bytes

    track_bytes_an_iteration.unit = "bytes"  # type: ignore[attr-defined]
