"""Problems of several inputs."""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_diabetes

from robustness.data import N_TEST, Data, Rng, Surface, observed, uniform


def franke(X: np.ndarray) -> np.ndarray:
    x, y = 9 * X.T
    return (
        0.75 * np.exp(-((x - 2) ** 2 + (y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
        + 0.5 * np.exp(-((x - 7) ** 2 + (y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((x - 4) ** 2) - (y - 7) ** 2)
    )


def peaks(X: np.ndarray) -> np.ndarray:
    """Return MATLAB's function of this name."""
    x, y = X.T
    first = 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
    return first - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2) - np.exp(-((x + 1) ** 2) - y**2) / 3


def branin(X: np.ndarray) -> np.ndarray:
    x, y = 15 * X[:, 0] - 5, 15 * X[:, 1]
    return (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


def borehole(X: np.ndarray) -> np.ndarray:
    """Return the flow of water through a borehole in m3 a year."""
    rw, r, tu, hu, tl, hl, length, kw = X.T
    log = np.log(r / rw)
    return 2 * np.pi * tu * (hu - hl) / (log * (1 + 2 * length * tu / (log * rw**2 * kw) + tu / tl))


def borehole_rows(rng: Rng) -> np.ndarray:
    low = [0.05, 100, 63070, 990, 63.1, 700, 1120, 9855]
    high = [0.15, 50000, 115600, 1110, 116, 820, 1680, 12045]
    return rng.uniform(low, high, (150, 8))


def friedman(X: np.ndarray) -> np.ndarray:
    return 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]


def with_interaction(X: np.ndarray) -> np.ndarray:
    return np.sin(3 * X[:, 0]) * X[:, 1] + np.abs(X[:, 2])


def collinear_rows(rng: Rng) -> np.ndarray:
    """Return five inputs, the last two of which are almost sums of the others."""
    X = rng.uniform(-1, 1, (100, 3))
    return np.c_[X, X[:, :2].sum(axis=1), X[:, 1:].sum(axis=1)] + 1e-4 * rng.normal(size=(100, 1))


def repeated_columns(rng: Rng) -> np.ndarray:
    """Return two inputs, each of them three times, and a constant one."""
    X = rng.uniform(-1, 1, (100, 2))
    return np.c_[X, X, X, np.full(100, 7.0)]


def one_hot_rows(rng: Rng) -> np.ndarray:
    """Return a number, and six columns for a category."""
    return np.c_[rng.uniform(0, 1, 180), np.eye(6)[rng.integers(6, size=180)]]


def one_hot(X: np.ndarray) -> np.ndarray:
    slopes, offsets = np.array([1, -1, 0, 2, 0.5, -2]), np.array([0, 2, -1, 1, 3, 0])
    return X[:, 0] * (X[:, 1:] @ slopes) + X[:, 1:] @ offsets


def category_codes(rng: Rng) -> np.ndarray:
    """Return a number, and a category as one column of codes without an order."""
    return np.c_[rng.uniform(0, 1, 180), rng.integers(8, size=180)]


def by_code(X: np.ndarray) -> np.ndarray:
    return np.array([0, 3, 1, -2, 2, 0.5, -1, 4])[X[:, 1].astype(int)] + X[:, 0]


def linear(n: int, n_inputs: int, noise: float) -> Surface:
    coef = np.random.default_rng(1).normal(size=n_inputs)
    return Surface(lambda rng: rng.normal(size=(n, n_inputs)), lambda X: X @ coef + 1, noise)


def vandermonde(rng: Rng) -> Data:
    """Return powers of x, 60 rows x 7 columns."""
    x, grid = np.linspace(0, 1, 60), np.linspace(0, 1, N_TEST)
    return observed(rng, np.vander(x, 7), np.vander(grid, 7), lambda X: np.cos(3 * X[:, -2]))


def diabetes(rng: Rng) -> Data:
    """Return measured data: a fifth of the rows are new ones."""
    X, y = load_diabetes(return_X_y=True)
    order = rng.permutation(len(y))
    new, rows = order[: len(y) // 5], order[len(y) // 5 :]
    return Data(X[rows], y[rows], X[new], y[new], y[new])


def mackey_glass(rng: Rng) -> Data:
    """Return the Mackey-Glass series 6 steps ahead of four lags, at some steps for the fit and at others."""
    x = np.full(2500, 1.2)
    for t in range(18, len(x)):
        x[t] = x[t - 1] + 0.2 * x[t - 18] / (1 + x[t - 18] ** 10) - 0.1 * x[t - 1]
    rows = rng.permutation(np.arange(500, 2400))[: 200 + N_TEST]
    X, y = np.column_stack([x[rows - lag] for lag in (0, 6, 12, 18)]), x[rows + 6]
    return Data(X[:200], y[:200], X[200:], y[200:], y[200:], has_noise=False)


SURFACES: dict[str, dict[str, Callable[[Rng], Data]]] = {
    "two inputs": {
    "Franke": Surface(uniform(100, 0, 1, 2), franke, 0.02),
    "peaks": Surface(uniform(200, -3, 3, 2), peaks),
    "ripple": Surface(uniform(250, -3, 3, 2), lambda X: np.sinc(np.hypot(*X.T) * 2 / np.pi), 0.03),
    "Branin": Surface(uniform(60, 0, 1, 2), branin),
    "product of sines": Surface(uniform(250, 0, 1, 2), lambda X: np.prod(np.sin(2 * np.pi * X), axis=1), 0.05),
    "two sides of a diagonal": Surface(uniform(200, 0, 1, 2), lambda X: 1.0 * (X[:, 0] > X[:, 1]), 0.1),
    "ratio": Surface(lambda rng: rng.lognormal(0, 0.7, (100, 2)), lambda X: X[:, 0] / X[:, 1], 0.1),
    "parabola and sine": Surface(uniform(1000, -1, 1, 2), lambda X: np.sin(3 * X[:, 0]) + X[:, 1] ** 2, 0.2),
    "9 rows, x1 + x2": Surface(uniform(9, 0, 1, 2), lambda X: X.sum(axis=1)),
    },
    "three to ten inputs": {
    "8 rows x 3, clean": Surface(uniform(8, -1, 1, 3), lambda X: np.sin(X[:, 0]) + 0.5 * X[:, 1]),
    "30 rows x 3, clean": Surface(uniform(30, -1, 1, 3), lambda X: np.exp(X[:, 0] + 0.5 * X[:, 1] * X[:, 2])),
    "interaction, 5 inputs": Surface(uniform(1000, -1, 1, 5), with_interaction, 0.1),
    "exp of 5 inputs, clean": Surface(uniform(150, -1, 1, 5), lambda X: np.exp(0.5 * X.sum(axis=1))),
    "Friedman 1": Surface(uniform(200, 0, 1, 10), friedman, 1.0),
    "Friedman 1, clean": Surface(uniform(200, 0, 1, 5), friedman),
    "borehole": Surface(borehole_rows, borehole),
    "Mackey-Glass": mackey_glass,
    "additive, 10 inputs": Surface(uniform(250, -1, 1, 10), lambda X: np.sin(2 * X).sum(axis=1), 0.3),
    "diabetes": diabetes,
    },
    "linear and less": {
    "linear, 2000 x 10": linear(2000, 10, 1.5),
    "linear, 50 x 5": linear(50, 5, 1.0),
    "linear, 60 x 10, clean": linear(60, 10, 0.0),
    "pure noise, 1000 x 10": Surface(lambda rng: rng.normal(size=(1000, 10)), lambda X: np.zeros(len(X)), 1.0),
    "pure noise, 60 x 8": Surface(lambda rng: rng.normal(size=(60, 8)), lambda X: np.zeros(len(X)), 1.0),
    "constant, 10 x 3": Surface(lambda rng: rng.normal(size=(10, 3)), lambda X: np.full(len(X), 1e-9)),
    "Vandermonde": vandermonde,
    },
    "useless, collinear and coded columns": {
    "25 rows x 40": Surface(lambda rng: rng.normal(size=(25, 40)), lambda X: X[:, 0] - X[:, 1], 0.3),
    "30 rows x 60, sparse curve": Surface(uniform(30, -1, 1, 60), lambda X: np.sin(2 * X[:, 0]), 0.1),
    "useless inputs": Surface(uniform(150, -1, 1, 15), lambda X: np.sin(3 * X[:, 0]) * X[:, 1], 0.1),
    "collinear": Surface(collinear_rows, lambda X: np.sin(2 * X[:, 0]) + X[:, 1], 0.1),
    "repeated columns": Surface(repeated_columns, lambda X: np.sin(3 * X[:, 0]) + X[:, 1], 0.1),
    "one-hot": Surface(one_hot_rows, one_hot, 0.2),
    "codes": Surface(category_codes, by_code, 0.2),
    "lognormal inputs": Surface(
        lambda rng: rng.lognormal(0, 1.0, (120, 3)), lambda X: np.log(X[:, 0] * X[:, 1]) + 0.5 * np.sqrt(X[:, 2]), 0.1
    ),
    "scales of columns": Surface(
        lambda rng: rng.uniform(-1, 1, (100, 3)) * [1e-6, 1, 1e6],
        lambda X: np.sin(3e6 * X[:, 0]) + X[:, 1] ** 2 + 1e-6 * X[:, 2], 0.1,
    ),
    "heavy-tailed inputs": Surface(lambda rng: rng.standard_t(2, (150, 2)), lambda X: np.tanh(X).sum(axis=1), 0.1),
    },
}  # fmt: skip
