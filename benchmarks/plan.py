"""Who is measured against whom, and how often in one round: short, so that all meet the machine in the same state.

A figure is per call, so a slow contender makes fewer calls.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
OURS: Final = Path(sys.executable)
PEERS: Final = ROOT / ".tools" / "bench-peers" / "bin" / "python"
LITELLM: Final = ROOT / ".tools" / "bench-litellm" / "bin" / "python"


class Mode(StrEnum):
    """A way to make the calls; `contenders/harness.py` knows them by these names."""

    COMPLETE = "complete"
    COMPLETE_32 = "complete32"
    ASYNC_32 = "async32"
    """As `complete32`, in coroutines on the SDK's own HTTP library."""
    AIOHTTP_32 = "aiohttp32"
    STREAM = "stream"
    STREAM_32 = "stream32"
    FIRST = "first"
    """A stream whose first byte takes 200 ms."""


class Kind(StrEnum):
    """What a contender is to the others of its provider."""

    RAW = "raw"
    OURS = "ours"
    LITELLM = "litellm"
    PYDANTIC_AI = "pydantic-ai"


@dataclass(frozen=True)
class Contender:
    """A program that makes the same calls to one vendor, all its modes in one process.

    Attributes:
        calls: For each of its modes the calls measured in a round, and those before them.
        labels: What it is called in a table where its name does not say enough.
    """

    kind: Kind
    name: str
    python: Path
    script: str
    calls: Mapping[Mode, tuple[int, int]]
    labels: Mapping[Mode, str] = field(default_factory=dict[Mode, str])


@dataclass(frozen=True)
class Group:
    """The contenders of one provider; the first is the raw SDK, which the others are compared with."""

    provider: str
    label: str
    contenders: Sequence[Contender]


@dataclass(frozen=True)
class Table:
    """What a table shows: rows of one or several modes, and their figures."""

    title: str
    modes: Sequence[Mode]
    figures: Sequence[str]


UNITS: Final = {
    "cpu_ms_per_call": "CPU ms a call",
    "calls_per_second": "calls a second",
    "first_token_ms": "first token ms",
}
THIRTY_TWO: Final = (Mode.COMPLETE_32, Mode.ASYNC_32, Mode.AIOHTTP_32)
TABLES: Final = (
    Table("One call after another", (Mode.COMPLETE,), ("cpu_ms_per_call", "calls_per_second")),
    Table("32 at a time", THIRTY_TWO, ("calls_per_second", "cpu_ms_per_call")),
    Table("A stream of 500 chunks, one after another", (Mode.STREAM,), ("cpu_ms_per_call", "first_token_ms")),
    Table("Streams of 500 chunks, 32 at a time", (Mode.STREAM_32,), ("calls_per_second", "cpu_ms_per_call")),
    Table(
        "First token of a model that takes 200 ms to its first byte",
        (Mode.FIRST,),
        ("first_token_ms",),
    ),
)

_OPENAI_CALLS: Final = {
    Mode.COMPLETE: (60, 6),
    # Before them as many as open all connections again: they may have been closed since the last round.
    Mode.COMPLETE_32: (256, 64),
    Mode.STREAM: (6, 1),
    Mode.STREAM_32: (32, 8),
    Mode.FIRST: (3, 1),
}
_CALLS: Final = {
    Mode.COMPLETE: (40, 6),
    Mode.COMPLETE_32: (192, 64),
    Mode.STREAM: (5, 1),
    Mode.FIRST: (3, 1),
}


def _ours(calls: Mapping[Mode, tuple[int, int]]) -> Contender:
    return Contender(Kind.OURS, "Agent Launcher, stored", OURS, "ours.py", calls)


def _litellm(calls: Mapping[Mode, tuple[int, int]]) -> Contender:
    return Contender(Kind.LITELLM, "litellm.completion", LITELLM, "litellm_peer.py", calls)


def _openai() -> Group:
    raw = Contender(
        Kind.RAW,
        "raw OpenAI SDK",
        PEERS,
        "raw_openai.py",
        _OPENAI_CALLS | {Mode.ASYNC_32: (256, 64), Mode.AIOHTTP_32: (256, 64)},
        {
            Mode.ASYNC_32: "raw OpenAI SDK, AsyncOpenAI",
            Mode.AIOHTTP_32: "raw OpenAI SDK, AsyncOpenAI on aiohttp",
        },
    )
    litellm = {
        Mode.COMPLETE: (20, 3),
        Mode.COMPLETE_32: (64, 32),
        Mode.STREAM: (2, 0),
        # Half a second each.
        Mode.STREAM_32: (4, 0),
    }
    pydantic_ai = {
        Mode.COMPLETE: (20, 3),
        Mode.COMPLETE_32: (64, 32),
        Mode.STREAM: (4, 1),
        Mode.STREAM_32: (8, 0),
    }
    peer = Contender(Kind.PYDANTIC_AI, "pydantic-ai", PEERS, "pydantic_ai_peer.py", pydantic_ai)
    return Group("OPENAI", "OpenAI", (raw, _ours(_OPENAI_CALLS), _litellm(litellm), peer))


def _vendor(
    provider: str, label: str, sdk: str, script: str, *, coroutines: Mapping[Mode, str] | None = None
) -> Group:
    labels = {mode: f"{sdk}, {name}" for mode, name in (coroutines or {}).items()}
    calls = _CALLS | dict.fromkeys(labels, (192, 64))
    raw = Contender(Kind.RAW, sdk, PEERS, script, calls, labels)
    return Group(provider, label, (raw, _ours(_CALLS), _litellm({Mode.COMPLETE: (20, 3)})))


GROUPS: Final = (
    _openai(),
    _vendor(
        "ANTHROPIC",
        "Anthropic",
        "raw Anthropic SDK",
        "raw_anthropic.py",
        coroutines={Mode.ASYNC_32: "AsyncAnthropic", Mode.AIOHTTP_32: "AsyncAnthropic on aiohttp"},
    ),
    _vendor(
        "GEMINI",
        "Google Gemini",
        "raw google-genai",
        "raw_gemini.py",
        coroutines={Mode.ASYNC_32: "aio, on aiohttp"},
    ),
    _vendor(
        "OLLAMA",
        "Ollama",
        "raw Ollama SDK",
        "raw_ollama.py",
        coroutines={Mode.ASYNC_32: "AsyncClient"},
    ),
    _vendor("BEDROCK", "Amazon Bedrock (Converse)", "raw boto3", "raw_bedrock.py"),
)
