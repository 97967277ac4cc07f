"""State of a fit as plain data, from which it continues to the same bits: for a warm start, and for a checkpoint."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._data.yeo_johnson import Scalings
from .._network.penalty import Precisions
from .._optimize.state import OptimizerSnapshot
from .history import Row

# Iterations before the first evaluation of the evidence.
FIRST = 5


class Start(NamedTuple):
    """Starting point of a start run."""

    family: str
    theta: np.ndarray
    precisions: Precisions | None = None  # the first ones, if they are found by the evidence
    first_update: int = FIRST  # iterations with these


class BestEvidence(NamedTuple):
    """The state of the largest evidence."""

    log_evidence: float
    iteration: int
    theta: np.ndarray
    gamma: np.ndarray  # (n_parameters,), how far the data determine each
    # Precisions under which theta was linearized, and those that the linearization was moved to since: only the same
    # moves give its bits again.
    hyperparameter_history: Sequence[Precisions]
    rescalings: Sequence[np.ndarray]  # as in `EvidenceState`

    @property
    def precisions(self) -> Precisions:
        return self.hyperparameter_history[-1]


class EvidenceState(NamedTuple):
    """State of the search for the largest evidence."""

    precisions: Precisions
    rescalings: Sequence[np.ndarray] = ()  # factors that the targets of each output were multiplied by, in order
    restart_iteration: int = 0
    n_restarts: int = 0
    pause: int = 0  # the iteration of the next evaluation
    n_evaluations: int = 0
    n_unimproved: int = 0  # evaluations since the evidence last rose
    reference: float = -math.inf  # the evidence then
    best: BestEvidence | None = None


class RunSnapshot(NamedTuple):
    """A start run at an iteration that was just reported: at its theta nothing was evaluated but F."""

    number: int
    start: Start
    optimizer: OptimizerSnapshot | None = None  # None before the first iteration
    rows: Sequence[Row] = ()  # of the history
    best_theta: np.ndarray | None = None  # of the least validation error, with early stopping
    evidence: EvidenceState | None = None


class Snapshot(NamedTuple):
    """A fit of one network. Without theta it is a new one, of which the preparation of the data alone is known.

    A multistart that is continued and given more iterations ends as one that had them at once: runs are compared by
    their errors at the end of each rung, which the history keeps, and no run is dropped for good. What ended only by
    max_iter goes on, and all selections are made again.
    """

    scalings: Scalings  # those that the fit began with
    split_indices: dict[str, np.ndarray]
    theta: np.ndarray | None = None  # where to begin if the runs cannot be continued exactly
    precisions: Precisions | None = None  # and the precisions to begin with
    max_iter: int = 0  # of the calls of `fit` before
    runs: Sequence[RunSnapshot] = ()
    later: Sequence[RunSnapshot] = ()  # on all rows after the rungs on a subsample, and from the fallback starts
    seed: int = 0  # of the fallback starts
    is_screened: bool = False  # whether starts by the evidence are compared on a sample of the rows
    is_extra: bool = False  # whether theta is one start among new ones, and not the fit that is continued
