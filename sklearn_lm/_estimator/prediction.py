"""Predictions of a fitted model, their standard deviations, intervals and leave-one-out errors, in the units of y.

`NetworkPredictor` is one network. `Predictor` is the precision-weighted mixture of all networks of the estimator, with
the variance corrected by the heteroscedastic noise models. Both are made from the fitted attributes at each call,
because `coefs_` and `intercepts_` may be set by hand.
"""

from collections.abc import Callable
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data.blocks import is_dask
from .._data.out_of_core import ArrayLike, Source
from .._data.ranges import check_finite_predictions
from .._data.scaling import Scaling
from .._data.validation import check_inputs
from .._data.yeo_johnson import PowerTransform
from .._kernels import n_padded
from .._network.objective import predict
from .._network.topology import Network, make_network, pack
from .._uncertainty.ensemble import mix, mix_covariances
from .._uncertainty.posterior import Posterior
from .._uncertainty.predictive import NoiseModels, correct

Attributes = dict[str, Any]  # fitted attributes, by name

LOO_REMEDY = (
    "Leave-one-out residuals cost as much as an iteration; for problems as large as this one set leave_one_out=True "
    "before fit."
)
POSTERIOR_REMEDY = (
    "It was not made: for so many parameters, or because the fit was interrupted. Fit to the end, with "
    "solver='cholesky', or fewer units."
)
GRAM_REMEDY = f"It needs the Gram matrix. {POSTERIOR_REMEDY}"


