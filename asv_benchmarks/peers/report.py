"""Cells of the tables, from the facts that the workers printed."""

import platform
import statistics
from pathlib import Path
from typing import Any

Facts = dict[str, Any]


def cell(facts: list[Facts], n_seeds: int) -> str:
    """Return the median seconds to the target, and the iterations of that run; or the reason if there is none."""
    runs = [fact for fact in facts if "seed" in fact]
    reached = sorted((run for run in runs if run["ending"] == "reached"), key=lambda run: run["seconds"])
    middle = n_seeds // 2
    if len(reached) > middle:
        some = "" if len(reached) == n_seeds else f", {len(reached)} of {n_seeds} starts"
        return f"{seconds(reached[middle]['seconds'])} ({reached[middle]['iterations']}{some})"
    errors = [fact["error"] for fact in facts if "error" in fact]
    if errors:
        return errors[-1]
    failed = [run for run in runs if run["ending"] != "reached"]
    if not failed:
        return "no result"
    best = statistics.median_low(run["mse"] for run in failed)
    longest = statistics.median_low(run["seconds"] for run in failed)
    some = f"; {len(reached)} of {n_seeds} starts reach it" if reached else ""
    return f"not reached (best MSE {best:.1e}, {seconds(longest)}{some})"


def seconds(value: float) -> str:
    """Return a time with three digits, or in whole seconds from 100 s."""
    return f"{value:.0f} s" if value >= 100 else f"{value:.3g} s"


def compile_cell(facts: list[Facts]) -> str:
    found = [fact["compile"] for fact in facts if "compile" in fact]
    if not found:
        return "-"
    return "not known" if found[0] is None else seconds(found[0])


def share_cell(facts: list[Facts]) -> str:
    """Return the median number of cores that the runs used: CPU seconds per second."""
    found = [fact["share"] for fact in facts if "share" in fact]
    return f"{statistics.median(found):.2f}" if found else "-"


def machine() -> str:
    """Return the model of the CPU and the operating system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return f"{model}, {platform.system()}"
