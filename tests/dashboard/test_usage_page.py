"""The usage page: splits, filters in the address, tables that say what charts say, and failing stores."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core.contract import utc_now
from core.errors import ErrorCode, StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import RunStatus
from dashboard import routes
from tests.support.stored_runs import store_run

OpenApp = Callable[..., AppTest]


@pytest.fixture
def filled(application: Application) -> Application:
    now = utc_now()
    agent = application.agents.create(
        LOCAL, name="Triage", config=AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
    )
    store_run(application, at=now, agent=agent, cost_nanousd=1_000_000)
    store_run(application, at=now - timedelta(days=1), model="gpt-5.4", cost_nanousd=7_000_000, seconds=4)
    store_run(application, at=now, model="own-model", cost_nanousd=None)
    store_run(application, at=now, status=RunStatus.FAILED, error=ErrorCode.RATE_LIMITED, cost_nanousd=0)
    store_run(application, at=now, provider="DEMO", model="demo-echo", cost_nanousd=0)
    return application


def metric(app: AppTest, label: str) -> str:
    return next(element for element in app.metric if element.label == label).value


def breakdown(app: AppTest, column: str) -> dict[str, object]:
    frame = app.dataframe[0].value
    return dict(zip(frame.iloc[:, 0], frame[column], strict=True))


@pytest.mark.usefixtures("filled")
def test_the_split_is_by_model_and_the_dearest_is_first(open_app: OpenApp) -> None:
    app = open_app(routes.USAGE)
    assert not app.exception
    assert metric(app, "Cost") == "$0.0080"
    assert metric(app, "Runs") == "5"
    assert metric(app, "Success") == "80 %"
    costs = breakdown(app, "Cost")
    assert list(costs)[:2] == ["gpt-5.4", "gpt-5.4-mini"]
    assert costs["gpt-5.4"] == pytest.approx(0.007)
    assert costs["demo-echo (offline demo)"] == 0
    assert breakdown(app, "Unpriced")["own-model"] == 1


def test_a_fast_model_did_not_take_no_time(application: Application, open_app: OpenApp) -> None:
    store_run(application, at=utc_now(), provider="DEMO", model="demo-echo", seconds=0.0023, cost_nanousd=0)
    proto: Any = open_app(routes.USAGE).dataframe[0].proto
    written = pa.ipc.open_stream(proto.arrow_data.styler.display_values).read_pandas()
    assert any("2 ms" in str(cell) for cell in written.to_numpy().flatten())


def test_tokens_that_nobody_told_are_not_zero(filled: Application, open_app: OpenApp) -> None:
    for model in ("silent", "gpt-5.4"):
        store_run(filled, at=utc_now(), model=model, input_tokens=None, output_tokens=None)
    app = open_app(routes.USAGE)
    assert metric(app, "Input tokens") == "500"
    notes = [element.proto.delta_description for element in app.metric if "tokens" in element.label]
    assert notes == ["unknown: 2"] * 2
    for column in ("Input tokens", "Output tokens"):
        tokens = breakdown(app, column)
        assert tokens["silent"] != tokens["silent"]  # not a number: the cell is empty
        assert tokens["gpt-5.4"] == {"Input tokens": 100, "Output tokens": 50}[column]
    unknown = breakdown(app, "Tokens unknown")
    assert (unknown["silent"], unknown["gpt-5.4"], unknown["gpt-5.4-mini"]) == (1, 1, 0)


@pytest.mark.usefixtures("filled")
def test_the_cost_of_a_model_without_a_price_is_not_zero(open_app: OpenApp) -> None:
    cost = breakdown(open_app(routes.USAGE), "Cost")["own-model"]
    assert cost != cost  # not a number: the cell is empty


@pytest.mark.usefixtures("filled")
def test_split_and_filters_come_from_the_address(open_app: OpenApp) -> None:
    app = open_app(routes.USAGE, split="Agent", model="gpt-5.4-mini")
    assert metric(app, "Runs") == "2"
    assert breakdown(app, "Runs") == {"Triage": 1, "Ad-hoc runs": 1}
    assert "RATE_LIMITED" in str([chart.proto.spec for chart in app.get("plotly_chart")])


@pytest.mark.usefixtures("filled")
def test_an_empty_choice_says_so_and_is_left_with_one_click(open_app: OpenApp) -> None:
    app = open_app(routes.USAGE, model="gpt-5.4", agent="Triage")
    assert not app.metric
    next(button for button in app.button if button.label == "Clear filters").click().run()
    assert metric(app, "Runs") == "5"


def test_an_installation_without_runs_has_an_empty_usage_page(open_app: OpenApp) -> None:
    app = open_app(routes.USAGE)
    assert not app.exception
    assert any("Nothing ran here" in element.value for element in app.markdown)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("page", [None, routes.USAGE])
def test_a_database_that_is_gone_is_a_clear_text_and_no_trace(
    open_app: OpenApp, filled: Application, monkeypatch: pytest.MonkeyPatch, page: str | None
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("The database file cannot be opened. Check the disk, then reload.")

    monkeypatch.setattr(filled.store.usage, "totals", fail)
    app = open_app(page)
    assert not app.exception
    assert [error.value for error in app.error] == [
        "The database file cannot be opened. Check the disk, then reload."
    ]


def test_a_range_in_which_nothing_has_a_price_is_shown_as_unknown(
    application: Application, open_app: OpenApp
) -> None:
    store_run(application, at=utc_now(), model="own-model", cost_nanousd=None)
    app = open_app(routes.USAGE)
    assert not app.exception
    assert any("Nothing that is known to draw" in element.value for element in app.caption)


def test_runs_that_all_cost_nothing_are_drawn_as_runs(application: Application, open_app: OpenApp) -> None:
    store_run(application, at=utc_now(), provider="DEMO", model="demo-echo", cost_nanousd=0)
    app = open_app(routes.USAGE)
    said = [element.value for element in app.caption]
    assert "By day, by model; every run in this range cost nothing" in said
    assert "Nothing that is known to draw in this range." not in said
    store_run(application, at=utc_now(), model="own-model", cost_nanousd=None)
    said = [element.value for element in open_app(routes.USAGE, range="30 days").caption]
    assert not any("cost nothing" in text for text in said), "what is unknown is not free"
