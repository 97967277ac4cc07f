"""Ensemble: several networks, fitted independently and in parallel to the same prepared data."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import effective_n_jobs

from .._data.executors import LostWorkersError
from .._kernels import interrupt
from .fit import Fit, FitHooks, FitInputs, FittedNetwork, fit_network
from .prediction import Attributes
from .prepare import Prepared, prepare


def fit_ensemble(inputs: FitInputs, rng: np.random.RandomState | None = None, prepared: Prepared | None = None) -> Fit:
    """Fit `n_networks` networks.

    Each has its own seed, drawn beforehand: the result does not depend on the number of threads.

    Parameters
    ----------
    inputs : FitInputs
    rng : RandomState, optional
        Draws the seeds, in place of the random state of the inputs.
    prepared : Prepared, optional
        The data, if they are prepared already. They must have no validation and no test set made by a random split.

    Returns
    -------
    fit : Fit

    Raises
    ------
    KeyboardInterrupt, LostWorkersError
        After the networks that have begun were passed to `inputs.set_result`.
    """
    data, config = inputs.data, inputs.config
    rng = inputs.random_state() if rng is None else rng
    split_seed, *seeds = rng.randint(np.iinfo(np.int32).max, size=config.n_networks + 1).tolist()
    if inputs.checkpoint and inputs.previous and not inputs.checkpoint.is_begun:
        raise ValueError(
            f"checkpoint={str(inputs.checkpoint.path)!r}, warm_start=True and {config.n_networks} networks to go on "
            "from: the file does not hold the state of those that have not begun. Set checkpoint=None, or "
            "warm_start=False."
        )
    if inputs.checkpoint:
        inputs = inputs._replace(previous=[])
    parameters: Attributes = {"n_networks": 1, "n_jobs": None, "checkpoint": None}
    if config.searches_size:
        parameters["hidden_layer_sizes"] = config.hidden
    if config.training.n_starts == "auto" and config.finds_penalty:
        parameters["n_starts"] = 1  # more networks are better than more starts to choose from
    n_starts = parameters.get("n_starts", config.training.n_starts)
    config = config._replace(training=config.training._replace(n_jobs=None, n_starts=n_starts))
    parts = [inputs.part(f"network {number}") for number in range(config.n_networks)]
    resume_points = [inputs.resume_point(part, number) for number, part in enumerate(parts)]
    if prepared is None:
        known = next((point for point in resume_points if point), None)
        prepared = prepare(data, config, np.random.RandomState(split_seed), known)

    members = [{**parameters, "random_state": seed} for seed in seeds]
    fit = Fit(prepared, config, [None] * config.n_networks, members, is_continued=bool(inputs.previous))
    stop = threading.Event()

    def run(number: int) -> None:
        """Fit one network, and keep it even if its fit is interrupted."""

        def keep(fitted: FittedNetwork) -> None:
            fit.networks[number] = fitted

        hooks = FitHooks(parts[number], stop=stop, on_interrupt=keep)
        rng = np.random.RandomState(seeds[number])
        keep(fit_network(prepared, config, rng, resume_points[number], hooks))

    try:
        _run_all(run, config.n_networks, inputs.config.training.n_jobs, stop)
    except (KeyboardInterrupt, LostWorkersError):
        if fit.begun:
            inputs.set_result(fit)
        raise
    inputs.set_result(fit)
    return fit


def _run_all(run: Callable[[int], None], n: int, n_jobs: int | None, stop: threading.Event) -> None:
    """Call `run` for the numbers 0 to n - 1, in threads."""
    n_threads = min(effective_n_jobs(n_jobs), n)
    if n_threads == 1:
        for number in range(n):
            run(number)
        return
    # Threads are enough, because the kernels release the interpreter's lock.
    with ThreadPoolExecutor(n_threads, initializer=interrupt.obey, initargs=(stop,)) as pool:
        futures = [pool.submit(run, number) for number in range(n)]
        try:
            for future in futures:
                future.result()
        except BaseException:  # an error of one fit, or Ctrl-C: the other threads end after their call of a kernel
            stop.set()
            for future in futures:
                future.cancel()
            raise
