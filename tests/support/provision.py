"""Finds or installs what the tests need beside Python packages: `python -m tests.support.provision`.

Run by `make test`; quick when everything is there. What cannot be had is reported with its remedy, and the
tests that need it say so again, as skipped, or as failed where `CI=true`.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.aimock_server import Aimock
from tests.support.chromium import PLAYWRIGHT_BROWSERS, find_chromium
from tests.support.commands import CommandFailed, run
from tests.support.node import find_node

_INSTALL_TIMEOUT_S = 900


def say(text: str) -> None:
    """Prints a line at once, so that a slow download has its reason above it."""
    sys.stdout.write(f"tests need: {text}\n")
    sys.stdout.flush()


def chromium(
    find: Callable[[], Path | None] = find_chromium,
    installers: Mapping[str, Callable[[], None]] | None = None,
) -> Path | None:
    """Returns a Chromium that runs, or None; asks each installer for one until it is there.

    Args:
        find: looks for it, each time anew.
        installers: what to try, by the name of who provides it; CommandFailed says why it could not.
    """
    if installers is None:
        installers = {"Playwright": _install_by_playwright, "the distribution": _install_by_apt}
    path = find()
    for name, install in installers.items():
        if path is not None:
            break
        say(f"Chromium is not here; asking {name} for it")
        try:
            install()
        except CommandFailed as error:
            say(_shortened(str(error)))
        path = find()
    return path


def _shortened(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n    ".join([first, *rest[-4:]])


def _install_by_playwright() -> None:
    environment = {**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(PLAYWRIGHT_BROWSERS)}
    command = [sys.executable, "-m", "playwright", "install"]
    if _may_install_packages():
        command.append("--with-deps")  # the libraries that the browser is linked with
    run([*command, "--no-shell", "chromium"], timeout_s=_INSTALL_TIMEOUT_S, environment=environment)


def _install_by_apt() -> None:
    if not _may_install_packages():
        raise CommandFailed(
            "not root, or no apt-get: the distribution's package cannot be installed from here"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], timeout_s=_INSTALL_TIMEOUT_S, environment=environment)
    run(
        ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"],
        timeout_s=_INSTALL_TIMEOUT_S,
        environment=environment,
    )


def _may_install_packages() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def aimock() -> str | None:
    """Installs the pinned vendor stand-in and returns what runs it, or None."""
    node = find_node()
    if node is None:
        return None
    if not Aimock.is_installed():
        say("installing aimock")
        try:
            Aimock.install(node)
        except CommandFailed as error:
            say(_shortened(str(error)))
            return None
    return f"aimock on Node {node.version} from {node.origin}"


def main() -> None:
    """Reports one line for each need."""
    needs: tuple[tuple[str, Callable[[], object], str], ...] = (
        ("Chromium", chromium, "install it with the system's package manager, or set CHROMIUM=/path/to/it"),
        ("aimock", aimock, "install Node 20.15 or newer, and see that an npm registry is reachable"),
    )
    for name, find, remedy in needs:
        found = find()
        say(f"{name}: {found}" if found else f"{name} is missing: {remedy}")


if __name__ == "__main__":
    main()
