"""Seconds to the same error, for this package and its peers, as a table in Markdown.

    python asv_benchmarks/peers/compare.py [--tasks seed tiny] [--peers sklearn_lm scipy_lm] [--seeds 3] ...

It makes a virtual environment with all of them, runs each package on each task in a separate process, and prints the
table. It needs the standard library only.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from environment import prepare, variables, versions
from report import Facts, cell, compile_cell, machine, share_cell
from tables import table
from worker import COMPILING

HERE = Path(__file__).resolve().parent
TASKS = ["seed", "friedman1", "wide", "tiny"]
PEERS = {
    "sklearn_lm": "LMRegressor",
    "scipy_lm": 'least_squares "lm"',
    "scipy_trf": 'least_squares "trf"',
    "mlp_lbfgs": 'MLPRegressor "lbfgs"',
    "torch_lm": "torch-levenberg-marquardt",
    "pyrenn": "pyrenn",
    "optimistix": "optimistix",
}
PACKAGES = ["sklearn-lm", "numpy", "scipy", "scikit-learn", "numba", "torch", "torch-levenberg-marquardt", "pyrenn"]
PACKAGES += ["jax", "optimistix"]
GRACE = 60.0  # seconds for imports and for the end of an iteration, after which a process is killed


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", type=Path, default=HERE / ".peers-env", help="folder of the virtual environment")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seeds", type=int, default=3, help="starts of each task, for the median (default 3)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one fit (default 300)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every package (default 1)")
    parser.add_argument("--memory", type=float, default=default_memory(), help="gigabytes for one process")
    return parser.parse_args()


def default_memory() -> float:
    """Return three quarters of the memory of the machine, in gigabytes."""
    if not hasattr(os, "sysconf"):
        return 12.0
    return round(0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def forward_lines(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Put the lines of a stream into a queue, and None at its end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def run(python: Path, peer: str, task: str, options: argparse.Namespace) -> list[Facts]:
    """Return the facts that a worker prints, and an error if it failed. It is killed after a long silence."""
    command = [str(python), str(HERE / "worker.py"), peer, task]
    command += [str(options.seeds), str(options.timeout), str(options.memory)]
    facts: list[Facts] = []
    with tempfile.TemporaryDirectory() as scratch:
        environment = variables(options.threads, scratch)
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=forward_lines, args=(process.stdout, lines), daemon=True).start()
        try:
            silence_limit = (2 if peer in COMPILING else 1) * options.timeout + GRACE
            while (line := lines.get(timeout=silence_limit)) is not None:
                facts.append(json.loads(line))
            if process.wait():
                facts.append({"error": f"ends with code {process.returncode}"})
        except queue.Empty:
            facts.append({"error": f"time-out (killed after {silence_limit:.0f} s)"})
        finally:
            process.kill()
            process.wait()
    return facts


def header(python: Path, options: argparse.Namespace) -> str:
    """Return a sentence on machine, versions and limits."""
    found = ", ".join(f"{name} {number}" for name, number in versions(python, PACKAGES).items())
    python_version = ".".join(str(part) for part in sys.version_info[:3])
    return (
        f"{machine()}, {os.cpu_count()} cores, {options.threads} used; Python {python_version}, {found}. "
        f"Limits: {options.timeout:g} s per fit, {options.memory:g} GB per process."
    )


def print_report(
    machine_line: str, results: dict[tuple[str, str], list[Facts]], failures: list[str], options: argparse.Namespace
) -> None:
    """Print the times to the error, then compilation, cores and packages that could not be installed."""

    def per_peer(make_cell: Callable[[list[Facts]], str], peers: list[str], titles: dict[str, str]) -> str:
        rows = [[titles[task], *(make_cell(results[task, peer]) for peer in peers)] for task in options.tasks]
        return table(["task", *(PEERS[peer] for peer in peers)], rows)

    names = {task: task for task in options.tasks}
    descriptions = {task: fact["task"] for (task, _), facts in results.items() for fact in facts if "task" in fact}
    in_full = names | {task: f"{task}: {text}" for task, text in descriptions.items()}
    print(f"{machine_line}\n")
    print(f"Seconds to the target, and iterations: the median of {options.seeds} starts, the same for all.\n")
    print(per_peer(lambda facts: cell(facts, options.seeds), options.peers, in_full))
    if compiling := [peer for peer in options.peers if peer in COMPILING]:
        print("\nCompilation is not included. It took, before a first fit (LMRegressor keeps the code on disk):\n")
        print(per_peer(compile_cell, compiling, names))
    print("\nCores that the runs used. They are fewer than allowed if other processes used the machine:\n")
    print(per_peer(share_cell, options.peers, names))
    for failure in failures:
        print(f"\nNot installed: {failure}")


def main() -> None:
    """Run all packages on all tasks, and print the report."""
    options = arguments()
    print(f"Installing into {options.env} ...", file=sys.stderr, flush=True)
    python, failures = prepare(options.env, HERE / "requirements.txt")
    results: dict[tuple[str, str], list[Facts]] = {}
    for task in options.tasks:
        for peer in options.peers:
            results[task, peer] = run(python, peer, task, options)
            print(f"{task}, {PEERS[peer]}: {cell(results[task, peer], options.seeds)}", file=sys.stderr, flush=True)

    print_report(header(python, options), results, failures, options)


if __name__ == "__main__":
    main()
