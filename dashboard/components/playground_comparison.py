"""Columns side by side: where they stand, and what stands out among their runs."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import ErrorCode
from core.services.comparison import Comparison
from core.services.remedies import REMEDIES
from core.services.run_view import RunView
from core.storage.records import RunStatus
from dashboard import formatting, routes, state
from dashboard.components.failure import literal
from dashboard.components.playground_result import facts_line

_NARROWEST_PX: Final = 220
_GAP_PX: Final = 16
_CHARACTERS_PER_LINE: Final = {2: 64, 4: 36, 6: 30}
"""By the number of columns, else 42: four and six stand in one row where the window is wide."""

_LINE_PX: Final = 24
_FAILURE_FRAME_PX: Final = 104
"""The box's edges, the line with the error's code, and the space before the remedy."""


def card_grid(count: int) -> list[DeltaGenerator]:
    """Makes a bordered container for each column: in one row if there is room, else in rows of equal length.

    Four and six columns are halved rather than left with a single one in the last row.
    """
    if count in (4, 6):
        half = count // 2
        outer = st.grid(2, min_column_width=half * (_NARROWEST_PX + _GAP_PX), gap="small")
        inner = [outer.cell().grid(half, min_column_width=_NARROWEST_PX, height="stretch") for _ in range(2)]
        places = [grid for grid in inner for _ in range(half)]
    else:
        places = [st.grid(min(count, 3), min_column_width=_NARROWEST_PX)] * count
    return [place.container(border=True, height="stretch", gap="small") for place in places]


def summary(comparison: Comparison, runs: Sequence[RunView], letters: dict[UUID, str]) -> None:
    """Draws what came out, in one line, and the choice how answers are shown."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(summary_line(comparison, runs, letters), width="content")
        st.toggle("Plain text", key=state.PLAYGROUND_RAW, persist_state="session")


def summary_line(comparison: Comparison, runs: Sequence[RunView], letters: dict[UUID, str]) -> str:
    """What came out, as text."""
    by_id = {run.run_id: run for run in runs}
    parts = [f"{comparison.finished} of {len(runs)} done"]
    if comparison.finished:
        unpriced = f", unpriced: {comparison.unpriced}" if comparison.unpriced else ""
        together = formatting.money_known(comparison.cost_nanousd, comparison.unpriced)
        parts.append(f"{together} together{unpriced}")
    if marked := comparison.fastest:
        names = formatting.listed([letters[run_id] for run_id in marked])
        parts.append(f"fastest {names}, {formatting.duration(by_id[marked[0]].elapsed_us)}")
    if marked := comparison.cheapest:
        names = formatting.listed([letters[run_id] for run_id in marked])
        parts.append(f"cheapest {names}, {formatting.money(by_id[marked[0]].cost_nanousd)}")
    return literal(" · ".join(parts))


def foot(run: RunView, comparison: Comparison) -> None:
    """Draws a finished run's facts, what stands out about it, and the link to it."""
    st.caption(facts_line(run))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        routes.run_link(run.run_id, "Open run", icon=":material/arrow_outward:")
        if run.run_id in (*comparison.fastest, *comparison.cheapest):
            with st.container(horizontal=True, gap="xsmall", width="content"):
                if run.run_id in comparison.fastest:
                    st.badge("Fastest", icon=":material/bolt:", color="blue")
                if run.run_id in comparison.cheapest:
                    st.badge("Cheapest", icon=":material/savings:", color="green")


def answer_height(runs: Sequence[RunView], columns: int) -> int:
    """One height for all answers, so that their facts stand in line: the longest one's, within bounds."""
    per_line = _CHARACTERS_PER_LINE.get(columns, 42)
    longest = max((_text_px(run, per_line) + _failure_px(run, per_line) for run in runs), default=0)
    return min(max(96, longest), 420)


def _text_px(run: RunView, per_line: int) -> int:
    return _LINE_PX * _lines(run.text, per_line) + 40 if run.text else 0


def _failure_px(run: RunView, per_line: int) -> int:
    """How high the box of a failure is, with its remedy; 0 for an answer."""
    if run.error_code is None or run.status is RunStatus.CANCELLED:
        return 0
    remedy = REMEDIES.get(ErrorCode(run.error_code)) if run.error_code in ErrorCode.__members__ else None
    # Within the box there is room for fewer characters, and for fewer still beside its icon.
    said = _lines(remedy.title if remedy else "", per_line * 2 // 3) + _lines(
        run.error_message or "", per_line * 5 // 6
    )
    return _LINE_PX * (said + _lines(remedy.remedy if remedy else "", per_line)) + _FAILURE_FRAME_PX


def _lines(text: str, per_line: int) -> int:
    return sum(1 + len(line) // per_line for line in text.splitlines())
