"""The example of a package that adds a provider, built and installed as its user would, but into a folder of its own.

Installed into the environment of the tests, it would appear in every one of them. A process sees it whose PYTHONPATH
names the folder.
"""

import os
import re
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

from tests.support.commands import run
from tests.support.environment import GUARD_FOLDER, ROOT

EXAMPLE = ROOT / "docs" / "examples" / "agent-launcher-cohere"

leave_out_what_is_built = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
"""For `shutil.copytree`: whoever installs the example from its folder, as its page says, leaves these there."""

_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def install(folder: Path) -> Path:
    """Builds the wheel in a copy of the example, with the locked backend, and unpacks it; returns where to.

    Its one entry point is data and all of it is Python, so unpacking is what an installer would do.
    """
    source, wheels, site = folder / "source", folder / "wheels", folder / "site"
    shutil.copytree(EXAMPLE, source, ignore=leave_out_what_is_built)
    run([sys.executable, "-c", _BUILD, wheels], cwd=source, timeout_s=120)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def environment_with(*folders: Path) -> dict[str, str]:
    """This process's environment with these on the path of a child, which stays on this machine like its parent."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, GUARD_FOLDER)))}


def commands_of(page: str) -> list[list[str]]:
    """The commands of a page's `sh` blocks as words, with the example in place of `$PACKAGE`."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```$", page)
    lines = "".join(blocks).replace("$PACKAGE", str(EXAMPLE)).splitlines()
    return [shlex.split(line) for line in lines]
