"""The JSON of Anthropic's Messages as an answer, whole or in events. No request is made here.

Shapes after platform.claude.com/docs/en/api (Messages: create, streaming; "Stop reasons"), API version
2026-10-21, and anthropic 2.12's types, 2026-11-22.
"""

from collections.abc import Mapping
from typing import Final

from core.contract import MAX_SERVICE_TIER_CHARS, FinishReason, TokenUsage
from core.loggers import get_logger
from core.providers.answer import Answer
from core.providers.wire import TextJoiner, as_count, as_list, as_object, as_text, mend

log = get_logger("agent_launcher.providers")

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}


_ANYWHERE: Final = frozenset({None, "global", "not_available"})


def read_answer(body: Mapping[str, object]) -> Answer:
    """The answer in a whole body.

    Raises:
        ValueError: There is none; the text says what is missing, as in "the answer ... ".
    """
    blocks = as_list(body.get("content"))
    if blocks is None:
        raise ValueError("has no content in it")
    texts = [_text_of(as_object(block) or {}) for block in blocks]
    return _answer(
        mend("".join(texts)),
        reason=body.get("stop_reason"),
        details=body.get("stop_details"),
        model=body.get("model"),
        usage=as_object(body.get("usage")),
    )


class EventReader:
    """Collects the events of a stream."""

    def __init__(self) -> None:
        self._joiner = TextJoiner()
        self._reason: object = None
        self._details: object = None
        self._model: object = None
        self._usage: dict[str, object] | None = None
        self.begun = False
        """Whether a message began at all."""
        self.finished = False
        """Whether the vendor's end mark came."""

    def add(self, event: Mapping[str, object]) -> str:
        """The text that an event brings, empty if none. Events of kinds that are not known here bring none."""
        match event.get("type"):
            case "message_start":
                self.begun = True
                message = as_object(event.get("message")) or {}
                self._model = message.get("model") or self._model
                # What it says of output is where the count begins, not what was written.
                self._count(message.get("usage"), but="output_tokens")
            case "content_block_start":
                return self._join(_text_of(as_object(event.get("content_block")) or {}))
            case "content_block_delta":
                delta = as_object(event.get("delta")) or {}
                return self._join(_text_of(delta, kind="text_delta"))
            case "message_delta":
                delta = as_object(event.get("delta")) or {}
                self._reason = delta.get("stop_reason") or self._reason
                self._details = delta.get("stop_details") or self._details
                self._count(event.get("usage"))
            case "message_stop":
                self.finished = True
                if not self._joiner.text and self._reason == "refusal":
                    return self._join(_explanation(self._details))
            case _:
                pass
        return ""

    def _join(self, piece: str) -> str:
        return self._joiner.add(piece) if piece else ""

    def _count(self, value: object, *, but: str | None = None) -> None:
        usage = as_object(value)
        if usage is not None:
            told = {name: count for name, count in usage.items() if count is not None and name != but}
            self._usage = {**(self._usage or {}), **told}

    def answer(self) -> Answer:
        """All of it."""
        return _answer(
            self._joiner.text,
            reason=self._reason,
            details=self._details,
            model=self._model,
            usage=self._usage,
        )


def _text_of(block: Mapping[str, object], *, kind: str = "text") -> str:
    """The text of a block of the answer; thinking and tools have none to show."""
    return (as_text(block.get("text")) or "") if block.get("type") == kind else ""


def _answer(
    text: str, *, reason: object, details: object, model: object, usage: Mapping[str, object] | None
) -> Answer:
    said, named = as_text(reason), as_text(model)
    explanation = _explanation(details)
    refused = said == "refusal" and text in {"", explanation}
    return Answer(
        text=explanation if refused else text,
        refused=refused,
        # What is left is `pause_turn`, of tools that run at the vendor, and what it may add.
        finish_reason=None if said is None else _FINISH_REASONS.get(said, "other"),
        model=None if named is None else mend(named)[:200],
        usage=None if usage is None else read_usage(usage),
        service_tier=_tier(usage or {}),
    )


def _tier(usage: Mapping[str, object]) -> str | None:
    """What decides the price: the tier, save where the workspace keeps inference in one geography.

    That costs more than the list says ("Data residency": 1.1 times, 2026-11-22), and no request of ours asks for
    it or for another speed: only usage tells.
    """
    geography, speed = as_text(usage.get("inference_geo")), as_text(usage.get("speed"))
    words = [
        as_text(usage.get("service_tier")),
        None if geography in _ANYWHERE else geography,
        None if speed == "standard" else speed,
    ]
    dearer = [word for word in words[1:] if word]
    if dearer and words[0] == "standard":
        words = dearer
    return mend(" ".join(word for word in words if word))[:MAX_SERVICE_TIER_CHARS] or None


def _explanation(details: object) -> str:
    return mend(as_text((as_object(details) or {}).get("explanation")) or "")


def read_usage(body: Mapping[str, object]) -> TokenUsage | None:
    """Tokens, normalised; None unless both counts are there and all figures agree.

    The vendor's `input_tokens` are those beside the cache, and all input is their sum with both kinds of
    cached ones. Thinking is within `output_tokens`.
    """
    beside, answered = as_count(body.get("input_tokens")), as_count(body.get("output_tokens"))
    if beside is None or answered is None:
        return None
    cached = as_count(body.get("cache_read_input_tokens"))
    written = as_count(body.get("cache_creation_input_tokens"))
    reasoning = as_count((as_object(body.get("output_tokens_details")) or {}).get("thinking_tokens"))
    if (reasoning or 0) > answered:
        # Any price of it would be a guess.
        log.warning(
            "usage that contradicts itself, taken as unknown: output=%s thinking=%s", answered, reasoning
        )
        return None
    read = beside + (cached or 0) + (written or 0)
    return TokenUsage(
        input_tokens=read,
        output_tokens=answered,
        total_tokens=read + answered,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        reasoning_tokens=reasoning,
    )
