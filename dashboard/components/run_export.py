"""The export of the filtered runs: its form, its progress, its download."""

from collections.abc import Callable
from typing import Final, Literal
from uuid import UUID

import streamlit as st

from core.errors import NotFound
from core.services.export import ExportFormat
from core.services.export_jobs import ExportJob, ExportState
from dashboard import state
from dashboard.routes import export_url

_POLL_SECONDS: Final = 0.5

_FORM_LABELS = {ExportFormat.CSV: "CSV", ExportFormat.JSONL: "JSON lines"}
_FORM_HELP = {
    ExportFormat.CSV: "One row a run, for a spreadsheet. An unknown figure is an empty cell, never 0. "
    "A text that begins like a formula gets a ' before it.",
    ExportFormat.JSONL: "One object a run with its whole request and every attempt, exactly as they are, for programs.",
}


def export_form(*, runs: int) -> ExportFormat | None:
    """Draws the form; the chosen format once the button is pressed.

    Args:
        runs: How many there are.
    """
    st.markdown(f"**{runs:,}** runs pass the filters. The file holds their prompts and answers.")
    form = st.segmented_control(
        "Format",
        list(ExportFormat),
        default=ExportFormat.CSV,
        required=True,
        format_func=_FORM_LABELS.__getitem__,
        key="runs-export-format",
    )
    form = form or ExportFormat.CSV
    st.caption(_FORM_HELP[form])
    start = st.button(
        "Export", type="primary", icon=":material/download:", disabled=runs == 0, key="runs-export-start"
    )
    return form if start else None


def export_progress(job: ExportJob) -> Literal["cancel", "again"] | None:
    """Draws how far the export is, and the link once it is done.

    Returns:
        "cancel" or "again" when that button was pressed.
    """
    match job.state:
        case ExportState.WORKING:
            total = f" of {job.total:,}" if job.total is not None else ""
            st.progress(job.share, text=f"{job.written:,}{total} runs · {_size(job.size_bytes)}")
            return "cancel" if st.button("Stop", icon=":material/stop:", key="runs-export-cancel") else None
        case ExportState.READY:
            st.success(
                f"{job.written:,} runs, {_size(job.size_bytes)}. The file is kept for an hour.",
                icon=":material/check_circle:",
            )
            with st.container(horizontal=True):
                st.link_button(
                    f"Download {job.file_name}",
                    export_url(job.id),
                    type="primary",
                    icon=":material/download:",
                )
                return "again" if st.button("Export again", key="runs-export-again") else None
        case ExportState.FAILED:
            st.error(job.error or "", icon=":material/error:", title="The export failed")
        case ExportState.CANCELLED:
            st.info("The export was stopped; its file is gone.", icon=":material/stop_circle:")
    return "again" if st.button("Export again", key="runs-export-again") else None


def _size(size_bytes: int) -> str:
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1_000:,.0f} kB"
    return f"{size_bytes / 1_000_000:,.1f} MB"


@st.dialog("Export runs", icon=":material/download:")
def export_dialog(
    *,
    runs: int,
    filtered: str,
    start: Callable[[ExportFormat], UUID],
    find: Callable[[UUID], ExportJob],
    stop: Callable[[UUID], None],
) -> None:
    """Draws the form, then the progress of what it began; closed and opened again, it shows the same export.

    All of it is drawn again and again while it is open: what is lost of one drawing on the way to the browser comes
    with the next one. To draw the whole page instead would close it.

    Args:
        runs: How many pass the filters.
        filtered: What the filters are: an export of other ones is not shown as if it were of these.
        start: Begins the export and returns its id.
        find: The export of an id; raises NotFound.
        stop: Stops it.
    """

    def draw() -> None:
        job = _begun(filtered, find)
        if job is None:
            form = export_form(runs=runs)
            if form is not None:
                st.session_state[state.RUNS_EXPORT] = (filtered, start(form))
                st.rerun(scope="fragment")
            return
        match export_progress(job):
            case "cancel":
                stop(job.id)
                st.rerun(scope="fragment")
            case "again":
                del st.session_state[state.RUNS_EXPORT]
                st.rerun(scope="fragment")
            case None:
                pass

    st.fragment(draw, run_every=_POLL_SECONDS)()


def _begun(filtered: str, find: Callable[[UUID], ExportJob]) -> ExportJob | None:
    kept = st.session_state.get(state.RUNS_EXPORT)
    if kept is None or kept[0] != filtered:
        return None
    try:
        return find(kept[1])
    except NotFound:
        return None
