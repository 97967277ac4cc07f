"""Common part of the two methods of scipy.optimize.least_squares.

They use the analytic Jacobian of `network.py`; finite differences, the default, would take one pass over the data for
every parameter. The tolerances are near rounding, otherwise the fits would end above the targets; scales are the
defaults of the methods. An iteration is one Jacobian.
"""

import numpy as np
from network import jacobian, residuals
from recorder import Limits, Outcome, Recorder
from scipy.optimize import least_squares
from tasks import Task

TOLERANCE = 1e-15


def least_squares_fit(method: str, task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit, with errors reported by the residual function."""
    recorder = Recorder(limits)

    def recorded_residuals(theta: np.ndarray) -> np.ndarray:
        r = residuals(theta, task.network, task.X, task.Y)
        recorder.see(float(r @ r) / len(r))
        return r

    def counted_jacobian(theta: np.ndarray) -> np.ndarray:
        recorder.iterate()
        return jacobian(theta, task.network, task.X, task.Y)

    tolerances = {"ftol": TOLERANCE, "xtol": TOLERANCE, "gtol": TOLERANCE}
    with recorder:
        least_squares(recorded_residuals, theta, counted_jacobian, method=method, max_nfev=10**9, **tolerances)
    return recorder.outcome()
