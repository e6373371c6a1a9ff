"""Prices as services ask for them: the project's own above the catalogue's, and never a fault of a run."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.contract import AgentRequest, AgentResponse, Metadata, TokenUsage, error_response, utc_now
from core.errors import InvalidInput, NotFound, ProviderUnavailable, StoreUnavailable, UnknownProvider
from core.services.application import Application
from core.services.prices import PriceService, texts_of
from core.services.principal import LOCAL, Principal
from core.storage.records import PriceOverrideRecord
from core.storage.store import Store


@pytest.fixture
def prices(application: Application) -> PriceService:
    return application.prices


def test_an_estimate_counts_the_schema() -> None:
    schema = {"type": "object", "properties": {"übersicht": {"type": "string"}}}
    plain = AgentRequest(provider="OPENAI", model_name="gpt-4o", prompt="Hello")
    asked = AgentRequest(provider="OPENAI", model_name="gpt-4o", prompt="Hello", response_schema=schema)
    assert [text for text in texts_of(asked) if text not in texts_of(plain)] == [
        json.dumps(schema, ensure_ascii=False)
    ]


@pytest.mark.parametrize(("status", "cost"), [(429, 0), (503, 0), (504, None), (408, None)])
def test_a_gateways_time_out_costs_unknown_and_a_refusal_nothing(
    prices: PriceService, status: int, cost: int | None
) -> None:
    request = AgentRequest(provider="OPENAI", model_name="gpt-4o", prompt="Hello")
    error = ProviderUnavailable("Away.", provider_status=status)
    response = error_response(error, provider="OPENAI", model="gpt-4o")
    found = prices.price_attempt(LOCAL.project_id, request, response, at=utc_now())
    assert (found and found.total_nanousd) == cost


def add(prices: PriceService, **fields: Any) -> PriceOverrideRecord:
    values = {
        "provider": "OPENAI",
        "model_pattern": "gpt-4o*",
        "input_usd_per_mtok": "1",
        "output_usd_per_mtok": "2",
        **fields,
    }
    return prices.add_override(LOCAL, **values)


def cost_of(
    prices: PriceService, model: str = "gpt-4o", project_id: str = "default", base_url: str | None = None
) -> int | None:
    """Nano-dollars for a million tokens each way."""
    usage = TokenUsage(input_tokens=1_000_000, output_tokens=1_000_000, total_tokens=2_000_000)
    response = AgentResponse(
        provider="OPENAI",
        model=model,
        metadata=Metadata(),
        timestamp=utc_now(),
        execution_time_seconds=1,
        token_usage=usage,
    )
    request = AgentRequest(provider="OPENAI", model_name=model, prompt="Hello", base_url=base_url)
    cost = prices.price_attempt(project_id, request, response, at=utc_now())
    return None if cost is None else cost.total_nanousd


def test_an_override_goes_before_the_catalogue_from_now_on(prices: PriceService) -> None:
    listed = cost_of(prices)
    assert listed is not None
    record = add(prices, note=" Contract of 2026-01 ")
    assert cost_of(prices) == 3_000_000_000 != listed
    price = prices.find_model(LOCAL, "OPENAI", "gpt-4o-mini")
    assert price is not None
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (Decimal(1), Decimal(2))
    assert "Contract of 2026-01" in (price.source or "")
    assert cost_of(prices, project_id="other") == listed
    prices.delete_override(LOCAL, record.id)
    assert cost_of(prices) == listed


def test_a_server_that_is_not_the_vendors_has_no_price_but_an_override(
    prices: PriceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = "https://gateway.example/v1"

    def all_prices(base_url: str | None) -> list[object]:
        guess = prices.estimate(
            LOCAL, provider="OPENAI", model="gpt-4o", texts=["Hi"], max_tokens=9, base_url=base_url
        )
        found = prices.find_model(LOCAL, "OPENAI", "gpt-4o", base_url=base_url)
        known = prices.known_models(LOCAL, "OPENAI", base_url=base_url)
        return [cost_of(prices, base_url=base_url), guess.cost_high_nanousd, found, *known]

    assert all_prices(foreign) == [None, None, None]
    listed = all_prices(None)
    assert None not in listed[:3]
    # As it was typed or as a file has it: with blanks around it, and a slash at the end.
    monkeypatch.setenv("OPENAI_BASE_URL", f" {foreign}/ ")
    assert all_prices(None) == [None, None, None]
    assert all_prices("https://api.openai.com/v1") == listed
    add(prices)
    assert cost_of(prices) == cost_of(prices, base_url=foreign) == 3_000_000_000
    monkeypatch.setenv("OPENAI_BASE_URL", "  ")
    assert prices.known_models(LOCAL, "OPENAI") == prices.known_models(
        LOCAL, "OPENAI", base_url="https://api.openai.com/v1"
    )


def test_an_override_begins_on_its_day(prices: PriceService) -> None:
    listed = cost_of(prices)
    add(prices, valid_from=utc_now().date() + timedelta(days=1))
    assert cost_of(prices) == listed
    add(prices, valid_from=date(2026, 1, 1), input_usd_per_mtok="7", output_usd_per_mtok="0")
    assert cost_of(prices) == 7_000_000_000
    newest = prices.list_overrides(LOCAL)[0]
    assert newest.valid_from == datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def test_prices_are_kept_exactly_as_text(prices: PriceService) -> None:
    record = add(
        prices,
        input_usd_per_mtok=" $0.15 ",
        output_usd_per_mtok=Decimal("0.60"),
        cached_input_usd_per_mtok="0.075",
        cache_write_usd_per_mtok="  ",
    )
    assert record == prices.list_overrides(LOCAL)[0]
    assert (record.input_usd_per_mtok, record.output_usd_per_mtok) == ("0.15", "0.60")
    assert (record.cached_input_usd_per_mtok, record.cache_write_usd_per_mtok) == ("0.075", None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input_usd_per_mtok": ""}, "Give the input price"),
        ({"output_usd_per_mtok": " "}, "Give the output price"),
        ({"input_usd_per_mtok": "0,15"}, "not a comma"),
        ({"input_usd_per_mtok": "abc"}, "not a number"),
        ({"input_usd_per_mtok": "1e3"}, "not a number"),
        ({"input_usd_per_mtok": "NaN"}, "not a number"),
        ({"input_usd_per_mtok": "-1"}, "not a number"),
        ({"input_usd_per_mtok": "1_000"}, "not a number"),
        ({"input_usd_per_mtok": "٣"}, "not a number"),
        ({"cached_input_usd_per_mtok": "x"}, "cached input price"),
        ({"cache_write_usd_per_mtok": "x"}, "cache write price"),
        ({"input_usd_per_mtok": "999999999"}, "0 to"),
        ({"model_pattern": " "}, "needs a provider and a model"),
        ({"model_pattern": "gpt-*-mini"}, "only at the end"),
        ({"provider": "DEMO"}, "costs nothing"),
        ({"note": "x" * 501}, "longer than"),
    ],
)
def test_a_price_that_is_none_is_refused_with_the_reason(
    prices: PriceService, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        add(prices, **fields)
    assert prices.list_overrides(LOCAL) == []


def test_a_price_belongs_to_a_registered_provider_and_to_its_project(prices: PriceService) -> None:
    with pytest.raises(UnknownProvider):
        add(prices, provider="openai")
    record = add(prices)
    other = Principal(id="somebody", project_id="other")
    assert prices.list_overrides(other) == []
    with pytest.raises(NotFound):
        prices.delete_override(other, record.id)


def test_another_processs_price_arrives(application: Application) -> None:
    service = PriceService(application.store, overrides_ttl_seconds=0)
    assert cost_of(service) is not None
    add(application.prices)
    assert cost_of(service) == 3_000_000_000


class _Overrides:
    """The store's overrides, until the database fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failing = False

    def list(self, project_id: str) -> Any:
        if self.failing:
            raise StoreUnavailable("The database is away.")
        return self._store.price_overrides.list(project_id)


def test_pricing_never_fails_a_run_while_the_database_is_away(application: Application) -> None:
    add(application.prices)
    overrides = _Overrides(application.store)
    store = cast(Store, SimpleNamespace(price_overrides=overrides))
    service = PriceService(store, overrides_ttl_seconds=0)
    overrides.failing = True
    # Not the catalogue's price: this project may have another one.
    assert cost_of(service) is None
    overrides.failing = False
    assert cost_of(service) == 3_000_000_000
    overrides.failing = True
    assert cost_of(service) == 3_000_000_000


def test_a_stored_price_that_cannot_be_used_does_not_take_the_others_away(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    add(application.prices)
    broken = application.store.price_overrides.create(
        LOCAL.project_id,
        provider="OPENAI",
        model_pattern="gpt-4o",
        input_usd_per_mtok="free",
        output_usd_per_mtok="-1",
        by="an older version",
    )
    service = PriceService(application.store)
    assert cost_of(service) == 3_000_000_000
    assert str(broken.id) in caplog.text


def test_the_catalogue_says_its_version(prices: PriceService) -> None:
    name, number = prices.catalogue_version().split()
    assert name == "genai-prices"
    assert number[0].isdigit()
