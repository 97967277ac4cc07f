"""Evidence of a penalty, and the update of its precisions towards the largest evidence (empirical Bayes).

A penalty is `1/2 sum_j s_j theta_j^2`. It belongs to a model with one noise precision beta and, for every group g of
parameters, one precision alpha_g of a normal prior (MacKay 1992; Foresee & Hagan 1997):

    y_i = f(x_i; theta) + noise,   noise ~ N(0, 1 / (beta w_i)),   theta_j ~ N(0, 1 / alpha_g(j))

Minus the logarithm of the posterior is beta F with s_j = alpha_g(j) / beta. Around its minimum the posterior is normal
with precision beta H, H = J'J + S, which gives the evidence in closed form. With N the sum of the weights times the
number of outputs,

    log p(y) = -beta F - 1/2 log det H + 1/2 sum_j log s_j + N/2 log(beta / 2 pi)

(MacKay 1992, "Bayesian interpolation", eq. 2.8 and 4.2). Its derivatives by log alpha_g and log beta are zero at the
fixed point of `updated` (his eq. 4.8 and 4.9):

    alpha_g = gamma_g / |theta_g|^2,   beta = (N - sum gamma) / sum r^2,   gamma_j = 1 - s_j (H^-1)_jj:

gamma_j, between 0 and 1, is how far the data, and not the prior, determine a parameter.

Several outputs have a beta each; `updated` gives all of them, and `EvidenceSearch` brings the targets to scales on
which they are equal. Everything is in scaled units.

D. J. C. MacKay (1992), Neural Computation 4, 415-447. F. D. Foresee and M. T. Hagan (1997), "Gauss-Newton
approximation to Bayesian learning", International Conference on Neural Networks, 1930-1935.
"""

import numpy as np

from .._network.penalty import Groups, Precisions

# Weak gamma priors on the precisions, so that a group without use, or one without weights, has finite values.
PRIOR_SHAPE, PRIOR_RATE = 1e-3, 1e-6
# An update may change a precision by no more than this factor: far from the fixed point it overshoots.
MAX_CHANGE = 5.0
MIN_ALPHA, MAX_ALPHA = 1e-5, 1e6
# The least noise is 3e-6 of the spread of y. If rows are reproduced exactly it would fall without end, and the fit
# would depend on rounding errors: equal data, divided into other blocks, would give another network.
MAX_BETA = 1e11
# Without hidden layers, and with more rows than parameters, there is one minimum, which rounding errors hardly move:
# the least noise is 1e-12 of the spread.
MAX_LINEAR_BETA = 1e24
# The noise keeps at least this share of the degrees of freedom.
MIN_FREEDOM = 0.1


def log_evidence(cost: float, precisions: Precisions, penalty_diag: np.ndarray, log_det: float, n: float) -> float:
    """Return log p(y), with `cost` = F and `n` the sum of the weights times the number of outputs.

    The priors of the precisions, which `updated` includes, are included, too: else the maximum of the evidence would
    not be the fixed point.
    """
    alpha, beta = precisions
    occam = -0.5 * log_det + 0.5 * float(np.log(penalty_diag).sum())
    priors = 0.5 * float(np.sum(PRIOR_SHAPE * np.log(alpha) - PRIOR_RATE * alpha))
    return -beta * cost + occam + 0.5 * n * float(np.log(beta / (2 * np.pi))) + priors


def updated(
    precisions: Precisions,
    groups: Groups,
    gamma: np.ndarray,
    theta: np.ndarray,
    squares: np.ndarray,
    gamma_of_outputs: np.ndarray,
    weight: float,
    unit: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the precisions after one step towards the fixed point.

    Parameters
    ----------
    precisions : Precisions
    groups : Groups
    gamma, theta : ndarray of shape (n_parameters,)
    squares : ndarray of shape (n_outputs,)
        Weighted sum of the squared residuals of each output.
    gamma_of_outputs : ndarray of shape (n_outputs,)
        The part of the sum of gamma that is attributed to each output.
    weight : float
        Sum of the weights.
    unit : ndarray of shape (n_outputs,)
        Factors by which the targets are larger than scaled ones.

    Returns
    -------
    alpha : ndarray of shape (n_groups,)
    beta : ndarray of shape (n_outputs,)
    """
    gamma_of_groups = np.clip(groups.sums(gamma), PRIOR_SHAPE, groups.size)
    alpha = (gamma_of_groups + PRIOR_SHAPE) / (groups.sums(theta * theta) + PRIOR_RATE)
    freedom = np.maximum(weight - gamma_of_outputs, MIN_FREEDOM * weight)
    beta = freedom / np.maximum(squares, freedom / (MAX_CHANGE * precisions.beta))
    return (
        np.clip(near(alpha, precisions.alpha), MIN_ALPHA, MAX_ALPHA),
        np.minimum(near(beta, np.full(len(beta), precisions.beta)), MAX_BETA / np.square(unit)),
    )


def near(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return `new`, changed by no more than the largest factor of an update."""
    return np.clip(new, old / MAX_CHANGE, old * MAX_CHANGE)
