"""One run from the first visit on: asked for in the playground, found by a filter, opened, and counted in a chart."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.support.app_server import AppServer
from tests.support.browser import choose, downloaded, drawn, open_row, tall_bars

COST, STATUS, MODEL = 5, 6, 8
"""Columns of the runs' table."""


def test_a_run_of_the_first_visit_is_stored_priced_found_opened_and_counted(
    make_server: Callable[..., AppServer], page: Page, tmp_path: Path
) -> None:
    server = make_server().start()

    page.goto(server.url)
    page.get_by_role("button", name="Open the demo agent").click()
    expect(page.get_by_text("free (offline demo)")).to_be_visible()
    run_in_playground(page)
    expect(page.get_by_text("You asked:").first).to_be_visible()
    expect(page.get_by_text("$0.00", exact=True)).to_be_visible()
    run_id = shown_run(page)
    # A second one, of another model, which fails: something for the filter to leave out, and for the chart to tell
    # apart.
    page.goto(f"{server.url}/playground")
    prompt = page.get_by_label("Prompt", exact=True)
    expect(prompt).to_be_visible()
    drawn(page)
    prompt.fill("[[fail=AUTHENTICATION_FAILED]] Hello")
    prompt.press("Control+Enter")
    expect(page.get_by_text("AUTHENTICATION_FAILED").first).to_be_visible()
    expect(run_button(page)).to_be_visible()
    expect(page).not_to_have_url(re.compile(run_id))
    assert shown_run(page) != run_id

    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_text("2 runs", exact=True)).to_be_visible()
    choose(page, "Status", "Succeeded")
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("status=Succeeded"))
    expect(cell(page, 0, STATUS)).to_have_text("● Succeeded")
    expect(cell(page, 0, COST)).to_have_text("$0.00")
    expect(cell(page, 0, MODEL)).to_have_text("demo-slow")

    open_row(page, 0)
    expect(page).to_have_url(re.compile(f"/run[?]id={run_id}"))
    expect(page.get_by_text("You asked:").first).to_be_visible()
    expect(page.get_by_text("$0.00", exact=True).first).to_be_visible()

    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_text("Error codes")).to_be_visible()
    runs = page.get_by_test_id("stMetric").filter(has_text="Runs").get_by_test_id("stMetricValue")
    expect(runs).to_have_text("2")
    # What only the free demo ran has cost nothing, so this chart counts runs.
    chart = page.locator(".st-key-usage-cost .js-plotly-plot").first
    expect(chart).to_contain_text("demo-slow (offline demo)")
    expect(chart).to_contain_text("demo-echo (offline demo)")
    tall_bars(page, ".st-key-usage-cost .js-plotly-plot", number=2)
    assert sorted(table_behind(page, tmp_path)) == [
        ("demo-echo (offline demo)", "1", "0"),
        ("demo-slow (offline demo)", "1", "0"),
    ]


def run_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Run"))


def run_in_playground(page: Page) -> None:
    run_button(page).click()
    expect(page.get_by_text("Finish", exact=True)).to_be_visible()
    expect(run_button(page)).to_be_visible()


def shown_run(page: Page) -> str:
    """The run whose answer the playground shows, which its address names."""
    named = re.compile(r"runs=([0-9a-f-]{36})")
    expect(page).to_have_url(named)  # the browser is told of it after the text
    found = named.search(page.url)
    assert found is not None, page.url
    return found[1]


def cell(page: Page, row: int, column: int) -> Locator:
    return page.get_by_test_id(f"glide-cell-{column}-{row}")


def table_behind(page: Page, folder: Path) -> list[tuple[str, str, str]]:
    """The model, the runs and the dollars of each row of the table under the first chart, as its file has them."""
    drawn(page).get_by_text("Table", exact=True).first.click()
    button = page.locator(".st-key-usage-cost-csv").get_by_role("button", name="Download CSV")
    expect(button).to_be_visible()
    downloaded(page, button).save_as(folder / "usage.csv")
    rows = csv.DictReader(io.StringIO((folder / "usage.csv").read_text()))
    return [(row["model"], row["runs"], row["cost_usd"]) for row in rows]
