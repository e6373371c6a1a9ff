"""A page of runs as a table: what happened, when, to whom, how long it took and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.storage.records import RunStatus, RunSummary
from dashboard import formatting, palette
from dashboard.components.marks import AD_HOC, STATUS_LABELS, error_words, provider_color

_OPEN_KEY = "runs-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChoice:
    """What was clicked.

    Attributes:
        opened: The run whose row asked to be opened.
        selected: The runs whose boxes are ticked, from the top.
    """

    opened: UUID | None
    selected: tuple[UUID, ...]


def run_table(runs: Sequence[RunSummary], *, zone: ZoneInfo, key: str) -> TableChoice:
    """Draws the table.

    Args:
        runs: In the order to be shown.
        zone: Of the times.
        key: Another one for another page of runs: the ticked boxes are remembered by row.
    """
    frame = pd.DataFrame([_row(run, zone) for run in runs])
    shown = st.dataframe(
        frame.style.apply(_status_styles, statuses=[run.status for run in runs], subset=["status"])
        .apply(_model_styles, providers=[run.provider for run in runs], subset=["model"])
        .format(_latency, subset=["latency"])
        .format(_tokens, subset=["tokens"]),
        hide_index=True,
        height="content",
        placeholder=formatting.UNKNOWN,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=_columns(zone),
        alt="Runs, newest first",
    )
    click: Any = st.session_state.get(_OPEN_KEY)
    rows = [row for row in shown["selection"]["rows"] if row < len(runs)]
    return TableChoice(
        opened=runs[click["row"]].id if click and click["row"] < len(runs) else None,
        selected=tuple(runs[row].id for row in sorted(rows)),
    )


def _latency(number: float) -> str:
    return formatting.duration(number or None)


def _tokens(number: float) -> str:
    # What nobody said is pandas' NaN here; the table puts its placeholder there.
    return "" if pd.isna(number) else formatting.count(number) if number else formatting.NO_VALUE


def _columns(zone: ZoneInfo) -> dict[str, Any]:
    config = st.column_config
    # Of these widths, all of them stand side by side at 1280 pixels. A pinned column keeps its width on a wider
    # screen, so that what is left goes to the others; it is drawn paler.
    return {
        "open": config.ButtonColumn(
            "", width=50, type="tertiary", key=_OPEN_KEY, help="Open the run", pinned=True
        ),
        "started": config.DatetimeColumn(
            f"Started ({zone.key})", width=110, format="MMM D, HH:mm:ss", pinned=True
        ),
        "latency": config.NumberColumn("Latency", width=66, pinned=True),
        "tokens": config.NumberColumn("Tokens", width=68, help="Input and output together", pinned=True),
        "cost": config.TextColumn("Cost", width=74, alignment="right", pinned=True),
        "status": config.TextColumn("Status", width=184, help="With the error, if it failed"),
        "agent": config.TextColumn("Agent", width=112),
        "model": config.TextColumn("Model", width=108, help="In its provider's colour"),
        "prompt": config.TextColumn("Prompt", width=102, help="The beginning of the last message"),
    }


def _row(run: RunSummary, zone: ZoneInfo) -> dict[str, Any]:
    running = run.status is RunStatus.RUNNING
    failed_with = run.error_code if run.status is RunStatus.FAILED else None
    error = f": {error_words(failed_with)}" if failed_with else ""
    return {
        "open": "Open",
        # Without its zone, which the column's title says: the table would show it in the browser's own.
        "started": run.created_at.astimezone(zone).replace(tzinfo=None),
        "latency": run.latency_us or 0,
        "tokens": 0 if running else _together(run),
        "cost": formatting.NO_VALUE if running else formatting.money(run.cost_nanousd),
        "status": f"● {STATUS_LABELS[run.status]}{error}",
        "agent": run.agent_name or AD_HOC,
        "model": run.model,
        "prompt": run.prompt_preview,
    }


def _together(run: RunSummary) -> int | None:
    if run.input_tokens is None or run.output_tokens is None:
        return None
    return run.input_tokens + run.output_tokens


def _status_styles(texts: pd.Series, *, statuses: Sequence[RunStatus]) -> list[str]:
    del texts
    return [f"color: {palette.STATUS[status]}" for status in statuses]


def _model_styles(models: pd.Series, *, providers: Sequence[str]) -> list[str]:
    del models
    return [f"color: {provider_color(provider)}" for provider in providers]
