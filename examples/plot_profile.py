"""
Where a fit spends its time
===========================

An iteration of Levenberg-Marquardt has three parts. It forms the gradient and the Gram matrix :math:`J^T J` at an
accepted point, factors the damped matrix and solves for a step, and evaluates the objective at the trial point. Which
part takes longest depends on the numbers of rows and parameters.

There are two ways to measure it. ``history_`` has the seconds of each part in each iteration. A second thread samples
the Python stack of the fit a thousand times a second; the samples are drawn as a flame graph, and saved for
`speedscope <https://www.speedscope.app>`_. Both need the standard library only.

A compiled kernel is one frame to Python. It releases the interpreter's lock, so the second thread continues to sample
while the kernel runs, and finds the line that called it. The functions inside a kernel are visible only to a profiler
with native frames, such as ``py-spy record --native``.

The folder for the speedscope file is an argument of the command line; the default is a temporary folder.
"""

import json
import linecache
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from sklearn_lm import LMRegressor

# %%
# A thread that samples the stack of another thread
# -------------------------------------------------
# The weight of a sample is the time since the previous sample, so the weights add up to the total time.


class Frame(NamedTuple):
    """A box of the flame graph: a function or, at the top of a stack, the source line that it executes."""

    name: str
    module: str
    line: int


Stack = tuple[Frame, ...]


def stack_of(frame: FrameType | None) -> Stack:
    """Return the frames from `LMRegressor.fit` to the line that is executed; empty if there is no fit."""
    if frame is None:
        return ()
    source = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    stack = [Frame(source, frame.f_globals["__name__"], frame.f_lineno)]
    while frame is not None:
        code = frame.f_code
        stack.append(Frame(code.co_qualname, frame.f_globals["__name__"], code.co_firstlineno))
        frame = frame.f_back
    return tuple(dropwhile(lambda entry: entry.name != "LMRegressor.fit", reversed(stack)))


class Sampler(threading.Thread):
    """Collector of the stacks of the thread that entered its `with` block."""

    def __init__(self, interval: float = 0.001):
        super().__init__(daemon=True)
        self.interval = interval
        self.watched = threading.get_ident()
        self.done = threading.Event()
        self.samples: list[tuple[Stack, float]] = []

    def run(self) -> None:
        previous = time.perf_counter()
        while not self.done.wait(self.interval):
            stack = stack_of(sys._current_frames().get(self.watched))
            now = time.perf_counter()
            if stack:
                self.samples.append((stack, now - previous))
            previous = now

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.done.set()
        self.join()


# %%
# The fit
# -------
# It runs twice: the first run compiles the kernels, or loads them from the cache.

x = np.linspace(0.001, 1.0, 1000)
X, y = x.reshape(-1, 1), -x * np.sin(10 * x)
model = LMRegressor(hidden_layer_sizes=(20, 20, 10), alpha=0.0, goal=1e-12, max_iter=500, random_state=0).fit(X, y)

with Sampler() as sampler:
    model.fit(X, y)
samples = sampler.samples

# %%
# Seconds by phase
# ----------------
# The table shows the times that the fit measured and the share of the samples. The rest is Python between the kernels.


class Phase(NamedTuple):
    title: str
    color: str  # from Okabe and Ito's palette, which can be distinguished with any kind of colour vision
    ink: str  # color of text on it
    functions: tuple[str, ...]  # a stack through one of them belongs to the phase


phases = {
    "time_jacobian": Phase("gradient and Gram matrix", "#0072B2", "white", ("linearize",)),
    "time_solve": Phase("factor and solve", "#E69F00", "black", ("damped_step",)),
    "time_evaluate": Phase("evaluate trial points", "#009E73", "white", ("_evaluate",)),
}
REST = Phase("the rest", "0.85", "black", ())


def phase_of(stack: Stack) -> Phase:
    """Return the phase of the outermost function that belongs to one."""
    names = [entry.name.split(".")[-1] for entry in stack]
    return next((phase for name in names for phase in phases.values() if name in phase.functions), REST)


history = model.history_
seconds = {phase: history[column] for column, phase in phases.items()}
seconds[REST] = np.maximum(np.diff(history["time"], prepend=0.0) - sum(seconds.values()), 0.0)
sampled = {phase: sum(weight for stack, weight in samples if phase_of(stack) is phase) for phase in seconds}
total, total_sampled = sum(part.sum() for part in seconds.values()), sum(sampled.values())

n_parameters = sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True))
print(f"{len(X)} rows, {n_parameters} parameters, {model.n_iter_} iterations\n")
print(f"{'phase':<26}{'seconds':>9}{'share':>8}{'in samples':>12}")
for phase, part in seconds.items():
    print(
        f"{phase.title:<26}{part.sum():>9.3f}{100 * part.sum() / total:>6.0f} %"
        f"{100 * sampled[phase] / total_sampled:>10.0f} %"
    )
