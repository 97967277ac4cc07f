"""Run of the study, with its results in a file, from which an interrupted study continues.

    python worker.py OUT.json SPLITS MINUTES FOLDER ...

All tasks and methods of the first split come first, then those of the second: there is a table whenever it ends.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.noisy import Split, score

from accuracy.methods import METHODS, Method, run
from accuracy.tasks import tasks


def measure(method: Method, split: Split, seed: int) -> dict[str, dict[str, Any]]:
    """Return a record for each name of the method."""
    begin = time.perf_counter()
    try:
        predictions = run(method, split, seed)
    except Exception as error:  # a failed fit must not end the study; the table shows a gap
        return {name: {"error": f"{type(error).__name__}: {str(error)[:200]}"} for name in method.names}
    seconds = time.perf_counter() - begin
    return {
        name: {**score(prediction, split.y_test)._asdict(), "seconds": seconds}
        for name, prediction in zip(method.names, predictions, strict=True)
    }


def main(out: Path, n_splits: int, minutes: float, folders: list[Path]) -> None:
    """Measure all methods on all tasks and splits, and save each result."""
    results: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    end = time.monotonic() + 60 * minutes
    available = tasks(folders)
    for seed in range(n_splits):
        for task, make in available.items():
            split = make(seed)
            facts = results.setdefault(task, {"methods": {}})
            facts |= {"n_train": len(split.y), "n_inputs": split.X.shape[1]}
            facts.setdefault("y_std", {})[str(seed)] = float(split.y.std())
            for method in METHODS:
                records = [facts["methods"].setdefault(name, {}) for name in method.names]
                if all(str(seed) in record for record in records):
                    continue
                if time.monotonic() > end:
                    print(f"ended by the limit of {minutes:g} minutes", file=sys.stderr)
                    return
                for name, record in measure(method, split, seed).items():
                    facts["methods"][name][str(seed)] = record
                partial = out.with_suffix(".partial")
                partial.write_text(json.dumps(results))
                partial.replace(out)
        print(f"split {seed + 1} of {n_splits} is done", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), [Path(folder) for folder in sys.argv[4:]])
