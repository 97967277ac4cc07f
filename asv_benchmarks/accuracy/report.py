"""From the results of the study to Markdown."""

import math
import statistics
from typing import Any

from tables import table

Results = dict[str, Any]
# What is set beside the peers, and what the switches are compared with.
OURS, REFERENCE = "5 networks", "input"
FEW = ["alpha=0", "alpha=1", "alpha tuned", "evidence", "evidence, 5 networks"]
MANY = [
    "input", "layer", "single", "input, constant noise", "5 networks", "5 networks, constant noise",
    "5 networks, constant noise, plain average",
]  # fmt: skip
PEERS = ["Gaussian process", "NGBoost", "HistGradientBoosting", "MLPRegressor, tuned"]


def standardised(facts: dict[str, Any], method: str) -> list[dict[str, float]]:
    """The records of all splits, for targets of standard deviation 1. Empty if one could not be fitted."""
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
    """The best in bold."""
    return [f"**{number(value)}**" if value == best else number(value) for value in values]


def table_of(results: Results, methods: list[str], key: str) -> str:
    """One row a task, the mean over its splits."""
    rows = []
    for task, facts in results.items():
        values = [mean(facts, method, key) for method in methods]
        there = [value for value in values if not math.isnan(value)]
        best = (min if key == "rmse" else max)(there, default=math.nan)
        rows.append([f"{task} ({facts['n_train']} x {facts['n_inputs']})", *marked(values, best)])
    return table(["task (rows x inputs)", *methods], rows)


# ---- summary ------------------------------------------------------------------------------------------
def log_ratio(results: Results, method: str, reference: str) -> float:
    """Mean over tasks and splits of ln(RMSE / that of the reference on the same split)."""
    ratios = []
    for facts in results.values():
        pairs = zip(standardised(facts, method), standardised(facts, reference), strict=False)
        ratios += [math.log(one["rmse"] / other["rmse"]) for one, other in pairs]
    return statistics.fmean(ratios) if ratios else math.nan


def gain(results: Results, method: str, reference: str) -> float:
    """Mean difference in log-likelihood, in nats a row."""
    gains = []
    for facts in results.values():
        pairs = zip(standardised(facts, method), standardised(facts, reference), strict=False)
        gains += [one["log_likelihood"] - other["log_likelihood"] for one, other in pairs]
    return statistics.fmean(gains) if gains else math.nan


def pooled(results: Results, method: str, key: str) -> float:
    values = [record[key] for facts in results.values() for record in standardised(facts, method)]
    return statistics.fmean(values) if values else math.nan


def summary(results: Results, methods: list[str], reference: str) -> str:
    """Against one of the methods, over all tasks with noise, and over the clean ones, where digits are compared."""
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
    """On how many tasks each is best."""
    counts = dict.fromkeys(methods, 0)
    for facts in results.values():
        values = {method: mean(facts, method, key) for method in methods}
        there = {method: value for method, value in values.items() if not math.isnan(value)}
        if there:
            counts[(min if key == "rmse" else max)(there, key=lambda method: there[method])] += 1
    return ", ".join(f"{method} {count}" for method, count in counts.items())


def in_common(results: Results) -> Results:
    """Only tasks that all methods have begun, with the splits that all of them have."""
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
    results = in_common(results)
    splits = sorted({len(record) for facts in results.values() for record in facts["methods"].values()})
    parts = [
        f"Means of {splits[0]} to {splits[-1]} splits, for targets of standard deviation 1.",
        "## LMRegressor with 10 units: RMSE", table_of(results, FEW, "rmse"),
        "## The same: log-likelihood", table_of(results, FEW, "log_likelihood"),
        summary(results, [*FEW, "alpha=1, 5 networks"], "evidence"),
        f'## LMRegressor with 40 units, alpha="evidence", against "{REFERENCE}"', summary(results, MANY, REFERENCE),
        "## Beside its peers: RMSE", table_of(results, [OURS, *PEERS], "rmse"),
        f"Best of all: {wins(results, [OURS, *PEERS], 'rmse')}.",
        "## Log-likelihood", table_of(results, [OURS, *PEERS], "log_likelihood"),
        f"Best of all: {wins(results, [OURS, *PEERS], 'log_likelihood')}.",
        "## Coverage of 95 % intervals", table_of(results, [OURS, *PEERS], "coverage"),
        summary(results, [OURS, *PEERS], OURS),
    ]  # fmt: skip
    return "\n\n".join(parts)
