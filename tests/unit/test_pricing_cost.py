"""Real prices, with the page on which the vendor states them; exact parts; unknown is None and never 0."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from importlib.metadata import version

import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from core.contract import TokenUsage
from core.pricing.catalogue import OFFLINE
from core.pricing.cost import TokenCost, charge, nothing_billed, price_tokens
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides
from core.pricing.rates import MAX_TOKENS, MAX_USD_PER_MTOK, Price, Rate, Rates
from core.providers.openai_wire import read_usage
from core.services.money import usd

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
OPENAI_PAGE = "https://developers.openai.com/api/docs/pricing"


def usage(
    input_tokens: int,
    output_tokens: int = 0,
    *,
    cached: int | None = None,
    written: int | None = None,
    reasoning: int | None = None,
) -> TokenUsage:
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        reasoning_tokens=reasoning,
    )


def openai(
    model: str,
    tokens: TokenUsage | None,
    *,
    at: datetime = NOVEMBER,
    base_url: str | None = None,
    overrides: PriceOverrides = NO_OVERRIDES,
    answered_by_model: str | None = None,
) -> TokenCost | None:
    return price_tokens(
        "OPENAI",
        model,
        tokens,
        at=at,
        overrides=overrides,
        base_url=base_url,
        answered_by_model=answered_by_model,
    )


def dollars(cost: TokenCost | None) -> Decimal:
    assert cost is not None
    return usd(cost.total_nanousd)


# https://developers.openai.com/api/docs/pricing


def test_cached_tokens_have_their_own_price() -> None:
    # gpt-4o-mini: 0.15 input, 0.075 cached, 0.60 output, per million.
    cost = openai("gpt-4o-mini", usage(1_000_000, 100_000, cached=400_000, reasoning=50_000))
    assert cost == TokenCost(
        input_nanousd=90_000_000,
        cached_input_nanousd=30_000_000,
        cache_write_nanousd=0,
        output_nanousd=60_000_000,
        source=f"genai-prices {version('genai-prices')}, openai/gpt-4o-mini, {OPENAI_PAGE}",
    )
    assert cost is not None
    assert cost.total_nanousd == 180_000_000
    assert cost.all_input_nanousd == 120_000_000


def test_one_token_is_priced_to_the_nano_dollar() -> None:
    assert openai("gpt-4o-mini", usage(1, 1, cached=1)) == TokenCost(
        input_nanousd=0,
        cached_input_nanousd=75,
        cache_write_nanousd=0,
        output_nanousd=600,
        source=f"genai-prices {version('genai-prices')}, openai/gpt-4o-mini, {OPENAI_PAGE}",
    )


def test_a_dated_price_holds_from_its_first_day_in_utc() -> None:
    # o3: 10 / 40 until 2025-06-09, 2 / 8 from 2025-06-10.
    million = usage(1_000_000, 1_000_000)
    assert dollars(openai("o3", million, at=datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC))) == 50
    after = openai("o3", million, at=datetime(2025, 6, 10, tzinfo=UTC))
    assert dollars(after) == 10
    assert after is not None
    assert after.source.endswith(", since 2025-06-10")
    evening_in_chicago = datetime(2025, 6, 9, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert dollars(openai("o3", million, at=evening_in_chicago)) == 10


def test_a_price_by_the_time_of_day() -> None:
    # deepseek-chat: 0.27 from 00:30 to 16:30 UTC, 0.135 outside (https://api-docs.deepseek.com/quick_start/pricing).
    def price(hour: int) -> Decimal:
        at = datetime(2025, 6, 1, hour, tzinfo=UTC)
        return dollars(
            openai("deepseek-chat", usage(1_000_000), at=at, base_url="https://api.deepseek.com/v1")
        )

    assert price(10) == Decimal("0.27")
    assert price(20) == Decimal("0.135")


def test_a_long_input_pays_the_tier_for_everything() -> None:
    # gpt-5.6-terra since 2026-07-30: 2 / 0.2 / 2.5 / 12, above 272,000 input tokens 4 / 0.4 / 5 / 18.
    at_the_limit = openai("gpt-5.6-terra", usage(272_000, 1_000, cached=100_000, written=1_000))
    assert at_the_limit is not None
    assert at_the_limit.input_nanousd == 171_000 * 2_000
    assert at_the_limit.cached_input_nanousd == 100_000 * 200
    assert at_the_limit.cache_write_nanousd == 1_000 * 2_500
    assert at_the_limit.output_nanousd == 1_000 * 12_000
    above = openai("gpt-5.6-terra", usage(272_001, 1_000, cached=100_000, written=1_000))
    assert above is not None
    assert above.input_nanousd == 171_001 * 4_000
    assert above.cached_input_nanousd == 100_000 * 400
    assert above.cache_write_nanousd == 1_000 * 5_000
    assert above.output_nanousd == 1_000 * 18_000


def test_reasoning_reported_beside_the_answer_is_paid_as_output() -> None:
    # grok-4 on https://docs.x.ai/docs/models: 3 input, 0.75 cached, 15 output; figures of an answer of xAI's.
    tokens = read_usage(
        {
            "prompt_tokens": 10_120,
            "completion_tokens": 1_499,
            "total_tokens": 14_428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2_809},
        }
    )
    cost = openai("grok-4", tokens, base_url="https://api.x.ai/v1")
    assert cost is not None
    assert (cost.input_nanousd, cost.cached_input_nanousd) == (9_992 * 3_000, 128 * 750)
    assert cost.output_nanousd == (1_499 + 2_809) * 15_000
    assert dollars(cost) == Decimal("0.094692")


def test_reasoning_may_have_a_price_of_its_own() -> None:
    # perplexity/sonar-deep-research on https://openrouter.ai/models: 8 output, 3 reasoning.
    router = "https://openrouter.ai/api/v1"
    model = "perplexity/sonar-deep-research"
    assert dollars(openai(model, usage(0, 1_000_000, reasoning=250_000), base_url=router)) == Decimal("6.75")
    assert dollars(openai(model, usage(0, 1_000_000), base_url=router)) == 8


def test_the_model_that_answered_is_priced() -> None:
    # gpt-4o-2024-05-13 costs 5 / 15, the alias gpt-4o 2.5 / 10.
    million = usage(1_000_000, 1_000_000)
    assert dollars(openai("gpt-4o", million)) == Decimal("12.5")
    assert dollars(openai("gpt-4o", million, answered_by_model="gpt-4o-2024-05-13")) == 20
    assert dollars(openai("gpt-4o", million, answered_by_model="a-name-nobody-lists")) == Decimal("12.5")


# Unknown.


def test_an_unknown_model_provider_or_usage_has_no_cost() -> None:
    assert openai("a-model-nobody-lists", usage(10, 10)) is None
    assert openai("gpt-4o-mini", None) is None
    assert price_tokens("NOBODY", "gpt-4o-mini", usage(10), at=NOVEMBER, overrides=NO_OVERRIDES) is None


def test_a_model_listed_without_a_price_has_no_cost() -> None:
    assert openai("text-moderation-latest", usage(10, 10)) is None
    assert openai("omni-moderation-latest", usage(10, 10)) is None


def test_output_of_a_model_that_has_no_output_price_is_unknown() -> None:
    assert dollars(openai("text-embedding-3-small", usage(1_000_000))) == Decimal("0.02")
    assert openai("text-embedding-3-small", usage(1_000_000, 1)) is None


def test_a_model_that_also_bills_each_request_has_no_cost_from_tokens_alone() -> None:
    # perplexity/sonar: 1 / 1 and 12 per thousand requests (https://docs.perplexity.ai/docs/getting-started/pricing).
    assert openai("sonar", usage(1_000, 1_000), base_url="https://api.perplexity.ai") is None


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8000/v1",
        "https://gateway.example/v1",
        "https://api.openai.com.example/v1",
        "https://eu.api.openai.com/v1",  # its own, higher prices
        "https://name:sk-secret@[/v1",
    ],
)
def test_an_unknown_server_is_not_priced_as_openai(base_url: str) -> None:
    assert openai("gpt-4o-mini", usage(10, 10), base_url=base_url) is None


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.openai.com/v1",
        "https://api.openai.com",
        "https://API.OpenAI.com:443/v1/",
        "https://x@api.openai.com/",
    ],
)
def test_openais_own_address_is_openai(base_url: str) -> None:
    assert openai("gpt-4o-mini", usage(10, 10), base_url=base_url) == openai("gpt-4o-mini", usage(10, 10))


def test_a_server_that_the_catalogue_knows_has_its_own_prices() -> None:
    cost = openai("openai/gpt-4o", usage(1_000_000), base_url="https://openrouter.ai/api/v1")
    assert dollars(cost) == Decimal("2.5")
    assert cost is not None
    assert "openrouter/openai/gpt-4o, https://openrouter.ai/models" in cost.source
    assert openai("openai/gpt-4o", usage(1_000_000)) is None, "OpenAI itself knows no such name"


def test_a_reseller_without_its_own_price_names_the_makers_list() -> None:
    cost = openai("gpt-4o-mini", usage(1_000_000), base_url="https://ours.openai.azure.com/openai/v1")
    assert cost is not None
    assert "openai/gpt-4o-mini" in cost.source or "azure/gpt-4o-mini" in cost.source


# The offline demo.


@pytest.mark.parametrize("tokens", [usage(1_000_000, 1_000_000), None])
def test_the_offline_demo_costs_exactly_nothing(tokens: TokenUsage | None) -> None:
    everything = PriceOverride(
        provider="DEMO", model_pattern="*", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(1)
    )
    cost = price_tokens("DEMO", "demo-echo", tokens, at=NOVEMBER, overrides=PriceOverrides([everything]))
    assert cost == nothing_billed("offline demo")
    assert cost == TokenCost(
        input_nanousd=0,
        cached_input_nanousd=0,
        cache_write_nanousd=0,
        output_nanousd=0,
        source=OFFLINE.source,
    )


# It never fails a run.


@pytest.mark.parametrize(
    "tokens",
    [usage(10, cached=11), usage(10, cached=6, written=6), usage(MAX_TOKENS + 1), usage(0, MAX_TOKENS + 1)],
)
def test_usage_that_contradicts_itself_is_unknown_and_logged(
    tokens: TokenUsage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="agent_launcher.pricing"):
        assert openai("gpt-4o-mini", tokens) is None
    assert "usage that cannot be priced" in caplog.text


def test_a_fault_of_ours_is_unknown_and_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(PriceOverrides):
        def find(self, provider: str, *models: str, on: date) -> PriceOverride | None:
            raise ZeroDivisionError(provider, models, on)

    assert openai("gpt-4o-mini", usage(1), overrides=Broken()) is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    # The text, not the exception: once logs are redacted at the source, a record keeps only that.
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_another_programs_price_snapshot_changes_nothing() -> None:
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert dollars(openai("gpt-4.1-mini", usage(1_000_000))) == Decimal("0.4")
    finally:
        data_snapshot.set_custom_snapshot(None)


def test_import_is_light_and_nothing_runs_in_the_background() -> None:
    code = """
