"""Every example runs alone, from any folder, without a warning, and leaves its picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

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
    output = run(example, tmp_path)
    assert output
    assert (tmp_path / f"{example.stem}.png").stat().st_size > 20_000
    if example.stem == "plot_multimodal":
        assert_is_fitted_closely(output)


def assert_is_fitted_closely(output: str) -> None:
    """The three errors of the summary: a curve of height 1 is met to better than 0.1 percent."""
    assert "681" in output
    table = [line.split() for line in output.splitlines() if line.startswith(("train ", "validation ", "test "))]
    assert [int(row[1]) for row in table] == [700, 200, 100]
    errors = [float(row[2]) for row in table]
    assert max(errors) < 1e-6
