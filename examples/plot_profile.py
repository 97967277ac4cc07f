"""
Where a fit spends its time
===========================

An iteration of Levenberg-Marquardt has three parts. At an accepted point it forms the gradient and the Gram matrix
:math:`J^T J`. It factors the damped matrix and solves for a step. It evaluates the objective where the step leads.
Which of them takes longest depends on rows and parameters.

Two instruments show it. ``history_`` has the seconds of each part, iteration by iteration. A second thread looks at
the Python stack of the fit a thousand times a second; what it sees is drawn as a flame graph, and saved for
`speedscope <https://www.speedscope.app>`_. Both need the standard library only.

A compiled kernel is one frame to Python. It releases the interpreter's lock, so the second thread goes on looking
while it runs, and sees the line that called it. What happens inside the kernel only a profiler with native frames can
tell, such as ``py-spy record --native``.

The folder for the speedscope file is an argument of the command line, or else a temporary one.
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
# A thread that looks at another one
# ----------------------------------
# The weight of a sample is the time since the sample before, so the weights add up to the whole.


class Frame(NamedTuple):
    """A line of a flame graph: a function, or at the very top the source line it is at."""

    name: str
    module: str
    line: int


Stack = tuple[Frame, ...]


def stack_of(frame: FrameType | None) -> Stack:
    """From `LMRegressor.fit` to the line that is being run; empty where there is no fit."""
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
    """In a `with` block, collects stacks of the thread that entered it."""

    def __init__(self, interval: float = 0.001):
        super().__init__(daemon=True)
        self.interval = interval
        self.watched = threading.get_ident()
        self.done = threading.Event()
        self.samples: list[tuple[Stack, float]] = []

    def run(self) -> None:
        before = time.perf_counter()
        while not self.done.wait(self.interval):
            stack = stack_of(sys._current_frames().get(self.watched))
            now = time.perf_counter()
            if stack:
                self.samples.append((stack, now - before))
            before = now

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.done.set()
        self.join()


# %%
# The fit
# -------
# It is done twice: the first time loads the compiled kernels, or compiles them.

x = np.linspace(0.001, 1.0, 1000)
X, y = x.reshape(-1, 1), -x * np.sin(10 * x)
model = LMRegressor(hidden_layer_sizes=(20, 20, 10), alpha=0.0, goal=1e-12, max_iter=500, random_state=0).fit(X, y)

with Sampler() as sampler:
    model.fit(X, y)
samples = sampler.samples

# %%
# Seconds by phase
# ----------------
# By the fit's own clock and by the samples. What is left is Python between the kernels.


class Phase(NamedTuple):
    title: str
    color: str  # Okabe and Ito's palette: told apart with any kind of colour vision
    ink: str  # of letters on it
    functions: tuple[str, ...]  # a stack through one of them belongs to the phase


phases = {
    "time_jacobian": Phase("gradient and Gram matrix", "#0072B2", "white", ("linearize",)),
    "time_solve": Phase("factor and solve", "#E69F00", "black", ("damped_step",)),
    "time_evaluate": Phase("evaluate trial points", "#009E73", "white", ("cost", "solve_output", "_bend")),
}
REST = Phase("the rest", "0.85", "black", ())


def phase_of(stack: Stack) -> Phase:
    """That of the outermost function that belongs to one."""
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
# A sample is a list of frames, outermost first. The frames stand in a table of their own.


def speedscope(samples: list[tuple[Stack, float]], name: str) -> dict:
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
# In the flame graph a box is a function, its width the time in which it was on the stack, and what stands on it was
# called by it. Equal stacks are put together, so its horizontal axis is a duration and not a time of day.


@dataclass
class Box:
    """A function with all that it called."""

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
    """What stands on a box, from `left` on. Returns how high it rises. What is too thin to be seen is left out."""
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
    """The name in its box, cut where it is too long. Less than four letters would say nothing."""
    (start, _), (end, _) = lower.transData.transform([(left, 0), (left + width, 0)])
    name = name.replace(".<locals>", "").removeprefix("return ")
    text = lower.text(left + width / 2, level + 0.5, name, color=ink, size=8, ha="center", va="center")
    for n in range(len(name) - 1, 2, -1):
        if text.get_window_extent().width < end - start - 6:
            return
        text.set_text(name[:n] + "…")
    text.remove()


lower.set(
    title="Flame graph: what is on the stack, and for how long",
    xlabel=f"time (s), {len(samples)} samples",
    ylabel="nested calls",
    xlim=(0, total_sampled),
    ylim=(0, max(len(stack) for stack, _ in samples)),
)
lower.yaxis.set_major_locator(MaxNLocator(integer=True))
lower.spines[["top", "right"]].set_visible(False)
upper.spines[["top", "right"]].set_visible(False)
figure.draw_without_rendering()  # settles the layout, on which it depends what fits into a box
lower.set_ylim(0, draw(root, (), 0.0))

picture = Path("plot_profile.png").resolve()
figure.savefig(picture, dpi=150)
print(f"picture saved as {picture}")
