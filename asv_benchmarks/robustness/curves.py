"""Problems of one input."""

from collections.abc import Callable

import numpy as np

from robustness.data import Curve, Data, Rng, decades, grid, uniform


def periods(n: int) -> Curve:
    """Return a sine of n periods with six rows each."""
    return Curve(grid(6 * n + 1, 0, 1), lambda x: np.sin(2 * np.pi * n * x))


def spike(x: np.ndarray) -> np.ndarray:
    return x + np.exp(-0.5 * ((x - 0.6) / 0.02) ** 2)


def hill(x: np.ndarray) -> np.ndarray:
    """Return a dose-response curve: concentrations over six decades."""
    return x**1.2 / (1 + x**1.2)


def steam(p: np.ndarray) -> np.ndarray:
    """Return the temperature in K at which water boils at p MPa (IAPWS-IF97, equation 31)."""
    n = [
        0.11670521452767e4, -0.72421316703206e6, -0.17073846940092e2, 0.12020824702470e5, -0.32325550322333e7,
        0.14915108613530e2, -0.48232657361591e4, 0.40511340542057e6, -0.23855557567849, 0.65017534844798e3,
    ]  # fmt: skip
    b = p**0.25
    e, f, g = b**2 + n[2] * b + n[5], n[0] * b**2 + n[3] * b + n[6], n[1] * b**2 + n[4] * b + n[7]
    d = 2 * g / (-f - np.sqrt(f**2 - 4 * e * g))
    return (n[9] + d - np.sqrt((n[9] + d) ** 2 - 4 * (n[8] + n[9] * d))) / 2


def clean_step(rng: Rng) -> Data:
    """Return a step that may be anywhere between two rows."""
    position = rng.uniform(0, 0.01)
    return Curve(grid(201, -1, 1), lambda x: 1.0 * (x > position))(rng)


def heavy_tails(rng: Rng) -> Data:
    """Return a sine with noise of Student's distribution with 2.5 degrees of freedom."""
    data = Curve(uniform(150, -1, 1), lambda x: np.sin(3 * x))(rng)
    y_test = data.truth + 0.1 * rng.standard_t(2.5, len(data.truth))
    return data._replace(y=data.y + 0.1 * rng.standard_t(2.5, len(data.y)), y_test=y_test, has_noise=True)


def outliers(rng: Rng) -> Data:
    """Return 30 rows, four of which are far off. The new observations have no outliers, hence no coverage."""
    data = Curve(uniform(30, -1, 1), lambda x: np.sin(3 * x), 0.1)(rng)
    data.y[rng.choice(30, 4, replace=False)] += 5
    return data._replace(y_test=None)


def skewed_noise(rng: Rng) -> Data:
    """Return a parabola with noise that is never negative, of mean zero."""
    data = Curve(uniform(120, -1, 1), np.square)(rng)
    y, y_test = (values + 0.2 * (rng.exponential(size=len(values)) - 1) for values in (data.y, data.truth))
    return data._replace(y=y, y_test=y_test, has_noise=True)


def counts(rng: Rng) -> Data:
    """Return integers: counts whose mean varies between 0.4 and 20."""
    data = Curve(uniform(150, 0, 1), lambda x: np.exp(3 * np.sin(3 * x)))(rng)
    return data._replace(y=rng.poisson(data.y) * 1.0, y_test=rng.poisson(data.truth) * 1.0, has_noise=True)


def binary(rng: Rng) -> Data:
    """Return zeros and ones. Coverage: no symmetric interval about their mean can have 95 %."""
    data = Curve(uniform(200, -1, 1), lambda x: 1 / (1 + np.exp(-6 * np.sin(3 * x))))(rng)
    return data._replace(y=rng.binomial(1, data.y) * 1.0, y_test=None, has_noise=True)


def rounded(rng: Rng) -> Data:
    """Return a logarithm in whole units, as from a digital display."""
    data = Curve(uniform(100, 1, 50), lambda x: 10 * np.log(x), 0.3)(rng)
    return data._replace(y=np.round(data.y), y_test=None if data.y_test is None else np.round(data.y_test))


def noisy_sine(rng: Rng) -> Data:
    return Curve(uniform(25, -1, 1), lambda x: np.sin(3 * x), 0.1)(rng)


def weights_of_1e4(rng: Rng) -> Data:
    return noisy_sine(rng)._replace(sample_weight=np.full(25, 1e4))


def inverse_variances(rng: Rng) -> Data:
    """Return a sine whose noise is known for each row, with weights of about 1000. The noise of new rows is unknown."""
    x, sigma = rng.uniform(-1, 1, 25), rng.uniform(0.008, 0.116, 25)
    data = Curve(lambda rng: x, lambda x: np.sin(3 * x))(rng)
    y = data.y + sigma * rng.normal(size=25)
    return data._replace(y=y, y_test=None, has_noise=True, sample_weight=sigma**-2.0)


def weights_of_1e13(rng: Rng) -> Data:
    """Return a sine of size 3e-6, with the inverse variance of its noise as weights."""
    data = Curve(uniform(25, -1, 1), lambda x: 3e-6 * np.sin(3 * x), 1e13**-0.5)(rng)
    return data._replace(sample_weight=np.full(25, 1e13))


