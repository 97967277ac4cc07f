"""Accuracy, log-likelihood and coverage of options of this package and of its peers on the same splits, in Markdown.

    python asv_benchmarks/accuracy/compare.py [--data FOLDER] [--splits 10] [--minutes 60] [--out accuracy.json]

It makes a virtual environment with all of them, runs one process in it, and prints the tables. It needs the standard
library only. Every result is saved to a file at once: an interrupted study continues from there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from environment import prepare, variables, versions

from accuracy.report import report

HERE = Path(__file__).resolve().parent
PACKAGES = ["sklearn-lm", "numpy", "scipy", "scikit-learn", "numba", "ngboost"]


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of more sets: NAME.csv.gz without a header, the target last")
    parser.add_argument("--env", type=Path, default=HERE / ".accuracy-env", help="folder of the virtual environment")
    parser.add_argument("--out", type=Path, default=Path("accuracy.json"), help="file of the results")
    parser.add_argument("--splits", type=int, default=10, help="splits of each task (default 10)")
    parser.add_argument("--minutes", type=float, default=90.0, help="time limit in minutes (default 90)")
    parser.add_argument("--tables", action="store_true", help="only print the tables of the file of results")
    return parser.parse_args()


def main() -> None:
    """Run the study, unless only tables are asked for, and print its report."""
    options = arguments()
    if not options.tables:
        print(f"Installing into {options.env} ...", file=sys.stderr, flush=True)
        python, failures = prepare(options.env, HERE / "requirements.txt")
        for failure in failures:
            print(f"Not installed: {failure}", file=sys.stderr)
        folders = [HERE / "data", *([options.data] if options.data else [])]
        command = [python, HERE / "worker.py", options.out, options.splits, options.minutes, *folders]
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run([str(part) for part in command], env=variables(1, scratch), check=True)
        print(", ".join(f"{name} {number}" for name, number in versions(python, PACKAGES).items()), end=os.linesep * 2)
    print(report(json.loads(options.out.read_text())))


if __name__ == "__main__":
    main()
