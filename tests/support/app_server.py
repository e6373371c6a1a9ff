"""The product as an operator starts it: `agent-launcher up`, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from tests.support.guard import loopback_only

COMMAND = Path(sys.executable).parent / "agent-launcher"


class AppServer:
    """One installation: a folder with its data, and a server process to start, kill and start again.

    The process gets the tests' cleaned environment and the loopback guard, and a folder without `.env`.
    """

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        """Starts nothing yet.

        Args:
            folder: an empty folder of the test's.
            environment: more variables, DATABASE_URL for example.
            options: more options for `agent-launcher up`.
        """
        self.folder = folder
        self.data_dir = folder / "data"
        self.log_file = folder / "server.log"
        self.refused_file = folder / "refused.log"
        self.environment = {
            **os.environ,
            "AGENT_LAUNCHER_DATA_DIR": str(self.data_dir),
            loopback_only.LOG_VARIABLE: str(self.refused_file),
            **(environment or {}),
        }
        self.options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None

    @cached_property
    def port(self) -> int:
        """Where it listens, over all its starts; chosen when first asked for, before anybody else takes it."""
        return free_port()

    @property
    def url(self) -> str:
        """The dashboard's address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id, which is also its process group."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it printed so far, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def refused(self) -> list[str]:
        """What it tried to reach beyond loopback, as "pid event host"."""
        return self.refused_file.read_text().splitlines() if self.refused_file.exists() else []

    def start(self, *, timeout_s: float = 120) -> Self:
        """Starts the server and returns when it answers; RuntimeError with its log when it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [COMMAND, "up", "--host", "127.0.0.1", "--port", str(self.port), *self.options],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                self._process = None
                raise RuntimeError(f"the server ended with {code} before it answered:\n{self.log}")
            if self.answers():
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server did not answer within {timeout_s} s:\n{self.log}")

    def answers(self, path: str = "/_stcore/health") -> bool:
        """Says whether a path gives status 200 now."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def stop(self, *, timeout_s: float = 60) -> int:
        """Asks the server to end, as Ctrl-C does; returns its exit code. RuntimeError: it did not end."""
        if self._process is None:
            return 0
        process = self._process
        self._signal(signal.SIGINT)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the server did not end within {timeout_s} s:\n{self.log}") from None
        self._signal(signal.SIGKILL)  # whatever it started and left behind
        self._process = None
        return code

    def kill(self) -> None:
        """Ends the server and its children with SIGKILL, as the kernel does when memory runs out."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # all of them have ended

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """Returns a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
