"""Four tasks (scaled data, a network, a target error) and the starting weights for all packages."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from network import Network, n_parameters, pack
from sklearn.datasets import make_friedman1


class Task(NamedTuple):
    """A regression of Y on X by a tanh network with linear outputs."""

    X: np.ndarray  # (n_samples, n_inputs)
    Y: np.ndarray  # (n_samples, n_outputs), scaled: the target error is in these units
    network: Network  # sizes of the layers, inputs and outputs included
    target: float  # mean of the squared residuals over samples and outputs

    def __str__(self) -> str:
        net = "-".join(str(size) for size in self.network)
        return f"{len(self.X):,} rows, {net} ({n_parameters(self.network):,} parameters), to MSE {self.target:g}"


def seed() -> Task:
    """Return a smooth curve and a network with more hidden layers than it needs, to a small error."""
    x = np.arange(1, 1001)[:, None] / 1000
    return Task(to_box(x), to_box(-x * np.sin(10 * x)), (1, 20, 20, 10, 1), 1e-8)


def friedman1() -> Task:
    """Return many rows and few parameters: the Jacobian is tall."""
    X, y = make_friedman1(10_000, n_features=5, noise=0.0, random_state=0)
    return Task(to_box(X), standardised(y[:, None]), (5, 30, 1), 1e-5)


def wide() -> Task:
    """Return many rows, two outputs and some thousand parameters: a full Jacobian takes 0.7 GB."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20_000, 10))
    Y = np.column_stack([np.sinc(X[:, :3].sum(1)) + X[:, 3] * X[:, 4], np.tanh(X @ rng.normal(size=10) / 3)])
    return Task(X, standardised(Y), (10, 40, 40, 2), 1e-3)


def tiny() -> Task:
    """Return a task for the overhead of calls. The target is 1.5 times the error of 100 iterations of LMRegressor."""
    x = np.linspace(0, 9, 94)[:, None]
    return Task(to_box(x), to_box(np.sin(x) + 0.1 * x + 0.05 * np.cos(7 * x)), (1, 10, 1), 4e-4)


TASKS: dict[str, Callable[[], Task]] = {"seed": seed, "friedman1": friedman1, "wide": wide, "tiny": tiny}


def to_box(Z: np.ndarray) -> np.ndarray:
    """Return the columns scaled to [-1, 1]."""
    low, high = Z.min(axis=0), Z.max(axis=0)
    return (2 * Z - (high + low)) / (high - low)


def standardised(Z: np.ndarray) -> np.ndarray:
    """Return the columns with mean 0 and variance 1."""
    return (Z - Z.mean(axis=0)) / Z.std(axis=0)


def start(network: Network, number: int) -> np.ndarray:
    """Return starting weights theta: Nguyen-Widrow in the hidden layers, Glorot in the output layer.

    It is the textbook rule for tanh units and inputs in [-1, 1] (Nguyen & Widrow, IJCNN 1990), not that of a package in
    the table.
    """
    rng = np.random.default_rng(number)
    coefs, intercepts = [], []
    for n_in, n_out in pairwise(network[:-1]):
        W = rng.uniform(-1.0, 1.0, size=(n_in, n_out))
        magnitude = 0.7 * n_out ** (1 / n_in)
        coefs.append(magnitude * W / np.linalg.norm(W, axis=0))
        intercepts.append(rng.uniform(-magnitude, magnitude, size=n_out))
    n_in, n_out = network[-2:]
    bound = np.sqrt(6 / (n_in + n_out))
    coefs.append(rng.uniform(-bound, bound, size=(n_in, n_out)))
    intercepts.append(np.zeros(n_out))
    return pack(coefs, intercepts)
