"""The offline demo model: no network, no key, no cost. Deterministic text made from the prompt.

Its models let every state of the product be seen by hand: `demo-echo` answers at once, `demo-slow` writes
slowly, `demo-flaky` fails each prompt's first try with a retryable error, `demo-error` always fails. A prompt
may ask for more exact behaviour with directives, which are taken out of the answer: `[[delay=2]]` seconds
before the first text, `[[chunk_delay=0.1]]` seconds between pieces, `[[words=200]]`, `[[fail=RATE_LIMITED]]`
any error code a provider can give, `[[fail_after=20]]` pieces of text, then a cut stream.
"""

import hashlib
import json
import re
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core import errors
from core.contract import AgentRequest, FinishReason, ReasoningEffort, TokenUsage
from core.forks import renew_in_children
from core.interruption import Limits
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.rows_demo import DEMO
from core.providers.wire import as_list, as_object

CHARS_PER_TOKEN: Final = 4
"""The usual rule of thumb for English; the demo has no tokenizer."""

_MAX_REMEMBERED: Final = 10_000
_REASONING_TOKENS: Final[Mapping[ReasoningEffort, int]] = {
    "minimal": 16,
    "low": 64,
    "medium": 256,
    "high": 1_024,
    "xhigh": 2_048,
    "max": 4_096,
}
_DIRECTIVE: Final = re.compile(r"\[\[(delay|chunk_delay|words|fail|fail_after)=([A-Za-z_0-9.]{1,40})\]\]\s?")
_FAILURES: Final = {
    error.code.value: error
    for error in (
        errors.AuthenticationFailed,
        errors.PermissionDenied,
        errors.ModelNotFound,
        errors.ContextLengthExceeded,
        errors.ContentFiltered,
        errors.RateLimited,
        errors.ProviderUnavailable,
        errors.ProviderTimeout,
        errors.BadProviderResponse,
    )
}
_LABEL: Final = "This text comes from the offline demo model: nothing was sent and nothing was billed."
_SENTENCES: Final = (
    "The run is stored like any other: with its tokens, its latency and its cost.",
    "Add a credential under Settings to ask a real model the same question.",
    "Two configurations can be compared side by side in the playground.",
    "Every edit of an agent is kept as a version that can be restored.",
    "A schedule, a budget and a provider's bill all read the same figures.",
)


@dataclass(frozen=True, slots=True)
class _Script:
    prompt: str
    delay_seconds: float
    chunk_delay_seconds: float
    words: int | None
    fail: str | None
    fail_after: int | None


class DemoProvider:
    """See the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        renew_in_children(self)

    def after_fork(self) -> None:
        """See `core.forks`."""
        self._lock = threading.Lock()

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """Yields the answer word by word."""
        prompt = request.turns()[-1].content
        script = _read_script(prompt, request.model_name)
        limits.wait(script.delay_seconds)
        self._maybe_fail(request, script)
        text, finish_reason = _answer(request, script)
        for number, piece in enumerate(re.findall(r"\s*\S+", text)):
            if script.fail_after is not None and number >= script.fail_after:
                raise errors.BadProviderResponse("The demo model cut its answer, as the prompt asked.")
            limits.check()
            yield Delta(piece)
            if script.chunk_delay_seconds:
                limits.wait(script.chunk_delay_seconds)
        yield Completion(
            text=text,
            usage=_usage(request, text),
            finish_reason=finish_reason,
            model=request.model_name,
            provider_request_id="demo-" + _digest(request)[:12],
        )

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer; takes as long as its stream."""
        for item in self.stream(request, limits):
            if isinstance(item, Completion):
                return item
        raise errors.BadProviderResponse("The demo model gave no answer.")

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The demo's models."""
        del connection
        limits.check()
        return DEMO.models

    def _maybe_fail(self, request: AgentRequest, script: _Script) -> None:
        if request.model_name not in {model.name for model in DEMO.models}:
            names = ", ".join(model.name for model in DEMO.models)
            raise errors.ModelNotFound(
                f"DEMO has no model {request.model_name!r}. Use one of {names}.", provider_status=404
            )
        if script.fail is not None:
            error = _FAILURES.get(script.fail)
            if error is None:
                raise errors.InvalidRequest(f"[[fail=...]] takes one of {', '.join(_FAILURES)}.")
            raise error(f"The demo model failed with {script.fail}, as the prompt asked.")
        if request.model_name == "demo-error":
            raise errors.ProviderUnavailable(
                "The demo model demo-error always fails.", provider_status=503, retryable=False
            )
        if request.model_name == "demo-flaky":
            key = _digest(request)
            with self._lock:
                first = key not in self._seen
                if len(self._seen) >= _MAX_REMEMBERED:
                    self._seen.clear()
                self._seen.symmetric_difference_update({key})
            if first:
                raise errors.RateLimited(
                    "The demo model demo-flaky fails each first try.",
                    provider_status=429,
                    retry_after_seconds=0.2,
                )


