"""One model in a comparison of costs: its price for a workload, whether that fits, and what the model is good for."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from core.pricing.catalogue import ModelPrice
from core.pricing.cost import TokenCost
from core.providers.spec import Feature, ProviderSpec

LONG_CONTEXT_TOKENS: Final = 400_000

_SUFFIX: Final = re.compile(
    r"(?:[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6}|\d{4}|\d{2}-\d{2}(?:-\d{4})?|latest|preview|exp|00\d)|-v\d+|:\d+)$"
)
"""What a vendor adds to a model's name for one edition of it."""


class Standing(StrEnum):
    """In which part of the list a model stands, in this order; within it the cheapest is first."""

    FITS = "fits"
    """The workload fits, as far as it is known."""
    TOO_SMALL = "context window too small"
    UNPRICED = "unknown"
    OFFLINE = "offline demo"
    """Makes text without a model, so that its cost is no real price."""


class Trait(StrEnum):
    """What speaks for a model: facts from its price and from the registry."""

    CHEAPEST = "cheapest"
    CHEAPEST_INPUT = "cheapest input"
    CHEAPEST_OUTPUT = "cheapest output"
    SELF_HOSTED = "self-hosted"
    NO_KEY = "no key needed"
    LONG_CONTEXT = "long context"
    CACHED_INPUT = "cheaper cached input"
    IMAGES = "images"
    DOCUMENTS = "PDF"
    REASONING = "reasoning effort"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """A model with its cost for a workload, in nano-dollars. Unknown is None, and its reason is said.

    Attributes:
        also: Other names of the same model at the same price, which have no entry of their own.
        base_url: As a request would have it; None for the provider's own server.
        server: The server that is asked, where it is not the provider's own; for people.
        needed_tokens: What the workload needs of the context window.
        source: Where the price comes from.
        reason: Why there is no price.
        all_input_nanousd, output_nanousd: The parts of `run_nanousd`.
        cached_discount_percent: How much cheaper cached input is; None if it is not.
        configured: Whether it can be asked now: its provider needs no key, or has one.
        run_difference_nanousd, month_difference_nanousd: Against the baseline; None without one, or where either
            is unknown.
    """

    provider: str
    model: str
    label: str | None
    also: tuple[str, ...] = ()
    base_url: str | None
    server: str | None
    standing: Standing
    context_window_tokens: int | None
    needed_tokens: int
    run_nanousd: int | None
    month_nanousd: int | None
    all_input_nanousd: int | None
    output_nanousd: int | None
    input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None
    source: str | None
    reason: str | None
    cached_discount_percent: int | None
    configured: bool
    deprecated: bool
    traits: tuple[Trait, ...]
    is_baseline: bool = False
    run_difference_nanousd: int | None = None
    month_difference_nanousd: int | None = None

    @property
    def fits(self) -> bool | None:
        """Whether input and output fit the context window; None if its size is unknown."""
        window = self.context_window_tokens
        return None if window is None else self.needed_tokens <= window

    @property
    def good_for(self) -> list[str]:
        """The traits in words."""
        if self.standing is Standing.OFFLINE:
            return ["offline demo, not a real price"]
        return [
            f"cached input \N{MINUS SIGN}{self.cached_discount_percent} %"
            if trait is Trait.CACHED_INPUT
            else trait.value
            for trait in self.traits
        ]


def cost_of_model(
    spec: ProviderSpec,
    model: str,
    price: ModelPrice | None,
    cost: TokenCost | None,
    *,
    needed_tokens: int,
    runs_per_month: int,
    base_url: str | None,
    configured: bool,
    reason: str,
) -> ModelCost:
    """A model's entry, without what follows only from its place among others.

    Args:
        spec: The provider's row.
        model: The name in a request.
        price: What is known of the model, if anything.
        cost: One run's, if known.
        needed_tokens: Input and output together.
        runs_per_month: For the month's cost.
        base_url: As a request would have it.
        configured: As in `ModelCost`.
        reason: Why the cost is unknown, if it is.
    """
    window = price.context_window_tokens if price else None
    if spec.offline:
        standing = Standing.OFFLINE
    elif cost is None:
        standing = Standing.UNPRICED
    else:
        standing = Standing.TOO_SMALL if window is not None and needed_tokens > window else Standing.FITS
    discount = _discount(price)
    return ModelCost(
        provider=spec.name,
        model=model,
        label=price.label if price else None,
        base_url=base_url,
        server=spec.base_url_in_force(base_url),
        standing=standing,
        context_window_tokens=window,
        needed_tokens=needed_tokens,
        run_nanousd=cost.total_nanousd if cost else None,
        month_nanousd=cost.total_nanousd * runs_per_month if cost else None,
        all_input_nanousd=cost.all_input_nanousd if cost else None,
        output_nanousd=cost.output_nanousd if cost else None,
        input_usd_per_mtok=price.input_usd_per_mtok if price else None,
        output_usd_per_mtok=price.output_usd_per_mtok if price else None,
        source=cost.source if cost else None,
        reason=None if cost else reason,
        cached_discount_percent=discount,
        configured=configured,
        deprecated=price.deprecated if price else False,
        traits=_traits(spec, model, base_url, window, discount),
    )


