"""Display of the state of the algorithm at every iteration."""

from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import record, validation_failures
from ._style import BLUE, FEW_POINTS, GREY, STYLES, iterations, log_axis, panels, plain

LABELS = {
    "grad_norm": "gradient norm",
    "mu": "damping $\\mu$",
    "gain_ratio": "gain ratio",
    "validation_failures": "validation\nfailures",
}


class TrainingStateDisplay:
    """Gradient norm, damping, gain ratio and validation failures against the iteration, one panel each.

    Create it with `from_estimator`.

    Parameters
    ----------
    grad_norm : array-like of shape (n_iterations + 1,)
        Norm of the gradient of F divided by the sum of the weights, in scaled units.
    mu : array-like of shape (n_iterations + 1,)
        Damping parameter, in units of the largest diagonal entry of the Gram matrix at the start.
    gain_ratio : array-like of shape (n_iterations + 1,)
        Actual over predicted reduction of the accepted step; NaN at the start.
    validation_failures : array-like of shape (n_iterations + 1,) or None, default=None
        Number of iterations since the smallest validation error so far. None: without this panel.
    n_iter_no_change : int or None, default=None
        Number of failures that ends the fit, shown as a line.

    Attributes
    ----------
    columns : dict of str to ndarray
        Quantity of each panel, by name.
    n_iter_no_change : int or None
        Number of failures that ends the fit.
    lines_ : dict of str to matplotlib Line2D
        Line of each panel.
    axes_ : ndarray of matplotlib Axes
        All axes.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    TrainingCurveDisplay : Errors of the sets against the iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import LMRegressor, TrainingStateDisplay
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = LMRegressor(3, random_state=0).fit(X, np.tanh(2 * X[:, 0]))
    >>> list(TrainingStateDisplay.from_estimator(model).lines_)
    ['grad_norm', 'mu', 'gain_ratio']
    """

    def __init__(
        self, grad_norm: Any, mu: Any, gain_ratio: Any, validation_failures: Any = None, *, n_iter_no_change: Any = None
    ):
        given = {
            "grad_norm": grad_norm,
            "mu": mu,
            "gain_ratio": gain_ratio,
            "validation_failures": validation_failures,
        }
        self.columns = {name: np.asarray(column, dtype=float) for name, column in given.items() if column is not None}
        self.n_iter_no_change = n_iter_no_change

    def plot(self, ax: Any = None) -> "TrainingStateDisplay":
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            One for each panel, or one that is replaced by the panels. None creates a figure.

        Returns
        -------
        TrainingStateDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        names = list(self.columns)
        axes = panels(ax, len(names), shape=(len(names), 1), size=(6.4, 1.5 * len(names) + 0.7))
        n = len(self.columns["mu"])
        self.lines_ = {}
        for name, panel in zip(names, axes, strict=True):
            self.lines_[name] = self._draw(panel, name, self.columns[name])
            plain(panel)
            iterations(panel, n)
            if panel is not axes[-1]:
                panel.sharex(axes[-1])
                panel.tick_params(labelbottom=False)
        axes[0].set_title("Training state")
        axes[-1].set_xlabel("iteration")
        axes[0].figure.align_ylabels(axes)
        self.axes_, self.figure_ = np.array(axes), axes[0].figure
        return self

    def _draw(self, ax: Any, name: str, column: np.ndarray) -> Any:
        """Draw one panel, and return its line."""
        marker = "o" if len(column) <= FEW_POINTS else ""
        ax.set_ylabel(LABELS[name])
        if name == "validation_failures":
            return self._draw_failures(ax, column)
        if name == "gain_ratio":
            ax.axhline(1, color=GREY, linewidth=1, linestyle="--")
            ax.annotate(
                "1: as predicted", (1, 1), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="bottom", fontsize="small", color=GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}, zorder=3,
            )  # fmt: skip
            finite = column[np.isfinite(column)]
            if len(finite):  # rounding errors dominate a ratio of two tiny reductions: it must not set the limits
                low, high = np.clip([finite.min(), finite.max()], [-0.5, 1.2], [0.0, 3.0])
                ax.set_ylim(low - 0.1, high + 0.2)
            else:
                ax.set_ylim(0, 2)
        else:
            log_axis(ax, column)
        return ax.plot(column, color=BLUE, linewidth=1.6, marker=marker, markersize=4)[0]

    def _draw_failures(self, ax: Any, column: np.ndarray) -> Any:
        """Draw the panel of the validation failures, and return its line."""
        from matplotlib.ticker import MaxNLocator

        color = STYLES["validation"].color
        line = ax.plot(column, color=color, linewidth=1.6, drawstyle="steps-mid", marker="s", markersize=3.5)[0]
        top = max(column.max(), 1)
        if self.n_iter_no_change is not None:
            top = max(top, self.n_iter_no_change)
            ax.axhline(self.n_iter_no_change, color=GREY, linewidth=1, linestyle="--")
            ax.annotate(
                "the fit ends", (0, self.n_iter_no_change), (6, -2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="left", va="top", fontsize="small", color=GREY,
            )  # fmt: skip
        ax.set_ylim(-0.08 * top, 1.12 * top)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        return line

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "TrainingStateDisplay":
        """Draw the training state of a fitted model.

        Parameters
        ----------
        estimator : estimator object
            Fitted LMRegressor; or a Pipeline, TransformedTargetRegressor or search around one.
        ax : matplotlib Axes or sequence of Axes, default=None
            One for each panel, or one that is replaced by the panels. None creates a figure.

        Returns
        -------
        TrainingStateDisplay
            Object that holds the axes and artists.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no `history_`.
        """
        model, history = record(estimator)
        failures = None
        if "validation_mse" in history:
            failures = history.get("validation_failures", validation_failures(history["validation_mse"]))
        patience = getattr(model, "n_iter_no_change", None) if failures is not None else None
        columns = (history["grad_norm"], history["mu"], history["gain_ratio"], failures)
        return cls(*columns, n_iter_no_change=patience).plot(ax)