print(f"{'total':<26}{total:>9.3f}\n")

# %%
# A file for speedscope
# ---------------------
# A sample is a list of frames, outermost first, given by their numbers in a table of frames.


def speedscope(samples: list[tuple[Stack, float]], name: str) -> dict:
    """Return the samples in the file format of speedscope."""
    numbers: dict[Frame, int] = {}
    stacks = [[numbers.setdefault(entry, len(numbers)) for entry in stack] for stack, _ in samples]
    weights = [weight for _, weight in samples]
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "sklearn-lm plot_profile",
        "shared": {"frames": [{"name": f.name, "file": f.module, "line": f.line} for f in numbers]},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "seconds",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": stacks,
                "weights": weights,
            }
        ],
    }


folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
folder.mkdir(parents=True, exist_ok=True)
file = folder / "fit.speedscope.json"
file.write_text(json.dumps(speedscope(samples, "LMRegressor.fit")))
print(f"{len(samples)} samples saved as {file}")
print("Open it at https://www.speedscope.app (it stays on your machine). For native frames instead:")
print("    py-spy record --native --format speedscope --output fit.speedscope.json -- python your_script.py")

# %%
# The picture
# -----------
# In the flame graph a box is a function, its width the time in which it was on the stack, and the boxes above it are
# the functions that it called. Equal stacks are merged, so the horizontal axis is a duration, not the time of the run.


@dataclass
class Box:
    """A function with all functions that it called."""

    seconds: float = 0.0
    callees: dict[Frame, "Box"] = field(default_factory=dict)


root = Box()
for stack, weight in samples:
    box = root
    for entry in stack:
        box = box.callees.setdefault(entry, Box())
        box.seconds += weight

figure, (upper, lower) = plt.subplots(2, 1, figsize=(11, 8.5), height_ratios=[1, 1.8], layout="constrained")

iterations = np.arange(model.n_iter_ + 1)
floor = np.zeros(len(iterations))
for phase, part in seconds.items():
    upper.bar(iterations, 1e3 * part, bottom=floor, width=0.85, color=phase.color, label=phase.title)
    floor += 1e3 * part
upper.set(
    title="Phases of every iteration",
    xlabel="iteration (0: the start)",
    ylabel="time (ms)",
    xlim=(-0.6, model.n_iter_ + 0.6),
    ylim=(0, 1.2 * floor.max()),
)
upper.xaxis.set_major_locator(MaxNLocator(integer=True))
upper.legend(loc="upper center", ncols=len(seconds), frameon=False)


def draw(box: Box, stack: Stack, left: float) -> int:
    """Draw the callees of a box from `left` on, except those too narrow to be seen; return the height of the stack."""
    height = len(stack)
    for entry, callee in sorted(box.callees.items(), key=lambda item: -item[1].seconds):
        if callee.seconds > total_sampled / 1000:
            phase = phase_of((*stack, entry))
            place = {"left": left, "align": "edge", "height": 1, "edgecolor": "white"}
            lower.barh(len(stack), callee.seconds, color=phase.color, **place)
            write(entry.name, left, callee.seconds, len(stack), phase.ink)
            height = max(height, draw(callee, (*stack, entry), left))
        left += callee.seconds
    return height


def write(name: str, left: float, width: float, level: int, ink: str) -> None:
    """Write the name into its box, shortened to the width; a box for less than four letters stays empty."""
    (start, _), (end, _) = lower.transData.transform([(left, 0), (left + width, 0)])
    name = name.replace(".<locals>", "").removeprefix("return ")
    text = lower.text(left + width / 2, level + 0.5, name, color=ink, size=8, ha="center", va="center")
    for n in range(len(name) - 1, 2, -1):
        if text.get_window_extent().width < end - start - 6:
            return
        text.set_text(name[:n] + "…")
    text.remove()


lower.set(
    title="Flame graph: functions on the stack, and the time they spend there",
    xlabel=f"time (s), {len(samples)} samples",
    ylabel="nested calls",
    xlim=(0, total_sampled),
    ylim=(0, max(len(stack) for stack, _ in samples)),
)
lower.yaxis.set_major_locator(MaxNLocator(integer=True))
lower.spines[["top", "right"]].set_visible(False)
upper.spines[["top", "right"]].set_visible(False)
figure.draw_without_rendering()  # fixes the layout: the length of a name depends on the width of its box
lower.set_ylim(0, draw(root, (), 0.0))

picture = Path("plot_profile.png").resolve()
figure.savefig(picture, dpi=150)
print(f"picture saved as {picture}")
