"""The costs page in a real browser: a question in the address, the table, its file, and the way to the playground."""

import csv
import io
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.services.agent_config import AgentConfig
from core.services.principal import LOCAL
from tests.support.app_server import AppServer
from tests.support.browser import choose, downloaded, drawn
from tests.support.stored_runs import opened_application


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("costs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        patch.chdir(server.folder)
        with opened_application() as application:
            application.agents.create(
                LOCAL,
                name="Sorter",
                config=AgentConfig(provider="OPENAI", model_name="gpt-4o", prompt="Sort this letter."),
            )
            application.prices.add_override(
                LOCAL,
                provider="OPENAI",
                model_pattern="own-1",
                input_usd_per_mtok="1",
                output_usd_per_mtok="2",
            )
    with server:
        yield server


def open_costs(page: Page, server: AppServer, query: str = "") -> None:
    page.goto(f"{server.url}/costs{query}")
    expect(page.get_by_text(re.compile("^Priced: "))).to_be_visible()
    drawn(page)


MODEL, PROVIDER = 1, 2


def cell(page: Page, row: int, column: int) -> Locator:
    page.get_by_test_id("stDataFrame").scroll_into_view_if_needed()
    return page.get_by_test_id(f"glide-cell-{column}-{row}")


def test_a_question_is_kept_in_the_address_and_outlives_a_reload(server: AppServer, page: Page) -> None:
    open_costs(page, server)
    expect(page.get_by_text("1,000 input tokens (assumed)")).to_be_visible()
    field = page.get_by_role("spinbutton", name="Input tokens a run")
    field.fill("250000")
    field.press("Enter")
    expect(page.get_by_text("Priced: 250 k input tokens and")).to_be_visible()
    expect(page).to_have_url(re.compile("input=250000"))
    search = drawn(page).get_by_role("searchbox", name="Model")
    search.fill("gpt-4o-mini")
    search.press("Enter")
    expect(cell(page, 0, MODEL)).to_have_text("gpt-4o-mini")
    expect(cell(page, 0, PROVIDER)).to_have_text("OpenAI")
    page.reload()
    expect(page.get_by_text("Priced: 250 k input tokens and")).to_be_visible()
    expect(cell(page, 0, MODEL)).to_have_text("gpt-4o-mini")


def test_an_agent_is_compared_and_its_figures_are_in_the_file(
    server: AppServer, page: Page, tmp_path: Path
) -> None:
    open_costs(page, server, "?input=1000&output=500&runs_each=10")
    choose(page, "Compare with an agent", "Sorter")
    expect(page.get_by_test_id("stMetric").filter(has_text="Now, a month")).to_contain_text("$2.25")
    search = drawn(page).get_by_role("searchbox", name="Model")
    search.fill("own-1")
    search.press("Enter")
    expect(cell(page, 0, MODEL)).to_have_text("own-1")
    expect(cell(page, 0, 6)).to_have_text("-0.0055")
    expect(cell(page, 0, 7)).to_have_text("-1.65")
    file = tmp_path / "costs.csv"
    downloaded(page, page.get_by_role("button", name="Download CSV")).save_as(file)
    rows = {(r["provider"], r["model"]): r for r in csv.DictReader(io.StringIO(file.read_text()))}
    own = rows["OPENAI", "own-1"]
    assert (own["run_usd"], own["month_usd"], own["month_difference_usd"]) == ("0.002", "0.6", "-1.65")
    assert own["price_source"].startswith("override: OPENAI/own-1")


def test_the_playground_opens_with_the_model_and_the_prompt(server: AppServer, page: Page) -> None:
    open_costs(page, server, "?find=own-1")
    prompt = page.get_by_role("textbox", name="Prompt", exact=True)
    prompt.fill("Where is my order?")
    prompt.press("Control+Enter")
    expect(page.get_by_text("by the prompt's length")).to_be_visible()
    expect(cell(page, 0, MODEL)).to_have_text("own-1")
    # The table is a canvas: this is the first row's button.
    drawn(page).get_by_test_id("stDataFrame").click(position={"x": 22, "y": 35 + 17})
    expect(page).to_have_url(re.compile(r"/playground\?.*with_model=own-1"))
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("Where is my order?")
    expect(page.get_by_role("combobox", name="Model")).to_have_value("own-1")
    page.reload()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("own-1")


def test_nothing_found_is_said(server: AppServer, page: Page) -> None:
    open_costs(page, server, "?find=no-such-model")
    expect(page.get_by_text("No model here")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(cell(page, 0, MODEL)).to_be_attached()
