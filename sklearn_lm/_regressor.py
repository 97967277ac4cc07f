"""LMRegressor: parameters, their constraints, and `fit` as an outline. No mathematics here."""

import os
from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._data.blocks import is_dask
from ._estimator.config import make_config
from ._estimator.ensemble import fit_ensemble
from ._estimator.fit import FitInputs, fit_single
from ._estimator.fitted_attributes import callback_tasks, set_fitted_attributes, warm_start_attributes, warn_about
from ._estimator.persistence import PersistenceMixin
from ._estimator.prediction import PredictionMixin
from ._estimator.prepare import check_data, open_checkpoint
from ._estimator.report import ReportMixin
from ._estimator.size_search import search_size
from ._kernels import ACTIVATIONS, DAMPING_RULES
from ._network.initialization import FAMILIES
from ._network.losses import TUNING
from ._training.callbacks import CallbackSupport


class LMRegressor(PredictionMixin, ReportMixin, PersistenceMixin, CallbackSupport, RegressorMixin, BaseEstimator):
    """Feed-forward network fitted by nonlinear least squares with the Levenberg-Marquardt algorithm.

    `fit` minimises, in scaled units,

        F = 1/2 sum_i w_i |y_i - f(x_i)|^2 + 1/2 alpha |W|^2

    where f is a network with a linear output layer, w is `sample_weight`, and W holds all weights without the biases.
    The package is made for networks of 10 to some thousand parameters. The algorithm is that of [1]_, [2]_ and [10]_.

    Parameters
    ----------
    hidden_layer_sizes : int, sequence of int or "auto", default=(10,)
        Number of units of each hidden layer. ``()`` is linear regression. "auto" fits one hidden layer of growing size,
        each size initialised with the solution of the previous one, until the evidence no longer increases (with a
        fixed `alpha`: until the leave-one-out error no longer decreases).
    activation : str or sequence of str, default="tanh"
        "tanh", "logistic", "relu", "softplus" or "identity": one name for all hidden layers, or one per layer.
    alpha : float, "auto" or "evidence", default="auto"
        L2 penalty parameter, in sum form as in :class:`~sklearn.linear_model.Ridge`. "evidence" estimates one penalty
        parameter for each group of parameters, and the noise variance, by maximising the evidence of the training rows
        [7]_ [8]_. "auto" is "evidence", except that it is 0 for networks too large for a Gram matrix.
    penalty_groups : {"input", "layer", "single"}, default="input"
        Parameters that share one penalty parameter if `alpha` is estimated. "single": all of them. "layer": the weights
        of each layer, and the biases of each hidden layer. "input": as "layer", but the first layer has one group for
        the weights of each input, so that irrelevant inputs are switched off. With "layer" and "input" the output
        biases are almost free.
    n_networks : int, default=1
        Number of networks that are fitted independently, from different starts. Their predictions are averaged, each
        weighted with its precision at the point of prediction.
    noise : {"auto", "constant"}, default="auto"
        "constant": one noise variance for all inputs. "auto": the noise variance is a log-linear function of the
        inputs, fitted to the leave-one-out errors. "auto" means "constant" with a robust loss, with a known noise
        variance, and with a fixed `alpha` if no leave-one-out errors are computed (see `leave_one_out`).
    loss : {"squared_error", "huber", "soft_l1", "cauchy"}, default="squared_error"
        Loss function of the residuals, as in :func:`scipy.optimize.least_squares`. All but "squared_error" are robust:
        they reduce the influence of outliers, "cauchy" most of all.
    loss_scale : float or None, default=None
        Residual at which a robust loss starts to differ from the squared error (`f_scale` in SciPy), in units of y, or
        of the scaled y with several outputs. None: estimated from the median of the residuals, or from the noise
        variance if `alpha` is estimated, for an efficiency of 95 % under normal noise.
    weight_type : {"auto", "frequency", "precision", "inverse_variance"}, default="auto"
        Meaning of `sample_weight`. "frequency": numbers of repetitions. "precision": relative precisions of single
        rows, divided by their mean. "inverse_variance": the same, with known noise variances 1 / `sample_weight` in
        squared units of y. "auto": "frequency" with a fixed `alpha`; if it is estimated, frequencies in units of the
        smallest weight if all are whole multiples of it up to 10, else "precision": a constant factor has no effect.
    scaling : {"auto", "minmax", "standard", "power"} or None, default="auto"
        "minmax" scales inputs to [-1, 1], "standard" to mean 0 and variance 1. "power" is "standard" after a power
        transform [9]_ of the columns with long tails: of a skewness above 1, or a kurtosis above 6. All three
        standardise the targets; constant columns are only shifted. "auto" is "minmax" with a fixed `alpha`; if `alpha`
        is estimated it is "power", but "standard" without nonlinear units, and if lines fit the targets better than
        curves in the transformed columns. None scales nothing.
    init : {"nguyen_widrow", "glorot", "small", "centred", "steep", "selected"}, default="nguyen_widrow"
        Family of the first start. "nguyen_widrow": units spread over the range of the data; "glorot": small random
        weights; "small": half of those; "centred": units whose inflection points lie at data points; "steep": the same
        with steep slopes; "selected": units selected one by one by orthogonal matching pursuit. Ignored if `alpha` is
        estimated: those fits draw random weights on several scales.
    n_starts : int or "auto", default="auto"
        Number of starts. With a fixed `alpha`, successive halving selects among several families: all make 12
        iterations, the best 30 % continue to 40, the best 8 % to 90, and the best 5 % (at least two) until they
        converge. If `alpha` is estimated, all run until they converge and the largest evidence wins; starts of other
        kinds follow if the winner shows a sign of failure. "auto": as many as a small budget of arithmetic allows, 40
        for problems of some hundred rows and 60 parameters, 1 for large ones; if `alpha` is estimated at most 5, and 1
        if `n_networks` exceeds 1. Rows count with their weights.
    solve_output : bool, default=True
        Solve for the output layer by linear least squares at every trial point (variable projection [3]_).
    acceleration : bool, default=True
        Add the second-order correction of geodesic acceleration to each step [4]_.
    solver : {"auto", "cholesky", "cg"}, default="auto"
        Linear solver of a step. "cholesky": Cholesky factorisation of the Gram matrix J'J, or of a matrix of the size
        of J J' if residuals are fewer than parameters. "cg": conjugate gradients, truncated as in [5]_, without a Gram
        matrix of all rows. Their preconditioner is the Gram matrix of a sample of rows if rows are many and parameters
        at most 5000, otherwise block-diagonal, with memory proportional to the number of parameters. "auto": "cg" if
        the matrix would exceed 5000 x 5000, or where a sample of rows saves time: with many rows from about 200
        parameters, or about 900 if `alpha` is estimated, which needs the Gram matrix in every third iteration.
    damping : {"nielsen", "marquardt"}, default="nielsen"
        Update of the damping parameter mu. "nielsen": a smooth function of the gain ratio [6]_. "marquardt": mu is
        multiplied by `mu_decrease` after an accepted step and by `mu_increase` after a rejected one [2]_, as in
        MATLAB's ``trainlm``.
    mu : float, default=1e-3
        Initial damping parameter, in units of the largest diagonal entry of J'J at the start.
    mu_increase, mu_decrease : float, default=10.0 and 0.1
        Factors after a rejected and after an accepted step, for ``damping="marquardt"``.
    mu_max : float, default=1e10
        The fit stops when mu, in the units of `mu`, would exceed this value.
    max_iter : int, default=200
        Maximum number of iterations. One iteration is one accepted step.
    tol : float, default=1e-10
        The fit stops when F decreased by less than this fraction over five iterations.
    min_grad : float, default=1e-10
        The fit stops when the norm of the gradient of F, divided by the sum of the weights, is at most this value. A
        network without hidden layers goes on until F changes by no more than its rounding error.
    goal : float, default=0.0
        The fit stops when the mean squared training error, in squared units of y, is at most this value.
    max_time : float or None, default=None
        Seconds after which the fit stops with the best weights so far. Each network of `n_networks`, and each size of
        ``hidden_layer_sizes="auto"``, has this time.
    early_stopping : bool, default=False
        Hold out a validation set, as with `X_val`. With a fixed `alpha`, stop when its error no longer decreases and
        keep the best weights. If `alpha` is estimated the evidence decides, and the validation error is recorded only.
    validation_fraction : float, default=0.15
        Fraction of the rows in the validation set of `early_stopping`. Ignored if `X_val` is passed to `fit`.
    split : {"random", "block", "interleaved"}, default="random"
        Rows of the held-out sets: drawn at random; in blocks, the first rows for training and the last for testing, as
        for time series; or spread evenly over all rows, for rows sorted by an input.
    test_fraction : float, default=0.0
        Fraction of the rows in a test set. Its error is recorded and has no influence on the fit.
    n_iter_no_change : int, default=6
        With a fixed `alpha`, the fit stops after this number of iterations without a new smallest validation error.
    warm_start : bool, default=False
        Continue the previous call of `fit` for `max_iter` more iterations, with its scaling and its sets. On the same
        data, n calls of one iteration give the bits of one call of n iterations. With other data, another `alpha`, or
        if `coefs_` or `intercepts_` were assigned, a new fit starts from the current weights and estimated penalty.
        ``hidden_layer_sizes="auto"`` always starts anew.
    verbose : int, default=0
        1 prints one line per iteration, 2 also one per rejected trial. With several starts, one line per start comes
        first, and the iterations are those of the best start.
    checkpoint : str, path-like or None, default=None
        File that is written after every iteration and removed at the end of the fit. If it exists, because the process
        was killed or interrupted, `fit` on the same data continues from it and ends with the bits of an uninterrupted
        fit. It contains numbers and no code. Not available for several networks with ``warm_start=True``.
    leave_one_out : bool or "auto", default="auto"
        Compute leave-one-out residuals, at the cost of about one iteration. "auto": if this takes at most 10^8
        multiply-adds (rows times squared number of parameters times outputs, divided by two).
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the random split.
    n_jobs : int or None, default=None
        Number of threads that run starts in parallel, as in joblib. It does not change the result.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases of each layer, for scaled inputs and targets.
    n_layers_, n_outputs_, n_features_in_ : int
        Number of layers (including the input layer), of outputs and of inputs.
    hidden_activations_, out_activation_ : tuple of str, and str
        Activation of each hidden layer, and of the output layer (always "identity").
    x_offset_, x_scale_ : ndarray of shape (n_features_in_,)
        The network receives ``(X - x_offset_) / x_scale_``, after the power transforms of `x_power_`.
    x_power_ : PowerTransform
        Power transforms: arrays `column`, `centre`, `spread` and `exponent` (NaN for arcsinh), empty if no column is
        transformed.
    y_offset_, y_scale_ : ndarray of shape (n_outputs_,)
        Predictions are ``y_offset_ + y_scale_ * output``.
    n_iter_, best_iter_ : int
        Number of iterations, and the iteration whose weights are kept: the last one, or that of the smallest validation
        error or of the largest evidence.
    loss_, loss_curve_ : float and list of float
        F at `best_iter_`, and F at the start and after each iteration.
    stop_reason_ : str
        Reason why the fit stopped, as a sentence.
    history_ : dict of str to ndarray of shape (n_iter_ + 1,)
        Record of the start and of each iteration: `train_mse`, `validation_mse` and `test_mse` (of the sets that
        exist; mean squared errors in squared units of y), `grad_norm`, `mu` (for the next step), `gain_ratio` (actual
        over predicted reduction of the accepted step), `n_evaluations` (cumulative number of evaluations of F), `time`
        (seconds since the start of the fit), and the seconds of the iteration by phase: `time_jacobian` (gradient and
        Gram matrix), `time_solve` (factorisation and step), `time_evaluate` (trial points). With early stopping also
        `validation_failures`, the number of iterations since its smallest error. If `alpha` is estimated also
        `log_evidence` and `n_effective_parameters` of the last update of the penalty, NaN before the first.
    growth_ : dict of str to ndarray of shape (n_sizes,)
        With ``hidden_layer_sizes="auto"``, for each size: `n_units`, `n_parameters`, `train_mse`, `criterion` (log
        evidence, or leave-one-out R2) and `n_iter`.
    starts_ : dict of str to ndarray of shape (n_starts,)
        For each start: `family`, final `train_mse`, `n_iter` and `fate` (its status). There are more than `n_starts` if
        starts of other kinds followed.
    noise_variance_ : float or ndarray of shape (n_outputs_,)
        Noise variance of a row of weight 1 (the mean weight if weights are precisions, see `weight_type`) in squared
        units of y: weighted sum of squared residuals over n - gamma, n the sum of the weights. With a robust loss from
        the median of the absolute residuals, or by Huber's Proposal 2 if `alpha` is estimated.
    n_effective_parameters_ : float
        Effective number of parameters, gamma = tr(H^-1 J'J) with H = J'J + penalty ([7]_, eq. 4.9).
    loss_weights_ : ndarray of shape (n_samples,)
        With a robust loss, the final weight of each training row, between 0 and 1; NaN for other rows.
    loss_scale_ : float
        With a robust loss, the value of `loss_scale` that was used last.
    loo_residuals_ : ndarray of shape (n_samples,) or (n_samples, n_outputs_)
        Leave-one-out residuals y - f of the training rows, from the leverages: exact for a linear network, otherwise
        those of the linearised network. NaN for other rows. See `leave_one_out`.
    loo_score_, press_ : float
        R2 of the leave-one-out predictions, averaged over the outputs, and weighted sum of their squared residuals.
    alpha_ : ndarray of shape (n_groups,)
        If `alpha` is estimated, the penalty parameter of each group. Order with "layer": weights and biases of the
        first layer, of the second, ..., weights of the output layer; with "input" the first is one number per input.
    log_evidence_ : float
        If `alpha` is estimated, the log evidence: log density of the scaled targets given the network and the penalty.
    feature_relevance_ : ndarray of shape (n_features_in_,)
        If `alpha` is estimated with ``penalty_groups="input"``: 1 / sqrt(`alpha_`), the standard deviation of the
        weights of each input, as a fraction of the sum over all inputs.
    estimators_ : list of LMRegressor
        With `n_networks` above 1, the networks. The other attributes are those of the network with the largest evidence
        (with a fixed `alpha`, the smallest F).
    split_indices_ : dict of str to ndarray
        Row numbers of the training, validation and test sets taken from X. Rows of zero weight are in none of them.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if these are strings.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : Larger networks, fitted by first-order methods and L-BFGS.
    sklearn.gaussian_process.GaussianProcessRegressor : Predictions with standard deviations, from few rows.
    scipy.optimize.least_squares : Nonlinear least squares for any model.

    References
    ----------
    .. [1] K. Levenberg (1944), Quarterly of Applied Mathematics 2, 164-168.
    .. [2] D. W. Marquardt (1963), SIAM Journal on Applied Mathematics 11, 431-441.
    .. [3] G. H. Golub and V. Pereyra (1973), SIAM Journal on Numerical Analysis 10, 413-432 (variable projection).
    .. [4] M. K. Transtrum and J. P. Sethna (2012), arXiv:1201.5885, eq. 9 and 15 (geodesic acceleration).
    .. [5] S. G. Nash and A. Sofer (1990), Operations Research Letters 9, 219-221, eq. 5 (truncated solves).
    .. [6] H. B. Nielsen (1999), "Damping parameter in Marquardt's method", IMM-REP-1999-05, eq. 2.5.
    .. [7] D. J. C. MacKay (1992), "Bayesian interpolation", Neural Computation 4, 415-447, eq. 2.8, 4.2, 4.8 and 4.9.
    .. [8] F. D. Foresee and M. T. Hagan (1997), "Gauss-Newton approximation to Bayesian learning", ICNN, 1930-1935.
    .. [9] I.-K. Yeo and R. A. Johnson (2000), Biometrika 87, 954-959, eq. 2.1 and 3.1 (power transforms).
    .. [10] M. T. Hagan and M. B. Menhaj (1994), IEEE Transactions on Neural Networks 5, 989-993 (for networks).

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

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "evidence"})],
        "penalty_groups": [StrOptions({"single", "layer", "input"})],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "noise": [StrOptions({"auto", "constant"})],
        "loss": [StrOptions({"squared_error", *TUNING})],
        "loss_scale": [Interval(Real, 0, None, closed="neither"), None],
        "weight_type": [StrOptions({"auto", "frequency", "precision", "inverse_variance"})],
        "scaling": [StrOptions({"auto", "minmax", "standard", "power"}), None],
        "init": [StrOptions(set(FAMILIES))],
        "n_starts": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "solve_output": ["boolean"],
        "acceleration": ["boolean"],
        "solver": [StrOptions({"auto", "cholesky", "cg"})],
        "damping": [StrOptions(set(DAMPING_RULES))],
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
        "leave_one_out": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | str | Sequence[int] = (10,),
        activation: str | Sequence[str] = "tanh",
        *,
        alpha: float | str = "auto",
        penalty_groups: str = "input",
        n_networks: int = 1,
        noise: str = "auto",
        loss: str = "squared_error",
        loss_scale: float | None = None,
        weight_type: str = "auto",
        scaling: str | None = "auto",
        init: str = "nguyen_widrow",
        n_starts: int | str = "auto",
        solve_output: bool = True,
        acceleration: bool = True,
        solver: str = "auto",
        damping: str = "nielsen",
        mu: float = 1e-3,
        mu_increase: float = 10.0,
        mu_decrease: float = 0.1,
        mu_max: float = 1e10,
        max_iter: int = 200,
        tol: float = 1e-10,
        min_grad: float = 1e-10,
        goal: float = 0.0,
        max_time: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        split: str = "random",
        test_fraction: float = 0.0,
        n_iter_no_change: int = 6,
        warm_start: bool = False,
        verbose: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        leave_one_out: bool | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.penalty_groups = penalty_groups
        self.n_networks = n_networks
        self.noise = noise
        self.loss = loss
        self.loss_scale = loss_scale
        self.weight_type = weight_type
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
        self.leave_one_out = leave_one_out
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, *,
        X_val: ArrayLike | None = None, y_val: ArrayLike | None = None, sample_weight_val: ArrayLike | None = None,
    ) -> Self:  # fmt: skip
        """Fit the network to training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training inputs. A `numpy.memmap`, or a table of HDF5, Zarr or similar, is read in parts and never copied as
            a whole. The rows of a Dask array or dataframe stay on the cluster of the active `distributed.Client`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Training targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the squared errors, see `weight_type`. A zero weight drops a row.
        X_val, y_val : array-like, default=None
            Inputs and targets of a validation set, shaped as `X` and `y`; see `early_stopping`.
        sample_weight_val : array-like of shape (n_samples_val,), default=None
            Weights of the validation set.

        Returns
        -------
        LMRegressor
            The fitted estimator itself.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of its range.
        ValueError
            If the data are not finite, not numeric, sparse, empty, of inconsistent lengths or too large to be squared;
            if `checkpoint` is the file of another fit; if parameters contradict each other.
        RuntimeError
            If a Dask cluster has no workers for 30 seconds. The best weights so far are kept.
        KeyboardInterrupt
            After Ctrl-C. The best weights so far are kept, with `stop_reason_` "interrupted".

        Warns
        -----
        ConvergenceWarning
            If `max_iter` or `max_time` ended the fit while it still improved, or if the fit explains the training rows
            less well than their nearest neighbours do.
        UserWarning
            If weights are frequencies of a mean below 0.1, or `validation_fraction` is set without `early_stopping`.
        """
        # Not get_params, which inspects the signature: that takes as long as several iterations of a small fit.
        parameters = {name: getattr(self, name) for name in LMRegressor._parameter_constraints}
        config = make_config(parameters, sample_weight is not None, is_dask(X))
        previous = warm_start_attributes(self.__dict__, config)
        data = check_data(self, X, y, sample_weight, X_val, y_val, sample_weight_val, bool(previous))
        checkpoint = None if self.checkpoint is None else open_checkpoint(parameters, data)
        set_result, listener = partial(set_fitted_attributes, self), partial(callback_tasks, self, X, y, sample_weight)
        fit_networks = search_size if config.searches_size else fit_ensemble if config.n_networks > 1 else fit_single
        fit = fit_networks(FitInputs(data, config, checkpoint, previous, set_result, listener))
        if checkpoint:
            checkpoint.remove()
        warn_about(self, fit)
        return self

    def predict(self, X: ArrayLike, return_std: bool | str = False, return_cov: bool | str = False) -> Any:
        """Predict targets and, on request, their standard deviations or covariances.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs. For a Dask array or dataframe the results are Dask arrays, computed lazily.
        return_std : bool or "mean", default=False
            True: return also the standard deviation of a new value of y at X, of weight 1 (of the mean weight if
            weights are precisions, see `weight_type`). It includes the noise and the uncertainty of the parameters
            (linearised Laplace approximation). "mean": that of the mean of y at X, without the noise.
        return_cov : bool or "mean", default=False
            Return also the covariance of new values of y at X, or of their means.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in units of y, with as many dimensions as the y passed to `fit`.
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations, only with `return_std`.
        cov : ndarray of shape (n_samples, n_samples) or (n_samples, n_samples, n_outputs)
            Covariances, only with `return_cov`.

        Raises
        ------
        RuntimeError
            If both `return_std` and `return_cov` are given.
        ValueError
            If X is not finite, has other columns than at `fit`, or is so far from the training data that a prediction
            overflows; if `return_std` or `return_cov` is something else.
        """
        check_is_fitted(self)
        if return_std and return_cov:
            raise RuntimeError("At most one of return_std or return_cov can be requested.")
        for name, value in (("return_std", return_std), ("return_cov", return_cov)):
            if value not in (False, True, "mean"):
                raise ValueError(f'{name}={value!r} must be True, False or "mean".')
        return self._predict(X, return_std, return_cov)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2 of the predictions, averaged over the outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs. The rows and predictions of a Dask collection stay on the workers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            R2 as in :func:`sklearn.metrics.r2_score`.
        """
        if is_dask(X):
            from ._estimator.dask_prediction import score

            check_is_fitted(self)
            return score(self, X, y, sample_weight)
        return float(super().score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
