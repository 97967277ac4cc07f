"""Predictive distribution of a fitted estimator: leave-one-out errors and the correction of the variance.

All arrays are in the target's own units, one column per output. `posterior` has the variance and the leave-one-out
predictions of a single network, `ensemble` the mixture of several and `heteroscedastic` the model of the noise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._data.hashing import thin_rows
from .._data.out_of_core import Source, sweep
from .._data.reductions import weighted_sum
from .._data.rows import DataSet
from .._data.yeo_johnson import PowerTransform
from .ensemble import mix
from .heteroscedastic import N_FOLDS, NoiseModel, assign_folds, fit_noise
from .posterior import LeftOut

# Largest number of rows that the correction of the variance is fitted to.
MAX_ROWS = 20_000


class Errors(NamedTuple):
    """Data for the noise models: errors of the leave-one-out predictions of the ensemble for training rows."""

    train: DataSet  # a copy of at most `MAX_ROWS` rows, not mapped by the power maps
    power: PowerTransform
    mean: np.ndarray  # (n_rows, n_outputs)
    z_squared: np.ndarray  # (n_rows, n_outputs), in units of the predicted variance

    @classmethod
    def from_left_out(cls, train: DataSet, power: PowerTransform, left_out: Sequence[LeftOut]) -> "Errors":
        """Return the errors of the mixture of all networks."""
        mean, variance = mix([part.mean for part in left_out], [part.variance for part in left_out])
        error = (train.Y - mean) ** 2
        # A variance of zero needs no correction.
        z_squared = np.divide(error, variance, out=np.ones_like(error), where=variance > 0)
        rows = thin_rows(train.X, train.Y, MAX_ROWS)  # all of them if they are not more
        # Copies, because the models are fitted at their first use: the caller may have changed the arrays by then.
        train = DataSet(*(np.array(part[:]) for part in train.take(rows)))
        return cls(train, power, mean[rows], z_squared[rows])


class NoiseModels:
    """Noise models, one per output or none. They are fitted at their first use, which takes some milliseconds.

    Parameters
    ----------
    errors : Errors, optional
        Data to fit the models to.
    models : sequence of NoiseModel
        Models that are fitted already.
    """

    def __init__(self, errors: Errors | None = None, models: Sequence[NoiseModel] = ()):
        self._errors, self._models = errors, list(models)

    def __reduce__(self) -> tuple:
        return NoiseModels, (None, self.models)

    @property
    def models(self) -> list[NoiseModel]:
        """Fitted models, one per output; an empty list for constant noise."""
        # No lock, which a forked child could inherit locked: two threads may compute the same bits.
        errors = self._errors
        if errors is not None:
            self._models = fit_noise_models(errors)
            self._errors = None  # after the models: who sees None sees them
        return self._models


@np.errstate(over="ignore", invalid="ignore")  # squares of errors near the limits of float64 may overflow
def fit_noise_models(errors: Errors) -> list[NoiseModel]:
    """Return the noise model of each output."""
    train, power, mean, z_squared = errors
    X, fold = power.applied(train.X[:]), assign_folds(train.X[:], train.Y, N_FOLDS)
    return [fit_noise(X, mean[:, o], z_squared[:, o], train.weight, fold) for o in range(train.Y.shape[1])]


def correct(
    variance: np.ndarray, noise_models: Sequence[NoiseModel], X: np.ndarray | Source, mean: np.ndarray
) -> np.ndarray:
    """Return the corrected variance at X (mapped by the power maps, not scaled) and `mean`, (n_rows, n_outputs)."""
    if not noise_models:
        return variance
    corrected, begin = np.empty_like(variance), 0
    for rows in sweep(X):
        part = slice(begin, begin + len(rows))
        factors = [model.factor(rows, mean[part, o]) for o, model in enumerate(noise_models)]
        corrected[part] = variance[part] * np.column_stack(factors)
        begin += len(rows)
    return corrected


class LooScore(NamedTuple):
    """Leave-one-out residuals in the target's own units, with their score and sum of squares."""

    residuals: np.ndarray  # y - f of each row that was passed to `fit`, as y; NaN for rows not used for training
    score: float  # R2, mean over outputs
    press: float  # weighted sum of their squares


def score_left_out(train: DataSet, mean: np.ndarray, rows: np.ndarray, n_rows: int) -> LooScore:
    """Return the score of leave-one-out predictions `mean` of the training rows, numbers `rows` of `n_rows`."""
    left_out = train.Y - mean
    centred = train.Y - np.average(train.Y, axis=0, weights=train.weight)
    unexplained, total = (weighted_sum(train.weight, part**2) for part in (left_out, centred))
    residuals = np.full((n_rows, train.Y.shape[1]), np.nan)
    residuals[rows] = left_out
    return LooScore(residuals, r_squared(unexplained, total), float(unexplained.sum()))


def r_squared(unexplained: np.ndarray, total: np.ndarray) -> float:
    """Return the mean R2 over the outputs from sums of squares; a constant target is explained wholly or not at all."""
    ratio = np.divide(unexplained, total, out=np.where(unexplained > 0, 1.0, 0.0), where=total > 0)
    return float(np.mean(1 - ratio))
