"""Whatever comes in: a model with finite predictions, or a ValueError that names the cause. Never a warning of NumPy's.

Properties by hypothesis; `conftest.py` has the number of examples. What it, or a random driver that ran for ten
minutes, has found is kept below as plain tests; each says what the build before it did.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import may_end_early, size
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_lm import LMRegressor
from sklearn_lm._data import ranges

# What an error may be about; "objective" is F itself.
CAUSES = "X", "y", "weight", "set", "row", "objective", "alpha", "auto", "mu_max"


def fit_or_refuse(X, y, weight=None, **parameters) -> LMRegressor | None:
    """A model that predicts finite numbers for the rows that it was fitted to; None after an error with a cause."""
    parameters = {"hidden_layer_sizes": 2, "max_iter": 5, "n_starts": 1, "random_state": 0, **parameters}
    try:
        with may_end_early():
            warnings.filterwarnings("ignore", "sample_weight has a mean of")  # small weights are legal
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
    "longdouble",
    "object",
    ">f8",
    ">f4",
    ">i2",
]


def strided(X):
    """Every second row, backwards."""
    array = np.zeros((2 * len(X), *X.shape[1:]), dtype=X.dtype)
    array[::-2] = X
    return array[::-2]


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
    """Naive: an index of pandas taken for row numbers, columns of polars for rows."""
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
    """Naive: NaN in, NaN out, and squares that overflow or vanish end in a "minimum"."""
    with pytest.raises(ValueError, match=message):
        LMRegressor(2).fit(X, y, weight)


DATES = np.arange(3).astype("M8[D]")


@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        (sparse.csr_matrix(X3), Y3, None, r"X is sparse.*X\.toarray\(\)"),
        (sparse.coo_array(X3), Y3, None, r"X is sparse.*X\.toarray\(\)"),
        (X3, Y3, sparse.csr_matrix(X3), r"sample_weight is sparse.*sample_weight\.toarray\(\)"),
        (np.ma.masked_array(X3, X3 == 1), Y3, None, "X has masked values.*Leave these rows out"),
        (X3, np.ma.masked_array(Y3, Y3 == 1), None, "y has masked values"),
        (X3, Y3, np.ma.masked_array(Y3, Y3 == 1), "sample_weight has masked values"),
        (DATES[:, None], Y3, None, "X holds dates.*Convert them to numbers"),
        (pd.DataFrame({"a": Y3, "day": DATES}), Y3, None, "X holds dates"),
        (X3, DATES, None, "y holds dates"),
        (X3, DATES - DATES[0], None, "y holds dates or time differences"),
        (X3, Y3, DATES, "sample_weight holds dates"),
        (X3, ["a", "b", "c"], None, "y cannot be read as numbers: could not convert string.*OneHotEncoder"),
        ([["a"], ["b"], ["c"]], Y3, None, "X cannot be read as numbers: could not convert string"),
        (X3, Y3, ["a", "b", "c"], "sample_weight cannot be read as numbers"),
        (X3, [None] * 3, None, "y contains NaN"),
        ([[1.0], [2.0, 3.0], [4.0]], Y3, None, "X cannot be read.*the same length"),
        (np.zeros(3, dtype=[("a", float), ("b", float)]), Y3, None, "X cannot be read"),
        ([[object()]] * 3, Y3, None, "X cannot be read"),
        (np.array(3.0), Y3, None, "X is a single number"),
        (X3, np.array(3.0), None, "y is a single number"),
        (X3, Y3, np.array(3.0), "sample_weight is a single number"),
        (X3, X3[:, :, None], None, "dim 3"),
        (X3, Y3, X3, "1D"),
        (X3, Y3 * 1j, None, "Complex"),
        (X3, Y3, Y3 * 1j, "Complex"),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),  # the same in every process of pytest-xdist
)
def test_what_is_no_dense_array_of_numbers_is_refused(X, y, weight, message):
    """Naive: scikit-learn's checks alone: dates become days or nanoseconds, masked values are fitted, None in y is a
    start that "is not finite", and of text nobody says where it stands."""
    with pytest.raises(ValueError, match=message):
        LMRegressor(2).fit(X, y, weight)


@pytest.mark.parametrize(
    "X", [sparse.csr_matrix(X3), DATES[:, None], [["a"]], X3 * 1j, np.ma.masked_array(X3, X3 == 1)]
)
def test_predict_refuses_it_too(X):
    """Naive: checks in fit alone."""
    with pytest.raises(ValueError, match=r"X is sparse|X holds dates|X cannot be read|Complex|X has masked"):
        fit_or_refuse(X3, Y3).predict(X)


def test_long_doubles_beyond_the_range_are_refused():
    """Naive: NaN looked for before the numbers become float64, where they are infinite."""
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        with pytest.raises(ValueError, match="too large for"):
            LMRegressor(2).fit(X3 * np.longdouble("1e4000"), Y3)


def test_nothing_of_the_callers_is_changed():
    """Naive: targets scaled, or weights rooted, in place."""
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
    """Naive: infinity, which somebody else's mean turns into NaN."""
    model = fit_or_refuse(X3, 10 * Y3, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=r"row 1 of X overflows float64: 1e\+308 in column 0"):
        model.predict([[0.0], [1e308]])


