"""The project's own prices, and the price that holds for a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

import streamlit as st

from core.pricing.catalogue import ModelPrice
from core.storage.records import PriceOverrideRecord
from dashboard import formatting, state
from dashboard.components.empty_state import empty_state
from dashboard.components.failure import literal
from dashboard.components.marks import provider_label, provider_mark
from dashboard.components.settings_forms import fault, finished, submit

_FIELDS = ("input", "output", "cached_input", "cache_write")
_LABELS = {
    "input": "Input",
    "output": "Output",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredPrice:
    """The form as it was filled in; prices are text, and may be empty."""

    provider: str
    model_pattern: str
    input: str
    output: str
    cached_input: str
    cache_write: str
    valid_from: date | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceActions:
    """What the section asks for; all but the last two raise AgentLauncherError with a text for the operator."""

    add: Callable[[EnteredPrice], None]
    edit: Callable[[UUID, EnteredPrice], None]
    delete: Callable[[UUID], None]
    models_of: Callable[[str], Sequence[str]]
    find: Callable[[str, str], ModelPrice | None]


def price_section(
    overrides: Sequence[PriceOverrideRecord],
    actions: PriceActions,
    *,
    providers: Sequence[str],
    catalogue: str,
) -> None:
    """Draws the section.

    Args:
        overrides: The project's own, newest first.
        actions: What it can ask for.
        providers: Those whose models cost something.
        catalogue: Which one the other prices come from.
    """
    _lookup(actions, providers, catalogue)
    if not overrides:
        with empty_state(
            "No prices of your own",
            "Prices come from the catalogue. Add one that goes before it: a negotiated price, a fine-tuned "
            "model, a server of your own.",
            icon=":material/price_change:",
        ):
            if st.button("Add a price", type="primary", icon=":material/add:"):
                _add_dialog(providers, actions)
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium"
    ):
        st.caption(
            "Your own prices, US dollars per million tokens. They hold for runs from now on; earlier runs "
            "keep theirs."
        )
        if st.button("Add a price", type="primary", icon=":material/add:"):
            _add_dialog(providers, actions)
    for override in overrides:
        _row(override, providers, actions)


def _lookup(actions: PriceActions, providers: Sequence[str], catalogue: str) -> None:
    with st.container(border=True):
        with st.container(gap=None):
            st.markdown("**Look up a price**")
            st.caption(
                "What a model costs today, US dollars per million tokens, your own prices included. "
                f"Catalogue: {literal(catalogue)}."
            )
        left, right = st.columns([1, 2])
        provider = left.selectbox(
            "Provider", providers, format_func=provider_label, key=state.SETTINGS_LOOKUP_PROVIDER
        )
        model = right.selectbox(
            "Model",
            actions.models_of(provider),
            index=None,
            accept_new_options=True,
            placeholder="Choose a model, or type its name",
            key=state.settings_lookup_model(provider),
        )
        if model:
            _effective(actions.find(provider, model))


def _effective(price: ModelPrice | None) -> None:
    figures = {
        "Input": usd_per_mtok(price.input_usd_per_mtok if price else None),
        "Output": usd_per_mtok(price.output_usd_per_mtok if price else None),
        "Cached input": usd_per_mtok(_cached(price)),
        "Context window": formatting.count(price.context_window_tokens if price else None),
    }
    with st.grid(len(figures), min_column_width=140):
        for label, value in figures.items():
            st.metric(label, value)
    if price is None or price.source is None:
        st.caption("Nothing is known of this model's price: runs on it count as unpriced. Add a price below.")
    else:
        tiers = " Long inputs are dearer: these are the prices up to the first tier." if price.tiered else ""
        st.caption(f"Source: {literal(price.source)}.{tiers}")


def _row(override: PriceOverrideRecord, providers: Sequence[str], actions: PriceActions) -> None:
    with st.container(border=True):
        what, prices, buttons = st.columns([5, 5, 2], vertical_alignment="center")
        with what, st.container(gap=None):
            st.markdown(f"**{literal(override.model_pattern)}**")
            parts = [provider_mark(override.provider)]
            if override.valid_from:
                parts.append(f"since {override.valid_from:%Y-%m-%d}")
            if override.note:
                parts.append(literal(override.note))
            st.caption(" · ".join(parts))
        with prices, st.container(gap=None):
            st.markdown(
                f"{_plain(override.input_usd_per_mtok)} in · {_plain(override.output_usd_per_mtok)} out"
            )
            others = {
                "cached": override.cached_input_usd_per_mtok,
                "cache write": override.cache_write_usd_per_mtok,
            }
            given = [f"{_plain(text)} {name}" for name, text in others.items() if text is not None]
            st.caption(" · ".join(given) or "Cached tokens as other input")
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            edit = st.button(
                ":material/edit:",
                help=f"Edit the price of {override.model_pattern}",
                type="tertiary",
                key=f"settings.price.edit.{override.id}",
                on_click=_begin_edit,
                args=(override,),
            )
            delete = st.button(
                ":material/delete:",
                help=f"Delete the price of {override.model_pattern}",
                type="tertiary",
                key=f"settings.price.delete.{override.id}",
            )
    if edit:
        _edit_dialog(override, providers, actions)
    if delete:
        _delete_dialog(override, actions)


@st.dialog("Add a price", icon=":material/price_change:", width="medium")
def _add_dialog(providers: Sequence[str], actions: PriceActions) -> None:
    finished()
    st.caption("US dollars per million tokens. It goes before the catalogue, for runs from now on.")
    with st.form("price-add", border=False):
        _fields(providers, key=state.settings_price)
        fault()
        submit("Add", lambda: actions.add(_entered(state.settings_price)), said="Added")


@st.dialog("Edit the price", icon=":material/price_change:", width="medium")
def _edit_dialog(override: PriceOverrideRecord, providers: Sequence[str], actions: PriceActions) -> None:
    finished()
    st.caption("US dollars per million tokens, for runs from now on; earlier runs keep theirs.")
    with st.form("price-edit", border=False):
        # One of a provider that is not installed here (any more) keeps it until another is chosen.
        known = providers if override.provider in providers else [override.provider, *providers]
        _fields(known, key=state.settings_price_edited)
        fault()
        submit(
            "Save",
            lambda: actions.edit(override.id, _entered(state.settings_price_edited)),
            said="Saved",
        )


def _begin_edit(override: PriceOverrideRecord) -> None:
    """Fills the form: what was typed into it and not saved is not the price."""
    stored: dict[str, object] = {
        "provider": override.provider,
        "model_pattern": override.model_pattern,
        "input": override.input_usd_per_mtok,
        "output": override.output_usd_per_mtok,
        "cached_input": override.cached_input_usd_per_mtok or "",
        "cache_write": override.cache_write_usd_per_mtok or "",
        "from": override.valid_from.date() if override.valid_from else None,
        "note": override.note,
    }
    for name, value in stored.items():
        st.session_state[state.settings_price_edited(name)] = value


def _fields(providers: Sequence[str], *, key: Callable[[str], str]) -> None:
    left, right = st.columns([1, 2])
    left.selectbox("Provider", providers, format_func=provider_label, key=key("provider"))
    right.text_input(
        "Model",
        placeholder="gpt-4o-mini, or a beginning: gpt-4o*",
        required=True,
        key=key("model_pattern"),
    )
    for column, name in zip(st.columns(4), _FIELDS, strict=True):
        column.text_input(
            _LABELS[name],
            placeholder="0.15" if name in _FIELDS[:2] else "as input",
            required=name in _FIELDS[:2],
            key=key(name),
        )
    left, right = st.columns([1, 2])
    left.date_input("Valid from", value=None, help="UTC; empty: always.", key=key("from"))
    right.text_input(
        "Source",
        placeholder="Contract of 2026-01, or a page and the day it was read",
        help="Stored with each run that it prices.",
        key=key("note"),
    )


def _entered(key: Callable[[str], str]) -> EnteredPrice:
    entered = {name: st.session_state[key(name)] or "" for name in _FIELDS}
    return EnteredPrice(
        provider=st.session_state[key("provider")],
        model_pattern=st.session_state[key("model_pattern")] or "",
        valid_from=st.session_state[key("from")],
        note=st.session_state[key("note")] or "",
        **entered,
    )


@st.dialog("Delete the price", icon=":material/delete:")
def _delete_dialog(override: PriceOverrideRecord, actions: PriceActions) -> None:
    finished()
    st.markdown(
        f"Runs on **{literal(override.model_pattern)}** take the catalogue's price again, if any. Runs "
        "that were priced with this one keep their cost."
    )
    with st.form("price-delete", border=False):
        fault()
        submit("Delete", lambda: actions.delete(override.id), said="Deleted")


def _cached(price: ModelPrice | None) -> Decimal | None:
    """What a cached token costs: as other input, unless the price says otherwise."""
    if price is None or price.cached_input_usd_per_mtok is not None:
        return price.cached_input_usd_per_mtok if price else None
    return price.input_usd_per_mtok


def usd_per_mtok(price: Decimal | None) -> str:
    """A price per million tokens, as money is written."""
    if price is None:
        return formatting.UNKNOWN
    # Two decimals at least, as all money; more where a price has them.
    cents = price.quantize(Decimal("0.01"))
    return f"${cents:f}" if cents == price else f"${price:f}"


def _plain(price: str) -> str:
    return literal(usd_per_mtok(Decimal(price)))
