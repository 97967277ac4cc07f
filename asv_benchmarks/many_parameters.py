"""Time to an error, with steps by the matrix of all rows, by that of a sample, and by blocks.

    python asv_benchmarks/many_parameters.py [ROWS ...]

prints two tables in Markdown, with targets of friedman1 with 8 inputs of which 5 matter, and one start. First, without
noise and penalty: seconds, and iterations in brackets, until the mean squared error is some share of the variance. A
fit that takes longer than a minute is not waited for. Then, with noise of variance 1 and fits that find their alpha:
seconds for some iterations, the evidence that they come to and the error on other rows. With ROWS only the cases of so
many rows.
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
FOUND = [(80_000, (40, 20)), (200_000, (60, 40))]
ITERATIONS = 24


def fitted(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], steps: str, seconds: float) -> LMRegressor:
    solver = "cholesky" if steps == MATRIX else "cg"
    goal = SHARES[-1] * float(y.var())
    model = LMRegressor(
        hidden, alpha=0.0, n_starts=1, goal=goal, solver=solver, max_iter=200, max_time=seconds, random_state=0
    )
    return model.fit(X, y)


def cells(model: LMRegressor, variance: float) -> list[str]:
    errors, times = model.history_["train_mse"], model.history_["time"]
    reached = [np.flatnonzero(errors <= share * variance) for share in SHARES]
    return [f"{times[at[0]]:.3g} ({at[0]})" if at.size else "" for at in reached]


def line(n_rows: int, hidden: tuple[int, ...], steps: str) -> list[str]:
    X, y = make_friedman1(n_rows, n_features=8, noise=0.0, random_state=0)
    residuals_a_parameter = 10**9 if steps == BLOCKS else subsample.SAMPLED  # blocks where there are not as many
    with patch.object(subsample, "SAMPLED", residuals_a_parameter):
        fitted(X[:20_000], y[:20_000], (15, 15), steps, 60.0)  # compiles
        model = fitted(X, y, hidden, steps, 60.0)
    return [*case(model, n_rows, steps), *cells(model, float(y.var()))]


def found_line(n_rows: int, hidden: tuple[int, ...], steps: str) -> list[str]:
    X, y = make_friedman1(n_rows + 20_000, n_features=8, noise=1.0, random_state=0)
    train, test = slice(n_rows), slice(n_rows, None)
    solver = "cholesky" if steps == MATRIX else "auto"
    model = LMRegressor(hidden, n_starts=1, solver=solver, max_iter=ITERATIONS, leave_one_out=False, random_state=0)
    model.fit(X[train], y[train])
    error = float(np.mean((y[test] - model.predict(X[test])) ** 2))
    time, evidence = model.history_["time"][-1], np.nanmax(model.history_["log_evidence"])
    return [*case(model, n_rows, steps), f"{time:.3g}", f"{evidence / n_rows:.5f}", f"{error:.4f}"]


def case(model: LMRegressor, n_rows: int, steps: str) -> list[str]:
    network = "-".join(str(n) for n in (8, *model.hidden_layer_sizes, 1))
    n_parameters = sum(part.size for part in (*model.coefs_, *model.intercepts_))
    return [f"{n_rows:,}", network, str(n_parameters), steps]


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    wanted = [int(text) for text in sys.argv[1:]]
    first = ["rows", "network", "$p$", "steps by"]
    rows = []
    for n_rows, hidden, ways in CASES:
        if not wanted or n_rows in wanted:
            rows += [line(n_rows, hidden, steps) for steps in ways]
    print(table([*first, *(f"{100 * share:g} %" for share in SHARES)], rows))
    rows = []
    for n_rows, hidden in FOUND:
        if not wanted or n_rows in wanted:
            rows += [found_line(n_rows, hidden, steps) for steps in (MATRIX, SAMPLE)]
    print()
    print(table([*first, "seconds", "log evidence / rows", "test error"], rows))
