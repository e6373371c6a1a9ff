"""Each registered provider, brought into a situation by whatever means it has.

The demo is told in the prompt; for the others the tests play the vendor.
"""

from abc import ABC, abstractmethod
from typing import Any

from typing_extensions import override

from core.providers import registry
from tests.contract.dialects import BUILT_IN, DIALECTS
from tests.contract.dialects.base import Answer, Dialect, Failure
from tests.support.vendor_server import Reply, VendorServer

Fields = dict[str, Any]

FAILURES = {
    "AUTHENTICATION_FAILED": Failure.BAD_KEY,
    "PERMISSION_DENIED": Failure.FORBIDDEN,
    "MODEL_NOT_FOUND": Failure.UNKNOWN_MODEL,
    "CONTEXT_LENGTH_EXCEEDED": Failure.CONTEXT_LENGTH,
    "CONTENT_FILTERED": Failure.PROMPT_FILTERED,
    "RATE_LIMITED": Failure.RATE_LIMIT,
    "PROVIDER_UNAVAILABLE": Failure.SERVER_ERROR,
}


class Subject(ABC):
    """A provider under test; each method prepares one call and gives the request's fields for it."""

    provider: str

    @abstractmethod
    def answers(self, text: str | None = None) -> Fields:
        """Answers well; with this text, if the provider says what it is told to."""

    @abstractmethod
    def fails(self, code: str) -> Fields:
        """Fails in the vendor's way that is this code."""

    @abstractmethod
    def is_silent(self) -> Fields:
        """Takes the request and does not answer for a long time."""

    @abstractmethod
    def drips(self) -> Fields:
        """Streams a little at a time for a long time."""

    @abstractmethod
    def is_cut(self) -> Fields:
        """Streams some text and stops without an end mark."""

    @abstractmethod
    def requests_received(self) -> int | None:
        """How many requests arrived; None if none is ever sent."""


class Demo(Subject):
    """The offline model."""

    provider = "DEMO"

    @override
    def answers(self, text: str | None = None) -> Fields:
        return self._ask("What is the capital of France?")

    @override
    def fails(self, code: str) -> Fields:
        return self._ask(f"[[fail={code}]] Hello")

    @override
    def is_silent(self) -> Fields:
        return self._ask("[[delay=60]] Hello")

    @override
    def drips(self) -> Fields:
        return self._ask("[[chunk_delay=0.05]] [[words=500]] Hello")

    @override
    def is_cut(self) -> Fields:
        return self._ask("[[fail_after=3]] Hello")

    @override
    def requests_received(self) -> None:
        return None

    def _ask(self, prompt: str) -> Fields:
        return {"provider": "DEMO", "model_name": "demo-echo", "prompt": prompt, "timeout_seconds": 20}


class Scripted(Subject):
    """A provider whose vendor the tests play."""

    def __init__(self, dialect: Dialect, vendor: VendorServer, key: str) -> None:
        self.provider = dialect.provider
        self._dialect = dialect
        self._vendor = vendor
        self._key = key

    @override
    def answers(self, text: str | None = None) -> Fields:
        answer = (
            Answer() if text is None else Answer(pieces=[text[at : at + 4] for at in range(0, len(text), 4)])
        )
        return self._ask(
            lambda streamed: (
                self._dialect.streamed(self._dialect.events(answer))
                if streamed
                else self._dialect.whole(answer)
            )
        )

    @override
    def fails(self, code: str) -> Fields:
        return self._ask(lambda _: self._dialect.failure(FAILURES[code]))

    @override
    def is_silent(self) -> Fields:
        return self._ask(lambda _: Reply.silence())

    @override
    def drips(self) -> Fields:
        events = self._dialect.events(Answer(pieces=["word "] * 500))
        return self._ask(lambda _: self._dialect.streamed(events, pause_s=0.05))

    @override
    def is_cut(self) -> Fields:
        events = self._dialect.events(Answer())
        return self._ask(lambda _: self._dialect.streamed(events[:3]))

    @override
    def requests_received(self) -> int:
        return len(self._vendor.requests)

    def _ask(self, reply: Any) -> Fields:
        self._vendor.will(lambda request: reply(self._dialect.seen(request).streamed))
        return {
            "provider": self.provider,
            "model_name": self._dialect.model,
            "api_key": self._key,
            "prompt": "What is the capital of France?",
            "timeout_seconds": 20,
            **self._dialect.connection(self._vendor.url),
        }


NAMES = [spec.name for spec in registry.BUILT_IN] if DIALECTS is BUILT_IN else list(DIALECTS)
"""The providers that the suite runs for: ours with the demo, or those of another package."""


def subject_for(name: str, vendor: VendorServer, key: str) -> Subject:
    """The provider of that name, ready to be brought into situations."""
    return Demo() if name == "DEMO" else Scripted(DIALECTS[name], vendor, key)


def can_fail(name: str, code: str) -> bool:
    """Whether the provider of that name has a sign for a failure that is this code."""
    return name not in DIALECTS or FAILURES[code] in DIALECTS[name].failures
