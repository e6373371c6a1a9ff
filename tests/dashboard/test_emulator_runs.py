"""Each vendor's agent on AUTO, run from the playground: on Lambda's real emulator, and here when that is killed."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest
from streamlit.testing.v1 import AppTest

from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import Backend, RunDetail, RunFilter, RunStatus
from dashboard import backend, routes, state
from tests.support.aimock_vendors import VENDORS
from tests.support.lambda_emulator import LambdaEmulator
from tests.support.stored_runs import opened_application

if TYPE_CHECKING:
    from tests.support.aimock_server import Aimock

OpenApp = Callable[..., AppTest]
KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def there(lambda_emulator: LambdaEmulator, monkeypatch: pytest.MonkeyPatch) -> Generator[Application]:
    """A new installation that runs on the emulator."""
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", "true")
    for name, value in lambda_emulator.settings.items():
        monkeypatch.setenv(name, value)
    with opened_application() as application:
        backend.install(application)
        yield application
        backend.install(None)


def run_from_the_playground(application: Application, app: AppTest) -> RunDetail:
    next(button for button in app.button if button.label == "Run").click().run()
    assert not app.exception
    newest = application.runs.page(LOCAL, RunFilter()).runs[0]
    live = application.runs.follow(LOCAL, newest.id)
    assert live is None or live.wait(60) is not None
    app.run()
    assert not app.exception
    return application.runs.get(LOCAL, newest.id)


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "model", "path"), VENDORS)
def test_auto_goes_to_lambda_and_here_when_it_is_killed(
    there: Application,
    lambda_emulator: LambdaEmulator,
    aimock: "Aimock",
    open_there: OpenApp,
    provider: str,
    model: str,
    path: str,
) -> None:
    aimock.on(
        "capital of France", "Paris.", usage={"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}
    )
    address = aimock.url + path
    key = there.credentials.add(LOCAL, name="Main", provider=provider, secret=KEY, base_url=address)
    config = AgentConfig(
        provider=provider,
        model_name=model,
        prompt="What is the capital of France?",
        base_url=address,
        credential_id=key.id,
    )
    agent = there.agents.create(LOCAL, name="Geographer", config=config)
    app = open_there(routes.PLAYGROUND, **{state.AGENT_ID: str(agent.id)})

    first = run_from_the_playground(there, app)
    assert (first.summary.status, first.summary.backend) == (RunStatus.SUCCEEDED, Backend.LAMBDA), first
    assert first.response == "Paris."
    assert [attempt.backend for attempt in first.attempts] == [Backend.LAMBDA]
    assert len(aimock.requests()) == 1

    lambda_emulator.kill()
    second = run_from_the_playground(there, app)
    assert (second.summary.status, second.summary.backend) == (RunStatus.SUCCEEDED, Backend.LOCAL), second
    assert second.response == "Paris."
    assert second.summary.fell_back_from is Backend.LAMBDA
    refused, answered = second.attempts
    assert (refused.backend, refused.error_code) == (Backend.LAMBDA, "LAMBDA_UNREACHABLE")
    assert (refused.tokens_cost_nanousd, refused.lambda_compute_nanousd) == (0, 0)
    assert answered.backend is Backend.LOCAL
    assert second.summary.cost_nanousd == answered.tokens_cost_nanousd
    assert second.summary.output_tokens == answered.output_tokens == first.summary.output_tokens
    assert len(aimock.requests()) == 2
    assert there.runs.count(LOCAL, RunFilter()) == 2
    assert KEY not in lambda_emulator.log
