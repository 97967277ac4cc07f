"""Output against target, set by set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import check_split, choose_output, in_order, parts
from ._style import STYLES, legend, markers, padded, panels, plain


class RegressionDisplay:
    """Output of the model against the target, one panel per set and one for all sets.

    Each panel shows the line output = target, the least-squares line of output on target, and Pearson's correlation
    coefficient R. Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    targets : dict of {"train", "validation", "test", "all"} to array-like of shape (n_rows,)
        Targets of each set, in units of y.
    outputs : dict of str to array-like of shape (n_rows,)
        Outputs of each set, with the keys of `targets`. For several sets, "all" is added.

    Attributes
    ----------
    targets, outputs : dict of str to ndarray
        Data of each set.
    r_ : dict of str to float
        Pearson's correlation coefficient; NaN if target or output is constant.
    slope_, intercept_ : dict of str to float
        Least-squares line, ``output = intercept + slope * target``; NaN if the target is constant.
    points_, identity_lines_ : dict of str to matplotlib Line2D
        Data and line output = target of each panel.
    fit_lines_ : dict of str to matplotlib Line2D or None
        Least-squares line of each panel; None if the target is constant.
    axes_ : ndarray of matplotlib Axes
        All axes.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    ErrorHistogramDisplay : Distribution of the errors.
    sklearn.metrics.PredictionErrorDisplay : Residuals or predictions of any regressor.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import RegressionDisplay
    >>> display = RegressionDisplay.from_predictions([0.0, 1.0, 2.0], [0.1, 0.9, 2.1])
    >>> round(display.r_["all"], 3)
    0.993
    """

    def __init__(self, targets: Mapping[str, Any], outputs: Mapping[str, Any]):
        self.targets = in_order({name: np.asarray(values, dtype=float) for name, values in targets.items()})
        self.outputs = in_order({name: np.asarray(values, dtype=float) for name, values in outputs.items()})
        if len(self.targets) > 1 and "all" not in self.targets:
            self.targets["all"] = np.concatenate(list(self.targets.values()))
            self.outputs["all"] = np.concatenate(list(self.outputs.values()))

    def plot(self, ax: Any = None) -> "RegressionDisplay":
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            One for each panel, or one that is replaced by the panels. None creates a figure.

        Returns
        -------
        RegressionDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n = len(self.targets)
        shape = {1: (1, 1), 2: (1, 2), 3: (1, 3)}.get(n, (2, 2))
        axes = panels(ax, n, shape=shape, size=(3.6 * shape[1] + 0.4, 3.7 * shape[0]))
        values = np.concatenate([*self.targets.values(), *self.outputs.values()])
        limits = padded(values.min(), values.max())
        self.r_: dict[str, float] = {}
        self.slope_: dict[str, float] = {}
        self.intercept_: dict[str, float] = {}
        self.points_: dict[str, Any] = {}
        self.identity_lines_: dict[str, Any] = {}
        self.fit_lines_: dict[str, Any] = {}
        for name, panel in zip(self.targets, axes, strict=True):
            self._draw(panel, name, limits)
        for i, panel in enumerate(axes):  # shared limits: numbers on the outer panels only
            spec = panel.get_subplotspec()
            is_new = ax is None or np.ndim(ax) == 0
            if spec is None or not is_new or n == 1 or spec.is_last_row():
                panel.set_xlabel("target (units of y)")
            else:
                panel.tick_params(labelbottom=False)
            if i % shape[1] == 0 or not is_new:
                panel.set_ylabel("output (units of y)")
            else:
                panel.tick_params(labelleft=False)
        self.axes_, self.figure_ = np.array(axes), axes[0].figure
        return self

    def _draw(self, ax: Any, name: str, limits: tuple[float, float]) -> None:
        """Draw the panel of one set."""
        from matplotlib.ticker import MaxNLocator

        target, output = self.targets[name], self.outputs[name]
        r, slope, intercept = correlation(target, output)
        self.r_[name], self.slope_[name], self.intercept_[name] = r, slope, intercept
        style = STYLES[name]
        (self.points_[name],) = ax.plot(target, output, style.marker, color=style.color, **markers(len(target)))
        (self.identity_lines_[name],) = ax.plot(
            limits, limits, color="0.35", linewidth=1, linestyle=":", label="output = target"
        )
        self.fit_lines_[name] = None
        if np.isfinite(slope):
            sign = "+" if intercept >= 0 else "$-$"
            (self.fit_lines_[name],) = ax.plot(
                limits, [intercept + slope * x for x in limits], color="#CC79A7", linewidth=1.4, linestyle="--",
                label=f"{slope:.4g} target {sign} {abs(intercept):.1g}",
            )  # fmt: skip
        plain(ax)
        ax.set(xlim=limits, ylim=limits)
        ax.set_title(f"{name}: {format_r(r)}", fontsize="medium")
        ax.set_box_aspect(1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
        ax.ticklabel_format(scilimits=(-3, 4), useMathText=True)
        place = "upper left" if r > 0.5 else "best"  # no points there if they lie along the diagonal
        legend(ax, fontsize="small", loc=place, borderaxespad=0.2)

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
        ax: Any = None,
    ) -> "RegressionDisplay":
        """Draw the predictions of a fitted model.

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
        ax : matplotlib Axes or sequence of Axes, default=None
            One for each panel, or one that is replaced by the panels. None creates a figure.

        Returns
        -------
        RegressionDisplay
            Object that holds the axes and artists.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the split contains rows that X does not have, or the output does not exist.
        """
        found = parts(estimator, X, y, X_val, y_val, split)
        targets = {name: choose_output(part.target, output) for name, part in found.items()}
        outputs = {name: choose_output(part.output, output) for name, part in found.items()}
        return cls(targets, outputs).plot(ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, split: Any = None, output: int | None = None, ax: Any = None
    ) -> "RegressionDisplay":
        """Draw given predictions.

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
        ax : matplotlib Axes or sequence of Axes, default=None
            One for each panel, or one that is replaced by the panels. None creates a figure.

        Returns
        -------
        RegressionDisplay
            Object that holds the axes and artists.
        """
        columns = [np.asarray(values, dtype=float).reshape(len(values), -1) for values in (y_true, y_pred)]
        indices = check_split({"all": np.arange(len(y_true))} if split is None else split, len(y_true))
        both = [{name: choose_output(values[rows], output) for name, rows in indices.items()} for values in columns]
        return cls(*both).plot(ax)


def correlation(target: np.ndarray, output: np.ndarray) -> tuple[float, float, float]:
    """Return R, and slope and intercept of the least-squares line of output on target."""
    x, z = target - target.mean(), output - output.mean()
    xx, xz, zz = x @ x, x @ z, z @ z
    if xx <= (1e-15 * np.abs(target).max(initial=0)) ** 2 * len(x):
        return np.nan, np.nan, np.nan
    slope = xz / xx
    r = xz / np.sqrt(xx) / np.sqrt(zz) if zz > 0 else np.nan
    return float(r), float(slope), float(output.mean() - slope * target.mean())


def format_r(r: float) -> str:
    """Return R for a title, as 1 - ... if it is close to 1."""
    if np.isnan(r):
        return "R undefined"
    if 1e-15 < 1 - r < 1e-4:
        return f"R = 1 $-$ {1 - r:.0e}"
    return f"R = {r:.4f}"
