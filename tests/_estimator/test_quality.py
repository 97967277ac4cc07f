"""Warnings of fits that did not converge, or that explain less than nearest neighbours; none of good fits."""

import numpy as np
import pytest
from conftest import may_end_early, size
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm import LMRegressor

X = np.linspace(0, 1, 200).reshape(-1, 1)


def findings(model):
    return {row[0]: row[1:] for row in model.summary().tables[-1].rows}


@pytest.mark.parametrize("alpha", ["evidence", 0.0])
def test_a_fit_that_neighbours_surpass_warns(alpha):
    """One unit leaves a curve of eight periods unexplained."""
    y = np.sin(16 * np.pi * X[:, 0])
    with pytest.warns(
        ConvergenceWarning, match=r"explains \d+% .* nearest neighbours .* 100%.*alpha.*n_starts"
    ) as caught:
        model = LMRegressor(1, alpha=alpha, random_state=0).fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]
    score, advice = findings(model)["R2 of nearest neighbours"]
    assert float(score) > 0.9
    assert "more units" in advice
    assert "R2 of nearest neighbours" not in findings(model.fit(X, X[:, 0]))


@pytest.mark.parametrize("kind", ["noise", "weak", "repeated", "linear network", "several"])
def test_noise_is_no_reason_to_warn(rng, kind):
    Z, noise = rng.normal(size=(size(150, 50), 2)), rng.normal(size=size(150, 50))
    y = {"noise": noise, "weak": Z[:, 0] + noise}.get(kind, noise)
    hidden = () if kind == "linear network" else 3
    if kind == "repeated":  # the nearest neighbour of a row is its copy
        Z, y = np.repeat(Z, 3, axis=0), np.repeat(y, 3)
    if kind == "linear network":
        y = np.sin(9 * Z[:, 0])  # linear is what the caller asked for
    if kind == "several":
        y = np.column_stack([y, Z[:, 0]])
    model = LMRegressor(hidden, n_starts=1, random_state=0).fit(Z, y)
    assert "R2 of nearest neighbours" not in findings(model)


@pytest.mark.parametrize("y", [3 * X[:, 0] + 1, X[:, 0] ** 2])
@pytest.mark.parametrize("alpha", ["evidence", 0.0])
def test_a_perfect_fit_neither_warns_nor_advises_fewer_units(y, alpha):
    model = LMRegressor(6, alpha=alpha, n_starts=1, max_iter=150, random_state=0).fit(X, y)
    assert model.score(X, y) > 1 - 1e-6
    assert "fewer units" not in str(model.summary())


def test_a_fit_that_improves_no_more_does_not_warn(rng):
    """Under a constant penalty, F falls by 1e-9 in each iteration; max_iter ends it."""
    y = np.sin(3 * X[:, 0]) + 0.3 * rng.normal(size=len(X))
    model = LMRegressor(3, alpha=1e-2, n_starts=1, max_iter=60, tol=0, min_grad=0, mu_max=1e300, random_state=0)
    assert "max_iter" in model.fit(X, y).stop_reason_ or model.n_iter_ < 60
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model.set_params(max_iter=5).fit(X, y)


def test_superfluous_units_are_harmless_only_under_an_estimated_penalty(rng):
    Z, y = rng.normal(size=(30, 1)), rng.normal(size=30)
    model = LMRegressor(10, n_starts=1, random_state=0).fit(Z, np.sin(2 * Z[:, 0]) + 0.3 * y)
    found = findings(model)
    assert "harmless" in found["duplicate units"][1]
    assert f"{model.n_effective_parameters_:.3g} effective parameters" in found["residuals per parameter"][1]
    with may_end_early():
        model.set_params(alpha=0.0, max_iter=30).fit(Z, y)
    assert "fit fewer units" in str(model.summary())
