import numpy as np
import pytest
from evidence_problems import fit, noisy_problem

from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.topology import make_network
from sklearn_lm._training.linear_baseline import fit_linear


@pytest.mark.parametrize("kind", ["single", "layer", "input"])
@pytest.mark.parametrize("n", [60, 15])
def test_evidence_is_that_of_a_fitted_linear_network(kind, n):
    """Sum over the outputs, each by itself: they have no parameter in common."""
    problem = noisy_problem(n=n, noise=(0.3, 1.0))
    linear = make_network(2, (), 1, ())
    expected = 0.0
    for Y in problem.rows["train"].Y.T:
        rows = {"train": problem.rows["train"]._replace(Y=np.ascontiguousarray(Y[:, None]))}
        alone = problem._replace(network=linear, rows=rows, y_scaling=identity_scaling(1))
        expected += fit(alone, kind)[0].evidence.log_evidence
    np.testing.assert_allclose(fit_linear(problem, kind).log_evidence, expected, atol=0.02 * n)
