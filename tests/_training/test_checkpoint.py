"""A fit that is killed and continued from its file."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import COMPILED, before_evaluations, interrupt_at, may_end_early, size
from resume_cases import ONE_START, SEVERAL_STARTS, assert_same_fit

from sklearn_lm import LMRegressor
from sklearn_lm._data.hashing import fingerprint
from sklearn_lm._estimator import size_search
from sklearn_lm._network import subsample
from sklearn_lm._optimize.damping import Damping
from sklearn_lm._training import draw_starts, multistart
from sklearn_lm._training.checkpoint import Checkpoint, decode, encode
from sklearn_lm._training.snapshot import RunSnapshot, Start


@pytest.fixture
def data(rng):
    X = rng.uniform(-1, 1, size=(size(90, 40), 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=len(X))


def make(**parameters):
    return LMRegressor(**{"hidden_layer_sizes": 4, "random_state": 0, "alpha": 1e-3, "max_iter": 20, **parameters})


def fit(model, *data, **sets):
    with may_end_early():
        return model.fit(*data, **sets)


EVIDENCE = {"alpha": "evidence", "max_iter": size(40, 12)}
TWO = {"n_networks": 2, "n_starts": 1}


def n_evaluations(data, monkeypatch, **parameters):
    """The fit, and how often it asked for the normal equations."""
    with monkeypatch.context() as patch:
        numbers = before_evaluations(patch, lambda number: None)
        return fit(make(**parameters), *data), len(numbers)


def interrupted(data, monkeypatch, call, **parameters):
    with monkeypatch.context() as patch:
        interrupt_at(patch, call)
        with pytest.raises(KeyboardInterrupt):
            fit(make(**parameters), *data)


CONFIGURATIONS = [
    ONE_START,
    {**ONE_START, "early_stopping": True, "test_fraction": 0.1, "random_state": None},
    {**ONE_START, "hidden_layer_sizes": 40},  # fewer residuals than parameters
    SEVERAL_STARTS,
    {**SEVERAL_STARTS, "n_jobs": 2},
    {**SEVERAL_STARTS, "early_stopping": True},
    {**SEVERAL_STARTS, "loss": "cauchy"},
    {**EVIDENCE, "n_starts": 3, "loss": "huber"},
    {**EVIDENCE, **ONE_START},
    {**EVIDENCE, "n_starts": 3, "test_fraction": 0.1},
    {**EVIDENCE, "n_starts": 3, "n_jobs": 2},
    {**EVIDENCE, **ONE_START, "hidden_layer_sizes": ()},  # evaluations without an iteration between
    {**EVIDENCE, **ONE_START, "hidden_layer_sizes": 40},
    {**EVIDENCE, **ONE_START, "n_outputs": 2},
    {**EVIDENCE, **ONE_START, "hidden_layer_sizes": size(3, 1), "is_sampled": True},
    TWO,
    {**TWO, "n_jobs": 2, "random_state": None},
    {**TWO, **EVIDENCE, "early_stopping": False},
    {"hidden_layer_sizes": "auto", "max_iter": 6},
    {"hidden_layer_sizes": "auto", **EVIDENCE, **TWO, "max_iter": 9, "random_state": None},
]
SHARES = [0.05, 0.4, 0.8, 0.98]  # of the evaluations, after which the fit is interrupted


@pytest.mark.parametrize(
    ("parameters", "share"),
    [
        # One share for each configuration, in turn; the others are for the slow tests.
        pytest.param(parameters, share, marks=[] if i % len(SHARES) == j else pytest.mark.slow)
        for i, parameters in enumerate(CONFIGURATIONS)
        for j, share in enumerate(SHARES)
    ],
    ids=str,
)
def test_an_interrupted_fit_is_continued_to_the_same_bits(data, tmp_path, monkeypatch, parameters, share):
    """At any time: in a rung, between starts and rungs; between sizes; in any of several networks.

    Naive: weights alone in the file, and the damping, the precisions or the random numbers of a new fit.
    """
    monkeypatch.setattr(size_search, "SIZES", size_search.SIZES[: size(14, 2)])
    file, parameters = tmp_path / "fit.npz", dict(parameters)
    if parameters.pop("is_sampled", False):  # steps by a sample of the rows
        for name in ("WORTHWHILE", "WORTHWHILE_BETWEEN"):
            monkeypatch.setattr(subsample, name, np.inf)
    if parameters.pop("n_outputs", 1) == 2:
        data = data[0], np.column_stack([data[1], data[0][:, 0]])
    if "random_state" in parameters:  # a seed of None: what was drawn is in the file
        whole, broken = ({**parameters, "random_state": np.random.RandomState(3)} for _ in range(2))
    else:
        whole = broken = parameters
    undisturbed, n_calls = n_evaluations(data, monkeypatch, **whole)
    call = 2 + int(share * (n_calls - 2))
    interrupted(data, monkeypatch, call, checkpoint=file, **broken)
    assert file.exists()
    resumed = fit(make(checkpoint=file, **{**parameters, "random_state": broken.get("random_state", 0)}), *data)
    assert_same_fit(resumed, undisturbed, but=["n_evaluations"])
    np.testing.assert_array_equal(
        resumed.predict(data[0], return_std=True), undisturbed.predict(data[0], return_std=True)
    )
    for ours, theirs in zip(getattr(resumed, "estimators_", []), getattr(undisturbed, "estimators_", []), strict=True):
        assert_same_fit(ours, theirs, but=["n_evaluations"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "parameters", [ONE_START, SEVERAL_STARTS, {**EVIDENCE, **ONE_START}, {**ONE_START, "early_stopping": True}], ids=str
)
@pytest.mark.parametrize("number", [2, 3, 5])
def test_a_fit_that_was_interrupted_among_iterations_of_one_call(data, tmp_path, monkeypatch, parameters, number):
    """Small problems: several iterations in one call (`_network/fused_loop.py`), and a file for each of them."""
    data = data[0][:40], data[1][:40]
    undisturbed = fit(make(**parameters), *data)
    original, calls = Checkpoint.save, []

    def save(self, *arguments):
        original(self, *arguments)
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            fit(make(checkpoint=tmp_path / "fit.npz", **parameters), *data)
    assert_same_fit(fit(make(checkpoint=tmp_path / "fit.npz", **parameters), *data), undisturbed)


def test_screening_is_continued_exactly(data, tmp_path, monkeypatch):
    """Naive: the runs of the rungs alone in the file; the survivors begin again."""
    for module in (multistart, draw_starts):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 20)
    undisturbed = fit(make(**SEVERAL_STARTS), *data)
    n_screening = size(60, 20)
    for call in (5, n_screening, sum(undisturbed.starts_["n_iter"]) + 2):
        interrupted(data, monkeypatch, call, checkpoint=tmp_path / "fit.npz", **SEVERAL_STARTS)
        assert_same_fit(
            fit(make(checkpoint=tmp_path / "fit.npz", **SEVERAL_STARTS), *data), undisturbed, but=["n_evaluations"]
        )


def test_a_warm_start_has_a_checkpoint_too(data, tmp_path, monkeypatch):
    """Naive: iterations counted from the checkpoint and not from the call of `fit` that wrote it."""
    file, first = tmp_path / "fit.npz", {**ONE_START, "warm_start": True, "max_iter": 4}
    undisturbed = fit(fit(make(**first), *data).set_params(max_iter=9), *data)
    model = fit(make(**first), *data).set_params(max_iter=9, checkpoint=file)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            fit(model, *data)
    resumed = fit(make(**{**first, "max_iter": 9}, checkpoint=file), *data)  # in a new process: never fitted
    assert_same_fit(resumed, undisturbed, but=["n_evaluations"])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("y", "the training data"), ("X", "the training data"), ("weight", "the training data"),
        ("X_val", "the validation set"), ("hidden_layer_sizes", "hidden_layer_sizes"), ("alpha", "alpha"),
        ("random_state", "random_state"),
    ],
)  # fmt: skip
def test_the_file_of_another_fit_is_an_error(data, tmp_path, monkeypatch, change, name):
    """Naive: shapes are compared, or nothing: the fit goes on with another network's damping and history."""
    X, y = data
    parameters = {**ONE_START, "checkpoint": tmp_path / "fit.npz"}
    interrupted(data, monkeypatch, 4, **parameters)
    sets = {"X_val": X[:5], "y_val": y[:5]} if change == "X_val" else {}
    if change in ("hidden_layer_sizes", "alpha", "random_state"):
        parameters[change] = 7
    weight = np.full(len(X), 2.0) if change == "weight" else None
    content = (tmp_path / "fit.npz").read_bytes()
    with pytest.raises(ValueError, match=f"(?s)checkpoint=.*belongs to another fit: {name} differ"):
        fit(make(**parameters), X + (change == "X"), y + (change == "y"), weight, **sets)
    assert (tmp_path / "fit.npz").read_bytes() == content


