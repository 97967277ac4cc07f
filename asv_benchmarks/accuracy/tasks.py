"""The tasks of the study: sets of measured data from files, and functions with noise of known size."""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.noisy import SYNTHETIC, Split

# kin40k, a simulated robot arm of 40,000 rows, is not in the checkout. If it is passed, these sizes of it are used.
MAX_TRAIN, MAX_TEST = 1000, 2000


def split(path: Path, seed: int) -> Split:
    """Return a random tenth of the rows as test set and the others as training set. The target is the last column."""
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",")
    order = np.random.default_rng(seed).permutation(len(table))
    n_test = len(table) // 10
    test, train = table[order[:n_test][:MAX_TEST]], table[order[n_test:]]
    if len(table) > 10 * MAX_TRAIN:
        train = train[:MAX_TRAIN]
    return Split(train[:, :-1], train[:, -1], test[:, :-1], test[:, -1])


def tasks(folders: list[Path]) -> dict[str, Callable[[int], Split]]:
    """Return names and functions from the number of a split to its rows, small sets first."""
    files = {path.name.removesuffix(".csv.gz"): path for folder in folders for path in folder.glob("*.csv.gz")}
    by_size = sorted(files.items(), key=lambda item: item[1].stat().st_size)
    return {**SYNTHETIC, **{name: partial(split, path) for name, path in by_size}}
