"""A run's answer: while it is written, when it is done, when it failed; and its facts."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import streamlit as st

from core.errors import ErrorCode
from core.providers import registry
from core.services.remedies import REMEDIES, RemedyAction
from core.services.run_view import RunView
from core.storage.records import Backend, RunStatus
from dashboard import formatting, routes
from dashboard.components.answer_text import answer_text
from dashboard.components.failure import literal, told
from dashboard.components.marks import BACKEND_LABELS, STATUS_LABELS, error_words

_OFFLINE: Final = "offline demo"
_FINISHED: Final = {"length": "cut at max tokens", "content_filter": "cut by the provider"}
_NOTE_CHARS: Final = 16
"""What fits in one line below a figure; figures stand as close together as on a narrow screen."""


def result(run: RunView, *, raw: bool, height: int | None = None) -> None:
    """Draws the answer and, if it failed, why. What was received before a failure stays.

    Args:
        run: As it is now.
        raw: As plain text instead of Markdown.
        height: In pixels; a longer answer scrolls. None: as tall as it is.
    """
    with st.container(height=height or "content", border=False, autoscroll=False):
        if run.text:
            answer_text(run.text, raw=raw and not run.under_way)
        elif run.under_way:
            st.markdown(f":gray[:shimmer[{_waiting_for(run)}]]")
        elif run.succeeded:
            st.caption("The model answered with an empty text.")
        if run.status is not RunStatus.SUCCEEDED and not run.under_way:
            failure(run)
        if run.store_error:
            st.warning(told(run.store_error), icon=":material/database_off:", title="This run is not stored")


def failure(run: RunView) -> None:
    """Draws why a run has no whole answer, and what to do."""
    if run.status is RunStatus.CANCELLED:
        kept = "What was received until then is kept." if run.text else "Nothing had been received."
        st.info(kept, title=STATUS_LABELS[run.status], icon=":material/stop_circle:")
        return
    code = run.error_code or ErrorCode.INTERNAL_ERROR.value
    remedy = REMEDIES.get(ErrorCode(code)) if code in ErrorCode.__members__ else None
    said = told(run.error_message or "")
    st.error(
        f"{said}\n\n:small[`{code}`]" + (" :small[· the answer above is incomplete]" if run.text else ""),
        title=remedy.title if remedy else "The run failed",
        icon=":material/error:",
    )
    if remedy is not None:
        st.caption(told(remedy.remedy))
        if remedy.action is RemedyAction.ADD_KEY:
            routes.page_link(routes.SETTINGS, "Credentials", icon=":material/key:")


def progress(run: RunView, *, stop: Callable[[Sequence[UUID]], None] | None, key: str) -> None:
    """Draws how far a run under way is.

    Args:
        run: As it is now.
        stop: What a stop button calls; None for no button.
        key: The button's.
    """
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(progress_line(run), width="content")
        if stop is not None and not run.elsewhere:
            st.button(
                "Stop",
                icon=":material/stop:",
                key=key,
                on_click=stop,
                args=([run.run_id],),
                disabled=run.stopping,
            )


def progress_line(run: RunView) -> str:
    """How long it takes already, and which attempt it is."""
    parts = ["Stopping"] if run.stopping else []
    if run.elapsed_us:
        parts.append(formatting.duration(run.elapsed_us))
    if run.fell_back_from is not None and run.under_way:
        parts.append(f"fell back from {BACKEND_LABELS[run.fell_back_from]}")
    if run.first_token_us is not None:
        parts.append(f"first token after {formatting.duration(run.first_token_us)}")
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}, after {error_words(run.retry_reason)}")
    return literal(" · ".join(parts)) or "Starting"


def figures(run: RunView) -> None:
    """Draws the facts of a finished run, each under its name; what is long to say about them stands below."""
    found = _figures(run)
    with st.grid("auto", min_column_width=95, gap=("xsmall", "small")):
        for label, value, note in found:
            below = f"  \n:small[:gray[{literal(note)}]]" if note and len(note) <= _NOTE_CHARS else ""
            st.markdown(f":small[:gray[{label}]]  \n**{literal(value)}**{below}")
    if long := [note for _, _, note in found if len(note) > _NOTE_CHARS]:
        st.caption(literal(" · ".join(long)))


def facts_line(run: RunView) -> str:
    """The facts of a finished run in one line of small type."""
    words = {
        "First token": "first token {}",
        "Tokens in": "{} tokens in",
        "Tokens out": "{} out",
        "Finish": "finish: {}",
    }
    parts = [
        words.get(label, "{}").format(value) + (f" ({note})" if note and note != _OFFLINE else "")
        for label, value, note in _figures(run)
        if (label, value) != ("Finish", "stop") and value != formatting.NO_VALUE
    ]
    return literal(" · ".join(parts))


def _figures(run: RunView) -> list[tuple[str, str, str]]:
    """Name, value and note of each fact."""
    found = [("Latency", formatting.duration(run.elapsed_us), _attempts(run))]
    if run.first_token_us is not None:
        found.append(("First token", formatting.duration(run.first_token_us), ""))
    both = run.input_tokens, run.output_tokens
    cached = f"{formatting.count(run.cached_input_tokens)} cached" if run.cached_input_tokens else ""
    found.append(("Tokens in", formatting.tokens(run.input_tokens, of=both), cached))
    reasoned = f"{formatting.count(run.reasoning_tokens)} reasoning" if run.reasoning_tokens else ""
    found.append(("Tokens out", formatting.tokens(run.output_tokens, of=both), reasoned))
    if (speed := run.output_tokens_per_second) is not None:
        found.append(("Speed", f"{speed:,.0f} tokens/s", ""))
    offline = run.provider in registry.specs() and registry.get_spec(run.provider).offline
    known = run.cost_nanousd is not None
    found.append(
        ("Cost", formatting.money(run.cost_nanousd) if known else "cost unknown", _OFFLINE if offline else "")
    )
    if run.backend is Backend.LAMBDA or run.fell_back_from is not None:
        note = (
            f"fell back from {BACKEND_LABELS[run.fell_back_from]}" if run.fell_back_from is not None else ""
        )
        found.append(("Ran on", BACKEND_LABELS[run.backend], note))
    if run.finish_reason is not None:
        found.append(("Finish", run.finish_reason.replace("_", " "), _FINISHED.get(run.finish_reason, "")))
    return found


def _attempts(run: RunView) -> str:
    return f"{run.attempt} attempts: {error_words(run.retry_reason)}" if run.attempt > 1 else ""


def _waiting_for(run: RunView) -> str:
    if run.elsewhere:
        return "Another process works on this run: stop it there. Its answer appears when it has ended"
    if run.waiting:
        return "Waiting for a free thread"
    if run.in_one_piece:
        return "Running on AWS Lambda, which cannot stream: the answer comes whole"
    return "Waiting to try again" if run.attempt > 1 else "Waiting for the first token"