def test_variances_that_overflow_name_row_and_column():
    """Naive: infinity among the covariances, and as a score."""
    X = np.random.RandomState(0).normal(size=(60, 2))
    model = fit_or_refuse(X, X[:, 0] + X[:, 1], hidden_layer_sizes=3, activation="relu")
    far = [[1.0, 1.0], [1e300, 1e300]]
    for what in (
        lambda: model.predict(far, return_std=True),
        lambda: model.predict(far, return_cov=True),
        lambda: model.predict_interval(far),
        lambda: model.extrapolation_score(far),
    ):
        with pytest.raises(ValueError, match=r"row 1 of X overflows float64: 1e\+300 in column"):
            what()


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
    """Naive: division by a range that has underflowed."""
    X = np.random.RandomState(0).normal(size=(30, 2)) * 5e-320
    for scaling in ("minmax", "standard", None):
        assert fit_or_refuse(X, np.arange(30.0), scaling=scaling) is not None


def test_weights_of_the_least_size_allowed():
    """Naive: weights squared, which are zero then."""
    least = 2 / ranges.MAX_SQUARED
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


def fit_twice_and_ask(X, y, weight=None, **parameters):
    """As `fit_or_refuse`, and then all that a fitted model can be asked."""
    model = fit_or_refuse(X, y, weight, **parameters)
    if model is None:
        return
    rows = np.asarray(X)[model.split_indices_["train"]]
    str(model.summary())
    try:
        std = model.predict(rows, return_std=True)[1]
        assert np.isfinite(std).all()
        assert (std >= 0).all()
        model.extrapolation_score(rows)
    except ValueError as error:
        assert "Standard deviations need" in str(error) or "The variance" in str(error)  # noqa: PT017 - all are right


@pytest.mark.parametrize("n_networks", [1, 2])
def test_networks_without_a_gram_matrix(n_networks):
    """AttributeError in predict: several networks are mixed by their precision, of which these know nothing."""
    X = np.random.RandomState(0).normal(size=(30, 2))
    model = fit_or_refuse(X, X[:, 0], solver="cg", n_networks=n_networks)
    members = getattr(model, "estimators_", [model])
    np.testing.assert_allclose(model.predict(X), np.mean([member.predict(X) for member in members], axis=0))
    with pytest.raises(ValueError, match="Standard deviations need the Gram matrix"):
        model.predict(X, return_std=True)


@pytest.mark.parametrize("loss_scale", [1e300, 1e-300])
@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
@pytest.mark.parametrize("unit", [1.0, 1e-112])
def test_a_scale_of_the_loss_that_overflows_is_refused(loss_scale, loss, unit):
    """OverflowError in its square, or a RuntimeWarning in its scaling."""
    X = np.random.RandomState(0).normal(size=(30, 1))
    with pytest.raises(ValueError, match=r"loss_scale=.* overflow or underflow float64. Set it to the size of usual"):
        LMRegressor(2, loss=loss, loss_scale=loss_scale).fit(X, unit * X[:, 0])


@pytest.mark.parametrize("second", [10.0, 100.0])
def test_evidence_of_a_jacobian_whose_products_have_no_factor(second):
    """RuntimeWarning in the logarithm of its diagonal: inputs of 1e12 that are not scaled."""
    y = np.array([1.0, 0.4, 0.98])
    fit_twice_and_ask(
        [[0.0, 1e12]] * 3, np.column_stack([y, second * y]), alpha="evidence", scaling=None, activation="identity",
        hidden_layer_sizes=(2, 2, 2), test_fraction=0.2, split="block", mu=1e-300, tol=1e-10,
    )  # fmt: skip


