"""How each row of the table in `docs/faults.md` is played, in any vendor's words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.contract.dialects.base import Answer, Dialect, Failure
from tests.support.vendor_server import Ending, Reply

DEADLINE_S: Final = 30.0
"""A run's time limit, where the row says no other."""
SHORT_S: Final = 0.5
"""Where it passes."""

TRAVELLED: Final = Answer(pieces=("Zürich ", "🙂 日本"))
LONG: Final = Answer(pieces=["0123456789abcde\n" * 65_536] * 10)


@dataclass(frozen=True)
class Scene:
    """One fault.

    Attributes:
        replies: What the vendor does, one request each; the last of them over and over.
        answer: What it answers with, whole or in part, if it does.
        waits: What is waited between the requests, in seconds; None for a back-off of any length.
        nobody: No server listens there.
    """

    replies: Sequence[Reply] = ()
    answer: Answer = field(default_factory=Answer)
    deadline_s: float = DEADLINE_S
    waits: Sequence[float] | None = None
    nobody: bool = False

    @property
    def read(self) -> bool:
        """Whether the vendor reads requests at all."""
        return not self.nobody and self.replies[-1].ending is not Ending.RESET_UNREAD


Play = Callable[[Dialect, bool], Scene | None]
"""The scene of a dialect, whole or streamed (True); None where the vendor has no sign for it."""


def _said(failure: Failure, *, status: int | None = None, then_well: bool = False) -> Play:
    def play(dialect: Dialect, streamed: bool) -> Scene | None:
        if (dialect.provider, failure) in _APART:
            reply = _APART[dialect.provider, failure]
        elif failure in dialect.failures:
            reply = dialect.failure(failure)
        else:
            return None
        reply = reply if status is None else replace(reply, status=status)
        return Scene([reply, answered(dialect, Answer(), streamed=streamed)] if then_well else [reply])

    return play


# Signs that the dialects leave out, since the remedy is another one than with the other vendors.
_APART: Final[Mapping[tuple[str, Failure], Reply]] = {
    # docs.aws.amazon.com/bedrock/latest/APIReference, InvokeModel, "Errors"
    ("BEDROCK", Failure.QUOTA): Reply.json(
        {"message": "Your request exceeds the service quota for your account."},
        status=400,
        headers={"x-amzn-ErrorType": "ServiceQuotaExceededException"},
    ),
    # Of Ollama's cloud.
    ("OLLAMA", Failure.QUOTA): Reply.json({"error": "payment required"}, status=402),
}


def _told_to_wait(seconds: float, *, waits: Sequence[float]) -> Play:
    def play(dialect: Dialect, streamed: bool) -> Scene:
        del streamed
        reply = dialect.failure(Failure.RATE_LIMIT).with_headers({"Retry-After": f"{seconds:g}"})
        return Scene([reply], waits=waits)

    return play


