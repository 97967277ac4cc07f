"""Every snippet of the README, the user guide and the docstrings runs as it stands."""

import doctest
import re
from pathlib import Path

import pytest

import sklearn_lm._regressor

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md"))]


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_snippets_run(page, tmp_path, monkeypatch):
    """In order, each page in a namespace of its own."""
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for number, snippet in enumerate(snippets(page), start=1):
        exec(compile(snippet, f"{page.name}, snippet {number}", "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_docstring_examples():
    result = doctest.testmod(sklearn_lm._regressor)
    assert result.attempted > 0
    assert result.failed == 0


def test_readme_is_one_screen_with_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 60
    assert len(re.findall(r"^```sh$", readme, re.MULTILINE)) == 2
