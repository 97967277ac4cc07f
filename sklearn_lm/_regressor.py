"""LMRegressor: parameters, their constraints, and `fit` as an outline. No mathematics here."""

import os
import time
from collections.abc import Sequence
from copy import copy
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._callbacks import CallbackSupport, Tasks
from ._checkpoint import Before, Checkpoint, fingerprint
from ._data import DataSet, check_inputs, check_rows, check_validation_set, divide
from ._kernels import ACTIVATIONS
from ._lineup import judges_of, line_up
from ._monitor import EarlyStopping, Goal, Listener, Monitor, Progress
from ._network import Network, is_weight, make_network, pack
from ._objective import Problem, make_rows, predict
from ._optimizer import Settings
from ._publish import model_attributes, publish, warn_of
from ._race import Course, Race
from ._regularization import fixed_l2
from ._report import ReportMixin
from ._scaling import Scaling, make_scaling
from ._starts import FAMILIES

# Parameters that may be others when a fit goes on from its checkpoint.
MAY_CHANGE = {
    "checkpoint", "goal", "max_iter", "max_time", "min_grad", "n_jobs", "random_state", "tol", "verbose", "warm_start",
}  # fmt: skip


class LMRegressor(ReportMixin, CallbackSupport, RegressorMixin, BaseEstimator):
    """Feed-forward network fitted by nonlinear least squares with the Levenberg-Marquardt algorithm.

    For networks of 10 to some thousand parameters. It minimises

        F = 1/2 sum_i w_i |y_i - f(x_i)|^2 + 1/2 alpha |W|^2

    in scaled units, with a linear output layer, `sample_weight` as w and all weights but no biases in W.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(10,)
        Units of each hidden layer. ``()`` is linear regression.
    activation : str or sequence of str, default="tanh"
        "tanh", "logistic", "relu", "softplus" or "identity"; one name for all hidden layers, or one for each.
    alpha : float, default=0.0
        Strength of the L2 penalty. In sum form, as in :class:`~sklearn.linear_model.Ridge`.
    scaling : {"minmax", "standard"} or None, default="minmax"
        Inputs are brought to [-1, 1], or to mean 0 and variance 1. Either way targets are standardised. Constant
        columns are only shifted. None leaves inputs and targets as they are.
    init : str, default="nguyen_widrow"
        Family of the first start. "nguyen_widrow": units spread over the range of the data; "glorot": small random
        weights; "small": smaller ones; "centred": units that bend at data points; "steep": the same with steep
        slopes; "selected": units chosen one by one to explain the target.
    n_starts : int or "auto", default="auto"
        Starts from a mix of families race: all get 12 iterations, the best 30 % go on to 40, the best 8 % to 90, and
        the best 5 %, but at least two, run to the end. "auto": as many as a small budget of arithmetic allows, up to 40
        for problems of some hundred rows and 60 parameters, 1 for large ones; counted from the sum of the weights.
    solve_output : bool, default=True
        Solve for the output layer by linear least squares at every trial point (variable projection).
    acceleration : bool, default=True
        Add the geodesic correction, of second order, to every step.
    solver : {"auto", "cholesky", "cg"}, default="auto"
        How steps are found. "cholesky": from the Gram matrix J'J, or from J where residuals are fewer than parameters.
        "cg": by preconditioned conjugate gradients, with no matrix, in memory proportional to the parameters. "auto":
        "cg" where the matrix would have more than 5000 x 5000 numbers.
    damping : {"nielsen", "marquardt"}, default="nielsen"
        How the damping mu follows the steps. "nielsen": by the gain ratio, smoothly. "marquardt": times
        `mu_decrease` after a success, times `mu_increase` after a failure, as in MATLAB's ``trainlm``.
    mu : float, default=1e-3
        First damping. It is measured in units of the largest diagonal entry of the Gram matrix J'J at the start, so
        it does not depend on the number of rows.
    mu_increase, mu_decrease : float, default=10.0 and 0.1
        Factors for ``damping="marquardt"``.
    mu_max : float, default=1e10
        The fit ends when mu, in the same units, would exceed this.
    max_iter : int, default=200
        Largest number of iterations. An iteration is one accepted step.
    tol : float, default=1e-10
        The fit ends when F fell by less than this fraction over five iterations.
    min_grad : float, default=1e-10
        The fit ends when the norm of the gradient of F, divided by the sum of the weights, is not above this.
    goal : float, default=0.0
        The fit ends when the mean squared training error, in squared units of y, is not above this.
    max_time : float or None, default=None
        Seconds after which the fit ends with the best weights so far.
    early_stopping : bool, default=False
        Hold a validation set out, stop when its error no longer falls, and keep the weights of its least error.
        Passing `X_val` to `fit` switches this on.
    validation_fraction : float, default=0.15
        Share of the rows in the validation set. Not used with `X_val`.
    split : {"random", "block", "interleaved"}, default="random"
        How these sets are taken: at random; in blocks, the first rows for training and the last for testing, as for
        time series; or evenly spread over all rows, as for rows in order of an input.
    test_fraction : float, default=0.0
        Share of the rows in a test set. It takes no part in the fit: its error is recorded, that is all.
    n_iter_no_change : int, default=6
        Iterations without a new least validation error before the fit ends.
    warm_start : bool, default=False
        Go on, with the scaling and the sets of the previous call of `fit`, for `max_iter` more iterations. On the same
        data n calls of one iteration end, to the bit, where one call of n iterations does. On other data the
        weights are taken over, and nothing else.
    verbose : int, default=0
        1 prints one line per iteration, 2 also one per rejected trial. Where several starts race, a line for each
        start comes first, and the iterations are those of the winner, printed at the end.
    checkpoint : str, path-like or None, default=None
        File that is written after every iteration and removed at the end of the fit. Where there is one, left behind
        by a process that was killed or by Ctrl-C, `fit` on the same data goes on from it, and ends as if nothing had
        been. It holds numbers only, no code.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the random split.
    n_jobs : int or None, default=None
        Threads in which starts run side by side, as in joblib.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer, for scaled inputs and targets.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    n_layers_ : int
        Number of layers, the inputs included.
    n_outputs_ : int
    hidden_activations_ : tuple of str
    out_activation_ : str
        Always "identity".
    x_offset_, x_scale_ : ndarray of shape (n_features_in_,)
        The network sees ``(X - x_offset_) / x_scale_``.
    y_offset_, y_scale_ : ndarray of shape (n_outputs_,)
        Predictions are ``y_offset_ + y_scale_ * output``.
    n_iter_ : int
        Iterations made.
    best_iter_ : int
        Iteration whose weights are published: the last one, or that of the least validation error.
    loss_ : float
        F at `best_iter_`.
    loss_curve_ : list of float
        F at the start and after each iteration.
    stop_reason_ : str
        Why the fit ended, as a sentence.
    history_ : dict of str to ndarray of shape (n_iter_ + 1,)
        The start and every iteration: `train_mse`, `validation_mse` and `test_mse` (where there are such sets; mean
        squared errors in squared units of y), `grad_norm`, `mu`, `gain_ratio` (actual over predicted reduction
        of the accepted step), `n_evaluations` (of F, in total), `time` (seconds since the fit began), the
        iteration's seconds by phase: `time_jacobian` (gradient and Gram matrix), `time_solve` (factor and step),
        `time_evaluate` (trial points); with a validation set `validation_failures`, the iterations since its least
        error.
    starts_ : dict of str to ndarray of shape (n_starts,)
        Of each start: `family`, last `train_mse`, `n_iter` and `fate`.
    split_indices_ : dict of str to ndarray
        Rows of X in the training, validation and test sets that were made from it. Rows of weight zero are in none.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had string names.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : Networks with many more parameters, by first-order methods.

    References
    ----------
    K. Levenberg (1944), Quarterly of Applied Mathematics 2, 164-168.

    D. W. Marquardt (1963), SIAM Journal on Applied Mathematics 11, 431-441.

    G. H. Golub and V. Pereyra (1973), SIAM Journal on Numerical Analysis 10, 413-432 (variable projection).

    M. K. Transtrum and J. P. Sethna (2012), arXiv:1201.5885 (geodesic acceleration).

    S. G. Nash and A. Sofer (1990), Operations Research Letters 9, 219-221 (when conjugate gradients are ended).

    M. T. Hagan and M. B. Menhaj (1994), "Training feedforward networks with the Marquardt algorithm", IEEE
    Transactions on Neural Networks 5, 989-993.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lm import LMRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(6 * X[:, 0])
    >>> model = LMRegressor(hidden_layer_sizes=8, max_iter=500, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9999)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "scaling": [StrOptions({"minmax", "standard"}), None],
        "init": [StrOptions(set(FAMILIES))],
        "n_starts": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "solve_output": ["boolean"],
        "acceleration": ["boolean"],
        "solver": [StrOptions({"auto", "cholesky", "cg"})],
        "damping": [StrOptions({"nielsen", "marquardt"})],
        "mu": [Interval(Real, 0, None, closed="neither")],
        "mu_increase": [Interval(Real, 1, None, closed="neither")],
        "mu_decrease": [Interval(Real, 0, 1, closed="neither")],
        "mu_max": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "min_grad": [Interval(Real, 0, None, closed="left")],
        "goal": [Interval(Real, 0, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "split": [StrOptions({"random", "block", "interleaved"})],
        "test_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(10,),
        activation="tanh",
        *,
        alpha=0.0,
        scaling="minmax",
        init="nguyen_widrow",
        n_starts="auto",
        solve_output=True,
        acceleration=True,
        solver="auto",
        damping="nielsen",
        mu=1e-3,
        mu_increase=10.0,
        mu_decrease=0.1,
        mu_max=1e10,
        max_iter=200,
        tol=1e-10,
        min_grad=1e-10,
        goal=0.0,
        max_time=None,
        early_stopping=False,
        validation_fraction=0.15,
        split="random",
        test_fraction=0.0,
        n_iter_no_change=6,
        warm_start=False,
        verbose=0,
        checkpoint=None,
        random_state=None,
        n_jobs=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.scaling = scaling
        self.init = init
        self.n_starts = n_starts
        self.solve_output = solve_output
        self.acceleration = acceleration
        self.solver = solver
        self.damping = damping
        self.mu = mu
        self.mu_increase = mu_increase
        self.mu_decrease = mu_decrease
        self.mu_max = mu_max
        self.max_iter = max_iter
        self.tol = tol
        self.min_grad = min_grad
        self.goal = goal
        self.max_time = max_time
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.split = split
        self.test_fraction = test_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.n_jobs = n_jobs

    # ---- fit --------------------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A `numpy.memmap`, or a table of HDF5, Zarr and their like, is read part by part and never copied as a whole.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative. An integer weight equals a repeated row, a zero weight a dropped one.
        X_val, y_val : array-like, default=None
            A validation set of your own. It switches early stopping on.
        sample_weight_val : array-like, default=None
            Weights of its rows.

        Returns
        -------
        self : LMRegressor

        Raises
        ------
        InvalidParameterError
            If a parameter is out of its range.
        ValueError
            If the data cannot be fitted as they are: not finite, empty, of unequal lengths, too large to square. If
            `checkpoint` is the file of another fit.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` or `max_time` ended the fit.

        Notes
        -----
        After Ctrl-C the best weights so far are published, with `stop_reason_` "interrupted", and the KeyboardInterrupt
        goes on to the caller.
        """
        start_time = time.perf_counter()
        rng = check_random_state(self.random_state)
        is_warm = self.warm_start and hasattr(self, "coefs_")
        hidden, activations = self._hidden_layers()
        draft = copy(self)  # what validation learns of X becomes ours only with the rest of the model
        data, draft._y_is_1d = check_rows(draft, X, y, sample_weight, reset=not is_warm)
        given = check_validation_set(draft, X_val, y_val, sample_weight_val, data.Y.shape[1])
        fraction = self.validation_fraction if self.early_stopping else 0.0
        network = make_network(data.X.shape[1], hidden, data.Y.shape[1], activations)
        checkpoint = self._checkpoint(data, given)
        before = (checkpoint.load() if checkpoint else None) or (self._previous(network) if is_warm else None)
        sets, draft.split_indices_ = divide(
            data, given, fraction, self.test_fraction, self.split, rng, before.split_indices if before else None
        )
        scalings = before.scalings if before else make_scaling(self.scaling, *sets["train"])
        rows = {name: make_rows(*part, scalings[1]) for name, part in sets.items()}
        problem = Problem(network, *scalings, rows, fixed_l2(self.alpha, is_weight(network)), self.solver)

        if before:
            starts, n_starts = [("warm_start", before.theta)], before.n_starts
            sample = judges_of(problem, sets["train"], n_starts)
        else:
            starts, sample = line_up(problem, sets["train"], self.n_starts, self.init, rng)
            n_starts = len(starts)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        tasks = Tasks(
            self,
            n_starts,
            self.max_iter,
            {"X": X, "y": y, "metadata": metadata},
            partial(model_attributes, problem, draft),
        )
        course = self._course(problem, n_starts == 1)
        scouting = self._course(problem._replace(rows={"train": sample}), False) if sample else None
        memory = before.race if before else None
        save = partial(checkpoint.save_race, scalings, draft.split_indices_) if checkpoint else None
        race = Race(starts, course, self._settings(problem), start_time, self.n_jobs, scouting, memory, tasks, save)
        try:
            winner = race.run()
        except KeyboardInterrupt:
            if leader := race.leader():
                publish(self, problem, race, leader, draft)
            raise
        publish(self, problem, race, winner, draft)
        if checkpoint:
            checkpoint.remove()
        tasks.end(winner.monitor.best()[2])
        warn_of(winner.ending)
        return self

    def _hidden_layers(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Sizes and activation names of the hidden layers, one each."""
        sizes = self.hidden_layer_sizes
        is_sequence = isinstance(sizes, Sequence | np.ndarray)
        sizes = tuple(sizes) if is_sequence else (sizes,)
        if not all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1 for size in sizes):
            raise InvalidParameterError(
                "The 'hidden_layer_sizes' parameter of LMRegressor must be a positive int or a sequence of "
                f"positive ints. Got {self.hidden_layer_sizes!r} instead."
            )
        names = self.activation
        names = (names,) * len(sizes) if isinstance(names, str) else tuple(names)
        if len(names) != len(sizes) or not all(isinstance(name, str) and name in ACTIVATIONS for name in names):
            raise InvalidParameterError(
                f"The 'activation' parameter of LMRegressor must be one of {sorted(ACTIVATIONS)}, or one of "
                f"them for each of the {len(sizes)} hidden layers. Got {self.activation!r} instead."
            )
        return tuple(int(size) for size in sizes), tuple(str(name) for name in names)

    def _checkpoint(self, data: DataSet, given: DataSet | None) -> Checkpoint | None:
        """The file of this fit, if one was asked for."""
        if self.checkpoint is None:
            return None
        seed = self.random_state if isinstance(self.random_state, Integral) else None
        owner = {name: repr(value) for name, value in self.get_params().items() if name not in MAY_CHANGE}
        owner["random_state"] = repr(seed)
        owner["the training data"] = fingerprint(data)
        owner["the validation set"] = fingerprint(given or [])
        return Checkpoint(self.checkpoint, owner)

    def _previous(self, network: Network) -> Before:
        """What a warm start takes over."""
        sizes = (len(self.x_offset_), *(len(b) for b in self.intercepts_))
        if (sizes, self.hidden_activations_) != (network.sizes, network.activations[:-1]):
            raise ValueError(
                f"warm_start=True cannot go on from a network {sizes} {self.hidden_activations_} with "
                f"{network.sizes} {network.activations[:-1]}. Keep the layers, the activation and the number of "
                "columns, or set warm_start=False."
            )
        scalings = Scaling(self.x_offset_, self.x_scale_), Scaling(self.y_offset_, self.y_scale_)
        theta = pack(self.coefs_, self.intercepts_)
        return Before(scalings, self.split_indices_, getattr(self, "_memory", None), theta)

    def _course(self, problem: Problem, is_alone: bool) -> Course:
        return Course(problem.objective, partial(self._monitor, problem, is_alone), problem.negligible())

    def _settings(self, problem: Problem) -> Settings:
        settings = Settings(**{name: getattr(self, name) for name in Settings._fields if hasattr(self, name)})
        # A linear network is one least-squares problem: solving a part of it first would leave nothing to iterate.
        return settings._replace(solve_output=bool(self.solve_output and problem.projects))

    def _monitor(self, problem: Problem, is_alone: bool) -> Monitor:
        """Who watches one run: errors of all sets, the stopping rules, progress."""
        # An error of zero ends a fit by its gradient; one that only underflows must not end it by its goal.
        rules: list[Listener] = [Goal(self.goal)] if self.goal > 0 else []
        held_out = {f"{name}_mse": partial(problem.error, name) for name in problem.rows if name != "train"}
        stopping = EarlyStopping(self.n_iter_no_change) if "validation" in problem.rows else None
        progress = Progress(is_live=is_alone, tells_rejected=self.verbose > 1) if self.verbose else None
        return Monitor(problem.train_error, held_out, rules, stopping, progress)

    # ---- use --------------------------------------------------------------------------------------
    def predict(self, X):
        """Values of the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the target's own units, with as many dimensions as the y that was fitted.
        """
        check_is_fitted(self)
        X = check_inputs(self, X)
        network = make_network(
            X.shape[1],
            [len(b) for b in self.intercepts_[:-1]],
            self.n_outputs_,
            self.hidden_activations_,
        )
        x_scaling = Scaling(self.x_offset_, self.x_scale_)
        y_scaling = Scaling(self.y_offset_, self.y_scale_)
        f = predict(X, x_scaling, y_scaling, network, pack(self.coefs_, self.intercepts_))
        return f[:, 0] if self._y_is_1d else f

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
