"""Topology of a feed-forward network, the flat-parameter convention and initial weights.

The convention, written here once. `theta` is the concatenation over the layers l = 0, 1, ..., of the matrices
[W_l | b_l] of shape (n_out, n_in + 1), row by row:

    theta = [W_0[0, :], b_0[0], W_0[1, :], b_0[1], ..., W_1[0, :], b_1[0], ...]

So the parameters of one unit stand together, weights before bias, and the output layer comes last. Two things
follow. The derivatives of an output with respect to a layer are the Kronecker product of the deltas of its units
with [a, 1], the activations it reads. And the part of theta in which the model is linear is its tail.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._kernels import ACTIVATIONS

# Half the width of the pre-activations in which an activation bends, the kink of relu and softplus included. 1 for
# tanh is the paper's choice; logistic(2 z) = (1 + tanh z) / 2 has the same shape twice as wide. (2 for tanh, as
# some programs have it, took four times as many iterations on the multimodal curve of the examples.) An "identity"
# layer bends nowhere and starts from Glorot's weights.
ACTIVE_RANGE = {"tanh": 1.0, "logistic": 2.0, "relu": 1.0, "softplus": 2.0}
# Values that a bounded activation can take: the range of the inputs of the next layer.
OUTPUT_RANGE = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}


class Network(NamedTuple):
    """A topology: what is fixed before any weight is known."""

    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    activations: tuple[str, ...]  # one per layer, the (linear) output layer last
    layout: np.ndarray  # integer table for the kernels, one row per layer
    n_parameters: int


def make_network(n_inputs: int, hidden: Sequence[int], n_outputs: int, activations: Sequence[str]) -> Network:
    """Network with one activation name per hidden layer and a linear output layer."""
    sizes = (n_inputs, *hidden, n_outputs)
    names = (*activations, "identity")
    rows, offset, source = [], 0, 0
    for n_in, n_out, name in zip(sizes[:-1], sizes[1:], names, strict=True):
        rows.append((n_in, n_out, offset, source, ACTIVATIONS[name]))
        offset += n_out * (n_in + 1)
        source += n_in
    return Network(sizes, names, np.array(rows, dtype=np.int64), offset)


def layer_matrices(network: Network, theta: np.ndarray) -> list[np.ndarray]:
    """Views [W_l | b_l] of theta, one matrix (n_out, n_in + 1) per layer."""
    matrices, offset = [], 0
    for n_in, n_out in zip(network.sizes[:-1], network.sizes[1:], strict=True):
        end = offset + n_out * (n_in + 1)
        matrices.append(theta[offset:end].reshape(n_out, n_in + 1))
        offset = end
    return matrices


def pack(coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
    """theta from scikit-learn's form: `coefs[l]` (n_in, n_out) and `intercepts[l]` (n_out,)."""
    pairs = zip(coefs, intercepts, strict=True)
    return np.concatenate([np.vstack([W, b]).T.ravel() for W, b in pairs])


def unpack(network: Network, theta: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Copies of the weights and biases in scikit-learn's form, the inverse of `pack`."""
    matrices = layer_matrices(network, theta)
    coefs = [np.ascontiguousarray(matrix[:, :-1].T) for matrix in matrices]
    return coefs, [matrix[:, -1].copy() for matrix in matrices]


def is_weight(network: Network) -> np.ndarray:
    """Boolean mask over theta: True for weights, False for biases."""
    mask = np.ones(network.n_parameters, dtype=bool)
    for matrix in layer_matrices(network, mask):
        matrix[:, -1] = False
    return mask


def initial_theta(
    network: Network,
    init: str,
    low: np.ndarray,
    high: np.ndarray,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Random start.

    Parameters
    ----------
    network : Network
    init : {"nguyen_widrow", "glorot"}
        The output layer always starts from Glorot's weights.
    low, high : ndarray of shape (n_inputs,)
        Range of each input, as the network sees it (after scaling).
    rng : RandomState
    """
    theta = np.empty(network.n_parameters)
    matrices = layer_matrices(network, theta)
    for matrix, name in zip(matrices, network.activations, strict=True):
        if init == "nguyen_widrow" and name in ACTIVE_RANGE:
            matrix[:] = _nguyen_widrow(matrix.shape, low, high, ACTIVE_RANGE[name], rng)
        else:
            matrix[:] = _glorot(matrix.shape, rng)
        low, high = _output_range(matrix, name, low, high)
    return theta


def _output_range(matrix: np.ndarray, name: str, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval that contains what each unit of a layer can give for inputs between low and high."""
    n_units = len(matrix)
    if name in OUTPUT_RANGE:
        floor, ceiling = OUTPUT_RANGE[name]
        return np.full(n_units, floor), np.full(n_units, ceiling)
    W, b = matrix[:, :-1], matrix[:, -1]
    middle = W @ ((low + high) / 2) + b
    reach = np.abs(W) @ ((high - low) / 2)
    if name == "identity":
        return middle - reach, middle + reach
    # relu and softplus: nothing below zero, and at least log 2 at their kink so that no range is empty
    return np.zeros(n_units), np.maximum(middle + reach, np.log(2.0))


def _nguyen_widrow(
    shape: tuple[int, int],
    low: np.ndarray,
    high: np.ndarray,
    active: float,
    rng: np.random.RandomState,
) -> np.ndarray:
    """[W | b] whose units divide the range of the inputs among themselves.

    D. Nguyen and B. Widrow, "Improving the learning speed of 2-layer neural networks by choosing initial values
    of the adaptive weights", IJCNN 1990: for inputs in [-1, 1], directions at random, |w| = 0.7 H^(1/d), biases
    spread over [-|w|, |w|]. Both are then stretched to the activation's active range, and the map from the real
    range of the inputs to [-1, 1] is folded into the weights. Inputs that never change take no part.
    """
    n_units, n_inputs = shape[0], shape[1] - 1
    centre, half = (low + high) / 2, (high - low) / 2
    varies = half > 0
    direction = rng.uniform(-1.0, 1.0, size=(n_units, n_inputs)) * varies
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    direction /= np.where(length > 0, length, 1.0)

    magnitude = 0.7 * n_units ** (1 / max(1, varies.sum()))
    # One unit alone has its bend in the middle of the data and not at its edge.
    spread = np.linspace(-1.0, 1.0, n_units) if n_units > 1 else np.zeros(1)
    first = direction[:, np.argmax(varies)] if n_inputs else np.ones(n_units)
    bias = magnitude * spread * np.where(first < 0, -1.0, 1.0)

    W = active * magnitude * direction / np.where(varies, half, 1.0)
    b = active * bias - W @ centre
    return np.column_stack([W, b])


def _glorot(shape: tuple[int, int], rng: np.random.RandomState) -> np.ndarray:
    """[W | b], uniform on +-sqrt(6 / (n_in + n_out)) (Glorot & Bengio, AISTATS 2010, eq. 16), biases zero."""
    n_out, n_in = shape[0], shape[1] - 1
    bound = np.sqrt(6.0 / (n_in + n_out))
    return np.column_stack([rng.uniform(-bound, bound, size=(n_out, n_in)), np.zeros(n_out)])
