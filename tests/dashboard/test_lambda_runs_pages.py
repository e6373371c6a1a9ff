"""Runs on AWS Lambda: the run's page and the playground."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.execution.choice import BackendChoice
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.credentials import CredentialPublic
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.storage.records import Backend, RunFilter, RunStatus
from dashboard import routes, state
from tests.support.lambda_service import Act, LambdaService

OpenApp = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    drawn = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.code)
    return "\n".join(str(element.value) for element in drawn)


def tables(app: AppTest) -> str:
    return "\n".join(table.value.to_string() for table in app.table)


def run(application: Application, **fields: object) -> str:
    config = AgentConfig.parse({"provider": "DEMO", "model_name": "demo-echo"} | fields)
    return str(application.runs.run(LOCAL, RunSpec(config=config, prompt="Hello there")).run_id)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_a_run_on_lambda_shows_its_report_and_its_money_by_part(
    there: Application, open_there: OpenApp
) -> None:
    app = open_there(routes.RUN_DETAIL, id=run(there))
    assert not app.exception
    said = texts(app)
    assert "**On AWS Lambda**" in said
    for part in ("Cold start]]  \n**yes**", "71 of 512 MB", "arm64", "us-east-1"):
        assert part in said
    assert "Lambda compute" in tables(app)
    assert "Lambda request" in tables(app)
    assert "Run it locally" not in [button.label for button in app.button]


def test_a_fall_back_says_from_where_and_why_and_counts_once(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    service.will(Act.time_out(runs=False))
    app = open_there(routes.RUN_DETAIL, id=run(there))
    assert not app.exception
    assert "fell back from AWS Lambda, after lambda timeout" in tables(app)
    assert "AWS Lambda ended agent after 60 s" in texts(app)
    assert "1 · AWS Lambda" in tables(app)
    assert "2 · Local" in tables(app)


def test_an_unknown_outcome_is_run_locally_with_one_click(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    service.will(Act.reset(runs=True))
    lost = run(there)
    app = open_there(routes.RUN_DETAIL, id=lost)
    assert "OUTCOME" in app.warning[0].proto.title
    press(app, "Run it locally")
    assert not app.exception
    newest = there.runs.page(LOCAL, RunFilter()).runs[0]
    assert str(newest.replay_of) == lost
    live = there.runs.follow(LOCAL, newest.id)
    assert live is not None
    outcome = live.wait(20)
    assert outcome is not None
    assert outcome.status is RunStatus.SUCCEEDED
    assert {record.backend for record in outcome.records} == {Backend.LOCAL}


def test_a_second_generation_is_marked(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    service.will(Act.reset(runs=True))
    app = open_there(routes.RUN_DETAIL, id=run(there, retry_on_unknown=True))
    assert "second generation" in tables(app)


def test_a_log_that_cannot_be_read_says_why(
    there: Application, open_there: OpenApp, nobody_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", nobody_url)
    app = open_there(routes.RUN_DETAIL, id=run(there))
    app.session_state["run-log-1"] = True
    app.run()
    assert not app.exception
    assert "Amazon CloudWatch Logs cannot be read" in texts(app)


def playground(app: AppTest) -> Any:
    return next(group for group in app.segmented_control if group.label == "Backend of this run")


def test_the_playground_says_where_a_run_goes_now(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    app = open_there(routes.PLAYGROUND)
    assert not app.exception
    assert "Runs on AWS Lambda (agent), which cannot stream" in texts(app)
    playground(app).set_value(BackendChoice.LOCAL.value).run()
    assert "Runs on this machine." in texts(app)
    playground(app).set_value(BackendChoice.AUTO.value).run()
    service.otherwise = Act.time_out(runs=False)
    for _ in range(3):
        run(there)
    app.run()
    assert "its breaker is open" in texts(app)
    playground(app).set_value(BackendChoice.LAMBDA.value).run()
    assert "Fails at once for now" in texts(app)


def test_a_runs_own_backend_makes_no_other_version_of_its_agent(
    there: Application, open_there: OpenApp
) -> None:
    config = AgentConfig(provider="DEMO", model_name="demo-echo", prompt="Say hello.")
    agent = there.agents.create(LOCAL, name="Greeter", config=config)
    app = open_there(routes.PLAYGROUND, **{state.AGENT_ID: str(agent.id)})
    playground(app).set_value(BackendChoice.LOCAL.value).run()
    assert "edited" not in texts(app)
    press(app, "Run")
    (newest,) = there.runs.page(LOCAL, RunFilter()).runs
    assert newest.agent_version_id == agent.version.id
    assert newest.backend is Backend.LOCAL


def add_key(application: Application) -> CredentialPublic:
    return application.credentials.add(
        LOCAL, name="Main", provider="OPENAI", secret="sk-test-00000000000000000000"
    )


def test_the_playground_says_how_the_key_gets_there(there: Application, open_there: OpenApp) -> None:
    key = add_key(there)
    config = AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini", prompt="Say hello.")
    agent = there.agents.create(LOCAL, name="Greeter", config=config)
    params = {state.AGENT_ID: str(agent.id)}
    app = open_there(routes.PLAYGROUND, **params)
    assert "The key is sent to AWS Lambda in the request" in texts(app)
    there.credentials.refer(LOCAL, key.id, api_key_ref="env:OPENAI_API_KEY")
    app = open_there(routes.PLAYGROUND, **params)
    assert "AWS Lambda gets a reference" in texts(app)
    assert "env:OPENAI_API_KEY" in texts(app)
