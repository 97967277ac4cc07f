"""Is the package installed whole? `python .ci/installed.py sklearn_lm` in the root of a checkout.

Fails where a file of the checkout is not in the installed package, or a module of that cannot be imported.
"""

import importlib
import pkgutil
import sys
from pathlib import Path


def files(package: Path) -> set[Path]:
    """Return all files of a package, relative to it, without those that running it makes."""
    return {
        path.relative_to(package) for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def main(name: str) -> None:
    """Compare the package of that name in the current folder with the installed one, and import all of its modules."""
    package = importlib.import_module(name)
    if package.__file__ is None or not package.__file__.startswith(sys.prefix):
        sys.exit(f"{name} is imported from {package.__file__}, which is not the installed package")
    missing = files(Path(name)) - files(Path(package.__file__).parent)
    if missing:
        sys.exit(f"not installed: {', '.join(sorted(map(str, missing)))}")
    modules = [module.name for module in pkgutil.walk_packages(package.__path__, f"{name}.")]
    for module in modules:
        importlib.import_module(module)
    print(f"{len(modules)} modules of {name} are imported from {Path(package.__file__).parent}")


if __name__ == "__main__":
    main(sys.argv[1])
