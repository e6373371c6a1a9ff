"""Every model of the catalogue: our arithmetic against its own calculator; no zero without a price."""

from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot, types

from core.contract import TokenUsage
from core.pricing import listings
from core.pricing.catalogue import find_model, known_models, warm
from core.pricing.cost import charge, price_tokens
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides
from core.pricing.rates import Price
from core.providers import registry

# Not imported from its module, all of which a type checker would read: most of a minute.
providers = data_snapshot.get_snapshot().providers

MOMENTS = (
    datetime(2024, 1, 15, 2, tzinfo=UTC),
    datetime(2025, 6, 20, 8, tzinfo=UTC),
    datetime(2026, 11, 1, 3, tzinfo=UTC),
    datetime(2026, 11, 1, 20, tzinfo=UTC),
)
USAGES = (
    TokenUsage(
        input_tokens=1_234_567,
        output_tokens=7_654,
        total_tokens=1_242_221,
        cached_input_tokens=34_567,
        cache_write_input_tokens=12_345,
        reasoning_tokens=1_234,
    ),
    TokenUsage(input_tokens=12_345, output_tokens=678, total_tokens=13_023, cached_input_tokens=2_345),
    TokenUsage(input_tokens=1, output_tokens=1, total_tokens=2),
)
MODELS = [(provider, model) for provider in providers for model in provider.models]


def calculated(
    provider: types.Provider, model: types.ModelInfo, usage: TokenUsage, at: datetime
) -> types.PriceCalculation:
    """What the package's own calculator says; a kind of token that was not reported is 0 to it."""
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens or 0,
        cache_write_tokens=usage.cache_write_input_tokens or 0,
        output_reasoning_tokens=usage.reasoning_tokens or 0,
        cache_write_1h_tokens=0,
        input_audio_tokens=0,
        cache_audio_read_tokens=0,
        input_video_tokens=0,
        output_audio_tokens=0,
        output_image_tokens=0,
        output_video_tokens=0,
        input_image_tokens=0,
        cache_image_read_tokens=0,
        output_citation_tokens=0,
        audio_seconds=0,
        input_audio_seconds=0,
    )
    return model.calc_price(counts, provider, genai_request_timestamp=at)


def our_price(provider: types.Provider, model: types.ModelInfo, at: datetime) -> Price | None:
    number = next(index for index, row in enumerate(provider.models) if row is model)
    return listings.listings(provider.id)[number].price(at)


def test_every_known_price_agrees_with_the_catalogues_calculator() -> None:
    compared = 0
    for provider, model in MODELS:
        for at in MOMENTS:
            price = our_price(provider, model, at)
            for usage in USAGES:
                cost = charge(price, usage) if price else None
                if cost is None:
                    continue
                theirs = calculated(provider, model, usage, at)
                where = f"{provider.id}/{model.id} at {at}"
                # Ours rounds each part to the nano-dollar: at most half of one, three times for the input.
                assert abs(cost.all_input_nanousd - theirs.input_price * 10**9) <= Decimal("1.5"), where
                assert abs(cost.output_nanousd - theirs.output_price * 10**9) <= 1, where
                compared += 1
    assert compared > 20_000


def test_no_model_without_price_data_costs_zero() -> None:
    traps = 0
    for provider, model in MODELS:
        for at in MOMENTS:
            price = our_price(provider, model, at)
            for usage in USAGES:
                cost = charge(price, usage) if price else None
                assert cost is None or cost.total_nanousd > 0, f"{provider.id}/{model.id}"
        if not calculated(provider, model, USAGES[0], MOMENTS[-1]).total_price:
            traps += 1
            assert our_price(provider, model, MOMENTS[-1]) is None, f"{provider.id}/{model.id}"
    assert traps >= 179, (
        "the calculator's zeros: if they became fewer, the catalogue learned to say 'unknown'"
    )


def test_every_model_of_openai_is_priced_through_the_front_door_as_in_its_list() -> None:
    at = MOMENTS[-1]
    for model in known_models("OPENAI", at=at):
        cost = price_tokens("OPENAI", model.model, USAGES[0], at=at, overrides=NO_OVERRIDES)
        assert (cost is not None) == model.priced, model.model
        assert cost is None or cost.source == model.source
        assert cost is None or cost.total_nanousd > 0


def test_tiers_of_the_catalogue_never_get_cheaper() -> None:
    """So that more tokens never cost less (`test_more_tokens_never_cost_less`) holds for real prices."""
    for provider, model in MODELS:
        price = our_price(provider, model, MOMENTS[-1])
        for rate in (price.rates.input, price.rates.output) if price else ():
            steps = [rate.usd_per_mtok, *(step for _, step in rate.tiers)] if rate else []
            assert steps == sorted(steps), f"{provider.id}/{model.id}"


