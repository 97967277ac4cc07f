"""The errors of the sets against the iteration."""

from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import record
from ._style import FEW_POINTS, STYLES, iterations, legend, log_axis, plain


class TrainingCurveDisplay:
    """Training, validation and test error against the iteration, on a logarithmic axis.

    An error of exactly zero cannot be shown on a logarithmic axis: the curve leaves through the lower edge, where a
    triangle marks the iteration. Create the display with `from_estimator`.

    Parameters
    ----------
    train_mse : array-like of shape (n_iterations + 1,)
        Mean squared training error at the start and after every iteration, in squared units of y.
    validation_mse : array-like of shape (n_iterations + 1,) or None, default=None
        Mean squared validation error.
    test_mse : array-like of shape (n_iterations + 1,) or None, default=None
        Mean squared test error.
    best_iter : int or None, default=None
        Iteration to mark, whose weights the model keeps.

    Attributes
    ----------
    curves : dict of str to ndarray
        Errors of each set.
    best_iter : int or None
        Iteration that is marked.
    lines_ : dict of str to matplotlib Line2D
        Curve of each set.
    best_line_, best_marker_ : matplotlib Line2D or None
        Vertical line at `best_iter`, and ring at the validation error (without one, the training error) of it.
    zeros_ : dict of str to matplotlib Line2D
        Triangles of the sets whose error is zero somewhere.
    ax_ : matplotlib Axes
        Axes of the curves.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    TrainingStateDisplay : Gradient norm, damping and gain ratio against the iteration.
    sklearn.model_selection.LearningCurveDisplay : Score against the number of training rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import LMRegressor, TrainingCurveDisplay
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = LMRegressor(3, random_state=0).fit(X, np.tanh(2 * X[:, 0]))
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> len(display.lines_["train"].get_ydata()) == model.n_iter_ + 1
    True
    """

    def __init__(self, train_mse: Any, validation_mse: Any = None, test_mse: Any = None, *, best_iter: Any = None):
        given = {"train": train_mse, "validation": validation_mse, "test": test_mse}
        self.curves = {name: np.asarray(mse, dtype=float) for name, mse in given.items() if mse is not None}
        self.best_iter = best_iter

    def plot(self, ax: Any = None) -> "TrainingCurveDisplay":
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        TrainingCurveDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        n = len(self.curves["train"])
        is_log = log_axis(ax, *self.curves.values())
        self.lines_, self.zeros_ = {}, {}
        for name, mse in self.curves.items():
            style = STYLES[name]
            (self.lines_[name],) = ax.plot(
                mse, style.line, color=style.color, linewidth=style.width, label=name,
                marker=style.marker if n <= FEW_POINTS else "", markersize=5,
            )  # fmt: skip
            zeros = np.flatnonzero(mse == 0)
            if is_log and len(zeros):
                (self.zeros_[name],) = ax.plot(
                    zeros, np.full(len(zeros), 0.02), "v", color=style.color, markersize=7, markeredgecolor="black",
                    transform=ax.get_xaxis_transform(), label=f"{name}, exactly 0",
                )  # fmt: skip
        self._mark_best(ax)
        iterations(ax, n)
        plain(ax)
        ax.set(xlabel="iteration", ylabel="mean squared error (squared units of y)", title="Training record")
        legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _mark_best(self, ax: Any) -> None:
        """Mark the iteration whose weights are those of the model."""
        self.best_line_ = self.best_marker_ = None
        if self.best_iter is None:
            return
        mse = self.curves.get("validation", self.curves["train"])[self.best_iter]
        self.best_line_ = ax.axvline(self.best_iter, color="0.45", linewidth=0.8, linestyle=(0, (6, 3)), zorder=1)
        (self.best_marker_,) = ax.plot(
            self.best_iter, mse, "o", fillstyle="none", color="black", markersize=11, markeredgewidth=1.2, zorder=4,
            label=f"best, iteration {self.best_iter}: {mse:.3g}",
        )  # fmt: skip

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "TrainingCurveDisplay":
        """Draw the training record of a fitted model.

        Parameters
        ----------
        estimator : estimator object
            Fitted LMRegressor; or a Pipeline, TransformedTargetRegressor or search around one. Errors are in units of
            the targets that the network received.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        TrainingCurveDisplay
            Object that holds the axes and artists.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no `history_`.
        """
        model, history = record(estimator)
        held_out = (history.get("validation_mse"), history.get("test_mse"))
        return cls(history["train_mse"], *held_out, best_iter=model.best_iter_).plot(ax)
