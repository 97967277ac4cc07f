"""The predictive distribution of a fitted estimator: its networks mixed, their variance corrected.

Everything is in the target's own units, one column per output. What a single network says of its variance, and of rows
left out, is the business of `posterior`; `ensemble` and `heteroscedastic` hold the formulas of the rest.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._data.out_of_core import sweep
from .._data.reductions import weighted_sum
from .._data.validation import DataSet, folds_of, thinned
from .ensemble import mix
from .heteroscedastic import N_FOLDS, NoiseModel, fit_noise
from .posterior import LeftOut

# Rows that the correction of the variance is learnt from, at most.
MAX_ROWS = 20_000


class Errors(NamedTuple):
    """What the corrections are learnt from: the leave-one-out predictions of all networks for the training rows."""

    train: DataSet  # a copy of at most `MAX_ROWS` rows
    mean: np.ndarray  # (n_rows, n_outputs)
    z_squared: np.ndarray  # (n_rows, n_outputs), in units of the predicted variance

    @classmethod
    def of(cls, train: DataSet, left_out: Sequence[LeftOut]) -> "Errors":
        mean, variance = mix([part.mean for part in left_out], [part.variance for part in left_out])
        error = (train.Y - mean) ** 2
        # Where no noise is left at all there is nothing to be corrected.
        z_squared = np.divide(error, variance, out=np.ones_like(error), where=variance > 0)
        rows = thinned(train, MAX_ROWS)  # all, where only so many were left out
        # Copies: they are looked at when the models are first asked for, and the caller's may be others by then.
        train = DataSet(*(np.array(part[:]) for part in train.take(rows)))
        return cls(train, mean[rows], z_squared[rows])


class NoiseModels:
    """One correction for each output, or none; learnt when it is first asked for, which takes some milliseconds.

    Parameters
    ----------
    errors : Errors, optional
        What they are learnt from.
    models : sequence of NoiseModel
        What they are, if that is known.
    """

    def __init__(self, errors: Errors | None = None, models: Sequence[NoiseModel] = ()):
        self._errors, self._models, self._lock = errors, list(models), threading.Lock()

    def __reduce__(self) -> tuple:
        return NoiseModels, (None, self.models)

    @property
    def models(self) -> list[NoiseModel]:
        with self._lock:
            if self._errors is not None:
                self._models, self._errors = fit_noise_models(self._errors), None
        return self._models


@np.errstate(over="ignore", invalid="ignore")  # as in `fitted_attributes`
def fit_noise_models(errors: Errors) -> list[NoiseModel]:
    train, mean, z_squared = errors
    fold = folds_of(train, N_FOLDS)
    return [fit_noise(train.X[:], mean[:, o], z_squared[:, o], train.weight, fold) for o in range(train.Y.shape[1])]


def correct(variance: np.ndarray, noise_models: Sequence[NoiseModel], X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The variance at X (mapped by the power maps, not scaled), where the mean is `mean`; (n_rows, n_outputs)."""
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
    """Leave-one-out residuals, in the target's own units, and what they sum up to."""

    residuals: np.ndarray  # y - f of each row that was passed to `fit`, in the shape of y; NaN for those not trained on
    score: float  # R2, mean over outputs
    press: float  # weighted sum of their squares


def score_left_out(train: DataSet, mean: np.ndarray, rows: np.ndarray, n_rows: int) -> LooScore:
    """From the leave-one-out predictions of the training rows, which are `rows` of `n_rows`."""
    left_out = train.Y - mean
    centred = train.Y - np.average(train.Y, axis=0, weights=train.weight)
    unexplained, total = (weighted_sum(train.weight, part**2) for part in (left_out, centred))
    # R2 as `score` has it; a constant target is explained wholly or not at all.
    ratio = np.divide(unexplained, total, out=np.where(unexplained > 0, 1.0, 0.0), where=total > 0)
    residuals = np.full((n_rows, train.Y.shape[1]), np.nan)
    residuals[rows] = left_out
    return LooScore(residuals, float(np.mean(1 - ratio)), float(unexplained.sum()))
