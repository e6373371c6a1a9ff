"""aimock: a maintained stand-in that speaks the vendors' wire protocols, started from its pinned npm package.

    aimock.on("capital of France", "Paris", usage={"prompt_tokens": 12, "completion_tokens": 1})
    aimock.on("long story", "Once upon a time ...", truncateAfterChunks=2)
    aimock.fail_next(429, message="slow down", type="rate_limit_error")
    OpenAI(base_url=aimock.openai_url, api_key="sk-test")

The first fixture that matches answers; a request that none matches gets a vendor-like 404 and is listed by
`unmatched`, which the `aimock` fixture checks at the end of the test. What aimock does not model (a reset, a
silence, broken JSON) is `vendor_server`'s part.
"""

import hashlib
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.support.commands import run
from tests.support.environment import ROOT
from tests.support.node import Node

_FOLDER = ROOT / "tests" / "support" / "aimock"
_LOCK = _FOLDER / "package-lock.json"
_MODULES = _FOLDER / "node_modules"
_PROGRAM = _MODULES / "@copilotkit" / "aimock" / "dist" / "cli.js"
_STAMP = _MODULES / ".installed-from"
_ADDRESS = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


class Aimock:
    """One running server. Its fixtures are shared by all vendors' endpoints."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        """Use `start`."""
        self._process = process
        self.url = url
        """Without a path: what Anthropic, Gemini, Ollama and Bedrock clients take."""
        self.openai_url = f"{url}/v1"

    # Its life.

    @staticmethod
    def is_installed() -> bool:
        """Says whether the package is there in exactly the locked version."""
        return _PROGRAM.exists() and _STAMP.exists() and _STAMP.read_text() == _lock_digest()

    @staticmethod
    def install(node: Node) -> None:
        """Installs the locked package; CommandFailed says what npm said."""
        run([*node.npm, "ci"], cwd=_FOLDER, timeout_s=300)
        _STAMP.write_text(_lock_digest())

    @classmethod
    def start(cls, node: Node, folder: Path) -> Self:
        """Starts a server on a free port; it logs to `folder`."""
        fixtures = folder / "no-fixtures"
        fixtures.mkdir(parents=True, exist_ok=True)
        log = folder / "aimock.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*node.node, _PROGRAM, "--port", "0", "--fixtures", fixtures, "--log-level", "info"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            if found := _ADDRESS.search(log.read_text()):
                return cls(process, found[1])
            time.sleep(0.02)
        process.kill()
        process.wait()
        raise RuntimeError(f"aimock did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """Ends the server."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # What a test writes down.

    def on(
        self,
        user_message: str | None,
        answer: str | dict[str, Any],
        *,
        match: dict[str, Any] | None = None,
        usage: dict[str, Any] | None = None,
        response: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Answers requests whose last user message contains a text; the first fixture that matches wins.

        Args:
            user_message: the text, or None for every request.
            answer: the answer; a dict is sent as JSON text (for structured output).
            match: more conditions, as aimock names them: model, systemMessage, turnIndex, responseFormat, ...
            usage: token counts as the vendor reports them.
            response: more of the answer: finishReason, reasoning, toolCalls, model, id, ...
            options: of the fixture: latency and chunkSize (ms and characters per chunk), truncateAfterChunks,
                disconnectAfterMs, streamingProfile.
        """
        conditions = {**({"userMessage": user_message} if user_message is not None else {}), **(match or {})}
        content = {"content": answer, **({"usage": usage} if usage else {}), **(response or {})}
        self.add({"match": conditions, "response": content, **options})

    def fail(self, user_message: str | None, status: int, *, message: str, **error: Any) -> None:
        """Answers such requests with an error, every time. `error` takes type, code, param."""
        conditions = {} if user_message is None else {"userMessage": user_message}
        self.add(
            {"match": conditions, "response": {"error": {"message": message, **error}, "status": status}}
        )

    def fail_next(self, status: int, *, message: str = "injected error", **error: Any) -> None:
        """Answers only the next request with an error. `error` takes type and code."""
        self._call("POST", "/__aimock/error", {"status": status, "body": {"message": message, **error}})

    def add(self, *fixtures: dict[str, Any]) -> None:
        """Adds fixtures in aimock's own form."""
        self._call("POST", "/__aimock/fixtures", {"fixtures": list(fixtures)})

    def reset(self) -> None:
        """Forgets fixtures and requests."""
        self._call("POST", "/__aimock/reset", {})

    # What a test reads.

    def requests(self) -> list[dict[str, Any]]:
        """Returns aimock's journal, oldest first: method, path, headers, body, response."""
        return self._call("GET", "/__aimock/journal")

    def unmatched(self) -> list[dict[str, Any]]:
        """Returns the requests for which no fixture was found."""
        return [
            entry
            for entry in self.requests()
            if entry["response"]["status"] == 404 and entry["response"]["fixture"] is None
        ]

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"aimock refused {path}: {error.read().decode()}") from error


def _lock_digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()
