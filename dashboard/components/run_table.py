"""A page of runs as a table: what happened, when, to whom, how long it took and what it cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.providers import registry
from core.storage.records import RunStatus, RunSummary
from dashboard import formatting, palette
from dashboard.components.marks import STATUS_LABELS, TRIGGER_LABELS, provider_color, provider_label

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
        frame.style.map(_status_style, subset=["status"])
        .apply(_provider_styles, subset=["provider"])
        .map(_cost_style, subset=["cost"])
        .format(_written(formatting.duration), subset=["latency"])
        .format(_written(formatting.count), subset=["input", "output"]),
        hide_index=True,
        height="content",
        placeholder=formatting.NO_VALUE,
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


def _written(formatted: Callable[[float], str]) -> Callable[[float], str]:
    # What is missing is pandas' NaN here; the table puts its placeholder there.
    return lambda number: "" if pd.isna(number) else formatted(number)


def _columns(zone: ZoneInfo) -> dict[str, Any]:
    config = st.column_config
    # In this order and of these widths: at 1280 pixels all up to the cost is seen, and no column is cut in two.
    return {
        "open": config.ButtonColumn("", width=54, type="tertiary", key=_OPEN_KEY, help="Open the run"),
        "status": config.TextColumn("Status", width=124),
        "started": config.DatetimeColumn(f"Started ({zone.key})", width=108, format="MMM D, HH:mm:ss"),
        "agent": config.TextColumn("Agent", width=122),
        "provider": config.TextColumn("Provider", width=90),
        "model": config.TextColumn("Model", width=104),
        "prompt": config.TextColumn("Prompt", width=126, help="The beginning of the last message"),
        "latency": config.NumberColumn("Latency", width=70),
        "cost": config.TextColumn("Cost", width=80, alignment="right"),
        "input": config.NumberColumn("Tokens in", width=76),
        "output": config.NumberColumn("Tokens out", width=80),
        "error": config.TextColumn("Error", width=170),
        "trigger": config.TextColumn("Trigger", width=96),
    }


def _row(run: RunSummary, zone: ZoneInfo) -> dict[str, Any]:
    running = run.status is RunStatus.RUNNING
    return {
        "open": "Open",
        "status": f"● {STATUS_LABELS[run.status]}",
        # Without its zone, which the column's title says: the table would show it in the browser's own.
        "started": run.created_at.astimezone(zone).replace(tzinfo=None),
        "agent": run.agent_name or "",
        "provider": provider_label(run.provider),
        "model": run.model,
        "prompt": run.prompt_preview,
        "latency": run.latency_us,
        "cost": formatting.NO_VALUE if running else formatting.money(run.cost_nanousd),
        "input": run.input_tokens,
        "output": run.output_tokens,
        "error": run.error_code or "",
        "trigger": TRIGGER_LABELS[run.trigger],
    }


_STATUS_COLORS = {f"● {label}": palette.STATUS[status] for status, label in STATUS_LABELS.items()}


def _status_style(text: str) -> str:
    return f"color: {_STATUS_COLORS.get(text, palette.STATUS[RunStatus.FAILED])}"


def _provider_styles(labels: pd.Series) -> list[str]:
    colors = {provider_label(name): provider_color(name) for name in registry.specs()}
    return [f"color: {colors.get(label, palette.OTHER)}" for label in labels]


def _cost_style(text: str) -> str:
    return f"color: {palette.OTHER}" if text in (formatting.UNKNOWN, formatting.NO_VALUE) else ""
