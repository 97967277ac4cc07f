import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_lm import LMRegressor
from sklearn_lm._data.reductions import combined, weighted_gram, weighted_sum

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_sums_are_those_of_matrix_products(rng):
    weight, Z, b = rng.uniform(size=40), rng.normal(size=(40, 3)), rng.normal(size=3)
    np.testing.assert_allclose(weighted_sum(weight, Z[:, 0]), weight @ Z[:, 0], rtol=1e-12)
    np.testing.assert_allclose(weighted_sum(weight, Z), weight @ Z, rtol=1e-12)
    np.testing.assert_allclose(weighted_gram(weight, Z), Z.T @ np.diag(weight) @ Z, rtol=1e-12)
    np.testing.assert_allclose(combined(Z, b), Z @ b, rtol=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [
        {"scaling": "standard"},
        {"scaling": "power"},
        {"loss": "huber"},
        {"alpha": "evidence"},
        {"alpha": "evidence", "penalty_groups": "single", "noise": "constant"},
    ],
    ids=str,
)
def test_a_fit_has_the_same_bits_on_any_number_of_blas_threads(parameters, rng):
    """Naive: sums over rows by @. OpenBLAS divides vectors of more than 10,000 numbers among its threads."""
    X = rng.uniform(size=(12_000, 3)) ** 3
    y = np.sin(5 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=len(X))
    weight = rng.uniform(0.5, 2.0, size=len(X))
    assert_same_on_any_number_of_blas_threads(LMRegressor(4, **parameters), X, y, weight)


@pytest.mark.parametrize("n_rows", [100, 600])
def test_so_has_a_fit_of_many_parameters(n_rows, rng):
    """Naive: factors by LAPACK, of J'J or, with fewer residuals than parameters, of JJ'."""
    X = rng.uniform(size=(n_rows, 4))
    y = np.sin(5 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=n_rows)
    assert_same_on_any_number_of_blas_threads(LMRegressor(40, alpha="evidence"), X, y, None)


def assert_same_on_any_number_of_blas_threads(model, X, y, weight):
    model.set_params(n_starts=1, max_iter=8, random_state=0)
    results = []
    for n in (1, 2):
        with threadpool_limits(n, "blas"):
            model.fit(X, y, weight)
            results.append((*model.predict(X[:500], return_std=True), *model.coefs_, model.loss_curve_))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