def test_another_budget_is_no_other_fit(data, tmp_path, monkeypatch):
    """Naive: all parameters compared, so that a killed fit cannot be given more iterations."""
    parameters = {**ONE_START, "checkpoint": tmp_path / "fit.npz"}
    interrupted(data, monkeypatch, 4, **parameters)
    assert fit(make(**{**parameters, "max_iter": 6, "n_jobs": 2}), *data).n_iter_ == 6


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps([1]), b"PK\x03\x04 broken"])
def test_a_file_that_is_no_checkpoint_is_an_error(data, tmp_path, content):
    """Naive: an error of zipfile's or JSON's, or a new fit that writes over the file."""
    file = tmp_path / "fit.npz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a checkpoint that this version can read.*Delete the file"):
        fit(make(checkpoint=file), *data)
    assert file.read_bytes() == content


def test_reading_runs_no_code(tmp_path):
    """An archive may hold a pickled object: it is refused and not loaded. Naive: `np.load` with allow_pickle=True."""

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.savez(tmp_path / "fit.npz", content=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        Checkpoint(tmp_path / "fit.npz", {}).load()
    assert not (tmp_path / "exploded").exists()


def test_a_folder_that_does_not_exist_is_named(data, tmp_path):
    """Naive: FileNotFoundError after the first iteration."""
    with pytest.raises(ValueError, match=r"the folder .*nowhere.* does not exist"):
        fit(make(checkpoint=tmp_path / "nowhere" / "fit.npz"), *data)


def test_what_is_written_is_read(rng):
    """Naive: floats in decimal digits of a fixed number, tuples that come back as lists."""
    rows = [{"a": 0.1, "n": 3}, {"a": np.nan, "n": 4}]
    run = RunSnapshot(1, Start("family", rng.normal(size=3)), rows=rows)
    value = [run, Damping(1e-300, 2.0), {2: 1 / 3, "x": None}, np.inf]
    arrays = []
    text = json.dumps(encode(value, arrays))
    again = decode(json.loads(text), arrays)
    assert repr(again[0].rows) == repr(rows)
    np.testing.assert_array_equal(again[0].start.theta, run.start.theta)
    assert again[1:] == value[1:]


def test_a_fingerprint_is_of_values_and_shape():
    """Naive: a hash of the bytes alone, the same for (6,) and (2, 3)."""
    a = np.arange(6.0)
    assert fingerprint([a]) == fingerprint([a.copy()])
    prints = {fingerprint(arrays) for arrays in ([a], [a.reshape(2, 3)], [a, a], [a + 1e-300], [])}
    assert len(prints) == 5


KILLED = """
import os, signal, sys, warnings, zipfile
import numpy as np
from sklearn_lm import LMRegressor
from sklearn_lm._training.history import Monitor

warnings.simplefilter("ignore")
n_members, log = int(sys.argv[1]), open(sys.argv[2], "w")  # of zip files: so many are written, and the next is not
original, report = zipfile.ZipFile.open, Monitor.__call__

def write(self, name, mode="r", *arguments, **options):
    global n_members
    if mode == "w":
        if n_members == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        n_members -= 1
    return original(self, name, mode, *arguments, **options)

def reported(self, record):
    log.write(f"{record.iteration}\\n")
    log.flush()
    return report(self, record)

zipfile.ZipFile.open, Monitor.__call__ = write, reported
x = np.linspace(0, 1, 100)
file = None if sys.argv[3] == "undisturbed" else sys.argv[3]
model = LMRegressor(random_state=0, checkpoint=file, **PARAMETERS)
model.fit(x[:, None], np.column_stack([-x * np.sin(10 * x), np.cos(30 * x)]))
print(sum(network.n_iter_ for network in getattr(model, "estimators_", [model])))
print([W.tobytes().hex() for W in model.coefs_])
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="six processes, of full-size fits")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process cannot be killed so")
@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (8, 8), "n_starts": 1, "max_iter": 60},
        {"alpha": "evidence", "n_starts": 2, "max_iter": 40},  # targets are scaled anew, too
        {"alpha": "evidence", "n_networks": 2, "max_iter": 40},
        {"hidden_layer_sizes": "auto", "n_starts": 1, "max_iter": 8, "alpha": 1e-3},
    ],
    ids=str,
)
def test_a_killed_process_loses_at_most_one_iteration(tmp_path, parameters):
    """SIGKILL in the middle of a write, three times in one fit, and then it ends with the bits of one left alone.

    Naive: a file that is written in place: killed then, it is broken, and the fit is lost. Or one that is written at
    the end of a start, a size or a network.
    """
    (tmp_path / "file").mkdir()
    file, log = tmp_path / "file" / "fit.npz", tmp_path / "log"
    code = KILLED.replace("PARAMETERS", repr(parameters))

    def run(n_members, name):
        arguments = [sys.executable, "-c", code, str(n_members), str(log), str(name)]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
        return ended, [int(line) for line in log.read_text().split()]

    undisturbed, whole = run(-1, "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    n_reported = 0
    for n_members in (247, 301, 403):
        killed, reported = run(n_members, file)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        n_reported += len(reported)
    resumed, reported = run(-1, file)
    # Each process has reported the iteration that was being written when it was killed, and the next one reports once
    # more the last of each start, size or network that it finds in the file: three kills come to 9 at most.
    assert n_reported + len(reported) <= len(whole) + 9
    assert n_reported > 25  # of which many would be lost
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == undisturbed.stdout
    assert not list(file.parent.iterdir())


def test_a_warm_start_of_several_networks_has_no_checkpoint(data, tmp_path):
    """The file does not hold the state of networks that have not begun. Naive: these begin anew, with other bits."""
    model = fit(make(**TWO, warm_start=True), *data).set_params(checkpoint=tmp_path / "fit.npz")
    with pytest.raises(ValueError, match=r"warm_start=True and 2 networks to go on from.*Set checkpoint=None"):
        fit(model, *data)


def test_an_interrupted_fit_of_networks_leaves_no_thread_behind(data, tmp_path, monkeypatch):
    """Naive: joblib's threads, which go on after Ctrl-C, and write the file of the next fit."""
    before = set(threading.enumerate())
    interrupted(
        data, monkeypatch, 9, checkpoint=tmp_path / "fit.npz", **{**TWO, "n_jobs": 2, "max_iter": 2000, "tol": 0}
    )
    assert {thread for thread in threading.enumerate() if "ThreadPool" in thread.name} <= before
