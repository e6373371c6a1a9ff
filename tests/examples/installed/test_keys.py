"""A key in the environment belongs to its vendor, also where a package added the vendor."""

import pytest

from core.contract import parse_request
from core.invocation import invoke
from core.providers import registry


@pytest.mark.parametrize("provider", ["OPENAI", "ANTHROPIC"])
def test_its_key_goes_to_no_server_of_another_provider(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv("CO_API_KEY", "cohere-key-0123456789")
    fields = {"provider": provider, "model_name": "any", "prompt": "Hello", "api_key_ref": "env:CO_API_KEY"}
    request = parse_request({**fields, "base_url": "https://models.example"}, providers=registry.specs())
    response = invoke(request)
    assert response.error is not None
    assert response.error.code == "INVALID_REQUEST"
    assert "CO_API_KEY" in response.error.message
