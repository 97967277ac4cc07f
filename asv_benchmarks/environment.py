"""The virtual environment of a comparison, and the variables that set the number of threads of its processes."""

import os
import subprocess
import sys
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
    "NPROC",  # the pool of JAX
)  # fmt: skip


def python_of(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def prepare(folder: Path, requirements: Path) -> tuple[Path, list[str]]:
    """Make an environment with the package and its peers; return its interpreter, and a message for each failure.

    `requirements` names the peers, one per line. The package itself must install; a peer may fail, and its column of
    the table shows that.
    """
    python = python_of(folder)
    if not python.exists():
        venv.create(folder, with_pip=True)
    failures = []
    if install(python, "-r", str(requirements)):
        for line in requirements.read_text().splitlines():
            if line and not line.startswith("#") and (error := install(python, line)):
                failures.append(f"{line}: {error}")
    # The checkout is installed again even if its version number has not changed.
    for options in (["-c", str(requirements)], ["--force-reinstall", "--no-deps"]):
        if error := install(python, *options, str(CHECKOUT)):
            raise SystemExit(f"The package cannot be installed: {error}")
    return python, failures


def install(python: Path, *arguments: str) -> str:
    """Call pip; return the last line of its error message, or an empty string."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    return (done.stderr.strip().splitlines() or ["pip failed"])[-1] if done.returncode else ""


def versions(python: Path, packages: list[str]) -> dict[str, str]:
    """Return the installed versions, "-" for packages that are not installed."""
    code = "import sys\nfrom importlib.metadata import *\nfor p in sys.argv[1:]:\n try: print(version(p))\n "
    code += "except PackageNotFoundError: print('-')"
    done = subprocess.run([str(python), "-c", code, *packages], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(packages, done.stdout.split(), strict=True))


def variables(n_threads: int, scratch: str) -> dict[str, str]:
    """Return the environment variables of a worker, with a new folder for numba's cache: compilation is timed."""
    settings = {name: str(n_threads) for name in THREAD_VARIABLES}
    settings |= {"NUMBA_CACHE_DIR": scratch, "PYTHONWARNINGS": "ignore", "JAX_PLATFORMS": "cpu"}
    if n_threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return os.environ | settings
