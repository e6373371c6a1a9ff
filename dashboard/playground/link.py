"""The playground's address: what a link opens, and what a reload or a second tab finds again."""

from typing import Final
from uuid import UUID

import streamlit as st

from core.errors import InvalidInput, InvocationError, NotFound
from dashboard import state
from dashboard.backend import application, principal
from dashboard.components import playground_draft as draft
from dashboard.playground import unsaved
from dashboard.playground.opening import CHAT, forget_results, is_chat, model_of, open_address

_DRAFT_GONE: Final = (
    "What was typed here is not kept any more: the server was started again, or much was typed since."
)
_FILES_GONE: Final = "What was typed is here again. Attach the files again: they are not kept over a reload."

_PARAMETERS: Final = (
    state.PLAYGROUND_MODE_PARAMETER,
    state.AGENT_ID,
    state.PLAYGROUND_VERSION,
    state.PLAYGROUND_RUNS,
    state.PLAYGROUND_PROVIDER,
    state.PLAYGROUND_MODEL,
    state.PLAYGROUND_SERVER,
)
_OURS: Final = (*_PARAMETERS, state.PLAYGROUND_DRAFT)


def adopt() -> str | None:
    """Brings the session in line with the address, before anything is drawn.

    Returns:
        Why what the address names could not be opened; None if it could.
    """
    link = tuple(st.query_params.get(name) for name in _PARAMETERS)
    given = st.query_params.get(state.PLAYGROUND_DRAFT)
    if draft.slots():
        if _is_back_to_bare(link, given):
            forget_results()
        if link == st.session_state.get(state.PLAYGROUND_LINK) or not any(link):
            write()
            return None
        if given == st.session_state.get(state.PLAYGROUND_DRAFT_ID) and link == _without_runs():
            # Back from a run to what was typed for it.
            forget_results()
            write()
            return None
    if given is not None and (kept := unsaved.drafts.get(given)) is not None and kept.link == link:
        problem = _restore(kept, given)
        write()
        return problem
    problem = open_address(*link)
    st.session_state[state.PLAYGROUND_OPENED] = unsaved.composed(_values()).typed()
    st.session_state[state.PLAYGROUND_DRAFT_ID] = unsaved.new_id()
    st.session_state[state.PLAYGROUND_BARE_LINK] = None if any(link) else _values()
    write()
    return problem or (_DRAFT_GONE if given is not None else None)


def write() -> None:
    """Puts what the session shows into the address, and keeps what was typed under the id that is there."""
    values = _values()
    typed = unsaved.composed(values)
    draft_id: str | None = st.session_state.get(state.PLAYGROUND_DRAFT_ID)
    if draft_id is not None and (
        typed.typed() == st.session_state.get(state.PLAYGROUND_OPENED)
        or not unsaved.drafts.put(draft_id, typed)
    ):
        draft_id = None
    given = {name: value for name in _OURS if (value := st.query_params.get(name)) is not None}
    ours = {name: value for name, value in zip(_OURS, (*values, draft_id), strict=True) if value is not None}
    # Each change that is written is a step of the browser's back button: Streamlit can add one, never replace one.
    bare = not given and draft_id is None and values == st.session_state.get(state.PLAYGROUND_BARE_LINK)
    if given != ours and not bare:
        others = {name: st.query_params.get_all(name) for name in st.query_params if name not in _OURS}
        st.query_params.from_dict({**others, **ours})
    st.session_state[state.PLAYGROUND_LINK] = values


def _values() -> tuple[str | None, ...]:
    """The parameters for what the session shows."""
    agent_id = draft.agent_of(draft.slots()[0])
    number = draft.field(draft.slots()[0], "version") if agent_id else None
    return (
        CHAT if is_chat() else None,
        str(agent_id) if agent_id else None,
        str(number) if number else None,
        ",".join(str(run_id) for run_id in _shown()) or None,
        *_asked_model(),
    )


def _is_back_to_bare(link: tuple[str | None, ...], given: str | None) -> bool:
    """Whether the browser went back from a run to the page as it was opened: from the menu, the run stays."""
    arrived = st.session_state.get(state.ARRIVED, True)
    return not any(link) and given is None and not arrived and _without_runs() != _last_link()


def _last_link() -> tuple[str | None, ...]:
    """The parameters as they were last written."""
    return st.session_state.get(state.PLAYGROUND_LINK, ())


def _without_runs() -> tuple[str | None, ...]:
    """The parameters as they were last written, but for the runs."""
    return tuple(
        None if name == state.PLAYGROUND_RUNS else value
        for name, value in zip(_PARAMETERS, _last_link(), strict=False)
    )


def _restore(kept: unsaved.Composed, draft_id: str) -> str | None:
    """Brings back what was typed before a reload; what could not be kept."""
    unsaved.restore(kept)
    st.session_state[state.PLAYGROUND_DRAFT_ID] = draft_id
    first = kept.shown.get(kept.slots[0])
    if kept.files and first is not None:
        try:
            attached = application().runs.spec_as_typed(principal(), first).attachments
        except (InvocationError, InvalidInput, NotFound):
            return _FILES_GONE
        st.session_state[state.PLAYGROUND_KEPT_FILES] = list(attached)
    return None if len(draft.kept_files()) >= kept.files else _FILES_GONE


def _asked_model() -> tuple[str | None, str | None, str | None]:
    """What the address asked for beside the agent, if the first column still has it and shows no run."""
    asked: tuple[str, str, str | None] | None = st.session_state.get(state.PLAYGROUND_ASKED_MODEL)
    if asked is None or _shown():
        return None, None, None
    return asked if model_of(draft.slots()[0]) == asked else (None, None, None)


def _shown() -> list[UUID]:
    if is_chat():
        return [run_id for run_id, _ in st.session_state.get(state.PLAYGROUND_TURNS, [])]
    shown: dict[int, UUID] = st.session_state.get(state.PLAYGROUND_SHOWN, {})
    return [shown[slot] for slot in draft.slots() if slot in shown]


def new_chat() -> None:
    """Begins a conversation anew, with the same configuration."""
    for key in (state.PLAYGROUND_TURNS, state.PLAYGROUND_PRELUDE, state.PLAYGROUND_UNSENT):
        st.session_state.pop(key, None)
