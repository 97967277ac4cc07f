"""Whatever comes in: a model with finite predictions, or a ValueError that names the cause. Never a warning of NumPy's.

Properties by hypothesis, derandomised: the same examples in every run. What it, or a random driver that ran for ten
minutes, has found is kept below as plain tests.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import may_end_early, size
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_lm import LMRegressor, _data

EXAMPLES = settings(
    derandomize=True, deadline=None, database=None, max_examples=size(300, 8), suppress_health_check=list(HealthCheck)
)
# What an error may be about; "objective" is F itself.
CAUSES = "X", "y", "weight", "set", "row", "objective", "alpha"


def fit_or_refuse(X, y, weight=None, **parameters) -> LMRegressor | None:
    """A model that predicts finite numbers for the rows that it was fitted to; None after an error with a cause."""
    parameters = {"hidden_layer_sizes": 2, "max_iter": 5, "n_starts": 1, "random_state": 0, **parameters}
    try:
        with may_end_early():
            model = LMRegressor(**parameters).fit(X, y, weight)
    except ValueError as error:
        assert any(cause in str(error) for cause in CAUSES), error  # noqa: PT017 - either is right
        return None
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.predict(np.asarray(X)[model.split_indices_["train"]])).all()
    return model


# ---- properties ---------------------------------------------------------------------------------------
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
scales = st.integers(-320, 308).map(lambda exponent: float(f"1e{exponent}"))


@st.composite
def columns(draw, n_rows: int) -> np.ndarray:
    kind = draw(st.sampled_from(["normal", "constant", "any", "offset", "few", "outlier", "denormal", "all scales"]))
    z = np.random.RandomState(draw(st.integers(0, 99))).normal(size=n_rows)
    with np.errstate(all="ignore"):
        if kind == "constant":
            return np.full(n_rows, draw(numbers))
        if kind == "any":
            return np.array(draw(st.lists(numbers, min_size=n_rows, max_size=n_rows)))
        if kind == "offset":
            return 1e12 + z * draw(st.sampled_from([1.0, 1e-3]))
        if kind == "few":
            return np.sign(np.round(z))
        if kind == "outlier":
            return np.r_[z[:-1], draw(scales)]
        if kind == "denormal":
            return z * 5e-324
        if kind == "all scales":
            return np.clip(z, -1, 1) * 10.0 ** np.linspace(-300, 300, n_rows)
        return np.clip(z, -1, 1) * draw(scales)


@st.composite
def problems(draw):
    n_rows, n_inputs = draw(st.sampled_from([1, 2, 3, 8, 30])), draw(st.sampled_from([1, 2, 5, 40]))
    X = np.column_stack([draw(columns(n_rows)) for _ in range(n_inputs)])
    Y = np.column_stack([draw(columns(n_rows)) for _ in range(draw(st.integers(1, 2)))])
    if draw(st.booleans()):
        repeated = np.random.RandomState(1).randint(n_rows, size=n_rows)
        X, Y = X[repeated], Y[repeated]
    weight = draw(st.none() | columns(n_rows).map(np.abs))
    return X, Y, weight


@EXAMPLES
@given(
    problems(),
    st.sampled_from([None, "minmax", "standard"]),
    st.sampled_from(["tanh", "relu", "softplus"]),
    st.sampled_from([(), 2, (2, 2)]),
    st.sampled_from([0.0, 1e-3, 1e300]),
    st.booleans(),
)
def test_any_numbers(problem, scaling, activation, hidden, alpha, solve_output):
    """Naive: no limit on magnitudes; squares overflow and predictions are NaN."""
    fit_or_refuse(
        *problem, scaling=scaling, activation=activation, hidden_layer_sizes=hidden, alpha=alpha,
        solve_output=solve_output, init="selected" if scaling is None else "nguyen_widrow",
    )  # fmt: skip


DTYPES = [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint64",
    "bool",
    "float16",
    "float32",
    "float64",
    "object",
    ">f8",
]


def strided(X):
    """Every second row, backwards."""
    room = np.zeros((2 * len(X), *X.shape[1:]), dtype=X.dtype)
    room[::-2] = X
    return room[::-2]


LAYOUTS = {"C": np.ascontiguousarray, "F": np.asfortranarray, "strided": strided}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_dtype_and_layout_gives_the_bits_of_float64(dtype, layout):
    """Naive: kernels compiled for C-ordered float64 read other arrays wrongly, or compile a variant of other bits."""
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 2 if dtype == "bool" else 100, size=(20, 2)), rng.randint(0, 2, size=20)
    expected = fit_or_refuse(X.astype(float), y.astype(float)).predict(X.astype(float))
    X, y = LAYOUTS[layout](X.astype(dtype)), LAYOUTS[layout](y.astype(dtype))
    X.flags.writeable = y.flags.writeable = False
    np.testing.assert_array_equal(fit_or_refuse(X, y).predict(X), expected)


@pytest.mark.parametrize("container", ["list", "tuple", "pandas", "polars", "memmap", "masked"])
def test_every_container_gives_the_bits_of_an_array(container, tmp_path):
    X = np.random.RandomState(0).normal(size=(20, 2))
    y = X[:, 0] * X[:, 1]
    expected = fit_or_refuse(X, y).predict(X)
    names = ["length", "width"]
    if container == "pandas":
        A, b = pd.DataFrame(X, columns=names, index=range(5, 25)), pd.Series(y, index=range(7, 27))
    elif container == "polars":
        polars = pytest.importorskip("polars")
        A, b = polars.DataFrame(X, schema=names), polars.Series(y)
    elif container == "memmap":
        A = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
        A[:] = X
        b = y
    elif container == "masked":
        A, b = np.ma.masked_array(X), np.ma.masked_array(y)
    else:
        A, b = (list, tuple)[container == "tuple"](map(list, X)), list(y)
    with may_end_early():
        model = LMRegressor(2, max_iter=5, n_starts=1, random_state=0).fit(A, b)
    np.testing.assert_array_equal(model.predict(A), expected)
    if container in ("pandas", "polars"):
        assert list(model.feature_names_in_) == names


# ---- refusals -----------------------------------------------------------------------------------------
X3, Y3 = np.arange(3.0)[:, None], np.arange(3.0)


@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        ([[np.nan], [1.0], [2.0]], Y3, None, "NaN"),
        (X3, [np.nan, 1.0, 2.0], None, "NaN"),
        ([[np.inf], [1.0], [2.0]], Y3, None, "infinity"),
        (np.full((3, 1), np.nan), Y3, None, "NaN"),
        (X3, sparse.csr_matrix(X3), None, "sparse"),
        (X3[:0], Y3[:0], None, "0 sample"),
        (X3[:, :0], Y3, None, "0 feature"),
        (Y3, Y3, None, "1D array"),
        (X3[:, :, None], Y3, None, "dim 3"),
        (X3, Y3[:2], None, "inconsistent numbers of samples"),
        ([["a"], ["b"], ["c"]], Y3, None, "could not convert string"),
        (X3 * 1j, Y3, None, "Complex"),
        (X3, Y3, [1.0, -1.0, 1.0], "negative"),
        (X3, Y3, [0.0, 0.0, 0.0], "zero for every row"),
        (X3, Y3, [1.0, np.nan, 1.0], "NaN"),
        (X3, Y3, [5e-324] * 3, "underflow"),
        (X3, Y3, [1e300] * 3, "overflow"),
        (X3, 1e200 * Y3, None, "overflow"),
        (X3, 1e-200 * Y3, None, "underflow"),
        (1.7e308 * (X3 - 1), Y3, None, "differences of it overflow"),
    ],
    ids=str,
)
def test_refused_with_the_cause(X, y, weight, message):
    with pytest.raises(ValueError, match=message):
        LMRegressor(2).fit(X, y, weight)


def test_sparse_X_is_refused():
    """With a TypeError, as by every estimator of scikit-learn that needs dense data."""
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        LMRegressor(2).fit(sparse.csr_matrix(X3), Y3)


def test_masked_values_are_what_the_array_holds():
    """As scikit-learn has it: the mask is not read. A masked NaN is refused and not fitted."""
    X = np.ma.masked_array([[np.nan], [1.0], [2.0]], mask=[[True], [False], [False]])
    with pytest.raises(ValueError, match="NaN"):
        LMRegressor(2).fit(X, Y3)


def test_nothing_of_the_callers_is_changed():
    X, y, weight = np.random.RandomState(0).normal(size=(20, 2)), np.arange(20.0), np.ones(20)
    before = X.copy(), y.copy(), weight.copy()
    fit_or_refuse(X, y, weight)
    for now, then in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)


# ---- finds --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [1e308, -1e308, 1e300])
@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
def test_predictions_far_out_are_finite_or_refused(value, activation):
    """They were NaN: infinity minus infinity among the products of weights and inputs."""
    X = np.random.RandomState(0).normal(size=(30, 2))
    model = fit_or_refuse(X, X[:, 0] * X[:, 1], activation=activation)
    for far in ([[value, value]], [[value, -value]], [[0.0, 0.0], [value, 0.0]]):
        try:
            assert np.isfinite(model.predict(far)).all()
        except ValueError as error:
            row = len(far) - 1
            assert f"row {row} of X overflows" in str(error)  # noqa: PT017 - either is right


def test_a_prediction_that_overflows_names_row_and_column():
    model = fit_or_refuse(X3, 10 * Y3, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=r"row 1 of X overflows float64: 1e\+308 in column 0"):
        model.predict([[0.0], [1e308]])


@pytest.mark.parametrize("damping", ["nielsen", "marquardt"])
def test_damping_that_underflows_ends(damping):
    """Endless: mu times its unit was 0, and grew by multiplication."""
    X = np.random.RandomState(0).normal(size=(5, 3)) * [1.0, 5e-324, 0.0]
    Y = np.random.RandomState(1).normal(size=(5, 3))
    weight = np.full(5, 1e-149)
    fit_or_refuse(X, Y, weight, scaling=None, mu=1e-300, damping=damping, tol=0.0, min_grad=0.0, activation="identity")


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_damping_that_overflows_ends(activation):
    """Endless: with inputs of 1e149 the limit, mu_max times the unit of mu, was infinite, and nothing exceeds that."""
    X, y, weight = np.array([[0.4e149], [0.1e149], [1.5e149]]), np.array([0.0, 1.0, 0.0]), np.array([1e-4, 7e4, 1.0])
    for seed in range(3):
        for init in ("glorot", "centred"):
            fit_or_refuse(
                X, y, weight, scaling=None, init=init, activation=activation, solve_output=False, acceleration=False,
                damping="marquardt", min_grad=0.0, hidden_layer_sizes=3, max_iter=30, random_state=seed,
            )  # fmt: skip


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_check_for_nan_may_overflow(sign):
    """scikit-learn adds all numbers first: 1e308 + 1e308 - 1e308 - 1e308 was a RuntimeWarning."""
    X = np.tile([[4e307], [-4e307]], (40, 1)) * sign
    assert fit_or_refuse(X, X[:, 0] / 4e307) is not None
    y = np.tile([1.7e308, -1.7e308], 40)
    assert fit_or_refuse(X, y) is None


@pytest.mark.parametrize("which", ["X", "y"])
def test_a_weighted_variance_that_underflows(which):
    """A row of weight 1e-200 far from the others: the scale of its column became 0."""
    column, weight = np.array([0.0, 0.0, 0.0, 1e-200]), np.array([1.0, 1.0, 1.0, 1e-149])
    X, y = np.arange(4.0)[:, None], np.arange(4.0)
    if which == "X":
        X = np.column_stack([column, X])
    else:
        y = column * 1e150
    fit_or_refuse(X, y, weight, scaling="standard")


@pytest.mark.parametrize("activation", ["relu", "softplus", "tanh"])
def test_starts_that_overflow_give_no_warning(activation):
    """init="selected" squares the values of its candidates: relu of 1e149 was a RuntimeWarning."""
    X = np.random.RandomState(0).normal(size=(40, 1)) * 1e149
    fit_or_refuse(X, np.tanh(X[:, 0] / 1e149), scaling=None, init="selected", activation=activation)


def test_denormal_columns():
    X = np.random.RandomState(0).normal(size=(30, 2)) * 5e-320
    for scaling in ("minmax", "standard", None):
        assert fit_or_refuse(X, np.arange(30.0), scaling=scaling) is not None


def test_weights_of_the_least_size_allowed():
    least = 2 / _data.LARGEST
    X = np.random.RandomState(0).normal(size=(30, 2))
    assert fit_or_refuse(X, X[:, 0], np.full(30, least)) is not None


def test_small_variations_on_a_large_offset():
    """Naive: scaling by E[x^2] - E[x]^2 has no digits left."""
    X = 1e12 + np.random.RandomState(0).uniform(-1, 1, size=(60, 1))
    y = 1e9 + np.sin(3 * (X[:, 0] - 1e12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with may_end_early():
            model = LMRegressor(4, max_iter=size(60, 10), n_starts=1, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.99