CURVES: dict[str, dict[str, Callable[[Rng], Data]]] = {
    "periodic": {
        "sine, 1 period": periods(1),
        **{f"sine, {n} periods": periods(n) for n in (2, 4, 6, 12, 20)},
        "sine, 8 periods, 200 rows": Curve(grid(200, 0, 1), lambda x: np.sin(16 * np.pi * x)),
        "sin(25 x), noise": Curve(uniform(300, -1, 1), lambda x: np.sin(25 * x), 0.1),
        "trend and season": Curve(grid(300, 0, 1), lambda x: 4 * x + np.sin(24 * np.pi * x), 0.1),
        "two frequencies": Curve(
            uniform(200, 0, 1), lambda x: np.sin(6 * np.pi * x) + 0.3 * np.sin(30 * np.pi * x), 0.05
        ),
        "growing amplitude": Curve(grid(144, 0, 12), lambda x: np.exp(0.15 * x) * (5 + np.sin(2 * np.pi * x)), 0.2),
        "damped oscillation": Curve(uniform(120, 0, 1), lambda x: np.exp(-3 * x) * np.sin(30 * x), 0.02),
        "chirp": Curve(grid(250, 0, 1), lambda x: np.sin(2 * np.pi * (1 + 4 * x) * x), 0.05),
        "chirp, fast": Curve(grid(250, 0, 1), lambda x: np.sin(40 * np.pi * x**3)),
    },
    "steps, spikes, corners": {
        "step, 201 rows": clean_step,
        "step, noise": Curve(uniform(150, -1, 1), lambda x: 1.0 * (x > 0.3), 0.1),
        "five steps": Curve(uniform(200, 0, 5), np.floor, 0.1),
        "square wave": Curve(uniform(200, 0, 1), lambda x: np.sign(np.sin(8 * np.pi * x)), 0.1),
        "saw-tooth": Curve(uniform(200, 0, 4), lambda x: x % 1, 0.05),
        "corner": Curve(uniform(100, -1, 1), lambda x: np.abs(x - 0.2), 0.02),
        "spike": Curve(grid(150, 0, 1), spike, 0.02),
        "spike between plateaus, clean": Curve(grid(100, 0, 1), lambda x: np.exp(-(((x - 0.4) / 0.03) ** 2))),
        "Runge": Curve(grid(31, -1, 1), lambda x: 1 / (1 + 25 * x**2)),
        "square root": Curve(grid(40, 0, 1), np.sqrt),
    },
    "scales and decades": {
        **{f"log10 over {k} decades": Curve(decades(40, 1, 10**k), np.log10, 0.0, np.geomspace) for k in (3, 5, 6)},
        "steam table": Curve(decades(40, 6.2e-4, 22), steam, 0.0, np.geomspace),
        "dose response": Curve(lambda rng: np.repeat(np.geomspace(1e-3, 1e3, 13), 3), hill, 0.03, np.geomspace),
        "power law, relative noise": Curve(
            lambda rng: np.exp(rng.uniform(-3, 3, 80)), lambda x: x**1.5, lambda x: 0.05 * x**1.5, np.geomspace
        ),
        "exponential growth": Curve(uniform(80, 0, 1), lambda x: np.exp(8 * x), lambda x: 0.05 * np.exp(8 * x)),
        "exponential decay, 12 rows": Curve(grid(12, 0, 5), lambda x: np.exp(-x)),
        "far from zero": Curve(uniform(80, 1.7e9, 1.7e9 + 1e5), lambda x: 1e6 + np.sin(1e-4 * (x - 1.7e9)), 0.05),
        "lognormal x, line": Curve(lambda rng: rng.lognormal(0, 1.0, 60), lambda x: 3 * x + 1),
    },
    "noise and targets": {
        "pure noise": Curve(uniform(60, 0, 1), np.zeros_like, 1.0),
        "line, noise": Curve(uniform(40, 0, 10), lambda x: 2 * x + 1, 2.0),
        "parabola, noise": Curve(uniform(40, -1, 1), np.square, 0.2),
        "line": Curve(grid(20, 0, 1), lambda x: 3 * x - 1),
        "growing noise": Curve(uniform(200, 0, 1), lambda x: np.sin(6 * x), lambda x: 0.02 + 0.4 * x),
        "heavy tails": heavy_tails,
        "skewed noise": skewed_noise,
        "outliers": outliers,
        "no outliers": Curve(uniform(30, -1, 1), lambda x: np.sin(3 * x), 0.1),
        "counts": counts,
        "zeros and ones": binary,
        "rounded": rounded,
    },
    "few and repeated rows": {
        "repeated x": Curve(lambda rng: np.repeat(np.linspace(0, 1, 12), 8), lambda x: np.sin(5 * x), 0.2),
        "gap": Curve(
            lambda rng: np.r_[rng.uniform(-1, -0.2, 40), rng.uniform(0.3, 1, 40)], lambda x: np.sin(3 * x), 0.1
        ),
        "clusters": Curve(lambda rng: (rng.normal(0, 0.03, (6, 15)) + np.arange(6)[:, None]).ravel(), np.cos, 0.1),
        "6 rows": Curve(uniform(6, 0, 1), lambda x: x, 0.1),
        "8 rows": Curve(uniform(8, 0, 1), lambda x: np.sin(3 * x), 0.1),
        "10 rows": Curve(uniform(10, 0, 1), lambda x: np.exp(2 * x), 0.2),
        "10 rows, clean": Curve(grid(10, 0, 1), lambda x: np.sin(3 * x)),
        "sine, 60 rows": Curve(uniform(60, -1, 1), lambda x: np.sin(3 * x), 0.2),
    },
    "weights": {
        "25 rows": noisy_sine,
        "weights of 1e4": weights_of_1e4,
        "weights 1/sigma^2": inverse_variances,
        "weights of 1e13": weights_of_1e13,
    },
}
