"""Parts of the problems: rows for the fit, new rows inside their range, and the true values there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

N_TEST = 500
Rng = np.random.Generator
Function = Callable[[np.ndarray], np.ndarray]
Rows = Callable[[Rng], np.ndarray]


class Data(NamedTuple):
    """Rows for the fit and new rows inside their range, with finite values."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    truth: np.ndarray  # what predictions of the new rows are compared with: without noise, if that is known
    y_test: np.ndarray | None  # new observations for the coverage; None if they have no common distribution
    has_noise: bool = True
    sample_weight: np.ndarray | None = None

    def scale(self) -> float:
        """Return the unit of errors: the standard deviation of the truth, or its size if it is constant."""
        return float(self.truth.std() if np.ptp(self.truth) else np.abs(self.truth).max()) or 1.0


def observed(rng: Rng, X: np.ndarray, X_test: np.ndarray, f: Function, noise: float | Function = 0.0) -> Data:
    """Return values of f at both sets of rows, with normal noise of standard deviation `noise`, or `noise(X)`."""

    def observe(X: np.ndarray) -> np.ndarray:
        return f(X) + (noise(X) if callable(noise) else noise) * rng.normal(size=len(X))

    return Data(X, observe(X), X_test, f(X_test), observe(X_test), callable(noise) or noise > 0)


def grid(n: int, low: float, high: float) -> Rows:
    return lambda rng: np.linspace(low, high, n)


def uniform(n: int, low: float, high: float, n_inputs: int = 0) -> Rows:
    """Return a function that draws (n,), or (n, n_inputs) if that is positive."""
    return lambda rng: rng.uniform(low, high, (n, n_inputs) if n_inputs else n)


def decades(n: int, low: float, high: float) -> Rows:
    return lambda rng: np.geomspace(low, high, n)


@dataclass(frozen=True)
class Curve:
    """A function of one input, with its rows; `f` and `noise` take and return arrays of shape (n,)."""

    rows: Rows
    f: Function
    noise: float | Function = 0.0
    spaced: Callable[..., np.ndarray] = np.linspace  # of the new rows

    def __call__(self, rng: Rng) -> Data:
        x = self.rows(rng)
        data = observed(rng, x, self.spaced(x.min(), x.max(), N_TEST), self.f, self.noise)
        return data._replace(X=data.X[:, None], X_test=data.X_test[:, None])


@dataclass(frozen=True)
class Surface:
    """A function of several inputs: new rows are drawn as those of the fit, and moved into the range of each column."""

    rows: Rows
    f: Function
    noise: float | Function = 0.0

    def __call__(self, rng: Rng) -> Data:
        X = self.rows(rng)
        drawn = np.concatenate([self.rows(rng) for _ in range(-(-N_TEST // len(X)))])[:N_TEST]
        return observed(rng, X, drawn.clip(X.min(axis=0), X.max(axis=0)), self.f, self.noise)