import sys, threading
from datetime import UTC, datetime
import core.pricing.cost, core.pricing.catalogue, core.pricing.estimate
loaded = {name.partition(".")[0] for name in sys.modules}
heavy = loaded & {"genai_prices", "yaml", "httpx2", "sqlmodel", "sqlalchemy", "pandas", "openai", "streamlit"}
assert not heavy, heavy
from core.contract import TokenUsage
from core.pricing.overrides import NO_OVERRIDES
usage = TokenUsage(input_tokens=1, output_tokens=1, total_tokens=2)
core.pricing.catalogue.warm()
assert core.pricing.cost.price_tokens(
    "OPENAI", "gpt-4o", usage, at=datetime.now(UTC), overrides=NO_OVERRIDES
).total_nanousd == 12_500
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Arithmetic.

PRICES = st.decimals(min_value=0, max_value=MAX_USD_PER_MTOK, places=9)


@st.composite
def rate(draw: st.DrawFn) -> Rate:
    """A rate whose tiers are never cheaper than what is below them, as in the whole catalogue."""
    prices = sorted(draw(st.lists(PRICES, min_size=1, max_size=3)))
    starts = sorted(
        draw(st.sets(st.integers(0, 2_000_000), min_size=len(prices) - 1, max_size=len(prices) - 1))
    )
    return Rate(prices[0], tuple(zip(starts, prices[1:], strict=True)))


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    optional = st.none() | rate()
    return Rates(
        input=draw(rate()),
        output=draw(rate()),
        cached_input=draw(optional),
        cache_write=draw(optional),
        reasoning=draw(optional),
    )


