"""Rows on a Dask cluster: the bits of a fit depend on the blocks alone, and a fit survives the loss of a worker."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import dask
import dask.array as da
import dask.dataframe as dd
import joblib
import numba
import numpy as np
import pandas as pd
import pytest
from conftest import may_end_early, size
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from sklearn_lm import LMRegressor
from sklearn_lm._data import dask as dask_rows
from sklearn_lm._data.blocks import BlockRows, RowBlocks
from sklearn_lm._data.executors import LostWorkersError, merge_tree
from sklearn_lm._data.out_of_core import Extent
from sklearn_lm._data.rows import make_rows
from sklearn_lm._data.scaling import identity_scaling
from sklearn_lm._network.cross_products import Workspace, gram_products
from sklearn_lm._network.topology import make_network
from sklearn_lm._training.history import Monitor

# The cluster of the module lives while other tests compute without it, which earlier versions of Dask remark on.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler when a distributed:UserWarning"),
    pytest.mark.xdist_group("dask"),  # one cluster for all of them
]

N_ROWS, N_BLOCKS = size(8_000, 600), 5


def two_workers():
    """Return a local cluster of two processes with one thread each; port 0: any free port."""
    return LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )


@pytest.fixture(scope="module")
def cluster():
    with two_workers() as cluster, Client(cluster):
        yield cluster


@pytest.fixture(params=["cluster", "local scheduler"])
def scheduler(request):
    """Let Dask compute on a cluster or in this process."""
    if request.param == "cluster":
        request.getfixturevalue("cluster")
        yield
    else:
        with dask.config.set(scheduler="threads"):
            yield


@pytest.fixture
def data(rng):
    X = rng.normal(size=(N_ROWS, 3))
    X[:, 2] = np.exp(X[:, 2])  # skewed: alpha="evidence" maps it
    y = np.sin(2 * X[:, 0]) + X[:, 1] * np.log(X[:, 2]) + 0.1 * rng.normal(size=N_ROWS)
    return X, y, rng.uniform(0.5, 2, size=N_ROWS)


def model(**parameters):
    defaults = {"max_iter": size(5, 1), "n_starts": 1, "random_state": 0}
    return LMRegressor(size(5, 2), **{**defaults, **parameters})


def fitted(estimator, *data, **options):
    with may_end_early():
        return estimator.fit(*data, **options)


class InProcess:
    """Executor of blocks in the memory of this process, one after the other."""

    def persist(self, function, *handles):
        return [function(*of_block) for of_block in zip(*handles, strict=True)]

    def reduce(self, function, handles, merge=np.add):
        return merge_tree(merge, *(function(handle) for handle in handles))


def in_memory(X, y, weight, n_blocks=N_BLOCKS):
    """Return the blocks of `on_dask`, in the memory of this process."""

    blocks = [np.array_split(Z, n_blocks) for Z in (X, y, weight)]
    return RowBlocks(InProcess(), *blocks, np.empty((0, X.shape[1])), y.ndim == 1)


def on_dask(X, y, weight=None, n_blocks=N_BLOCKS):
    arrays = [X, y] if weight is None else [X, y, weight]
    lengths = tuple(len(part) for part in np.array_split(X, n_blocks))
    return [da.from_array(Z, chunks=(lengths, *Z.shape[1:])) for Z in arrays]


def same(a, b):
    assert a.loss_curve_ == b.loss_curve_
    for mine, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for name in a.history_:
        if not name.startswith("time"):
            np.testing.assert_array_equal(a.history_[name], b.history_[name])


def at_iteration(monkeypatch, k, act):
    """Call `act` once, before iteration k of a fit is recorded."""
    watch, done = Monitor.__call__, []

    def watched(self, record):
        if record.iteration == k and not done:
            done.append(act())
        return watch(self, record)

    monkeypatch.setattr(Monitor, "__call__", watched)


OPTIONS = [
    {},
    {"scaling": "standard", "solve_output": False},
    {"early_stopping": True, "test_fraction": 0.1},
    {"early_stopping": True, "split": "block"},
    {"alpha": "evidence", "max_iter": size(9, 1)},
    {"n_starts": 6, "max_iter": size(14, 1)},
]


# ---- the same bits ------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", OPTIONS[: size(len(OPTIONS), 3)], ids=str)
def test_one_block_has_the_bits_of_rows_in_memory(options, data):
    X, y, weight = data
    here = fitted(model(**options), X, y, weight)
    one = fitted(model(**options), in_memory(X, y, weight, 1), y)
    same(here, one)
    np.testing.assert_array_equal(here.predict(X[:9], return_std=True), one.predict(X[:9], return_std=True))
    assert here.noise_variance_ == one.noise_variance_


@pytest.mark.parametrize(
    "options",
    # In several starts nothing is new but their number, for which rows of one block are tested above.
    [
        pytest.param(options, marks=pytest.mark.slow if "n_starts" in options else [])
        for options in OPTIONS[: size(len(OPTIONS), 1)]
    ],
    ids=str,
)
def test_bits_depend_on_the_blocks_alone(options, data, cluster):
    reference = fitted(model(**options), in_memory(*data), data[1])
    with dask.config.set(scheduler="synchronous"):
        same(reference, fitted(model(**options), *on_dask(*data)))
    with dask.config.set(scheduler="threads"):
        same(reference, fitted(model(**options), *on_dask(*data)))
    same(reference, fitted(model(**options), *on_dask(*data)))


def test_blocks_change_rounding_only(data):
    X, y, weight = data
    here = fitted(model(max_iter=1), X, y, weight)
    blocks = fitted(model(max_iter=1), in_memory(X, y, weight), y)
    np.testing.assert_allclose(blocks.loss_curve_, here.loss_curve_, rtol=1e-9)


def test_several_outputs_have_separate_noise(data, scheduler):
    X, y, weight = data
    Y = np.column_stack([y, X[:, 1] ** 2])
    options = {"alpha": "evidence", "max_iter": size(9, 1)}
    reference = fitted(model(**options), in_memory(X, Y, weight), Y)
    blocks = fitted(model(**options), *on_dask(X, Y, weight))
    same(reference, blocks)
    mean, std = blocks.predict(on_dask(X, Y)[0], return_std=True)
    assert mean.shape == std.shape == Y.shape
    np.testing.assert_array_equal(std, reference.predict(X, return_std=True)[1])


def test_mixture_of_networks(data, scheduler):
    X, y, _ = data
    mixed = fitted(model(alpha="evidence", n_networks=2), *on_dask(X, y))
    for kind in (True, "mean"):
        mean, std = mixed.predict(on_dask(X, y)[0], return_std=kind)
        expected = mixed.predict(X, return_std=kind)
        np.testing.assert_array_equal(mean, expected[0])
        np.testing.assert_array_equal(std, expected[1])


def test_size_search(data):
    X, y, _ = data
    options = {"alpha": "evidence", "max_iter": 2}
    grown = LMRegressor("auto", n_starts=1, random_state=0, **options)
    with dask.config.set(scheduler="synchronous"):
        fitted(grown, *on_dask(X[:200], y[:200], n_blocks=2))
    assert grown.growth_["n_units"][0] == 1
    with pytest.raises(ValueError, match=r"hidden_layer_sizes='auto' with alpha=0\.0.*alpha='evidence'"):
        LMRegressor("auto", alpha=0.0).fit(*on_dask(X, y))


# ---- data ---------------------------------------------------------------------------------------------
def test_dataframes_with_names(data, scheduler):
    X, y, weight = data
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y, weight=weight)
    parts = dd.from_pandas(frame, npartitions=3)
    own = fitted(model(), parts[["a", "b", "c"]], parts["y"], parts["weight"])
    assert own.feature_names_in_.tolist() == ["a", "b", "c"]
    predicted = own.predict(parts[["a", "b", "c"]])
    np.testing.assert_array_equal(predicted, own.predict(frame[["a", "b", "c"]]))
    with pytest.raises(ValueError, match="feature names"):
        own.predict(parts[["b", "a", "c"]])
    # Targets and weights in memory are cut where the partitions end.
    same(own, fitted(model(), parts[["a", "b", "c"]], y, weight))


def test_dates_are_an_error():
    """Naive: nanoseconds since 1970, as pandas stores them."""
    frame = pd.DataFrame({"a": np.arange(6.0), "day": pd.date_range("2020-01-01", periods=6)})
    parts = dd.from_pandas(frame, npartitions=2)
    for X, y in [(parts, parts["a"]), (parts[["a"]], parts["day"]), (parts[["day"]].to_dask_array(), frame["a"])]:
        with pytest.raises(ValueError, match="holds dates or time differences"):
            model().fit(X, y)


@pytest.mark.parametrize("empty", [(0,), (1, 2), (4,)], ids=str)
def test_partitions_without_rows_are_no_blocks(data, empty):
    """A filter may leave none in a partition. Naive: "cannot reshape array of size 0"."""
    X, y, weight = data
    columns = ["a", "b", "c"]
    frame = pd.DataFrame(X, columns=columns).assign(y=y, weight=weight, part=np.arange(N_ROWS) * N_BLOCKS // N_ROWS)
    with dask.config.set(scheduler="synchronous"):
        parts = dd.from_pandas(frame, npartitions=N_BLOCKS)
        some, rest = parts[~parts["part"].isin(empty)], frame[~frame["part"].isin(empty)]
        own = fitted(model(), some[columns], some["y"], some["weight"])
        blocks = [group.to_numpy() for _, group in rest.groupby("part")]
        A = da.concatenate([da.from_array(block, chunks=-1) for block in blocks])
        same(own, fitted(model(), A[:, :3], A[:, 3], A[:, 4]))
        score = own.score(some[columns], some["y"], some["weight"])
        assert score == pytest.approx(own.score(rest[columns], rest["y"], rest["weight"]), rel=1e-12)
        np.testing.assert_array_equal(own.predict(some[columns]), own.predict(rest[columns]))
        for lazy, here in zip(own.predict_interval(some[columns]), own.predict_interval(rest[columns]), strict=True):
            np.testing.assert_array_equal(lazy, here)
        np.testing.assert_array_equal(own.extrapolation_score(some[columns]), own.extrapolation_score(rest[columns]))
        two = fitted(model(), some[columns], some[["y", "a"]])
        np.testing.assert_array_equal(two.predict(some[columns]), two.predict(rest[columns]))


def test_y_is_cut_like_X(data):
    y, weight = data[1:]
    with dask.config.set(scheduler="synchronous"):
        reference = fitted(model(), *on_dask(*data))
        A = on_dask(*data)[0]
        same(reference, fitted(model(), A, y, weight))
        same(reference, fitted(model(), A, da.from_array(y, chunks=N_ROWS // 7), da.from_array(weight)))
        same(reference, fitted(model(), A.rechunk({1: 1}), y, weight))


def test_validation_set_of_the_caller(data, scheduler):
    X, y, weight = data
    n = N_ROWS // 2
    reference = fitted(model(), in_memory(X[:n], y[:n], weight[:n]), y, X_val=X[n:], y_val=y[n:])
    train = on_dask(X[:n], y[:n], weight[:n])
    same(reference, fitted(model(), *train, X_val=X[n:], y_val=y[n:]))
    A, b = on_dask(X[n:], y[n:], n_blocks=1)
    same(reference, fitted(model(), *train, X_val=A, y_val=b))


def test_zero_weights_drop_rows(data):
    X, y, weight = data
    kept = weight > 1
    some = np.where(kept, weight, 0.0)
    with dask.config.set(scheduler="synchronous"):
        dropped = fitted(model(), *on_dask(X, y, some))
        np.testing.assert_array_equal(dropped.split_indices_["train"], np.flatnonzero(kept))
        same(fitted(model(), X, y, some), fitted(model(), *on_dask(X, y, some, n_blocks=1)))


def with_nan(Z):
    Z = Z.copy()
    Z[-1] = np.nan
    return Z


ERRORS = {
    "NaN in X": (lambda X, y, w: on_dask(with_nan(X), y), "X contains NaN"),
    "NaN in y": (lambda X, y, w: on_dask(X, with_nan(y)), "y contains NaN"),
    "negative weights": (lambda X, y, w: on_dask(X, y, -w), "sample_weight has negative values"),
    "no weights": (lambda X, y, w: on_dask(X, y, 0 * w), "sample_weight is zero for every row"),
    "large y": (lambda X, y, w: on_dask(X, 1e200 * y), "y reaches .* in column 0"),
    "short y": (lambda X, y, w: (on_dask(X, y)[0], y[:-1]), "y has shape .* and X has .* rows"),
    "short Dask y": (lambda X, y, w: (on_dask(X, y)[0], on_dask(X[1:], y[1:])[1]), "y has .* rows and X has"),
    "no y": (lambda X, y, w: (on_dask(X, y)[0], None), "y is missing"),
    "no columns": (lambda X, y, w: (on_dask(X, y)[1], y), "X has 1 dimensions"),
    "unknown lengths": (
        lambda X, y, w: (on_dask(X, y)[0][on_dask(X, y)[1] > 0], on_dask(X, y, n_blocks=2)[1]),
        "y has 2 chunks and X has 5, .* compute_chunk_sizes",
    ),
    "unlike blocks": (
        lambda X, y, w: (on_dask(X, y)[0][on_dask(X, y)[1] > 0], on_dask(X, y)[1]),
        "must be of equal length",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_what_is_wrong(name, data):
    make, message = ERRORS[name]
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=message):
        model().fit(*make(*data))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "huber"}, "loss='huber' with Dask rows: .* loss='squared_error'"),
        ({"solver": "cg"}, "solver='cg' with Dask rows: .* solver='cholesky'"),
        ({"leave_one_out": True}, "leave_one_out=True with Dask rows: .* leave_one_out='auto'"),
    ],
)
def test_parameters_that_need_local_rows_raise(parameters, message, data):
    def computed(block):
        raise AssertionError("a block was computed")

    X, y = on_dask(*data[:2])
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(X.map_blocks(computed, dtype=float, meta=np.empty((0, 0))), y)


def test_too_large_network_raises(data):
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match="hidden_layer_sizes: the Gram"):
        LMRegressor(1500).fit(*on_dask(*data[:2]))


# ---- predictions ----------------------------------------------------------------------------------------------
def test_predictions_are_lazy(data, scheduler):
    X, y, weight = data
    own = fitted(model(), X, y, weight)
    A, b, w = on_dask(*data)
    assert isinstance(own.predict(A), da.Array)
    np.testing.assert_array_equal(own.predict(A), own.predict(X))
    np.testing.assert_array_equal(own.predict(A.rechunk({1: 1})), own.predict(X))
    for lazy, here in zip(own.predict(A, return_std=True), own.predict(X, return_std=True), strict=True):
        assert lazy.chunks[0] == A.chunks[0]
        np.testing.assert_array_equal(lazy, here)
    for lazy, here in zip(own.predict_interval(A), own.predict_interval(X), strict=True):
        assert isinstance(lazy, da.Array)
        np.testing.assert_array_equal(lazy, here)
    np.testing.assert_array_equal(own.extrapolation_score(A), own.extrapolation_score(X))
    assert own.score(A, b) == pytest.approx(own.score(X, y), rel=1e-12)
    assert own.score(A, b, w) == pytest.approx(own.score(X, y, weight), rel=1e-12)
    with pytest.raises(ValueError, match="return_cov=True with a Dask array"):
        own.predict(A, return_cov=True)
    with pytest.raises(ValueError, match="expecting 3 features"):
        own.predict(A[:, :2])


def test_warm_start_continues(data):
    with dask.config.set(scheduler="synchronous"):
        whole = fitted(model(max_iter=4), *on_dask(*data))
        parts = model(max_iter=2, warm_start=True)
        for _ in range(2):
            fitted(parts, *on_dask(*data))
    same(whole, parts)


def test_model_is_saved_without_its_cluster(data):
    with dask.config.set(scheduler="synchronous"):
        own = fitted(model(warm_start=True), *on_dask(*data))
    again = pickle.loads(pickle.dumps(own))
    np.testing.assert_array_equal(again.predict(data[0]), own.predict(data[0]))


def test_grid_search_on_the_cluster(data, cluster):
    X, y = data[0][:300], data[1][:300]
    grid = {"alpha": [1e-2, 1.0]}
    here = GridSearchCV(model(max_iter=200, tol=1e-3), grid, cv=2).fit(X, y)
    with joblib.parallel_config(backend="dask"):
        there = GridSearchCV(model(max_iter=200, tol=1e-3), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(here.cv_results_["mean_test_score"], there.cv_results_["mean_test_score"])


def test_dask_is_not_imported_without_need():
    code = """if True:
        import sys
        import numpy as np
        from sklearn_lm import LMRegressor
        X = np.linspace(-1, 1, 50).reshape(-1, 1)
        model = LMRegressor((), random_state=0).fit(X, X[:, 0])
        model.predict(X), model.score(X, X[:, 0])
        assert not {"dask", "distributed"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- what is sent ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("hidden", "share"), [((10,), 0.95), ((30,), 0.8), ((8, 6), 1.1)])
