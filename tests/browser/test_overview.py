"""The overview in a real browser: the first visit, the figures, and nothing fetched from elsewhere."""

import re
from collections.abc import Callable, Generator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from core.contract import utc_now
from core.errors import ErrorCode
from core.services.seeding import seed_demo_agents
from core.storage.records import RunStatus
from tests.support.app_server import AppServer
from tests.support.stored_runs import opened_application, store_run


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("full"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        patch.chdir(server.folder)
        with opened_application() as application:
            seed_demo_agents(application)
            now = utc_now()
            for age in (0, 1, 3, 9, 20):
                store_run(application, at=now - timedelta(days=age), cost_nanousd=2_000_000, seconds=1 + age)
            store_run(application, at=now - timedelta(days=1), model="own-model", cost_nanousd=None)
            store_run(
                application,
                at=now - timedelta(minutes=3),
                status=RunStatus.FAILED,
                error=ErrorCode.RATE_LIMITED,
                cost_nanousd=0,
            )
    with server:
        yield server


@pytest.mark.parametrize("dark", [False, True])
def test_the_first_visit_leads_to_the_demo_agent(
    empty: AppServer, open_page: Callable[..., Page], dark: bool
) -> None:
    page = open_page(dark=dark)
    page.goto(empty.url)
    expect(page.get_by_text("Three steps to a first run")).to_be_visible()
    page.get_by_role("button", name="Open the demo agent").click()
    expect(page).to_have_url(re.compile(r"/playground\?.*agent=[0-9a-f-]{36}"))
    expect(page.get_by_role("heading", name="Playground", exact=True)).to_be_visible()


def test_nothing_is_fetched_from_another_machine(full: AppServer, page: Page) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(full.url)
    expect(page.get_by_text("Last failures")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_text("Error codes")).to_be_visible()
    expect(page).to_have_title("Usage · Agent Launcher")
    assert len(asked) > 10
    elsewhere = {
        url for url in asked if urlsplit(url).scheme != "data" and urlsplit(url).hostname != "127.0.0.1"
    }
    assert not elsewhere
    assert not full.refused


def test_figures_failures_and_what_has_no_price_are_on_one_page(full: AppServer, page: Page) -> None:
    page.goto(full.url)
    spend = page.get_by_test_id("stMetric").filter(has_text="Spend")
    expect(spend).to_contain_text("$0.0060")
    expect(spend).to_contain_text("unpriced: 1")
    expect(page.get_by_test_id("stMetric").filter(has_text="Runs")).to_contain_text("5")
    expect(page.get_by_text("p95", exact=False).first).to_be_visible()
    page.get_by_role("link", name="RATE_LIMITED").click()
    expect(page).to_have_url(re.compile(r"/run\?id=[0-9a-f-]{36}$"))
    expect(page.get_by_text("RATE_LIMITED").first).to_be_visible()


def test_the_range_is_in_the_address_and_outlives_a_reload(full: AppServer, page: Page) -> None:
    page.goto(full.url)
    runs = page.get_by_test_id("stMetric").filter(has_text="Runs")
    expect(runs).to_contain_text("5")
    page.get_by_role("radio", name="30 days").click()
    expect(runs).to_contain_text("7")
    expect(page).to_have_url(re.compile(r"range=30(\+|%20)days"))
    page.reload()
    expect(runs).to_contain_text("7")
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Runs")).to_contain_text("7")


def test_all_failures_are_one_click_away(full: AppServer, page: Page) -> None:
    page.goto(full.url)
    page.get_by_role("link", name="All failures").click()
    expect(page).to_have_url(re.compile(r"/runs\?.*status=Failed.*status=Outcome"))
    expect(page.get_by_text("Outcome unknown").first).to_be_visible()


def test_a_range_of_the_runs_page_that_the_overview_lacks_does_no_harm(full: AppServer, page: Page) -> None:
    page.goto(f"{full.url}/runs")
    page.get_by_role("radio", name="All", exact=True).click()
    expect(page).to_have_url(re.compile("range=All"))
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Spend")).to_be_visible()


def test_the_server_says_whether_it_is_well(full: AppServer) -> None:
    assert full.answers("/healthz")
