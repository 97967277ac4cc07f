"""Time to an error, with steps from the Gram matrix of all rows, from that of a sample of rows, and from blocks.

    python asv_benchmarks/many_parameters.py [ROWS ...]

prints two tables in Markdown, for friedman1 with 8 inputs, of which 5 matter, and one start. The first, without noise
and penalty, has the seconds, and iterations in brackets, until the mean squared error is a given share of the variance;
a fit is ended after one minute. The second, with noise of variance 1 and alpha="auto", has the seconds for a number of
iterations, the log evidence and the error on new rows. ROWS selects the cases with these numbers of rows.
"""

import sys
import warnings
from unittest.mock import patch

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from tables import table

from sklearn_lm import LMRegressor
from sklearn_lm._network import subsample

SHARES = (1e-2, 1e-3, 1e-4)
MATRIX, SAMPLE, BLOCKS = "the matrix of all rows", "a sample", "blocks"
CASES = [
    (20_000, (60,), (MATRIX, SAMPLE)),
    (20_000, (40, 15), (MATRIX, SAMPLE)),
    (20_000, (60, 40), (MATRIX, SAMPLE)),
    (20_000, (80, 50), (MATRIX, BLOCKS)),
    (50_000, (80, 50), (MATRIX, SAMPLE)),
    (200_000, (40, 15), (MATRIX, SAMPLE)),
    (200_000, (60, 40), (MATRIX, SAMPLE)),
]
EVIDENCE_CASES = [(80_000, (40, 20)), (200_000, (60, 40))]
ITERATIONS = 24


def fitted(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], steps: str, seconds: float) -> LMRegressor:
    """Return a fit whose steps come from the given matrix."""
    solver = "cholesky" if steps == MATRIX else "cg"
    goal = SHARES[-1] * float(y.var())
    model = LMRegressor(
        hidden, alpha=0.0, n_starts=1, goal=goal, solver=solver, max_iter=200, max_time=seconds, random_state=0
    )
    return model.fit(X, y)


def cells(model: LMRegressor, variance: float) -> list[str]:
    """Return seconds and iterations to each share of the variance."""
    errors, times = model.history_["train_mse"], model.history_["time"]
    reached = [np.flatnonzero(errors <= share * variance) for share in SHARES]
    return [f"{times[at[0]]:.3g} ({at[0]})" if at.size else "" for at in reached]


def noise_free_line(n_rows: int, hidden: tuple[int, ...], steps: str) -> list[str]:
    """Return a line of the first table."""
    X, y = make_friedman1(n_rows, n_features=8, noise=0.0, random_state=0)
    residuals_per_parameter = 10**9 if steps == BLOCKS else subsample.SAMPLED  # blocks below this number
    with patch.object(subsample, "SAMPLED", residuals_per_parameter):
        fitted(X[:20_000], y[:20_000], (15, 15), steps, 60.0)  # compiles
        model = fitted(X, y, hidden, steps, 60.0)
    return [*case(model, n_rows, steps), *cells(model, float(y.var()))]


def evidence_line(n_rows: int, hidden: tuple[int, ...], steps: str) -> list[str]:
    """Return a line of the second table."""
    X, y = make_friedman1(n_rows + 20_000, n_features=8, noise=1.0, random_state=0)
    train, test = slice(n_rows), slice(n_rows, None)
    solver = "cholesky" if steps == MATRIX else "auto"
    model = LMRegressor(hidden, n_starts=1, solver=solver, max_iter=ITERATIONS, leave_one_out=False, random_state=0)
    model.fit(X[train], y[train])
    error = float(np.mean((y[test] - model.predict(X[test])) ** 2))
    time, evidence = model.history_["time"][-1], np.nanmax(model.history_["log_evidence"])
    return [*case(model, n_rows, steps), f"{time:.3g}", f"{evidence / n_rows:.5f}", f"{error:.4f}"]


def case(model: LMRegressor, n_rows: int, steps: str) -> list[str]:
    """Return the first cells of a line."""
    network = "-".join(str(n) for n in (8, *np.ravel(model.hidden_layer_sizes), 1))
    n_parameters = sum(part.size for part in (*model.coefs_, *model.intercepts_))
    return [f"{n_rows:,}", network, str(n_parameters), steps]


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    wanted = [int(text) for text in sys.argv[1:]]
    first = ["rows", "network", "$p$", "steps by"]
    rows = []
    for n_rows, hidden, kinds in CASES:
        if not wanted or n_rows in wanted:
            rows += [noise_free_line(n_rows, hidden, steps) for steps in kinds]
    print(table([*first, *(f"{100 * share:g} %" for share in SHARES)], rows))
    rows = []
    for n_rows, hidden in EVIDENCE_CASES:
        if not wanted or n_rows in wanted:
            rows += [evidence_line(n_rows, hidden, steps) for steps in (MATRIX, SAMPLE)]
    print()
    print(table([*first, "seconds", "log evidence / rows", "test error"], rows))
