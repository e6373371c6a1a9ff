"""A provider whose servers are one's own: no key is needed, one may be stored, and its tokens cost nothing."""

import pytest

from core.contract import AgentRequest, AgentResponse, Metadata, TokenUsage, utc_now
from core.errors import MissingApiKey
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.connections import Connections
from core.services.prices import PriceService
from core.services.principal import LOCAL
from tests.contract.dialects.ollama import OllamaDialect
from tests.support.vendor_server import VendorServer

KEY = "ollama-abcdefghijklmnop4f2a"
OWN = AgentConfig.parse({"provider": "OLLAMA", "model_name": "gemma4"})


def test_a_server_of_ones_own_is_tested_without_a_key(
    local_application: Application, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.otherwise(OllamaDialect().models(["qwen3:8b", "gemma4:latest"]))
    found = Connections(local_application.credentials).test(LOCAL, provider="OLLAMA", base_url=vendor.url)
    assert found.key.label == "no key needed"
    assert [model.name for model in found.models] == ["gemma4:latest", "qwen3:8b"]
    assert "authorization" not in vendor.last.headers
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    found = Connections(local_application.credentials).test(LOCAL, provider="OLLAMA", base_url=vendor.url)
    assert found.key.label == "OLLAMA_API_KEY of the environment"
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"


def test_a_stored_key_serves_where_it_is_for_and_nowhere_by_itself(
    local_application: Application, vendor: VendorServer
) -> None:
    credentials = local_application.credentials
    cloud = credentials.add(LOCAL, name="Cloud", provider="OLLAMA", secret=KEY, base_url="https://ollama.com")
    assert credentials.resolve(LOCAL, config=OWN, given=None).secret is None
    chosen = OWN.model_copy(update={"credential_id": cloud.id})
    resolved = credentials.resolve(LOCAL, config=chosen, given=None)
    assert (resolved.secret, resolved.base_url) == (KEY, "https://ollama.com")
    named = OWN.model_copy(update={"base_url": "https://ollama.com/"})
    assert credentials.resolve(LOCAL, config=named, given=None).secret == KEY
    gone = OWN.model_copy(update={"credential_id": LOCAL.id})
    with pytest.raises(MissingApiKey):
        credentials.resolve(LOCAL, config=gone, given=None)

    here = credentials.add(LOCAL, name="Box", provider="OLLAMA", secret=KEY, base_url=vendor.url)
    vendor.will(OllamaDialect().models(["gemma4"]))
    found = Connections(local_application.credentials).test(LOCAL, provider="OLLAMA", credential_id=here.id)
    assert found.key.label == "the stored credential 'Box' (ends in 4f2a)"


def test_of_several_stored_keys_none_is_demanded_for_a_server_of_ones_own(
    local_application: Application, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = local_application.credentials
    for name in ("a", "b"):
        credentials.add(LOCAL, name=name, provider="OLLAMA", secret=KEY)
    monkeypatch.setenv("OLLAMA_HOST", vendor.url)
    assert credentials.resolve(LOCAL, config=OWN, given=None).secret is None
    found = credentials.unnamed(LOCAL, provider="OLLAMA")
    assert (found.credential, found.several, found.elsewhere, found.fault) == (None, False, [], "")
    vendor.will(OllamaDialect().models(["gemma4"]))
    tested = Connections(credentials).test(LOCAL, provider="OLLAMA")
    assert tested.key.label == "no key needed"
    assert "authorization" not in vendor.last.headers
    # Ollama's own cloud wants one.
    monkeypatch.setenv("OLLAMA_HOST", "https://ollama.com")
    with pytest.raises(MissingApiKey, match=r"several are stored \(a, b\)"):
        credentials.resolve(LOCAL, config=OWN, given=None)
    assert credentials.unnamed(LOCAL, provider="OLLAMA").several


def cost(prices: PriceService, usage: TokenUsage | None = None, *, model: str = "gemma4") -> int | None:
    request = AgentRequest(provider="OLLAMA", model_name=model, prompt="Hello")
    response = AgentResponse(
        provider="OLLAMA",
        model=model,
        metadata=Metadata(),
        timestamp=utc_now(),
        execution_time_seconds=1,
        token_usage=usage,
    )
    found = prices.price_attempt(LOCAL.project_id, request, response, at=utc_now())
    return None if found is None else found.total_nanousd


def test_what_a_run_costs_follows_from_whose_server_is_asked(
    local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = local_application.prices
    usage = TokenUsage(input_tokens=10, output_tokens=5, total_tokens=15)
    assert cost(prices) == 0  # the server left a count out: tokens are unknown, and still cost nothing
    for host in ("0.0.0.0", "gpu-box", "https://llm.lan"):
        monkeypatch.setenv("OLLAMA_HOST", host)
        assert cost(prices, usage) == 0
        assert cost(prices, usage, model="gemma4:cloud") is None
        assert (
            prices.estimate(LOCAL, provider="OLLAMA", model="gemma4", texts=["Hello"]).cost_high_nanousd == 0
        )
    for host in ("https://ollama.com", "llm.example.org"):
        monkeypatch.setenv("OLLAMA_HOST", host)
        assert cost(prices, usage) is None
        assert not prices.estimate(LOCAL, provider="OLLAMA", model="gemma4", texts=["Hello"]).priced
    monkeypatch.setenv("OLLAMA_HOST", "https://ollama.com")
    prices.add_override(
        LOCAL, provider="OLLAMA", model_pattern="*", input_usd_per_mtok="1", output_usd_per_mtok="2"
    )
    assert cost(prices, usage) == 20_000


def test_health_asks_for_no_key(local_application: Application) -> None:
    check = next(c for c in local_application.health.checks(LOCAL) if c.name == "Provider OLLAMA")
    assert (check.verdict, check.detail) == ("ok", "Works without a key on a server of your own")
