"""
Rows on a Dask cluster
======================

Rows that are distributed over several processes or machines stay there. In each iteration the parameters of the network
are sent to the workers, and sums of products over the rows are returned: some kilobytes, for any number of rows. This
example starts two worker processes on one machine; ``Client("tcp://...")`` connects to an existing cluster.

It needs ``pip install ".[dask,plot]"``.
"""

import time
import warnings
from pathlib import Path

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm import LMRegressor

N_ROWS, N_COLUMNS, N_BLOCKS = 100_000, 8, 4


def peak_memory() -> float:
    """Return the peak memory of this process in MiB, 0 if it is not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def make_rows() -> tuple[da.Array, da.Array]:
    """Return inputs and targets. The seed is part of the graph, so that a lost block can be computed again."""
    rng = da.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(N_ROWS, N_COLUMNS), chunks=(N_ROWS // N_BLOCKS, N_COLUMNS))
    return X, da.sin(3 * X[:, 0] * X[:, 1]) + X[:, 2] ** 2 + X[:, 3] * X[:, 4]


def fit(name: str, X: object, y: object) -> tuple[LMRegressor, float]:
    """Fit for ten iterations; return the model and the median number of rows per second and iteration."""
    model = LMRegressor(hidden_layer_sizes=10, alpha=0.0, n_starts=1, max_iter=10, random_state=0)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten iterations are enough for a measurement
        model.fit(X, y)
    seconds = time.perf_counter() - begin
    speed = N_ROWS / np.median(np.diff(model.history_["time"]))
    rmse = np.sqrt(model.history_["train_mse"][-1])
    print(f"{name:<24}{speed:>12,.0f} rows/s{seconds:>8.1f} s in total{rmse:>10.4f} training error")
    return model, speed


def main() -> None:
    X, y = make_rows()
    in_memory = X.compute(), y.compute()
    fit("in memory, first call", *in_memory)  # compiles the kernels, once per installation
    speeds = {}
    _, speeds["in memory"] = fit("in memory", *in_memory)
    local, speeds["local scheduler"] = fit("Dask's local scheduler", X, y)

    # %%
    # A cluster of two workers
    # ------------------------
    # Without a client Dask computes in this process; with a client the same calls run on the workers. The blocks are
    # the same, and so is the fit, to the last bit.

    # Port 0: any free port.
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        fit("two workers, first call", X, y)
        model, speeds["two workers"] = fit("two workers", X, y)
        same = all(np.array_equal(mine, theirs) for mine, theirs in zip(model.coefs_, local.coefs_, strict=True))
        print(f"\nsame weights as on the local scheduler: {same}")

        # %%
        # Predictions are lazy
        # --------------------
        # They are Dask arrays, which the workers compute on demand. The score returns one number.
        predicted = model.predict(X)
        print(f"predict returns {predicted}")
        print(f"R2 {model.score(X, y):.5f}")
        print(f"peak memory: this process {peak_memory():.0f} MiB, and workers", end=" ")
        print(", ".join(f"{mib:.0f} MiB" for mib in client.run(peak_memory).values()))

    # %%
    # Rows per second
    # ---------------
    figure, ax = plt.subplots(figsize=(7, 3))
    ax.barh(list(speeds), [speed / 1e6 for speed in speeds.values()], color=["0.6", "tab:blue", "tab:orange"])
    ax.invert_yaxis()
    ax.set(xlabel="million rows per second, per iteration", title=f"{N_ROWS:,} rows, a network of 101 parameters")
    figure.tight_layout()

    picture = Path("plot_dask.png").resolve()
    figure.savefig(picture, dpi=150)
    print(f"\npicture saved as {picture}")


if __name__ == "__main__":  # worker processes import this file
    main()
