"""Chromium: the machine's own, else Playwright's, kept in `.tools` of the checkout."""

import os
import shutil
from pathlib import Path

from tests.support.commands import works
from tests.support.environment import ROOT

PLAYWRIGHT_BROWSERS = ROOT / ".tools" / "browsers"
"""Where `provision` puts Playwright's browser: HOME is another one during the tests."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
_PLAYWRIGHT_PATTERNS = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)

LAUNCH_FLAGS = (
    "--no-sandbox",  # needs privileges that containers do not give
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",  # /dev/shm is tiny in containers
    # Whatever a page asks for, only this machine is there to answer.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


def find_chromium() -> Path | None:
    """Returns a Chromium that runs, or None."""
    named = os.environ.get("CHROMIUM")
    on_path = (shutil.which(name) for name in _NAMES)
    installed = (str(path) for pattern in _PLAYWRIGHT_PATTERNS for path in PLAYWRIGHT_BROWSERS.glob(pattern))
    for candidate in (named, *on_path, *_PLACES, *installed):
        if candidate and Path(candidate).exists() and works([candidate, "--version", "--no-sandbox"]):
            return Path(candidate)
    return None