# What forms show.


def test_a_model_with_its_price_and_context_window() -> None:
    model = find_model("OPENAI", "gpt-4o-mini-2024-07-18", at=MOMENTS[-1])
    assert model is not None
    assert model.model == "gpt-4o-mini-2024-07-18"
    assert model.context_window_tokens == 128_000
    assert (model.input_usd_per_mtok, model.cached_input_usd_per_mtok, model.output_usd_per_mtok) == (
        Decimal("0.15"),
        Decimal("0.075"),
        Decimal("0.6"),
    )
    assert model.priced
    assert not model.tiered
    assert model.source is not None
    assert model.source.startswith(f"genai-prices {genai_prices.__version__}, openai/gpt-4o-mini, https://")


def test_a_tiered_model_shows_its_first_price_and_says_so() -> None:
    model = find_model("OPENAI", "gpt-5.6-terra", at=MOMENTS[-1])
    assert model is not None
    assert model.tiered
    assert (model.input_usd_per_mtok, model.cache_write_usd_per_mtok) == (2, Decimal("2.5"))


def test_a_model_listed_without_a_price_is_known_but_not_priced() -> None:
    model = find_model("OPENAI", "omni-moderation-latest")
    assert model is not None
    assert not model.priced
    assert model.input_usd_per_mtok is None
    assert model.source is None


@pytest.mark.parametrize(
    ("provider", "name", "base_url"),
    [
        ("OPENAI", "a-model-nobody-lists", None),
        ("OPENAI", "gpt-4o", "http://127.0.0.1:8000/v1"),
        ("DEMO", "not-a-demo", None),
        ("NOBODY", "gpt-4o", None),
    ],
)
def test_a_model_of_which_nothing_is_known(provider: str, name: str, base_url: str | None) -> None:
    assert find_model(provider, name, base_url=base_url) is None


def test_the_demo_models_are_free_and_say_why() -> None:
    models = known_models("DEMO")
    assert [model.model for model in models] == ["demo-echo", "demo-error", "demo-flaky", "demo-slow"]
    assert {model.source for model in models} == {"offline demo"}
    assert {(model.input_usd_per_mtok, model.output_usd_per_mtok) for model in models} == {(0, 0)}
    assert {model.context_window_tokens for model in models} == {128_000}


def test_what_cannot_be_asked_a_prompt_is_priced_and_not_offered() -> None:
    for provider, model in (
        ("BEDROCK", "amazon.titan-embed-text-v2:0"),
        ("BEDROCK", "amazon.nova-sonic-v1:0"),
        ("OPENAI", "text-embedding-3-small"),
        ("OPENAI", "gpt-4o-mini-tts"),
        ("GEMINI", "gemini-embedding-001"),
        ("GEMINI", "claude-opus-5-5"),  # Google serves it on Vertex AI only
    ):
        assert find_model(provider, model) is not None, model
        assert model not in {known.model for known in known_models(provider)}
    for spec in registry.specs().values():
        names = {known.model for known in known_models(spec.name)}
        assert not [name for name in names if not spec.may_answer(name)]
        assert spec.self_hosted or spec.default_model in names
    own = PriceOverride(
        provider="OPENAI",
        model_pattern="text-embedding-of-ours",
        input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(1),
    )
    # What the operator named by himself is his to judge.
    assert own.model_pattern in {m.model for m in known_models("OPENAI", overrides=PriceOverrides([own]))}


def test_known_models_have_an_operators_own_and_his_prices() -> None:
    mine = PriceOverride(
        provider="OPENAI",
        model_pattern="our-finetune",
        input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(2),
    )
    deal = PriceOverride(
        provider="OPENAI",
        model_pattern="gpt-4o*",
        input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(3),
    )
    models = {model.model: model for model in known_models("OPENAI", overrides=PriceOverrides([mine, deal]))}
    assert list(models) == sorted(models)
    assert models["our-finetune"].priced
    assert models["our-finetune"].context_window_tokens is None
    assert models["gpt-4o-mini"].output_usd_per_mtok == 3
    assert models["gpt-4o-mini"].context_window_tokens == 128_000
    assert models["gpt-4.1"].output_usd_per_mtok == 8
    own_server = known_models(
        "OPENAI", overrides=PriceOverrides([mine, deal]), base_url="http://127.0.0.1:8000/v1"
    )
    assert [model.model for model in own_server] == ["our-finetune"]


def test_warming_up_may_be_repeated() -> None:
    warm()
    warm()
    assert listings.find_listing("openai", "gpt-4o") is not None
    assert listings.find_listing("no-such-provider", "gpt-4o") is None
    assert listings.listings("no-such-provider") == ()
