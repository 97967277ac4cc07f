"""Sets of rows that this process reads: in the caller's units (`DataSet`), and ready for the kernels (`Rows`).

X is an array, or a `Source` that is read in parts. Rows in blocks that may be on a cluster have the same methods
(`blocks.BlockSet`, `blocks.BlockRows`), so that no caller asks which of the two it has (`RowSet`, `KernelRows`).
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from .._kernels import Driver, RowData, total_of_slots, work_on_rows
from .hashing import distinct_rows, fingerprint, thin_rows
from .out_of_core import Extent, Source, is_range, parts, sample_of, sweep_together
from .reductions import weighted_sum
from .scaling import ArrayColumns, Scaling
from .yeo_johnson import PowerTransform

Table = np.ndarray | Source | Extent
T = TypeVar("T")


class DataSet(NamedTuple):
    """Rows with their targets and weights, in the caller's units."""

    X: np.ndarray | Source  # (n_rows, n_inputs) float64, C order
    Y: np.ndarray  # (n_rows, n_outputs) float64
    weight: np.ndarray  # (n_rows,)

    def columns(self, name: str) -> ArrayColumns:
        """Return the columns of "X" or "Y", for sums over the rows."""
        return ArrayColumns(self.X if name == "X" else self.Y, self.weight)

    def take(self, rows: np.ndarray) -> "DataSet":
        """Return some of the rows, by ascending numbers. No copy is made of neighbouring rows, nor of a source."""
        if len(rows) == len(self.X):
            return self
        where = slice(int(rows[0]), int(rows[-1]) + 1) if is_range(rows) else rows
        X = self.X.take(rows) if isinstance(self.X, Source) else self.X[where]
        return DataSet(X, self.Y[where], self.weight[where])

    def total_weight(self) -> float:
        """Return the sum of the weights."""
        return float(self.weight.sum())

    def weighted_rows(self) -> np.ndarray:
        """Return the numbers of the rows whose weight is not zero."""
        return np.flatnonzero(self.weight > 0)

    def reduce(self, function: Callable[["DataSet"], T], merge: Callable[[T, T], T]) -> T:
        """Return the results of a function of one block of rows, merged over the blocks."""
        return function(self)

    def converted(self, function: Callable[["DataSet"], "DataSet"]) -> "DataSet":
        """Return the rows that a function makes of each block."""
        return function(self)

    def mapped(self, power: PowerTransform) -> "DataSet":
        """Return the rows with transformed inputs."""
        return self._replace(X=power.forward(self.X))

    def distinct(self, n_max: int) -> "DataSet":
        """Return at most `n_max` distinct rows, chosen by their hashes, each with the weight of all its copies."""
        rows, weight = distinct_rows(*self, n_max)
        return DataSet(self.X[rows], self.Y[rows], weight)

    def thinned(self, n_max: int) -> "DataSet":
        """Return at most `n_max` rows, chosen by their hashes."""
        return self.take(thin_rows(self.X, self.Y, n_max))

    def local(self, n_max: int) -> "DataSet":
        """Return all rows if this process reads them, else at most `n_max` of them."""
        return self

    def rows(self, y_scaling: Scaling) -> "Rows":
        """Return the rows ready for the kernels."""
        return make_rows(*self, y_scaling)

    def fingerprint(self) -> str:
        """Return a digest that is the same for equal rows, and practically never for others."""
        return fingerprint(self)


class Rows(NamedTuple):
    """Rows with scaled targets and square roots of weights, ready for the kernels (`make_rows`)."""

    # (n_rows, n_inputs), as the caller gave it: kernels scale it block by block, and a source is read part by part
    X: np.ndarray | Source
    Y: np.ndarray  # (n_rows, n_outputs), scaled
    root_weight: np.ndarray  # (n_rows,), square roots of the weights
    weight: float  # sum of the weights

    @property
    def sample(self) -> np.ndarray:
        """Inputs of some rows, evenly spread, for the model to keep."""
        return sample_of(self.X)

    def total(self, function: Callable[..., np.ndarray], *arguments: object) -> np.ndarray:
        """Return the sum over the blocks of the array that the function makes of each, given the arguments."""
        return function(self, *arguments)

    def reduce(
        self, driver: Driver, sums: np.ndarray, multiply_adds: float, x_scaling: np.ndarray, *arguments: object
    ) -> np.ndarray:
        """Return the total of the cross products that a driver adds up over all rows, block by block in order.

        Parameters
        ----------
        driver : Driver
            Called with `RowData` and the other arguments.
        sums : ndarray of shape (n_slots, n_sums)
            The sums of its slots. The first line becomes the total, which is a view of it.
        multiply_adds : float
            For each row.
        x_scaling : ndarray of shape (2, n_inputs)
        """
        first = 0
        for X, Y, root_weight in parts(self.X, self.Y, self.root_weight):
            data = RowData(X, Y, root_weight, x_scaling, first)
            driver(work_on_rows(len(X), len(sums), multiply_adds, first == 0), data, *arguments)
            first += len(X)
        return total_of_slots(sums)

    def rescaled(self, factor: np.ndarray) -> "Rows":
        """Return the rows with targets multiplied by a factor for each output."""
        return self._replace(Y=read_only(self.Y * factor))

    def mean_power(self, centre: np.ndarray, power: int) -> np.ndarray:
        """Return the weighted mean of (y - centre)^power over the rows."""
        sums = np.zeros_like(centre)
        for Y, root_weight in sweep_together(self.Y, self.root_weight):
            sums += weighted_sum(root_weight**2 / self.weight, (Y - centre) ** power)
        return sums


def make_rows(X: np.ndarray | Source, Y: np.ndarray, weight: np.ndarray, y_scaling: Scaling) -> Rows:
    """Return rows with scaled targets, in read-only arrays of the layout of the kernels."""
    with np.errstate(over="ignore"):  # a validation set may be far away from the training set: its error is inf
        Y = np.ascontiguousarray(y_scaling.forward(Y))
    if isinstance(X, Source):
        X = X.in_place()
    if isinstance(X, np.ndarray):
        X = read_only(X)
    return Rows(X, read_only(Y), read_only(np.sqrt(weight)), float(weight.sum()))


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a contiguous, read-only view: one compiled variant for every caller, and the data cannot be changed."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
