"""
Rows that stay on disk
======================

The rows of a file need not fit into memory: ``numpy.memmap`` shows the file as an array, and ``fit`` and ``predict``
read it in place. Checks, scaling and a held-out block of rows at the end make no copy. Rows saved as float32 take half
the space on disk; they are converted to float64 some thousand at a time. Because they are rounded, their fit has
other iterates and may end with another error.

A few numbers per row (targets, weights) and the workspace of the kernels stay in memory.
"""

import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lm import LMRegressor

N_ROWS, N_COLUMNS, CHUNK = 100_000, 8, 50_000


def own_memory() -> float:
    """Return the memory of this process in MiB without pages of mapped files, 0 if it is not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


class Peak:
    """Largest increase of memory during a `with` block."""

    def __enter__(self) -> "Peak":
        self.before, self.mib, self._done = own_memory(), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.mib = max(self.mib, own_memory() - self.before)

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()


def write(path: Path, dtype: type) -> None:
    """Write the rows in chunks, so that this script does not hold all of them either."""
    rows = np.memmap(path, mode="w+", dtype=dtype, shape=(N_ROWS, N_COLUMNS))
    rng = np.random.default_rng(0)
    for first in range(0, N_ROWS, CHUNK):
        rows[first : first + CHUNK] = rng.uniform(-1, 1, size=(CHUNK, N_COLUMNS))
    rows.flush()


# %%
# The same rows in memory, on disk as float64, and on disk as float32
# -------------------------------------------------------------------

folder = tempfile.TemporaryDirectory()
paths = {"float64 on disk": Path(folder.name) / "rows64.bin", "float32 on disk": Path(folder.name) / "rows32.bin"}
sources: dict[str, np.ndarray] = {}
for (name, path), dtype in zip(paths.items(), (np.float64, np.float32), strict=True):
    write(path, dtype)
    sources[name] = np.memmap(path, mode="r", dtype=dtype, shape=(N_ROWS, N_COLUMNS))
sources = {"in memory": np.array(sources["float64 on disk"])} | sources
X = sources["in memory"]
y = np.sin(3 * X[:, 0] * X[:, 1]) + X[:, 2] ** 2 + X[:, 3] * X[:, 4]

model = LMRegressor(hidden_layer_sizes=10, alpha=0.0, n_starts=1, max_iter=50, tol=5e-2, random_state=0)
model.fit(X, y).predict(X)  # compiles the kernels, once per installation

print(f"{N_ROWS} rows x {N_COLUMNS} columns, {X.nbytes / 2**20:.0f} MiB as float64\n")
print(f"{'rows':<18}{'rows/s, iteration':>20}{'peak memory':>14}{'error':>10}")
speeds = {}
for name, rows in sources.items():
    with Peak() as peak:
        begin = time.perf_counter()
        model.fit(rows, y)
        seconds = (time.perf_counter() - begin) / max(1, model.n_iter_)
        model.predict(rows)
    speeds[name] = N_ROWS / seconds
    error = np.sqrt(model.history_["train_mse"][-1])
    print(f"{name:<18}{speeds[name]:>20,.0f}{peak.mib:>10.0f} MiB{error:>10.4f}")

# %%
# Rows per second
# ---------------
# The time is that of the whole fit, with reading and checks, divided by the number of iterations.

figure, ax = plt.subplots(figsize=(7, 3))
ax.barh(list(speeds), [speed / 1e6 for speed in speeds.values()], color=["0.6", "tab:blue", "tab:orange"])
ax.invert_yaxis()
ax.set(xlabel="million rows per second, per iteration", title=f"{N_ROWS:,} rows, a network of 101 parameters")
figure.tight_layout()

picture = Path("plot_memmap.png").resolve()
figure.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")

sources.clear()
del rows
folder.cleanup()