def test_a_reduction_sends_sums_and_no_rows(hidden, share, rng):
    network = make_network(8, hidden, 1, ("tanh",) * len(hidden))
    theta = rng.normal(size=network.n_parameters)
    scaling = np.vstack([np.zeros(8), np.ones(8)])
    sent = []
    for n_rows in (size(4_000, 20), size(8_000, 40)):
        X = rng.normal(size=(n_rows, 8))
        block = make_rows(X, X[:, :1], np.ones(n_rows), identity_scaling(1))
        workspace = Workspace(network, scaling, Extent(2 * n_rows, 8))
        sent.append(len(pickle.dumps(gram_products(block, workspace, theta, True))))
        assert len(pickle.dumps(workspace)) < 2_000
    assert sent[0] == sent[1]
    # The gradient and the lower triangle of the Gram matrix, with what whole tiles need around them.
    p = network.n_parameters
    assert sent[0] < share * 8 * (p + p * (p + 1) / 2) + 500


def test_a_task_keeps_to_one_thread(rng):
    """The number of threads of the process is the same afterwards."""
    before, X = numba.get_num_threads(), rng.normal(size=(9, 2))

    def n_threads(rows):
        return np.array([numba.get_num_threads()])

    handle = make_rows(X, X[:, :1], np.ones(9), identity_scaling(1))
    rows = BlockRows(InProcess(), [handle, handle], Extent(9, 2), Extent(9, 1), 9.0, X)
    assert rows.total(n_threads).tolist() == [2]
    assert numba.get_num_threads() == before


