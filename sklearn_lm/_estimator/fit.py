"""Fit of one network: prepared data, configuration and random numbers in, a `FittedNetwork` out."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .._data.blocks import is_distributed
from .._data.executors import LostWorkersError
from .._data.rows import DataSet, Rows
from .._data.scaling import Scaling
from .._data.yeo_johnson import Scalings
from .._network.objective import Problem
from .._network.penalty import Precisions, fixed_l2, make_groups
from .._network.topology import Network, is_weight, layer_matrices, pack
from .._optimize.linearization import Linearization
from .._optimize.termination import Ending
from .._training.check_snapshot import Sizes
from .._training.checkpoint import Checkpoint, Part
from .._training.evidence_formulas import MAX_BETA
from .._training.history import print_starts
from .._training.multistart import Hooks, Multistart, StartListener, StartRun, summary
from .._training.snapshot import Snapshot
from .._training.train import make_multistart
from .._uncertainty.posterior import LeftOut, Posterior, RowsLeftOut, leave_one_out
from .._uncertainty.predictive import MAX_ROWS
from .config import FitConfig, Parameters
from .prediction import Attributes
from .prepare import CheckedData, Prepared, prepare

# Multiply-adds up to which leave-one-out residuals are computed by default: some hundredths of a second.
CHEAP = 1e8


class FitHooks(NamedTuple):
    """Connections of a fit with its caller while it runs."""

    part: Part | None = None  # of the checkpoint
    on_fitted: "Callable[[FittedNetwork], None] | None" = None  # before the end is reported
    stop: threading.Event | None = None  # ends the fit from another thread
    listener: Callable[[Prepared, Problem], StartListener] | None = None
    on_interrupt: "Callable[[FittedNetwork], None] | None" = None  # takes the best solution so far
    start_time: float | None = None


class RobustLoss(NamedTuple):
    """Robust loss at the solution."""

    scale: float  # in units of y
    weights: np.ndarray  # (n_rows,) of the training set


class FittedNetwork(NamedTuple):
    """Result of a fit."""

    network: Network
    theta: np.ndarray
    scalings: Scalings
    ending: Ending
    best_iteration: int
    n_iterations: int
    history: dict[str, np.ndarray]
    starts: dict[str, np.ndarray]
    precisions: Precisions | None  # if the fit found the penalty
    log_evidence: float  # NaN if it was not computed
    robust_loss: RobustLoss | None
    posterior: Posterior | None  # None if there is no Gram matrix
    train: DataSet | None  # unmapped training rows for the leave-one-out predictions: all, or a subsample
    left_out: RowsLeftOut | None
    snapshot: Snapshot | None  # with warm_start=True
    is_surpassed: bool  # whether nearest neighbours predict left-out rows better than the fit reproduces them

    @property
    def loss(self) -> float:
        """F at the solution."""
        return float(self.history["loss"][self.best_iteration])

    @property
    def criterion(self) -> float:
        """The value by which networks are compared, the smallest is the best: minus the log evidence, or F."""
        return self.loss if self.precisions is None else -self.log_evidence


def fit_network(
    prepared: Prepared,
    config: FitConfig,
    rng: np.random.RandomState,
    resume_point: Snapshot | None,
    hooks: FitHooks,
) -> FittedNetwork:
    """Fit one network.

    Parameters
    ----------
    prepared : Prepared
    config : FitConfig
    rng : RandomState
        Random numbers for the starts.
    resume_point : Snapshot or None
        Earlier fit that is continued.
    hooks : FitHooks

    Raises
    ------
    KeyboardInterrupt, LostWorkersError
        After the best solution so far, if there is one, was passed to `hooks.on_interrupt`.
    """
    start_time = time.perf_counter() if hooks.start_time is None else hooks.start_time
    if resume_point:
        prepared = prepared.with_y_scaling(resume_point.scalings.y)
    problem, train = make_problem(prepared, config), prepared.sets["train"]
    settings = config.training._replace(by_evidence=prepared.by_evidence)
    listener = hooks.listener(prepared, problem) if hooks.listener else StartListener()
    # The rows may have changed since the fit that is continued: then they were divided anew.
    snapshot = resume_point or Snapshot(prepared.scalings, prepared.split_indices)
    snapshot = snapshot._replace(split_indices=prepared.split_indices)
    training_hooks = Hooks(start_time, listener, hooks.part.save if hooks.part else None, hooks.stop)
    multistart = make_multistart(problem, train, settings, snapshot, rng, training_hooks)
    result = partial(_result, prepared, config, problem, multistart)
    try:
        run = multistart.run()
        fitted = result(run, left_out_rows(config, prepared))
    except (KeyboardInterrupt, LostWorkersError):
        if hooks.on_interrupt and (leader := multistart.leader()):
            hooks.on_interrupt(result(leader, None))
        raise
    if hooks.on_fitted:
        hooks.on_fitted(fitted)
    multistart.end()
    return fitted


def make_problem(prepared: Prepared, config: FitConfig) -> Problem:
    """Return the least-squares problem of one network."""
    network, scalings = prepared.network, prepared.scalings
    penalty = fixed_l2(0.0 if isinstance(config.alpha, str) else config.alpha, is_weight(network))
    kind = config.objective_type(scalings.y, prepared.weighting.are_counts)
    noise_precision = prepared.weighting.noise_precision
    return Problem(network, scalings.x, scalings.y, prepared.rows, penalty, kind, config.solver, noise_precision)


def left_out_rows(config: FitConfig, prepared: Prepared) -> DataSet | None:
    """Return the training rows for leave-one-out predictions: all if cheap or asked for, else those for the noise.

    They are not mapped by the power maps, whose rounding errors would choose other rows and folds.
    """
    train, network = prepared.unmapped, prepared.network
    work = len(train.X) * network.sizes[-1] * network.n_parameters**2 / 2
    wants_all = config.leave_one_out is True or (config.leave_one_out == "auto" and work <= CHEAP)
    if wants_all:
        return train.local(MAX_ROWS)
    return train.thinned(MAX_ROWS) if prepared.by_evidence and config.is_heteroscedastic else None


# ---- from the best start run to the result ------------------------------------------------------------
def _result(
    prepared: Prepared,
    config: FitConfig,
    problem: Problem,
    multistart: Multistart,
    run: StartRun,
    left_out: DataSet | None,
) -> FittedNetwork:
    """Return the solution of a start run, with its posterior and leave-one-out predictions of the rows `left_out`."""
    assert run.ending is not None
    changed, theta = run.solution()
    solved: Problem = changed or problem
    posterior, robust_loss, rows_left_out = _uncertainty(solved, run, theta, left_out, prepared)
    starts = summary(multistart.runs)
    if config.training.verbose and len(multistart.runs) > 1:
        print_starts(starts)
        if run.monitor.progress is not None:
            run.monitor.progress.replay()
    return FittedNetwork(
        network=solved.network,
        theta=theta,
        scalings=Scalings(prepared.scalings.power, solved.x_scaling, solved.y_scaling),
        ending=run.ending,
        best_iteration=run.best()[1],
        n_iterations=run.iteration,
        history=run.monitor.history(),
        starts=starts,
        precisions=None if run.evidence is None else run.evidence.precisions,
        log_evidence=np.nan if run.evidence is None else run.evidence.log_evidence,
        robust_loss=robust_loss,
        posterior=posterior,
        train=left_out,
        left_out=rows_left_out,
        snapshot=multistart.snapshot(theta) if config.training.warm_start else None,
        is_surpassed=multistart.is_surpassed,
    )


# Squares of errors near the limits of float64 may overflow: the sum is infinite then, which is a valid result.
@np.errstate(over="ignore", invalid="ignore")
def _uncertainty(
    problem: Problem, run: StartRun, theta: np.ndarray, left_out: DataSet | None, prepared: Prepared
) -> tuple[Posterior | None, RobustLoss | None, RowsLeftOut | None]:
    """Return the posterior, the robust loss and the leave-one-out predictions of the rows `left_out`."""
    train, n_outputs = problem.rows["train"], problem.network.sizes[-1]
    work = train.Y.size * problem.network.n_parameters**2 / 2
    # Ctrl-C must return quickly. (Lost workers end a fit with the same status.)
    may_linearize = run.ending is not Ending.INTERRUPTED or work <= CHEAP
    noise, robust_loss = None, None
    linearization: Linearization | None = None
    if run.scale is not None:
        objective = problem.objective(with_matrix=True).with_loss_scale(run.scale)
        if run.evidence is not None:
            objective.change_to(problem.rows["train"], problem.penalty, run.evidence.precisions.beta)
        if may_linearize:
            point, noise = objective.linearize(theta), objective.sigma(theta) ** 2
            if run.evidence is not None:
                squares = objective.noise_squares(theta, point, run.evidence.precisions.beta)
                point = point._replace(squares=squares)
            linearization, train = point, objective.weighted_rows(theta)
        unit = problem.y_scaling.scale[0] if n_outputs == 1 else 1.0
        robust_loss = RobustLoss(float(objective.loss_scale * unit), objective.row_weights(theta))
    elif run.evidence is not None:
        linearization = run.evidence.best_point
        if linearization is None and run.state is not None:
            linearization = run.state.point
    elif run.state is not None and run.state.iteration == run.best()[1]:  # else the solution is an earlier iteration
        linearization = run.state.point
    if run.evidence is not None:
        # Precisions of a fit that was cut short are not those that its last weights would give: perhaps the first ones.
        noise = np.full(n_outputs, 1 / run.evidence.precisions.beta) if run.ending is Ending.EVIDENCE else None
    is_direct = linearization is not None and linearization.is_direct
    if may_linearize and (linearization is None or (problem.has_matrix and not is_direct)):
        with suppress(LostWorkersError):  # the weights are known without a posterior
            linearization = problem.objective(with_matrix=True).linearize(theta)
    if linearization is None or not linearization.is_direct:
        return None, robust_loss, None
    weight = train.weight
    if problem.known_beta is not None:
        noise, weight = 1 / problem.known_beta, np.inf
    groups = None if run.evidence is None else run.evidence.groups
    posterior = Posterior.from_linearization(linearization, problem.penalty.penalty_diag, weight, noise, groups)
    if run.evidence is not None:  # no less noise than the evidence allows, in the units of the targets as they were
        unit = prepared.scalings.y.scale / problem.y_scaling.scale
        least = train.weight / MAX_BETA * np.square(unit)
        posterior.state = posterior.state._replace(squares=np.maximum(posterior.state.squares, least))
    if not may_linearize or left_out is None:
        return posterior, robust_loss, None
    if len(left_out.X) < len(train.X) or is_distributed(train):
        train = left_out.mapped(prepared.scalings.power).rows(problem.y_scaling)
    return posterior, robust_loss, _leave_one_out(problem, posterior, theta, train, prepared.weighting.are_counts)


def _leave_one_out(
    problem: Problem, posterior: Posterior, theta: np.ndarray, rows: Rows, are_counts: bool
) -> RowsLeftOut:
    """Return leave-one-out predictions for training rows; keep their largest leverage."""
    y_scaling, weight = problem.y_scaling, rows.root_weight**2
    f, covariances = posterior.linearized(rows.X, problem.x_scaling.table(), problem.network, theta)
    posterior.state = posterior.state._replace(max_leverage=float(np.einsum("ioo->io", covariances).max()))

    def without(part: np.ndarray) -> LeftOut:
        mean, variance = leave_one_out(covariances, rows.Y - f, rows.Y, part, posterior.noise_variance)
        return LeftOut(y_scaling.offset + y_scaling.scale * mean, y_scaling.scale**2 * variance)

    whole = without(weight)
    if not are_counts:
        own_noise = y_scaling.scale**2 * posterior.noise_variance * (1 / weight - 1)[:, None]
        return RowsLeftOut(whole, whole._replace(variance=whole.variance + own_noise))
    return RowsLeftOut(whole, without(np.minimum(weight, 1.0)) if (weight > 1.0).any() else whole)


# ---- one network, and the fit that is continued ------------------------------------------------------
def warm_start_point(fitted: Attributes, network: Network) -> Snapshot:
    """Return the resume point of a fitted model, from its attributes.

    Raises
    ------
    ValueError
        If the model has another network.
    """
    sizes = (len(fitted["x_offset_"]), *(len(b) for b in fitted["intercepts_"]))
    activations = fitted["hidden_activations_"]
    if (sizes, activations) != (network.sizes, network.activations[:-1]):
        raise ValueError(
            f"warm_start=True cannot go on from a network {sizes} {activations} with "
            f"{network.sizes} {network.activations[:-1]}. Keep the layers, the activation and the number of "
            "columns, or set warm_start=False."
        )
    x_scaling = Scaling(fitted["x_offset_"], fitted["x_scale_"])
    y_scaling = Scaling(fitted["y_offset_"], fitted["y_scale_"])
    theta, precisions = pack(fitted["coefs_"], fitted["intercepts_"]), fitted.get("_precisions")
    known: Snapshot | None = fitted.get("_snapshot")
    if known is not None and known.theta is not None and np.array_equal(theta, known.theta):
        layer_matrices(network, theta)[-1][:] *= (y_scaling.scale / known.scalings.y.scale)[:, None]
        return known._replace(theta=theta, precisions=precisions)
    scalings = Scalings(fitted["x_power_"], x_scaling, y_scaling)
    return Snapshot(scalings, fitted["split_indices_"], theta, precisions)


class Fit(NamedTuple):
    """Result of one call of `fit`: one network or several."""

    prepared: Prepared
    config: FitConfig
    networks: list[FittedNetwork | None]  # None for a network of an interrupted ensemble that was not begun
    # Of an ensemble: the parameters in which each network as an estimator differs from the one that is fitted.
    members: list[Parameters] | None = None
    growth: dict[str, np.ndarray] | None = None  # of a size search
    is_continued: bool = False  # whether an ensemble goes on from the networks of the previous fit

    @property
    def begun(self) -> list[FittedNetwork]:
        """The networks that were begun: all, unless the fit was interrupted."""
        return [network for network in self.networks if network is not None]

    @property
    def best(self) -> FittedNetwork:
        """The network of the largest evidence, or of the least F."""
        return min(self.begun, key=lambda network: network.criterion)


class FitInputs(NamedTuple):
    """Arguments of the three ways to fit: one network, an ensemble, a size search."""

    data: CheckedData
    config: FitConfig
    checkpoint: Checkpoint | None
    previous: list[Attributes]  # of each network of the fit that a warm start continues
    set_result: Callable[[Fit], None]  # called with the result, or with the best so far if the fit is interrupted
    listener: Callable[[Prepared, Problem], StartListener] | None = None  # to the fit of one network

    def random_state(self) -> np.random.RandomState:
        """Return the random numbers of the fit: those of the checkpoint if it has begun."""
        rng = check_random_state(self.config.random_state)
        return self.checkpoint.random_state(rng) if self.checkpoint else rng

    def part(self, name: str) -> Part | None:
        """Return a network's part of the checkpoint."""
        return self.checkpoint.part(name) if self.checkpoint else None

    def resume_point(self, part: Part | None, number: int = 0, network: Network | None = None) -> Snapshot | None:
        """Return what the fit of a network is continued from: its part of the checkpoint, or the previous fit."""
        if part:
            network = network or self.data.network(self.config)
            groups = make_groups(network, self.config.training.penalty_groups)
            sizes = Sizes(network.n_parameters, len(groups.size), network.sizes[0], network.sizes[-1])
            if saved := part.load(sizes):
                return saved
        return warm_start_point(self.previous[number], self.data.network(self.config)) if self.previous else None


def fit_single(inputs: FitInputs) -> Fit:
    """Fit one network."""
    data, config, part = inputs.data, inputs.config, inputs.part("network")
    rng, resume_point = check_random_state(config.random_state), inputs.resume_point(part)
    prepared = prepare(data, config, rng, resume_point)

    def set_result(fitted: FittedNetwork) -> None:
        inputs.set_result(Fit(prepared, config, [fitted]))

    hooks = FitHooks(
        part, listener=inputs.listener, on_fitted=set_result, on_interrupt=set_result, start_time=data.start_time
    )
    return Fit(prepared, config, [fit_network(prepared, config, rng, resume_point, hooks)])
