"""Small problems: several iterations in one compiled call.

With some dozens of parameters a call of a kernel takes as long as what it computes, and what Python does between two
calls takes longer. The iterations are those of `_search`, with the same bits; they are made ahead, and told
one by one. Which problems are small follows from the shape alone, so that a fit that goes on takes the same way.
"""

from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._kernels import compile
from .._optimize.linearization import GramLinearization, PassedPoint
from .activation_cache import Activations
from .gram_tables import GramTables
from .topology import Network

# Iterations that one call makes at most, and the multiply-adds that it makes them for: a fit that ends on the way has
# made some in vain, and with more arithmetic in each there is less to be won.
MOST, WORK = 8, 400_000


class Iterations(NamedTuple):
    """What one call has made: an entry for each accepted step, and where it left off."""

    thetas: np.ndarray
    points: list  # `PassedPoint`, and of the last the normal equations
    records: list[list[float]]  # columns as `_kernels` names them
    status: int  # of the last trial, as `_kernels.damping` names it
    damping: tuple[float, float]  # mu and its growth
    n_trials: int


def n_ahead(n_rows: int, n_outputs: int, n_parameters: int) -> int:
    """Iterations that one call shall make; 0 if the problem is not small."""
    work = n_rows * n_parameters * max(n_parameters / 2, 4 * n_outputs)
    if work >= compile.SMALL_WORK or not compile.HAS_CLOCK:
        return 0
    return int(min(MOST, max(1, WORK // work)))


class SmallProblem:
    """F for one network on few rows.

    Parameters
    ----------
    network : Network
    x_scaling : ndarray of shape (2, n_inputs)
    products : GramTables
        Those of the Gram matrix.
    activations : Activations
        They must be kept.
    scratch, output_moments, sums, moments : ndarrays
        Room as `iterate` needs it.
    """

    def __init__(
        self,
        network: Network,
        x_scaling: np.ndarray,
        products: GramTables,
        activations: Activations,
        scratch: np.ndarray,
        output_moments: np.ndarray,
        sums: np.ndarray,
        moments: np.ndarray,
    ):
        self._fixed = x_scaling, network.layout, products.pairs, products.delta_factors, products.input_factors
        self._room = scratch, moments, output_moments, sums
        self._activations = activations

    def iterate(
        self,
        rows: tuple,
        penalty_diag: np.ndarray,
        theta: np.ndarray,
        point: GramLinearization,
        diagonal: np.ndarray,
        factor: np.ndarray,
        damping: tuple,
        way: tuple,
        n_most: int,
        seconds: float,
    ) -> Iterations:
        """Up to `n_most` accepted steps from theta.

        `rows` are X, Y and root weights, `factor` is room for one of Cholesky, `damping` and `way` are rows of
        arguments of the kernel.
        """
        here, is_here, there = self._activations.acquire_two(theta)
        gradient, gram = point.gradient.copy(), point.gram.copy()  # others may hold the old ones
        theta = theta.copy()
        made, new = self._call(
            rows, penalty_diag, (here, is_here, there, False), factor, (theta, point.cost, gradient, gram, diagonal),
            damping, way, n_most, seconds,
        )  # fmt: skip
        n, status, mu, growth, n_trials, _, is_here = made
        _, _, thetas, squares, table = new
        records = table[:n].tolist()
        self._activations.commit_two(theta if is_here else None, n % 2 == 1)
        points: list = [PassedPoint(record[_kernels.COST], squares[i]) for i, record in enumerate(records)]
        if points:
            points[-1] = GramLinearization(points[-1].cost, gradient, gram, points[-1].squares)
        return Iterations(thetas[:n], points, records, status, (mu, growth), n_trials)

    def solved(self, rows: tuple, penalty_diag: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, float]:
        """As `NetworkObjective.solve_output`."""
        (*_, cost, _), (_, _, thetas, _, _) = self._at(rows, penalty_diag, theta, solves=True)
        return thetas[0], cost

    def equations(self, rows: tuple, penalty_diag: np.ndarray, theta: np.ndarray) -> GramLinearization:
        """As `NetworkObjective.linearize`."""
        (*_, cost, _), (gradient, gram, _, squares, _) = self._at(rows, penalty_diag, theta, solves=False)
        return GramLinearization(cost, gradient, gram, squares[0])

    def _at(self, rows: tuple, penalty_diag: np.ndarray, theta: np.ndarray, solves: bool) -> tuple[tuple, tuple]:
        """Where nothing moves."""
        there, is_there = self._activations.before(theta)
        nothing, theta = np.empty((0, 0)), np.array(theta, dtype=np.float64)  # it may be read-only
        made = self._call(
            rows, penalty_diag, (there, is_there, there, is_there), nothing, (theta, 0.0, theta, nothing, theta),
            (0.0, 0.0, _kernels.DampingRule(0, 0.0, 0.0, 0.0, 0.0)), (False, solves, 0.0), 0, 0.0,
        )  # fmt: skip
        self._activations.after()
        return made

    def _call(
        self,
        rows: tuple,
        penalty_diag: np.ndarray,
        rooms: tuple,
        factor: np.ndarray,
        point: tuple,
        damping: tuple,
        way: tuple,
        n_most: int,
        seconds: float,
    ) -> tuple[tuple, tuple]:
        """`iterate`, and its results."""
        p, n_rows = len(penalty_diag), max(1, n_most)
        step, moved, gradient, gram = np.empty(p), np.empty(p), np.empty(p), np.empty((p, p))
        thetas, squares = np.empty((n_rows, p)), np.empty((n_rows, rows[1].shape[1]))
        records = np.empty((n_rows, _kernels.N_RECORDED))
        made = _kernels.iterate(
            *rows, *self._fixed, penalty_diag, *rooms, *self._room, factor, *point, *damping, *way,
            n_most, seconds, step, moved, gradient, gram, thetas, squares, records,
        )  # fmt: skip
        return made, (gradient, gram, thetas, squares, records)