@pytest.mark.parametrize("scaling", ["auto", "power"])
def test_power_maps_of_the_largest_numbers_are_refused(scaling):
    """RuntimeWarning in a difference: the map came before the check."""
    X = np.array([[-1.79e308], [1.79e308], [0.0], [1.0]])
    with pytest.raises(ValueError, match=r"X reaches 1\.79e\+308 in column 0: differences of it overflow"):
        LMRegressor(2, alpha="evidence", scaling=scaling).fit(X, np.arange(4.0))


def test_networks_that_know_the_target_exactly_are_mixed():
    """RuntimeWarning in 0 / 0: variances of zero."""
    X = np.array([[7e17, 0.5], [1e18, 5e-302], [1e18, 5e-302]])
    Y = np.tile([1e12, -1.0], (3, 1))
    fit_twice_and_ask(X, Y, np.array([5e16, 2.4, 4e15]), n_networks=2, solver="cholesky", activation="logistic")


def test_a_model_of_the_noise_in_inputs_of_any_size():
    """RuntimeWarning in infinity / infinity: squares of the inputs overflow in their variance."""
    X = np.column_stack([np.linspace(-1, 1, 12) * 1e300, np.full(12, 1e12)])
    fit_twice_and_ask(X, np.zeros((12, 1)), alpha="evidence")
    fit_twice_and_ask(X, np.sin(np.arange(12.0)), np.linspace(0.3, 5e16, 12), alpha="evidence", leave_one_out=True)


def test_a_model_of_the_noise_with_weights_of_any_size():
    """LinAlgError: Singular matrix. The ridge vanished beside the weights."""
    X = np.array([[3e-301], [-4e-215], [-3e-129], [8e-44], [7e42], [-4e128], [-2e214], [5e299]])
    weight = 1e103 * np.array([9.4, 2.0, 10.0, 8.4, 3.9, 1.8, 4.0, 4.6])
    y = 1e12 + np.array([1.8, 0.4, 1.0, 2.2, 1.9, -1.0, 1.0, -0.2])
    for hidden in (1, "auto"):
        fit_twice_and_ask(
            X, y, weight, alpha="evidence", hidden_layer_sizes=hidden, scaling="standard", activation="softplus",
            test_fraction=0.2, split="block", mu=1e299, mu_max=1e300, tol=0.0, min_grad=1e300, max_time=1e-9,
        )  # fmt: skip


def test_a_multistart_that_max_time_ended_can_be_continued():
    """AssertionError in the snapshot of a start that had not begun, with early stopping."""
    X = np.arange(20.0)[:, None]
    model = fit_or_refuse(X, X[:, 0], n_starts=3, early_stopping=True, warm_start=True, max_time=1e-9)
    with may_end_early():
        model.set_params(max_time=None).fit(X, X[:, 0])
    assert np.isfinite(model.predict(X)).all()


def test_a_variance_that_overflows_is_refused():
    """RuntimeWarning: squares of targets of 1e133 times their weights."""
    X, y = np.full((30, 1), -4e-71), np.full(30, 4.5e133)
    for n_networks in (1, 2):
        fit_twice_and_ask(
            X, y, y, n_networks=n_networks, alpha=1e-300, scaling=None, init="small", hidden_layer_sizes=(3, 2),
            loss="cauchy", loss_scale=1.0, solve_output=False, max_iter=1, leave_one_out=True, goal=1e300, mu=1e-300,
        )  # fmt: skip


CHOICES = {
    "alpha": [0.0, 1e-3, "evidence"], "loss": ["squared_error", "huber"], "scaling": ["auto", "standard", None],
    "n_networks": [1, 2], "hidden_layer_sizes": [(), 2, (2, 2), "auto"], "solver": ["auto", "cg"],
    "damping": ["nielsen", "marquardt"], "mu": [1e-300, 1e-3, 1e300], "max_iter": [1, 8], "tol": [0.0, 1e300],
    "early_stopping": [False, True], "split": ["random", "block"], "test_fraction": [0.0, 0.2], "n_starts": [1, 3],
    "warm_start": [False, True], "leave_one_out": [True, False], "max_time": [None, 1e-9],
    "noise": ["auto", "constant"],
}  # fmt: skip


@given(problems(), st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CHOICES.items()}))
def test_any_numbers_with_any_parameters(problem, parameters):
    """Naive: each option tested by itself. (Ten minutes of this, with more choices, made the tests above.)"""
    fit_twice_and_ask(*problem, **parameters)
