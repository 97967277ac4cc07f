"""Fallback starts: of other kinds, for a fit by the evidence whose best run shows a sign of failure.

There are three signs, and each has its remedy:

1. The evidence is below that of a linear network. The fallback start is the linear network, written with hidden units
   that are nearly linear on the data. It is taken if its evidence is larger, unless generalised cross-validation finds
   its error larger by a quarter. If most of y counts as noise, those of sign 3 run, too.
2. The evidence was largest at its first evaluations and fell from there. The units were so many, or the first noise
   precision so high, that noise was fitted at once. The fallback start has a strong penalty, which many iterations
   leave as it is. It is taken if its evidence is larger by far.
3. Nearest neighbours predict rows that are left out better than the network reproduces them. The updates have taken
   all of the target for noise before the network began to follow it: a curve of many periods, for example. This state
   is a maximum of the evidence, and with few rows a large one. The fallback starts have a small penalty for many
   iterations, and the runs that pass the test of the neighbours are preferred, whatever their evidence. Outliers hide
   this sign: under a robust loss residuals are cut off before the comparison, and one such start always follows.

All runs of other starts showed the same sign, so more of the same kind do not help. Fallback starts in every fit would
cost as much as the fit, and gain nothing without a sign: on the measured sets of `doc/accuracy.md` a few nats more did
not go with a smaller error. Where they did not, the margins above keep the best of the other starts.
"""

import math
from typing import NamedTuple

import numpy as np

from .._data.blocks import RowSet
from .._kernels import ACTIVATIONS, activate_lines
from .._network.initialization import draw
from .._network.losses import CUT_OFF
from .._network.objective import Problem, predict
from .._network.penalty import Groups, Precisions
from .._network.topology import layer_matrices
from .draw_starts import data_sample
from .evidence import EVERY, SETTLED
from .evidence_formulas import MAX_ALPHA, MIN_ALPHA
from .linear_baseline import fit_linear
from .multistart import StartRun
from .neighbours import N_ROWS, better_neighbours
from .snapshot import Start


class Penalized(NamedTuple):
    """Start with one penalty for all weights in its first iterations: `alpha` = (precision of the weights) / beta."""

    family: str
    alpha: float
    beta: float
    n_iter: int


STRONG = Penalized("nguyen_widrow", 1.0, 10.0, 20)
WEAK = (Penalized("selected", 1e-2, 1e2, 40), Penalized("selected", 1e-4, 1e4, 60))
# Pre-activations of the nearly linear units, in standard deviations: cubes of them are small.
SMALL = 0.1
# Modes of the coefficients with less variation on the data than this are left out; least residual variance.
MIN_MODE, MIN_VARIANCE = 1e-6, 1e-10
# A fall of the evidence by less, in nats, is none.
MIN_FALL = 1.0
# What a run from a start of sign 1 or 2 has to reach: at most this ratio of the errors by generalised cross-validation,
# or so many nats more.
MAX_ERROR_RATIO, MIN_GAIN = 1.25, 20.0
# Neighbours are not asked if the squared residuals are less than this share of the variance.
EXPLAINED = 0.02
# Noise, as a share of the variance, above which a line may be all that is left of a curve.
MOSTLY_NOISE = 0.5
# With less noise, as a share of the variance, the linear network is not tried: of networks that reproduce the rows the
# evidence is known to few digits, and they would decide.
REPRODUCED = 1e-8


