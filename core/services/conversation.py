"""A chat: its turns, each of which is a run, and what of them goes with the next request."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.contract import Message
from core.services.run_view import RunView
from core.storage.records import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the user wrote, and the run that answers it."""

    prompt: str
    run: RunView

    @property
    def remembered(self) -> bool:
        """Whether the model will read this turn again: it has an answer, whole or stopped half-way.

        A failed turn is left out, with its prompt: most vendors refuse a user's turn that nobody answered,
        and a text that broke off by a fault is no answer.
        """
        return bool(self.run.text.strip()) and self.run.status in (RunStatus.SUCCEEDED, RunStatus.CANCELLED)


def history(turns: Sequence[Turn]) -> list[Message]:
    """The messages of the turns that the next request carries, oldest first."""
    return [
        message
        for turn in turns
        if turn.remembered
        for message in (
            Message(role="user", content=turn.prompt),
            Message(role="assistant", content=turn.run.text),
        )
    ]
