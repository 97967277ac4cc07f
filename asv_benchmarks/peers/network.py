"""The network in plain NumPy: the order of its parameters, its residuals, its Jacobian.

`theta` holds the layers one after another, each as the matrix [W | b] of shape (n_out, n_in + 1), row by row. `coefs`
and `intercepts` are the same in scikit-learn's form, W.T and b of every layer.
"""

from itertools import pairwise

import numpy as np

Network = tuple[int, ...]  # sizes of the layers: inputs, hidden ones, outputs


def n_parameters(network: Network) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(network))


def pack(coefs: list[np.ndarray], intercepts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.vstack([W, b]).T.ravel() for W, b in zip(coefs, intercepts, strict=True)])


def unpack(network: Network, theta: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return `coefs` and `intercepts` of theta."""
    coefs, intercepts, begin = [], [], 0
    for n_in, n_out in pairwise(network):
        end = begin + (n_in + 1) * n_out
        matrix = theta[begin:end].reshape(n_out, n_in + 1)
        coefs.append(np.ascontiguousarray(matrix[:, :-1].T))
        intercepts.append(matrix[:, -1].copy())
        begin = end
    return coefs, intercepts


def activations(network: Network, theta: np.ndarray, X: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of every layer, the inputs first."""
    coefs, intercepts = unpack(network, theta)
    layers = [X]
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        layers.append(np.tanh(layers[-1] @ W + b))
    return [*layers, layers[-1] @ coefs[-1] + intercepts[-1]]


def residuals(theta: np.ndarray, network: Network, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return f(x) - y, the outputs of a sample one after another."""
    return (activations(network, theta, X)[-1] - Y).ravel()


def jacobian(theta: np.ndarray, network: Network, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the derivatives of the residuals, by backpropagation for all samples and outputs at once.

    In a layer with inputs a, the derivatives are products of the units' deltas with [a, 1]. They are written into their
    place in the Jacobian, so that no part of it is stored twice.
    """
    coefs, _ = unpack(network, theta)
    layers = activations(network, theta, X)
    n_samples, n_outputs = Y.shape
    J = np.empty((n_samples, n_outputs, len(theta)))
    delta = np.broadcast_to(np.eye(n_outputs), (n_samples, n_outputs, n_outputs))
    end = len(theta)
    for layer in range(len(coefs) - 1, -1, -1):
        n_in, n_out = coefs[layer].shape
        block = J[:, :, end - (n_in + 1) * n_out : end].reshape(n_samples, n_outputs, n_out, n_in + 1)  # a view
        np.multiply(delta[..., None], layers[layer][:, None, None, :], out=block[..., :-1])
        block[..., -1] = delta
        if layer:
            delta = delta @ coefs[layer].T * (1 - layers[layer] ** 2)[:, None, :]
        end -= (n_in + 1) * n_out
    return J.reshape(n_samples * n_outputs, -1)
