"""`.pyc` files for the function's Python.

Without them its cold start takes more than twice as long, since Lambda's code folder cannot be written. They are of use
to exactly one version, so that an interpreter of that version has to make them.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VARIABLE: Final = "LAMBDA_PYTHON"
"""Names an interpreter to compile with, where none is found."""

_CHECK: Final = "import sys; print('%d.%d' % sys.version_info[:2])"
_COMPILE: Final = (
    "import compileall, py_compile, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, force=True, "
    "stripdir=sys.argv[1], invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, workers=1))"
)
"""Paths below the folder and no times, so that the same sources give the same bytes wherever they were staged. Lambda
looks at neither the source's time nor its content: nothing there can change it."""


def find_interpreter(python: str, *, uv: str) -> str | None:
    """An interpreter of this machine that is Python `python` ("3.13"), and runs; None if there is none."""
    found = subprocess.run(
        [uv, "python", "find", "--quiet", "--no-project", "--no-python-downloads", "--system", python],
        capture_output=True,
        text=True,
        check=False,
    )
    # pyenv's commands on PATH run only the versions that are active in a folder.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [
        os.environ.get(VARIABLE, ""),
        found.stdout.strip(),
        shutil.which(f"python{python}") or "",
        *(str(path) for path in sorted(pyenv.glob(f"versions/{python}.*/bin/python"))),
    ]
    return next((path for path in candidates if path and _version(path) == python), None)


def compile_folder(folder: Path, interpreter: str) -> bool:
    """Compiles every source in the folder, always to the same bytes; False if one could not be compiled."""
    # The order of a set's texts differs from process to process unless it is fixed, and stands in the bytes.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [interpreter, "-S", "-W", "ignore", "-c", _COMPILE, str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def _version(path: str) -> str | None:
    try:
        done = subprocess.run([path, "-I", "-S", "-c", _CHECK], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
