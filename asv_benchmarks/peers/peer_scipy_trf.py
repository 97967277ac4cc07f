"""scipy.optimize.least_squares(method="trf"), its default: a trust region, an SVD of the whole Jacobian per step."""

import numpy as np
from peer_scipy import least_squares_fit
from recorder import Limits, Outcome
from tasks import Task


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    return least_squares_fit("trf", task, theta, limits)
