"""Two runs side by side: figures, what was asked, what came back."""

import streamlit as st

from core.services.run_diff import FigureDiff, Quantity, RunDiff
from core.storage.records import RunDetail
from dashboard import formatting, routes, state
from dashboard.components.diff_view import request_diff_view, text_diff_view
from dashboard.components.marks import provider_mark, status_mark


def run_compare(diff: RunDiff, *, old_title: str, new_title: str) -> None:
    """Draws the comparison.

    Args:
        diff: From `diff_runs`.
        old_title: Of the run on the left.
        new_title: Of the run on the right.
    """
    _sides(diff.old, diff.new, old_title, new_title)
    with st.container(border=True):
        st.markdown("**Figures**")
        _figures(diff, old_title, new_title)
    with st.container(border=True):
        st.markdown("**Request**")
        if diff.request.same:
            st.caption("Both runs asked for exactly the same.")
        show_same = st.toggle("Show what is the same too", key="run-compare-same")
        request_diff_view(diff.request, old_title=old_title, new_title=new_title, show_same=show_same)
    with st.container(border=True):
        text_diff_view(diff.answer, old_title=old_title, new_title=new_title)


def _sides(old: RunDetail, new: RunDetail, old_title: str, new_title: str) -> None:
    for column, detail, title in zip(st.columns(2), (old, new), (old_title, new_title), strict=True):
        run = detail.summary
        with column.container(border=True, height="stretch", gap="xsmall"):
            with st.container(
                horizontal=True, horizontal_alignment=("distribute"), vertical_alignment="center"
            ):
                st.markdown(f"**{title}** · {status_mark(run.status)}", width="content")
                routes.here_link(
                    "Open",
                    {state.RUN_ID: str(run.id), state.RUN_COMPARE: None},
                    icon=":material/arrow_forward:",
                    key=f"run-open-{run.id}",
                )
            st.caption(f"{provider_mark(run.provider)} · {run.model} · {run.agent_name or 'ad-hoc run'}")


def _figures(diff: RunDiff, old_title: str, new_title: str) -> None:
    figures = [f for f in diff.figures if f.old is not None or f.new is not None]
    st.table(
        {
            "Figure": [f.label for f in figures],
            old_title: [_written(f.quantity, f.old) for f in figures],
            new_title: [_written(f.quantity, f.new) for f in figures],
            "Change": [_change(f) for f in figures],
        },
        border="horizontal",
        hide_index=True,
        hide_header=False,
    )


def _written(quantity: Quantity, value: int | None) -> str:
    match quantity:
        case Quantity.MONEY_NANOUSD:
            return formatting.money(value).replace("$", "\\$")
        case Quantity.DURATION_US:
            return formatting.duration(value)
        case Quantity.COUNT:
            return formatting.count(value)


def _change(figure: FigureDiff) -> str:
    change = figure.change
    if change is None:
        return formatting.NO_VALUE
    if change == 0:
        return ":gray[the same]"
    share = formatting.change(figure.new, figure.old) if figure.label != "Attempts" else None
    sign = "+" if change > 0 else "-"
    amount = f"{sign}{_written(figure.quantity, abs(change))}"
    return f"{amount} :gray[({share})]" if share else amount
