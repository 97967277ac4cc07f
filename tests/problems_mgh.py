"""Least-squares test problems of Moré, Garbow and Hillstrom (MGH).

J. J. Moré, B. S. Garbow and K. E. Hillstrom, Testing unconstrained optimization software,
ACM Transactions on Mathematical Software 7 (1981) 17-41.  The number in each docstring is
the paper's problem number; like the paper, f is the sum of squares without a factor 1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import chebder, chebvander
from problems_nist import NIST, Array, Function, Problem, Vector


def rosenbrock(x: Array) -> Array:
    """MGH 1, and MGH 21 for more than two variables."""
    odd, even = x[::2], x[1::2]
    return np.column_stack([10 * (even - odd**2), 1 - odd]).ravel()


def rosenbrock_jacobian(x: Array) -> Array:
    jacobian = np.zeros((x.size, x.size))
    for i in range(0, x.size, 2):
        jacobian[i : i + 2, i : i + 2] = [[-20 * x[i], 10], [-1, 0]]
    return jacobian


def freudenstein_roth(x: Array) -> Array:
    """MGH 2."""
    x1, x2 = x
    return np.array([-13 + x1 + ((5 - x2) * x2 - 2) * x2, -29 + x1 + ((x2 + 1) * x2 - 14) * x2])


def freudenstein_roth_jacobian(x: Array) -> Array:
    x2 = x[1]
    return np.array([[1, (10 - 3 * x2) * x2 - 2], [1, (3 * x2 + 2) * x2 - 14]])


def powell_badly_scaled(x: Array) -> Array:
    """MGH 3."""
    x1, x2 = x
    return np.array([1e4 * x1 * x2 - 1, np.exp(-x1) + np.exp(-x2) - 1.0001])


def powell_badly_scaled_jacobian(x: Array) -> Array:
    x1, x2 = x
    return np.array([[1e4 * x2, 1e4 * x1], [-np.exp(-x1), -np.exp(-x2)]])


def brown_badly_scaled(x: Array) -> Array:
    """MGH 4."""
    x1, x2 = x
    return np.array([x1 - 1e6, x2 - 2e-6, x1 * x2 - 2])


def brown_badly_scaled_jacobian(x: Array) -> Array:
    x1, x2 = x
    return np.array([[1, 0], [0, 1], [x2, x1]])


BEALE_Y = np.array([1.5, 2.25, 2.625])
BEALE_I = np.arange(1, 4)


def beale(x: Array) -> Array:
    """MGH 5."""
    x1, x2 = x
    return BEALE_Y - x1 * (1 - x2**BEALE_I)


def beale_jacobian(x: Array) -> Array:
    x1, x2 = x
    return np.column_stack([x2**BEALE_I - 1, x1 * BEALE_I * x2 ** (BEALE_I - 1)])


JENNRICH_I = np.arange(1.0, 11.0)


def jennrich_sampson(x: Array) -> Array:
    """MGH 6, m = 10."""
    x1, x2 = x
    return 2 + 2 * JENNRICH_I - (np.exp(JENNRICH_I * x1) + np.exp(JENNRICH_I * x2))


def jennrich_sampson_jacobian(x: Array) -> Array:
    return -JENNRICH_I[:, None] * np.exp(np.outer(JENNRICH_I, x))


def helical_valley(x: Array) -> Array:
    """MGH 7."""
    x1, x2, x3 = x
    return 10 * np.array([x3 - 10 * turns(x1, x2), np.hypot(x1, x2) - 1, x3 / 10])


def turns(x1: float, x2: float) -> float:
    """The angle of (x1, x2) in turns, from -1/4 to 3/4."""
    angle = np.arctan2(x2, x1) / (2 * np.pi)
    return angle + 1 if angle < -0.25 else angle


def helical_valley_jacobian(x: Array) -> Array:
    x1, x2, _ = x
    radius = np.hypot(x1, x2)
    scale = 50 / (np.pi * radius**2)
    return np.array([[scale * x2, -scale * x1, 10], [10 * x1 / radius, 10 * x2 / radius, 0], [0, 0, 1]])


BARD_Y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])
BARD_U = np.arange(1.0, 16.0)
BARD_V = 16 - BARD_U
BARD_W = np.minimum(BARD_U, BARD_V)


def bard(x: Array) -> Array:
    """MGH 8."""
    x1, x2, x3 = x
    return BARD_Y - (x1 + BARD_U / (BARD_V * x2 + BARD_W * x3))


def bard_jacobian(x: Array) -> Array:
    _, x2, x3 = x
    scale = BARD_U / (BARD_V * x2 + BARD_W * x3) ** 2
    return np.column_stack([-np.ones(15), scale * BARD_V, scale * BARD_W])


GAUSSIAN_HALF = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
GAUSSIAN_Y = np.array([*GAUSSIAN_HALF, 0.3989, *reversed(GAUSSIAN_HALF)])
GAUSSIAN_T = (8 - np.arange(1, 16)) / 2


def gaussian(x: Array) -> Array:
    """MGH 9."""
    x1, x2, x3 = x
    return x1 * np.exp(-x2 * (GAUSSIAN_T - x3) ** 2 / 2) - GAUSSIAN_Y


def gaussian_jacobian(x: Array) -> Array:
    x1, x2, x3 = x
    distance = GAUSSIAN_T - x3
    bell = np.exp(-x2 * distance**2 / 2)
    return np.column_stack([bell, -x1 * bell * distance**2 / 2, x1 * bell * x2 * distance])


BOX_T = np.arange(1, 11) / 10


def box_3d(x: Array) -> Array:
    """MGH 12, m = 10."""
    x1, x2, x3 = x
    return np.exp(-BOX_T * x1) - np.exp(-BOX_T * x2) - x3 * (np.exp(-BOX_T) - np.exp(-10 * BOX_T))


def box_3d_jacobian(x: Array) -> Array:
    x1, x2, _ = x
    return np.column_stack(
        [
            -BOX_T * np.exp(-BOX_T * x1),
            BOX_T * np.exp(-BOX_T * x2),
            np.exp(-10 * BOX_T) - np.exp(-BOX_T),
        ]
    )


def powell_singular(x: Array) -> Array:
    """MGH 13."""
    x1, x2, x3, x4 = x
    return np.array([x1 + 10 * x2, 5**0.5 * (x3 - x4), (x2 - 2 * x3) ** 2, 10**0.5 * (x1 - x4) ** 2])


def powell_singular_jacobian(x: Array) -> Array:
    x1, x2, x3, x4 = x
    d3, d4 = 2 * (x2 - 2 * x3), 2 * 10**0.5 * (x1 - x4)
    return np.array([[1, 10, 0, 0], [0, 0, 5**0.5, -(5**0.5)], [0, d3, -2 * d3, 0], [d4, 0, 0, -d4]])


def wood(x: Array) -> Array:
    """MGH 14."""
    x1, x2, x3, x4 = x
    return np.array(
        [
            10 * (x2 - x1**2),
            1 - x1,
            90**0.5 * (x4 - x3**2),
            1 - x3,
            10**0.5 * (x2 + x4 - 2),
            (x2 - x4) / 10**0.5,
        ]
    )


def wood_jacobian(x: Array) -> Array:
    x1, _, x3, _ = x
    return np.array(
        [
            [-20 * x1, 10, 0, 0],
            [-1, 0, 0, 0],
            [0, 0, -2 * 90**0.5 * x3, 90**0.5],
            [0, 0, -1, 0],
            [0, 10**0.5, 0, 10**0.5],
            [0, 10**-0.5, 0, -(10**-0.5)],
        ]
    )


BROWN_DENNIS_T = np.arange(1, 21) / 5


def brown_dennis(x: Array) -> Array:
    """MGH 16, m = 20."""
    x1, x2, x3, x4 = x
    t = BROWN_DENNIS_T
    return (x1 + t * x2 - np.exp(t)) ** 2 + (x3 + x4 * np.sin(t) - np.cos(t)) ** 2


def brown_dennis_jacobian(x: Array) -> Array:
    x1, x2, x3, x4 = x
    t = BROWN_DENNIS_T
    d1, d3 = 2 * (x1 + t * x2 - np.exp(t)), 2 * (x3 + x4 * np.sin(t) - np.cos(t))
    return np.column_stack([d1, d1 * t, d3, d3 * np.sin(t)])


BIGGS_T = np.arange(1, 14) / 10
BIGGS_Y = np.exp(-BIGGS_T) - 5 * np.exp(-10 * BIGGS_T) + 3 * np.exp(-4 * BIGGS_T)


def biggs_exp6(x: Array) -> Array:
    """MGH 18, m = 13."""
    x1, x2, x3, x4, x5, x6 = x
    t = BIGGS_T
    return x3 * np.exp(-t * x1) - x4 * np.exp(-t * x2) + x6 * np.exp(-t * x5) - BIGGS_Y


def biggs_exp6_jacobian(x: Array) -> Array:
    x1, x2, x3, x4, x5, x6 = x
    t = BIGGS_T
    e1, e2, e5 = np.exp(-t * x1), np.exp(-t * x2), np.exp(-t * x5)
    return np.column_stack([-x3 * t * e1, x4 * t * e2, e1, -e2, -x6 * t * e5, e5])


OSBORNE_2_Y = np.array(
    [1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608]
    + [0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624]
    + [0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396]
    + [0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645]
    + [0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428]
    + [0.292, 0.162, 0.098, 0.054]
)
OSBORNE_2_T = np.arange(65)[:, None] / 10


def osborne_2(x: Array) -> Array:
    """MGH 19: an exponential and three Gaussian peaks."""
    decay = x[0] * np.exp(-OSBORNE_2_T[:, 0] * x[4])
    peaks = np.exp(-((OSBORNE_2_T - x[8:]) ** 2) * x[5:8]) @ x[1:4]
    return OSBORNE_2_Y - (decay + peaks)


def osborne_2_jacobian(x: Array) -> Array:
    heights, rates, distances = x[1:4], x[5:8], OSBORNE_2_T - x[8:]
    decay = np.exp(-OSBORNE_2_T * x[4])
    peaks = np.exp(-rates * distances**2)
    return np.hstack(
        [
            -decay,
            -peaks,
            x[0] * OSBORNE_2_T * decay,
            heights * distances**2 * peaks,
            -2 * heights * rates * distances * peaks,
        ]
    )


WATSON_T = np.arange(1, 30) / 29


def watson(x: Array) -> Array:
    """MGH 20, n = x.size."""
    powers = np.vander(WATSON_T, x.size, increasing=True)
    polynomial, derivative = powers @ x, powers[:, :-1] @ (np.arange(1, x.size) * x[1:])
    return np.append(derivative - polynomial**2 - 1, [x[0], x[1] - x[0] ** 2 - 1])


def watson_jacobian(x: Array) -> Array:
    n = x.size
    powers = np.vander(WATSON_T, n, increasing=True)
    jacobian = np.zeros((31, n))
    jacobian[:29, 1:] = np.arange(1, n) * powers[:, :-1]
    jacobian[:29] -= 2 * (powers @ x)[:, None] * powers
    jacobian[29, 0] = 1
    jacobian[30, :2] = [-2 * x[0], 1]
    return jacobian


def penalty_1(x: Array) -> Array:
    """MGH 23, n = x.size."""
    return np.append(1e-5**0.5 * (x - 1), x @ x - 0.25)


def penalty_1_jacobian(x: Array) -> Array:
    return np.vstack([1e-5**0.5 * np.eye(x.size), 2 * x])


def brown_almost_linear(x: Array) -> Array:
    """MGH 27, n = x.size."""
    return np.append((x + x.sum() - (x.size + 1))[:-1], x.prod() - 1)


def brown_almost_linear_jacobian(x: Array) -> Array:
    products = [np.delete(x, j).prod() for j in range(x.size)]
    return np.vstack([(np.eye(x.size) + 1)[:-1], products])


def linear_full_rank(x: Array) -> Array:
    """MGH 32, m = 10."""
    return linear_full_rank_jacobian(x) @ x - 1


def linear_full_rank_jacobian(x: Array) -> Array:
    return np.eye(10, x.size) - 2 / 10


def linear_rank_1(x: Array) -> Array:
    """MGH 33, m = 10."""
    return linear_rank_1_jacobian(x) @ x - 1


def linear_rank_1_jacobian(x: Array) -> Array:
    return np.outer(np.arange(1.0, 11.0), np.arange(1, x.size + 1))


def chebyquad(x: Array) -> Array:
    """MGH 35, m = n = x.size: means of the shifted Chebyshev polynomials less their integrals."""
    i = np.arange(1, x.size + 1)
    integrals = np.zeros(x.size)
    integrals[1::2] = -1 / (i[1::2] ** 2 - 1)
    return chebvander(2 * x - 1, x.size)[:, 1:].mean(axis=0) - integrals


def chebyquad_jacobian(x: Array) -> Array:
    n = x.size
    derivatives = chebvander(2 * x - 1, n - 1) @ chebder(np.eye(n + 1))
    return 2 / n * derivatives[:, 1:].T


def problem(
    residual: Function,
    jacobian: Function,
    start: Vector,
    minima: Vector,
    solution: Vector | None = None,
    name: str = "",
) -> Problem:
    return Problem(name or residual.__name__, residual, jacobian, start, minima, solution)


def nist(nist_name: str, name: str) -> Problem:
    """A problem that NIST's collection took over from the paper, with the paper's start."""
    return next(p for p in NIST if p.name == nist_name)._replace(name=name)


# Where the paper gives six digits of a minimum that is not zero, more of them are given here.
MGH: list[Problem] = [
    problem(rosenbrock, rosenbrock_jacobian, (-1.2, 1), (0.0,), (1, 1)),
    problem(freudenstein_roth, freudenstein_roth_jacobian, (0.5, -2), (0.0, 48.98425367924), (5, 4)),
    problem(
        powell_badly_scaled,
        powell_badly_scaled_jacobian,
        (0, 1),
        (0.0,),
        (1.0981593297e-5, 9.1061467399),
    ),
    problem(brown_badly_scaled, brown_badly_scaled_jacobian, (1, 1), (0.0,), (1e6, 2e-6)),
    problem(beale, beale_jacobian, (1, 1), (0.0,), (3, 0.5)),
    problem(
        jennrich_sampson,
        jennrich_sampson_jacobian,
        (0.3, 0.4),
        (124.3621823556,),
        (0.2578252137, 0.2578252137),
    ),
    problem(helical_valley, helical_valley_jacobian, (-1, 0, 0), (0.0,), (1, 0, 0)),
    problem(
        bard,
        bard_jacobian,
        (1, 1, 1),
        (8.214877306579e-3,),
        (0.08241055975, 1.133036092, 2.343695179),
    ),
    problem(gaussian, gaussian_jacobian, (0.4, 1, 0), (1.12793277e-8,), (0.3989561378, 1.0000190845, 0)),
    nist("MGH10-start2", "meyer"),  # MGH 10
    problem(box_3d, box_3d_jacobian, (0, 10, 20), (0.0,)),
    problem(powell_singular, powell_singular_jacobian, (3, -1, 0, 1), (0.0,), (0, 0, 0, 0)),
    problem(wood, wood_jacobian, (-3, -1, -3, -1), (0.0,), (1, 1, 1, 1)),
    nist("MGH09-start2", "kowalik_osborne"),  # MGH 15
    problem(
        brown_dennis,
        brown_dennis_jacobian,
        (25, 5, -5, -1),
        (85822.20162636,),
        (-11.5944399, 13.2036301, -0.403439488, 0.236778774),
    ),
    nist("MGH17-start2", "osborne_1"),  # MGH 17
    problem(biggs_exp6, biggs_exp6_jacobian, (1, 2, 1, 1, 1, 1), (0.0, 5.6556499255e-3)),
    problem(
        osborne_2,
        osborne_2_jacobian,
        (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5),
        (0.04013773629355,),
    ),
    problem(watson, watson_jacobian, (0,) * 6, (2.2876700535524e-3,), name="watson_n6"),
    problem(watson, watson_jacobian, (0,) * 9, (1.39976013809e-6,), name="watson_n9"),
    problem(
        rosenbrock,
        rosenbrock_jacobian,
        (-1.2, 1) * 5,
        (0.0,),
        (1,) * 10,
        name="extended_rosenbrock",
    ),
    problem(
        penalty_1,
        penalty_1_jacobian,
        (1, 2, 3, 4),
        (2.2499775008999e-5,),
        (0.25000749959,) * 4,
        name="penalty_1_n4",
    ),
    problem(
        penalty_1,
        penalty_1_jacobian,
        tuple(range(1, 11)),
        (7.0876514670904e-5,),
        (0.15812230111,) * 10,
        name="penalty_1_n10",
    ),
    problem(brown_almost_linear, brown_almost_linear_jacobian, (0.5,) * 10, (0.0, 1.0)),
    problem(linear_full_rank, linear_full_rank_jacobian, (1,) * 5, (5.0,), (-1,) * 5),
    problem(linear_rank_1, linear_rank_1_jacobian, (1,) * 5, (15 / 7,)),
    problem(chebyquad, chebyquad_jacobian, tuple(i / 9 for i in range(1, 9)), (3.51687372567793e-3,)),
]
