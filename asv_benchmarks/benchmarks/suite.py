"""Problems for the comparison of starts and steps: small networks on curves and surfaces of many kinds.

Each is a function without arguments that returns X, y and the hidden layers. Targets have variance 1 and noise with a
standard deviation of 0.05, like measured data. The networks are large enough for the functions.
"""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3

Problem = tuple[np.ndarray, np.ndarray, tuple[int, ...]]


NOISE = 0.05


def _noisy(y: np.ndarray) -> np.ndarray:
    """Return y scaled to variance 1, with noise."""
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return y + NOISE * np.random.default_rng(99).normal(size=y.shape)


def multimodal() -> Problem:
    x = np.arange(1, 301) / 300
    return x[:, None], _noisy(-x * np.sin(10 * x)), (6,)


def chirp() -> Problem:
    x = np.linspace(0, 1, 300)
    return x[:, None], _noisy(np.sin(2 * np.pi * (1 + 4 * x) * x)), (8,)


def steep_step() -> Problem:
    x = np.linspace(-1, 1, 200)
    return x[:, None], _noisy(np.tanh(60 * (x - 0.3)) + 0.5 * x), (3,)


def franke() -> Problem:
    """Return Franke's function."""
    X = np.random.default_rng(1).uniform(size=(400, 2))
    x, y = 9 * X[:, 0], 9 * X[:, 1]
    z = (
        0.75 * np.exp(-((x - 2) ** 2 + (y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
        + 0.5 * np.exp(-((x - 7) ** 2 + (y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((x - 4) ** 2) - (y - 7) ** 2)
    )
    return X, _noisy(z), (10,)


def peaks() -> Problem:
    """Return MATLAB's peaks function."""
    X = np.random.default_rng(2).uniform(-3, 3, size=(400, 2))
    x, y = X.T
    z = (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )
    return X, _noisy(z), (20,)


def ripple() -> Problem:
    X = np.random.default_rng(3).uniform(-3, 3, size=(500, 2))
    return X, _noisy(np.sinc(np.hypot(*X.T) * 2 / np.pi)), (14,)


def friedman1() -> Problem:
    X, y = make_friedman1(400, n_features=5, random_state=0)
    return X, _noisy(y), (8,)


def friedman2() -> Problem:
    X, y = make_friedman2(400, random_state=0)
    return X, _noisy(y), (6,)


def friedman3() -> Problem:
    X, y = make_friedman3(400, random_state=0)
    return X, _noisy(y), (10,)


def robot_arm() -> Problem:
    """Return the position of the hand of a two-link arm: two outputs."""
    q = np.random.default_rng(4).uniform([0.3, 0.4], [2.2, 2.2], size=(300, 2))
    hand = np.column_stack([2 * f(q[:, 0]) + 1.3 * f(q.sum(axis=1)) for f in (np.cos, np.sin)])
    return q, _noisy(hand), (8,)


def mackey_glass() -> Problem:
    """Return predictions of the Mackey-Glass series 6 steps ahead from four lags, tau = 17."""
    x = np.full(4000, 1.2)
    for t in range(18, len(x)):
        x[t] = x[t - 1] + 0.2 * x[t - 18] / (1 + x[t - 18] ** 10) - 0.1 * x[t - 1]
    x = x[400:]
    rows = np.arange(18, 18 + 450)
    X = np.column_stack([x[rows - lag] for lag in (0, 6, 12, 18)])
    return X, _noisy(x[rows + 6]), (8,)


def teacher() -> Problem:
    rng = np.random.default_rng(5)
    X = rng.uniform(-1, 1, size=(400, 6))
    hidden = np.tanh(X @ rng.normal(0, 1.2, (6, 5)) + rng.normal(0, 0.5, 5))
    return X, _noisy(hidden @ rng.normal(size=5)), (5,)


def deep_teacher() -> Problem:
    rng = np.random.default_rng(6)
    X = rng.uniform(-1, 1, size=(500, 2))
    hidden = np.tanh(X @ rng.normal(0, 2, (2, 5)) + rng.normal(0, 1, 5))
    hidden = np.tanh(hidden @ rng.normal(0, 1.5, (5, 4)) + rng.normal(0, 0.5, 4))
    return X, _noisy(hidden @ rng.normal(size=4)), (5, 4)


def two_outputs() -> Problem:
    X = np.random.default_rng(7).uniform(-2, 2, size=(300, 3))
    Y = np.column_stack([np.sinc(X.sum(axis=1)), X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2])])
    return X, _noisy(Y), (9,)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    problem.__name__: problem
    for problem in (
        multimodal, chirp, steep_step, franke, peaks, ripple, friedman1, friedman2, friedman3,
        robot_arm, mackey_glass, teacher, deep_teacher, two_outputs,
    )
}  # fmt: skip