@st.composite
def any_usage(draw: st.DrawFn) -> TokenUsage:
    cached, written, fresh = (draw(st.integers(0, 10**7)) for _ in range(3))
    output = draw(st.integers(0, 10**7))
    reasoning = draw(st.none() | st.integers(0, output))
    return usage(cached + written + fresh, output, cached=cached, written=written, reasoning=reasoning)


def exact_parts(price: Rates, tokens: TokenUsage) -> Iterator[Fraction]:
    """The same bill by rational numbers, without rounding."""

    def cost(rate: Rate | None, count: int) -> Fraction:
        assert rate is not None
        applicable = [rate.usd_per_mtok, *(p for above, p in rate.tiers if tokens.input_tokens > above)]
        return Fraction(applicable[-1]) * count * 1_000

    cached, written = tokens.cached_input_tokens or 0, tokens.cache_write_input_tokens or 0
    reasoning = (tokens.reasoning_tokens or 0) if price.reasoning else 0
    yield cost(price.input, tokens.input_tokens - cached - written)
    yield cost(price.cached_input or price.input, cached)
    yield cost(price.cache_write or price.input, written)
    yield cost(price.output, tokens.output_tokens - reasoning)
    yield cost(price.reasoning or price.output, reasoning)


def charged(price: Rates, tokens: TokenUsage) -> TokenCost:
    cost = charge(Price(price, "a test"), tokens)
    assert cost is not None
    return cost


