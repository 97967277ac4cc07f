"""Damping rules and the decision of a trial."""

import math
from inspect import signature

import numpy as np
import pytest

from sklearn_lm import LMRegressor, _kernels
from sklearn_lm._kernels import ACCEPTED, DAMPING_RULES, NO_DIGITS, NO_STEP, REJECTED, DampingRule, Trial
from sklearn_lm._optimize.damping import Damping, DampingScale

NIELSEN = DampingRule(DAMPING_RULES["nielsen"], 10.0, 0.1, 0.0, 1e10)


def damping_after(is_accepted, gain_ratio, damping, rule):
    return Damping(*_kernels.damping_after(is_accepted, gain_ratio, *damping, rule))


def test_nielsen_damping_follows_the_gain_ratio():
    damping = Damping(1.0, growth=8.0)
    assert damping_after(True, 1.0, damping, NIELSEN) == Damping(1 / 3, 2.0)
    assert damping_after(True, 0.5, damping, NIELSEN) == Damping(1.0, 2.0)
    assert damping_after(True, 1e-9, damping, NIELSEN).mu == pytest.approx(2.0)
    assert damping_after(True, 1e200, damping, NIELSEN).mu == 1 / 3  # and its cube does not overflow
    assert damping_after(True, 1.0, damping, NIELSEN._replace(min_mu=0.9)).mu == 0.9
    assert damping_after(False, np.nan, damping, NIELSEN) == Damping(8.0, 16.0)


def test_marquardt_damping_has_fixed_factors():
    rule = DampingRule(DAMPING_RULES["marquardt"], 5.0, 0.25, 0.0, 1e10)
    assert damping_after(True, 0.1, Damping(1.0), rule).mu == 0.25
    assert damping_after(False, 0.1, Damping(1.0), rule).mu == 5.0


def test_every_rule_has_a_branch_of_its_own():
    """A rule that is only registered would have no damping at all."""
    outcomes = []
    for code in DAMPING_RULES.values():
        rule = DampingRule(code, 5.0, 0.25, 0.0, 1e10)
        rejected, accepted = (damping_after(success, 0.9, Damping(1.0), rule).mu for success in (False, True))
        assert accepted <= 1.0 < rejected
        assert damping_after(True, 0.9, Damping(1.0), rule._replace(min_mu=0.99)).mu == 0.99
        outcomes.append((rejected, accepted))
    assert len(set(outcomes)) == len(outcomes)


def test_the_default_rule_is_registered():
    assert signature(LMRegressor).parameters["damping"].default in DAMPING_RULES


def decided(trial, mu=1.0, cost=10.0, gradient_norm=1.0):
    status, gain_ratio, mu, _ = _kernels.decide(cost, gradient_norm, trial, mu, 2.0, NIELSEN)
    return status, gain_ratio, mu


def test_a_trial_is_accepted_if_the_objective_falls():
    assert decided(Trial(4.0, 8.0, 8.0, 5.0, True)) == (ACCEPTED, 0.5, 1.0)
    assert decided(Trial(4.0, 10.0, math.nan, math.nan, False)) == (REJECTED, 0.0, 2.0)
    assert decided(Trial(4.0, 8.0, 8.0, 5.0, False))[0] == REJECTED  # its Gram matrix overflows
    assert decided(Trial(4.0, math.nan, math.nan, math.nan, False))[0] == REJECTED
    status, gain_ratio, mu = decided(Trial(math.inf, math.nan, math.nan, math.nan, False))
    assert (status, math.isnan(gain_ratio), mu) == (REJECTED, True, 2.0)


def test_a_trial_that_rounding_errors_hide_is_accepted_if_the_gradient_is_halved():
    for gradient_norm, status in ((0.5, ACCEPTED), (0.6, NO_DIGITS)):
        assert decided(Trial(1e-15, 10.0, 10.0, gradient_norm, True))[0] == status


def test_the_search_ends_at_the_largest_damping():
    rejected = Trial(4.0, 11.0, math.nan, math.nan, False)
    assert decided(rejected, mu=5e9)[0] == REJECTED
    assert decided(rejected, mu=6e9)[0] == NO_STEP


def test_damping_never_falls_to_zero():
    for follows_gram, diagonal in ((False, np.array([3.0, 1e-320])), (False, np.zeros(2)), (True, np.ones(2))):
        scale = DampingScale(follows_gram, diagonal)
        assert scale.first_damping(0.0).mu > 0
        assert 0 < scale.rule("nielsen", 10, 0.1, 1e10).min_mu < 1e-15 * scale.unit + 1e-300


def test_the_damping_scale_follows_the_largest_diagonal_of_the_gram_matrix():
    scale = DampingScale(True, np.array([1.0, 2.0, 0.0]))
    for diagonal in (np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 0.0])):
        scale.update(diagonal)
    np.testing.assert_array_equal(scale.diagonal, [1.0, 3.0, 1.0])
