"""Errors of the peers, which change with the problems only: they are computed once, and stored."""

import json
import statistics
from pathlib import Path

from robustness.methods import PEERS, run_peer
from robustness.problems import N_SEEDS, N_SEEDS_OF_LARGE, make
from robustness.report import Peers

STORED = Path(__file__).with_name("peers.json")


def stored_peers() -> Peers:
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def rounded(value: float | None) -> float | None:
    return None if value is None or value == float("inf") else float(f"{value:.3g}")


def add_peers(names: list[str]) -> None:
    """Compute what is missing in the file of the peers, and save each result at once."""
    for name in names:
        for peer in PEERS:
            peers = stored_peers()
            facts = peers.setdefault(name, {})
            if peer in facts:
                continue
            n_seeds = N_SEEDS_OF_LARGE if len(make(name, 0).X) >= 1000 else N_SEEDS
            runs = [run for seed in range(n_seeds) if (run := run_peer(peer, make(name, seed), seed))]
            facts[peer] = {"errors": [rounded(error) for error, _ in runs]}
            coverages = [coverage for _, coverage in runs if coverage is not None]
            if coverages:
                facts[peer]["coverage"] = [rounded(statistics.fmean(coverages))]
            if runs:
                lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(peers.items())]
                STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
