"""Colours, axes and panels of the displays. matplotlib's settings are not changed."""

from typing import Any, NamedTuple

import numpy as np


class Style(NamedTuple):
    """Look of one set of rows."""

    color: str
    line: str
    marker: str
    width: float


# Okabe and Ito's palette (2008), for any kind of colour vision; lines and markers differ too.
STYLES = {
    "train": Style("#56B4E9", "-", "o", 3.0),
    "validation": Style("#D55E00", "--", "s", 1.8),
    "test": Style("#009E73", ":", "^", 1.8),
    "all": Style("#0072B2", "-", "o", 1.8),
}
BLUE, GREY, LIGHT = "#0072B2", "0.45", "0.9"
FEW_POINTS = 15  # lines of fewer points have markers


def panels(ax: Any, n: int, *, shape: tuple[int, int], size: tuple[float, float], **layout: Any) -> list[Any]:
    """Return `n` axes: new ones, those that were passed, or parts of the one that was passed.

    Parameters
    ----------
    ax : None, matplotlib axes, or sequence of `n` of them
        A single axes is the only panel, or is replaced by several panels.
    n : int
    shape : (int, int)
        Rows and columns of the panels.
    size : (float, float)
        Size of a new figure in inches.
    **layout
        Options of `subgridspec`, such as `height_ratios`.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(*shape, **layout)
    elif np.ndim(ax) > 0:
        given = list(np.ravel(ax))
        if len(given) != n:
            raise ValueError(f"ax: the picture has {n} panels and {len(given)} axes were given. Pass {n}, one or None.")
        return given
    elif n == 1:
        return [ax]
    else:
        figure, place = ax.figure, ax.get_subplotspec()
        ax.set_axis_off()
        if place is not None:
            grid = place.subgridspec(*shape, **layout)
        else:
            box = ax.get_position()
            grid = figure.add_gridspec(*shape, left=box.x0, right=box.x1, bottom=box.y0, top=box.y1, **layout)
    return [figure.add_subplot(grid[divmod(i, shape[1])]) for i in range(n)]


def plain(ax: Any) -> None:
    """Draw a light grid, and no frame above and on the right."""
    ax.grid(color=LIGHT, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def iterations(ax: Any, n: int) -> None:
    """Set the x axis of a record with `n` rows: limits, and ticks at integers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    margin = max(0.03 * (n - 1), 0.3)
    ax.set_xlim(-margin, n - 1 + margin)


def log_axis(ax: Any, *values: np.ndarray) -> bool:
    """Set a logarithmic y axis if a value is positive, and return whether it is. Zeros lie below its lower limit."""
    shown = np.concatenate([np.asarray(value, dtype=float) for value in values])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if not len(shown):
        return False
    ax.set_yscale("log", nonpositive="clip")
    low, high = np.log10(shown.min()), np.log10(shown.max())
    # At least one decade: a shorter axis has no labelled tick, or many crowded ones.
    margin = max(0.06 * (high - low), (1 - (high - low)) / 2)
    limits = np.clip([low - margin, high + margin], -200, 200)  # the ticks beyond must not overflow
    ax.set_ylim(*10**limits)
    return True


def markers(n: int) -> dict[str, Any]:
    """Return size and opacity of `n` points."""
    size = float(np.clip(60 / np.sqrt(max(n, 1)), 1.5, 6))
    return {"linestyle": "none", "markersize": size, "markeredgewidth": 0, "alpha": 0.8, "rasterized": n > 10_000}


def legend(ax: Any, **place: Any) -> None:
    """Draw a translucent legend with markers of at least a readable size."""
    box = ax.legend(framealpha=0.8, edgecolor="none", **place)
    for handle in box.legend_handles:
        if hasattr(handle, "set_markersize") and handle.get_linestyle() == "None":
            handle.set_markersize(max(handle.get_markersize(), 5))


def n_rows(name: str, n: int) -> str:
    """Return a set and its size, for a legend."""
    rows = f"{n} row" if n == 1 else f"{n} rows"
    return rows if name == "all" else f"{name}, {rows}"


def padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Return limits with a margin, also for a single value."""
    width = (high - low) or abs(high) or 1.0
    return low - share * width, high + share * width
