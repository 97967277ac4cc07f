"""Displays of a fit, with the interface of scikit-learn's displays. matplotlib is imported when one is drawn."""

from ._error_histogram import ErrorHistogramDisplay
from ._fit import FitDisplay
from ._regression import RegressionDisplay
from ._training_curve import TrainingCurveDisplay
from ._training_state import TrainingStateDisplay

__all__ = [
    "ErrorHistogramDisplay",
    "FitDisplay",
    "RegressionDisplay",
    "TrainingCurveDisplay",
    "TrainingStateDisplay",
]
