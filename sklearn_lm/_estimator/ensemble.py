"""One estimator, one network or several: independent fits, in parallel, and what they say together."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._kernels import interrupt
from .._training.checkpoint import Checkpoint
from .._uncertainty.ensemble import mix
from .._uncertainty.predictive import Errors, NoiseModels, score_left_out
from .fit import FitInputs, FittedNetwork, finds_penalty, fit_network
from .fitted_attributes import OCCASIONAL, learns_noise


def fit_networks(
    model: Any,
    given: FitInputs,
    file: Checkpoint | None = None,
    n_units: int | None = None,
    rng: np.random.RandomState | None = None,
) -> list[FittedNetwork]:
    """Fit `model.n_networks` estimators of one network each, and let the model have the attributes of the best one.

    Each has a seed of its own, drawn beforehand: the number of threads plays no part in the result. All are fitted to
    the same rows. After Ctrl-C the model has those that were done.

    Parameters
    ----------
    model : LMRegressor
    given : FitInputs
    file : Checkpoint, optional
        Where the fits are saved, and go on from.
    n_units : int, optional
        Of the one hidden layer, if that is not what the model's own parameter says.
    rng : RandomState, optional
        In place of the model's.

    Returns
    -------
    fits : list of Fit
        One per network.
    """
    if rng is None:
        rng = check_random_state(model.random_state)
        rng = file.random_state(rng) if file else rng
    draws = rng.randint(np.iinfo(np.int32).max, size=model.n_networks + 1)
    split_seed, *seeds = draws.tolist()
    members = [clone(model) for _ in seeds]
    if model.warm_start and len(getattr(model, "estimators_", ())) == model.n_networks:
        if file is None:
            members = deepcopy(model.estimators_)
        elif not file.is_begun:
            raise ValueError(
                f"checkpoint={str(file.path)!r}, warm_start=True and {model.n_networks} networks to go on from: of "
                "those that have not begun the file would know nothing. Set checkpoint=None, or warm_start=False."
            )
    for member, seed in zip(members, seeds, strict=True):
        member.set_params(
            **{**model.get_params(), "n_networks": 1, "n_jobs": None, "random_state": seed, "checkpoint": None}
        )
        member.__dict__.pop("_skl_callbacks", None)
        if n_units is not None:
            member.set_params(hidden_layer_sizes=(n_units,))
        if model.n_starts == "auto" and finds_penalty(model, given):
            member.set_params(n_starts=1)  # they are better mixed than chosen among

    is_over = threading.Event()

    def run(number: int, member: Any) -> FittedNetwork:
        part = file.part(f"network {number}") if file else None
        fit = fit_network(member, given, part, np.random.RandomState(split_seed), is_over)
        set_leave_one_out(member, [fit])
        return fit

    try:
        fits = _run_all(run, members, model.n_jobs, is_over)
    except KeyboardInterrupt:
        done = [member for member in members if hasattr(member, "_noise_models")]
        if done:
            _copy_best(model, done)
        raise
    _copy_best(model, members)
    set_leave_one_out(model, fits)
    return fits


def _run_all(
    run: Callable[[int, Any], FittedNetwork], members: list[Any], n_jobs: int | None, is_over: threading.Event
) -> list[FittedNetwork]:
    n_threads = min(effective_n_jobs(n_jobs), len(members))
    if n_threads == 1:
        return [run(number, member) for number, member in enumerate(members)]
    # Threads: the kernels hold no lock.
    with ThreadPoolExecutor(n_threads, initializer=interrupt.obey, initargs=(is_over,)) as pool:
        runs = [pool.submit(run, number, member) for number, member in enumerate(members)]
        try:
            return [future.result() for future in runs]
        except BaseException:  # of a fit, or Ctrl-C: the others end with their call of a kernel
            is_over.set()
            for future in runs:
                future.cancel()
            raise


def _copy_best(model: Any, members: list[Any]) -> None:
    copy_fitted_attributes(
        model, min(members, key=lambda member: -member.log_evidence_ if "alpha_" in vars(member) else member.loss_)
    )
    model.estimators_ = members


def copy_fitted_attributes(model: Any, member: Any) -> None:
    """The fitted attributes of the member."""
    own = {*model.get_params(), "_skl_callbacks", "_parent_callback_ctx"}
    for name in OCCASIONAL:
        vars(model).pop(name, None)
    for name in [name for name in vars(model) if name not in own and not name.startswith("_callback")]:
        if name.endswith("_") or name in vars(member):
            del vars(model)[name]
    vars(model).update({name: value for name, value in vars(member).items() if name not in own})


@np.errstate(over="ignore", invalid="ignore")  # as in `fitted_attributes`
def set_leave_one_out(model: Any, fits: Sequence[FittedNetwork]) -> None:
    """Where all networks say what they would without each row: its error, and how the noise depends on the inputs."""
    left_out = [fit.left_out for fit in fits if fit.left_out is not None]
    if len(left_out) < len(fits):
        return
    train, rows = fits[0].train, model.split_indices_["train"]
    assert train is not None
    mean, _ = mix([part.whole.mean for part in left_out], [part.whole.variance for part in left_out])
    if len(train.X) == len(rows):  # and no sample of rows that are elsewhere
        loo = score_left_out(train, mean, rows, model._n_rows)
        model._loo = loo._replace(residuals=loo.residuals[:, 0] if model._y_is_1d else loo.residuals)
    if learns_noise(model):
        model._noise_models = NoiseModels(Errors.from_left_out(train, [part.one for part in left_out]))
