"""Output against target, set by set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import check_split, choose_output, in_order, parts
from ._style import STYLES, legend, markers, padded, panels, plain


class RegressionDisplay:
    """The model's output against the target, one panel for each set and one for all of them.

    Every panel has the line on which output equals target, the least-squares line of output on target, and the
    correlation coefficient R of the two.

    Parameters
    ----------
    targets, outputs : dict of {"train", "validation", "test", "all"} to array-like of shape (n_rows,)
        In units of y, with the same keys. Where there are several sets, "all" is made from them.

    Attributes
    ----------
    targets, outputs : dict of str to ndarray
    r_ : dict of str to float
        Pearson's correlation coefficient. NaN where target or output is constant.
    slope_, intercept_ : dict of str to float
        Of the least-squares line, ``output = intercept + slope * target``. NaN where the target is constant.
    points_, identity_lines_, fit_lines_ : dict of str to matplotlib Line2D
        Without a least-squares line the entry of `fit_lines_` is None.
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure
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
        ax : matplotlib axes or sequence of them, default=None
            One for each panel, or one whose place the panels take. None makes a figure.

        Returns
        -------
        display : RegressionDisplay
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
        place = "upper left" if r > 0.5 else "best"  # points along the diagonal leave that corner free
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
        estimator : LMRegressor
            Fitted; or a Pipeline, TransformedTargetRegressor or search around one, or any regressor.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The data that were passed to `fit`.
        X_val, y_val : array-like, default=None
            The validation set, if it was passed to `fit`.
        split : "auto", dict of str to array of int, or None, default="auto"
            Rows of X in each set. "auto": the model's own `split_indices_`, which leave out rows of weight zero.
            None: all rows in one set, for data that the fit did not see.
        output : int or None, default=None
            The output to show. None: all of them, pooled.
        ax : matplotlib axes or sequence of them, default=None

        Returns
        -------
        display : RegressionDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the split has rows that X has not, or there is no such output.
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
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        split : dict of str to array of int or None, default=None
            Rows in each set, such as `split_indices_`. None: one set.
        output, ax
            As in `from_estimator`.

        Returns
        -------
        display : RegressionDisplay
        """
        columns = [np.asarray(values, dtype=float).reshape(len(values), -1) for values in (y_true, y_pred)]
        indices = check_split({"all": np.arange(len(y_true))} if split is None else split, len(y_true))
        both = [{name: choose_output(values[rows], output) for name, rows in indices.items()} for values in columns]
        return cls(*both).plot(ax)


def correlation(target: np.ndarray, output: np.ndarray) -> tuple[float, float, float]:
    """R, and slope and intercept of the least-squares line of output on target."""
    x, z = target - target.mean(), output - output.mean()
    xx, xz, zz = x @ x, x @ z, z @ z
    if xx <= (1e-15 * np.abs(target).max(initial=0)) ** 2 * len(x):
        return np.nan, np.nan, np.nan
    slope = xz / xx
    r = xz / np.sqrt(xx) / np.sqrt(zz) if zz > 0 else np.nan
    return float(r), float(slope), float(output.mean() - slope * target.mean())


def format_r(r: float) -> str:
    """Close to one, what is missing says more than a row of nines."""
    if np.isnan(r):
        return "R undefined"
    if 1e-15 < 1 - r < 1e-4:
        return f"R = 1 $-$ {1 - r:.0e}"
    return f"R = {r:.4f}"
