"""Seconds to the same error: this package and its peers, side by side, as a Markdown table.

    python asv_benchmarks/peers/compare.py [--tasks seed tiny] [--peers sklearn_lm scipy_lm] [--seeds 3] ...

Makes a virtual environment with all of them, runs each package on each task in a process of its own, and prints. It
needs nothing but the standard library.
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", type=Path, default=HERE / ".peers-env", help="folder of the virtual environment")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seeds", type=int, default=3, help="starts of each task; the median counts (default 3)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one fit (default 300)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every package (default 1)")
    parser.add_argument("--memory", type=float, default=default_memory(), help="gigabytes for one process")
    return parser.parse_args()


def default_memory() -> float:
    """Three quarters of the machine's memory, in gigabytes."""
    if not hasattr(os, "sysconf"):
        return 12.0
    return round(0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def forward_lines(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def run(python: Path, peer: str, task: str, options: argparse.Namespace) -> list[Facts]:
    """All that a worker tells, and how it ended if not by itself. It is killed when it is silent for too long."""
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
            patience = (2 if peer in COMPILING else 1) * options.timeout + GRACE
            while (line := lines.get(timeout=patience)) is not None:
                facts.append(json.loads(line))
            if process.wait():
                facts.append({"error": f"ends with code {process.returncode}"})
        except queue.Empty:
            facts.append({"error": f"time-out (killed after {patience:.0f} s)"})
        finally:
            process.kill()
            process.wait()
    return facts


def header(python: Path, options: argparse.Namespace) -> str:
    found = ", ".join(f"{name} {number}" for name, number in versions(python, PACKAGES).items())
    python_version = ".".join(str(part) for part in sys.version_info[:3])
    return (
        f"{machine()}, {os.cpu_count()} cores, {options.threads} used; Python {python_version}, {found}. "
        f"Limits: {options.timeout:g} s a fit, {options.memory:g} GB a process."
    )


def print_report(
    machine_line: str, results: dict[tuple[str, str], list[Facts]], failures: list[str], options: argparse.Namespace
) -> None:
    """Time to error, then what has to be known to judge it: compilation, cores, what is missing."""

    def per_peer(make_cell: Callable[[list[Facts]], str], peers: list[str], titles: dict[str, str]) -> str:
        rows = [[titles[task], *(make_cell(results[task, peer]) for peer in peers)] for task in options.tasks]
        return table(["task", *(PEERS[peer] for peer in peers)], rows)

    names = {task: task for task in options.tasks}
    told = {task: fact["task"] for (task, _), facts in results.items() for fact in facts if "task" in fact}
    in_full = names | {task: f"{task}: {text}" for task, text in told.items()}
    print(f"{machine_line}\n")
    print(f"Seconds to the target, and iterations: the median of {options.seeds} starts, the same for all.\n")
    print(per_peer(lambda facts: cell(facts, options.seeds), options.peers, in_full))
    if compiling := [peer for peer in options.peers if peer in COMPILING]:
        print("\nThey are without compilation, which took, before a first fit (LMRegressor keeps the code on disk):\n")
        print(per_peer(compile_cell, compiling, names))
    print("\nCores that the runs had. Where they are fewer than allowed, other processes kept the machine busy:\n")
    print(per_peer(share_cell, options.peers, names))
    for failure in failures:
        print(f"\nNot installed: {failure}")


def main() -> None:
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
