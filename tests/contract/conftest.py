"""One provider at a time, a scripted vendor, and a watch over the key."""

import logging
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from core import redaction
from core.contract import AgentRequest, AgentResponse, parse_request
from core.interruption import CancelToken
from core.invocation import invoke
from core.providers import registry
from tests.contract.dialects import BUILT_IN, DIALECTS
from tests.contract.dialects.base import Dialect
from tests.support.vendor_server import VendorServer

collect_ignore = [] if DIALECTS is BUILT_IN else ["test_dialogue_aimock.py"]  # it names our providers

CANARY = "sk-canary-Zq3/9+kW=5x_T-71v"
"""Looks like a key and has the characters that URLs, base64 and JSON write in other ways."""


class _Everything(logging.Handler):
    """Keeps every record of every logger as text, with its trace and its arguments."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = logging.Formatter("%(name)s %(message)s").format(record)
        self.lines.append(f"{line} {record.args!r}")


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Every SDK is imported before a deadline of a test runs: that takes up to seconds, once in a process."""
    for dialect in DIALECTS.values():
        fields = {"provider": dialect.provider, "model_name": dialect.model, "api_key": CANARY, "prompt": "x"}
        request = fields | dialect.connection("http://127.0.0.1:9")
        invoke(parse_request(request, providers=registry.specs()))


@pytest.fixture(autouse=True)
def written() -> Generator[list[str]]:
    """Everything logged and answered in the test; fails it if the key is there, in any form."""
    handler = _Everything()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.setLevel(level)
    root.removeHandler(handler)
    everything = "\n".join(handler.lines)
    for form in redaction.forms_of(CANARY):
        assert form not in everything


@dataclass
class Caller:
    """Sends requests and keeps what came back.

    Attributes:
        deltas: The pieces of the last streamed answer.
    """

    written: list[str]
    deltas: list[str] = field(default_factory=list)

    def __call__(
        self, request: dict[str, Any], *, stream: bool = False, cancel: CancelToken | None = None
    ) -> AgentResponse:
        """Validates and sends one request."""
        self.deltas = []
        valid: AgentRequest = parse_request(request, providers=registry.specs())
        response = invoke(valid, self.deltas.append if stream else None, cancel)
        self.written += [repr(valid), repr(response), str(response.to_wire())]
        return response


@pytest.fixture
def call(written: list[str]) -> Caller:
    """Invokes, and has the answer searched for the key."""
    return Caller(written)


@pytest.fixture(params=sorted(DIALECTS), autouse=False)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each vendor in turn."""
    return DIALECTS[request.param]


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Both ways to ask."""
    return request.param


@pytest.fixture
def request_to(vendor: VendorServer, dialect: Dialect) -> Callable[..., dict[str, Any]]:
    """Makes requests to the scripted vendor: `request_to(prompt="...", top_p=0.5)`."""

    def make(**fields: Any) -> dict[str, Any]:
        return {
            "provider": dialect.provider,
            "model_name": dialect.model,
            "api_key": CANARY,
            "prompt": "What is the capital of France?",
            "timeout_seconds": 20,
            **dialect.connection(vendor.url),
            **fields,
        }

    return make


@pytest.fixture
def raw_server() -> Generator[Callable[[bytes], str]]:
    """Makes servers that answer a connection's first bytes with these and close; returns the address."""
    with ExitStack() as stack:

        def make(answer: bytes) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        with connection:
                            connection.recv(65_536)
                            connection.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield make
