"""Penalties on the parameters, and the groups of parameters that share a prior precision.

A penalty is `1/2 sum_j s_j theta_j^2`, with s fixed or found by the fit (`_training/evidence_formulas.py`).
"""

from typing import NamedTuple

import numpy as np

from .topology import Network, layer_matrices

# Prior precision of output biases, in scaled units: nearly flat. They belong to no group.
BIAS_PRECISION = 1e-3


class Penalty(NamedTuple):
    """Penalty 1/2 sum_j s_j theta_j^2, in standardised units (sum form, as in Ridge)."""

    penalty_diag: np.ndarray  # (n_parameters,), s_j

    def cost(self, theta: np.ndarray) -> float:
        """Return its value."""
        return 0.5 * float(np.dot(self.penalty_diag, theta * theta))


def fixed_l2(alpha: float, is_weight: np.ndarray) -> Penalty:
    """Return the penalty with one alpha for all weights; biases are free: a shift of the target costs nothing."""
    return Penalty(np.where(is_weight, float(alpha), 0.0))


class Groups(NamedTuple):
    """Groups of parameters that share a precision."""

    label: np.ndarray  # (n_parameters,), the group of each; n_groups for output biases that belong to none
    size: np.ndarray  # (n_groups,)
    kind: str = "single"  # see `make_groups`

    def sums(self, per_parameter: np.ndarray) -> np.ndarray:
        """Return the sum over each group."""
        return np.bincount(self.label, per_parameter, minlength=len(self.size) + 1)[: len(self.size)]

    def spread(self, per_group: np.ndarray, other: float) -> np.ndarray:
        """Return the value of its group for each parameter, and `other` for those in none."""
        return np.append(per_group, other)[self.label]


class Precisions(NamedTuple):
    """The hyper-parameters."""

    alpha: np.ndarray  # (n_groups,)
    beta: float


def make_groups(network: Network, kind: str) -> Groups:
    """Return groups of the parameters of a network.

    Parameters
    ----------
    network : Network
    kind : {"single", "layer", "input"}
        "single": all parameters. "layer": for each layer one group of weights and, but for the output layer, one of
        biases. "input": the same, with the weights of the first layer in one group for each input.
    """
    label = np.zeros(network.n_parameters, dtype=np.int64)
    if kind == "single":
        return Groups(label, np.bincount(label), kind)
    n_groups = 0
    matrices = layer_matrices(network, label)
    for number, matrix in enumerate(matrices):
        n_weights = matrix.shape[1] - 1
        by_input = kind == "input" and number == 0
        matrix[:, :-1] = n_groups + (np.arange(n_weights) if by_input else 0)
        n_groups += n_weights if by_input else 1
        matrix[:, -1] = n_groups
        n_groups += number < len(matrices) - 1
    return Groups(label, np.bincount(label, minlength=n_groups + 1)[:n_groups], kind)


def penalty_of(precisions: Precisions, groups: Groups) -> Penalty:
    """Return the penalty with s_j = alpha_g(j) / beta."""
    return Penalty(groups.spread(precisions.alpha, BIAS_PRECISION) / precisions.beta)
