"""Levenberg-Marquardt neural networks for scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._regressor import LMRegressor

if TYPE_CHECKING:
    from .plot import ErrorHistogramDisplay, FitDisplay, RegressionDisplay, TrainingCurveDisplay, TrainingStateDisplay

__version__ = "0.1.0"
__all__ = [
    "ErrorHistogramDisplay",
    "FitDisplay",
    "LMRegressor",
    "RegressionDisplay",
    "TrainingCurveDisplay",
    "TrainingStateDisplay",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """The displays are imported when they are asked for."""
    if name == "plot":
        return import_module(".plot", __name__)
    if name.endswith("Display") and name in __all__:
        return getattr(import_module(".plot", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "plot"})
