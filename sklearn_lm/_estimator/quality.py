"""Quality of a fit: whether more iterations would improve it, and whether nearest neighbours predict better.

Neighbours need no model: where their leave-one-out errors are far below the training errors of the fit, the fit has
missed most of what the inputs tell about y. Noise inflates their errors more than those of a good fit.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._data.blocks import is_distributed
from .._optimize.termination import Ending
from .fit import Fit, FittedNetwork
from .prepare import Prepared

REMEDY = "Fit more units, set alpha to a small number such as 1e-3, raise n_starts, or set another scaling"
# A training error below this fraction of the standard deviation of y needs no more iterations.
NEGLIGIBLE = 1e-4
# At least so many iterations, in whose second half F (or the validation error) fell by less than the fraction, or the
# log evidence rose by less than the number of nats, show that more of them are useless.
MIN_ITERATIONS, MIN_FALL, MIN_NATS = 20, 1e-3, 0.1
# Neighbours are asked only if the fit explains less than this share of the variance of y, ...
MAX_SCORE = 0.9
# ... about this number of rows, from a smallest number on, by the mean of their nearest neighbours.
N_ROWS, MIN_ROWS, N_NEIGHBOURS = 500, 20, 3
# They are better if the squared errors of the fit exceed theirs by this factor, with this many standard errors. Under
# pure noise theirs are larger by 1 + 1 / N_NEIGHBOURS.
MIN_FACTOR, MIN_STANDARD_ERRORS = 1.2, 3.0


def is_unconverged(prepared: Prepared, fitted: FittedNetwork) -> bool:
    """Return whether more iterations are likely to improve the fit."""
    return not (fitted.ending.converged or _stagnates(fitted) or unexplained(prepared, fitted) < NEGLIGIBLE**2)


class Scores(NamedTuple):
    """R2 of a fit and leave-one-out R2 of nearest neighbours, on training rows."""

    fit: float
    neighbours: float

    @property
    def sentence(self) -> str:
        """Comparison in words."""
        return (
            f"The fit explains {max(self.fit, 0):.0%} of the variance of the training rows, and the mean of the "
            f"{N_NEIGHBOURS} nearest neighbours of each row, without the row, {self.neighbours:.0%}."
        )


@np.errstate(over="ignore", invalid="ignore")
def better_neighbours(fit: Fit, predict: Callable[[np.ndarray], np.ndarray]) -> Scores | None:
    """Return the scores if nearest neighbours are clearly better than a fit that the caller asked to be good.

    Neither a linear network, a penalty given as a number, nor an ending by the caller asks for that.
    """
    prepared, best = fit.prepared, fit.best
    is_chosen = len(best.network.sizes) == 2 or (not isinstance(fit.config.alpha, str) and fit.config.alpha > 0)
    is_ended = best.ending in (Ending.GOAL, Ending.CALLBACK, Ending.INTERRUPTED)
    if is_chosen or is_ended or is_distributed(prepared.unmapped) or unexplained(prepared, best) <= 1 - MAX_SCORE:
        return None
    rows = prepared.unmapped.distinct(N_ROWS).mapped(best.scalings.power)
    return compare(best.scalings.x.forward(rows.X[:]), rows.Y, rows.weight, predict(rows.X[:]))


def unexplained(prepared: Prepared, fitted: FittedNetwork) -> float:
    """Return the mean squared training error relative to the variance of y, of the output with the largest."""
    train, scale = prepared.rows["train"], prepared.scalings.y.scale
    variance = scale**2 * train.mean_power(train.mean_power(np.zeros(len(scale)), 1), 2)
    error = np.full(len(scale), fitted.history["train_mse"][fitted.best_iteration])
    if fitted.posterior is not None and fitted.robust_loss is None:
        state = fitted.posterior.state
        error = state.squares / state.weight * fitted.scalings.y.scale**2
    return float(np.divide(error, variance, out=np.zeros(len(scale)), where=variance > 0).max())


def _stagnates(fitted: FittedNetwork) -> bool:
    """Return whether the second half of the iterations improved nothing relevant."""
    history, n, best = fitted.history, fitted.n_iterations, fitted.best_iteration
    if n < MIN_ITERATIONS:
        return False
    if fitted.precisions is not None:
        before = history["log_evidence"][: n // 2 + 1]
        return bool(fitted.log_evidence - np.max(before, where=before == before, initial=-np.inf) <= MIN_NATS)
    column = history.get("validation_mse", history["loss"])
    before = column[: n // 2 + 1].min()
    return bool(before - column[best] <= MIN_FALL * before)


def compare(X: np.ndarray, Y: np.ndarray, weight: np.ndarray, predicted: np.ndarray) -> Scores | None:
    """Return the scores of the predictions and of the nearest neighbours if those are clearly better.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_inputs)
        Scaled inputs of distinct rows.
    Y, predicted : ndarray of shape (n_rows, n_outputs)
        Targets and predictions of the fit.
    weight : ndarray of shape (n_rows,)
    """
    from scipy.spatial import cKDTree  # takes as long as a small fit to import, and few fits need it

    if len(X) < MIN_ROWS:
        return None
    near = cKDTree(X).query(X, k=N_NEIGHBOURS + 1)[1]
    is_other = near != np.arange(len(X))[:, None]
    is_other[is_other.all(axis=1), -1] = False  # of several rows with the same inputs
    mean = Y[near[is_other].reshape(len(X), N_NEIGHBOURS)].mean(axis=1)
    share = weight / weight.sum()
    variance = share @ (Y - share @ Y) ** 2
    fit, neighbours = (
        np.mean(np.divide((Y - values) ** 2, variance, out=np.zeros(Y.shape), where=variance > 0), axis=1)
        for values in (predicted, mean)
    )
    excess = fit - MIN_FACTOR * neighbours
    standard_error = np.sqrt(share**2 @ (excess - share @ excess) ** 2)
    is_better = share @ excess > MIN_STANDARD_ERRORS * standard_error
    return Scores(float(1 - share @ fit), float(1 - share @ neighbours)) if is_better else None
