"""The nonlinear regression sets of higher and average difficulty of NIST's StRD.

Data, start points and certified values: https://www.itl.nist.gov/div898/strd/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vector = tuple[float, ...]
Function = Callable[[Array], Array]
Model = Callable[[Array, Array], Array]

DATA = json.loads((Path(__file__).parent / "golden" / "nist_strd.json").read_text())


class Problem(NamedTuple):
    """Residuals with their Jacobian, a start point, and what is known of the minima."""

    name: str
    residual: Function
    jacobian: Function
    start: Vector
    minima: Vector  # sums of squares at the known minima in finite points, the least first
    solution: Vector | None = None  # the global minimizer, where known and unique
    deviations: Vector | None = None  # standard deviations of the solution, where certified

    @property
    def minimum(self) -> float:
        """The sum of squares at the global minimum."""
        return self.minima[0]


def hyperbolic(b: Array, x: Array) -> Array:
    """MGH09: b1 (x^2 + b2 x) / (x^2 + b3 x + b4)."""
    b1, b2, b3, b4 = b
    return b1 * (x**2 + b2 * x) / (x**2 + b3 * x + b4)


def hyperbolic_jacobian(b: Array, x: Array) -> Array:
    b1, b2, b3, b4 = b
    denominator = x**2 + b3 * x + b4
    ratio = (x**2 + b2 * x) / denominator
    d_denominator = -b1 * ratio / denominator
    return np.column_stack([ratio, b1 * x / denominator, d_denominator * x, d_denominator])


def rational(b: Array, x: Array) -> Array:
    """Thurber, Hahn1, Kirby2: (b1 + b2 x + ...) / (1 + b5 x + ...), both of one degree."""
    degree = b.size // 2
    powers = np.vander(x, degree + 1, increasing=True)
    return powers @ b[: degree + 1] / (1 + powers[:, 1:] @ b[degree + 1 :])


def rational_jacobian(b: Array, x: Array) -> Array:
    degree = b.size // 2
    powers = np.vander(x, degree + 1, increasing=True)
    denominator = 1 + powers[:, 1:] @ b[degree + 1 :]
    d_numerator = powers / denominator[:, None]
    ratio = d_numerator @ b[: degree + 1]
    return np.column_stack([d_numerator, -ratio[:, None] * d_numerator[:, 1:]])


def saturation(b: Array, x: Array) -> Array:
    """BoxBOD: b1 (1 - exp(-b2 x))."""
    return b[0] * (1 - np.exp(-b[1] * x))


def saturation_jacobian(b: Array, x: Array) -> Array:
    decay = np.exp(-b[1] * x)
    return np.column_stack([1 - decay, b[0] * x * decay])


def logistic(b: Array, x: Array) -> Array:
    """Rat42: b1 / (1 + exp(b2 - b3 x))."""
    return b[0] / (1 + np.exp(b[1] - b[2] * x))


def logistic_jacobian(b: Array, x: Array) -> Array:
    growth = np.exp(b[1] - b[2] * x)
    slope = b[0] * growth / (1 + growth) ** 2
    return np.column_stack([1 / (1 + growth), -slope, slope * x])


def richards(b: Array, x: Array) -> Array:
    """Rat43: b1 / (1 + exp(b2 - b3 x))^(1/b4)."""
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def richards_jacobian(b: Array, x: Array) -> Array:
    growth = np.exp(b[1] - b[2] * x)
    curve = (1 + growth) ** (-1 / b[3])
    slope = b[0] * curve * growth / (1 + growth) / b[3]
    d_b4 = b[0] * curve * np.log1p(growth) / b[3] ** 2
    return np.column_stack([curve, -slope, slope * x, d_b4])


def vapour(b: Array, x: Array) -> Array:
    """MGH10: b1 exp(b2 / (x + b3))."""
    return b[0] * np.exp(b[1] / (x + b[2]))


def vapour_jacobian(b: Array, x: Array) -> Array:
    b1, b2, b3 = b
    growth = np.exp(b2 / (x + b3))
    d_b2 = b1 * growth / (x + b3)
    return np.column_stack([growth, d_b2, -d_b2 * b2 / (x + b3)])


def bell(b: Array, x: Array) -> Array:
    """Eckerle4: (b1 / b2) exp(-((x - b3) / b2)^2 / 2)."""
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def bell_jacobian(b: Array, x: Array) -> Array:
    b1, b2, b3 = b
    z = (x - b3) / b2
    density = np.exp(-0.5 * z**2) / b2
    slope = b1 * density / b2
    return np.column_stack([density, slope * (z**2 - 1), slope * z])


def power_law(b: Array, x: Array) -> Array:
    """Bennett5: b1 (b2 + x)^(-1/b3)."""
    return b[0] * (b[1] + x) ** (-1 / b[2])


def power_law_jacobian(b: Array, x: Array) -> Array:
    b1, b2, b3 = b
    power = (b2 + x) ** (-1 / b3)
    d_b2 = -b1 * power / (b3 * (b2 + x))
    d_b3 = b1 * power * np.log(b2 + x) / b3**2
    return np.column_stack([power, d_b2, d_b3])


def cycles(b: Array, x: Array) -> Array:
    """ENSO: b1 + one (cos, sin) pair for each of the periods 12, b4 and b7."""
    year, second, third = (2 * np.pi * x / period for period in (12, b[3], b[6]))
    return (
        b[0]
        + (b[1] * np.cos(year) + b[2] * np.sin(year))
        + (b[4] * np.cos(second) + b[5] * np.sin(second))
        + (b[7] * np.cos(third) + b[8] * np.sin(third))
    )


def cycles_jacobian(b: Array, x: Array) -> Array:
    year = 2 * np.pi * x / 12
    return np.column_stack(
        [np.ones_like(x), np.cos(year), np.sin(year), *cycle_columns(b[3:6], x)] + cycle_columns(b[6:9], x)
    )


def cycle_columns(b: Array, x: Array) -> list[Array]:
    """Derivatives of b2 cos(2 pi x / b1) + b3 sin(2 pi x / b1)."""
    period, c, s = b
    phase = 2 * np.pi * x / period
    d_period = (c * np.sin(phase) - s * np.cos(phase)) * phase / period
    return [d_period, np.cos(phase), np.sin(phase)]


def two_peaks(b: Array, x: Array) -> Array:
    """Gauss3: b1 exp(-b2 x) + b3 exp(-((x - b4) / b5)^2) + b6 exp(-((x - b7) / b8)^2)."""
    first = b[2] * np.exp(-(((x - b[3]) / b[4]) ** 2))
    second = b[5] * np.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * np.exp(-b[1] * x) + first + second


def two_peaks_jacobian(b: Array, x: Array) -> Array:
    decay = np.exp(-b[1] * x)
    return np.column_stack([decay, -b[0] * x * decay, *peak_columns(b[2:5], x), *peak_columns(b[5:8], x)])


def peak_columns(b: Array, x: Array) -> list[Array]:
    """Derivatives of b1 exp(-((x - b2) / b3)^2)."""
    height, centre, width = b
    z = (x - centre) / width
    peak = np.exp(-(z**2))
    slope = 2 * height * z * peak / width
    return [peak, slope, slope * z]


def three_decays(b: Array, x: Array) -> Array:
    """Lanczos1: b1 exp(-b2 x) + b3 exp(-b4 x) + b5 exp(-b6 x)."""
    return np.exp(-np.outer(x, b[1::2])) @ b[::2]


def three_decays_jacobian(b: Array, x: Array) -> Array:
    decays = np.exp(-np.outer(x, b[1::2]))
    jacobian = np.empty((x.size, b.size))
    jacobian[:, ::2] = decays
    jacobian[:, 1::2] = -b[::2] * x[:, None] * decays
    return jacobian


def two_decays(b: Array, x: Array) -> Array:
    """MGH17: b1 + b2 exp(-b4 x) + b3 exp(-b5 x)."""
    return b[0] + b[1] * np.exp(-b[3] * x) + b[2] * np.exp(-b[4] * x)


def two_decays_jacobian(b: Array, x: Array) -> Array:
    first, second = np.exp(-b[3] * x), np.exp(-b[4] * x)
    return np.column_stack([np.ones_like(x), first, second, -b[1] * x * first, -b[2] * x * second])


def root_adsorption(b: Array, x: Array) -> Array:
    """Misra1c: b1 (1 - (1 + 2 b2 x)^(-1/2))."""
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def root_adsorption_jacobian(b: Array, x: Array) -> Array:
    base = 1 + 2 * b[1] * x
    return np.column_stack([1 - base**-0.5, b[0] * x * base**-1.5])


def langmuir(b: Array, x: Array) -> Array:
    """Misra1d: b1 b2 x / (1 + b2 x)."""
    return b[0] * b[1] * x / (1 + b[1] * x)


def langmuir_jacobian(b: Array, x: Array) -> Array:
    base = 1 + b[1] * x
    return np.column_stack([b[1] * x / base, b[0] * x / base**2])


def ageing(b: Array, x: Array) -> Array:
    """Nelson, for log(y): b1 - b2 x1 exp(-b3 x2)."""
    time, temperature = x
    return b[0] - b[1] * time * np.exp(-b[2] * temperature)


def ageing_jacobian(b: Array, x: Array) -> Array:
    time, temperature = x
    loss = time * np.exp(-b[2] * temperature)
    return np.column_stack([np.ones_like(time), -loss, b[1] * temperature * loss])


def quantum_defect(b: Array, x: Array) -> Array:
    """Roszman1: b1 - b2 x - arctan(b3 / (x - b4)) / pi."""
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def quantum_defect_jacobian(b: Array, x: Array) -> Array:
    distance = x - b[3]
    scale = np.pi * (distance**2 + b[2] ** 2)
    return np.column_stack([np.ones_like(x), -x, -distance / scale, -b[2] / scale])


MODELS: dict[str, tuple[Model, Model]] = {
    "MGH09": (hyperbolic, hyperbolic_jacobian),
    "Thurber": (rational, rational_jacobian),
    "BoxBOD": (saturation, saturation_jacobian),
    "Rat42": (logistic, logistic_jacobian),
    "MGH10": (vapour, vapour_jacobian),
    "Eckerle4": (bell, bell_jacobian),
    "Rat43": (richards, richards_jacobian),
    "Bennett5": (power_law, power_law_jacobian),
    "ENSO": (cycles, cycles_jacobian),
    "Gauss3": (two_peaks, two_peaks_jacobian),
    "Hahn1": (rational, rational_jacobian),
    "Kirby2": (rational, rational_jacobian),
    "Lanczos1": (three_decays, three_decays_jacobian),
    "MGH17": (two_decays, two_decays_jacobian),
    "Misra1c": (root_adsorption, root_adsorption_jacobian),
    "Misra1d": (langmuir, langmuir_jacobian),
    "Nelson": (ageing, ageing_jacobian),
    "Roszman1": (quantum_defect, quantum_defect_jacobian),
}


def response(name: str) -> Array:
    """The observations that the model describes."""
    y = np.array(DATA[name]["y"])
    return np.log(y) if name == "Nelson" else y


def residual(model: Model, x: Array, y: Array, b: Array) -> Array:
    return model(b, x) - y


def jacobian(model_jacobian: Model, x: Array, b: Array) -> Array:
    return model_jacobian(b, x)


def two_starts(name: str) -> Iterator[Problem]:
    """The problem of one data set, from each of its two start points."""
    model, model_jacobian = MODELS[name]
    certified = DATA[name]
    x, y = np.array(certified["x"]), response(name)
    for number, start in enumerate(certified["starts"], 1):
        yield Problem(
            name=f"{name}-start{number}",
            residual=partial(residual, model, x, y),
            jacobian=partial(jacobian, model_jacobian, x),
            start=tuple(start),
            minima=(certified["sum_of_squares"],),
            solution=tuple(certified["parameters"]),
            deviations=tuple(certified["standard_deviations"]),
        )


NIST: list[Problem] = [problem for name in MODELS for problem in two_starts(name)]
