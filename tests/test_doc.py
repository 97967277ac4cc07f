"""Snippets of the README and the user guide run as they stand and print what the page shows; links are valid.

A ```python block may be followed by a ```text block: its output. Below `<!-- numbers differ -->` numbers are not
compared, for seconds. A snippet whose first line is "# scikit-learn >= 1.9" runs from this version on.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import sklearn_lm
from sklearn_lm._optimize.termination import Ending

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md"))]
SNIPPET = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n(?P<mask><!-- numbers differ -->\n)?```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"-?\d+(\.\d*)?(e[+-]?\d+)?")


class Snippet(NamedTuple):
    """Code of a page, and the output that the page shows below it."""

    line: int
    code: str
    output: str
    is_masked: bool  # numbers are not compared

    @property
    def is_supported(self) -> bool:
        """Return whether the installed scikit-learn is new enough."""
        version = re.match(r"# scikit-learn >= ([\d.]+)\n", self.code)
        return version is None or parse_version(sklearn.__version__) >= parse_version(version[1])

    def normalised(self, printed: str) -> list[str]:
        """Return lines without trailing blanks; for masked output without numbers and without widths of columns."""
        text = re.sub(r" +", " ", NUMBER.sub("0", printed)) if self.is_masked else printed
        return [line.rstrip() for line in text.rstrip().splitlines()]


def snippets(page: Path) -> list[Snippet]:
    """Return the snippets of a page in order."""
    text = page.read_text()
    return [
        Snippet(text.count("\n", 0, m.start()) + 2, m["code"], m["output"] or "", m["mask"] is not None)
        for m in SNIPPET.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_snippets_print_what_the_page_shows(page, tmp_path, monkeypatch, capsys):
    """Run the snippets in order, each page in a namespace of its own."""
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for snippet in snippets(page):
        if not snippet.is_supported:
            continue
        code = "\n" * (snippet.line - 1) + snippet.code  # so that a traceback names the line of the page
        exec(compile(code, str(page), "exec"), namespace)
        printed = capsys.readouterr().out
        assert snippet.normalised(printed) == snippet.normalised(snippet.output), f"{page.name}:{snippet.line}"


def test_snippets_are_found():
    assert len(snippets(ROOT / "doc" / "getting_started.md")) > 5
    assert any(snippet.output for snippet in snippets(ROOT / "README.md"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_links_are_valid(page):
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_readme_is_one_screen_with_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 60
    assert len(re.findall(r"^```sh$", readme, re.MULTILINE)) == 2


def test_every_module_is_in_the_source_map():
    """Each file once under its package, and no file that is not there."""
    package, text = ROOT / "sklearn_lm", (ROOT / "doc" / "source_map.md").read_text()
    listed, folder = [], ""
    for line in re.findall(r"^\| (.*) \|$", text, re.MULTILINE):
        heading = re.match(r"(Public|`(\w+/)`) \| Content", line)
        if heading:
            folder = heading[2] or ""
        else:
            listed += [folder + name for name in re.findall(r"`(\w+\.py)`", line.split(" | ")[0])]
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    modules = {name for name in modules if not name.endswith("/__init__.py") or name == "_kernels/__init__.py"}
    assert set(listed) ^ modules == set()
    assert len(listed) == len(modules)


def test_every_stopping_reason_is_in_the_guide():
    text = (ROOT / "doc" / "algorithm.md").read_text()
    assert not [ending.sentence for ending in Ending if f"| {ending.sentence} |" not in text]


def test_every_display_is_in_the_guide():
    text = (ROOT / "doc" / "plots.md").read_text()
    displays = [name for name in sklearn_lm.__all__ if name.endswith("Display")]
    assert displays
    assert not [name for name in displays if f"| `{name}` |" not in text]
