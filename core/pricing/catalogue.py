"""Which price holds for a model, and the models as forms and pickers show them.

A price is looked for in this order, and the first answer is the price:

1. An offline provider costs exactly 0.
2. The operator's overrides, then those shipped in `data/price_overrides.yaml` (`core.pricing.overrides`).
3. A server that is plainly the operator's own costs exactly 0 (`ProviderSpec.is_self_hosted`).
4. Without a base URL, the vendor's list in the catalogue (`ProviderSpec.price_provider`). With one, the list
   of whoever the catalogue knows at that address (OpenAI itself, OpenRouter, Groq, ...); a server that it
   does not know has no price, even if it serves a model of a known name.

Anything else is unknown, which is None. So is the catalogue's price of a request that the vendor worked on at
a service tier (batch, flex, priority) for which the catalogue has no prices of its own (`extraordinary`).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from core.contract import utc_now
from core.pricing import listings
from core.pricing.overrides import NO_OVERRIDES, PriceOverrides, utc_day
from core.pricing.rates import FREE, Price, Rate
from core.providers import registry
from core.providers.addresses import is_own_network
from core.providers.spec import ProviderSpec

OFFLINE = Price(FREE, "offline demo")
SELF_HOSTED = Price(FREE, "self-hosted")

_ORDINARY_TIERS: Final = frozenset({"default", "auto", "standard", "on_demand"})
"""What the vendors call the tier of their price lists; the last is Groq's (console.groq.com/docs/service-tiers,
2026-11-22)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """A model with its price, for people. Prices are US dollars per million tokens.

    Attributes:
        input_usd_per_mtok: None: unknown.
        output_usd_per_mtok: None: unknown, or the model writes nothing.
        cached_input_usd_per_mtok: None: billed as other input, or unknown where the input price is.
        cache_write_usd_per_mtok: Likewise.
        tiered: Whether long inputs are dearer; the prices here are those up to the first tier.
        source: Where the price comes from; None if there is none.
    """

    provider: str
    model: str
    label: str | None = None
    context_window_tokens: int | None = None
    input_usd_per_mtok: Decimal | None = None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    tiered: bool = False
    deprecated: bool = False
    source: str | None = None

    @property
    def priced(self) -> bool:
        """Whether a run with an answer can be priced."""
        return self.input_usd_per_mtok is not None and self.output_usd_per_mtok is not None


def extraordinary(service_tier: str | None) -> str | None:
    """The tier in lower case if it is billed at other prices than those of the list; None if at those."""
    tier = (service_tier or "").strip().lower()
    return None if not tier or tier in _ORDINARY_TIERS else tier


def find_price(
    provider: str,
    model: str,
    *,
    at: datetime,
    overrides: PriceOverrides,
    base_url: str | None = None,
    answered_by_model: str | None = None,
    service_tier: str | None = None,
) -> Price | None:
    """The price for a request at a time, or None if it is unknown; see the module for the order.

    Args:
        provider: As in the contract; one that is not registered here has no price but an override's.
        model: The name in the request.
        at: When the request was sent.
        overrides: The operator's.
        base_url: The server that is asked, if not the vendor's own.
        answered_by_model: The name in the answer, often a dated one with a price of its own: the catalogue is
            asked for it first. An override may name either.
        service_tier: The one in the answer. An override holds for every tier.
    """
    spec = registry.specs().get(provider)
    if spec is not None and spec.offline:
        return OFFLINE
    names = (answered_by_model, model) if answered_by_model and answered_by_model != model else (model,)
    override = overrides.find(provider, *_all_forms(spec, names), on=utc_day(at))
    if override is not None:
        return override.price
    tier = extraordinary(service_tier)
    if (
        spec is not None
        and spec.is_self_hosted(*names, base_url=base_url)
        and tier is None  # one's own server names one where it had the answer made elsewhere
        and (base_url is None or listings.provider_at(base_url) is None)
    ):
        return SELF_HOSTED
    for name in names:
        listing = _find_listing(provider, name, base_url)
        if listing is not None:
            return listing.price(at, service_tier=tier)
    return None


