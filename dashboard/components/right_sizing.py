"""Which size and architecture the function should have: what is recommended and why, and the sizes as a table."""

import streamlit as st

from core.services.right_sizing import HEAD_ROOM, RightSizing, Size
from dashboard import formatting
from dashboard.components.tables import Column, Kind, Table


def sizing_name(sizing: RightSizing) -> str:
    """The configuration that the function had, in a choice of several."""
    where = sizing.region or "an unknown region"
    return f"{_size(sizing.now)} in {where}, {formatting.count(sizing.executions)} executions"


def sizing_facts(sizing: RightSizing) -> None:
    """Draws what was used, what is recommended, and the saving."""
    used = formatting.UNKNOWN if sizing.max_memory_mb is None else f"{sizing.max_memory_mb} MB"
    _fact("In use", f"{_size(sizing.now)}: {_cost(sizing.now)} per 1,000 executions")
    _fact(
        "Used at most",
        f"{used}, of {formatting.count(sizing.measured)} executions; "
        f"{formatting.duration(float(sizing.mean_billed_ms) * 1_000)} billed on average",
    )
    if sizing.recommended is None:
        why = (
            "AWS did not report how much memory was used."
            if sizing.max_memory_mb is None
            else "No price is known for this region, or none is for restoring a snapshot there."
        )
        st.info(f"No size can be recommended. {why}", icon=":material/help:")
        return
    _fact("Recommended", f"**{_size(sizing.recommended)}**: {_cost(sizing.recommended)} per 1,000 executions")
    _fact(_saving_label(sizing), _saving(sizing))
    if sizing.few:
        st.caption(
            f":material/warning: From {formatting.count(sizing.measured)} executions only: let it run longer before "
            "you trust the most that any of them used."
        )
    st.caption(
        f"The cheapest size with {int((HEAD_ROOM - 1) * 100)} % more memory than any execution used. The duration is "
        "held as it was: a run waits for its model, which no memory makes faster. Set MemorySize and Architecture "
        "where you deploy (`lambda_handler/template.yaml`)."
    )


def sizing_table(sizing: RightSizing) -> Table:
    """A row for each size and architecture."""
    columns = (
        Column("Architecture", "architecture", Kind.TEXT),
        Column("Memory (MB)", "memory_mb", Kind.COUNT),
        Column("Per 1,000 executions", "per_1000_usd", Kind.MONEY),
        Column("A year", "a_year_usd", Kind.MONEY),
        Column("Enough memory", "enough_memory", Kind.TEXT),
        Column("", "mark", Kind.TEXT),
    )
    return Table(columns, [_row(sizing, size) for size in sizing.sizes])


def _row(sizing: RightSizing, size: Size) -> tuple[object, ...]:
    cost, enough = size.per_thousand_nanousd, sizing.enough_mb
    marks = {"recommended": size == sizing.recommended, "in use": size == sizing.now}
    return (
        size.architecture,
        size.memory_mb,
        cost,
        None if cost is None else cost * sizing.a_year // 1_000,
        formatting.UNKNOWN if enough is None else "yes" if size.memory_mb >= enough else "no",
        ", ".join(name for name, true in marks.items() if true),
    )


def _saving_label(sizing: RightSizing) -> str:
    more = sizing.saving_nanousd is not None and sizing.saving_nanousd < 0
    return "Costs more, a year" if more else "Saves, a year"


def _saving(sizing: RightSizing) -> str:
    saving = sizing.saving_nanousd
    money = formatting.money(None if saving is None else abs(saving)).replace("$", r"\$")
    return f"**{money}**, at this range's {formatting.count(sizing.a_year)} executions a year"


def _size(size: Size) -> str:
    return f"{size.memory_mb} MB, {size.architecture or 'unknown architecture'}"


def _cost(size: Size) -> str:
    return formatting.fine_money(size.per_thousand_nanousd).replace("$", r"\$")


def _fact(label: str, value: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.markdown(value)
