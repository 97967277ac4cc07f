"""The map of the sources in the guide: it names every module, and every import, and all of these lead downward."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "doc" / "source_map.md").read_text(encoding="utf-8")


def arrows() -> dict[str, set[str]]:
    """As the guide has them, in its order."""
    block = MAP.split("```text\n")[1].split("```")[0]
    lines = re.sub(r"\([^)]*\)", "", re.sub(r"\n +", " ", block)).strip().splitlines()
    pairs = [line.split("->") for line in lines]
    return {name.strip(): set(re.findall(r"\b_\w+", to)) for names, to in pairs for name in names.split(",")}


def imports() -> dict[str, set[str]]:
    """As the code has them, those inside functions included."""
    found = {}
    for path in (ROOT / "sklearn_lm").glob("_*.py"):
        froms = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        own = [node for node in froms if node.level]
        names = {node.module for node in own if node.module} | {
            a.name for node in own if not node.module for a in node.names
        }
        found[path.stem] = {name for name in names if re.fullmatch(r"_[a-z]\w*", name)}
    return found


def test_every_module_has_its_line():
    assert not [name for name in imports() if f"`{name}.py`" not in MAP]


@pytest.mark.parametrize("module", sorted(imports()))
def test_arrows_are_the_imports(module):
    assert arrows()[module] == imports()[module]


def test_arrows_lead_downward():
    order = list(arrows())
    upward = [(a, b) for a, to in arrows().items() for b in to if order.index(b) <= order.index(a)]
    assert not upward
