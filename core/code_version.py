"""Which code the function is made of: the same words from a checkout and from the package that was deployed from it.

The package's builder sets it as the function's `AGENT_LAUNCHER_CODE_VERSION`; who invokes the function compares that
with its own, and knows whether what is deployed is what is here.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

VARIABLE: Final = "AGENT_LAUNCHER_CODE_VERSION"
DIGITS: Final = 12

THIN_PART: Final = (
    "core/__init__.py",
    "core/aws_secrets.py",
    "core/code_version.py",
    "core/contract.py",
    "core/errors.py",
    "core/faults.py",
    "core/forks.py",
    "core/interruption.py",
    "core/invocation.py",
    "core/loggers.py",
    "core/providers/*.py",
    "core/redaction.py",
    "core/secret_shapes.py",
    "lambda_handler/*.py",
)
"""What ships to Lambda, as patterns below the folder of `core/`; `thin-part` in pyproject.toml keeps it thin."""

LOCK: Final = "lambda_handler/requirements.lock"
"""The versions of the vendors' SDKs, which are part of what a function does."""

_ROOT: Final = Path(__file__).resolve().parents[1]


def thin_files(root: Path = _ROOT) -> list[str]:
    """The files of the thin part, in order, as paths below `root` with slashes."""
    found = {path.relative_to(root).as_posix() for pattern in THIN_PART for path in root.glob(pattern)}
    return sorted(found)


def code_version(root: Path = _ROOT) -> str:
    """The project's version, a plus sign, and twelve hexadecimal digits of what the sources and the lock say.

    Plug-ins that are packed in, and what is not read on Lambda, change nothing.
    """
    digest = hashlib.sha256()
    for name in [*thin_files(root), LOCK]:
        path = root / name
        # Not there in an installation that left the lock out: it then differs from what is deployed, and says so.
        content = path.read_bytes().replace(b"\r\n", b"\n") if path.exists() else b""
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"{_project_version()}+{digest.hexdigest()[:DIGITS]}"


def _project_version() -> str:
    try:
        return version("agent-launcher")
    except PackageNotFoundError:
        return "0"
