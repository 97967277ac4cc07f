"""Recorder of errors and times, to which the residual function or the loop of every peer reports."""

import time
from typing import NamedTuple

import numpy as np


class Limits(NamedTuple):
    """Limits that end a fit."""

    target: float  # mean squared error
    seconds: float
    iterations: int


class Outcome(NamedTuple):
    """Result of a fit."""

    mse: float  # smallest error
    seconds: float  # until the target, or until the end
    iterations: int
    ending: str  # "reached", "time-out", or "ended": by the package's own rules


class Over(Exception):
    """Raised inside the residual function of a peer: the only way to leave the loop of another package."""


class Recorder:
    """Context of a fit: keeps the best error, counts iterations, and ends the fit at its limits."""

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
        """Record an error that has been computed."""
        self.seconds = time.perf_counter() - self.begin
        if mse < self.best:  # not with NaN
            self.best = mse
        if self.best <= self.limits.target:
            self._end("reached")
        if self.seconds > self.limits.seconds:
            self._end("time-out")

    def iterate(self) -> None:
        """Record that an iteration begins."""
        if self.iterations == self.limits.iterations:
            self._end("ended")
        self.iterations += 1

    def outcome(self) -> Outcome:
        return Outcome(self.best, self.seconds, self.iterations, self.ending)

    def _end(self, ending: str) -> None:
        self.ending = ending
        raise Over
