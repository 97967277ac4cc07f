"""Ensemble: the predictive distributions of several networks, mixed by their precisions.

Network k predicts N(f_k(x), v_k(x)). Its weight in the mixture is its share of the precision at x,
w_k = (1/v_k) / sum 1/v:

    mean = sum_k w_k f_k,      variance = sum_k w_k (v_k + (f_k - mean)^2)

These are the mean and the variance of a mixture of normal distributions. A network that reproduces every training row
has a variance near zero and would outweigh all others, so the precision of a network is bounded by four times the
median over the networks at x.
"""

from collections.abc import Sequence

import numpy as np

# Largest precision in the mixture, in units of the median precision.
MAX_WEIGHT = 4.0


def mix(means: Sequence[np.ndarray], variances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the mixture from one mean and one variance, of any shape, per network."""
    if len(means) == 1:
        return means[0], variances[0]
    f, v = np.stack(means), np.stack(variances)
    bounded = np.maximum(v, np.median(v, axis=0) / MAX_WEIGHT)
    least = bounded.min(axis=0)
    with np.errstate(invalid="ignore"):
        # Relative to the least variance, so that no precision overflows. A least variance of zero gives 0 / 0,
        # and one of infinity inf / inf: both count as 1.
        weight = np.where(bounded == least, 1.0, least / bounded)
    weight /= weight.sum(axis=0)
    mean = np.sum(weight * f, axis=0)
    return mean, np.sum(weight * (np.where(weight > 0, v, 0.0) + (f - mean) ** 2), axis=0)
