"""What is known of a model: price and context size, and where the price comes from."""

from decimal import Decimal

import streamlit as st

from core.pricing.catalogue import ModelPrice
from core.providers import registry
from core.redaction import redact
from dashboard import formatting
from dashboard.components.failure import literal


def model_facts(provider: str, model: str, price: ModelPrice | None, *, base_url: str | None) -> None:
    """Draws them under the model's name.

    Args:
        provider: As in the contract.
        model: As it is chosen; "" for none yet.
        price: None if nothing at all is known of the model.
        base_url: The configuration's, else its credential's.
    """
    if not model:
        st.caption("Choose a model from the list, or type any name.")
        return
    facts = [
        ("Input", _per_mtok(price.input_usd_per_mtok if price else None)),
        (
            "Cached input",
            _per_mtok(price.cached_input_usd_per_mtok) if price and price.cached_input_usd_per_mtok else "",
        ),
        ("Output", _per_mtok(price.output_usd_per_mtok if price else None)),
        (
            "Context",
            f"{formatting.count(price.context_window_tokens)} tokens"
            if price and price.context_window_tokens
            else formatting.UNKNOWN,
        ),
    ]
    with st.container(horizontal=True, gap="medium"):
        for label, value in facts:
            if value:
                st.markdown(f":small[:gray[{label}]]  \n{value}", width="content")
    for line in _notes(provider, model, price, server_text(provider, base_url)):
        st.caption(line)


def server_text(provider: str, base_url: str | None) -> str:
    """The server that is asked, to be shown; "" if it is the vendor's own."""
    spec = registry.specs().get(provider)
    server = spec.base_url_in_force(base_url) if spec is not None else None
    # As code, since a plain address becomes a link.
    return f"`{redact(server).replace('`', '%60')}`" if server else ""


def _notes(provider: str, model: str, price: ModelPrice | None, server: str) -> list[str]:
    spec = registry.specs().get(provider)
    if spec is not None and spec.offline:
        return ["Offline demo: no key, no network, no cost."]
    if price is None or not price.priced:
        whose = f"{literal(model)} at {server}" if server else "this model"
        return [
            f"No price is known for {whose}, so the cost of its runs will be unknown, not zero. "
            "A price can be added under Settings > Prices."
        ]
    free = price.input_usd_per_mtok == 0 == price.output_usd_per_mtok
    unit = "Its tokens cost nothing" if free else "US dollars per million tokens"
    lines = [literal(f"{unit}: {price.source}.")] if price.source else []
    if server:
        lines.append(f"Requests go to {server}.")
    if price.tiered:
        lines.append("Long inputs cost more than this.")
    if price.deprecated:
        lines.append(":orange[The provider has announced the end of this model.]")
    return lines


def _per_mtok(usd: Decimal | None) -> str:
    if usd is None:
        return formatting.UNKNOWN
    # A price is a rate: all its digits count, unlike those of a sum.
    digits = max(2, -int(usd.normalize().as_tuple().exponent))
    return f"\\${usd:,.{digits}f}"
