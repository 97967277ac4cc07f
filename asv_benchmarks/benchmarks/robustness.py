"""Defaults on a few of the problems of `asv_benchmarks/robustness`, which has all of them, and more seeds."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from robustness.peers import stored_peers
from robustness.problems import PROBLEMS
from robustness.report import measure, median_ratio, n_failures

from .common import IS_TRIAL

WORDS = ("sine, 8", "trend and", "step, noise", "dose", "heavy tails", "10 rows", "25 rows", "Franke", "linear, 50")
NAMES = [name for name in PROBLEMS if name.startswith(WORDS)]
if IS_TRIAL:
    NAMES = ["10 rows"]
N_SEEDS = 1 if IS_TRIAL else 3


class Robustness:
    """Errors of the defaults relative to the best of the stored peers."""

    timeout = 600

    def setup_cache(self):
        """Fit once for all figures."""
        peers = stored_peers()
        return [measure(name, PROBLEMS[name], N_SEEDS, peers)[0] for name in NAMES]

    def track_median_ratio(self, rows):
        return median_ratio(rows)

    def track_silent_failures(self, rows):
        return n_failures(rows)

    track_median_ratio.unit = "error / error of the best peer"  # type: ignore[attr-defined]
    track_silent_failures.unit = "problems"  # type: ignore[attr-defined]
