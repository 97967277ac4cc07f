"""torch-levenberg-marquardt: LevenbergMarquardtModule with its own damping and its defaults, all rows as one batch.

Two options differ from the defaults: float64, as for all, because the normal equations cannot reach the smaller targets
in float32; and Cholesky in place of QR for the damped equations, which its documentation calls the fast one: after a
failed factorisation it raises the damping. The Jacobian is its own (vmap of reverse mode).
"""

# mypy: disable-error-code="import-not-found"
import logging

import numpy as np
import torch
from network import unpack
from recorder import Limits, Outcome, Recorder
from tasks import Task
from torch_levenberg_marquardt.loss import MSELoss
from torch_levenberg_marquardt.training import LevenbergMarquardtModule


def network_module(task: Task, theta: np.ndarray) -> torch.nn.Sequential:
    """Return the network with the given weights."""
    layers: list[torch.nn.Module] = []
    for W, b in zip(*unpack(task.network, theta), strict=True):
        layer = torch.nn.Linear(*W.shape, dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(W.T.copy()), torch.tensor(b)
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def fit(task: Task, theta: np.ndarray, limits: Limits) -> Outcome:
    """Fit, one training step at a time."""
    logging.getLogger("torch_levenberg_marquardt").setLevel(logging.ERROR)
    X, Y = torch.tensor(task.X), torch.tensor(task.Y)
    module = LevenbergMarquardtModule(network_module(task, theta), MSELoss(), solve_method="cholesky")
    stop = False
    with Recorder(limits) as recorder:
        while not stop:
            recorder.iterate()
            _, loss, stop, _ = module.training_step(X, Y)
            recorder.see(loss.item())
    return recorder.outcome()
