"""Draws starts: how many, from which families, and the rows of their screening."""

import numpy as np

from .._data.blocks import RowSet
from .._data.rows import DataSet, Rows
from .._network.initialization import Sample, draw, mix
from .._network.objective import Problem
from .._network.topology import Network
from .multistart import RUNGS, SAMPLE_ROWS, affordable_starts
from .snapshot import Start

# With n_starts="auto", for penalties that are found by the fit.
MAX_EVIDENCE_STARTS = 5


def draw_starts(
    problem: Problem, train: RowSet, n_starts: int | str, init: str, rng: np.random.RandomState
) -> tuple[list[Start], Rows | None]:
    """Return new starts, and the screening rows, None if they are compared on all rows."""
    distinct, sample = data_sample(problem, train)
    if n_starts == "auto":
        n_starts = affordable(problem.network, train, distinct)
    assert isinstance(n_starts, int)
    families = mix(n_starts, problem.network.sizes[0], init)
    starts = [Start(family, draw(problem.network, family, sample, rng)) for family in families]
    return starts, _sample_rows(problem, train, distinct, n_starts)


def data_sample(problem: Problem, train: RowSet) -> tuple[DataSet, Sample]:
    """Return distinct rows, and the same scaled, for starts that are drawn with the data in view."""
    distinct = train.distinct(SAMPLE_ROWS)
    assert isinstance(distinct.X, np.ndarray)
    X, Y = problem.x_scaling.forward(distinct.X), problem.y_scaling.forward(distinct.Y)
    return distinct, Sample(X.T, distinct.weight / distinct.weight.sum(), Y)


def screening_rows(problem: Problem, train: RowSet, n_starts: int) -> Rows | None:
    """Return the screening rows alone, for a fit that is continued."""
    return _sample_rows(problem, train, train.distinct(SAMPLE_ROWS), n_starts) if n_starts > 1 else None


def n_evidence_starts(network: Network, train: RowSet, n_starts: int | str) -> tuple[int, bool]:
    """Return the number of starts by the evidence, and whether they are compared on screening rows.

    They are not if all rows afford them: the evidence of all rows decides better than that of some. A single start is,
    too, if there are many more rows, because starts of other kinds may follow (`fallback`).
    """
    wanted, on_all = MAX_EVIDENCE_STARTS if n_starts == "auto" else int(n_starts), affordable(network, train)
    if not network.is_nonlinear or on_all >= MAX_EVIDENCE_STARTS:
        return min(wanted, on_all) if n_starts == "auto" else wanted, False
    distinct = train.distinct(SAMPLE_ROWS)
    if n_starts == "auto":
        wanted = min(wanted, affordable(network, train, distinct))
    is_larger = train.total_weight() >= 2 * SAMPLE_ROWS
    return wanted, len(distinct.X) == SAMPLE_ROWS and (on_all < wanted or is_larger)


def affordable(network: Network, train: RowSet, distinct: DataSet | None = None) -> int:
    """Return the number of starts for n_starts="auto": on all rows, or on `distinct` if these are enough to screen."""
    if not network.is_nonlinear:
        return 1
    is_screened = distinct is not None and len(distinct.X) == SAMPLE_ROWS
    n_residuals = (SAMPLE_ROWS if is_screened else train.total_weight()) * train.Y.shape[1]
    return affordable_starts(n_residuals, network.n_parameters, sum(network.sizes[1:-1]))


def _sample_rows(problem: Problem, train: RowSet, distinct: DataSet, n_starts: int) -> Rows | None:
    """Return `distinct` as rows, None if there are fewer rows than for a sample, or no start to drop."""
    if len(distinct.X) < SAMPLE_ROWS or n_starts <= RUNGS[-1].at_least:
        return None
    # Each row stands for those that were left out, so that the penalty keeps its proportion.
    weight = distinct.weight * (train.total_weight() / distinct.weight.sum())
    return distinct._replace(weight=weight).rows(problem.y_scaling)
