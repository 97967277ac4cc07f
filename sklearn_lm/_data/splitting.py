"""Division of the rows into training, validation and test sets."""

from collections.abc import Sequence

import numpy as np

from .blocks import RowSet

SETS = ("train", "validation", "test")


def divide(
    data: RowSet,
    validation_set: RowSet | None,
    validation_fraction: float,
    test_fraction: float,
    split: str,
    rng: np.random.RandomState,
    previous: dict[str, np.ndarray] | None = None,
) -> tuple[dict[str, RowSet], dict[str, np.ndarray]]:
    """Return the training, validation and test sets, and the row numbers in each. Rows of weight zero are dropped.

    Parameters
    ----------
    data : RowSet
    validation_set : RowSet or None
        A validation set that the caller passed, in place of `validation_fraction`.
    validation_fraction, test_fraction : float
        Shares of the rows to hold out, 0 for none.
    split : {"random", "block", "interleaved"}
        See `split_rows`.
    rng : RandomState
    previous : dict of str to ndarray, optional
        An earlier division, which is kept if it divides the same rows into sets of the same sizes.

    Returns
    -------
    sets : dict of str to RowSet
        "train" and, where there are such sets, "validation" and "test".
    indices : dict of str to ndarray
        Rows of `data` in the sets that were made from it.
    """
    kept = data.weighted_rows()
    sizes = set_sizes(len(kept), 0.0 if validation_set is not None else validation_fraction, test_fraction)
    rows = split_rows(len(kept), list(sizes.values()), split, rng) if len(sizes) > 1 else [np.arange(len(kept))]
    indices = {name: kept[part] for name, part in zip(sizes, rows, strict=True)}
    if previous is not None and _is_division(previous, kept, sizes):
        indices = previous
    sets = {name: data.take(rows) for name, rows in indices.items()}
    if validation_set is not None:
        sets["validation"] = validation_set
    return sets, indices


def _is_division(indices: dict[str, np.ndarray], kept: np.ndarray, sizes: dict[str, int]) -> bool:
    """Return whether `indices` divide the rows `kept` into sets of these sizes."""
    return {name: len(part) for name, part in indices.items()} == sizes and np.array_equal(
        np.sort(np.concatenate(list(indices.values()))), kept
    )


def split_rows(n_rows: int, sizes: Sequence[int], how: str, rng: np.random.RandomState) -> list[np.ndarray]:
    """Return the row numbers of sets of these sizes, which sum to `n_rows`, each in ascending order.

    "random": drawn by `rng`. "block": one contiguous block after the other, for rows in order of time. "interleaved":
    each set spread evenly over all rows, for rows in order of some input.
    """
    ends = np.cumsum(sizes)
    if how == "random":
        order = rng.permutation(n_rows)
    elif how == "block":
        order = np.arange(n_rows)
    else:
        # Member k of a set of size m has the relative position (k + 1/2) / m; rows are dealt out in this order.
        positions = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
        order = np.argsort(np.argsort(positions, kind="stable"))
    return [np.sort(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def set_sizes(n_rows: int, validation_fraction: float, test_fraction: float) -> dict[str, int]:
    """Return the number of rows of each set; sets of fraction 0 are left out.

    Raises
    ------
    ValueError
        If a set that was asked for would be empty.
    """
    n_validation, n_test = round(validation_fraction * n_rows), round(test_fraction * n_rows)
    fractions = (1.0, validation_fraction, test_fraction)
    sizes = dict(zip(SETS, (n_rows - n_validation - n_test, n_validation, n_test), strict=True))
    for (name, size), fraction in zip(sizes.items(), fractions, strict=True):
        if fraction > 0 and size < 1:
            raise ValueError(
                f"The {name} set would be empty: {n_rows} rows, validation_fraction="
                f"{validation_fraction:g}, test_fraction={test_fraction:g}. Give more rows or other "
                "fractions, or pass X_val and y_val to fit."
            )
    return {name: size for (name, size), fraction in zip(sizes.items(), fractions, strict=True) if fraction > 0}