@given(rates(), any_usage())
def test_parts_are_rounded_half_even_and_add_up(price: Rates, tokens: TokenUsage) -> None:
    cost = charged(price, tokens)
    fresh, cached, written, plain, reasoning = (round(part) for part in exact_parts(price, tokens))
    assert cost.input_nanousd == fresh
    assert cost.cached_input_nanousd == cached
    assert cost.cache_write_nanousd == written
    assert cost.output_nanousd == plain + reasoning
    assert cost.total_nanousd == fresh + cached + written + plain + reasoning
    assert abs(cost.total_nanousd - sum(exact_parts(price, tokens))) <= Fraction(5, 2)


@given(rates(), any_usage(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_tokens_never_cost_less(
    price: Rates, tokens: TokenUsage, more_read: int, more_written: int
) -> None:
    more = tokens.model_copy(
        update={
            "input_tokens": tokens.input_tokens + more_read,
            "output_tokens": tokens.output_tokens + more_written,
        }
    )
    assert charged(price, more).total_nanousd >= charged(price, tokens).total_nanousd


@given(rates(), any_usage())
def test_the_programs_decimal_precision_changes_nothing(price: Rates, tokens: TokenUsage) -> None:
    expected = charged(price, tokens)
    with localcontext() as context:
        context.prec = 3
        assert charged(price, tokens) == expected


def test_half_a_nano_dollar_goes_to_the_even_neighbour() -> None:
    half = Rate(Decimal("0.0005"))  # half a nano-dollar a token
    assert [half.nanousd(tokens, input_tokens=tokens) for tokens in (1, 2, 3, 5, 7)] == [0, 1, 2, 2, 4]


def test_the_dearest_attempt_fits_a_64_bit_column() -> None:
    dearest = Rates(input=Rate(MAX_USD_PER_MTOK), output=Rate(MAX_USD_PER_MTOK))
    assert charged(dearest, usage(MAX_TOKENS, MAX_TOKENS)).total_nanousd == 2 * 10**18 < 2**63
