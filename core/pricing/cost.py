"""What an attempt's tokens cost: the usage that the vendor reported, times the price of its day.

Each part is rounded half-even to the nano-dollar, and the total is the sum of the parts, so that a bill
always adds up. A vendor's "unknown" is None here and never 0; pricing never fails a run.

Priced on every attempt, so it is quick: 5 us with the catalogue loaded, dated and tiered prices included, and
8 us below 30 overrides, against 55 us by the catalogue's own calculator (medians of 7 interleaved rounds on 2
shared cores, Python 3.11). The first call in a process imports the catalogue, 0.3 s
(`core.pricing.catalogue.warm`).
"""

from dataclasses import dataclass
from datetime import datetime

from core.contract import TokenUsage
from core.loggers import get_logger
from core.pricing.catalogue import OFFLINE, SELF_HOSTED, find_price
from core.pricing.overrides import PriceOverrides
from core.pricing.rates import MAX_TOKENS, Price, Rate

log = get_logger("agent_launcher.pricing")


class ImplausibleUsage(ValueError):
    """The vendor's figures contradict themselves, so that no price follows from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCost:
    """What tokens cost, in integer nano-dollars (10^-9 USD), by kind.

    Attributes:
        input_nanousd: Input that was neither read from nor written to the vendor's prompt cache.
        output_nanousd: The answer, reasoning included.
        source: Where the price comes from, for people.
    """

    input_nanousd: int
    cached_input_nanousd: int
    cache_write_nanousd: int
    output_nanousd: int
    source: str

    @property
    def total_nanousd(self) -> int:
        """The sum of the four parts."""
        return self.input_nanousd + self.cached_input_nanousd + self.cache_write_nanousd + self.output_nanousd

    @property
    def all_input_nanousd(self) -> int:
        """The three parts of the input together."""
        return self.total_nanousd - self.output_nanousd


def nothing_billed(source: str = "nothing billed") -> TokenCost:
    """A known zero, for an attempt of which it is certain that no model worked on it."""
    return TokenCost(
        input_nanousd=0, cached_input_nanousd=0, cache_write_nanousd=0, output_nanousd=0, source=source
    )


def price_tokens(
    provider: str,
    model: str,
    usage: TokenUsage | None,
    *,
    at: datetime,
    overrides: PriceOverrides,
    base_url: str | None = None,
    answered_by_model: str | None = None,
    service_tier: str | None = None,
) -> TokenCost | None:
    """What an attempt's tokens cost; None if price or usage is unknown. Never raises; a fault is logged.

    Args:
        provider: As in the contract. An offline one, and a server of the operator's own, cost exactly 0,
            whatever the usage.
        model: The name in the request.
        usage: As the vendor reported it; None is unknown.
        at: When the request was sent; decides between dated prices.
        overrides: The operator's prices, which go before the catalogue's.
        base_url: The server that was asked, from wherever it was set (request, agent or environment); None
            only for the vendor's own. A server that the catalogue does not know has no price without an
            override.
        answered_by_model: The name in the answer, often more exact than the one in the request.
        service_tier: The tier in the answer; the prices of another one are no guess at its own.
    """
    try:
        price = find_price(
            provider,
            model,
            at=at,
            overrides=overrides,
            base_url=base_url,
            answered_by_model=answered_by_model,
            service_tier=service_tier,
        )
        if price is None:
            return None
        if price is OFFLINE or price is SELF_HOSTED:
            return nothing_billed(price.source)
        return None if usage is None else charge(price, usage)
    except ImplausibleUsage as exc:
        log.warning("usage that cannot be priced: %s provider=%s model=%s", exc, provider, model)
    except Exception:
        log.exception("pricing failed: provider=%s model=%s", provider, model)
    return None


def charge(price: Price, usage: TokenUsage) -> TokenCost | None:
    """What this usage costs at this price; None if it used a kind of token that has no price.

    Raises:
        ImplausibleUsage: The usage contradicts itself (its parts exceed the whole), or is too large to be
            true.
    """
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_input_tokens or 0
    fresh = usage.input_tokens - cached - written
    rates = price.rates
    # Reasoning is split off only where it has a price of its own.
    reasoning = (usage.reasoning_tokens or 0) if rates.reasoning is not None else 0
    plain = usage.output_tokens - reasoning
    if fresh < 0 or plain < 0:
        raise ImplausibleUsage("the vendor reported parts that exceed their whole")
    if usage.input_tokens > MAX_TOKENS or usage.output_tokens > MAX_TOKENS:
        raise ImplausibleUsage(f"the vendor reported more than {MAX_TOKENS} tokens")

    if rates.output is None and plain:
        return None

    def cost(rate: Rate | None, tokens: int) -> int:
        return 0 if rate is None else rate.nanousd(tokens, input_tokens=usage.input_tokens)

    return TokenCost(
        input_nanousd=cost(rates.input, fresh),
        cached_input_nanousd=cost(rates.cached_input or rates.input, cached),
        cache_write_nanousd=cost(rates.cache_write or rates.input, written),
        output_nanousd=cost(rates.output, plain) + cost(rates.reasoning, reasoning),
        source=price.source,
    )
