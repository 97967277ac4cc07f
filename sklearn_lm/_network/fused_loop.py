"""Small problems: several iterations in one compiled call.

With some dozens of parameters a call of a kernel takes as long as what it computes, and what Python does between two
calls takes longer. The iterations are those of `levenberg_marquardt`, with the same bits; they are made ahead, and
reported one by one. Which problems are small follows from the shape alone, so that a fit that is continued takes the
same steps.
"""

import time
from typing import cast

import numpy as np

from .. import _kernels
from .._data.rows import Rows
from .._kernels import compile
from .._optimize.damping import Damping
from .._optimize.linear_solvers import CholeskySolver
from .._optimize.linearization import GramLinearization, PassedPoint
from .._optimize.state import Ahead, OptimizerState, Seconds, Step
from .cross_products import Workspace, n_gradient
from .gram_tables import make_gram_tables

# Iterations that one call makes at most, and the multiply-adds of all of them: a fit that ends before the last has made
# some in vain, and with more arithmetic in each iteration there is less to be gained.
MAX_AHEAD, MAX_WORK = 8, 400_000


def n_ahead(y_shape: tuple[int, ...], n_parameters: int) -> int:
    """Return how many iterations one call shall make; 0 if the problem is not small."""
    n_rows, n_outputs = y_shape
    work = n_rows * n_parameters * max(n_parameters / 2, 4 * n_outputs)
    if work >= compile.SMALL_WORK or not compile.HAS_CLOCK:
        return 0
    return int(min(MAX_AHEAD, max(1, MAX_WORK // work)))


class FusedLoop:
    """F for one network on few rows, whose activations are kept.

    Parameters
    ----------
    workspace : Workspace
    n_ahead : int
        Iterations that one call makes at most.
    """

    def __init__(self, workspace: Workspace, n_ahead: int):
        layout, self._n_ahead = workspace.network.layout, n_ahead
        tables = make_gram_tables(layout)
        self._fixed = workspace.x_scaling, layout, *tables[:3]
        self._buffers = (
            workspace.scratch(_kernels.n_scratch_lines(layout)), workspace.sums(tables.n_products),
            workspace.sums(_kernels.n_output_sums(layout)), workspace.sums(n_gradient(workspace.network)),
        )  # fmt: skip
        self._activations = workspace.activations

    def iterate(
        self, rows: Rows, penalty_diag: np.ndarray, state: OptimizerState, control: tuple, n_max: int, seconds: float
    ) -> Ahead:
        """Make up to `n_max` accepted steps, see `Objective.iterate`."""
        start = time.perf_counter()
        point, solver = cast(GramLinearization, state.point), cast(CholeskySolver, state.solver)
        current, is_current, other = self._activations.acquire_two(state.theta)
        # Others may hold the old arrays.
        theta, gradient, gram = state.theta.copy(), point.gradient.copy(), point.gram.copy()
        made, new = self._call(
            rows, penalty_diag, (current, is_current, other, False),
            (solver.factor, theta, point.cost, gradient, gram, state.damping_scale.diagonal), control,
            min(n_max, self._n_ahead), seconds,
        )  # fmt: skip
        n, status, mu, growth, n_trials, _, is_current = made
        _, _, thetas, squares, records = new
        self._activations.commit_two(theta if is_current else None, n % 2 == 1)
        steps = []
        for i, (cost, norm, mu_after, ratio, n_tried, at, *phases) in enumerate(records[:n].tolist()):
            here = PassedPoint(cost, squares[i]) if i < n - 1 else GramLinearization(cost, gradient, gram, squares[i])
            how = Damping(mu_after), state.n_evaluations + int(n_tried), Seconds(*phases), start + at
            steps.append(Step(thetas[i], here, norm, ratio, *how))
        return Ahead(state.iteration, steps, status, Damping(mu, growth), state.n_evaluations + n_trials)

    def solve_output(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """Return what `NetworkObjective.solve_output` does."""
        (*_, cost, _), (_, _, thetas, _, _) = self._at(rows, penalty_diag, theta, solves=True)
        return thetas[0], cost

    def linearize(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray) -> GramLinearization:
        """Return what `NetworkObjective.linearize` does."""
        (*_, cost, _), (gradient, gram, _, squares, _) = self._at(rows, penalty_diag, theta, solves=False)
        return GramLinearization(cost, gradient, gram, squares[0])

    def _at(self, rows: Rows, penalty_diag: np.ndarray, theta: np.ndarray, solves: bool) -> tuple[tuple, tuple]:
        """Call the kernel without an iteration."""
        units, is_fresh = self._activations.acquire(theta)
        nothing, theta = np.empty((0, 0)), np.array(theta, dtype=np.float64)  # it may be read-only
        made = self._call(
            rows, penalty_diag, (units, is_fresh, units, is_fresh), (nothing, theta, 0.0, theta, nothing, theta),
            (0.0, 0.0, _kernels.DampingRule(0, 0.0, 0.0, 0.0, 0.0), False, solves, 0.0), 0, 0.0,
        )  # fmt: skip
        self._activations.commit()
        return made

    def _call(
        self, rows: Rows, penalty_diag: np.ndarray, units: tuple, point: tuple, control: tuple, n_max: int,
        seconds: float,
    ) -> tuple[tuple, tuple]:  # fmt: skip
        """Return what `iterate` returns, and the arrays that it writes to."""
        p, n_steps = len(penalty_diag), max(1, n_max)
        step, moved, gradient, gram = np.empty(p), np.empty(p), np.empty(p), np.empty((p, p))
        thetas, squares = np.empty((n_steps, p)), np.empty((n_steps, rows.Y.shape[1]))
        records = np.empty((n_steps, _kernels.N_RECORDED))
        made = _kernels.iterate(
            rows.X, rows.Y, rows.root_weight, *self._fixed, penalty_diag, *units, *self._buffers, *point, *control,
            n_max, seconds, step, moved, gradient, gram, thetas, squares, records,
        )  # fmt: skip
        return made, (gradient, gram, thetas, squares, records)
