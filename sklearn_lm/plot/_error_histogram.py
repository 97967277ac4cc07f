"""How large the errors are, set by set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import check_split, choose_output, in_order, parts
from ._style import STYLES, legend, n_rows, plain


class ErrorHistogramDisplay:
    """Stacked histogram of the errors, target minus output, by set.

    All sets share the same bins. Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    errors : dict of {"train", "validation", "test", "all"} to array-like of shape (n_rows,)
        Errors of each set, in units of y.

    Attributes
    ----------
    errors : dict of str to ndarray
        Errors of each set.
    edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins.
    counts_ : dict of str to ndarray of shape (n_bins,)
        Number of rows of each set in each bin.
    bars_ : dict of str to matplotlib BarContainer
        Bars of each set.
    zero_line_ : matplotlib Line2D
        Vertical line at zero.
    ax_ : matplotlib Axes
        Axes of the histogram.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    RegressionDisplay : Output against target.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import ErrorHistogramDisplay
    >>> display = ErrorHistogramDisplay.from_predictions([0.0, 1.0, 2.0], [0.1, 0.9, 2.1], bins=2)
    >>> display.counts_["all"].tolist()
    [2, 1]
    """

    def __init__(self, errors: Mapping[str, Any]):
        self.errors = in_order({name: np.asarray(values, dtype=float) for name, values in errors.items()})

    def plot(self, ax: Any = None, *, bins: Any = 20) -> "ErrorHistogramDisplay":
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        bins : int, str or array-like, default=20
            As in :func:`numpy.histogram_bin_edges`, for the errors of all sets together.

        Returns
        -------
        ErrorHistogramDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        self.edges_ = bin_edges(np.concatenate(list(self.errors.values())), bins)
        width = np.diff(self.edges_)
        bottom = np.zeros(len(width))
        self.counts_, self.bars_ = {}, {}
        for name, errors in self.errors.items():
            counts, _ = np.histogram(errors, self.edges_)
            self.counts_[name] = counts
            self.bars_[name] = ax.bar(
                self.edges_[:-1], counts, width, bottom, align="edge", color=STYLES[name].color, edgecolor="white",
                linewidth=0.6, label=n_rows(name, len(errors)),
            )  # fmt: skip
            bottom += counts
        self.zero_line_ = ax.axvline(0, color="black", linewidth=1.5, linestyle="--", label="no error")
        plain(ax)
        ax.grid(visible=False, axis="x")
        ax.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
        whole_numbers(ax)
        ax.set(xlabel="error, target $-$ output (units of y)", ylabel="number of rows", title="Errors")
        ax.set_ylim(0, (1.07 + 0.07 * len(self.errors)) * max(bottom.max(), 1))  # space for the legend
        legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        X_val: Any = None,
        y_val: Any = None,
        split: Any = "auto",
        output: int | None = None,
        bins: Any = 20,
        ax: Any = None,
    ) -> "ErrorHistogramDisplay":
        """Draw the errors of a fitted model.

        Parameters
        ----------
        estimator : estimator object
            Fitted LMRegressor; or a Pipeline, TransformedTargetRegressor or search around one, or any regressor.
        X : array-like of shape (n_samples, n_features)
            Inputs that were passed to `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets that were passed to `fit`.
        X_val : array-like of shape (n_samples_val, n_features), default=None
            Inputs of the validation set, if it was passed to `fit`.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_outputs), default=None
            Targets of the validation set, if it was passed to `fit`.
        split : "auto", dict of str to array of int, or None, default="auto"
            Row numbers of each set. "auto": `split_indices_` of the model, without rows of zero weight. None: all rows
            in one set, for data that were not used in the fit.
        output : int or None, default=None
            Number of the output to show. None: all outputs, pooled.
        bins : int, str or array-like, default=20
            As in :func:`numpy.histogram_bin_edges`, for the errors of all sets together.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        ErrorHistogramDisplay
            Object that holds the axes and artists.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the split contains rows that X does not have, or the output does not exist.
        """
        found = parts(estimator, X, y, X_val, y_val, split)
        errors = {name: choose_output(part.target - part.output, output) for name, part in found.items()}
        return cls(errors).plot(ax, bins=bins)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        split: Any = None,
        output: int | None = None,
        bins: Any = 20,
        ax: Any = None,
    ) -> "ErrorHistogramDisplay":
        """Draw the errors of given predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        split : dict of str to array of int or None, default=None
            Row numbers of each set, such as `split_indices_`. None: one set.
        output : int or None, default=None
            Number of the output to show. None: all outputs, pooled.
        bins : int, str or array-like, default=20
            As in :func:`numpy.histogram_bin_edges`, for the errors of all sets together.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        ErrorHistogramDisplay
            Object that holds the axes and artists.
        """
        error = np.asarray(y_true, dtype=float) - np.asarray(y_pred, dtype=float)
        error = error.reshape(len(error), -1)
        indices = check_split({"all": np.arange(len(error))} if split is None else split, len(error))
        return cls({name: choose_output(error[rows], output) for name, rows in indices.items()}).plot(ax, bins=bins)


def bin_edges(errors: np.ndarray, bins: Any) -> np.ndarray:
    """Return the edges of NumPy, or one bin if all errors are equal up to rounding."""
    low, high = errors.min(), errors.max()
    if np.ndim(bins) == 0 and high - low <= 1e3 * np.spacing(max(abs(low), abs(high))):
        half = abs(low) / 4 or 0.5
        return np.array([low - half, high + half])
    return np.histogram_bin_edges(errors, bins)


def whole_numbers(ax: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
