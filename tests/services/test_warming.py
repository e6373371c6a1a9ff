"""What a server loads while nobody waits: the SDKs that somebody uses here, and no other."""

import subprocess
import sys

import pytest

from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL

WARMED = """
import sys
from core.providers import registry
from core.services.application import Application
from core.services.warming import warm
from core.settings import load_settings

application = Application.open(load_settings(), kind="test")
warm(application)
application.close()
print(*sorted(name for name, spec in registry.specs().items() if spec.sdk in sys.modules))
"""


def warmed() -> list[str]:
    """The providers whose SDK a fresh process has loaded, of this test's installation."""
    done = subprocess.run([sys.executable, "-c", WARMED], capture_output=True, text=True, check=True)
    assert "could not load ahead" not in done.stderr
    return done.stdout.split()


def test_no_sdk_is_loaded_that_nobody_uses(
    local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spec in registry.specs().values():
        for variable in spec.api_key_variables:
            monkeypatch.delenv(variable, raising=False)
    assert warmed() == []


def test_the_sdks_in_use_are_loaded(local_application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-fake-anthropic")
    local_application.credentials.add(LOCAL, name="Gemini", provider="GEMINI", secret="sk-fake-gemini")
    ollama = AgentConfig(provider="OLLAMA", model_name="gemma4")
    local_application.agents.create(LOCAL, name="Local", config=ollama)
    openai = AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
    old = local_application.agents.create(LOCAL, name="Old", config=openai)
    local_application.agents.archive(LOCAL, old.id)
    assert warmed() == ["ANTHROPIC", "GEMINI", "OLLAMA"]
