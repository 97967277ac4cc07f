"""A curve through data."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._source import check_output, parts, unwrap
from ._style import STYLES, legend, markers, n_rows, panels, plain


class FitDisplay:
    """The model as a function of one input, with the data and their errors.

    Create it with `from_estimator`.

    Parameters
    ----------
    x : dict of {"train", "validation", "test", "all"} to array-like of shape (n_rows,)
        Input of each set.
    targets : dict of str to array-like of shape (n_rows,)
        Target of each set.
    errors : dict of str to array-like of shape (n_rows,)
        Target minus output of each set.
    grid_x : array-like of shape (n_grid,)
        Input of the curve.
    grid_y : array-like of shape (n_grid,)
        Output of the model at `grid_x`.
    grid_std : array-like of shape (n_grid,) or None, default=None
        Standard deviation at `grid_x`, for a band of two standard deviations on either side.
    x_name : str, default="x"
        Label of the input.
    y_name : str, default="y"
        Label of the output.
    note : str, default=""
        Addition to the title that says which inputs are fixed.

    Attributes
    ----------
    x, targets, errors : dict of str to ndarray
        Data of each set.
    curve_ : matplotlib Line2D
        Curve of the model.
    band_ : matplotlib PolyCollection or None
        Band around the curve.
    points_ : dict of str to matplotlib Line2D
        Targets of each set.
    error_points_ : dict of str to matplotlib Line2D
        Errors of each set in the lower panel; empty without this panel.
    stems_ : dict of str to matplotlib LineCollection
        Lines from the output to the target; empty unless ``show_errors="stems"``.
    axes_ : ndarray of matplotlib Axes
        All axes.
    ax_ : matplotlib Axes
        Axes of the curve.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    RegressionDisplay : Output against target, for any number of inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import FitDisplay, LMRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> y = np.tanh(2 * X[:, 0])
    >>> display = FitDisplay.from_estimator(LMRegressor(3, random_state=0).fit(X, y), X, y)
    >>> display.curve_.get_xdata().shape
    (400,)
    """

    def __init__(
        self,
        x: Mapping[str, Any],
        targets: Mapping[str, Any],
        errors: Mapping[str, Any],
        grid_x: Any,
        grid_y: Any,
        grid_std: Any = None,
        *,
        x_name: str = "x",
        y_name: str = "y",
        note: str = "",
    ):
        self.x = {name: np.asarray(values, dtype=float) for name, values in x.items()}
        self.targets = {name: np.asarray(values, dtype=float) for name, values in targets.items()}
        self.errors = {name: np.asarray(values, dtype=float) for name, values in errors.items()}
        self.grid_x, self.grid_y = np.asarray(grid_x, dtype=float), np.asarray(grid_y, dtype=float)
        self.grid_std = None if grid_std is None else np.asarray(grid_std, dtype=float)
        self.x_name, self.y_name, self.note = x_name, y_name, note

    def plot(self, ax: Any = None, *, show_errors: str | None = "panel") -> "FitDisplay":
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two Axes, default=None
            Axes of the curve and of the errors, or one that is replaced by both. None creates a figure.
        show_errors : {"panel", "stems"} or None, default="panel"
            Show the errors in a panel below the curve, as lines from the data to the output, or not at all.

        Returns
        -------
        FitDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if show_errors not in ("panel", "stems", None):
            raise ValueError(f'show_errors must be "panel", "stems" or None. Got {show_errors!r} instead.')
        if show_errors == "panel":
            axes = panels(ax, 2, shape=(2, 1), size=(6.4, 5.2), height_ratios=[3, 1])
        else:
            axes = panels(ax, 1, shape=(1, 1), size=(6.4, 4.2))
        top, bottom = axes[0], axes[-1]
        self.points_: dict[str, Any] = {}
        self.error_points_: dict[str, Any] = {}
        self.stems_: dict[str, Any] = {}
        # There are fewer held-out rows: they are drawn over the training rows, and the curve over both.
        look = markers(sum(map(len, self.x.values())))
        for name, x in self.x.items():
            style = STYLES[name]
            if show_errors == "stems":
                output = self.targets[name] - self.errors[name]
                self.stems_[name] = top.vlines(x, output, self.targets[name], color=style.color, linewidth=0.8)
            (self.points_[name],) = top.plot(
                x, self.targets[name], style.marker, color=style.color, label=n_rows(name, len(x)), **look
            )
        self.band_ = None
        if self.grid_std is not None:
            below, above = self.grid_y - 2 * self.grid_std, self.grid_y + 2 * self.grid_std
            self.band_ = top.fill_between(
                self.grid_x, below, above, color="0.8", alpha=0.7, linewidth=0, zorder=1,
                label="$\\pm$ 2 standard deviations",
            )  # fmt: skip
        (self.curve_,) = top.plot(self.grid_x, self.grid_y, color="black", linewidth=1.3, zorder=3, label="model")
        plain(top)
        top.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
        top.set_title(f"Fit, {self.note}" if self.note else "Fit")
        top.set_ylabel(self.y_name)
        legend(top, fontsize="small")
        if show_errors == "panel":
            self._draw_errors(bottom, look)
            bottom.sharex(top)
            top.tick_params(labelbottom=False)
            top.figure.align_ylabels(axes)
        bottom.set_xlabel(self.x_name)
        self.axes_, self.ax_, self.figure_ = np.array(axes), top, top.figure
        return self

    def _draw_errors(self, ax: Any, look: dict[str, Any]) -> None:
        """Draw the panel of the errors."""
        ax.axhline(0, color="0.35", linewidth=1)
        for name, x in self.x.items():
            style = STYLES[name]
            (self.error_points_[name],) = ax.plot(x, self.errors[name], style.marker, color=style.color, **look)
        largest = max(np.abs(errors).max() for errors in self.errors.values()) or 1.0
        ax.set_ylim(-1.15 * largest, 1.15 * largest)
        plain(ax)
        ax.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
        ax.set_ylabel("target\n$-$ output")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        feature: int | str = 0,
        output: int = 0,
        X_val: Any = None,
        y_val: Any = None,
        split: Any = "auto",
        std: bool | str = "auto",
        grid_resolution: int = 400,
        show_errors: str | None = "panel",
        ax: Any = None,
    ) -> "FitDisplay":
        """Draw a fitted model along one column of X.

        Parameters
        ----------
        estimator : estimator object
            Fitted LMRegressor; or a Pipeline, TransformedTargetRegressor or search around one, or any regressor.
        X : array-like of shape (n_samples, n_features)
            Inputs that were passed to `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets that were passed to `fit`.
        feature : int or str, default=0
            Number or, for a data frame, name of the column. For the curve the other columns have their medians (columns
            that are not numeric their most frequent value); the errors are those at the data.
        output : int, default=0
            Number of the output to show.
        X_val : array-like of shape (n_samples_val, n_features), default=None
            Inputs of the validation set, if it was passed to `fit`.
        y_val : array-like of shape (n_samples_val,) or (n_samples_val, n_outputs), default=None
            Targets of the validation set, if it was passed to `fit`.
        split : "auto", dict of str to array of int, or None, default="auto"
            Row numbers of each set. "auto": `split_indices_` of the model, without rows of zero weight. None: all rows
            in one set, for data that were not used in the fit.
        std : bool or "auto", default="auto"
            Draw a band of two standard deviations from ``predict(X, return_std=True)``. "auto": if `predict` of the
            model, or of the last step of a pipeline, accepts `return_std` and the model has standard deviations.
        grid_resolution : int, default=400
            Number of points of the curve.
        show_errors : {"panel", "stems"} or None, default="panel"
            Show the errors in a panel below the curve, as lines from the data to the output, or not at all.
        ax : matplotlib Axes or sequence of two Axes, default=None
            Axes of the curve and of the errors, or one that is replaced by both. None creates a figure.

        Returns
        -------
        FitDisplay
            Object that holds the axes and artists.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the feature or output does not exist, if the split contains rows that X does not have, or if ``std=True``
            and `predict` does not accept `return_std`.
        """
        predictor, _ = unwrap(estimator)
        found = parts(estimator, X, y, X_val, y_val, split)
        n_outputs = next(iter(found.values())).target.shape[1]
        check_output(output, n_outputs)
        number, x_name = _find(X, feature)
        x = {name: _column(part.X, number)[part.rows] for name, part in found.items()}
        low, high = min(part.min() for part in x.values()), max(part.max() for part in x.values())
        grid_x = np.linspace(low, high, grid_resolution)
        rows = np.concatenate([part.rows for part in found.values() if part.X is X])
        grid_y, grid_std = _predict(predictor, _grid(X, rows, number, grid_x), std)
        if grid_std is not None:
            grid_std = np.asarray(grid_std, dtype=float).reshape(grid_resolution, -1)
            grid_std = grid_std[:, output if grid_std.shape[1] == n_outputs else 0]  # or one for all
        return cls(
            x,
            {name: part.target[:, output] for name, part in found.items()},
            {name: (part.target - part.output)[:, output] for name, part in found.items()},
            grid_x,
            np.asarray(grid_y).reshape(grid_resolution, -1)[:, output],
            grid_std,
            x_name=x_name,
            y_name=_target_name(y, output, n_outputs),
            note="the other inputs at their medians" if np.shape(X)[1] > 1 else "",
        ).plot(ax, show_errors=show_errors)


def _find(X: Any, feature: int | str) -> tuple[int, str]:
    """Return number and label of a column."""
    names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    n_features = len(names) if names else np.shape(X)[1]
    if isinstance(feature, str):
        if names is None or feature not in names:
            raise ValueError(f"feature={feature!r}: X has no such column. Its columns are {names or 'numbered'}.")
        return names.index(feature), feature
    if not 0 <= feature < n_features:
        raise ValueError(f"feature={feature!r}: X has {n_features} columns, numbered from 0.")
    return feature, names[feature] if names else "x" if n_features == 1 else f"column {feature} of X"


def _column(X: Any, number: int) -> np.ndarray:
    return np.asarray(X.iloc[:, number] if hasattr(X, "iloc") else np.asarray(X)[:, number], dtype=float)


def _grid(X: Any, rows: np.ndarray, number: int, values: np.ndarray) -> Any:
    """Return rows like those of X, with `values` in one column and the median or mode in each other column."""
    if not hasattr(X, "iloc"):
        shown = np.asarray(X)[rows]
        grid = np.tile(np.median(shown.astype(float), axis=0), (len(values), 1))
        grid[:, number] = values
        return grid
    shown = X.iloc[rows]
    middle = {
        name: shown[name].median() if shown[name].dtype.kind in "iuf" else shown[name].mode().iloc[0]
        for name in shown.columns
    }
    middle[X.columns[number]] = values
    return type(X)(middle, columns=X.columns, index=range(len(values)))


def _predict(predictor: Any, grid: Any, std: bool | str) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and, where it is to be had and wanted, standard deviation."""
    if std not in (True, False, "auto"):
        raise ValueError(f'std must be True, False or "auto". Got {std!r} instead.')
    predict: Callable[..., tuple[np.ndarray, np.ndarray]] = predictor.predict
    last = predictor
    while hasattr(last, "steps"):  # Pipeline.predict passes return_std to its last step
        last = last.steps[-1][1]
    is_known = "return_std" in inspect.signature(last.predict).parameters
    if std is True and not is_known:
        raise ValueError(
            f"std=True: predict of {type(last).__name__} has no return_std. Pass an estimator that gives a "
            'standard deviation, or std="auto".'
        )
    if std is True:
        return predict(grid, return_std=True)
    if std == "auto" and is_known:
        try:
            return predict(grid, return_std=True)
        except (AttributeError, ValueError):  # it accepts return_std, but this fit has no standard deviations
            pass
    return np.asarray(predictor.predict(grid), dtype=float), None


def _target_name(y: Any, output: int, n_outputs: int) -> str:
    if getattr(y, "name", None) is not None:
        return str(y.name)
    if hasattr(y, "columns"):
        return str(y.columns[output])
    return "y" if n_outputs == 1 else f"output {output} of y"
