"""The study that the defaults are based on; prints its tables in Markdown, as in doc/algorithm.md.

    python asv_benchmarks/study.py [seeds]

The first table has, for every problem of the suite and 20 seeds, iterations and time to the same error with each switch
off. The second has the final errors of one start and of multistart, relative to the smallest error of any fit.
"""

import sys

import numpy as np
from benchmarks.common import BASELINE, SWITCHES, Run, common_target, run
from benchmarks.suite import PROBLEMS
from tables import table


def number(value: float) -> str:
    """Return a number for the table."""
    return f"{value:.0f}" if np.isfinite(value) else "never"


def steps(name: str, runs: dict[str, list[Run]]) -> tuple[list[float], list[float]]:
    """Return median iterations and seconds of each configuration to the error that most fits of the baseline reach."""
    target = common_target(runs[BASELINE])
    reached = np.array([[r.to(target) for r in runs[switch]] for switch in SWITCHES])
    iterations, seconds = np.median(reached, axis=1).T
    return list(iterations), list(seconds)


def main(n_seeds: int) -> None:
    """Run the study and print its tables."""
    seeds = range(n_seeds)
    step_rows, start_rows, ratios, time_ratios, within = [], [], [], [], []
    for name, make in PROBLEMS.items():
        problem = make()
        run(problem, 0)  # compiles
        runs = {switch: [run(problem, seed, **options) for seed in seeds] for switch, options in SWITCHES.items()}
        several = [run(problem, seed, n_starts="auto") for seed in seeds]
        iterations, seconds = steps(name, runs)
        ratios.append(iterations[0] / iterations[-1])
        time_ratios.append(seconds[0] / seconds[-1])
        step_rows.append([name, *(number(i) for i in iterations), f"{time_ratios[-1]:.2f}"])

        one = runs["default"]
        best = min(r.rmse[-1] for some in (*runs.values(), several) for r in some)
        medians = [float(np.median([r.rmse[-1] for r in some])) / best for some in (one, several)]
        shares = [float(np.mean([r.rmse[-1] <= 1.05 * best for r in some])) for some in (one, several)]
        costs = [1e3 * float(np.median([r.seconds for r in some])) for some in (one, several)]
        within.append(medians[1] <= 1.05)
        start_rows.append(
            [name, f"{best:.4f}", *(f"{m:.3f}" for m in medians), *(f"{100 * s:.0f} %" for s in shares)]
            + [f"{c:.0f}" for c in costs]
        )
        print(name, f"{ratios[-1]:.2f}", f"{time_ratios[-1]:.2f}", f"{medians[1]:.3f}", file=sys.stderr, flush=True)

    print(table(["problem", *SWITCHES, "time, default / none of them"], step_rows))
    print(
        f"\nIn the median problem the default takes {np.median(ratios):.2f} of the iterations and "
        f"{np.median(time_ratios):.2f} of the time; at most {np.max(time_ratios):.2f} of the time.\n"
    )
    titles = ["problem", "best RMSE", "median / best, 1 start", "median / best, multistart"]
    titles += ["within 5 %, 1 start", "within 5 %, multistart", "ms, 1 start", "ms, multistart"]
    print(table(titles, start_rows))
    print(f"\nThe median of multistart is within 5 % of the best on {sum(within)} of {len(within)} problems.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
