"""The network and its derivatives once more, slow and obvious: one sample, one unit, one parameter at a time.

Derivatives are propagated forward from one parameter to the outputs, where the package goes backward from the
outputs to all parameters; the two share no line.
"""

import itertools
import math

import numpy as np

# name: (phi, its derivative), both functions of the pre-activation z
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: 1.0),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z) ** 2),
    "logistic": (lambda z: 1 / (1 + math.exp(-z)), lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0),
    "softplus": (lambda z: math.log1p(math.exp(z)), lambda z: 1 / (1 + math.exp(-z))),
}


def read(theta, sizes):
    """weights[l][j][i] and biases[l][j] from theta: unit by unit, the weights of a unit and then its bias."""
    numbers = iter(theta)
    weights, biases = [], []
    for n_in, n_out in itertools.pairwise(sizes):
        layer = [[next(numbers) for _ in range(n_in + 1)] for _ in range(n_out)]
        weights.append([unit[:-1] for unit in layer])
        biases.append([unit[-1] for unit in layer])
    assert next(numbers, None) is None
    return weights, biases


def outputs_and_derivatives(theta, direction, sizes, activations, x):
    """f(x; theta) and its derivative along `direction`, a vector like theta."""
    weights, biases = read(theta, sizes)
    d_weights, d_biases = read(direction, sizes)
    a, da = list(x), [0.0] * len(x)
    for layer, name in enumerate(activations):
        phi, slope = ACTIVATIONS[name]
        new_a, new_da = [], []
        for j in range(sizes[layer + 1]):
            z, dz = biases[layer][j], d_biases[layer][j]
            for i in range(sizes[layer]):
                z += weights[layer][j][i] * a[i]
                dz += d_weights[layer][j][i] * a[i] + weights[layer][j][i] * da[i]
            new_a.append(phi(z))
            new_da.append(slope(z) * dz)
        a, da = new_a, new_da
    return a, da


def forward(theta, sizes, activations, X):
    """f for every row, (n_rows, n_outputs)."""
    still = np.zeros(len(theta))
    return np.array([outputs_and_derivatives(theta, still, sizes, activations, x)[0] for x in X])


def jacobian(theta, sizes, activations, X):
    """df_o(x_i)/dtheta_j in row i * n_outputs + o, (n_rows * n_outputs, n_parameters)."""
    columns = []
    for direction in np.eye(len(theta)):
        d = [outputs_and_derivatives(theta, direction, sizes, activations, x)[1] for x in X]
        columns.append(np.array(d).ravel())
    return np.column_stack(columns)


def finite_difference_jacobian(theta, sizes, activations, X, step=1e-6):
    """The same from central differences of `forward`."""
    columns = []
    for direction in np.eye(len(theta)):
        above = forward(theta + step * direction, sizes, activations, X)
        below = forward(theta - step * direction, sizes, activations, X)
        columns.append(((above - below) / (2 * step)).ravel())
    return np.column_stack(columns)
