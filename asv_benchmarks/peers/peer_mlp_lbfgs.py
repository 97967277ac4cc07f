"""scikit-learn's MLPRegressor(solver="lbfgs"): no least-squares method, but the usual choice in scikit-learn.

The penalty is off, as for all, and `tol`, its bound on the gradient, is small. L-BFGS still ends if the loss, half the
error, falls by less than 2e-9 in an iteration, which is no parameter of MLPRegressor. Then `fit` is called again with
`warm_start`, as a user would do. An iteration is one evaluation of the loss and its gradient.
"""

import warnings
from typing import Any

import numpy as np
from network import unpack
from recorder import Limits, Outcome, Recorder
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from tasks import Task


class RecordedMLP(MLPRegressor):
    """MLPRegressor that reports the loss of every evaluation. It has no callback, so the method is wrapped."""

    recorder: Recorder | None = None

    def _backprop(self, *args: Any, **kwargs: Any) -> Any:
        if self.recorder:
            self.recorder.iterate()
        result = super()._backprop(*args, **kwargs)
        if self.recorder:
            self.recorder.see(2 * result[0])  # the loss is half the mean squared error
        return result


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit until the target, with new calls of `fit` as long as the error falls."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    y = task.Y if task.Y.shape[1] > 1 else task.Y[:, 0]
    options = {"alpha": 0.0, "tol": 1e-15, "max_fun": 10**9, "warm_start": True}
    model = RecordedMLP(hidden_layer_sizes=task.network[1:-1], activation="tanh", solver="lbfgs", max_iter=1, **options)
    model.fit(task.X, y)  # creates the fitted attributes
    model.coefs_, model.intercepts_ = unpack(task.network, theta)
    model.max_iter = 10**9
    recorder = model.recorder = Recorder(limits)
    previous = np.inf
    with recorder:
        model.fit(task.X, y)
        while recorder.best < previous:
            previous = recorder.best
            model.fit(task.X, y)
    return recorder.outcome()
