"""Size search: one hidden layer that grows until more units do not improve the fit.

Each size has the starts of any fit, and one more: the solution of the best size so far. Its units are kept; the new
units have output weights of zero, so that they change nothing at first, and their transition lies at a row of the data.
(This start alone ends with two to four units on many problems, in a minimum from which more units find no way.) Sizes
are compared by the evidence, or by the leave-one-out error if alpha is fixed: both account for the number of parameters
without held-out rows.
"""

from typing import NamedTuple

import numpy as np

from .._data.executors import LostWorkersError
from .._network.objective import MAX_MATRIX
from .._network.topology import pack, unpack
from .._training.snapshot import Snapshot
from .ensemble import fit_ensemble
from .fit import Fit, FitHooks, FitInputs, FittedNetwork, fit_network
from .fitted_attributes import leave_one_out_score
from .prepare import Prepared, prepare

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# The search ends after so many sizes in a row without improvement, but not before this size: a few units may be no
# better than a straight line.
PATIENCE, MIN_UNITS = 2, 8
# Smallest improvement: a rise of the log evidence, in nats, or a relative fall of the leave-one-out error.
MIN_RISE, MIN_FALL = 1.0, 0.01
# Slope of a new unit, in units of the scaled inputs.
SLOPE = 2.0


class Step(NamedTuple):
    """One size."""

    n_units: int
    n_parameters: int
    train_mse: float
    criterion: float  # log evidence, or leave-one-out R2
    n_iter: int


def search_size(inputs: FitInputs) -> Fit:
    """Fit one size after the other; return the best, with `growth`.

    Several networks are fitted with the size that the search with one network has found.

    Raises
    ------
    KeyboardInterrupt, LostWorkersError
        After the best size so far was passed to `inputs.set_result`.
    """
    config, rng, set_result = inputs.config, inputs.random_state(), inputs.set_result
    verbose, training = config.training.verbose, config.training._replace(verbose=0, warm_start=False)
    leave_one_out = config.leave_one_out if config.finds_penalty else True
    config = config._replace(training=training, leave_one_out=leave_one_out)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    steps, best_step = list[Step](), 0
    best: Fit | None = None
    for n_units in SIZES:
        part, member_rng = inputs.part(f"{n_units} units"), np.random.RandomState(seed)
        config = config._replace(hidden=(n_units,))
        network = inputs.data.network(config)
        if best is None:
            resume_point = inputs.resume_point(part, network=network)
            prepared = prepare(inputs.data, config, member_rng, resume_point)
        elif is_too_large(prepared, n_units):
            break
        else:
            larger = larger_network(best, n_units, rng)
            prepared = prepared._replace(network=network)
            resume_point = inputs.resume_point(part, network=network) or larger
        interrupted = list[FittedNetwork]()
        hooks = FitHooks(part, on_interrupt=interrupted.append)
        try:
            fitted = fit_network(prepared, config, member_rng, resume_point, hooks)
        except (KeyboardInterrupt, LostWorkersError):
            if best or interrupted:
                inputs.set_result(best or Fit(prepared, config, [*interrupted]))
            raise
        fit = Fit(prepared, config, [fitted])
        steps.append(_step(fit, fitted))
        if verbose:
            print("{:4d} units, {:5d} parameters, train MSE {:.4g}, criterion {:.6g}".format(*steps[-1][:4]))
        by_evidence = fitted.precisions is not None
        # With few rows the evidence of a fit that explains nothing may be larger than that of the truth.
        gained = 0 if best is None else best.best.is_surpassed - fitted.is_surpassed
        if best is None or gained > 0 or (gained == 0 and is_better(steps[-1], steps[best_step], by_evidence)):
            best, best_step = fit, len(steps) - 1
        elif len(steps) - 1 - best_step >= PATIENCE and n_units >= MIN_UNITS and not best.best.is_surpassed:
            break
    assert best is not None
    growth = {name: np.array([getattr(step, name) for step in steps]) for name in Step._fields}
    fit = best._replace(growth=growth)
    if inputs.config.n_networks == 1:
        inputs.set_result(fit)
        return fit
    # All rows are training rows, or the ensemble is split by its own seed.
    is_shared = len(fit.prepared.sets) == 1
    inputs = inputs._replace(
        config=inputs.config._replace(hidden=fit.config.hidden),
        set_result=lambda fit: set_result(fit._replace(growth=growth)),
    )
    return fit_ensemble(inputs, rng, fit.prepared if is_shared else None)


def larger_network(fit: Fit, n_units: int, rng: np.random.RandomState) -> Snapshot:
    """Return the solution of a fit with more units, as one start of a larger size."""
    (fitted,), prepared = fit.networks, fit.prepared
    assert fitted is not None
    (W, V), (b, c) = unpack(fitted.network, fitted.theta)
    n_inputs, n_new = W.shape[0], n_units - W.shape[1]
    distinct = distinct_rows(prepared)
    rows = distinct[rng.randint(len(distinct), size=n_new)]
    centres = (rows - fitted.scalings.x.offset) / fitted.scalings.x.scale
    new = SLOPE / np.sqrt(n_inputs) * rng.normal(size=(n_inputs, n_new))
    theta = pack(
        [np.hstack([W, new]), np.vstack([V, np.zeros((n_new, V.shape[1]))])],
        [np.concatenate([b, -np.einsum("ki,ik->k", centres, new)]), c],
    )
    return Snapshot(fitted.scalings, prepared.split_indices, theta, fitted.precisions, is_extra=True)


def distinct_rows(prepared: Prepared) -> np.ndarray:
    """Return the distinct inputs of the sample: a row given twice equals a row of twice the weight."""
    return np.unique(prepared.sample_X, axis=0)


def is_too_large(prepared: Prepared, n_units: int) -> bool:
    """Return whether the parameters are more than the residuals, or too many for a Gram matrix."""
    n_inputs, *_, n_outputs = prepared.network.sizes
    n_parameters, n_rows = n_units * (n_inputs + 1) + n_outputs * (n_units + 1), prepared.set_sizes["train"]
    if n_rows == len(prepared.sample_X):
        n_rows = len(distinct_rows(prepared))
    return n_parameters > n_rows * n_outputs or n_parameters**2 > MAX_MATRIX


def is_better(step: Step, other: Step, by_evidence: bool) -> bool:
    """Return whether a size is better than another by enough to count."""
    if by_evidence:
        return step.criterion > other.criterion + MIN_RISE
    # 1 - R2 is PRESS over the variance of y, mean over outputs: the units of an output do not matter.
    return 1 - step.criterion < (1 - MIN_FALL) * (1 - other.criterion)


def _step(fit: Fit, fitted: FittedNetwork) -> Step:
    """Return the record of one size."""
    criterion = fitted.log_evidence
    if fitted.precisions is None:
        score = leave_one_out_score(fit.prepared, [fitted])
        assert score is not None
        criterion = score.score
    train_mse = float(fitted.history["train_mse"][fitted.best_iteration])
    n_units, n_parameters = fitted.network.sizes[1], fitted.network.n_parameters
    return Step(n_units, n_parameters, train_mse, float(criterion), fitted.n_iterations)