def _traits(
    spec: ProviderSpec, model: str, base_url: str | None, window: int | None, discount: int | None
) -> tuple[Trait, ...]:
    features = spec.features_of(model, base_url=base_url)
    server = spec.base_url_in_force(base_url)
    holds = {
        Trait.SELF_HOSTED: spec.is_self_hosted(model, base_url=server),
        Trait.NO_KEY: not spec.needs_api_key,
        Trait.LONG_CONTEXT: window is not None and window >= LONG_CONTEXT_TOKENS,
        Trait.CACHED_INPUT: discount is not None,
        Trait.IMAGES: Feature.IMAGES in features,
        Trait.DOCUMENTS: Feature.DOCUMENTS in features,
        Trait.REASONING: Feature.REASONING_EFFORT in features,
    }
    return tuple(trait for trait, held in holds.items() if held)


def _discount(price: ModelPrice | None) -> int | None:
    if price is None or price.cached_input_usd_per_mtok is None or not price.input_usd_per_mtok:
        return None
    percent = round(100 * (1 - price.cached_input_usd_per_mtok / price.input_usd_per_mtok))
    return percent if percent > 0 else None


# Among others


def folded(models: Iterable[ModelCost], *, preferred: frozenset[tuple[str, str]]) -> list[ModelCost]:
    """The models, with editions of one model that cost the same under one entry.

    Args:
        models: Of any provider.
        preferred: Providers and names that keep their own name: what somebody uses. Of the others, the shortest
            name stands for all.
    """
    groups: dict[tuple[object, ...], list[ModelCost]] = {}
    for model in models:
        # Prices and window belong to the key: an edition at another price is another offer.
        same = (
            (model.input_usd_per_mtok, model.output_usd_per_mtok, model.cached_discount_percent)
            if model.run_nanousd is not None
            else None
        )
        key = (
            model.provider,
            model.server,
            _stem(model.model),
            model.run_nanousd,
            same,
            model.context_window_tokens,
            model.deprecated,
        )
        groups.setdefault(key, []).append(model)
    found: list[ModelCost] = []
    for group in groups.values():
        ours = [model for model in group if (model.provider, model.model) in preferred]
        first, *rest = sorted(group, key=lambda model: (model not in ours, len(model.model), model.model))
        own = [model for model in rest if model in ours]
        also = tuple(model.model for model in rest if model not in ours)
        found += [replace(first, also=also), *own]
    return found


def ranked(models: Iterable[ModelCost]) -> list[ModelCost]:
    """The models in the order of their standing and cost, with the marks that compare them."""
    order = list(Standing)
    listed = sorted(
        models, key=lambda m: (order.index(m.standing), m.run_nanousd or 0, m.provider, m.model.lower())
    )
    # What is free has won already; the marks are for those that bill something.
    paid = [model for model in listed if model.standing is Standing.FITS and model.run_nanousd]
    least = {
        Trait.CHEAPEST: min((m.run_nanousd or 0 for m in paid), default=None),
        Trait.CHEAPEST_INPUT: min((m.all_input_nanousd or 0 for m in paid), default=None),
        Trait.CHEAPEST_OUTPUT: min((m.output_nanousd or 0 for m in paid), default=None),
    }
    return [_marked(model, least) if model in paid else model for model in listed]


def _marked(model: ModelCost, least: dict[Trait, int | None]) -> ModelCost:
    figures = {
        Trait.CHEAPEST: model.run_nanousd,
        Trait.CHEAPEST_INPUT: model.all_input_nanousd,
        Trait.CHEAPEST_OUTPUT: model.output_nanousd,
    }
    marks = [trait for trait, figure in figures.items() if figure == least[trait]]
    if Trait.CHEAPEST in marks:
        marks = [Trait.CHEAPEST]
    return replace(model, traits=(*marks, *model.traits))


def against(models: Sequence[ModelCost], baseline: ModelCost) -> list[ModelCost]:
    """The models with their differences to the baseline, which is marked among them."""
    return [
        replace(
            model,
            is_baseline=_same_offer(model, baseline),
            run_difference_nanousd=_difference(model.run_nanousd, baseline.run_nanousd, model),
            month_difference_nanousd=_difference(model.month_nanousd, baseline.month_nanousd, model),
        )
        for model in models
    ]


def _same_offer(model: ModelCost, baseline: ModelCost) -> bool:
    names = (model.model, *model.also)
    return model.provider == baseline.provider and model.server == baseline.server and baseline.model in names


def _difference(cost: int | None, before: int | None, model: ModelCost) -> int | None:
    if cost is None or before is None or model.standing is Standing.OFFLINE:
        return None
    return cost - before


def _stem(model: str) -> str:
    stem = model.lower()
    while (shorter := _SUFFIX.sub("", stem)) != stem:
        stem = shorter
    return stem
