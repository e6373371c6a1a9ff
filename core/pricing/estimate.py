"""What a request may cost, before it is sent: a range, from the length of its texts.

There is no tokenizer here (each vendor has its own, and some publish none), so tokens are a band around the
usual rule of four characters each: at least one token for 6 characters; at most one for 2 ASCII characters
and three for 2 others. Measured with OpenAI's cl100k and o200k vocabularies, English, German, French,
Russian, Arabic, Hindi, Chinese and Japanese prose, Python source and JSON all lie within it (4.1 characters a
token in English prose, 4.2 in Python, 2.4 in indented JSON, 1.0 to 1.75 in Chinese). Base64, UUIDs (1.4 to
1.6) and emoji exceed its upper end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.contract import TokenUsage, utc_now
from core.loggers import get_logger
from core.pricing.catalogue import find_price
from core.pricing.cost import ImplausibleUsage, charge
from core.pricing.overrides import PriceOverrides
from core.pricing.rates import Price

log = get_logger("agent_launcher.pricing")

CHARS_PER_TOKEN_AT_MOST: Final = 6
ASCII_CHARS_PER_TOKEN_AT_LEAST: Final = 2
TOKENS_PER_MESSAGE_AT_MOST: Final = 10
"""Role and separators around each text; OpenAI's chat format takes 3 or 4, and 3 once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A range of tokens and cost; without hits of the vendor's prompt cache.

    Attributes:
        input_tokens_high: None if there is no known end, because of attachments.
        output_tokens_high: None if there is no known end: neither a limit nor an expectation was given.
        cost_low_nanousd: None if the model's price is unknown; then the high end is None too.
        cost_high_nanousd: None if the price is unknown, or tokens that cost have no known end.
        source: Where the price comes from.
    """

    input_tokens_low: int
    input_tokens_high: int | None
    output_tokens_low: int
    output_tokens_high: int | None
    cost_low_nanousd: int | None
    cost_high_nanousd: int | None
    source: str | None

    @property
    def priced(self) -> bool:
        """Whether the model's price is known."""
        return self.cost_low_nanousd is not None


def estimate(
    provider: str,
    model: str,
    *,
    texts: Iterable[str],
    overrides: PriceOverrides,
    max_tokens: int | None = None,
    expected_output_tokens: int | None = None,
    attachments: int = 0,
    at: datetime | None = None,
    base_url: str | None = None,
) -> Estimate:
    """The range in which a request's cost should lie. Never raises; a fault is logged and gives no price.

    Args:
        provider: As in the contract.
        model: The name in the request.
        texts: Everything that is sent: the system prompt, each message, the prompt with its context, the
            schema.
        overrides: The operator's prices.
        max_tokens: The request's limit on the answer, reasoning included: the high end of the output.
        expected_output_tokens: What earlier runs wrote; the output is taken as half to double of it.
        attachments: How many; their tokens depend on the model and are not counted.
        at: When; decides between dated prices. Now, if not given.
        base_url: As for `price_tokens`.
    """
    input_low, input_high = input_tokens_of(texts)
    output_low, output_high = _output_tokens(max_tokens, expected_output_tokens)
    price: Price | None = None
    low: int | None = None
    high: int | None = None
    try:
        price = find_price(provider, model, at=at or utc_now(), overrides=overrides, base_url=base_url)
        if price is not None:
            low = _cost(price, input_low, output_low)
            if price.rates.free:
                high = 0
            elif output_high is not None and not attachments:
                high = _cost(price, input_high, output_high)
    except ImplausibleUsage as exc:
        log.info("no estimate: %s provider=%s model=%s", exc, provider, model)
    except Exception:
        log.exception("estimate failed: provider=%s model=%s", provider, model)
    return Estimate(
        input_tokens_low=input_low,
        input_tokens_high=None if attachments else input_high,
        output_tokens_low=output_low,
        output_tokens_high=output_high,
        cost_low_nanousd=low,
        cost_high_nanousd=None if low is None else high,
        source=None if price is None or low is None else price.source,
    )


def input_tokens_of(texts: Iterable[str]) -> tuple[int, int]:
    """At least and at most how many tokens these texts are; see the module."""
    low = high = 0
    for text in texts:
        if not text:
            continue
        ascii_chars = len(text) if text.isascii() else sum(char.isascii() for char in text)
        others = len(text) - ascii_chars
        low += 1 + len(text) // CHARS_PER_TOKEN_AT_MOST
        high += (
            TOKENS_PER_MESSAGE_AT_MOST
            + -(-ascii_chars // ASCII_CHARS_PER_TOKEN_AT_LEAST)
            + -(-3 * others // 2)
        )
    return low, high


def _output_tokens(max_tokens: int | None, expected: int | None) -> tuple[int, int | None]:
    if expected is None:
        return 0, max_tokens
    limit = 2 * expected if max_tokens is None else min(2 * expected, max_tokens)
    return min(expected // 2, limit), limit


def _cost(price: Price, input_tokens: int, output_tokens: int) -> int | None:
    usage = TokenUsage(
        input_tokens=input_tokens, output_tokens=output_tokens, total_tokens=input_tokens + output_tokens
    )
    cost = charge(price, usage)
    return None if cost is None else cost.total_nanousd
