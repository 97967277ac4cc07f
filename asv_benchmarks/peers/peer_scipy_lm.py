"""scipy.optimize.least_squares(method="lm"): MINPACK's lmder, a QR factorisation of the whole Jacobian per step."""

import numpy as np
from peer_scipy import least_squares_fit
from recorder import Limits, Outcome
from tasks import Task


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    return least_squares_fit("lm", task, theta, limits)