def create() -> DemoProvider:
    """The provider, for the registry."""
    return DemoProvider()


def _read_script(prompt: str, model_name: str) -> _Script:
    values = dict(_DIRECTIVE.findall(prompt))
    slow = model_name == "demo-slow"

    def number(name: str, default: float, highest: float) -> float:
        try:
            return min(max(float(values[name]), 0.0), highest) if name in values else default
        except ValueError:
            raise errors.InvalidRequest(f"[[{name}=...]] takes a number.") from None

    return _Script(
        prompt=_DIRECTIVE.sub("", prompt).strip(),
        delay_seconds=number("delay", 0.6 if slow else 0.0, 600),
        chunk_delay_seconds=number("chunk_delay", 0.08 if slow else 0.0, 60),
        words=int(number("words", 0, 100_000)) or None,
        fail=values.get("fail"),
        fail_after=int(number("fail_after", 0, 100_000)) if "fail_after" in values else None,
    )


def _answer(request: AgentRequest, script: _Script) -> tuple[str, FinishReason]:
    if request.response_schema is not None:
        return json.dumps(_example_of(request.response_schema, depth=0)), "stop"
    words = script.prompt.split()
    quoted = " ".join(words[:40]) + (" ..." if len(words) > 40 else "")
    parts = [f'You asked: "{quoted}"' if quoted else "You sent an empty prompt."]
    if request.attachments:
        parts.append(f"With {len(request.attachments)} attachment(s), which a demo cannot read.")
    first = int(_digest(request)[:8], 16)
    parts += [_LABEL, *(_SENTENCES[(first + i) % len(_SENTENCES)] for i in range(2))]
    answer = " ".join(parts).split()
    if script.words:
        filler = " ".join(_SENTENCES).split()
        answer = (answer + filler * (script.words // len(filler) + 1))[: script.words]
    finish_reason: FinishReason = "stop"
    if request.max_tokens is not None and len(" ".join(answer)) > request.max_tokens * CHARS_PER_TOKEN:
        answer = " ".join(answer)[: request.max_tokens * CHARS_PER_TOKEN].split()
        finish_reason = "length"
    text = " ".join(answer)
    for stop in request.stop or ():
        if stop in text:
            text, finish_reason = text.partition(stop)[0], "stop"
    return text, finish_reason


def _example_of(schema: object, *, depth: int) -> object:
    node = as_object(schema)
    if node is None or depth > 20:
        return None
    if choices := as_list(node.get("enum")):
        return choices[0]
    kind = node.get("type")
    if kinds := as_list(kind):
        kind = kinds[0]  # ["string", "null"]
    match kind:
        case "object":
            properties = as_object(node.get("properties")) or {}
            return {name: _example_of(part, depth=depth + 1) for name, part in properties.items()}
        case "array":
            return [_example_of(node.get("items"), depth=depth + 1)]
        case "integer":
            return 1
        case "number":
            return 1.5
        case "boolean":
            return True
        case "string":
            return "demo"
        case _:
            return None


def _digest(request: AgentRequest) -> str:
    text = "\0".join(
        [request.model_name, request.system_prompt or "", *(turn.content for turn in request.turns())]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _usage(request: AgentRequest, answer: str) -> TokenUsage:
    """Tokens as a real vendor would report them: what was read before is cached, effort costs reasoning."""
    *earlier, last = (turn.content for turn in request.turns())
    known = _tokens(request.system_prompt or "", *earlier)
    cached = known if earlier else 0
    read = max(1, known + _tokens(last))
    reasoning = _REASONING_TOKENS.get(request.reasoning_effort, 0) if request.reasoning_effort else 0
    written = _tokens(answer) + reasoning
    return TokenUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
    )


def _tokens(*texts: str) -> int:
    return -(-sum(map(len, texts)) // CHARS_PER_TOKEN)