# ---- faults -------------------------------------------------------------------------------------------
@pytest.fixture
def own_cluster():
    """Return a cluster that a test may destroy."""
    with two_workers() as cluster:
        yield cluster


def test_a_killed_worker_costs_time_only(data, own_cluster, monkeypatch):
    reference = fitted(model(max_iter=5), in_memory(*data), data[1])
    with Client(own_cluster):
        at_iteration(monkeypatch, 2, lambda: os.kill(own_cluster.workers[0].pid, signal.SIGKILL))
        same(reference, fitted(model(max_iter=5), *on_dask(*data)))


def test_without_workers_the_model_has_the_best_point(data, cluster, own_cluster, monkeypatch, tmp_path):
    """The checkpoint of such a fit continues on another cluster, or without one."""
    reference = fitted(model(max_iter=6), in_memory(*data), data[1])
    monkeypatch.setattr(dask_rows, "WORKER_TIMEOUT", 2.0)
    file = tmp_path / "fit.npz"
    own = model(max_iter=6, checkpoint=file)

    def retire():
        own_cluster.scale(0)
        while own_cluster.scheduler.workers:
            time.sleep(0.01)

    with monkeypatch.context() as patch, Client(own_cluster):
        at_iteration(patch, 3, retire)
        with pytest.raises(RuntimeError, match=r"No Dask worker answered for 2 s.*checkpoint") as error:
            fitted(own, *on_dask(*data))
    assert isinstance(error.value, LostWorkersError)
    assert own.stop_reason_ == "interrupted"
    assert own.loss_curve_ == reference.loss_curve_[: own.n_iter_ + 1]
    assert own.n_iter_ == 3
    assert np.isfinite(own.predict(data[0], return_std=True)).all()
    copy = shutil.copy(file, tmp_path / "copy.npz")
    with Client(cluster):
        same(reference, fitted(model(max_iter=6, checkpoint=file), *on_dask(*data)))
    with dask.config.set(scheduler="threads"):
        same(reference, fitted(model(max_iter=6, checkpoint=copy), *on_dask(*data)))
    assert not list(tmp_path.iterdir())


def test_a_closed_cluster_raises(data, own_cluster, monkeypatch):
    own = model(max_iter=6, early_stopping=True)
    with Client(own_cluster):
        at_iteration(monkeypatch, 3, own_cluster.close)
        with pytest.raises(LostWorkersError, match="cluster was closed"):
            fitted(own, *on_dask(*data))
    assert own.n_iter_ >= 1
    assert np.isfinite(own.predict(data[0])).all()
