"""AWS Lambda on the overview, in the settings, and on the logs page."""

import json
import re
import time
from collections.abc import Callable, Generator
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.loggers import get_logger
from core.logs import configure_logging
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from dashboard import routes, state
from tests.support.lambda_service import Act, LambdaService
from tests.support.moto_server import client, moto_server
from tests.support.stored_runs import executed_on_lambda, store_run
from tests.support.vendor_server import Reply, VendorServer

OpenApp = Callable[..., AppTest]
GROUP = "/aws/lambda/agent"
REQUEST = "8f5a7c1e-0d2b-4c3a-9e8f-1a2b3c4d5e6f"


def texts(app: AppTest) -> str:
    drawn = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success, *app.code)
    return "\n".join(str(element.value) for element in drawn)


def titles(app: AppTest) -> list[str]:
    return [element.proto.title for element in (*app.warning, *app.error, *app.success)]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


# The breaker.


def open_breaker(application: Application, service: LambdaService) -> None:
    service.otherwise = Act.time_out(runs=False)
    spec = RunSpec(config=AgentConfig(provider="DEMO", model_name="demo-echo"), prompt="Hello")
    for _ in range(3):
        application.runs.run(LOCAL, spec)


def test_an_open_breaker_is_on_the_overview_until_it_is_reset(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    assert "Reset" not in labels(open_there())
    open_breaker(there, service)
    app = open_there()
    assert not app.exception
    said = texts(app)
    assert "No run is sent to agent on AWS Lambda" in said
    assert "3 times in a row without an answer; left alone since" in said
    # The wait is counted in whole seconds.
    assert re.search(r"The first run after \d\d:\d\d:\d\d \(in \d+ s\) tries it again\.", said)
    assert "LAMBDA\\_TIMEOUT" in said
    press(app, "Reset")
    assert not app.exception
    assert "Reset" not in labels(app)
    assert there.lambda_breaker is not None
    assert there.lambda_breaker.admit() is not None


# Settings.


def test_settings_lead_to_the_function_where_none_is_set_up(
    application: Application, open_app: OpenApp
) -> None:
    del application
    app = open_app(routes.SETTINGS, **{state.SETTINGS_SECTION: "AWS Lambda"})
    assert not app.exception
    assert "AWS Lambda is not set up" in texts(app)
    assert "How to deploy the function" in labels(app)


def test_settings_show_the_configuration_the_checks_and_a_test(
    there: Application, service: LambdaService, open_there: OpenApp
) -> None:
    app = open_there(routes.SETTINGS, **{state.SETTINGS_SECTION: "AWS Lambda"})
    assert not app.exception
    table = app.dataframe[0].value
    assert dict(zip(table["variable"], table["value"], strict=True))["LAMBDA_AGENT_FUNCTION_NAME"] == "agent"
    assert "**Lambda function**" in texts(app)
    executed = service.executions
    press(app, "Test")
    assert not app.exception
    assert titles(app) == ["The function works"]
    assert "a cold start" in texts(app)
    assert service.executions == executed + 1
    service.will(Act.out_of_memory(runs=False))
    press(app, "Test")
    assert "LAMBDA_FUNCTION_ERROR" in texts(app)
    assert ":red[:material/error:] **Lambda" not in texts(app)
    service.dry_run = Act.refuse(403, "AccessDeniedException", message="not authorized")
    press(app, "Check again")
    assert ":red[:material/error:] **Lambda invocation**" in texts(app)


# Logs.


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """CloudWatch on loopback; the function writes these lines, some seconds ago."""
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        aws = client("logs", url)
        aws.create_log_group(logGroupName=GROUP)
        aws.create_log_stream(logGroupName=GROUP, logStreamName="s")

        def put(*lines: dict[str, object]) -> None:
            at = int(time.time() * 1_000) - 5_000
            events = [{"timestamp": at + n, "message": json.dumps(line)} for n, line in enumerate(lines)]
            aws.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)

        yield put
        aws.close()


def line(event: str, level: str = "INFO", **more: object) -> dict[str, object]:
    return {
        "level": level,
        "logger": "agent_launcher.function",
        "event": event,
        "request_id": REQUEST,
        **more,
    }


def messages(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["message"]) if app.dataframe else []


def test_the_functions_lines_are_newest_first_and_lead_to_their_run(
    cloudwatch: Callable[..., None], there: Application, open_there: OpenApp
) -> None:
    run = store_run(there, at=utc_now(), **executed_on_lambda())
    cloudwatch(line("began", run_id=str(run)), line("Slow answer", "WARNING"), line("failed", "ERROR"))
    app = open_there(routes.LOGS)
    assert not app.exception
    assert messages(app) == ["failed", "Slow answer", "began"]
    assert list(app.dataframe[0].value["run"])[-1] == f"/run?id={run}"
    assert messages(open_there(routes.LOGS, level="WARNING")) == ["failed", "Slow answer"]
    assert messages(open_there(routes.LOGS, holds="slow")) == ["Slow answer"]
    nothing = open_there(routes.LOGS, holds="no such line")
    assert "No line of this range passes the filters" in texts(nothing)
    press(nothing, "Clear filters")
    assert len(messages(nothing)) == 3


def test_live_looks_again(cloudwatch: Callable[..., None], there: Application, open_there: OpenApp) -> None:
    del there
    cloudwatch(line("began"))
    app = open_there(routes.LOGS, live="true")
    assert ":green-badge[live]" in texts(app)
    cloudwatch(line("later"))
    app.run()
    assert set(messages(app)) == {"began", "later"}


def test_a_run_shows_its_own_lines(
    cloudwatch: Callable[..., None], there: Application, open_there: OpenApp
) -> None:
    run = store_run(there, at=utc_now() - timedelta(seconds=3), **executed_on_lambda())
    own = there.runs.get(LOCAL, run).attempts[0].lambda_request_id
    cloudwatch(line("its own", request_id=own), line("another's"))
    app = open_there(routes.RUN_DETAIL, id=str(run))
    assert messages(app) == []
    app.session_state["run-log-1"] = True
    app.run()
    assert not app.exception
    assert messages(app) == ["its own"]


def test_a_missing_permission_shows_the_statement_to_add(
    there: Application, open_there: OpenApp, vendor: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del there
    denied = {"__type": "AccessDeniedException", "message": "not authorized"}
    vendor.otherwise(Reply.json(denied, status=400))
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", vendor.url)
    app = open_there(routes.LOGS)
    assert not app.exception
    assert titles(app) == ["The permission is missing"]
    assert "logs:FilterLogEvents" in app.code[0].value


def test_without_a_function_there_is_this_installations_log(
    application: Application, open_app: OpenApp
) -> None:
    app = open_app(routes.LOGS)
    assert not app.exception
    assert "this installation's own log is the only one" in texts(app)
    assert "No lines" in texts(app)
    configure_logging(application.settings)
    get_logger("agent_launcher.test").warning("Something to look at")
    app.run()
    assert "Something to look at" in messages(app)
