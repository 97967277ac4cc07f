"""List of the problems: data, parameters of `LMRegressor` (the default if none is named), and number of seeds."""

from typing import Any, NamedTuple

import numpy as np

from robustness.curves import CURVES
from robustness.data import Data
from robustness.surfaces import SURFACES

KINDS = {**CURVES, **SURFACES}
MAKERS = {name: maker for makers in KINDS.values() for name, maker in makers.items()}
N_SEEDS, N_SEEDS_OF_LARGE = 10, 3


class Problem(NamedTuple):
    """Data and parameters of `LMRegressor`."""

    kind: str
    data: str  # name in `MAKERS`
    parameters: dict[str, Any]
    n_seeds: int

    def make(self, seed: int) -> Data:
        return make(self.data, seed)


def make(name: str, seed: int) -> Data:
    """Return the data of a seed. Where there is nothing but noise, predictions are compared with new observations."""
    data = MAKERS[name](np.random.default_rng(seed))
    return data._replace(truth=data.y_test) if "pure noise" in name and data.y_test is not None else data


def units(n: int | str | tuple[()]) -> dict[str, Any]:
    return {"hidden_layer_sizes": n}


# Data that need more than ten units.
ENOUGH = {
    "sine, 4 periods": 20, "sine, 6 periods": 30, "sine, 12 periods": 60, "sine, 20 periods": 100,
    "sine, 8 periods, 200 rows": 30, "sin(25 x), noise": 40, "trend and season": 30, "two frequencies": 40,
    "growing amplitude": 40, "chirp": 20, "chirp, fast": 60, "square wave": 20, "saw-tooth": 20, "peaks": 30,
    "ripple": 30, "product of sines": 30, "borehole": 20, "additive, 10 inputs": 40,
}  # fmt: skip
ROBUST = [{"loss": loss} for loss in ("huber", "soft_l1", "cauchy")]
MORE: dict[str, list[dict[str, Any]]] = {
    "interaction, 5 inputs": [units(100), units(200)],
    "sine, 60 rows": [units(100), units(200), units("auto"), {"max_iter": 3}],
    "8 rows": [units(40)],
    "10 rows, clean": [units(40)],
    "25 rows": [units(100), {"n_networks": 5}],
    "parabola and sine": [units("auto")],
    "sine, 4 periods": [units("auto")],
    "Franke": [units(40), units("auto")],
    "Friedman 1": [units(40), units("auto"), {"n_networks": 5}],
    "line, noise": [units("auto"), units(())],
    "linear, 50 x 5": [units(())],
    "lognormal x, line": [units(())],
    "Vandermonde": [units(())],
    "25 rows x 40": [units(())],
    "30 rows x 60, sparse curve": [units(())],
    "weights 1/sigma^2": [{"weight_type": "inverse_variance"}],
    "weights of 1e13": [{"weight_type": "inverse_variance"}],
    "outliers": ROBUST,
    "no outliers": ROBUST,
}


def problem(kind: str, name: str, parameters: dict[str, Any]) -> tuple[str, Problem]:
    """Return name and problem; fits of many units to many rows have few seeds."""
    is_large = name == "interaction, 5 inputs" and "hidden_layer_sizes" in parameters
    label = ", ".join([name, *(f"{key}={value!r}" for key, value in parameters.items())])
    return label, Problem(kind, name, parameters, N_SEEDS_OF_LARGE if is_large else N_SEEDS)


PROBLEMS = dict(
    problem(kind, name, parameters)
    for kind, makers in KINDS.items()
    for name in makers
    for parameters in [units(ENOUGH[name]) if name in ENOUGH else {}, *MORE.get(name, [])]
)
