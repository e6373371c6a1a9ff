"""The playground's chat mode: one configuration, and a conversation of which each turn is a stored run."""

import streamlit as st

from core.contract import MAX_ATTACHMENT_BYTES
from core.errors import AgentLauncherError
from dashboard import state
from dashboard.components import playground_chat as chat_view
from dashboard.components import playground_configuration as configuration
from dashboard.components import playground_draft as draft
from dashboard.components import playground_prompt as prompt_view
from dashboard.following import follow
from dashboard.playground import actions, column_view, files
from dashboard.playground.prompt_mode import POLL_SECONDS

_INPUT = "playground.chat_input"


def chat_mode() -> None:
    """Draws it; the configuration is the first column's."""
    column = actions.column(draft.slots()[0], chat=True)
    turns = actions.turns()
    under_way = bool(turns) and turns[-1].run.under_way
    left, right = st.columns([5, 8], gap="medium")
    with left:
        _configuration(column)
    raw = bool(st.session_state.get(state.PLAYGROUND_RAW))
    with right:
        talk = st.container(border=True, height=chat_view.HEIGHT_PX, autoscroll=True)
        with talk:
            chat_view.earlier(actions.prelude(), turns[:-1], raw=raw)
            place = st.container()
            _unsent(column.slot)
            if not turns and not actions.prelude() and state.PLAYGROUND_UNSENT not in st.session_state:
                _empty(column)
        _input(column, disabled=under_way)
        column_view.estimate(column, before="The next turn, without its own text")

    def draw() -> bool:
        now = actions.turns()[-1:]
        with place:
            for turn in now:
                if turn.run.under_way:
                    chat_view.asked(turn.prompt)
                    chat_view.answering(turn, stop=actions.stop)
                else:
                    chat_view.earlier([], [turn], raw=raw)
        return any(turn.run.under_way for turn in now)

    follow(draw, every_s=POLL_SECONDS if under_way else None)


def _configuration(column: actions.Column) -> None:
    choices = column_view.choices_of(column)
    with st.container(border=True, gap="xsmall"):
        column_view.head(column, choices, chat=True)
    with st.container(border=True, gap="small"):
        configuration.system_prompt(column.slot)
        prompt_view.variables(column.variables, missing=column.missing)
        column_view.folded_parameters(column, choices)
        column_view.backend(column, chat=True)
        with st.expander("Context", icon=":material/data_object:"):
            prompt_view.context()


def _input(column: actions.Column, *, disabled: bool) -> None:
    types = prompt_view.extensions_of(actions.reads(column.slot))
    st.chat_input(
        "The answer is being written" if disabled else f"Ask {draft.field(column.slot, 'model')}",
        key=_INPUT,
        accept_file="multiple" if types else False,
        file_type=types or None,
        max_upload_size=MAX_ATTACHMENT_BYTES // (1024 * 1024),
        disabled=disabled,
        on_submit=_submit,
        args=(column.slot,),
    )


def _submit(slot: int) -> None:
    given = st.session_state[_INPUT]
    text = given if isinstance(given, str) else given.text
    uploaded = [] if isinstance(given, str) else given.files
    try:
        attached = [files.as_attachment(file.name, file.type, file.getvalue()) for file in uploaded]
    except AgentLauncherError as exc:
        st.session_state[state.PLAYGROUND_UNSENT] = (
            text,
            [],
            f"{exc} To send it again leaves the files out.",
        )
        return
    actions.send(slot, text, attached)


def _unsent(slot: int) -> None:
    kept = st.session_state.get(state.PLAYGROUND_UNSENT)
    if kept is None:
        return
    text, attached, reason = kept
    chat_view.unsent(
        text,
        reason,
        again=lambda: actions.send(slot, text, attached),
        drop=lambda: st.session_state.pop(state.PLAYGROUND_UNSENT, None),
    )


def _empty(column: actions.Column) -> None:
    if not column_view.fault(column):
        st.caption(
            "Ask something below. Each turn is a run of its own, stored with its tokens, time and cost."
        )
