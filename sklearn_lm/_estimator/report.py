"""What a fitted model says of itself: a summary with a health report, and the record of the fit as a table."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .diagnostics import health


class Table(NamedTuple):
    """Cells as text; the first column is aligned to the left, and the last one too if it holds words."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    ends_in_words: bool = False

    def text(self) -> str:
        lines = [self.header, *self.rows] if any(self.header) else [*self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        last = len(widths) - 1 if self.ends_in_words else -1
        aligned = [
            "  ".join(
                cell.ljust(width) if column in (0, last) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *(f"  {line}" for line in aligned)])

    def html(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            last = len(cells) - 1 if self.ends_in_words else -1
            sides = ["left" if column in (0, last) else "right" for column in range(len(cells))]
            cells_html = (
                f'<{tag} style="text-align:{side};padding:0 0.8em">{html.escape(cell)}</{tag}>'
                for cell, side in zip(cells, sides, strict=True)
            )
            return f"<tr>{''.join(cells_html)}</tr>"

        head = row(self.header, "th") if any(self.header) else ""
        body = "".join(row(cells, "td") for cells in self.rows)
        return f"<table><caption><b>{html.escape(self.title)}</b></caption>{head}{body}</table>"


class Summary:
    """Printable summary of a fitted model; a notebook shows it as tables.

    Attributes
    ----------
    tables : list of Table
        Layers, fit, errors, health.
    """

    def __init__(self, tables: list[Table]):
        self.tables = tables

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "<div>" + "<br>".join(table.html() for table in self.tables) + "</div>"


def summarise(model: Any) -> Summary:
    """The summary of a fitted `LMRegressor`."""
    return Summary([_layers(model), _fit(model), _errors(model), _health(model)])


def _layers(model: Any) -> Table:
    activations = (*model.hidden_activations_, model.out_activation_)
    rows = [
        (f"{number}", f"{len(b)}", name, f"{W.shape[0]} x {W.shape[1]}", f"{len(b)}", f"{W.size + b.size}")
        for number, (W, b, name) in enumerate(zip(model.coefs_, model.intercepts_, activations, strict=True), start=1)
    ]
    total = sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True))
    rows.append(("all", "", "", "", "", f"{total}"))
    return Table("Layers", ("layer", "units", "activation", "weights", "biases", "parameters"), rows)


def _fit(model: Any) -> Table:
    history = model.history_
    seconds = history["time"][-1]
    phases = ", ".join(f"{name} {history[f'time_{name}'].sum():.3g}" for name in ("jacobian", "solve", "evaluate"))
    rows = [
        ("stopped because", model.stop_reason_),
        ("iterations", f"{model.n_iter_}, best {model.best_iter_}"),
        ("starts", f"{len(model.starts_['fate'])}"),
        *(
            [("networks", f"{len(model.estimators_)}; these numbers are of the best")]
            if hasattr(model, "estimators_")
            else []
        ),
        ("seconds", f"{seconds:.3g} (of this start: {phases})"),
    ]
    return Table("Fit", ("", ""), rows, ends_in_words=True)


def _errors(model: Any) -> Table:
    rows = []
    for name, n_rows in model._set_sizes.items():
        mse = model.history_[f"{name}_mse"][model.best_iter_]
        rows.append((name, f"{n_rows}", f"{mse:.4g}", f"{np.sqrt(mse):.4g}"))
    return Table("Errors (RMSE in units of y)", ("set", "rows", "MSE", "RMSE"), rows)


def _health(model: Any) -> Table:
    rows = [(finding.name, finding.value, finding.advice) for finding in health(model)]
    return Table("Health", ("", "", ""), rows, ends_in_words=True)


class ReportMixin:
    """Add `summary`, `history_frame` and the notebook representation to `LMRegressor`."""

    loss_curve_: list[float]
    history_: dict[str, np.ndarray]

    def summary(self):
        """Summarise layers, stopping reason, errors and diagnostics of the fit.

        The diagnostics report the rank of the Gram matrix J'J at the end of the fit, units that are saturated, constant
        or duplicates of others (on up to 256 training rows, which the model stores), and the number of residuals per
        parameter, each with advice.

        Returns
        -------
        Summary
            Object to print; a notebook shows it as tables.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(self)
        return summarise(self)

    def history_frame(self):
        """Return `history_` and the loss curve as a table with one row per iteration.

        Returns
        -------
        pandas.DataFrame
            Table indexed by the iteration; ``frame.to_csv("record.csv")`` writes it to a file.

        Raises
        ------
        ImportError
            If pandas is not installed.
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(self)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "history_frame needs pandas: pip install pandas. Or use history_, a dict of arrays."
            ) from error
        index = pd.RangeIndex(len(self.loss_curve_), name="iteration")
        return pd.DataFrame({"loss": self.loss_curve_, **self.history_}, index=index)

    def _html_repr(self):
        """scikit-learn's diagram and, below it, the summary of a fitted model."""
        diagram = BaseEstimator._html_repr(self)
        if not hasattr(self, "coefs_"):
            return diagram
        return f"{diagram}<details><summary>Summary of the fit</summary>{summarise(self)._repr_html_()}</details>"