class NetworkPredictor(NamedTuple):
    """One fitted network. Its methods take inputs that are mapped by the power maps, and not scaled."""

    network: Network
    theta: np.ndarray
    x_scaling: Scaling
    y_scaling: Scaling
    posterior: Posterior | None
    sample_X: np.ndarray  # some training rows

    @classmethod
    def from_attributes(cls, fitted: Attributes) -> "NetworkPredictor":
        """Return the network that fitted attributes describe."""
        coefs, intercepts = fitted["coefs_"], fitted["intercepts_"]
        hidden = [len(b) for b in intercepts[:-1]]
        network = make_network(len(coefs[0]), hidden, fitted["n_outputs_"], fitted["hidden_activations_"])
        _check_shapes(fitted, network)
        return cls(
            network,
            pack(coefs, intercepts),
            Scaling(fitted["x_offset_"], fitted["x_scale_"]),
            Scaling(fitted["y_offset_"], fitted["y_scale_"]),
            fitted.get("_posterior"),  # callbacks predict before there is one
            fitted.get("_sample_X", np.empty((0, len(coefs[0])))),
        )

    def values(self, X: np.ndarray | Source) -> np.ndarray:
        """Return f(X) in the units of y, (n_rows, n_outputs)."""
        return predict(X, self.x_scaling, self.y_scaling, self.network, self.theta)

    def required_posterior(self) -> Posterior:
        """Return the posterior; ValueError if the fit made none."""
        if self.posterior is None:
            raise ValueError(f"Standard deviations need the Gram matrix. {POSTERIOR_REMEDY}")
        return self.posterior

    def leverages(self, X: np.ndarray | Source) -> tuple[np.ndarray, np.ndarray]:
        """Return f(X) in the units of y and the leverages J H^-1 J', both (n_rows, n_outputs)."""
        posterior = self.required_posterior()
        f, covariances = posterior.linearized(X, self.x_scaling.table(), self.network, self.theta)
        return self.y_scaling.offset + self.y_scaling.scale * f, np.einsum("ioo->io", covariances)

    def noise_variance(self) -> np.ndarray:
        """Return the variance of the noise in squared units of y, that of Student's distribution, (n_outputs,)."""
        posterior = self.required_posterior()
        return self.y_scaling.scale**2 * posterior.noise_variance * posterior.student_variance

    def distribution(self, X: np.ndarray | Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return f, its variance sigma^2 J H^-1 J', and that of new values of y at X, all (n_rows, n_outputs)."""
        mean, leverages = self.leverages(X)
        noise = self.noise_variance()
        return mean, noise * leverages, noise * (1 + leverages)

    def covariance(self, X: np.ndarray | Source, of_mean: bool) -> np.ndarray:
        """Return the covariance of f, or of new values of y under a constant noise, (n_rows, n_rows, n_outputs)."""
        Z = self.required_posterior().solved_rows(X, self.x_scaling.table(), self.network, self.theta)
        covariance = np.einsum("iop,jop->ijo", Z, Z, optimize=True)
        if not of_mean:
            covariance[np.diag_indices(len(X))] += 1.0
        covariance *= self.noise_variance()
        return covariance

    def max_leverage(self) -> float:
        """Return the largest leverage of the training rows that the model keeps."""
        posterior = self.required_posterior()
        known = posterior.state.max_leverage
        if known is None:
            known = float(self.leverages(self.sample_X)[1].max())
            posterior.state = posterior.state._replace(max_leverage=known)
        return known


def _check_shapes(fitted: Attributes, network: Network) -> None:
    """Raise ValueError for attributes that do not fit together: kernels would read beyond the end of an array."""
    n_inputs, n_outputs = network.sizes[0], network.sizes[-1]
    shapes = {
        f"{kind}_{part}_": (n,) for kind, n in (("x", n_inputs), ("y", n_outputs)) for part in ("offset", "scale")
    }
    wrong = [name for name, shape in shapes.items() if np.shape(fitted[name]) != shape]
    for name, own in (("coefs_", list(pairwise(network.sizes))), ("intercepts_", [(n,) for n in network.sizes[1:]])):
        wrong += [name] if [np.shape(part) for part in fitted[name]] != own else []
    wrong += ["n_features_in_"] if fitted.get("n_features_in_", n_inputs) != n_inputs else []
    factor = None if fitted.get("_posterior") is None else fitted["_posterior"].state.factor
    least = n_padded(network.n_parameters)
    if factor is not None and min(factor.inverse_factor.shape) < least:
        wrong.append("_posterior")
    if wrong:
        raise ValueError(
            f"Attributes do not have the shapes of a network of layers {network.sizes}: {', '.join(wrong)}. The model "
            "was changed, or its file is damaged: load or fit it again."
        )


class Predictor(NamedTuple):
    """All networks of a fitted model. Its methods take inputs that are mapped by the power maps, and not scaled."""

    networks: list[NetworkPredictor]
    noise_models: NoiseModels

    @classmethod
    def from_attributes(cls, fitted: Attributes) -> "Predictor":
        """Return the predictor that fitted attributes describe."""
        members = [vars(network) for network in fitted.get("estimators_", ())] or [fitted]
        noise_models = fitted.get("_noise_models") or NoiseModels()
        return cls([NetworkPredictor.from_attributes(member) for member in members], noise_models)

    def mean(self, X: np.ndarray | Source) -> np.ndarray:
        """Return the mean of the mixture, (n_rows, n_outputs); with equal weights where a network has no posterior."""
        if len(self.networks) == 1:
            return self.networks[0].values(X)
        if all(network.posterior is not None for network in self.networks):
            return self._mixture(X, False)[0]
        return np.mean([network.values(X) for network in self.networks], axis=0)

    def distribution(self, X: np.ndarray | Source, of_mean: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean at X, and its variance or that of new values of y, both (n_rows, n_outputs)."""
        mean, variance = self._mixture(X, of_mean)
        return mean, correct(variance, self.noise_models.models, X, mean)

    def _mixture(self, X: np.ndarray | Source, of_mean: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the mixture, with the constant noise of each network."""
        means, of_means, variances = zip(*(network.distribution(X) for network in self.networks), strict=True)
        return mix(means, variances, of_means if of_mean else variances)

    def covariance(self, X: np.ndarray | Source, of_mean: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean, (n_rows, n_outputs), and its covariance or that of new values, (n_rows, n_rows, n_outputs).

        The noise models multiply both parts of the variance, the noise and the uncertainty of the mean.
        """
        means, _, variances = zip(*(network.distribution(X) for network in self.networks), strict=True)
        covariances = (network.covariance(X, of_mean) for network in self.networks)
        mean, covariance = mix(means, variances)[0], mix_covariances(means, variances, covariances)
        root = np.sqrt(correct(np.ones(mean.shape), self.noise_models.models, X, mean))
        return mean, covariance * root[:, None] * root[None, :]

    def extrapolation_scores(self, X: np.ndarray | Source) -> np.ndarray:
        """Return the largest leverage of each row over that of the training rows, (n_networks, n_rows)."""
        return np.stack([network.leverages(X)[1].max(axis=1) / network.max_leverage() for network in self.networks])


class PredictionMixin:
    """Add standard deviations, intervals and leave-one-out results to `LMRegressor`."""

    predict: Callable

    # ---- fitted attributes that are made when asked for ------------------------------------------------
    @property
    def noise_variance_(self):
        """Noise variance in squared units of y: a float, or one value per output."""
        fitted = vars(self)
        variance = self._required("_posterior", GRAM_REMEDY).noise_variance * fitted["y_scale_"] ** 2
        return float(variance[0]) if fitted["_y_is_1d"] else variance

    @property
    def n_effective_parameters_(self):
        """Effective number of parameters, gamma = tr(H^-1 J'J)."""
        return self._required("_posterior", GRAM_REMEDY).n_effective

    @property
    def loo_residuals_(self):
        """Leave-one-out residuals y - f of the training rows; NaN for rows that were not used for training."""
        return self._required("_loo", LOO_REMEDY).residuals

    @property
    def loo_score_(self):
        """Leave-one-out R2 of the training rows, averaged over the outputs."""
        return self._required("_loo", LOO_REMEDY).score

    @property
    def press_(self):
        """Weighted sum of the squared leave-one-out residuals, in squared units of y."""
        return self._required("_loo", LOO_REMEDY).press

    def _required(self, name: str, remedy: str) -> Any:
        """Return a private fitted attribute; AttributeError, as for any that does not exist, if there is none."""
        value = vars(self).get(name)
        if value is None:
            raise AttributeError(f"{type(self).__name__} does not have this attribute. {remedy}")
        return value

    # ---- methods --------------------------------------------------------------------------------------
    def predict_interval(self, X, coverage=0.95, kind="prediction"):
        """Predict intervals that contain new values of y, or their mean, with a given probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.95
            Fraction of new values, or of means, that should lie inside the intervals.
        kind : {"prediction", "confidence"}, default="prediction"
            "prediction": interval of a new value of y. "confidence": interval of the mean of y at X, without noise.

        Returns
        -------
        lower : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Lower ends in units of y: prediction minus a quantile of Student's t distribution, with n - gamma degrees of
            freedom, or less if `alpha` is estimated, times its scale.
        upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Upper ends.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `kind` is none of the two.
        """
        if kind not in ("prediction", "confidence"):
            raise ValueError(f'kind={kind!r} must be "prediction" or "confidence".')
        if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
            raise ValueError(f"coverage={coverage!r} must lie between 0 and 1, and be a number.")
        mean, std = self.predict(X, return_std="mean" if kind == "confidence" else True)
        half = vars(self)["_posterior"].quantile(0.5 + float(coverage) / 2) * std
        return mean - half, mean + half

    def extrapolation_score(self, X):
        """Measure how far rows lie outside the training data.

        The score is the leverage J(x) H^-1 J(x)', which says how much a prediction depends on parameters that the data
        do not determine, divided by the largest leverage of the training rows (of up to 256 of them, which the model
        stores, if the fit computed no leave-one-out errors). It is at most about 1 within the data and larger outside.
        With several outputs it is the maximum over the outputs, with several networks the mean over the networks.

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
        predictor = Predictor.from_attributes(vars(self))
        if is_dask(X):
            from .dask_prediction import map_rows

            for network in predictor.networks:
                network.max_leverage()  # computed once, and not for every block
            return map_rows(self, "extrapolation_score", X)
        rows = check_inputs(self, X)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error below
            scores = predictor.extrapolation_scores(vars(self)["x_power_"].forward(rows))
        check_finite_predictions(scores.T, rows, "The leverage")
        return np.mean(scores, axis=0)

    def _predict(self, X: ArrayLike, return_std: bool | str, return_cov: bool | str) -> ArrayLike:
        """Return what `predict` returns."""
        if is_dask(X):
            from .dask_prediction import lazy_predict

            return lazy_predict(self, X, return_std, return_cov)
        rows, fitted = check_inputs(self, X), vars(self)
        power: PowerTransform = fitted["x_power_"]
        mapped, predictor = power.forward(rows), Predictor.from_attributes(fitted)
        variance: np.ndarray | None = None
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error below
            if return_cov:
                mean, variance = predictor.covariance(mapped, return_cov == "mean")
            elif return_std:
                mean, variance = predictor.distribution(mapped, return_std == "mean")
            else:
                mean = predictor.mean(mapped)
        check_finite_predictions(mean, rows)
        results = [mean]
        if variance is not None:
            diagonal = np.einsum("iio->io", variance) if return_cov else variance
            check_finite_predictions(diagonal, rows, "The variance of the prediction")
            results.append(variance if return_cov else np.sqrt(variance))
        if fitted["_y_is_1d"]:
            results = [result[..., 0] for result in results]
        return results[0] if variance is None else tuple(results)
