"""Ensemble: the predictive distributions of several networks, mixed by their precisions.

Network k predicts N(f_k(x), v_k(x)). Its weight in the mixture is its share of the precision at x,
w_k = (1/v_k) / sum 1/v:

    mean = sum_k w_k f_k,      variance = sum_k w_k (v_k + (f_k - mean)^2)

These are the mean and the variance of a mixture of normal distributions. A network that reproduces every training row
has a variance near zero and would outweigh all others, so the precision of a network is bounded by four times the
median over the networks at x.

The covariance of two points i and j, with C_k that of network k, is

    sum_k sqrt(w_ki w_kj) (C_kij + (f_ki - mean_i) (f_kj - mean_j)),

the law of total covariance if the weights are the same at both points. In general it is positive semidefinite, and
its diagonal is the variance above.
"""

from collections.abc import Iterable, Sequence

import numpy as np

# Largest precision in the mixture, in units of the median precision.
MAX_WEIGHT = 4.0


def mix(
    means: Sequence[np.ndarray], variances: Sequence[np.ndarray], parts: Sequence[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the mixture from one mean and one variance, of any shape, per network.

    `parts` are the parts of the variances, all of them by default, that the variance of the mixture shall contain.
    """
    parts = variances if parts is None else parts
    if len(means) == 1:
        return means[0], parts[0]
    f, weight = np.stack(means), mixture_weights(variances)
    mean = np.sum(weight * f, axis=0)
    return mean, np.sum(weight * (np.where(weight > 0, np.stack(parts), 0.0) + (f - mean) ** 2), axis=0)


def mix_covariances(
    means: Sequence[np.ndarray], variances: Sequence[np.ndarray], covariances: Iterable[np.ndarray]
) -> np.ndarray:
    """Return the covariance of the mixture, (n_rows, n_rows, n_outputs); see the top."""
    mean, roots = mix(means, variances)[0], np.sqrt(mixture_weights(variances))
    total = np.zeros((len(mean), *mean.shape))
    for f, root, covariance in zip(means, roots, covariances, strict=True):
        distance = root * (f - mean)
        total += root[:, None] * covariance * root + distance[:, None] * distance
    return total


def mixture_weights(variances: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weights of the networks, along a new first axis."""
    v = np.stack(variances)
    bounded = np.maximum(v, np.median(v, axis=0) / MAX_WEIGHT)
    least = bounded.min(axis=0)
    with np.errstate(invalid="ignore"):
        # Relative to the least variance, so that no precision overflows. A least variance of zero gives 0 / 0,
        # and one of infinity inf / inf: both count as 1.
        weight = np.where(bounded == least, 1.0, least / bounded)
    weight /= weight.sum(axis=0)
    return weight
