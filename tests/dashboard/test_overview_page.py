"""The overview: figures, what they are compared with, what has no price, and the first visit."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.errors import ErrorCode
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import RunStatus
from tests.support.stored_runs import store_run

OpenApp = Callable[..., AppTest]


def metric(app: AppTest, label: str) -> tuple[str, str]:
    found = next(element for element in app.metric if element.label == label)
    return found.value, found.delta


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def test_the_first_visit_shows_three_steps_and_no_figures(open_app: OpenApp) -> None:
    app = open_app()
    assert not app.exception
    assert "Three steps to a first run" in texts(app)
    assert [button.label for button in app.button] == [
        "Open the demo agent",
        "Add a credential",
        "See the runs",
    ]
    assert not app.metric


def test_figures_are_compared_with_the_period_before(application: Application, open_app: OpenApp) -> None:
    # Whole quarters of an hour are compared, so that what ran just now is not.
    now = utc_now() - timedelta(minutes=20)
    for age, cost in ((0, 3_000_000), (2, 1_000_000), (9, 2_000_000)):
        store_run(application, at=now - timedelta(days=age), cost_nanousd=cost, seconds=1.5)
    app = open_app(range="7 days")
    assert not app.exception
    assert metric(app, "Spend") == ("$0.0040", "+100 %")
    assert metric(app, "Runs") == ("2", "+100 %")
    assert metric(app, "Success") == ("100 %", "0")
    assert metric(app, "Tokens") == ("300", "+100 %")
    assert metric(app, "Latency p50")[0] in {"1.49 s", "1.50 s", "1.51 s"}  # percentiles are exact to 1 %
    assert "Change against" in texts(app)
    assert "unpriced" not in texts(app)


def test_what_has_no_price_is_counted_beside_the_total(application: Application, open_app: OpenApp) -> None:
    now = utc_now()
    store_run(application, at=now, cost_nanousd=5_000_000)
    store_run(application, at=now, model="own-model", cost_nanousd=None)
    app = open_app()
    spend = next(element for element in app.metric if element.label == "Spend")
    assert spend.value == "$0.0050"
    assert spend.proto.delta_description == "unpriced: 1"
    assert "By day, dashed: " in texts(app)
    assert ", unpriced: 1" in texts(app)


def test_a_total_of_which_nothing_has_a_price_is_unknown(application: Application, open_app: OpenApp) -> None:
    store_run(application, at=utc_now(), model="own-model", cost_nanousd=None)
    assert metric(open_app(), "Spend")[0] == "unknown"


@pytest.mark.parametrize(
    ("told", "together", "apart"), [(0, "unknown", "unknown in, unknown out."), (1, "150", "100 in, 50 out.")]
)
def test_tokens_that_nobody_told_are_unknown_and_counted(
    application: Application, open_app: OpenApp, told: int, together: str, apart: str
) -> None:
    store_run(application, at=utc_now(), input_tokens=None, output_tokens=None)
    for _ in range(told):
        store_run(application, at=utc_now())
    tokens = next(element for element in open_app().metric if element.label == "Tokens")
    assert (tokens.value, tokens.proto.delta_description) == (together, "unknown: 1")
    assert tokens.help.startswith(apart)
    assert "Unknown are attempts whose tokens the provider did not tell" in tokens.help


def test_the_last_failures_are_named_with_their_code(application: Application, open_app: OpenApp) -> None:
    store_run(
        application, at=utc_now(), status=RunStatus.FAILED, error=ErrorCode.RATE_LIMITED, cost_nanousd=0
    )
    app = open_app()
    labels = [link.proto.label for link in app.get("page_link")]
    assert "RATE_LIMITED" in labels
    assert "All failures" in labels


def test_a_failure_has_one_line_however_long_the_name_of_its_agent_is(
    application: Application, open_app: OpenApp
) -> None:
    agent = application.agents.create(
        LOCAL,
        name="Texts of the product pages, own server",
        config=AgentConfig(provider="DEMO", model_name="demo-echo"),
    )
    failed = {"status": RunStatus.FAILED, "error": ErrorCode.CONTEXT_LENGTH_EXCEEDED, "cost_nanousd": 0}
    store_run(application, at=utc_now(), agent=agent, **failed)
    store_run(application, at=utc_now() - timedelta(minutes=5), **failed)
    app = open_app()
    assert "Texts of t…wn server · just now" in texts(app)
    assert "gpt-5.4-mini · 5 min ago" in texts(app)  # nobody's run is its model's
    helps = [
        link.proto.help for link in app.get("page_link") if link.proto.label == "CONTEXT_LENGTH_EXCEEDED"
    ]
    assert (
        helps[0]
        .replace("\\", "")
        .startswith("Texts of the product pages, own server on OpenAI gpt-5.4-mini, ")
    )
    assert helps[1].startswith("Ad-hoc run on OpenAI gpt-5.4-mini, ")


def test_a_range_in_which_nothing_ran_says_when_something_did_and_widens(
    application: Application, open_app: OpenApp
) -> None:
    store_run(application, at=utc_now() - timedelta(days=12))
    app = open_app(range="7 days")
    assert "Nothing ran in this range" in texts(app)
    assert "12 days ago" in texts(app)
    next(button for button in app.button if button.label == "Show 30 days").click().run()
    assert metric(app, "Runs")[0] == "1"


def test_runs_that_cost_nothing_are_drawn_as_tokens_and_compared_with_nothing(
    application: Application, open_app: OpenApp
) -> None:
    store_run(application, at=utc_now(), provider="DEMO", model="demo-echo", cost_nanousd=0)
    app = open_app()
    said = [str(element.value) for element in app.caption]
    assert "By day; every run in this range cost nothing" in said
    assert not any("Change against" in text for text in said), "no card shows a change"
    spend = next(element for element in app.metric if element.label == "Spend")
    assert list(spend.proto.chart_data) == []
    store_run(application, at=utc_now(), cost_nanousd=2_000_000)
    store_run(application, at=utc_now() - timedelta(days=7), cost_nanousd=1_000_000)
    app = open_app(range="30 days")
    assert "By day, dashed" in "\n".join(str(element.value) for element in app.caption)
