"""Tables of the comparison in Markdown, problems with the largest ratios first."""

import math
import statistics
from typing import NamedTuple

from tables import table

from robustness.methods import PEERS, Record, run_default
from robustness.problems import KINDS, Problem

# Errors below this many units of y count as this: the smallest standard deviation of noise which the kernel of the
# Gaussian process has. Ratios of rounding errors would say nothing.
FLOOR = 1e-5
MAX_RATIO, COVERAGE = 1.5, (0.90, 0.99)
# For each name of data and each peer: errors of the seeds, and the mean coverage if the peer has intervals.
Peers = dict[str, dict[str, dict[str, list[float | None]]]]


class Row(NamedTuple):
    """Results of one problem."""

    kind: str
    problem: str
    has_noise: bool
    error: float  # median over the seeds
    worst: float
    peers: dict[str, float]  # median errors
    ratio: float  # to the best of the peers
    coverage: float  # mean over the seeds, NaN if unknown
    warned: float  # share of the seeds
    seconds: float  # median

    def fails(self) -> bool:
        """Return whether the error is too large in most seeds, and they say nothing."""
        return self.ratio > MAX_RATIO and self.warned < 0.5

    def miscovers(self) -> bool:
        """Return whether too few new values lie in the intervals, or too many, which rows without noise allow."""
        return self.coverage < COVERAGE[0] or (self.has_noise and self.coverage > COVERAGE[1])


def finite_median(values: list[float | None]) -> float:
    """Return the median, where None is a failed fit."""
    return statistics.median(math.inf if value is None else value for value in values)


def ratio(error: float, other: float) -> float:
    return max(error, FLOOR) / max(other, FLOOR)


def row(name: str, problem: Problem, records: list[Record], peers: Peers) -> Row:
    """Return the results of a problem."""
    errors = [record.error for record in records]
    medians = {peer: finite_median(facts["errors"]) for peer, facts in peers[problem.data].items()}
    error = statistics.median(errors)
    coverages = [record.coverage for record in records if record.coverage is not None]
    return Row(
        problem.kind, name, problem.make(0).has_noise, error, max(errors), medians,
        ratio(error, min(medians.values())), statistics.fmean(coverages) if coverages else math.nan,
        statistics.fmean(bool(record.warned) for record in records),
        statistics.median(record.seconds for record in records),
    )  # fmt: skip


def measure(name: str, problem: Problem, n_seeds: int, peers: Peers) -> tuple[Row, list[Record]]:
    """Fit the seeds of a problem."""
    records = [run_default(problem, seed) for seed in range(min(n_seeds, problem.n_seeds))]
    return row(name, problem, records, peers), records


def cells(row: Row) -> list[str]:
    """Return the line of a problem; bold is what a bar forbids."""
    shown, coverage = f"{row.ratio:.2f}", "" if math.isnan(row.coverage) else f"{row.coverage:.3f}"
    peer = min(row.peers, key=lambda name: row.peers[name])
    return [
        row.problem, f"{row.error:.2g}", f"{row.worst:.2g}", peer, f"{row.peers[peer]:.2g}",
        f"**{shown}**" if row.fails() else shown, f"**{coverage}**" if row.miscovers() else coverage,
        f"{100 * row.warned:.0f} %", f"{row.seconds:.2f}",
    ]  # fmt: skip


def report(rows: list[Row]) -> str:
    """Return the tables, and a summary."""
    rows = sorted(rows, key=lambda row: -row.ratio)
    titles = ["problem", "median error", "worst", "best peer", "its error", "ratio", "coverage", "warned", "seconds"]
    return "\n\n".join([table(titles, [cells(row) for row in rows]), by_kind(rows), by_method(rows), summary(rows)])


def by_kind(rows: list[Row]) -> str:
    """Return a table with one row for each kind of problem."""
    lines = []
    for kind in KINDS:
        some = [row for row in rows if row.kind == kind]
        if not some:
            continue
        n_silent, n_wrong = n_failures(some), sum(row.miscovers() for row in some)
        lines.append([kind, str(len(some)), f"{median_ratio(some):.2f}", str(n_silent), str(n_wrong)])
    return table(["kind", "problems", "median ratio", f"ratio > {MAX_RATIO}, no warning", "wrong coverage"], lines)


def by_method(rows: list[Row]) -> str:
    """Return a table of ratios to the best of all others, for this package and for each peer."""
    lines = []
    for name in ("LMRegressor", *PEERS):
        ratios = []
        for row in rows:
            errors = {"LMRegressor": row.error, **row.peers}
            if name in errors:
                ratios.append(ratio(errors.pop(name), min(errors.values())))
        large = (str(sum(value > limit for value in ratios)) for limit in (MAX_RATIO, 10))
        lines.append([name, str(len(ratios)), f"{statistics.median(ratios):.2f}", *large])
    return table(["method", "problems", "median ratio", f"ratio > {MAX_RATIO}", "ratio > 10"], lines)


def summary(rows: list[Row]) -> str:
    """Return the figures that have bars."""
    failed = [row for row in rows if row.fails()]
    large = sum(row.error > 0.01 for row in failed)
    wrong = [f"{row.problem} ({row.coverage:.3f})" for row in rows if row.miscovers()]
    return (
        f"{len(rows)} problems. Median ratio {median_ratio(rows):.2f}.\n"
        f"Ratio above {MAX_RATIO} without a warning: {len(failed)}, of them with an error above .01: {large}.\n"
        f"Coverage outside {COVERAGE[0]:.2f} to {COVERAGE[1]:.2f}: {len(wrong)}: {', '.join(wrong)}."
    )


def median_ratio(rows: list[Row]) -> float:
    return statistics.median(row.ratio for row in rows)


def n_failures(rows: list[Row]) -> int:
    return sum(row.fails() for row in rows)
