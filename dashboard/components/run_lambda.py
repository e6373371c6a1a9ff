"""What AWS reported of an attempt on Lambda, why a run ran where it did, and the way out of an unknown outcome."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, assert_never

import streamlit as st

from core.services.log_lines import LogQuery
from core.storage.records import AttemptReason, AttemptRecord, Backend, RunDetail, RunStatus
from dashboard import formatting
from dashboard.components.failure import literal
from dashboard.components.marks import BACKEND_LABELS, error_words

_LATE: Final = timedelta(minutes=2)
"""CloudWatch takes lines in late; and the function's clock is not ours."""


def why(attempt: AttemptRecord, before: AttemptRecord | None) -> str:
    """Why an attempt was made, in a few words; a dash for the first."""
    code = error_words(before.error_code) if before is not None else "an error"
    match attempt.reason:
        case None:
            return formatting.NO_VALUE
        case AttemptReason.RETRY:
            return f"again, after {code}"
        case AttemptReason.FALLBACK:
            where = BACKEND_LABELS[before.backend if before is not None else Backend.LAMBDA]
            return f"fell back from {where}, after {code}"
        case AttemptReason.UNKNOWN:
            return ":orange-badge[second generation] the outcome of the first is unknown"
        case _:
            assert_never(attempt.reason)


def backend_note(detail: RunDetail) -> None:
    """Draws why it ran where it did, where its attempts do not tell."""
    if detail.backend_note is not None:
        st.info(literal(detail.backend_note), icon=":material/alt_route:")


def run_it_locally(detail: RunDetail) -> bool:
    """Draws the way out of an unknown outcome on Lambda; True when it is taken."""
    if detail.summary.status is not RunStatus.OUTCOME_UNKNOWN or detail.summary.backend is not Backend.LAMBDA:
        return False
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button("Run it locally", icon=":material/computer:", type="primary", key="run-locally")
        st.caption(
            "The same request, on this machine. If the function did complete it after all, it is billed twice."
        )
    return pressed


def reported(attempt: AttemptRecord) -> None:
    """Draws what AWS reported of one attempt; one line where it reported nothing."""
    if attempt.lambda_request_id is None:
        if attempt.lambda_compute_nanousd == 0:
            st.caption(
                ":material/block: Nothing ran there, and nothing is billed: AWS refused it, or was out of reach."
            )
        else:
            st.caption(
                ":material/help: AWS sent no report with the answer: what it billed is unknown, not zero. The runtime "
                "emulator never sends one."
            )
        return
    with st.grid("auto", min_column_width=120, gap=("xsmall", "small")):
        for label, value in _facts(attempt):
            st.markdown(f":small[:gray[{label}]]  \n**{value}**")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Request id", width="content")
        st.code(attempt.lambda_request_id, language=None)
    if attempt.lambda_price_source is not None:
        st.caption(f"Price: {literal(attempt.lambda_price_source)}")


def log_query(attempt: AttemptRecord) -> LogQuery:
    """Which lines of the function's log are the attempt's."""
    ids = [str(attempt.run_id)] if attempt.lambda_request_id is None else [attempt.lambda_request_id]
    return LogQuery(since=attempt.started_at - _LATE, until=attempt.finished_at + _LATE, ids=ids)


def on_lambda(attempts: Sequence[AttemptRecord]) -> list[AttemptRecord]:
    """Those that ran, or were to run, on AWS Lambda."""
    return [attempt for attempt in attempts if attempt.backend is Backend.LAMBDA]


def _facts(attempt: AttemptRecord) -> list[tuple[str, str]]:
    cold = {True: "yes", False: "no", None: formatting.UNKNOWN}[attempt.lambda_cold_start]
    start = attempt.lambda_init_us if attempt.lambda_init_us is not None else attempt.lambda_restore_us
    began = "Init" if attempt.lambda_restore_us is None else "Restored in"
    found = [
        ("Billed", _milliseconds(attempt.lambda_billed_ms)),
        ("Function's own time", _unknown_or(attempt.lambda_duration_us)),
        ("Cold start", cold),
        (began, _unknown_or(start) if attempt.lambda_cold_start is None else formatting.duration(start)),
        ("Memory used", _memory(attempt)),
        ("Architecture", attempt.lambda_architecture or formatting.UNKNOWN),
        ("Region", attempt.lambda_region or formatting.UNKNOWN),
        ("Compute", formatting.money(attempt.lambda_compute_nanousd)),
        ("Request", formatting.money(attempt.lambda_request_nanousd)),
    ]
    return [(label, literal(value)) for label, value in found]


def _memory(attempt: AttemptRecord) -> str:
    used, of = attempt.lambda_max_memory_mb, attempt.lambda_memory_mb
    if used is None and of is None:
        return formatting.UNKNOWN
    return f"{formatting.UNKNOWN if used is None else used} of {formatting.UNKNOWN if of is None else of} MB"


def _milliseconds(number: int | None) -> str:
    return formatting.UNKNOWN if number is None else f"{number:,} ms"


def _unknown_or(microseconds: int | None) -> str:
    return formatting.UNKNOWN if microseconds is None else formatting.duration(microseconds)
