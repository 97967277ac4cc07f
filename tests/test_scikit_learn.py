"""scikit-learn's own checks: all of them, with no expected failure and nothing skipped."""

import pytest
from conftest import COMPILED
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_lm import LMRegressor

# Plain Python cannot afford the default network: the checks are about the interface, not about its size.
SMALL = {} if COMPILED else {"hidden_layer_sizes": 2, "max_iter": 10, "n_starts": 1}

# The checks fit nonsense on a few rows; that some of these fits do not converge is right, and no failure.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks(
    [
        LMRegressor(**SMALL),
        LMRegressor(
            (), alpha=0.0, scaling=None, **{name: value for name, value in SMALL.items() if name == "max_iter"}
        ),
        LMRegressor(2, "relu", scaling="standard", damping="marquardt", init="glorot", max_iter=20, n_starts=2),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_nothing_is_skipped():
    results = check_estimator(LMRegressor(**SMALL), on_fail=None, on_skip=None)
    assert [result for result in results if result["status"] != "passed"] == []
    assert any("multioutput" in result["check_name"] for result in results)
    assert len(results) >= 55
