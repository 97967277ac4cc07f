"""Topology of a feed-forward network and the flat-parameter convention.

The convention, written here once. `theta` is the concatenation over the layers l = 0, 1, ..., of the matrices
[W_l | b_l] of shape (n_out, n_in + 1), row by row:

    theta = [W_0[0, :], b_0[0], W_0[1, :], b_0[1], ..., W_1[0, :], b_1[0], ...]

So the parameters of one unit stand together, weights before bias, and the output layer comes last. Two things
follow. The derivatives of an output with respect to a layer are the Kronecker product of the deltas of its units
with [a, 1], the activations it reads. And the part of theta in which the model is linear is its tail.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._kernels import ACTIVATIONS, OFFSET, NetworkArrays


class Network(NamedTuple):
    """A topology: what is fixed before any weight is known."""

    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    activations: tuple[str, ...]  # one per layer, the (linear) output layer last
    layout: np.ndarray  # integer table for the kernels, one row per layer
    n_parameters: int

    @property
    def is_nonlinear(self) -> bool:
        """Return whether any unit is nonlinear: otherwise there is one minimum, and one start finds it."""
        return any(name != "identity" for name in self.activations)

    def at(self, theta: np.ndarray) -> NetworkArrays:
        """Return the network with its parameters, for the kernels."""
        return NetworkArrays(theta, self.layout)


def make_network(n_inputs: int, hidden: Sequence[int], n_outputs: int, activations: Sequence[str]) -> Network:
    """Return the network with one activation name per hidden layer and a linear output layer."""
    return _make_network((n_inputs, *hidden, n_outputs), (*activations, "identity"))


@lru_cache  # each call of predict asks for it
def _make_network(sizes: tuple[int, ...], names: tuple[str, ...]) -> Network:
    """Return the network with these layer sizes and activation names, and its table `layout`."""
    rows, offset, source = [], 0, 0
    for n_in, n_out, name in zip(sizes[:-1], sizes[1:], names, strict=True):
        rows.append((n_in, n_out, offset, source, ACTIVATIONS[name].code))
        offset += n_out * (n_in + 1)
        source += n_in + 1  # one line more, of ones
    return Network(sizes, names, np.array(rows, dtype=np.int64), offset)


def layer_matrices(network: Network, theta: np.ndarray) -> list[np.ndarray]:
    """Return views [W_l | b_l] of theta, one matrix (n_out, n_in + 1) per layer."""
    layers = network.layout[:, : OFFSET + 1].tolist()
    return [theta[at : at + n_out * (n_in + 1)].reshape(n_out, n_in + 1) for n_in, n_out, at in layers]


def pack(coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
    """Return theta from scikit-learn's form: `coefs[l]` (n_in, n_out) and `intercepts[l]` (n_out,)."""
    theta, offset = np.empty(sum(W.size + b.size for W, b in zip(coefs, intercepts, strict=True))), 0
    for W, b in zip(coefs, intercepts, strict=True):
        end = offset + W.size + b.size
        matrix = theta[offset:end].reshape(len(b), -1)
        matrix[:, :-1], matrix[:, -1] = W.T, b
        offset = end
    return theta


def unpack(network: Network, theta: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return copies of the weights and biases in scikit-learn's form, the inverse of `pack`."""
    matrices = layer_matrices(network, theta)
    coefs = [np.ascontiguousarray(matrix[:, :-1].T) for matrix in matrices]
    return coefs, [matrix[:, -1].copy() for matrix in matrices]


def is_weight(network: Network) -> np.ndarray:
    """Return a boolean mask over theta: True for weights, False for biases."""
    mask = np.ones(network.n_parameters, dtype=bool)
    for matrix in layer_matrices(network, mask):
        matrix[:, -1] = False
    return mask
