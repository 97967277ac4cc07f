"""Run of one package on one task in a separate process, which prints a line of JSON for every fact.

    python worker.py PEER TASK SEEDS SECONDS GIGABYTES

The lines are the task, the seconds of the compilation, and then one for every seed, or an error. If the process is
killed, the lines before are not lost.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

COMPILING = ("sklearn_lm", "optimistix")
OUT_OF_MEMORY = ("allocate", "out of memory", "resource_exhausted")
# A run of milliseconds is repeated, and the smallest time counts: fits have the same bits, interruptions differ.
SHORT, REPEATS = 1.0, 3


def limit_memory(gigabytes: float) -> None:
    """Make allocations fail at a bound, before the machine begins to swap or to kill."""
    try:
        import resource
    except ImportError:  # no Unix
        return
    size = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def compile_seconds(fit: Callable, task: Any, theta: Any, limits: Any) -> float | None:
    """Return the extra time of a first call of a few iterations over a second call. All is compiled then.

    None if these iterations alone exceed the time limit of a fit: then the difference has no meaning.
    """
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        if fit(task, theta, limits._replace(target=0.0, iterations=3)).ending == "time-out":
            return None
        seconds.append(time.perf_counter() - begin)
    return max(0.0, seconds[0] - seconds[1])


def timed(fit: Callable, task: Any, theta: Any, limits: Any) -> dict[str, Any]:
    """Return the outcome of a fit, and the share of one core that it used: less than 1 on a busy machine."""
    outcomes: list[Any] = []
    shares: list[float] = []
    while not outcomes or (len(outcomes) < REPEATS and outcomes[0].seconds < SHORT):
        wall, cpu = time.perf_counter(), time.process_time()
        outcomes.append(fit(task, theta, limits))
        shares.append((time.process_time() - cpu) / (time.perf_counter() - wall))
    best = min(range(len(outcomes)), key=lambda i: outcomes[i].seconds)
    record = outcomes[best]._asdict()
    return {**record, "mse": float(record["mse"]), "share": shares[best]}


def run(peer: str, name: str, n_seeds: int, seconds: float, report: Callable[..., None]) -> None:
    """Fit from every seed, and report each fact."""
    from recorder import Limits
    from tasks import TASKS, start

    task = TASKS[name]()
    report(task=str(task))
    fit = importlib.import_module(f"peer_{peer}").fit
    limits = Limits(task.target, seconds, 10**6)
    if peer in COMPILING:
        report(compile=compile_seconds(fit, task, start(task.network, 0), limits))
    n_failed = 0
    for seed in range(n_seeds):
        if n_failed >= n_seeds - n_seeds // 2:  # the median is known
            break
        record = timed(fit, task, start(task.network, seed), limits)
        n_failed += record["ending"] != "reached"
        report(seed=seed, **record)


def reason(error: BaseException) -> str:
    """Return the text of a cell for a failed fit."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(words in text.lower() for words in OUT_OF_MEMORY):
        return "cannot allocate"
    if isinstance(error, ImportError):
        return f"not installed ({text})"
    return f"fails ({type(error).__name__}: {text[:80]})"


def main(peer: str, name: str, n_seeds: str, seconds: str, gigabytes: str) -> None:
    """Run one package on one task, and print an error if it fails."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some packages print

    def report(**facts: Any) -> None:
        print(json.dumps(facts), file=channel, flush=True)

    limit_memory(float(gigabytes))
    try:
        run(peer, name, int(n_seeds), float(seconds), report)
    except Exception as error:
        report(error=reason(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
