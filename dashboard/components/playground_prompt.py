"""What is asked: the prompt, a field for each of its variables, the context, files."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import streamlit as st

from core.contract import MAX_ATTACHMENT_BYTES
from core.errors import InvalidInput
from core.pricing.estimate import Estimate
from dashboard import formatting, state
from dashboard.components import playground_draft as draft
from dashboard.components.failure import literal

_EXTENSIONS: Final = {
    "image/png": ("png",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "application/pdf": ("pdf",),
}


def extensions_of(media_types: Collection[str]) -> list[str]:
    """The endings of the files of these types, for an upload."""
    return [
        extension
        for name, extensions in _EXTENSIONS.items()
        if name in media_types
        for extension in extensions
    ]


def prompt(*, agent_prompt: str, use_agent_prompt: Callable[[str], None]) -> None:
    """Draws the shared prompt.

    Args:
        agent_prompt: The prompt of the agent in the first column, "" if it has none.
        use_agent_prompt: Puts that in the place of what was typed.
    """
    st.text_area(
        "Prompt",
        key=state.PLAYGROUND_PROMPT,
        persist_state="session",
        height="content",
        placeholder="What to ask. Write {{name}} for a variable: it gets a field below.",
    )
    if agent_prompt and draft.shared_prompt() != agent_prompt:
        st.button(
            "Use the agent's prompt",
            icon=":material/undo:",
            type="tertiary",
            on_click=use_agent_prompt,
            args=(agent_prompt,),
        )


def own_prompt(slot: int) -> None:
    """Draws the choice of a prompt that only this column sends."""
    own = st.toggle(
        "A prompt of its own",
        key=state.playground_field(slot, "own_prompt"),
        persist_state="session",
        help="Instead of the prompt that all columns share.",
    )
    if own:
        st.text_area(
            "Prompt of this column",
            key=state.playground_field(slot, "prompt"),
            persist_state="session",
            height="content",
        )


def variables(names: Sequence[str], *, missing: Collection[str]) -> None:
    """Draws a field for each variable, its name on the left; marked are those that need a value and have none."""
    for name in names:
        left, right = st.columns([1, 3], gap="xsmall")
        mark = "  \n:orange[:small[:material/edit_note: needs a value]]" if name in missing else ""
        left.markdown(f":small[`{name}`]{mark}")
        right.text_area(
            name,
            key=state.playground_variable(name),
            persist_state="session",
            height=68,
            placeholder=f"The value of {{{{{name}}}}}",
            label_visibility="collapsed",
        )


def context() -> None:
    """Draws the context, and says where its JSON is wrong."""
    st.text_area(
        "Context (JSON)",
        key=state.PLAYGROUND_CONTEXT,
        persist_state="session",
        height="content",
        placeholder='{"customer": {"name": "Ada", "plan": "team"}}',
        help="A JSON object that goes before the prompt, in the user's turn.",
    )
    try:
        draft.context()
    except InvalidInput as exc:
        st.caption(f":red[{literal(str(exc))}]")


def files(reads: Sequence[frozenset[str]], *, forget: Callable[[], None]) -> None:
    """Draws the upload, for what at least one of the models reads.

    Args:
        reads: The media types that the model of each column reads.
        forget: Drops the files of a run that was opened again.
    """
    types = extensions_of(frozenset[str]().union(*reads))
    st.file_uploader(
        "Images and PDF files",
        # Every type, whatever the model: with another list it would be another widget, and the files lost.
        type=extensions_of(_EXTENSIONS),
        accept_multiple_files=True,
        max_upload_size=MAX_ATTACHMENT_BYTES // (1024 * 1024),
        key=state.PLAYGROUND_FILES,
        disabled=not types and not draft.file_types(),
    )
    if not types:
        st.caption("The chosen model takes text only.")
    elif len(types) < len(extensions_of(_EXTENSIONS)):
        whose = "The chosen model reads" if len(reads) == 1 else "Of the chosen models, one at least reads"
        st.caption(f"{whose} {formatting.listed(types)} files.")
    if kept := draft.kept_files():
        names = ", ".join(file.name or file.media_type for file in kept)
        st.caption(f"From the run that was opened: {literal(names)}")
        st.button("Remove them", icon=":material/close:", type="tertiary", on_click=forget)


def context_summary() -> str:
    """The label of the folded part: what is in it."""
    parts: list[str] = []
    if (st.session_state.get(state.PLAYGROUND_CONTEXT) or "").strip():
        parts.append("context")
    if count := len(draft.file_types()):
        parts.append("1 file" if count == 1 else f"{count} files")
    return f"Context and files · {', '.join(parts)}" if parts else "Context and files"


def estimate_line(estimate: Estimate, *, offline: bool) -> str:
    """What a run may cost, as text."""
    tokens = _range(estimate.input_tokens_low, estimate.input_tokens_high)
    limit = estimate.output_tokens_high
    answer = "" if limit is None else f", at most {formatting.count(limit)} out"
    return f"{tokens} tokens in{answer} · {cost_text(estimate, offline=offline)}"


def cost_text(estimate: Estimate, *, offline: bool) -> str:
    """The cost alone."""
    if offline:
        return "free (offline demo)"
    if estimate.cost_low_nanousd is None:
        return "cost unknown: this model has no known price"
    low = formatting.money(estimate.cost_low_nanousd)
    if estimate.cost_high_nanousd is None:
        return f"{low} or more: {_open_end(estimate)}"
    return f"{low} to {formatting.money(estimate.cost_high_nanousd)}"


def _open_end(estimate: Estimate) -> str:
    reasons: list[str] = []
    if estimate.input_tokens_high is None:
        reasons.append("how many tokens the files take is not known")
    if estimate.output_tokens_high is None:
        reasons.append("nothing limits the answer")
    return ", and ".join(reasons) or "the price has no known end"


def _range(low: int, high: int | None) -> str:
    return (
        f"{formatting.count(low)} or more"
        if high is None
        else f"{formatting.count(low)} to {formatting.count(high)}"
    )
