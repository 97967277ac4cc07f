"""Imports lead downward: each package of the source tree imports only from the packages below it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sklearn_lm"
# Packages that a package may import, beside itself. `plot` reads fitted attributes and public methods only.
BELOW = {
    "_kernels": set(),
    "_data": {"_kernels"},
    "_optimize": {"_kernels"},
    "_network": {"_kernels", "_data", "_optimize"},
    "_training": {"_kernels", "_data", "_optimize", "_network"},
    "_uncertainty": {"_kernels", "_data", "_optimize", "_network"},
    "_estimator": {"_kernels", "_data", "_optimize", "_network", "_training", "_uncertainty"},
    "_regressor": {"_kernels", "_data", "_optimize", "_network", "_training", "_uncertainty", "_estimator"},
}


def imported_packages(path: Path) -> set[str]:
    """Return the packages of this project that a file imports, imports inside functions included."""
    *folders, name = path.relative_to(PACKAGE).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folders[: len(folders) + 1 - node.level]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*base, module]).split(".")[0] for module in modules}
    return {package for package in found if package in BELOW} - {folders[0] if folders else name}


@pytest.mark.parametrize("package", BELOW)
def test_imports_lead_downward(package):
    files = [PACKAGE / f"{package}.py"] if package == "_regressor" else sorted((PACKAGE / package).rglob("*.py"))
    assert files
    upward = {path.name: above for path in files if (above := imported_packages(path) - BELOW[package])}
    assert not upward


def test_every_private_module_has_its_layer():
    private = {path.stem for path in PACKAGE.glob("_*") if path.stem not in ("__init__", "__pycache__")}
    assert private == set(BELOW)


@pytest.mark.parametrize("package", ["plot"])
def test_outer_packages_import_no_private_package(package):
    assert not {path.name: found for path in (PACKAGE / package).rglob("*.py") if (found := imported_packages(path))}
