"""Rows with their weights, ready for the kernels."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from .out_of_core import Part, Source, parts, sweep
from .reductions import weighted_sum
from .scaling import Scaling


class Rows(NamedTuple):
    """A set of rows with their weights, ready for the kernels (`make_rows`)."""

    # (n_rows, n_inputs), as the caller gave it: kernels scale it block by block, and a source is read part by part
    X: np.ndarray | Source
    Y: np.ndarray  # (n_rows, n_outputs), scaled
    root_weight: np.ndarray  # (n_rows,), square roots of the weights
    weight: float  # sum of the weights

    def parts(self) -> Iterable[Part]:
        """What the kernels take, one part after the other; all rows at once if they are in memory."""
        return parts(self.X, self.Y, self.root_weight)

    def total(self, function: Callable, *arguments: Any) -> np.ndarray:
        """Return an array that the function makes of these rows, given the arguments."""
        return function(self, *arguments)

    def rescaled(self, factor: np.ndarray) -> "Rows":
        """The same with targets multiplied by a factor per output."""
        return self._replace(Y=read_only(self.Y * factor))

    def mean_power(self, centre: np.ndarray, power: int) -> np.ndarray:
        """Weighted mean of (y - centre)^power over the rows."""
        sums, begin = np.zeros_like(centre), 0
        for Y in sweep(self.Y):
            share = self.root_weight[begin : begin + len(Y)] ** 2 / self.weight
            sums += weighted_sum(share, (Y - centre) ** power)
            begin += len(Y)
        return sums


def make_rows(X: np.ndarray | Source, Y: np.ndarray, weight: np.ndarray, y_scaling: Scaling) -> Rows:
    with np.errstate(over="ignore"):  # a validation set may be far away from the training set: its error is inf
        Y = np.ascontiguousarray(y_scaling.forward(Y))
    if isinstance(X, Source):
        X = X.in_place()
    if isinstance(X, np.ndarray):
        X = read_only(X)
    return Rows(X, read_only(Y), read_only(np.sqrt(weight)), float(weight.sum()))


def read_only(array: np.ndarray) -> np.ndarray:
    """A contiguous, read-only view: one compiled variant for every caller, and nobody's data can be changed."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
