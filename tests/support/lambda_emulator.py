"""AWS Lambda on this machine: the real Runtime Interface Emulator and the real runtime client, with our handler.

    emulator = make_lambda_emulator()            # the fixture; started
    client = boto3.client("lambda", endpoint_url=emulator.url, region_name="us-east-1")
    client.invoke(FunctionName=emulator.function_name, Payload=...)
    emulator.kill(); emulator.start()            # at the same address

What the emulator does not do, which Lambda does: a `FunctionError`, a log tail, an alias or a version, a time-out as
an error (it answers plain text). It works on ONE call at a time, and ends when a second one comes meanwhile.
"""

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.support.app_server import free_port
from tests.support.environment import ROOT
from tests.support.lambda_settings import lambda_variables

FUNCTION_NAME: Final = "function"
HANDLER: Final = "lambda_handler.handler.handle"
_RAPID = "lib/python*/site-packages/samcli/local/rapid"
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def find_emulator() -> Path | None:
    """The emulator's program for this machine, which `.ci/setup lambda-tools` installs; None if it is not there."""
    name = f"aws-lambda-rie-{_ARCHITECTURES.get(platform.machine().lower(), '')}"
    found = sorted((ROOT / ".tools" / "lambda-tools").glob(f"{_RAPID}/{name}"))
    return found[0] if found and sys.platform == "linux" else None


class LambdaEmulator:
    """One emulated function, with one environment; its address stays the same over its starts."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: int = 60,
        memory_mb: int = 512,
        handler: str = HANDLER,
        code: Path | None = None,
        python: Sequence[str] = (sys.executable,),
    ) -> None:
        """Starts nothing yet.

        Args:
            program: As `find_emulator` gives it.
            folder: An empty folder of the test's, for the log.
            environment: More variables of the function. Servers on loopback may be asked, unless it says otherwise:
                this machine is the operator's own.
            timeout_seconds: The function's; the emulator itself ends an invocation then.
            memory_mb: What the function is told that it has.
            handler: Another one than ours.
            code: The folder from which it is imported, if that is not the checkout.
            python: How the interpreter is called; it must have awslambdaric.
        """
        self.folder = folder
        self.function_name = FUNCTION_NAME
        self.log_file = folder / "emulator.log"
        self.port = free_port()
        self.python = tuple(python)
        self._program = program
        self._handler = handler
        self._api_port = free_port()
        paths = [str(code)] if code is not None else []
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
            "AGENT_LAUNCHER_ALLOW_LOOPBACK": "true",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `AWS_ENDPOINT_URL_LAMBDA` names."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The variables with which the program invokes this function."""
        return lambda_variables(self.url, function=self.function_name)

    @property
    def log(self) -> str:
        """Everything that the emulator and the function printed, over all starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def runtime_pids(self) -> list[int]:
        """The processes of the function itself, which start with the first invocation."""
        return [] if self._process is None else _children(self._process.pid)

    def start(self, *, timeout_s: float = 20) -> Self:
        """Starts it and returns when it takes connections; RuntimeError with its log when it does not."""
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    *("--runtime-api-address", f"127.0.0.1:{self._api_port}"),
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"),
                    *self.python,
                    *("-m", "awslambdaric", self._handler),
                ],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.running:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"the Lambda emulator did not start:\n{self.log}")

    def kill(self, *, function_too: bool = True) -> None:
        """Ends it with SIGKILL: a call that is under way loses its connection.

        Args:
            function_too: False leaves the function's process to its work, as Lambda does when a caller goes away; it
                ends by itself when it has nobody to answer.
        """
        process = self._process
        if process is None:
            return
        pids = [process.pid, *(self.runtime_pids if function_too else ())]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has ended by itself
        process.wait()
        if self._process is process:  # a test's thread may be killing it at the same moment
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in listing.read_text().split()]
        except OSError:
            continue  # that thread has ended
    return [*found, *(grandchild for child in found for grandchild in _children(child))]
