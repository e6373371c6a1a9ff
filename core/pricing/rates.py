"""Prices per token, and exact arithmetic with them: `Decimal` in, integer nano-dollars out, never a float."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

NANOUSD_PER_USD: Final = 1_000_000_000

MAX_TOKENS: Final = 10_000_000_000
MAX_USD_PER_MTOK: Final = Decimal(100_000)
"""With both limits the dearest attempt costs 2 * 10^18 nano-dollars, which fits a 64-bit column."""

_NANOUSD_PER_TOKEN: Final = Decimal(1_000)
"""At one dollar per million tokens."""

# A context of our own: a program that lowers the thread's default precision must not change what a run costs.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one kind of token, in US dollars per million.

    Attributes:
        usd_per_mtok: Up to the first tier.
        tiers: `(above, usd_per_mtok)`, ascending. A request with more than `above` INPUT tokens, cached ones
            included, pays that price for all its tokens of this kind: the vendors' "long context" prices.
    """

    usd_per_mtok: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def nanousd(self, tokens: int, *, input_tokens: int) -> int:
        """What `tokens` cost in a request of `input_tokens`, half-even to the nano-dollar."""
        price = self.usd_per_mtok
        for above, tier_price in self.tiers:
            if input_tokens > above:
                price = tier_price
        nanousd = _EXACT.multiply(_EXACT.multiply(price, _NANOUSD_PER_TOKEN), tokens)
        return int(_EXACT.to_integral_value(nanousd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """A model's prices by kind of token.

    Attributes:
        cached_input: None: tokens read from the vendor's cache cost as much as other input.
        cache_write: None: likewise, for tokens written to it.
        output: None: no price is known (a model for embeddings has no output).
        reasoning: None: reasoning costs as much as other output, which is so for nearly every model.
    """

    input: Rate
    output: Rate | None
    cached_input: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None

    @property
    def tiered(self) -> bool:
        """Whether long inputs have another price."""
        rates = (self.input, self.output, self.cached_input, self.cache_write, self.reasoning)
        return any(rate is not None and rate.tiers for rate in rates)

    @property
    def free(self) -> bool:
        """Whether any number of tokens is known to cost nothing."""
        rates = (self.input, self.output, self.cached_input, self.cache_write, self.reasoning)
        return self.output is not None and not any(
            rate is not None and (rate.usd_per_mtok or any(price for _, price in rate.tiers))
            for rate in rates
        )


@dataclass(frozen=True, slots=True)
class Price:
    """A model's rates at one moment, and who says so."""

    rates: Rates
    source: str


FREE: Final = Rates(input=Rate(Decimal(0)), output=Rate(Decimal(0)))
