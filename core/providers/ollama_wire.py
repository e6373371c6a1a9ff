"""A chat with Ollama as data: a contract request to its JSON, its JSON to an answer. No request is made here.

Shapes after docs.ollama.com/api (chat, tags, errors), docs.ollama.com/capabilities/thinking and the types of
ollama 0.6.3, 2026-11-22.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.contract import AgentRequest, FinishReason, TokenUsage
from core.providers.base import ModelInfo
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

CLOUD: Final = "cloud"
"""The service tier of an answer that the server had made elsewhere: no price of a server of one's own."""

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length"}
"""Its other words, "load" and "unload", are those of a request without a prompt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said.

    Attributes:
        finish_reason: None if the server gave none.
        model: None if the server named none.
        usage: None if the server did not report both counts.
        elsewhere: The server only passed on what Ollama's cloud said.
    """

    text: str
    finish_reason: FinishReason | None
    model: str | None
    usage: TokenUsage | None
    elsewhere: bool


def render(request: AgentRequest, *, stream: bool) -> dict[str, Any]:
    """The body of a request to `/api/chat`: only what the contract request sets."""
    body: dict[str, Any] = {
        "model": request.model_name,
        "messages": _messages(request),
        "stream": stream,  # said in any case: without it the server streams
    }
    options = {
        name: value
        for name, value in (
            ("num_predict", request.max_tokens),
            ("temperature", request.temperature),
            ("top_p", request.top_p),
            ("stop", request.stop or None),
            ("seed", request.seed),
        )
        if value is not None
    }
    if options:
        body["options"] = options
    if request.response_schema is not None:
        body["format"] = dict(request.response_schema)
    if request.reasoning_effort is not None:
        body["think"] = False if request.reasoning_effort == "none" else request.reasoning_effort
    return body


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.system_prompt:
        messages.append({"role": "system", "content": request.system_prompt})
    messages += [{"role": turn.role, "content": turn.content} for turn in request.turns()]
    if request.attachments:
        messages[-1]["images"] = [attachment.data for attachment in request.attachments]
    return messages


def read_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in a body that are not empty, wherever the network cut it.

    What the end of the body left without its line break is given too: whether it is whole is for its reader to
    see.
    """
    rest: list[bytes] = []
    for piece in pieces:
        *lines, last = piece.split(b"\n")
        for line in lines:
            rest.append(line)
            if whole := b"".join(rest).strip():
                yield whole
            rest = []
        rest.append(last)
    if whole := b"".join(rest).strip():
        yield whole


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    message = as_object(body.get("message"))
    if message is None:
        raise ValueError("has no message in it")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise ValueError("has a message that is not text")
    if body.get("done") is not True:
        raise ValueError("does not say that it is complete")
    return _answer(mend(content or ""), body)


class ChunkReader:
    """Collects the lines of a stream. The model's thinking is not part of the answer."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._last: Mapping[str, object] = {}

    @property
    def finished(self) -> bool:
        """Whether the server said that the answer is complete."""
        return self._last.get("done") is True

    def add(self, chunk: Mapping[str, object]) -> str:
        """The text that a line brings, empty if none."""
        self._last = chunk
        piece = (as_object(chunk.get("message")) or {}).get("content")
        return self._joiner.add(piece) if isinstance(piece, str) and piece else ""

    def answer(self) -> Answer:
        """All of it."""
        return _answer(self._joiner.text, self._last)


def _answer(text: str, body: Mapping[str, object]) -> Answer:
    reason, model = as_text(body.get("done_reason")), as_text(body.get("model"))
    return Answer(
        text=text,
        finish_reason=None if reason is None else _FINISH_REASONS.get(reason, "other"),
        model=None if model is None else mend(model)[:200],
        usage=read_usage(body),
        elsewhere=as_text(body.get("remote_host")) is not None,
    )


def read_usage(body: Mapping[str, object]) -> TokenUsage | None:
    """Tokens, normalised; None unless both counts are there.

    A server leaves a count out that is zero for it, such as that of a prompt which it still has in its cache;
    how many tokens that prompt has is then unknown. Thinking is in `eval_count`, and not told apart.
    """
    read, written = as_count(body.get("prompt_eval_count")), as_count(body.get("eval_count"))
    if read is None or written is None:
        return None
    return TokenUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def read_models(body: Mapping[str, object]) -> list[ModelInfo] | None:
    """The models in an answer of `/api/tags`, by name; None if it has no such list."""
    listed = as_list(body.get("models"))
    if listed is None:
        return None
    found: dict[str, ModelInfo] = {}
    for item in listed:
        row = as_object(item) or {}
        name = as_text(row.get("model")) or as_text(row.get("name"))
        if name is not None:
            found[mend(name)] = ModelInfo(mend(name), _label(row))
    return [found[name] for name in sorted(found)]


def _label(row: Mapping[str, object]) -> str | None:
    if as_text(row.get("remote_host")) is not None:
        return "on Ollama's cloud"
    details = as_object(row.get("details")) or {}
    facts = [as_text(details.get(name)) for name in ("parameter_size", "quantization_level")]
    return ", ".join(mend(fact) for fact in facts if fact)[:100] or None
