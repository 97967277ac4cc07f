"""The stop-watch that every peer's residual function or loop reports to: when was which error first seen?"""

import time
from typing import NamedTuple

import numpy as np


class Limits(NamedTuple):
    """When a fit is over."""

    target: float  # mean squared error
    seconds: float
    iterations: int


class Outcome(NamedTuple):
    """What a fit came to."""

    mse: float  # the best that was seen
    seconds: float  # until the target, or until the end
    iterations: int
    ending: str  # "reached", "time-out", or "ended": by the package's own rules


class Over(Exception):
    """Raised inside a peer's residual function: the only way out of a loop that is not ours."""


class Recorder:
    """Keeps the best error, counts iterations, and ends the fit at its limits: a fit runs in a `with` block of it."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.best, self.iterations, self.ending = np.inf, 0, "ended"
        self.begin = time.perf_counter()
        self.seconds = 0.0

    def __enter__(self) -> "Recorder":
        self.begin = time.perf_counter()
        return self

    def __exit__(self, kind: type | None, *_: object) -> bool:
        return kind is Over

    def see(self, mse: float) -> None:
        """An error has been computed."""
        self.seconds = time.perf_counter() - self.begin
        if mse < self.best:  # not with NaN
            self.best = mse
        if self.best <= self.limits.target:
            self._end("reached")
        if self.seconds > self.limits.seconds:
            self._end("time-out")

    def iterate(self) -> None:
        """An iteration begins."""
        if self.iterations == self.limits.iterations:
            self._end("ended")
        self.iterations += 1

    def outcome(self) -> Outcome:
        return Outcome(self.best, self.seconds, self.iterations, self.ending)

    def _end(self, ending: str) -> None:
        self.ending = ending
        raise Over
