"""What `.ci` decides by itself."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / ".ci"
if not FOLDER.exists():
    pytest.skip("the checkout has it, the sdist has not", allow_module_level=True)


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def advisories():
    return load("advisories")


SKIPPED = {"name": "numba", "skip_reason": "Dependency not found on PyPI and could not be audited"}
SOUND = {"name": "numpy", "version": "2.0.0", "vulns": []}
BROKEN = {"name": "scipy", "version": "1.0.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.8.0"]}]}


@pytest.mark.parametrize("packages", [None, [], [SKIPPED]])
def test_what_could_not_be_fetched_is_not_said_to_be_sound(advisories, packages):
    """Naive: pip-audit's own last line, "No known vulnerabilities found", where it has asked nobody."""
    report = None if packages is None else {"dependencies": packages}
    assert advisories.verdict(report) == (["advisories could not be fetched: not checked"], 0)


def test_a_known_problem_fails(advisories):
    lines, status = advisories.verdict({"dependencies": [SOUND, BROKEN]})
    assert (lines, status) == (["scipy 1.0.0: CVE-1, mended in ['1.8.0']"], 1)


def test_what_was_checked_is_counted(advisories):
    lines, status = advisories.verdict({"dependencies": [SOUND, SKIPPED]})
    assert (lines, status) == (
        ["numba: advisories could not be fetched: not checked", "no advisory for 1 packages"],
        0,
    )


def test_a_file_that_is_not_installed_is_missed(tmp_path):
    """Naive: modules alone are compared, and `py.typed` is not in the wheel."""
    for place, names in {
        "checkout": ["a.py", "py.typed", "b/c.py"],
        "installed": ["a.py", "b/__pycache__/c.pyc"],
    }.items():
        for name in names:
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).touch()
    files = load("installed").files
    assert files(tmp_path / "checkout") - files(tmp_path / "installed") == {Path("py.typed"), Path("b/c.py")}
