"""Errors of `LMRegressor` with its defaults on small problems of many kinds, beside its best peer, in Markdown.

    python asv_benchmarks/robustness/compare.py [--seeds N] [--save FILE] [WORDS ...]

The errors of the peers are in `peers.json`. `--peers` computes those that are not there yet: remove an entry to
compute it again.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from environment import THREAD_VARIABLES

# Small fits on one thread are comparable. The libraries read the variables when they are imported.
os.environ |= {name: os.environ.get(name, "1") for name in THREAD_VARIABLES}

from robustness.methods import run_default
from robustness.peers import add_peers, stored_peers
from robustness.problems import MAKERS, N_SEEDS, PROBLEMS
from robustness.report import measure, report


def main() -> None:
    """Run the comparison, and print its report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="only problems whose names contain one of these (default: all)")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="largest number of seeds (default 10)")
    parser.add_argument("--save", type=Path, help="file for the record of each fit, in JSON")
    parser.add_argument("--peers", action="store_true", help="compute missing errors of the peers, and nothing else")
    options = parser.parse_args()

    def is_chosen(name: str) -> bool:
        return not options.words or any(word in name for word in options.words)

    if options.peers:
        return add_peers([name for name in MAKERS if is_chosen(name)])
    run_default(PROBLEMS["line"], 0)  # loads the kernels
    rows, fits, peers = [], {}, stored_peers()
    for name, problem in PROBLEMS.items():
        if is_chosen(name):
            results, records = measure(name, problem, options.seeds, peers)
            rows.append(results)
            fits[name] = [record._asdict() for record in records]
            print(f"{len(rows)}: {name}: ratio {results.ratio:.2f}", file=sys.stderr, flush=True)
            if options.save:
                options.save.write_text(json.dumps(fits, indent=1))
    print(report(rows))


if __name__ == "__main__":
    main()
