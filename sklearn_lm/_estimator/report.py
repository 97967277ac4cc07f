"""Summary of a fitted model with diagnostics, and its history as a table."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .diagnostics import Finding, diagnose
from .prediction import Attributes, NetworkPredictor
from .quality import REMEDY


class Table(NamedTuple):
    """Cells as text. The first column is aligned to the left, and the last one too if it holds words."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    ends_in_words: bool = False

    @property
    def sides(self) -> list[str]:
        """Alignment of each column."""
        last = len(self.header) - 1 if self.ends_in_words else 0
        return ["left" if column in (0, last) else "right" for column in range(len(self.header))]

    def text(self) -> str:
        """Return the table with aligned columns."""
        lines = [self.header, *self.rows] if any(self.header) else [*self.rows]
        columns = [
            [cell.ljust(width) if side == "left" else cell.rjust(width) for cell in column]
            for column, side in zip(zip(*lines, strict=True), self.sides, strict=True)
            for width in [max(map(len, column))]
        ]
        return "\n".join([self.title, *(f"  {'  '.join(line)}".rstrip() for line in zip(*columns, strict=True))])

    def html(self) -> str:
        """Return the table as HTML."""

        def row(cells: tuple[str, ...], tag: str) -> str:
            columns = (
                f'<{tag} style="text-align:{side};padding:0 0.8em">{html.escape(cell)}</{tag}>'
                for cell, side in zip(cells, self.sides, strict=True)
            )
            return f"<tr>{''.join(columns)}</tr>"

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


def summarise(fitted: Attributes) -> Summary:
    """Return the summary of a fitted model from its attributes."""
    return Summary([_layers(fitted), _fit(fitted), _errors(fitted), _health(fitted)])


def _layers(fitted: Attributes) -> Table:
    """Return the table of layers with their numbers of parameters."""
    activations = (*fitted["hidden_activations_"], fitted["out_activation_"])
    rows, total = [], 0
    for number, (name, W, b) in enumerate(zip(activations, fitted["coefs_"], fitted["intercepts_"], strict=True), 1):
        n_parameters = W.size + b.size
        rows.append((f"{number}", f"{len(b)}", name, f"{W.shape[0]} x {W.shape[1]}", f"{len(b)}", f"{n_parameters}"))
        total += n_parameters
    rows.append(("all", "", "", "", "", f"{total}"))
    return Table("Layers", ("layer", "units", "activation", "weights", "biases", "parameters"), rows)


def _fit(fitted: Attributes) -> Table:
    """Return the table with the end and the cost of the fit."""
    history, networks = fitted["history_"], fitted.get("estimators_")
    phases = ", ".join(f"{name} {history[f'time_{name}'].sum():.3g}" for name in ("jacobian", "solve", "evaluate"))
    rows = [
        ("stopped because", fitted["stop_reason_"]),
        ("iterations", f"{fitted['n_iter_']}, best {fitted['best_iter_']}"),
        ("starts", f"{len(fitted['starts_']['fate'])}"),
        ("networks", f"{len(networks)}; these numbers are of the best") if networks else None,
        ("seconds", f"{history['time'][-1]:.3g} (of this start: {phases})"),
    ]
    return Table("Fit", ("", ""), [row for row in rows if row], ends_in_words=True)


def _errors(fitted: Attributes) -> Table:
    """Return the table of errors by set."""
    rows = []
    for name, n_rows in fitted["_set_sizes"].items():
        mse = fitted["history_"][f"{name}_mse"][fitted["best_iter_"]]
        rows.append((name, f"{n_rows}", f"{mse:.4g}", f"{np.sqrt(mse):.4g}"))
    return Table("Errors (RMSE in units of y)", ("set", "rows", "MSE", "RMSE"), rows)


def _health(fitted: Attributes) -> Table:
    """Return the table of diagnostics."""
    n_residuals = fitted["_set_sizes"]["train"] * fitted["n_outputs_"]
    is_fixed = not isinstance(fitted["alpha"], str) and fitted["alpha"] > 0
    penalty, loo = "estimated" if "alpha_" in fitted else "fixed" if is_fixed else "none", fitted.get("_loo")
    predictor = NetworkPredictor.from_attributes(fitted)
    findings = diagnose(predictor, n_residuals, penalty, np.nan if loo is None else loo.score)
    if (score := fitted.get("_neighbour_score")) is not None:
        advice = f"better than the fit. {REMEDY}"
        findings.insert(0, Finding("R2 of nearest neighbours", f"{score:.3g}", advice))
    return Table("Health", ("", "", ""), findings, ends_in_words=True)


class ReportMixin:
    """Add `summary`, `history_frame` and the notebook representation to `LMRegressor`."""

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
        return summarise(vars(self))

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
        columns = {"loss": vars(self)["loss_curve_"], **vars(self)["history_"]}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(columns["loss"]), name="iteration"))

    def _html_repr(self):
        """scikit-learn's diagram and, below it, the summary of a fitted model."""
        diagram = BaseEstimator._html_repr(self)
        if "coefs_" not in vars(self):
            return diagram
        return f"{diagram}<details><summary>Summary of the fit</summary>{summarise(vars(self))._repr_html_()}</details>"
