"""Several networks as one predictive distribution.

Each network k says N(f_k(x), v_k(x)). The mixture gives it the weight of its precision at x, w_k = (1/v_k) / sum 1/v:

    mean = sum_k w_k f_k,      variance = sum_k w_k (v_k + (f_k - mean)^2)

the mean and the variance of a mixture of normal distributions with these weights. A network that reproduces every row
believes that it knows everything, and would be the only one that counts. So no precision counts for more than four
times the median of all networks at x.
"""

from collections.abc import Sequence

import numpy as np

# In units of the median precision.
MAX_WEIGHT = 4.0


def mix(means: Sequence[np.ndarray], variances: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the mixture; one array, of any shape, per network."""
    if len(means) == 1:
        return means[0], variances[0]
    f, v = np.stack(means), np.stack(variances)
    bounded = np.maximum(v, np.median(v, axis=0) / MAX_WEIGHT)
    least = bounded.min(axis=0)
    with np.errstate(invalid="ignore"):
        # Relative, so that no precision overflows; where the least variance is zero, or infinite, 0 / 0 counts as 1.
        weight = np.where(bounded == least, 1.0, least / bounded)
    weight /= weight.sum(axis=0)
    mean = np.sum(weight * f, axis=0)
    return mean, np.sum(weight * (np.where(weight > 0, v, 0.0) + (f - mean) ** 2), axis=0)
