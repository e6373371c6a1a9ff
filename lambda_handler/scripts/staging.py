"""The folder that becomes the package: locked wheels for the function's processor and Python, pruned, and our sources.

Everything comes as a wheel, so nothing is compiled and no Docker is needed, whatever machine this is.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.code_version import LOCK, thin_files
from lambda_handler.scripts.problems import ScriptError

Architecture = Literal["arm64", "x86_64"]

ROOT: Final = Path(__file__).resolve().parents[2]
WHEELS: Final = ROOT / ".tools" / "lambda-wheels"
"""Installed wheels by what they are for; unpruned, made once for each lock."""

FORBIDDEN: Final = (
    *("streamlit", "pandas", "plotly", "sqlmodel", "sqlalchemy", "alembic", "psycopg", "dbos"),
    *("boto3", "botocore", "genai_prices", "pydantic_ai", "dashboard"),
)
"""Never in the package: the runtime has boto3, and the rest is the dashboard's."""

_PLATFORMS: Final[dict[Architecture, str]] = {
    # Amazon Linux 2023 has glibc 2.34; wheels for an older one run on it.
    "arm64": "aarch64-manylinux_2_28",
    "x86_64": "x86_64-manylinux_2_28",
}
_EXCLUDED: Final = ("agent-launcher", "boto3", "botocore", "s3transfer")
_INSTALLERS_NOTES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
_NO_SOURCES: Final = (".*", "__pycache__", "node_modules", "build", "dist", "*.egg-info")
_TESTS: Final = ("google/genai/tests", "certifi/tests")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the package is for.

    Attributes:
        architecture: As Lambda names it.
        python: Such as "3.13".
        plugins: Names of packages, with or without a version, wheels, or folders, each with providers of its own.
    """

    architecture: Architecture
    python: str
    plugins: tuple[str, ...] = ()


def stage(target: Target, folder: Path, *, uv: str) -> None:
    """Makes `folder` anew with everything but the `.pyc` files.

    Raises:
        ScriptError: A wheel cannot be had, or something is in the folder that may not be.
    """
    wheels = installed_wheels(target, uv=uv)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(wheels, folder, ignore=_pruned(wheels))
    # With the lock, so that what the package's version says follows from what is in the package.
    for name in [*thin_files(ROOT), LOCK]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    found = sorted(name for name in FORBIDDEN if (folder / name).exists() or (folder / f"{name}.py").exists())
    if found:
        raise ScriptError(
            f"The package would hold {', '.join(found)}, which has no place in the function. A plug-in given with "
            "--with depends on it: let it depend on what it imports only."
        )


def installed_wheels(target: Target, *, uv: str) -> Path:
    """A folder with the locked wheels and the plug-ins, installed; made if it is not there.

    Raises:
        ScriptError: One of them cannot be had.
    """
    lock = ROOT / LOCK
    key = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    place = WHEELS / f"{target.architecture}-{target.python}-{key}"
    if not place.exists():
        with _new_folder() as made:
            _install(target, made, ["--require-hashes", "--no-deps", "-r", str(lock)], uv=uv)
            _keep(made, place)
    if not target.plugins:
        return place
    # A plug-in in a folder may have changed since, so that this is never kept.
    with_plugins = WHEELS / f"{place.name}-with-plugins"
    shutil.rmtree(with_plugins, ignore_errors=True)
    shutil.copytree(place, with_plugins)
    _install_plugins(target, with_plugins, uv=uv)
    return with_plugins


def _install_plugins(target: Target, folder: Path, *, uv: str) -> None:
    with _new_folder() as notes:
        excluded, pinned = Path(notes, "excluded.txt"), Path(notes, "pinned.txt")
        excluded.write_text("\n".join(_EXCLUDED))
        pinned.write_text("\n".join(_pins(ROOT / LOCK)))
        wanted = [_wheel_of(plugin, Path(notes), uv=uv) for plugin in target.plugins]
        _install(target, folder, ["-c", str(pinned), "--excludes", str(excluded), *wanted], uv=uv)


def _wheel_of(plugin: str, folder: Path, *, uv: str) -> str:
    path = Path(plugin)
    if not path.is_dir():
        if os.sep in plugin and not path.exists():
            raise ScriptError(f"--with {plugin}: there is no such folder or wheel.")
        return str(path.resolve()) if path.exists() else plugin
    # From a copy: build backends leave folders of their own beside the sources.
    source, place = folder / path.resolve().name, folder / f"wheel-{path.resolve().name}"
    shutil.copytree(path, source, ignore=shutil.ignore_patterns(*_NO_SOURCES))
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(place), str(source)]
    _run(command, what=f"the wheel of {plugin}")
    return str(next(place.glob("*.whl")))


def _pins(lock: Path) -> list[str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.rstrip("\\ ") for line in lines if line[:1].isalnum()]


def _install(target: Target, folder: str | Path, options: Sequence[str], *, uv: str) -> None:
    _run(
        [
            *(
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-config",
                "--link-mode",
                "copy",
                "--only-binary",
                ":all:",
            ),
            *("--python-platform", _PLATFORMS[target.architecture], "--python-version", target.python),
            *("--target", str(folder), *options),
        ],
        what=f"the wheels for {target.architecture} and Python {target.python}",
    )


def _run(command: Sequence[str], *, what: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise ScriptError(
            f"uv could not install {what}:\n{said}\nIs a package index reachable from here, and is there a wheel for "
            "this processor and Python? (lambda_handler/requirements.lock is written by: make lock)"
        )


def _new_folder() -> "tempfile.TemporaryDirectory[str]":
    WHEELS.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=WHEELS, ignore_cleanup_errors=True)


def _keep(made: str, place: Path) -> None:
    try:
        Path(made).rename(place)
    except OSError:
        if not place.exists():  # else another process was faster, with the same
            raise


def _pruned(root: Path) -> Callable[[str, list[str]], set[str]]:
    """For copytree: what no import and no vendor's SDK reads. Licences and metadata stay."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        here = Path(folder).relative_to(root)
        out: set[str] = set()
        for name in names:
            path = (here / name).as_posix()
            if (
                name in {"__pycache__", ".lock"}
                or name.endswith((".pyi", ".pyc"))
                or path in _TESTS
                or path == "bin"
                or (here.name.endswith(".dist-info") and name in _INSTALLERS_NOTES)
            ):
                out.add(name)
        return out

    return ignored
