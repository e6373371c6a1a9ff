"""The usage page's part on AWS Lambda."""

import re
from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from dashboard import routes, state
from tests.support.stored_runs import executed_on_lambda, store_run

OpenApp = Callable[..., AppTest]
TAB = {state.USAGE_VIEW: "AWS Lambda"}


def texts(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in (*app.markdown, *app.caption, *app.info))


def metrics(app: AppTest) -> dict[str, str]:
    return {element.label: element.value for element in app.metric}


def fill(application: Application, **changes: Any) -> None:
    agent = application.agents.create(
        LOCAL, name="Triage", config=AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
    )
    for number in range(4):
        fields = executed_on_lambda(cold=number == 0) | changes
        store_run(application, at=utc_now(), agent=agent, seconds=1.1, **fields)
    store_run(application, at=utc_now(), agent=agent, model_time_us=990_000)


def test_an_installation_without_lambda_says_so_and_opens_the_door_to_the_docs(
    application: Application, open_app: OpenApp
) -> None:
    store_run(application, at=utc_now())
    app = open_app(routes.USAGE, **TAB)
    assert not app.exception
    assert "Nothing ran on AWS Lambda" in texts(app)
    next(button for button in app.button if button.label == "How to deploy the function").click().run()
    assert not app.exception
    assert "Which backend a run uses" in texts(app)


def test_both_sides_and_the_sizes_are_shown(application: Application, open_app: OpenApp) -> None:
    fill(application)
    app = open_app(routes.USAGE, **TAB)
    assert not app.exception
    assert metrics(app) == {
        "Runs on Lambda": "4",
        "Fell back to local": "0",
        "Beside the model": "140 ms",
        "Cold starts": "1 (25 %)",
        "Paid to Lambda": "$0.000081",
    }
    table = app.dataframe[0].value
    assert list(zip(table["Agent"], table["Backend"], table["Runs"], strict=True)) == [
        ("Triage", "AWS Lambda", 4),
        ("Triage", "Local", 1),
    ]
    said = texts(app)
    assert "**192 MB, arm64**" in said
    assert "142 MB, of 4 executions" in said
    assert "From 4 executions only" in said
    specs = str([chart.proto.spec for chart in app.get("plotly_chart")])
    assert "Recommended: 192 MB, arm64" in specs
    assert re.search("Triage.{1,9} Lambda", specs)


def test_what_aws_did_not_report_is_unknown(application: Application, open_app: OpenApp) -> None:
    nothing = {name: None for name in executed_on_lambda() if name.startswith("lambda_")}
    fill(application, **nothing)
    app = open_app(routes.USAGE, **TAB)
    assert not app.exception
    assert metrics(app)["Cold starts"] == "unknown"
    assert metrics(app)["Paid to Lambda"] == "unknown"
    assert "AWS reported no memory size" in texts(app)


def test_a_region_without_a_known_price_has_no_recommendation(
    application: Application, open_app: OpenApp
) -> None:
    fill(application, lambda_region="mars-north-1", lambda_compute_nanousd=None)
    app = open_app(routes.USAGE, **TAB)
    assert not app.exception
    assert "No size can be recommended. No price is known for this region" in texts(app)
