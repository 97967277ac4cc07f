"""Nearest neighbours as a reference that needs no model.

Where their leave-one-out errors are far below the training errors of a fit, the fit has missed most of what the inputs
tell about y. Noise inflates their errors more than those of a good fit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Rows that are compared, and the fewest.
N_ROWS, MIN_ROWS = 500, 8
# They are better if the squared errors of the fit exceed theirs by so many standard errors. Under pure noise theirs are
# larger, by a factor of 1 + 1 / (number of neighbours). Of several numbers the best is compared.
MIN_STANDARD_ERRORS = 3.0


class Scores(NamedTuple):
    """R2 of a fit and leave-one-out R2 of nearest neighbours, on training rows."""

    fit: float
    neighbours: float
    n_neighbours: int

    @property
    def sentence(self) -> str:
        """Comparison in words."""
        return (
            f"The fit explains {max(self.fit, 0):.0%} of the variance of the training rows, and the mean of the "
            f"{self.n_neighbours} nearest neighbours of each row, without the row, {self.neighbours:.0%}."
        )


@np.errstate(over="ignore", invalid="ignore")
def better_neighbours(X: np.ndarray, Y: np.ndarray, weight: np.ndarray, predicted: np.ndarray) -> Scores | None:
    """Return the scores of the predictions and of the nearest neighbours if those are clearly better.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_inputs)
        Scaled inputs of distinct rows.
    Y, predicted : ndarray of shape (n_rows, n_outputs)
        Targets and predictions of the fit.
    weight : ndarray of shape (n_rows,)
    """
    if len(X) < MIN_ROWS:
        return None
    share = weight / weight.sum()
    variance = share @ (Y - share @ Y) ** 2

    def squares(values: np.ndarray) -> np.ndarray:
        return np.mean(np.divide((Y - values) ** 2, variance, out=np.zeros(Y.shape), where=variance > 0), axis=1)

    # Two neighbours, which lie on both sides if there is one input, follow a curve of six rows a period; many average
    # noise out.
    fewest = min(X.shape[1], 3) + 1
    numbers = [n for n in (fewest, 4 * fewest, 16 * fewest) if n == fewest or n <= len(X) / 8]
    means = neighbour_means(X, Y, numbers)
    best = min(range(len(numbers)), key=lambda i: share @ squares(means[i]))
    fit, neighbours = squares(predicted), squares(means[best])
    excess, inner = fit - neighbours, share
    if X.shape[1] == 1:  # at both ends the neighbours are on one side
        inner = share * ((X[:, 0] > X.min()) & (X[:, 0] < X.max()))
        inner = inner / max(inner.sum(), np.finfo(float).tiny)
    standard_error = np.sqrt(inner**2 @ (excess - inner @ excess) ** 2)
    is_better = inner @ excess > MIN_STANDARD_ERRORS * standard_error
    return Scores(float(1 - share @ fit), float(1 - share @ neighbours), numbers[best]) if is_better else None


def neighbour_means(X: np.ndarray, Y: np.ndarray, numbers: Sequence[int]) -> list[np.ndarray]:
    """Return for each row the mean target of its nearest other rows, for each of several ascending numbers of them."""
    from scipy.spatial import cKDTree  # takes as long as a small fit to import, and few fits need it

    near = cKDTree(X).query(X, k=numbers[-1] + 1)[1]
    is_other = near != np.arange(len(X))[:, None]
    is_other[is_other.all(axis=1), -1] = False  # of several rows with the same inputs
    targets = Y[near[is_other].reshape(len(X), numbers[-1])]
    return [targets[:, :n].mean(axis=1) for n in numbers]
