"""Quality of a fit: whether more iterations would improve it, and whether nearest neighbours predict better."""

from collections.abc import Callable

import numpy as np

from .._data.blocks import is_distributed
from .._optimize.termination import Ending
from .._training.neighbours import N_ROWS, Scores, better_neighbours
from .fit import Fit, FittedNetwork
from .prepare import Prepared

REMEDY = "Fit more units, set alpha to a small number such as 1e-3, raise n_starts, or set another scaling"
# A training error below this fraction of the standard deviation of y needs no more iterations.
NEGLIGIBLE = 3e-4
# At least so many iterations, in whose second half F (or the validation error) fell by less than the fraction, or the
# log evidence rose by less than the number of nats, show that more of them are useless.
MIN_ITERATIONS, MIN_FALL, MIN_NATS = 20, 1e-3, 0.1
# Neighbours are asked only if the fit explains less than this share of the variance of y.
MAX_SCORE = 0.97


def is_unconverged(prepared: Prepared, fitted: FittedNetwork) -> bool:
    """Return whether more iterations are likely to improve the fit."""
    return not (fitted.ending.converged or _stagnates(fitted) or unexplained(prepared, fitted) < NEGLIGIBLE**2)


@np.errstate(over="ignore", invalid="ignore")
def surpassing_neighbours(fit: Fit, predict: Callable[[np.ndarray], np.ndarray]) -> Scores | None:
    """Return the scores if nearest neighbours are clearly better than a fit that the caller asked to be good.

    Neither a linear network, a penalty given as a number, nor an ending by the caller asks for that.
    """
    prepared, best = fit.prepared, fit.best
    is_chosen = len(best.network.sizes) == 2 or (not isinstance(fit.config.alpha, str) and fit.config.alpha > 0)
    is_ended = best.ending in (Ending.GOAL, Ending.CALLBACK, Ending.INTERRUPTED)
    if is_chosen or is_ended or is_distributed(prepared.unmapped) or unexplained(prepared, best) <= 1 - MAX_SCORE:
        return None
    rows = prepared.unmapped.distinct(N_ROWS).mapped(best.scalings.power)
    return better_neighbours(best.scalings.x.forward(rows.X[:]), rows.Y, rows.weight, predict(rows.X[:]))


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
