"""The comparison of models: the figures that sum it up, and the table, the cheapest first."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.providers import registry
from core.redaction import redact
from core.services.cost_guidance import Guidance
from core.services.model_cost import LONG_CONTEXT_TOKENS, ModelCost, Standing
from core.services.money import usd
from dashboard import formatting, palette, state
from dashboard.components.failure import literal
from dashboard.components.marks import provider_color, provider_label
from dashboard.components.tables import Column, Kind, Table

_ROWS_WITHOUT_SCROLLING: Final = 22
_SHORTEST_BAR: Final = 0.03
_DIFFERENCES: Final = ("run_difference", "month_difference")
_CHEAPEST: Final = "Of those that fit and are not free."


def found(models: Sequence[ModelCost], search: str) -> list[ModelCost]:
    """Those whose name, provider or use has each word of the search in it."""
    words = search.lower().split()
    return [model for model in models if all(word in _searched(model) for word in words)]


def _searched(model: ModelCost) -> str:
    names = (model.model, model.label or "", *model.also, model.provider, provider_label(model.provider))
    return " ".join([*names, *model.good_for, model.server or ""]).lower()


def cost_metrics(guidance: Guidance, models: Sequence[ModelCost]) -> None:
    """Draws the row of figures.

    Args:
        guidance: The comparison.
        models: Those of it that are shown.
    """
    fitting = [m for m in models if m.standing is Standing.FITS]
    paid = [m for m in fitting if m.run_nanousd]
    baseline = guidance.baseline
    with st.grid(4, min_column_width=170):
        if baseline is not None:
            _metric("Now, a month", baseline.month_nanousd, baseline.model)
        if paid:
            _metric("Cheapest, a month", paid[0].month_nanousd, paid[0].model, help=_CHEAPEST)
            if baseline is None:
                middle = round(median(m.month_nanousd or 0 for m in paid))
                _metric("Median, a month", middle, f"{formatting.count(len(paid))} models")
            _metric("Dearest, a month", paid[-1].month_nanousd, paid[-1].model)
        unpriced = sum(m.standing is Standing.UNPRICED for m in models)
        too_small = sum(m.standing is Standing.TOO_SMALL for m in models)
        _figure(
            "Models",
            formatting.count(len(models)),
            f"too small: {too_small} · unpriced: {unpriced}",
            help="Too small: the workload does not fit the model's context window.",
        )


def _metric(label: str, nanousd: int | None, beside: str, *, help: str | None = None) -> None:
    _figure(label, formatting.fine_money(nanousd), beside, help=help)


def _figure(label: str, value: str, note: str, *, help: str | None = None) -> None:
    st.metric(
        label,
        value.replace("$", r"\$"),
        delta_description=literal(note),
        border=True,
        height="stretch",
        help=help,
    )


def signed(nanousd: int) -> str:
    """A difference with its sign: `+$0.12`, `-$3.40`, `$0.00`."""
    text = formatting.fine_money(nanousd)
    return f"+{text}" if nanousd > 0 else text.replace("-", "\N{MINUS SIGN}")


def cost_table(models: Sequence[ModelCost], *, with_baseline: bool) -> ModelCost | None:
    """Draws the table.

    Args:
        models: In the order to be shown.
        with_baseline: Whether there is one to compare with.

    Returns:
        The model whose button was pressed.
    """
    priced = sorted(m.run_nanousd for m in models if m.standing is Standing.FITS and m.run_nanousd)
    scale = (priced[0], priced[-1]) if priced else (1, 1)
    frame = pd.DataFrame([_row(model, scale=scale) for model in models])
    if not with_baseline:
        frame = frame.drop(columns=list(_DIFFERENCES))
    styled = (
        frame.style.apply(_provider_styles, subset=["provider"])
        .map(lambda _: f"color: {palette.OTHER}", subset=["note"])
        .format(_dollars, subset=["run", "month"])
        .format(_count, subset=["context"])
    )
    if with_baseline:
        styled = styled.format(_signed_dollars, subset=list(_DIFFERENCES))
    st.dataframe(
        styled,
        hide_index=True,
        height="content" if len(models) <= _ROWS_WITHOUT_SCROLLING else 800,
        placeholder=formatting.UNKNOWN,
        key=state.COSTS_TABLE,
        column_config=_columns(scale),
        column_order=_order(with_baseline=with_baseline),
        alt="Models with their cost, the cheapest first",
    )
    click: Any = st.session_state.get(state.COSTS_TRY)
    return models[click["row"]] if click and click["row"] < len(models) else None


def _order(*, with_baseline: bool) -> list[str]:
    """At 1280 pixels what a model is good for is still in view, also beside the differences."""
    first = ["try", "model", "provider", "run", "bar", "month"]
    middle = [*_DIFFERENCES, "good_for", "context"] if with_baseline else ["context", "good_for"]
    return [*first, *middle, "note"]


def _columns(scale: tuple[int, int]) -> dict[str, Any]:
    config = st.column_config
    least, most = (formatting.money(end).replace("$", r"\$") for end in scale)
    return {
        "try": config.ButtonColumn(
            "", width=44, type="tertiary", key=state.COSTS_TRY, help="Open in the playground"
        ),
        "model": config.TextColumn("Model", width=200),
        "provider": config.TextColumn("Provider", width=108),
        "run": config.NumberColumn("A run", width=80),
        "bar": config.ProgressColumn(
            "Log scale",
            width=84,
            format=" ",
            min_value=0.0,
            max_value=1.0,
            help=f"A run, from {least} to {most}: each further bit of the bar multiplies the price.",
        ),
        "month": config.NumberColumn("A month", width=76),
        "run_difference": config.NumberColumn(
            "Run \N{PLUS-MINUS SIGN}", width=78, help="A run, against the agent's own model"
        ),
        "month_difference": config.NumberColumn(
            "Month \N{PLUS-MINUS SIGN}", width=78, help="A month, against the agent's own model"
        ),
        "context": config.NumberColumn(
            "Context", width=70, help="Tokens of input and output together. Empty: unknown."
        ),
        "good_for": config.ListColumn(
            "Good for",
            width=340,
            help=f"Facts of the registry and the price list. Long context: {LONG_CONTEXT_TOKENS // 1000} k and more.",
        ),
        "note": config.TextColumn("Note", width=320),
    }


def _row(model: ModelCost, *, scale: tuple[int, int]) -> dict[str, Any]:
    cost = model.run_nanousd
    return {
        "try": ":material/play_circle:",
        "model": f"{model.model} (now)" if model.is_baseline else model.model,
        "provider": provider_label(model.provider),
        "run": _in_dollars(cost),
        "bar": None if cost is None or model.standing is Standing.OFFLINE else _bar(cost, scale),
        "month": _in_dollars(model.month_nanousd),
        "run_difference": _in_dollars(model.run_difference_nanousd),
        "month_difference": _in_dollars(model.month_difference_nanousd),
        "context": model.context_window_tokens,
        "good_for": model.good_for,
        "note": " · ".join(_notes(model)),
    }


def _in_dollars(nanousd: int | None) -> float | None:
    return None if nanousd is None else float(usd(nanousd))


def _bar(cost: int, scale: tuple[int, int]) -> float:
    """How much of the bar is filled, 0 to 1: prices of one list are up to ten thousand times as high as others."""
    least, most = scale
    if cost <= 0:
        return 0.0
    if most <= least:
        return 1.0
    share = math.log(cost / least) / math.log(most / least)
    return _SHORTEST_BAR + (1 - _SHORTEST_BAR) * min(max(share, 0.0), 1.0)


def _notes(model: ModelCost) -> list[str]:
    notes: list[str] = []
    if model.standing is Standing.TOO_SMALL:
        notes.append(f"Does not fit: needs {formatting.count(model.needed_tokens)} tokens")
    if model.reason and model.standing is Standing.UNPRICED:
        notes.append(model.reason)
    if model.deprecated:
        notes.append("Its end is announced")
    if model.server:
        notes.append(f"At {redact(model.server)}")
    if model.also:
        notes.append(f"Also {', '.join(model.also)}")
    if not model.configured:
        notes.append("No key yet")
    return notes


def cost_csv(models: Sequence[ModelCost]) -> Table:
    """The same as a file."""
    columns = (
        Column("Provider", "provider", Kind.TEXT),
        Column("Model", "model", Kind.TEXT),
        Column("Standing", "standing", Kind.TEXT),
        Column("A run", "run_usd", Kind.MONEY),
        Column("A month", "month_usd", Kind.MONEY),
        Column("A run, against now", "run_difference_usd", Kind.MONEY),
        Column("A month, against now", "month_difference_usd", Kind.MONEY),
        Column("Context", "context_window_tokens", Kind.COUNT),
        Column("Good for", "good_for", Kind.TEXT),
        Column("Source", "price_source", Kind.TEXT),
        Column("Note", "note", Kind.TEXT),
    )
    rows = [
        (
            model.provider,
            model.model,
            model.standing.value,
            model.run_nanousd,
            model.month_nanousd,
            model.run_difference_nanousd,
            model.month_difference_nanousd,
            model.context_window_tokens,
            ", ".join(model.good_for),
            model.source or "",
            " · ".join(_notes(model)),
        )
        for model in models
    ]
    return Table(columns, rows)


def _dollars(value: float) -> str:
    return "" if pd.isna(value) else formatting.fine_money(round(value * 1e9))


def _signed_dollars(value: float) -> str:
    return "" if pd.isna(value) else signed(round(value * 1e9))


def _count(value: float) -> str:
    return "" if pd.isna(value) else formatting.count(value)


def _provider_styles(labels: pd.Series) -> list[str]:
    colors = {provider_label(name): provider_color(name) for name in registry.specs()}
    return [f"color: {colors.get(label, palette.OTHER)}" for label in labels]
