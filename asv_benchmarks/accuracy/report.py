"""Report of the study in Markdown."""

import math
import statistics
from typing import Any

from tables import table

Results = dict[str, Any]
# The method that is compared with the peers, and the reference of the options.
OURS, REFERENCE = "5 networks", "input"
SMALL = ["alpha=0", "alpha=1", "alpha tuned", "evidence", "evidence, 5 networks"]
LARGE = [
    "input", "layer", "single", "input, constant noise", "5 networks", "5 networks, constant noise",
    "5 networks, constant noise, plain average",
]  # fmt: skip
PEERS = ["Gaussian process", "NGBoost", "HistGradientBoosting", "MLPRegressor, tuned"]


def standardised(facts: dict[str, Any], method: str) -> list[dict[str, float]]:
    """Return the records of all splits, for targets of standard deviation 1. Empty if a fit failed."""
    records = facts["methods"].get(method, {})
    if any("error" in record for record in records.values()):
        return []
    scale = {seed: facts["y_std"][seed] for seed in records}
    return [
        record
        | {
            "rmse": record["rmse"] / scale[seed],
            "log_likelihood": record["log_likelihood"] + math.log(scale[seed]),
        }
        for seed, record in records.items()
    ]


def mean(facts: dict[str, Any], method: str, key: str) -> float:
    """Return the mean of a score over the splits, NaN if a fit failed."""
    values = [record[key] for record in standardised(facts, method)]
    return statistics.fmean(values) if values else math.nan


def is_clean(task: str) -> bool:
    return ", 0 % noise" in task


# ---- cells --------------------------------------------------------------------------------------------
def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if 0.001 <= abs(value) < 10 else f"{value:.1f}" if 10 <= abs(value) < 1000 else f"{value:.1e}"


def marked(values: list[float], best: float) -> list[str]:
    """Return the numbers with the best in bold."""
    return [f"**{number(value)}**" if value == best else number(value) for value in values]


def table_of(results: Results, methods: list[str], key: str) -> str:
    """Return a table with one row per task, means over its splits."""
    rows = []
    for task, facts in results.items():
        values = [mean(facts, method, key) for method in methods]
        known = [value for value in values if not math.isnan(value)]
        best = (min if key == "rmse" else max)(known, default=math.nan)
        rows.append([f"{task} ({facts['n_train']} x {facts['n_inputs']})", *marked(values, best)])
    return table(["task (rows x inputs)", *methods], rows)


# ---- summary ------------------------------------------------------------------------------------------
def log_ratio(results: Results, method: str, reference: str) -> float:
    """Return the mean of ln(RMSE / RMSE of the reference on the same split) over tasks and splits."""
    ratios = []
    for facts in results.values():
        pairs = zip(standardised(facts, method), standardised(facts, reference), strict=False)
        ratios += [math.log(one["rmse"] / other["rmse"]) for one, other in pairs]
    return statistics.fmean(ratios) if ratios else math.nan


def gain(results: Results, method: str, reference: str) -> float:
    """Return the mean difference of log-likelihoods, in nats per row."""
    gains = []
    for facts in results.values():
        pairs = zip(standardised(facts, method), standardised(facts, reference), strict=False)
        gains += [one["log_likelihood"] - other["log_likelihood"] for one, other in pairs]
    return statistics.fmean(gains) if gains else math.nan


def pooled(results: Results, method: str, key: str) -> float:
    """Return the mean of a score over all tasks and splits."""
    values = [record[key] for facts in results.values() for record in standardised(facts, method)]
    return statistics.fmean(values) if values else math.nan


def summary(results: Results, methods: list[str], reference: str) -> str:
    """Return a comparison with a reference, over the tasks with noise and over those without."""
    clean = {task: facts for task, facts in results.items() if is_clean(task)}
    noisy = {task: facts for task, facts in results.items() if not is_clean(task)}
    rows = [
        [
            method,
            f"{log_ratio(noisy, method, reference):+.3f}",
            f"{gain(noisy, method, reference):+.3f}",
            f"{100 * pooled(noisy, method, 'coverage'):.1f} %",
            f"{log_ratio(clean, method, reference):+.2f}",
            f"{100 * pooled(clean, method, 'coverage'):.1f} %",
            f"{pooled(results, method, 'seconds'):.2f}",
        ]
        for method in methods
    ]
    titles = ["", "ln RMSE ratio", "log-likelihood", "coverage", "clean: ln RMSE ratio", "clean: coverage", "seconds"]
    return table(titles, rows)


def wins(results: Results, methods: list[str], key: str) -> str:
    """Return the number of tasks on which each method is best."""
    counts = dict.fromkeys(methods, 0)
    for facts in results.values():
        values = {method: mean(facts, method, key) for method in methods}
        known = {method: value for method, value in values.items() if not math.isnan(value)}
        if known:
            counts[(min if key == "rmse" else max)(known, key=lambda method: known[method])] += 1
    return ", ".join(f"{method} {count}" for method, count in counts.items())


def in_common(results: Results) -> Results:
    """Return the tasks that all methods have begun, with the splits that all of them have."""
    methods = {method for facts in results.values() for method in facts["methods"]}
    common = {}
    for task, facts in results.items():
        records = [facts["methods"].get(method, {}) for method in methods]
        seeds = [seed for seed in facts["y_std"] if all(seed in record for record in records)]
        if seeds:
            kept = {method: {seed: facts["methods"][method][seed] for seed in seeds} for method in methods}
            common[task] = {**facts, "methods": kept}
    return common


def report(results: Results) -> str:
    """Return the whole report."""
    results = in_common(results)
    splits = sorted({len(record) for facts in results.values() for record in facts["methods"].values()})
    parts = [
        f"Means of {splits[0]} to {splits[-1]} splits, for targets of standard deviation 1.",
        "## LMRegressor with 10 units: RMSE", table_of(results, SMALL, "rmse"),
        "## LMRegressor with 10 units: log-likelihood", table_of(results, SMALL, "log_likelihood"),
        summary(results, [*SMALL, "alpha=1, 5 networks"], "evidence"),
        f'## LMRegressor with 40 units, alpha="evidence", against "{REFERENCE}"', summary(results, LARGE, REFERENCE),
        "## LMRegressor and its peers: RMSE", table_of(results, [OURS, *PEERS], "rmse"),
        f"Best of all: {wins(results, [OURS, *PEERS], 'rmse')}.",
        "## Log-likelihood", table_of(results, [OURS, *PEERS], "log_likelihood"),
        f"Best of all: {wins(results, [OURS, *PEERS], 'log_likelihood')}.",
        "## Coverage of 95 % intervals", table_of(results, [OURS, *PEERS], "coverage"),
        summary(results, [OURS, *PEERS], OURS),
    ]  # fmt: skip
    return "\n\n".join(parts)
