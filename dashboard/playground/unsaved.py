"""What was typed in the playground and not run yet, kept for a reload of its tab.

A reload is a new session, and the old one's state is lost. So what has been changed since the page was opened is kept
here, in this process, under an id that nobody can guess and that stands in the tab's address: a reload brings it back,
and a tab without the id begins anew. It is gone after a restart of the server, or when `MAX_DRAFTS` newer ones were
typed. Uploaded files are not kept, and keys are nowhere in it: the playground names credentials by their id.
"""

import secrets
import threading
from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

import streamlit as st
from pydantic import BaseModel, Field

from core.contract import Message
from dashboard import state
from dashboard.components import playground_draft as draft

MAX_DRAFTS: Final = 200
MAX_DRAFT_BYTES: Final = 256 * 1024

_RANDOM_BYTES: Final = 16
_BLANK: Final = (None, "", False, [])
"""What a field holds that nobody filled, before it was drawn and after."""


class Composed(BaseModel):
    """What is typed, and by which address it was last seen.

    Attributes:
        link: The other parameters of the address.
        mode: `prompt` or `chat`.
        slots, fields, loaded, asked_model: As `state` describes them; blank fields are left out.
        prompt, context, variables: What the columns share.
        shown: The run of each column.
        turns, prelude: Of the chat.
        unsent: The question of the chat that could not be sent, and why not.
        files: How many files go with the prompt.
    """

    link: tuple[str | None, ...]
    mode: str
    slots: list[int]
    fields: dict[int, dict[str, Any]]
    prompt: str
    context: str
    variables: dict[str, str]
    loaded: dict[str, str]
    asked_model: tuple[str, str, str | None] | None = None
    shown: dict[int, UUID] = Field(default_factory=dict)
    turns: list[tuple[UUID, str]] = Field(default_factory=list)
    prelude: list[Message] = Field(default_factory=list)
    unsent: tuple[str, str] | None = None
    files: int = 0

    def typed(self) -> str:
        """What somebody may have typed, as text to compare; without what runs and the address say."""
        return self.model_dump_json(include={"slots", "fields", "prompt", "context", "variables", "unsent"})


class Drafts:
    """Kept for the process; from any thread. The one that was used longest ago goes first."""

    def __init__(self, *, max_drafts: int = MAX_DRAFTS, max_bytes: int = MAX_DRAFT_BYTES) -> None:
        """Begins empty.

        Args:
            max_drafts: How many are kept.
            max_bytes: How large one may be, as UTF-8.
        """
        self._max_drafts, self._max_bytes = max_drafts, max_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, draft_id: str, composed: Composed) -> bool:
        """Keeps it in the place of what was there; False, and nothing is there any more, if it is too large."""
        data = composed.model_dump_json().encode()
        with self._lock:
            self._kept.pop(draft_id, None)
            if len(data) > self._max_bytes:
                return False
            self._kept[draft_id] = data
            while len(self._kept) > self._max_drafts:
                self._kept.popitem(last=False)
        return True

    def get(self, draft_id: str) -> Composed | None:
        """What is kept under the id; None if nothing is."""
        with self._lock:
            data = self._kept.get(draft_id)
            if data is None:
                return None
            self._kept.move_to_end(draft_id)
        return Composed.model_validate_json(data)


drafts: Final = Drafts()
"""Those of this server."""


def composed(link: tuple[str | None, ...]) -> Composed:
    """What the session holds now, at that address."""
    session = st.session_state
    slots = draft.slots()
    unsent = session.get(state.PLAYGROUND_UNSENT)
    return Composed(
        link=link,
        mode=session.get(state.PLAYGROUND_MODE) or "",
        slots=list(slots),
        fields={
            slot: {
                name: value
                for name in draft.KEPT_FIELDS
                if (value := draft.field(slot, name)) not in _BLANK or (value == 0 and value is not False)
            }
            for slot in slots
        },
        prompt=draft.shared_prompt(),
        context=session.get(state.PLAYGROUND_CONTEXT) or "",
        variables=dict(sorted(draft.typed_variables().items())),
        loaded=session.get(state.PLAYGROUND_LOADED) or {},
        asked_model=session.get(state.PLAYGROUND_ASKED_MODEL),
        shown=session.get(state.PLAYGROUND_SHOWN) or {},
        turns=session.get(state.PLAYGROUND_TURNS) or [],
        prelude=session.get(state.PLAYGROUND_PRELUDE) or [],
        unsent=(unsent[0], unsent[2]) if unsent else None,
        files=len(draft.file_types()),
    )


def restore(kept: Composed) -> None:
    """Fills the session with it, in the place of what is there; before anything is drawn."""
    session = st.session_state
    draft.reset_slots(0)
    for name in draft.typed_variables():
        del session[state.playground_variable(name)]
    session[state.PLAYGROUND_SLOTS] = list(kept.slots)
    for slot, fields in kept.fields.items():
        for name, value in fields.items():
            draft.put(slot, name, value)
    for name, value in kept.variables.items():
        session[state.playground_variable(name)] = value
    session[state.PLAYGROUND_MODE] = kept.mode
    session[state.PLAYGROUND_PROMPT] = kept.prompt
    session[state.PLAYGROUND_CONTEXT] = kept.context
    session[state.PLAYGROUND_LOADED] = dict(kept.loaded)
    session[state.PLAYGROUND_ASKED_MODEL] = kept.asked_model
    session[state.PLAYGROUND_SHOWN] = dict(kept.shown)
    session[state.PLAYGROUND_TURNS] = list(kept.turns)
    session[state.PLAYGROUND_PRELUDE] = list(kept.prelude)
    for key in (state.PLAYGROUND_FAULTS, state.PLAYGROUND_UNSENT, state.PLAYGROUND_KEPT_FILES):
        session.pop(key, None)
    if kept.unsent is not None:
        session[state.PLAYGROUND_UNSENT] = (kept.unsent[0], [], kept.unsent[1])


def new_id() -> str:
    """One that nobody can guess."""
    return secrets.token_urlsafe(_RANDOM_BYTES)
