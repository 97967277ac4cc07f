"""pyrenn: train_LM with its defaults, and its own Jacobian, a Python loop over the samples.

Its normalisation is set to ones, because the data are scaled. It has no callback, so its function for the Jacobian and
the error, called once per iteration, and the one for the error alone are wrapped.
"""

# mypy: disable-error-code="import-not-found"
from typing import Any

import numpy as np
import pyrenn
from network import unpack
from recorder import Limits, Outcome, Recorder
from tasks import Task

RTRL, CALC_ERROR = pyrenn.RTRL, pyrenn.calc_error


def make_net(task: Task, theta: np.ndarray) -> dict[str, Any]:
    """Return pyrenn's network with the given weights."""
    net = pyrenn.CreateNN(list(task.network))
    net["normP"], net["normY"] = np.ones(task.network[0]), np.ones(task.network[-1])
    coefs, intercepts = unpack(task.network, theta)
    inputs = {(1, 1, 0): coefs[0].T}
    connections = {(layer, layer - 1, 0): W.T for layer, W in enumerate(coefs[1:], start=2)}
    biases = dict(enumerate(intercepts, start=1))
    net["w"] = pyrenn.Wb2w(net, inputs, connections, biases)
    return net


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit, with errors reported by the wrapped functions."""
    net = make_net(task, theta)
    recorder = Recorder(limits)

    def counted_jacobian(*args: Any) -> Any:
        recorder.iterate()
        result = RTRL(*args)
        recorder.see(result[1] / task.Y.size)
        return result

    def recorded_error(*args: Any) -> float:
        error = CALC_ERROR(*args)
        recorder.see(error / task.Y.size)
        return error

    pyrenn.RTRL, pyrenn.calc_error = counted_jacobian, recorded_error
    with recorder:
        pyrenn.train_LM(task.X.T, task.Y.T, net, k_max=10**6, E_stop=0.0)
    return recorder.outcome()
