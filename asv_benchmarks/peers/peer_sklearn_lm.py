"""LMRegressor of this package with its defaults (projection and acceleration), and one start.

It has a goal and a history, so its loop is not changed. The start is set as a user could do it: one iteration creates
the fitted attributes, the weights are overwritten, and `warm_start` continues from them.
"""

import warnings

import numpy as np
from network import unpack
from recorder import Limits, Outcome
from sklearn.exceptions import ConvergenceWarning
from tasks import Task

from sklearn_lm import LMRegressor


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit from the given start."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # the outcome contains the ending
    subset = slice(len(theta))  # rows for the first iteration
    model = LMRegressor(task.network[1:-1], alpha=0.0, scaling=None, n_starts=1, warm_start=True, max_iter=1)
    model.fit(task.X[subset], task.Y[subset])
    model.coefs_, model.intercepts_ = unpack(task.network, theta)
    model.set_params(goal=limits.target, max_time=limits.seconds, max_iter=limits.iterations)
    model.fit(task.X, task.Y)
    history = model.history_
    ending = "ended"
    if history["train_mse"][-1] <= limits.target:
        ending = "reached"
    elif history["time"][-1] >= limits.seconds:
        ending = "time-out"
    return Outcome(float(history["train_mse"].min()), float(history["time"][-1]), model.n_iter_, ending)
