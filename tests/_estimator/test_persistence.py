"""A model that was saved and loaded predicts the same bits, has the same attributes, and continues to the same bits."""

import copy
import io
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import may_end_early
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor, __version__

DATA = Path(__file__).parents[1] / "golden"
# Types that skops must trust, as in doc/saving.md.
TRUSTED = ["sklearn_lm._regressor.LMRegressor"]


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(model):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(model))


def by_skops(model):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=data)) <= set(TRUSTED)
    return skops.loads(data, trusted=TRUSTED)


METHODS = {f"pickle {i}": lambda model, i=i: pickle.loads(pickle.dumps(model, i)) for i in range(2, 6)} | {
    "joblib": by_joblib,
    "cloudpickle": by_cloudpickle,
    "skops": by_skops,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture
def data():
    X = np.random.RandomState(0).uniform(-1, 1, size=(40, 2))
    return X, np.sin(2 * X[:, 0]) * X[:, 1]


def make(**parameters):
    return LMRegressor(**{"hidden_layer_sizes": 2, "max_iter": 4, "n_starts": 3, "random_state": 0, **parameters})


KINDS = {
    "one output": {},
    "two outputs": {},
    "warm start": {"warm_start": True},
    "fewer residuals than parameters": {"warm_start": True, "hidden_layer_sizes": 20, "n_starts": 1},
    "early stopping": {"early_stopping": True, "test_fraction": 0.1, "warm_start": True},
    "one start": {"n_starts": 1},
    "evidence": {"alpha": "evidence", "warm_start": True},
    "several networks": {"alpha": "evidence", "n_networks": 2},
    "robust": {"loss": "cauchy", "warm_start": True},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(data, kind, method):
    """Naive: state in classes of this package, an enum among them: skops saves it and cannot load it again."""
    X, y = data
    if kind == "two outputs":
        y = np.column_stack([y, X[:, 0]])
    with may_end_early():
        model = make(**KINDS[kind]).fit(X, y)
    loaded = METHODS[method](model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.get_params() == model.get_params()
    assert set(vars(loaded)) == set(vars(model))
    assert str(loaded.summary()) == str(model.summary())
    np.testing.assert_array_equal(loaded.predict(X, return_std=True), model.predict(X, return_std=True))
    if kind == "several networks":
        np.testing.assert_array_equal(loaded.loo_residuals_, model.loo_residuals_)
    with may_end_early():  # and a warm start continues as that of the first one
        np.testing.assert_array_equal(loaded.fit(X, y).predict(X), model.fit(X, y).predict(X))
    assert loaded.n_iter_ == model.n_iter_


@pytest.mark.parametrize("method", METHODS)
def test_in_a_pipeline(data, method):
    """Naive: a state that only works where the estimator itself is saved."""
    X, y = data
    with may_end_early():
        model = make_pipeline(StandardScaler(), make()).fit(X, y)
    np.testing.assert_array_equal(METHODS[method](model).predict(X), model.predict(X))


@pytest.mark.parametrize("method", METHODS)
def test_before_it_is_fitted(method):
    """Naive: a state that requires fitted attributes."""
    assert METHODS[method](make(alpha=0.5)).get_params() == make(alpha=0.5).get_params()


def test_saving_changes_nothing(data):
    """Naive: attributes packed in place, after which the saved model cannot predict."""
    with may_end_early():
        model = make(warm_start=True).fit(*data)
    before = dict(vars(model))
    pickle.dumps(model)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert set(vars(model)) == set(before)


# ---- releases -----------------------------------------------------------------------------------------
GOLDEN = sorted(DATA.glob("*.skops"))


def test_there_are_golden_files():
    assert GOLDEN


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_model_of_an_earlier_release_is_loaded(path):
    """Naive: a renamed attribute, which the saved model does not have. (`make_golden.py` writes the files.)"""
    skops = pytest.importorskip("skops.io")
    release, kind = path.stem.rsplit("-", 1)
    model = skops.load(path, trusted=TRUSTED)
    with np.load(DATA / f"{release}-predictions.npz", allow_pickle=False) as golden:
        np.testing.assert_allclose(model.predict(golden["X"]), golden[kind], rtol=1e-10, atol=1e-12)
    model.summary()
    assert clone(model).get_params()["weight_type"] == "auto"  # a later parameter


@pytest.mark.parametrize("saved_by", [{"format": 999, "release": "7.0"}, None])
def test_a_model_in_an_unknown_format_has_an_error_with_a_remedy(data, saved_by):
    """Naive: `__dict__.update`, and an AttributeError in the first call of predict."""
    with may_end_early():
        state = make().fit(*data).__getstate__()
    state["_saved_by"] = saved_by
    release = saved_by["release"] if saved_by else "unknown"
    with pytest.raises(ValueError, match=f"saved by release {release} .* this release, {__version__}, .*Load it with"):
        LMRegressor().__setstate__(state)


@pytest.mark.parametrize(
    "name", ["coefs_", "intercepts_", "x_offset_", "x_scale_", "y_scale_", "n_features_in_", "_posterior"]
)
def test_arrays_that_do_not_fit_together_are_an_error(data, name):
    """Naive: kernels read beyond the end of an array, and predict what they find there."""
    X, y = data
    with may_end_early():
        model = make().fit(X, y)
    state = copy.deepcopy(model.__getstate__())
    if name in ("coefs_", "intercepts_"):
        state[name][0] = state[name][0][:1]
    elif name == "n_features_in_":
        state[name] += 1
    elif name == "_posterior":
        arrays = state[name]["arrays"]
        largest = max(arrays, key=lambda key: arrays[key].size)
        arrays[largest] = arrays[largest][:4]
    else:
        state[name] = state[name][:0]
    damaged = LMRegressor.__new__(LMRegressor)
    damaged.__setstate__(state)
    named = ".*" if name in ("coefs_", "intercepts_") else name  # of two that disagree either may be wrong
    with pytest.raises(ValueError, match=rf"shapes of a network of layers .*{named}.*load or fit it again"):
        damaged.predict(np.ones((5, damaged.n_features_in_)), return_std=True)
