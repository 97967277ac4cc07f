"""LMRegressor: parameters, their constraints, and `fit` as an outline. No mathematics here."""

import os
from numbers import Integral, Real
from typing import ClassVar

from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._data.blocks import is_dask
from ._estimator.ensemble import fit_networks, set_leave_one_out
from ._estimator.fit import FitInputs, fit_network, in_blocks, open_checkpoint
from ._estimator.fitted_attributes import warn_small_weights, warn_unconverged
from ._estimator.persistence import PersistenceMixin
from ._estimator.prediction import InferenceMixin
from ._estimator.report import ReportMixin
from ._estimator.size_search import grow
from ._kernels import ACTIVATIONS
from ._network.initialization import FAMILIES
from ._network.losses import TUNING
from ._training.callbacks import CallbackSupport


class LMRegressor(InferenceMixin, ReportMixin, PersistenceMixin, CallbackSupport, RegressorMixin, BaseEstimator):
    """Feed-forward network fitted by nonlinear least squares with the Levenberg-Marquardt algorithm.

    For networks of 10 to some thousand parameters. It minimises

        F = 1/2 sum_i w_i |y_i - f(x_i)|^2 + 1/2 alpha |W|^2

    in scaled units, with a linear output layer, `sample_weight` as w and all weights but no biases in W.

    Parameters
    ----------
    hidden_layer_sizes : int, sequence of int or "auto", default=(10,)
        Units of each hidden layer. ``()`` is linear regression. "auto" grows one hidden layer, each size from the
        solution of the one before, until the evidence (with a fixed alpha, the leave-one-out error) no longer improves.
    activation : str or sequence of str, default="tanh"
        "tanh", "logistic", "relu", "softplus" or "identity"; one name for all hidden layers, or one for each.
    alpha : float, "auto" or "evidence", default="auto"
        Strength of the L2 penalty. In sum form, as in :class:`~sklearn.linear_model.Ridge`. "evidence": a strength for
        each group of parameters, and the variance of the noise, are found during the fit, by the evidence of the
        training rows (MacKay 1992; Foresee and Hagan 1997). "auto": the same, where nothing is against it, and else 0:
        with a validation set, which says when noise begins to be fitted; with a robust loss; and for so many
        parameters that there is no Gram matrix.
    penalty_groups : {"input", "layer", "single"}, default="input"
        Which parameters share a strength where `alpha` is found. "single": all of them. "layer": the weights of
        each layer, and the biases of each hidden layer. "input": the same, but for the first layer the weights of each
        input by themselves, so that inputs without use are switched off. The last two leave output biases almost free.
    n_networks : int, default=1
        Networks that are fitted independently, from starts of their own, and mixed: in a prediction each counts by its
        precision there.
    noise : {"auto", "constant"}, default="auto"
        "auto": the standard deviation of a prediction depends on the inputs, by a log-linear model that is fitted to
        leave-one-out errors. With a fixed alpha only where `fit` computes these, see `leave_one_out`; not with a robust
        loss. "constant": the noise has one variance everywhere.
    loss : {"squared_error", "huber", "soft_l1", "cauchy"}, default="squared_error"
        What a residual counts, as in :func:`scipy.optimize.least_squares`. The others are for data with outliers: large
        residuals count less than their squares, with "cauchy" hardly more than medium ones.
    loss_scale : float or None, default=None
        Where residuals begin to be large, in units of y (of the scaled y where there are several outputs). None: from
        the median of the residuals, at 95 % efficiency where there are no outliers. Not used by "squared_error".
    scaling : {"auto", "minmax", "standard", "power"} or None, default="auto"
        "minmax" brings inputs to [-1, 1], "standard" to mean 0 and variance 1. "power" does the same after a power map
        (Yeo and Johnson 2000) of columns with a skewness above 1. With all of them targets are standardised, and
        constant columns are only shifted. "auto" is "power" where `alpha` is found, and "minmax" else. None leaves
        inputs and targets as they are.
    init : str, default="nguyen_widrow"
        Family of the first start. "nguyen_widrow": units spread over the range of the data; "glorot": small random
        weights; "small": smaller ones; "centred": units that bend at data points; "steep": the same with steep
        slopes; "selected": units chosen one by one to explain the target. Not used where `alpha` is found: such
        fits have starts of their own.
    n_starts : int or "auto", default="auto"
        Starts from a mix of families race: all get 12 iterations, the best 30 % go on to 40, the best 8 % to 90, and
        the best 5 %, but at least two, run to the end. "auto": as many as a small budget of arithmetic allows, up to 40
        for problems of some hundred rows and 60 parameters, 1 for large ones; counted from the sum of the weights.
        Where `alpha` is found, all run to the end, the one with the largest evidence wins, and "auto" is at most 5,
        or 1 for each of several networks.
    solve_output : bool, default=True
        Solve for the output layer by linear least squares at every trial point (variable projection).
    acceleration : bool, default=True
        Add the geodesic correction, of second order, to every step.
    solver : {"auto", "cholesky", "cg"}, default="auto"
        How steps are found. "cholesky": from the Gram matrix J'J, or from J where residuals are fewer than parameters.
        "cg": by conjugate gradients, with products in place of the matrix of all rows. Their preconditioner is the Gram
        matrix of a sample of the rows, up to 5000 parameters and where rows are many; else it is made of small blocks,
        in memory proportional to the parameters. "auto": "cg" where the matrix would have more than 5000 x 5000
        numbers, and where a sample saves time: from some 400 parameters on, or some 900 where the fit finds
        `alpha`, for which it needs the matrix in every third iteration.
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
        Seconds after which the fit ends with the best weights so far: of each network, and of each size that grows.
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
        data n calls of one iteration end, to the bit, where one call of n iterations does. On other data, or where
        `coefs_` or `intercepts_` were set by hand, the weights are taken over (where `alpha` is found, the penalty,
        too) and nothing else. A layer that grows begins anew.
    verbose : int, default=0
        1 prints one line per iteration, 2 also one per rejected trial. Where several starts race, a line for each
        start comes first, and the iterations are those of the winner, printed at the end.
    checkpoint : str, path-like or None, default=None
        File that is written after every iteration and removed at the end of the fit. Where there is one, left behind
        by a process that was killed or by Ctrl-C, `fit` on the same data goes on from it, and ends as if nothing had
        been. It holds numbers only, no code. Not with ``warm_start=True`` of several networks.
    leave_one_out : bool or "auto", default="auto"
        Whether `fit` computes the leave-one-out residuals, at the cost of about one iteration. "auto": where that is
        cheap, up to 10^8 multiply-adds (rows times squared parameters times outputs, halved).
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
        The network sees ``(X - x_offset_) / x_scale_``, with columns of X mapped before as `x_power_` says.
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
        error. Where `alpha` is found, also `log_evidence` and `n_effective_parameters`, as of the last update of the
        penalty, and NaN before the first.
    growth_ : dict of str to ndarray
        With ``hidden_layer_sizes="auto"``, of each size that was fitted: `n_units`, `n_parameters`, `train_mse`,
        `criterion` (log evidence, or R2 of rows left out) and `n_iter`.
    starts_ : dict of str to ndarray of shape (n_starts,)
        Of each start: `family`, last `train_mse`, `n_iter` and `fate`.
    noise_variance_ : float or ndarray of shape (n_outputs,)
        Variance of the noise in squared units of y: sum of squared residuals over n - gamma, n the sum of the weights.
        With a robust loss, from the median of the absolute residuals.
    n_effective_parameters_ : float
        gamma = tr(H^-1 J'J): how many parameters the data determine.
    loss_weights_ : ndarray of shape (n_samples,)
        With a robust loss, how much each training row counts in the end, from 0 to 1; NaN for rows that were not
        trained on.
    loss_scale_ : float
        With a robust loss, where residuals begin to be large.
    loo_residuals_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        y - f of each training row as if it had been left out, from the leverages: exact for a linear network, for
        others that of the linearised one. NaN for rows that were not trained on. See `leave_one_out`.
    loo_score_, press_ : float
        R2 of these predictions (mean over outputs), and their sum of squares.
    alpha_ : ndarray of shape (n_groups,)
        Where `alpha` is found, as the next two: the strengths that were found, in the units of `alpha`.
        "layer": weights and biases of the first layer, of the second, ..., weights of the output layer.
        "input": the same, with one number per input in place of the first.
    log_evidence_ : float
        Logarithm of the density of the (scaled) targets, given the network and the strengths.
    feature_relevance_ : ndarray of shape (n_features_in_,)
        With ``penalty_groups="input"``: the spread of the weights of each input, 1 / sqrt(`alpha_`), as a share of all.
    estimators_ : list of LMRegressor
        With `n_networks` above 1: the members, with ``n_networks=1``. The other attributes are those of the
        one with the largest evidence, or with a fixed alpha the least F.
    x_power_ : Power
        `column`, `centre`, `spread` and `exponent` of the power maps; empty arrays where no column is mapped.
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

    D. J. C. MacKay (1992), "Bayesian interpolation", Neural Computation 4, 415-447.

    F. D. Foresee and M. T. Hagan (1997), "Gauss-Newton approximation to Bayesian learning", International Conference on
    Neural Networks, 1930-1935.

    I.-K. Yeo and R. A. Johnson (2000), "A new family of power transformations to improve normality or symmetry",
    Biometrika 87, 954-959.

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
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "evidence"})],
        "penalty_groups": [StrOptions({"single", "layer", "input"})],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "noise": [StrOptions({"auto", "constant"})],
        "loss": [StrOptions({"squared_error", *TUNING})],
        "loss_scale": [Interval(Real, 0, None, closed="neither"), None],
        "scaling": [StrOptions({"auto", "minmax", "standard", "power"}), None],
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
        "leave_one_out": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(10,),
        activation="tanh",
        *,
        alpha="auto",
        penalty_groups="input",
        n_networks=1,
        noise="auto",
        loss="squared_error",
        loss_scale=None,
        scaling="auto",
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
        leave_one_out="auto",
        random_state=None,
        n_jobs=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.penalty_groups = penalty_groups
        self.n_networks = n_networks
        self.noise = noise
        self.loss = loss
        self.loss_scale = loss_scale
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

    # ---- fit --------------------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A `numpy.memmap`, or a table of HDF5, Zarr and their like, is read part by part and never copied as a whole.
            The rows of a Dask array or dataframe stay on the cluster of the active `distributed.Client`.
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
            If the data cannot be fitted as they are: not finite, not numbers, sparse, empty, of unequal lengths, too
            large to square. If `checkpoint` is the file of another fit. If parameters contradict each other.
        RuntimeError
            If the workers of a Dask cluster are gone for 30 seconds. The best weights so far are published.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` or `max_time` ended the fit.
        UserWarning
            If the penalty was found by the fit and the mean of `sample_weight` is below 0.1.

        Notes
        -----
        After Ctrl-C the best weights so far are published, with `stop_reason_` "interrupted", and the KeyboardInterrupt
        goes on to the caller.
        """
        given = in_blocks(FitInputs(X, y, sample_weight, X_val, y_val, sample_weight_val))
        checkpoint = open_checkpoint(self, given)
        if isinstance(self.hidden_layer_sizes, str):
            fits = grow(self, given, checkpoint)
        elif self.n_networks > 1:
            fits = fit_networks(self, given, checkpoint)
        else:
            fits = [fit_network(self, given, checkpoint.part("network") if checkpoint else None)]
            set_leave_one_out(self, fits)
        if checkpoint:
            checkpoint.remove()
        warn_small_weights(self)
        for ending in (fit.ending for fit in fits if not fit.ending.converged):
            warn_unconverged(ending, self.alpha)  # last: for the caller it may be an error
            break
        return self

    # ---- use --------------------------------------------------------------------------------------
    def predict(self, X, return_std=False, return_cov=False):
        """Values of the network and, if asked, how sure they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        return_std : bool, default=False
            Also the standard deviation of new values of y at X: of their noise, and of the network as far as the data
            leave its parameters open (linearised Laplace approximation).
        return_cov : bool, default=False
            Also their covariance.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the target's own units, with as many dimensions as the y that was fitted.
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Only with `return_std`.
        cov : ndarray of shape (n_samples, n_samples) or (n_samples, n_samples, n_outputs)
            Only with `return_cov`.

        Of a Dask array or dataframe these are Dask arrays, computed when they are asked for.

        Raises
        ------
        RuntimeError
            If both `return_std` and `return_cov` are asked for.
        ValueError
            If X is not finite, has other columns than at `fit`, or lies so far out that the prediction overflows; if
            the covariance of several networks is asked for.
        """
        check_is_fitted(self)
        if return_std and return_cov:
            raise RuntimeError("At most one of return_std or return_cov can be requested.")
        if is_dask(X):
            return self._lazy_prediction(X, return_std, return_cov)
        return self._predicted(X, return_std, return_cov)

    def score(self, X, y, sample_weight=None):
        """R2 of the predictions, mean over outputs; see :func:`sklearn.metrics.r2_score`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of a Dask collection no rows and no predictions come to this process.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        if is_dask(X):
            from ._data.dask import score

            check_is_fitted(self)
            return score(self, X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
