"""Known problems of the packages that an installation resolved to: `python .ci/advisories.py REQUIREMENTS`.

REQUIREMENTS is what `pip freeze` wrote. Fails where an advisory is known for one of them. Where advisories cannot be
fetched it says so and goes on: that is no news about the packages.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOT_FETCHED = "advisories could not be fetched: not checked"


def verdict(report: dict[str, Any] | None) -> tuple[list[str], int]:
    """Lines to print and the exit status, from pip-audit's report in JSON; None if it made none."""
    packages = report["dependencies"] if report else []
    checked = [package for package in packages if "skip_reason" not in package]
    if not checked:
        return [NOT_FETCHED], 0
    lines = [f"{package['name']}: {NOT_FETCHED}" for package in packages if "skip_reason" in package]
    problems = [
        f"{package['name']} {package['version']}: {problem['id']}, mended in {problem['fix_versions'] or 'no release'}"
        for package in checked
        for problem in package["vulns"]
    ]
    return [*lines, *(problems or [f"no advisory for {len(checked)} packages"])], int(bool(problems))


def main(requirements: str) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        command = ["pip-audit", "--requirement", requirements, "--no-deps", "--disable-pip", "--format", "json"]
        run = subprocess.run(
            [*command, "--progress-spinner", "off", "--timeout", "30", "--output", path], capture_output=True, text=True
        )
        report = json.loads(path.read_text()) if path.exists() else None
    lines, status = verdict(report)
    if report is None:  # no connection, or something is wrong with the tool
        print(run.stderr.strip()[-500:])
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
