"""Running other programs: with a time limit, and with what they printed in the error."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandFailed(RuntimeError):
    """A program ended with an error, took too long or does not exist."""


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float = 60,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Returns what a command printed on standard output; CommandFailed otherwise."""
    shown = " ".join(str(part) for part in command)
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, timeout=timeout_s, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"{shown}: {error}") from error
    if done.returncode:
        raise CommandFailed(f"{shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def works(command: Sequence[str | Path], *, timeout_s: float = 30) -> bool:
    """Says whether a command runs. A name on PATH proves little: Ubuntu's `chromium-browser` wants a snap."""
    try:
        run(command, timeout_s=timeout_s)
    except CommandFailed:
        return False
    return True
