"""A process that is forked off while other threads of its parent work: it waits for none of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from openai import OpenAI

from core.contract import parse_request
from core.errors import RateLimited
from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection
from core.providers.bedrock import BedrockProvider
from core.providers.botocore_adapter import Aws, Purpose
from core.providers.clients import ClientCache
from core.providers.demo import DemoProvider
from core.providers.openai import OpenAIProvider
from tests.support.forks import free_in_a_child, held, in_a_child
from tests.support.vendor_server import Reply, VendorServer

Held = Callable[[], AbstractContextManager[object]]


def test_a_client_that_another_thread_of_the_parent_makes_is_not_waited_for():
    cache: ClientCache[str, object] = ClientCache()
    parents = cache.get("before", object)

    def build(wait: Callable[[], None]) -> object:
        wait()
        return "slow"

    with held(lambda wait: cache.get("slow", lambda: build(wait))):
        assert in_a_child(lambda: cache.get("slow", lambda: "own") == "own")
        assert in_a_child(lambda: cache.get("before", object) is not parents)
    assert cache.get("slow", object) == "slow"
    assert cache.get("before", object) is parents


def test_a_provider_asks_with_a_client_and_a_connection_of_its_own_after_a_fork(vendor: VendorServer):
    vendor.otherwise(Reply.json({"data": [{"id": "gpt-5"}]}))
    provider = OpenAIProvider()
    connection = Connection(api_key="sk-test", base_url=vendor.url)

    def ask() -> bool:
        return [model.name for model in provider.list_models(connection, Limits())] == ["gpt-5"]

    assert ask()
    client = provider.client("sk-test", vendor.url)

    def build(wait: Callable[[], None]) -> OpenAI:
        wait()
        return client

    with held(lambda wait: provider._clients.get(("sk-other", vendor.url), lambda: build(wait))):
        assert in_a_child(ask)
    assert ask()
    assert vendor.connections == 2  # one for each process
    assert provider._http is not None
    provider._http.close()


def of_aws() -> tuple[Held, Callable[[], object]]:
    aws = Aws(Purpose("BEDROCK", "BEDROCK_REGION", ""))
    return lambda: aws._lock, aws.forget


def of_profiles() -> tuple[Held, Callable[[], object]]:
    profiles = BedrockProvider().profiles
    return lambda: profiles._lock, lambda: profiles.put("arn", "model")


def of_the_demo() -> tuple[Held, Callable[[], object]]:
    demo = DemoProvider()
    payload = {"provider": "DEMO", "model_name": "demo-flaky", "prompt": "twice"}
    request = parse_request(payload, providers=["DEMO"])

    def twice() -> None:
        with pytest.raises(RateLimited):
            demo.complete(request, Limits())
        demo.complete(request, Limits())

    return lambda: demo._lock, twice


def of_the_registry() -> tuple[Held, Callable[[], object]]:
    return lambda: registry._lock, lambda: registry.load("DEMO")


@pytest.mark.parametrize("of", [of_aws, of_profiles, of_the_demo, of_the_registry])
def test_a_lock_that_another_thread_of_the_parent_holds_is_free(
    of: Callable[[], tuple[Held, Callable[[], object]]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry, "_providers", {})
    lock, use = of()
    assert free_in_a_child(lock, use)
