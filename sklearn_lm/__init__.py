"""Levenberg-Marquardt neural networks for scikit-learn."""

from ._regressor import LMRegressor

__version__ = "0.1.0"
__all__ = ["LMRegressor", "__version__"]
