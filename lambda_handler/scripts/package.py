"""Builds what is deployed to AWS Lambda: `make lambda-package`, or `python -m lambda_handler.scripts.package --help`.

Makes `build/lambda/<architecture>/` (a folder as it stands in Lambda's /var/task), `build/lambda/function.zip` (what
template.yaml deploys) and `build/lambda/function.json` (what is in it). The same sources give the same bytes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, get_args

from core.code_version import code_version
from lambda_handler.scripts.archive import files_in, write_zip
from lambda_handler.scripts.bytecode import VARIABLE, compile_folder, find_interpreter
from lambda_handler.scripts.problems import ScriptError
from lambda_handler.scripts.staging import ROOT, Architecture, Target, installed_wheels, stage

BUILD: Final = ROOT / "build" / "lambda"
MAX_UNZIPPED_BYTES: Final = 95 * 1024 * 1024
"""Ours; Lambda's own limit is 250 MB, layers included. Plug-ins have what is left of Lambda's."""
MAX_WITH_PLUGINS_BYTES: Final = 250 * 1000 * 1000
PYTHONS: Final = ("3.12", "3.13", "3.14")
"""Lambda's Python runtimes that are supported for years to come."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """What was built.

    Attributes:
        sha256: Of the archive.
        bytecode: Whether it has `.pyc` files.
        unzipped_bytes, zipped_bytes: Its size.
    """

    architecture: str
    python: str
    code_version: str
    sha256: str
    bytecode: bool
    files: int
    unzipped_bytes: int
    zipped_bytes: int
    plugins: tuple[str, ...]


def build(target: Target, *, uv: str, folder: Path, archive: Path) -> Package:
    """Stages, compiles and packs.

    Raises:
        ScriptError: It could not be built, or is too large.
    """
    stage(target, folder, uv=uv)
    interpreter = find_interpreter(target.python, uv=uv)
    if interpreter is None:
        say(
            f"no Python {target.python} was found, so the package has no .pyc files and a cold start takes more than "
            f"twice as long. To have them: uv python install {target.python}, or {VARIABLE}=/path/to/python, then "
            "build again."
        )
    elif not compile_folder(folder, interpreter):
        raise ScriptError(f"{interpreter} could not compile the package: see above.")
    files = files_in(folder)
    size = sum(path.stat().st_size for path in files)
    limit = MAX_WITH_PLUGINS_BYTES if target.plugins else MAX_UNZIPPED_BYTES
    if size > limit:
        raise ScriptError(
            f"The package has {size / 2**20:.1f} MB unzipped; the limit is {limit / 2**20:.0f} MB. Look for what grew: "
            f"du -sm {folder}/* | sort -n"
        )
    return Package(
        architecture=target.architecture,
        python=target.python,
        code_version=code_version(folder),
        sha256=write_zip(folder, archive),
        bytecode=interpreter is not None,
        files=len(files),
        unzipped_bytes=size,
        zipped_bytes=archive.stat().st_size,
        plugins=target.plugins,
    )


def say(text: str) -> None:
    """To a person, beside what a program reads."""
    sys.stderr.write(f"lambda-package: {text}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="lambda-package", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument(
        "--arch", choices=get_args(Architecture), default="arm64", help="default: arm64, the cheaper"
    )
    parser.add_argument("--python", choices=PYTHONS, default="3.13", help="of the runtime; default: 3.13")
    parser.add_argument(
        "--with",
        dest="plugins",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package with providers to pack in: its name, its wheel or its folder; can be given again",
    )
    parser.add_argument("--output", type=Path, default=BUILD, help="a folder; default: build/lambda")
    parser.add_argument(
        "--wheels-only",
        action="store_true",
        help="only fetch what building and its tests need, for later without a network",
    )
    parser.add_argument("--uv", default="uv", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    output: Path = options.output
    target = Target(architecture=options.arch, python=options.python, plugins=tuple(options.plugins))
    archive = output / "function.zip"
    try:
        if options.wheels_only:
            for each in _of_the_tests(target):
                installed_wheels(each, uv=options.uv)
            return 0
        package = build(target, uv=options.uv, folder=output / target.architecture, archive=archive)
    except ScriptError as error:
        say(f"error: {error}")
        return 1
    (output / "function.json").write_text(json.dumps(asdict(package), indent=2) + "\n", encoding="utf-8")
    say(
        f"{archive}: {package.architecture}, Python {package.python}, code {package.code_version}, "
        f"{package.unzipped_bytes / 2**20:.1f} MB unzipped, {package.zipped_bytes / 2**20:.1f} MB zipped"
    )
    sys.stdout.write(f"{package.sha256}  {archive.name}\n")
    return 0


def _of_the_tests(target: Target) -> list[Target]:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    pythons = dict.fromkeys((target.python, here))
    return [Target(architecture=name, python=python) for name in get_args(Architecture) for python in pythons]


if __name__ == "__main__":
    sys.exit(main())