def is_doubtful_server(provider: str, base_url: str | None) -> bool:
    """Whether there is no price because a server may be the operator's own, and is not plainly so.

    Args:
        provider: As in the contract.
        base_url: As in the request.
    """
    spec = registry.specs().get(provider)
    server = None if spec is None else spec.base_url_in_force(base_url)
    return (
        spec is not None
        and spec.self_hosted
        and server is not None
        and not (spec.is_cloud(server) or is_own_network(server))
        and listings.provider_at(server) is None
    )


def find_model(
    provider: str,
    model: str,
    *,
    overrides: PriceOverrides = NO_OVERRIDES,
    at: datetime | None = None,
    base_url: str | None = None,
) -> ModelPrice | None:
    """The model with its price at a time (now, if not given); None if nothing at all is known about it."""
    price = find_price(provider, model, at=at or utc_now(), overrides=overrides, base_url=base_url)
    listing = _find_listing(provider, model, base_url)
    if listing is not None:
        return _model_price(
            provider,
            model,
            price,
            listing.label,
            listing.context_window_tokens,
            deprecated=listing.deprecated,
        )
    spec = registry.specs().get(provider)
    info = next((info for info in spec.models if info.name == model), None) if spec else None
    if info is not None:
        return _model_price(provider, model, price, info.label, info.context_window_tokens)
    if price is None or (spec is not None and spec.offline):
        return None
    return _model_price(provider, model, price)


def known_models(
    provider: str,
    *,
    overrides: PriceOverrides = NO_OVERRIDES,
    at: datetime | None = None,
    base_url: str | None = None,
) -> list[ModelPrice]:
    """Every model that is known for the provider at that address, sorted by name, unpriced ones included.

    These are the provider's own fixed ones, those of the catalogue that may be asked a prompt
    (`ProviderSpec.may_answer`; an entry that stands for a family and not a name is left out) and those that an
    override names exactly.
    """
    spec = registry.specs().get(provider)
    names = {info.name for info in spec.models} if spec else set[str]()
    price_provider = _price_provider(provider, base_url)
    if price_provider is not None:
        listed = {listing.model for listing in listings.listings(price_provider)}
        names |= listed if spec is None or base_url is not None else set(filter(spec.may_answer, listed))
    names |= {row.model_pattern for row in overrides.rows if row.provider == provider and row.exact}
    when = at or utc_now()
    found = (
        find_model(provider, name, overrides=overrides, at=when, base_url=base_url) for name in sorted(names)
    )
    return [model for model in found if model is not None]


def warm() -> None:
    """Loads the catalogue, so that the first run does not wait; for a thread at a server's start."""
    listings.load()


def _all_forms(spec: ProviderSpec | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as they are given, and each without what only requests have before it."""
    return names if spec is None else tuple(dict.fromkeys((*names, *map(spec.bare_name, names))))


def _price_provider(provider: str, base_url: str | None) -> str | None:
    spec = registry.specs().get(provider)
    if spec is None or spec.offline:
        return None
    return spec.price_provider if base_url is None else listings.provider_at(base_url)


def _find_listing(provider: str, model: str, base_url: str | None) -> listings.Listing | None:
    spec, price_provider = registry.specs().get(provider), _price_provider(provider, base_url)
    if spec is None or price_provider is None:
        return None
    return listings.find_listing(price_provider, spec.bare_name(model))


def _model_price(
    provider: str,
    model: str,
    price: Price | None,
    label: str | None = None,
    context_window_tokens: int | None = None,
    *,
    deprecated: bool = False,
) -> ModelPrice:
    rates = price.rates if price else None
    return ModelPrice(
        provider=provider,
        model=model,
        label=label,
        context_window_tokens=context_window_tokens,
        input_usd_per_mtok=_usd_per_mtok(rates.input if rates else None),
        cached_input_usd_per_mtok=_usd_per_mtok(rates.cached_input if rates else None),
        cache_write_usd_per_mtok=_usd_per_mtok(rates.cache_write if rates else None),
        output_usd_per_mtok=_usd_per_mtok(rates.output if rates else None),
        tiered=rates.tiered if rates else False,
        deprecated=deprecated,
        source=price.source if price else None,
    )


def _usd_per_mtok(rate: Rate | None) -> Decimal | None:
    return None if rate is None else rate.usd_per_mtok
