"""Every example runs alone, from any folder, without a warning, and leaves its picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def run(example: Path, folder: Path) -> str:
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_saves_its_picture(example, tmp_path):
    assert run(example, tmp_path)
    assert (tmp_path / f"{example.stem}.png").stat().st_size > 20_000


def test_main_job_cannot_be_told_from_the_data(tmp_path):
    """The summary's three errors: a curve of height 1 is met to better than 0.1 percent."""
    output = run(next(path for path in EXAMPLES if path.stem == "plot_multimodal"), tmp_path)
    assert "681" in output
    table = [line.split() for line in output.splitlines() if line.startswith(("train ", "validation ", "test "))]
    assert [int(row[1]) for row in table] == [700, 200, 100]
    errors = [float(row[2]) for row in table]
    assert max(errors) < 1e-6
