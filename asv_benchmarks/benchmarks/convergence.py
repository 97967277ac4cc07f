"""Iterations to an error with every switch on and off, and the errors of multistart, on three problems of the suite.

For all problems, and more seeds: `python asv_benchmarks/study.py`.
"""

import numpy as np

from .common import IS_TRIAL, SWITCHES, run, target_of
from .suite import PROBLEMS

SEEDS = range(1 if IS_TRIAL else 3)
NAMES = list(PROBLEMS)[:1] if IS_TRIAL else list(PROBLEMS)[::5]


class IterationsToTarget:
    """Median number of iterations over the seeds, to the error that most fits with every switch off reach."""

    params = (NAMES, list(SWITCHES))
    param_names = ("problem", "switches")
    timeout = 300

    def setup_cache(self):
        return {name: target_of(name, SEEDS) for name in NAMES}

    def track_iterations(self, targets, name, switches):
        problem = PROBLEMS[name]()
        return float(np.median([run(problem, s, **SWITCHES[switches]).to(targets[name])[0] for s in SEEDS]))


class Multistart:
    """Median final training error over the seeds, for one start and for several."""

    params = (NAMES, ["1", "auto"])
    param_names = ("problem", "n_starts")
    timeout = 300

    def track_rmse(self, name, n_starts):
        problem = PROBLEMS[name]()
        starts = n_starts if n_starts == "auto" else int(n_starts)
        return float(np.median([run(problem, s, n_starts=starts).rmse[-1] for s in SEEDS]))

    def time_fit(self, name, n_starts):
        run(PROBLEMS[name](), 0, n_starts=n_starts if n_starts == "auto" else int(n_starts))
