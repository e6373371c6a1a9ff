"""The usage page in a real browser: charts, filters in the address, the table behind a chart, its file."""

import csv
import io
import re
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.contract import utc_now
from core.services.agent_config import AgentConfig
from core.services.principal import LOCAL
from tests.support.app_server import AppServer
from tests.support.browser import choose, downloaded, drawn, tall_bars
from tests.support.stored_runs import opened_application, store_run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("usage"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        patch.chdir(server.folder)
        with opened_application() as application:
            agent = application.agents.create(
                LOCAL, name="Triage", config=AgentConfig(provider="OPENAI", model_name="gpt-5.4-mini")
            )
            now = utc_now()
            store_run(application, at=now, agent=agent, cost_nanousd=420_001)
            store_run(application, at=now - timedelta(days=2), model="gpt-5.4", cost_nanousd=9_000_000)
            store_run(application, at=now, model="own-model", cost_nanousd=None)
    with server:
        yield server


def runs(page: Page) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text="Runs").get_by_test_id("stMetricValue")


def open_usage(page: Page, server: AppServer, query: str = "") -> None:
    page.goto(f"{server.url}/usage{query}")
    expect(page.get_by_text("Error codes")).to_be_visible()


def test_a_run_is_in_the_charts(server: AppServer, page: Page) -> None:
    open_usage(page, server)
    expect(page.get_by_text("By day, by model; unpriced: 1")).to_be_visible()
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_contain_text("gpt-5.4-mini")
    expect(chart).to_contain_text("$0.0025")
    tall_bars(page, ".js-plotly-plot", number=1)


def test_split_and_filter_are_in_the_address_and_outlive_a_reload(server: AppServer, page: Page) -> None:
    open_usage(page, server)
    expect(runs(page)).to_have_text("3")
    page.get_by_role("radio", name="Agent", exact=True).click()
    expect(page.get_by_text("By day, by agent; unpriced: 1")).to_be_visible()
    expect(page).to_have_url(re.compile("split=Agent"))
    choose(page, "Agent", "Triage")
    expect(page).to_have_url(re.compile("agent=Triage"))
    expect(page.get_by_text("By day, by agent", exact=False).first).not_to_contain_text("unpriced")
    page.reload()
    expect(page.get_by_text("Error codes")).to_be_visible()
    expect(runs(page)).to_have_text("1")


def test_the_table_behind_a_chart_and_its_file_have_the_exact_figures(
    server: AppServer, page: Page, tmp_path: Path
) -> None:
    open_usage(page, server)
    drawn(page).get_by_text("Table", exact=True).first.click()
    button = page.locator(".st-key-usage-cost-csv").get_by_role("button", name="Download CSV")
    expect(button).to_be_visible()
    file = downloaded(page, button)
    assert re.fullmatch(r"usage-cost-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.csv", file.suggested_filename)
    file.save_as(tmp_path / "usage.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "usage.csv").read_text())))
    assert {row["model"]: row["cost_usd"] for row in rows} == {
        "gpt-5.4-mini": "0.000420001",
        "gpt-5.4": "0.009",
        "own-model": "",
    }


def test_a_filter_goes_along_to_the_runs_and_back(server: AppServer, page: Page) -> None:
    open_usage(page, server, "?model=gpt-5.4")
    expect(runs(page)).to_have_text("1")
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_text("Error codes")).to_be_visible()
    expect(runs(page)).to_have_text("1")
