"""Standard deviations, intervals and leave-one-out of a fitted model: what the posterior says, in the units of y."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from .._data.blocks import is_dask
from .._data.scaling import Scaling, check_finite_predictions
from .._data.validation import check_inputs
from .._data.yeo_johnson import Power
from .._network.objective import predict
from .._network.topology import Network, make_network, pack
from .._uncertainty.ensemble import mix
from .._uncertainty.posterior import Posterior
from .._uncertainty.predictive import NoiseModels, correct

LOO_REMEDY = (
    "Leave-one-out residuals cost as much as an iteration; for problems as large as this one set leave_one_out=True "
    "before fit."
)

POSTERIOR_REMEDY = (
    "It was not made: for so many parameters, or because the fit was interrupted. Fit to the end, with "
    "solver='cholesky', or fewer units."
)


class InferenceMixin:
    """Add standard deviations, intervals and leave-one-out results to `LMRegressor`."""

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    hidden_activations_: tuple[str, ...]
    n_outputs_: int
    x_offset_: np.ndarray
    x_scale_: np.ndarray
    y_scale_: np.ndarray
    y_offset_: np.ndarray
    _posterior: Posterior
    _sample_X: np.ndarray
    _y_is_1d: bool
    _noise_models: NoiseModels
    x_power_: Power
    predict: Callable[..., Any]

    # ---- fitted attributes that are made when asked for ------------------------------------------------
    @property
    def noise_variance_(self):
        """Noise variance in squared units of y: a float, or one value per output."""
        variance = (
            self._of("_posterior", f"It needs the Gram matrix. {POSTERIOR_REMEDY}").noise_variance * self.y_scale_**2
        )
        return float(variance[0]) if self._y_is_1d else variance

    @property
    def n_effective_parameters_(self):
        """Effective number of parameters, gamma = tr(H^-1 J'J)."""
        return self._of("_posterior", f"It needs the Gram matrix. {POSTERIOR_REMEDY}").n_effective

    @property
    def loo_residuals_(self):
        """Leave-one-out residuals y - f of the training rows; NaN for rows that were not used for training."""
        return self._of("_loo", LOO_REMEDY).residuals

    @property
    def loo_score_(self):
        """Leave-one-out R2 of the training rows, averaged over the outputs."""
        return self._of("_loo", LOO_REMEDY).score

    @property
    def press_(self):
        """Weighted sum of the squared leave-one-out residuals, in squared units of y."""
        return self._of("_loo", LOO_REMEDY).press

    def _of(self, name: str, remedy: str = "Call fit first.") -> Any:
        """A private fitted attribute; AttributeError, as for any that does not exist, if there is none."""
        value = self.__dict__.get(name)
        if value is None:
            raise AttributeError(f"{type(self).__name__} does not have this attribute. {remedy}")
        return value

    # ---- methods --------------------------------------------------------------------------------------
    def predict_interval(self, X, coverage=0.95):
        """Predict intervals that contain new values of y with a given probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.95
            Fraction of new values that should lie inside the intervals.

        Returns
        -------
        lower : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Lower ends in units of y: prediction minus a quantile of Student's t distribution, with n - gamma degrees of
            freedom, times the standard deviation.
        upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Upper ends.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.
        """
        if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
            raise ValueError(f"coverage={coverage!r} must lie between 0 and 1, and be a number.")
        mean, std = self.predict(X, return_std=True)
        half = stats.t.ppf(0.5 + float(coverage) / 2, self._posterior.degrees_of_freedom) * std
        return mean - half, mean + half

    def extrapolation_score(self, X):
        """Measure how far rows lie outside the training data.

        The score is the leverage J(x) H^-1 J(x)', which says how much a prediction depends on parameters that the data
        do not determine, divided by the largest leverage of the training rows (of up to 256 of them, which the model
        stores). It is at most about 1 within the data and larger outside. With several outputs it is the maximum over
        the outputs, with several networks the mean over the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Score of each row.

        Raises
        ------
        ValueError
            If a leverage overflows.
        """
        check_is_fitted(self)
        if is_dask(X):
            from .._data.dask import map_rows

            for member in self._members():
                member._largest_leverage()  # here and once, not by every block
            return map_rows(self, "extrapolation_score", X)
        given = check_inputs(self, X)
        X = self.x_power_.forward(given)
        scores = [member._extrapolation(X) for member in self._members()]
        check_finite_predictions(np.column_stack(scores), given, "The leverage")
        return np.mean(scores, axis=0)

    def _lazy_prediction(self, X: Any, return_std: bool, return_cov: bool) -> Any:
        """What `predict` returns for a Dask array: Dask arrays."""
        from .._data.dask import map_rows

        if return_cov:
            raise ValueError("return_cov=True with a Dask array: pass some rows as a NumPy array, X[:100].compute().")
        shape = () if self._y_is_1d else (self.n_outputs_,)
        if not return_std:
            return map_rows(self, "predict", X, shape)
        self._need_posterior()
        both = map_rows(self, "predict", X, (*shape, 2), return_std=True)
        return both[..., 0], both[..., 1]

    # ---- for predict ----------------------------------------------------------------------------------
    def _shaped(self, values: np.ndarray) -> np.ndarray:
        """Without the last axis if y came without it."""
        return values[..., 0] if self._y_is_1d else values

    def _predicted(self, X: Any, return_std: bool, return_cov: bool) -> Any:
        """What `predict` returns for rows that are here."""
        given, variance = check_inputs(self, X), None
        X = self.x_power_.forward(given)
        if return_cov:
            if len(self._members()) > 1:
                raise ValueError("return_cov=True needs n_networks=1: a mixture of networks has no such covariance.")
            mean, variance = self._mean(X), self._covariance(X)
        elif return_std:
            mean, variance = self._distribution(X)
        else:
            mean = self._mean(X)
        check_finite_predictions(mean, given)
        if variance is None:
            return self._shaped(mean)
        own = np.einsum("iio->io", variance) if return_cov else variance
        check_finite_predictions(own, given, "The variance of the prediction")
        return self._shaped(mean), self._shaped(variance if return_cov else np.sqrt(variance))

    def _members(self) -> list[Any]:
        """The networks that are mixed, each as an estimator."""
        return self.__dict__.get("estimators_", [self])

    def _network_of(self, X: np.ndarray) -> tuple[Scaling, Network, np.ndarray]:
        """Scaling of the inputs, network and theta of the fitted model, for rows like X."""
        sizes = [len(b) for b in self.intercepts_[:-1]]
        network = make_network(X.shape[1], sizes, self.n_outputs_, self.hidden_activations_)
        return Scaling(self.x_offset_, self.x_scale_), network, pack(self.coefs_, self.intercepts_)

    def _values(self, X: np.ndarray) -> np.ndarray:
        """What this network says of mapped X, (n_rows, n_outputs)."""
        x_scaling, network, theta = self._network_of(X)
        return predict(X, x_scaling, Scaling(self.y_offset_, self.y_scale_), network, theta)

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused
    def _values_and_leverages(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What this network says of mapped X, and J H^-1 J' there, both (n_rows, n_outputs)."""
        self._need_posterior()
        x_scaling, network, theta = self._network_of(X)
        f, products = self._posterior.at(X, x_scaling.table(), network, theta)
        return self.y_offset_ + self.y_scale_ * f, np.einsum("ioo->io", products)

    @np.errstate(over="ignore", invalid="ignore")  # `predict` refuses what overflows
    def _mean(self, X: np.ndarray) -> np.ndarray:
        """At mapped X, of all networks together; with equal weights where nothing is known of their precision."""
        members = self._members()
        if len(members) > 1 and all(member._posterior is not None for member in members):
            return self._distribution(X)[0]
        if len(members) == 1:
            return members[0]._values(X)
        return np.mean([member._values(X) for member in members], axis=0)

    def _own_distribution(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of new values at mapped X by this network alone: f and sigma^2 (1 + J H^-1 J')."""
        mean, leverages = self._values_and_leverages(X)
        return mean, self.y_scale_**2 * self._posterior.noise_variance * (1 + leverages)

    @np.errstate(over="ignore", invalid="ignore")
    def _distribution(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance at mapped X, of all networks together."""
        means, variances = zip(*(member._own_distribution(X) for member in self._members()), strict=True)
        mean, variance = mix(means, variances)
        return mean, correct(variance, self._noise_models.models, X, mean)

    @np.errstate(over="ignore", invalid="ignore")
    def _covariance(self, X: np.ndarray) -> np.ndarray:
        """Of new values at mapped X, (n_rows, n_rows, n_outputs)."""
        self._need_posterior()
        x_scaling, network, theta = self._network_of(X)
        Z = self._posterior.whitened_rows(X, x_scaling.table(), network, theta)
        covariance = np.einsum("iop,jop->ijo", Z, Z, optimize=True)
        covariance[np.diag_indices(len(X))] += 1.0
        covariance *= self._posterior.noise_variance * self.y_scale_**2
        models = self._noise_models.models
        root = np.sqrt(correct(np.ones((len(X), self.n_outputs_)), models, X, self._values(X)))
        return covariance * root[:, None] * root[None, :]

    def _need_posterior(self) -> None:
        if self._posterior is None:
            raise ValueError(f"Standard deviations need the Gram matrix. {POSTERIOR_REMEDY}")

    def _extrapolation(self, X: np.ndarray) -> np.ndarray:
        return self._values_and_leverages(X)[1].max(axis=1) / self._largest_leverage()

    def _largest_leverage(self) -> float:
        """Of the training rows that the model keeps."""
        self._need_posterior()
        if self._posterior.largest is None:
            self._posterior.largest = float(self._values_and_leverages(self._sample_X)[1].max())
        return self._posterior.largest
