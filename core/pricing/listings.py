"""The models of the `genai-prices` package, read once into our own rows.

The package's data module is 1.6 MB of Python, so it is imported on first use (`load` in a thread warms it
up). Its updater is never started and a snapshot that other code installs in it is not looked at: a price
comes from the pinned version, which `Price.source` names.

Its calculator is not used: it answers 0 for a model whose price it does not know, and does not split cached
from other input. `tests/unit/test_pricing_catalogue.py` holds our arithmetic against it for every model.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from core.pricing.rates import Price, Rate, Rates

if TYPE_CHECKING:
    from genai_prices import types

_MAX_CACHED_NAMES: Final = 4_096
"""Names are typed by people and programs, so the cache of answers has an end."""

_TOKEN_PRICES: Final = frozenset(
    {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok"}
)
_NEVER_USED: Final = frozenset(
    {
        # Tools, sound, moving pictures and hour-long caches: no request of ours can ask for them.
        "web_searches_kcount",
        "storage_searches_kcount",
        "input_audio_mtok",
        "cache_audio_read_mtok",
        "audio_hours",
        "input_audio_hours",
        "input_video_mtok",
        "cache_write_1h_mtok",
    }
)


class _Constraint(Protocol):
    def active(self, request_timestamp: datetime) -> bool: ...


@dataclass(frozen=True, slots=True)
class Period:
    """A price and when it holds; `price` is None if the catalogue has none that we can use."""

    constraint: _Constraint | None
    price: Price | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A model of the catalogue.

    Attributes:
        model: The catalogue's own id; for most models also the name that the vendor's API takes.
        periods: The last one in force counts; if none is, the first.
        row: The catalogue's own, for what few requests need.
        source: As in `Price.source`, without a day.
    """

    model: str
    label: str | None
    context_window_tokens: int | None
    deprecated: bool
    periods: tuple[Period, ...]
    row: "types.ModelInfo"
    source: str

    def price(self, at: datetime, *, service_tier: str | None = None) -> Price | None:
        """The price at this time, or None if it is unknown.

        Args:
            at: When the request was sent.
            service_tier: As `extraordinary` gives it. The catalogue's prices for it are those of a variant in
                force; without one they are unknown, not the standard ones.
        """
        if service_tier is not None:
            return self._price_at_tier(at, service_tier)
        for period in reversed(self.periods):
            if period.constraint is None or period.constraint.active(at):
                return period.price
        return self.periods[0].price if self.periods else None

    def _price_at_tier(self, at: datetime, service_tier: str) -> Price | None:
        asked = {"processing": "batch"} if service_tier == "batch" else {"service_tier": service_tier}
        for variant in self.row.price_variants or ():
            in_force = variant.constraint is None or variant.constraint.active(at)
            if in_force and variant.when == asked:
                # A variant may say only some of the prices; the row knows which of its own hold beside them.
                prices = self.row.get_prices(at, asked)
                return _price(prices, f"{self.source}, {service_tier}{_since(variant.constraint)}")
        return None


def load() -> None:
    """Imports the catalogue, some 0.3 s once per process; safe in any thread."""
    _providers()


@lru_cache(maxsize=_MAX_CACHED_NAMES)
def find_listing(provider_id: str, model: str) -> Listing | None:
    """The listing for a model's name as a request or an answer has it, or None.

    Args:
        provider_id: The catalogue's id (`ProviderSpec.price_provider`).
        model: Any name by which the catalogue knows the model, dated ones included; case does not matter.
    """
    provider = _providers().get(provider_id)
    if provider is None:
        return None
    found = provider.find_model(model, all_providers=list(_providers().values()))
    return None if found is None else _listing(found, _owner(found, provider))


@cache
def listings(provider_id: str) -> tuple[Listing, ...]:
    """All models of a provider, in the catalogue's order; empty if it has no such provider."""
    provider = _providers().get(provider_id)
    return () if provider is None else tuple(_listing(model, provider) for model in provider.models)


@lru_cache(maxsize=_MAX_CACHED_NAMES)
def provider_at(base_url: str) -> str | None:
    """Whose price list applies at this address: the catalogue's id, or None for a server it does not know."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return None  # not an address; its text may hold a password and goes into no error
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path}"
    for provider in _providers().values():
        match = re.match(provider.api_pattern, address)
        # Most patterns have no end: api.openai.com.example.org is not OpenAI. One ends in a dot on purpose.
        if match and (
            match.end() == len(address) or address[match.end()] in "/:" or address[match.end() - 1] in "./"
        ):
            return provider.id
    return None


@cache
def _providers() -> "dict[str, types.Provider]":
    # Imported by its name: a type checker would read all of the list, which takes it most of a minute.
    providers = cast("list[types.Provider]", import_module("genai_prices.data").providers)
    return {provider.id: provider for provider in providers}


def _owner(model: "types.ModelInfo", asked: "types.Provider") -> "types.Provider":
    # A reseller's lookup may fall back on the maker's list; the source then names the maker.
    owners = (asked, *_providers().values())
    return next(provider for provider in owners if any(model is row for row in provider.models))


def _listing(model: "types.ModelInfo", provider: "types.Provider") -> Listing:
    from genai_prices import __version__, types

    source = ", ".join(
        [f"genai-prices {__version__}", f"{provider.id}/{model.id}", *(provider.pricing_urls or ())[:1]]
    )
    periods: list[Period] = []
    if isinstance(model.prices, types.ModelPrice):
        periods.append(Period(None, _price(model.prices, source)))
    else:
        for row in model.prices:
            periods.append(Period(row.constraint, _price(row.prices, source + _since(row.constraint))))
    return Listing(
        model=model.id,
        label=model.name,
        context_window_tokens=model.context_window,
        deprecated=bool(model.deprecated),
        periods=tuple(periods),
        row=model,
        source=source,
    )


def _since(constraint: object) -> str:
    from genai_prices import types

    return f", since {constraint.start_date}" if isinstance(constraint, types.StartDateConstraint) else ""


def _price(prices: "types.ModelPrice", source: str) -> Price | None:
    given = {
        name: value for name, value in cast("dict[str, object]", vars(prices)).items() if value is not None
    }
    if given.keys() - _TOKEN_PRICES - _NEVER_USED:
        # It also bills by something that `TokenUsage` does not say, such as each request or pictures in the
        # answer: what its tokens cost would be less than the bill.
        return None
    rates = {name: _rate(given[name]) for name in given.keys() & _TOKEN_PRICES}
    if "input_mtok" not in rates:
        return None
    return Price(
        Rates(
            input=rates["input_mtok"],
            output=rates.get("output_mtok"),
            cached_input=rates.get("cache_read_mtok"),
            cache_write=rates.get("cache_write_mtok"),
            reasoning=rates.get("output_reasoning_mtok"),
        ),
        source,
    )


def _rate(price: object) -> Rate:
    if isinstance(price, Decimal):
        return Rate(price)
    tiered = cast("types.TieredPrices", price)
    return Rate(tiered.base, tuple((tier.start, tier.price) for tier in tiered.tiers))