def answered(dialect: Dialect, answer: Answer, *, streamed: bool, pause_s: float = 0.0) -> Reply:
    """A good answer; with a pause, a little at a time."""
    if streamed:
        return dialect.streamed(dialect.events(answer), pause_s=pause_s)
    whole = dialect.whole(answer)
    if not pause_s:
        return whole
    body = b"".join(whole.chunks)
    step = -(-len(body) // 12)
    return replace(
        whole, chunks=tuple(body[at : at + step] for at in range(0, len(body), step)), pause_s=pause_s
    )


def _answers(answer: Answer | None = None, *, unless: Callable[[Dialect], bool] | None = None) -> Play:
    def play(dialect: Dialect, streamed: bool) -> Scene | None:
        if unless is not None and unless(dialect):
            return None
        given = Answer() if answer is None else answer
        return Scene([answered(dialect, given, streamed=streamed)], given)

    return play


def _slow(deadline_s: float, *, first_byte_s: float = 0.0, pause_s: float = 0.0) -> Play:
    def play(dialect: Dialect, streamed: bool) -> Scene:
        given = Answer(pieces=["word "] * 12)
        reply = answered(dialect, given, streamed=streamed, pause_s=pause_s).delayed(first_byte_s)
        return Scene([reply], given, deadline_s)

    return play


def _refuses(dialect: Dialect, streamed: bool) -> Scene:
    given = Answer(pieces=("I'm sorry, ", "no."), refused=dialect.can_refuse)
    return Scene([answered(dialect, given, streamed=streamed)], given)


def _same(reply: Reply, *, deadline_s: float = DEADLINE_S) -> Play:
    return lambda dialect, streamed: Scene([reply], deadline_s=deadline_s)


def _failed_in_a_stream(after: int) -> Play:
    def play(dialect: Dialect, streamed: bool) -> Scene:
        del streamed
        events = dialect.events(Answer())
        return Scene([dialect.streamed([*events[:after], dialect.error_event(Failure.SERVER_ERROR)])])

    return play


def _cut_body(dialect: Dialect, streamed: bool) -> Scene:
    del streamed
    reply = dialect.whole(Answer())
    return Scene([reply.cut(sum(map(len, reply.chunks)) // 2)])


def _ended_cleanly(dialect: Dialect, streamed: bool) -> Scene:
    del streamed
    return Scene([dialect.streamed(dialect.events(Answer())[:3])])


def _cut_in_a_chunk(dialect: Dialect, streamed: bool) -> Scene:
    del streamed
    return Scene([dialect.streamed(dialect.events(Answer())).cut_within(3)])


def _cut_in_a_character(dialect: Dialect, streamed: bool) -> Scene:
    del streamed
    events = dialect.events(TRAVELLED)
    within = events[2].index("🙂".encode()) + 2
    return Scene([dialect.streamed([*events[:2], events[2][:within]]).cut(3)], TRAVELLED)


SCENES: Final[Mapping[str, Play]] = {
    "400, a parameter is refused": _said(Failure.BAD_PARAMETER),
    "400, the text is too long": _said(Failure.CONTEXT_LENGTH),
    "400, the prompt is filtered": _said(Failure.PROMPT_FILTERED),
    "401, the key is not accepted": _said(Failure.BAD_KEY),
    "403, not allowed": _said(Failure.FORBIDDEN),
    "404, no such model": _said(Failure.UNKNOWN_MODEL),
    "413, too large": _said(Failure.TOO_LARGE),
    "429": _said(Failure.RATE_LIMIT),
    "429 once, then an answer": _said(Failure.RATE_LIMIT, then_well=True),
    "429, `Retry-After: 2`": _told_to_wait(2, waits=(2, 2)),
    "429, `Retry-After: 20`": _told_to_wait(20, waits=(20,)),
    "429, `Retry-After: 60`, past the deadline": _told_to_wait(60, waits=()),
    "quota used up": _said(Failure.QUOTA),
    "500": _said(Failure.SERVER_ERROR),
    "500 once, then an answer": _said(Failure.SERVER_ERROR, then_well=True),
    "503": _said(Failure.OVERLOADED, status=503),
    "529": _said(Failure.OVERLOADED, status=529),
    "error event before any text": _failed_in_a_stream(1),
    "error event after some text": _failed_in_a_stream(3),
    "first byte after 0.2 s": _slow(DEADLINE_S, first_byte_s=0.2),
    "first byte after the deadline": _slow(SHORT_S, first_byte_s=30),
    "slow drip, whole in time": _slow(DEADLINE_S, pause_s=0.01),
    "slow drip, past the deadline": _slow(SHORT_S, pause_s=0.12),
    "never answers": _same(Reply.silence(), deadline_s=SHORT_S),
    "broken JSON": _same(Reply.text('{"id": "x", "choices": [', content_type="application/json")),
    "HTML with 200": _same(
        Reply.text("<html><body>Welcome to the proxy</body></html>", content_type="text/html")
    ),
    "`{}` with 200": _same(Reply.text("{}", content_type="application/json")),
    "no usage": _answers(Answer(usage=None)),
    "no finish reason": _answers(Answer(finish=None)),
    "body cut": _cut_body,
    "stream ended cleanly, too early": _ended_cleanly,
    "stream cut in a chunk": _cut_in_a_chunk,
    "stream cut in a UTF-8 character": _cut_in_a_character,
    "reset before the request was read": _same(Reply.reset(before_reading=True)),
    "reset after the request was read": _same(Reply.reset()),
    "connection refused": lambda dialect, streamed: Scene(nobody=True),
    "an answer of 10 MB": _answers(LONG),
    "an empty answer": _answers(Answer(pieces=())),
    "a refusal": _refuses,
    "an answer that the vendor's filter cut": _answers(
        Answer(finish="content_filter"), unless=lambda dialect: not dialect.can_filter
    ),
}
"""By the row's name in the table."""