class EvidenceFallback:
    """Signs of failure of a run, and the starts that follow.

    Parameters
    ----------
    problem : Problem
    train : RowSet
        The training rows of the problem.
    groups : Groups
        Groups of the penalty.
    seed : int
        Of the random weights.
    """

    def __init__(self, problem: Problem, train: RowSet, groups: Groups, seed: int):
        self._problem, self._train, self._groups, self._seed = problem, train, groups, seed
        self._known: dict[StartRun, bool] = {}  # the results of `explains_less`

    def starts(self, winner: StartRun) -> list[Start]:
        """Return starts of other kinds, none if `winner` shows no sign of failure."""
        search, problem, rng = winner.evidence, self._problem, np.random.RandomState(self._seed)
        if search is None or search.state.best is None or not problem.network.is_nonlinear:
            return []
        kinds, starts, best = list[Penalized](), list[Start](), search.state.best
        if self.explains_less(winner):
            kinds += WEAK
        elif winner.scale is not None:  # a robust loss: outliers hide the sign
            kinds += WEAK[:1]
        last = search.monitor.columns["log_evidence"]
        if best.iteration <= SETTLED + EVERY and last < best.log_evidence - MIN_FALL:
            kinds.append(STRONG)
        if 1 / best.precisions.beta > REPRODUCED:
            linear = fit_linear(problem, self._groups.kind)
            if linear.log_evidence > best.log_evidence:
                starts.append(self._linear_start(linear.matrix))
                if kinds[:1] != [WEAK[0]] and 1 / best.precisions.beta > MOSTLY_NOISE:
                    kinds += WEAK  # beside useless inputs, neighbours see nothing
        return starts + [penalized_start(problem, self._train, self._groups, kind, rng) for kind in kinds]

    def replaces(self, run: StartRun, winner: StartRun) -> bool:
        """Return whether a run from a fallback start is better than the winner of the other starts."""
        gain = winner.error - run.error
        if run.family == "linear":
            return gain > 0 and self._error(run) <= MAX_ERROR_RATIO * self._error(winner)
        return gain > MIN_GAIN

    def _error(self, run: StartRun) -> float:
        """Return the error by generalised cross-validation (Golub, Heath & Wahba 1979): |r|^2 / (n - gamma)^2.

        It is infinite for a network that uses more than half of the degrees of freedom, whose residuals tell little.
        """
        search = run.evidence
        if search is None or search.state.best is None or search.best_point is None:
            return math.inf
        squares = search.best_point.squares * (search.best_problem.y_scaling.scale / self._problem.y_scaling.scale) ** 2
        n, gamma = self._problem.rows["train"].weight * len(squares), float(search.state.best.gamma.sum())
        return math.inf if gamma > n / 2 else float(squares.sum() / (n - gamma) ** 2)

    def explains_less(self, run: StartRun) -> bool:
        """Return whether nearest neighbours predict left-out rows better than the run, at its end, reproduces them."""
        if run not in self._known:
            self._known[run] = self._explains_less(run)
        return self._known[run]

    def _explains_less(self, run: StartRun) -> bool:
        """Return the same, computed anew."""
        changed, theta = run.solution()
        problem, rows = changed or self._problem, self._train.distinct(N_ROWS)
        assert isinstance(rows.X, np.ndarray)
        f, Y = predict(rows.X, problem.x_scaling, problem.y_scaling, problem.network, theta), rows.Y
        if run.scale is not None and run.evidence is not None:  # a robust loss
            reach = CUT_OFF * problem.y_scaling.scale / np.sqrt(run.evidence.precisions.beta)
            Y = f + np.clip(Y - f, -reach, reach)
        mean = np.average(Y, axis=0, weights=rows.weight)
        errors, variances = (np.average((Y - values) ** 2, axis=0, weights=rows.weight) for values in (f, mean))
        X, outputs = problem.x_scaling.forward(rows.X), np.flatnonzero(errors > EXPLAINED * variances)
        return any(better_neighbours(X, Y[:, [o]], rows.weight, f[:, [o]]) for o in outputs)

    def _linear_start(self, matrix: np.ndarray) -> Start:
        """Return the network with units that are nearly linear on the data, and together equal the linear network.

        The coefficients are the sum of rank-1 matrices (their singular value decomposition on the data); each takes a
        unit in every hidden layer. Of more than there are units, the largest are kept.
        """
        network, groups = self._problem.network, self._groups
        sample = data_sample(self._problem, self._train)[1]
        mean = sample.lines @ sample.weight
        centred = (sample.lines - mean[:, None]) * np.sqrt(sample.weight)
        modes, sizes, _ = np.linalg.svd(matrix[:, :-1] @ centred, full_matrices=False)
        n_modes = min(int(np.count_nonzero(sizes > MIN_MODE)), *network.sizes[1:-1])
        modes, sizes = modes[:, :n_modes], sizes[:n_modes]
        theta = np.zeros(network.n_parameters)
        first, *between, output = layer_matrices(network, theta)
        # Latent variables of variance 1: t = modes' W (x - mean) / sizes, and the units of each layer get z0 + SMALL t.
        first[:n_modes, :-1] = SMALL * (modes.T @ matrix[:, :-1]) / sizes[:, None]
        first[:n_modes, -1] = -first[:n_modes, :-1] @ mean
        units = np.arange(n_modes)
        for layer, name in zip([*between, output], network.activations, strict=False):
            z0, value, slope = _linear_part(name)
            first[:n_modes, -1] += z0
            if layer is output:
                layer[:, :n_modes] = modes * sizes / (SMALL * slope)
                layer[:, -1] = matrix[:, -1] + matrix[:, :-1] @ mean - value * layer[:, :n_modes].sum(axis=1)
            else:
                layer[units, units], layer[:n_modes, -1] = 1 / slope, -value / slope
                first = layer
        residuals = sample.Y - (sample.lines.T @ matrix[:, :-1].T + matrix[:, -1])
        variance = float(np.average(np.mean(residuals**2, axis=1), weights=sample.weight))
        alpha = (groups.sums(np.sign(theta**2)) + MIN_ALPHA) / (groups.sums(theta**2) + 1 / MAX_ALPHA)
        return Start("linear", theta, Precisions(np.clip(alpha, MIN_ALPHA, MAX_ALPHA), 1 / max(variance, MIN_VARIANCE)))


def penalized_start(
    problem: Problem, train: RowSet, groups: Groups, kind: Penalized, rng: np.random.RandomState
) -> Start:
    """Return a start with random weights of a family."""
    theta = draw(problem.network, kind.family, data_sample(problem, train)[1], rng)
    alpha = np.full(len(groups.size), kind.alpha * kind.beta)
    return Start("penalized", theta, Precisions(alpha, kind.beta), kind.n_iter)


def _linear_part(activation: str) -> tuple[float, float, float]:
    """Return z0, phi(z0) and phi'(z0), with z0 = 0 or 4 (for a kink): where an activation is nearer to linear."""
    best = math.inf, 0.0, 0.0, 1.0
    for z0 in (0.0, 4.0):
        z = z0 + 2 * SMALL * np.array([[-1.0, 0.0, 1.0]])
        activate_lines(ACTIVATIONS[activation].code, z)
        below, value, above = z[0]
        best = min(best, (abs(below - 2 * value + above), z0, value, (above - below) / (4 * SMALL)))
    return best[1:]
