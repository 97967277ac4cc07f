"""Where a fit stands: its damping."""

import numpy as np
import pytest

from sklearn_lm._optimize.state import Damping, OptimizerSettings


def test_nielsen_damping_follows_the_gain_ratio():
    damping, settings = Damping(1.0, growth=8.0), OptimizerSettings()
    assert damping.after(True, 1.0, settings) == Damping(1 / 3, 2.0)
    assert damping.after(True, 0.5, settings) == Damping(1.0, 2.0)
    assert damping.after(True, 1e-9, settings).mu == pytest.approx(2.0)
    assert damping.after(True, 1e200, settings).mu == 1 / 3  # and its cube does not overflow
    assert damping.after(True, 1.0, settings, least=0.9).mu == 0.9
    assert damping.after(False, np.nan, settings) == Damping(8.0, 16.0)


def test_marquardt_damping_has_fixed_factors():
    settings = OptimizerSettings(damping="marquardt", mu_increase=5.0, mu_decrease=0.25)
    assert Damping(1.0).after(True, 0.1, settings).mu == 0.25
    assert Damping(1.0).after(False, 0.1, settings).mu == 5.0
