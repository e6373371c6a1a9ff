"""The tier at which a vendor worked: read from its answer, passed on, and priced by its own prices or not at all."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core import ids
from core.contract import AgentRequest, AgentResponse, TokenUsage
from core.execution.base import Attempt
from core.invocation import invoke
from core.pricing.catalogue import extraordinary
from core.pricing.cost import price_tokens
from core.pricing.overrides import NO_OVERRIDES, PriceOverride, PriceOverrides
from core.services.attempt_records import attempt_record
from tests.support.vendor_server import Reply, VendorServer

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
MILLION_EACH = TokenUsage(
    input_tokens=2_000_000, output_tokens=1_000_000, total_tokens=3_000_000, cached_input_tokens=1_000_000
)


def answer(vendor: VendorServer, tier: object, *, stream: bool) -> AgentResponse:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    message = {"content": "Hi"}
    if stream:
        # The first chunk may say what was asked for; the last that says any has what it became.
        reply = Reply.sse(
            [
                {"choices": [{"delta": message}], "service_tier": "auto"},
                {"choices": [{"delta": {}, "finish_reason": "stop"}], "service_tier": tier},
                {"choices": [], "usage": usage},
            ]
        )
    else:
        body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        reply = Reply.json({**body, "service_tier": tier})
    vendor.will(reply)
    request = AgentRequest.model_validate(
        {
            "provider": "OPENAI",
            "model_name": "gpt-5",
            "api_key": "sk-canary-0123456789",
            "prompt": "Hello",
            "base_url": f"{vendor.url}/v1",
        }
    )
    return invoke(request, on_delta=(lambda text: None) if stream else None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_answers_tier_is_passed_on(vendor: VendorServer, stream: bool) -> None:
    response = answer(vendor, "priority", stream=stream)
    assert response.service_tier == "priority"
    assert response.to_wire()["service_tier"] == "priority"


@pytest.mark.parametrize(("tier", "expected"), [(None, None), (7, None), ("x" * 900, "x" * 50)])
def test_a_tier_of_any_form_harms_nothing(vendor: VendorServer, tier: object, expected: str | None) -> None:
    response = answer(vendor, tier, stream=False)
    assert response.error is None
    assert response.service_tier == expected
    assert ("service_tier" in response.to_wire()) == (expected is not None)


def test_a_tier_that_repeats_the_key_does_not_show_it(vendor: VendorServer) -> None:
    assert "sk-canary" not in str(answer(vendor, "sk-canary-0123456789", stream=False).to_wire())


def dollars(model: str = "gpt-5", **fields: Any) -> float | None:
    """For a million tokens of plain input, of cached input and of output."""
    arguments = {"at": NOVEMBER, "overrides": NO_OVERRIDES, **fields}
    cost = price_tokens("OPENAI", model, MILLION_EACH, **arguments)
    return None if cost is None else cost.total_nanousd / 1e9


@pytest.mark.parametrize("tier", [None, "", "default", "auto", "standard", "Default", "on_demand"])
def test_an_ordinary_tier_costs_what_the_list_says(tier: str | None) -> None:
    assert extraordinary(tier) is None
    assert dollars(service_tier=tier) == 1.25 + 0.125 + 10


@pytest.mark.parametrize(
    ("model", "tier", "expected"),
    [
        # https://developers.openai.com/api/docs/pricing, by tier.
        ("gpt-5", "priority", 2.5 + 0.25 + 20),
        ("gpt-5", "Priority", 2.5 + 0.25 + 20),
        ("gpt-5", "flex", 0.625 + 0.0625 + 5),
        ("gpt-5", "batch", 0.625 + 0.0625 + 5),
        # A variant without a price for cached input has that of the list.
        ("gpt-4o", "batch", 1.25 + 1.25 + 5),
        # The catalogue has no prices for these.
        ("gpt-5", "scale", None),
        ("gpt-4o", "flex", None),
        ("gpt-3.5-turbo", "priority", None),
    ],
)
def test_another_tier_has_its_own_price_or_none(model: str, tier: str, expected: float | None) -> None:
    assert dollars(model, service_tier=tier) == expected


def test_the_tiers_price_holds_from_its_day_and_says_so() -> None:
    assert dollars(service_tier="priority", at=datetime(2026, 10, 1, tzinfo=UTC)) is None
    cost = price_tokens(
        "OPENAI", "gpt-5", MILLION_EACH, at=NOVEMBER, overrides=NO_OVERRIDES, service_tier="flex"
    )
    assert cost is not None
    assert cost.source.endswith(", flex, since 2026-10-12")


def test_an_override_holds_for_every_tier() -> None:
    row = {
        "provider": "OPENAI",
        "model_pattern": "gpt-5",
        "input_usd_per_mtok": "1",
        "output_usd_per_mtok": "2",
    }
    overrides = PriceOverrides([PriceOverride.from_mapping(row)])
    assert dollars(service_tier="scale", overrides=overrides) == 4


def test_an_attempt_keeps_why_its_price_is_unknown(vendor: VendorServer) -> None:
    def stored(tier: object) -> str | None:
        response = answer(vendor, tier, stream=False)
        attempt = Attempt(
            response=response, backend="LOCAL", started_at=NOVEMBER, finished_at=NOVEMBER, latency_us=1
        )
        record = attempt_record(attempt, run_id=ids.uuid7(), ordinal=1, final=True, cost=None)
        assert record.tokens_cost_nanousd is None
        return record.price_source

    assert stored("Scale") == "none is known for service tier scale"
    assert stored("default") is None
