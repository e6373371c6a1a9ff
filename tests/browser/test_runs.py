"""Runs in a real browser: found by filters that are in the address, opened, compared, repeated, taken away."""

import csv
import io
import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from core import ids
from core.contract import Attachment, utc_now
from core.errors import ErrorCode
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec
from core.services.seeding import seed_demo_agents
from core.storage.records import Backend, NewRun, RunStatus, Trigger
from tests.support.app_server import AppServer
from tests.support.browser import VIEWPORT_1920, choose, downloaded, drawn, open_row, tick, write
from tests.support.lost_drawing import LostDrawing
from tests.support.stored_runs import opened_application, store_run

# A picture of one dot.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
COST, STATUS, AGENT, MODEL = 5, 6, 7, 8
"""Columns of the table."""


@dataclass(frozen=True)
class Installation:
    """A server with runs of every kind; the ids by what they are."""

    server: AppServer
    runs: dict[str, UUID]

    def url(self, path: str) -> str:
        return self.server.url + path

    def run_url(self, name: str) -> str:
        return self.url(f"/run?id={self.runs[name]}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    server = AppServer(tmp_path_factory.mktemp("runs"))
    runs: dict[str, UUID] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
        patch.chdir(server.folder)
        with opened_application() as application:
            seed_demo_agents(application)
            agent = next(a for a in application.agents.list(LOCAL) if "Support" in a.name)
            now = utc_now()
            for number in range(60):
                store_run(
                    application, at=now - timedelta(days=2, minutes=number), prompt=f"Old question {number}"
                )
            runs["priced"] = store_run(
                application,
                at=now - timedelta(days=1),
                seconds=2.5,
                cost_nanousd=4_200_000,
                prompt="Priced question",
            )
            runs["unpriced"] = store_run(
                application, at=now - timedelta(hours=3), model="own-model", cost_nanousd=None
            )
            runs["failed"] = store_run(
                application,
                at=now - timedelta(hours=2),
                status=RunStatus.FAILED,
                error=ErrorCode.AUTHENTICATION_FAILED,
                cost_nanousd=0,
            )
            runs["orphan"] = orphan = ids.uuid7(at=now - timedelta(hours=1))
            application.store.runs.start(
                NewRun(
                    id=orphan,
                    project_id=LOCAL.project_id,
                    principal_id=LOCAL.id,
                    worker_id=ids.uuid7(),
                    created_at=now - timedelta(hours=1),
                    trigger=Trigger.CLI,
                    provider="OPENAI",
                    model="gpt-5.4",
                    backend=Backend.LOCAL,
                    request={"provider": "OPENAI", "model_name": "gpt-5.4", "prompt": "Lost"},
                )
            )
            assert application.store.runs.reap(now=now) == 1
            spec = RunSpec(
                config=config_of(agent.version),
                variables={"product": "Alpine Post", "message": "Where is my parcel? It cost $5 and $6."},
                agent_id=agent.id,
                agent_version_id=agent.version.id,
                agent_name=agent.name,
                trigger=Trigger.PLAYGROUND,
            )
            runs["agent"] = application.runs.run(LOCAL, spec, on_delta=lambda text: None).run_id
            rich = RunSpec(
                config=AgentConfig(
                    provider="DEMO",
                    model_name="demo-echo",
                    system_prompt="Answer as JSON",
                    temperature=0.25,
                    response_schema={"type": "object", "properties": {"risk": {"type": "string"}}},
                ),
                prompt="What is the risk?",
                context={"customer": {"tier": "gold"}},
                attachments=[Attachment(media_type="image/png", data=DOT, name="dot.png")],
                trigger=Trigger.CLI,
            )
            runs["rich"] = application.runs.run(LOCAL, rich, on_delta=lambda text: None).run_id
            flaky = RunSpec(config=AgentConfig(provider="DEMO", model_name="demo-flaky"), prompt="Flaky")
            runs["flaky"] = application.runs.run(LOCAL, flaky, on_delta=lambda text: None).run_id
            slow = RunSpec(
                config=AgentConfig(provider="DEMO", model_name="demo-echo"),
                prompt="[[words=600]] [[chunk_delay=0.2]] Slowly",
            )
            # Its replays take two minutes, however slow the machine is that stops them; this first one is stopped.
            live = application.runs.start(LOCAL, slow)
            live.cancel.cancel()
            assert live.wait(20) is not None
            runs["slow"] = live.run_id
    with server:
        yield Installation(server, runs)


def table(page: Page) -> Locator:
    return page.get_by_test_id("stDataFrame")


def rows(page: Page) -> Locator:
    """The rows of the table's accessible twin; the first is the heading."""
    return table(page).locator("canvas tr")


def cell(page: Page, row: int, column: int) -> Locator:
    return page.get_by_test_id(f"glide-cell-{column}-{row}")


# The list


def test_the_newest_runs_come_first_and_all_pages_can_be_turned(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?provider=OpenAI"))
    expect(page.get_by_text("64 runs")).to_be_visible()
    expect(page.get_by_text("50 shown")).to_be_visible()
    expect(cell(page, 0, MODEL)).to_have_text("gpt-5.4")
    page.get_by_role("button", name="Older", exact=True).click()
    expect(page).to_have_url(re.compile(r"[?&]cursor=o[0-9a-f]{32}"))
    expect(rows(page)).to_have_count(15)
    expect(page.get_by_role("button", name="Older", exact=True)).to_be_disabled()
    page.reload()
    expect(rows(page)).to_have_count(15)
    page.get_by_role("button", name="Newer", exact=True).click()
    expect(cell(page, 0, MODEL)).to_have_text("gpt-5.4")
    page.get_by_role("button", name="Older", exact=True).click()
    expect(rows(page)).to_have_count(15)
    page.get_by_role("button", name="Newest", exact=True).click()
    expect(cell(page, 0, MODEL)).to_have_text("gpt-5.4")
    expect(page).not_to_have_url(re.compile("cursor="))


def test_filters_are_in_the_address_outlive_a_reload_and_can_be_sent_to_somebody(
    installed: Installation, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(installed.url("/runs"))
    choose(page, "Status", "Failed")
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    choose(page, "Status", "Outcome unknown")
    expect(rows(page)).to_have_count(3)
    choose(page, "Provider", "OpenAI")
    expect(page).to_have_url(re.compile("provider=OpenAI.*status=Failed.*status=Outcome"))
    page.reload()
    expect(rows(page)).to_have_count(3)

    other = open_page(dark=True, viewport=VIEWPORT_1920)
    other.goto(page.url)
    expect(rows(other)).to_have_count(3)
    expect(cell(other, 0, STATUS)).to_have_text("● Outcome unknown")
    expect(cell(other, 1, STATUS)).to_have_text("● Failed: authentication failed")
    other.get_by_role("button", name="Clear filters").click()
    expect(cell(other, 0, MODEL)).to_have_text(re.compile("^demo-"))
    expect(other).not_to_have_url(re.compile("status="))


def test_a_filter_goes_back_to_the_first_page(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs"))
    expect(rows(page)).to_have_count(51)
    page.get_by_role("button", name="Older", exact=True).click()
    expect(page).to_have_url(re.compile("cursor="))
    expect(page.get_by_role("button", name="Newer", exact=True)).to_be_enabled()
    choose(page, "Model", "own-model")
    expect(rows(page)).to_have_count(2)
    expect(page).not_to_have_url(re.compile("cursor="))


def test_a_list_that_closes_before_anything_was_chosen_is_opened_again(
    installed: Installation, page: Page
) -> None:
    # Of `choose` itself, on which the other tests rely.
    page.goto(installed.url("/runs"))
    expect(rows(page)).to_have_count(51)
    page.evaluate(
        """() => {
            const main = document.querySelector('[data-testid="stMain"]');
            const watch = new MutationObserver(() => {
                if (!document.querySelector('[role="listbox"]')) return;
                watch.disconnect();
                window.closedOnce = true;
                main.scrollTop += 1;
            });
            watch.observe(document, {subtree: true, childList: true});
        }"""
    )
    choose(page, "Model", "own-model")
    expect(rows(page)).to_have_count(2)
    assert page.evaluate("window.closedOnce")


def test_what_has_no_price_says_unknown_and_can_be_looked_for(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?model=own-model"))
    expect(rows(page)).to_have_count(2)
    expect(cell(page, 0, COST)).to_have_text("unknown")
    page.goto(installed.url("/runs?unpriced=true"))
    expect(page.get_by_text("2 runs")).to_be_visible()
    page.get_by_role("button", name="More (1)").click()
    expect(page.get_by_text("Only runs without a known price")).to_be_visible()


def test_costs_are_filtered_in_dollars(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?cost_min=0.004"))
    expect(rows(page)).to_have_count(2)
    expect(cell(page, 0, COST)).to_have_text("$0.0042")


def test_filters_that_find_nothing_say_so_and_offer_a_way_back(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?model=no-such-model"))
    expect(page.get_by_text("No run passes these filters")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(rows(page)).to_have_count(51)


def test_every_column_stands_at_1280_pixels_and_a_wider_screen_gives_the_texts_more(
    installed: Installation, open_page: Callable[..., Page]
) -> None:
    def right_edge_and_table(page: Page) -> tuple[float, float]:
        page.goto(installed.url("/runs?status=Failed"))
        expect(rows(page)).to_have_count(2)
        expect(cell(page, 0, AGENT)).to_have_text("ad hoc")
        drawn(page)
        scroller = table(page).locator(".dvn-scroller")
        inner, outer = scroller.evaluate("it => [it.scrollWidth, it.clientWidth]")
        return inner, outer

    inner, outer = right_edge_and_table(open_page())
    assert inner <= outer, "nothing is beyond the right edge"
    inner, outer = right_edge_and_table(open_page(viewport=VIEWPORT_1920))
    assert inner <= outer


def test_a_run_is_found_by_its_id_or_the_beginning_of_it_in_any_range(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.url("/runs?range=Today&status=Outcome+unknown"))
    find = drawn(page).get_by_role("searchbox", name="Find")
    find.fill(str(installed.runs["priced"]))
    find.press("Enter")
    expect(page).to_have_url(installed.run_url("priced"))
    page.goto(installed.url("/runs"))
    expect(rows(page)).to_have_count(51)
    drawn(page)
    find.fill("0000000000")
    find.press("Enter")
    expect(page.get_by_text("No run passes these filters")).to_be_visible()
    drawn(page)
    find.fill("the parcel")
    find.press("Enter")
    expect(page.get_by_text("is no run's id")).to_be_visible()


def test_a_row_opens_its_run(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?status=Failed"))
    expect(rows(page)).to_have_count(2)
    open_row(page, 0)
    expect(page).to_have_url(re.compile(f"/run[?]id={installed.runs['failed']}"))
    expect(page.get_by_text("AUTHENTICATION_FAILED").first).to_be_visible()
    page.get_by_role("link", name="Runs", exact=True).last.click()
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile("/runs[?]status=Failed"))


def test_two_ticked_runs_are_compared(installed: Installation, page: Page) -> None:
    page.goto(installed.url("/runs?provider=OpenAI"))
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    tick(page, 0)
    expect(page.get_by_text("1 ticked")).to_be_visible()
    tick(page, 2)
    expect(compare).to_be_enabled()
    compare.click()
    newer, older = installed.runs["orphan"], installed.runs["unpriced"]
    expect(page).to_have_url(re.compile(f"id={newer}&compare={older}"))
    expect(page.get_by_text("Figures")).to_be_visible()
    expect(page.get_by_text("Lost").first).to_be_visible()
    page.get_by_role("button", name="Back to the run").click()
    expect(page).not_to_have_url(re.compile("compare="))


def test_a_run_that_begins_appears_by_itself_and_ticks_stay_on_their_runs(
    installed: Installation, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(installed.url("/runs?trigger=Replay"))
    before = page.get_by_text("No run passes these filters").or_(rows(page).nth(1))
    expect(before.first).to_be_attached()
    starter = open_page()
    starter.goto(installed.run_url("slow"))
    starter.get_by_role("button", name="Replay").click()
    expect(starter.get_by_text("Under way for", exact=False)).to_be_visible()
    expect(cell(page, 0, STATUS)).to_have_text("● Running")
    expect(page.get_by_text("1 under way")).to_be_visible()
    tick(page, 0)
    expect(page.get_by_text("1 ticked")).to_be_visible()
    starter.get_by_role("button", name="Stop").click()
    expect(starter.get_by_text("Cancelled").first).to_be_visible()
    expect(cell(page, 0, STATUS)).to_have_text("● Running")
    tick(page, 0)
    expect(cell(page, 0, STATUS)).to_have_text("● Cancelled")


# One run


def test_a_run_shows_what_was_asked_and_what_came_back(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("agent"))
    expect(page.get_by_role("heading", name="Support reply (demo)")).to_be_visible()
    expect(page).to_have_title(f"Support reply (demo) {str(installed.runs['agent'])[:8]} · Agent Launcher")
    expect(page.get_by_text("Where is my parcel? It cost $5 and $6.").first).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Cost")).to_contain_text("$0.00")
    expect(page.get_by_text("Price: offline demo")).to_be_visible()
    expect(page.get_by_text(str(installed.runs["agent"]))).to_be_visible()
    page.get_by_role("radio", name="Plain").click()
    expect(page.locator("code", has_text="You asked:")).to_be_visible()
    page.get_by_role("link", name="Support reply (demo), version 1").click()
    expect(page).to_have_url(re.compile("/agent[?]id=.*version=1"))
    expect(page.get_by_text("Version 1").first).to_be_visible()


def test_json_context_attachments_and_parameters_are_shown(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("rich"))
    expect(page.get_by_role("radio", name="JSON")).to_be_checked()
    expect(page.get_by_text('"risk"').first).to_be_visible()
    expect(page.get_by_text('"tier"').first).to_be_visible()
    expect(page.get_by_text("Temperature: 0.25")).to_be_visible()
    expect(page.get_by_text("dot.png")).to_be_visible()
    expect(page.get_by_text("Answer as JSON")).to_be_visible()


def test_attempts_stand_on_a_line_of_time(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("flaky"))
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    expect(page.get_by_text("Waiting to try again")).to_be_visible()
    expect(page.get_by_role("cell", name="RATE_LIMITED (HTTP 429)")).to_be_visible()
    expect(page.get_by_role("cell", name="2 · Local")).to_be_visible()


def test_an_error_has_its_cause_and_its_remedy(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("failed"))
    expect(page.get_by_text("The provider does not accept the key (AUTHENTICATION_FAILED)")).to_be_visible()
    expect(page.get_by_text("Replace the key under Settings > Credentials", exact=False)).to_be_visible()
    page.get_by_role("link", name="Open the credentials").click()
    expect(page).to_have_url(re.compile("/settings"))


def test_an_unknown_outcome_is_explained_and_its_cost_is_not_zero(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.run_url("orphan"))
    expect(page.get_by_text("Nobody knows how this run ended (OUTCOME_UNKNOWN)")).to_be_visible()
    expect(page.get_by_text("that may be billed a second time", exact=False)).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Cost")).to_contain_text("unknown")
    expect(page.get_by_text("The cost is unknown, not zero", exact=False)).to_be_visible()


def test_a_run_that_does_not_exist_has_a_clear_page(installed: Installation, page: Page) -> None:
    for query in ("", "?id=", "?id=nonsense", f"?id={UUID(int=5)}"):
        page.goto(installed.url(f"/run{query}"))
        expect(page.get_by_text("There is no such run")).to_be_visible()
        page.get_by_role("link", name="All runs").click()
        expect(page).to_have_url(re.compile("/runs"))
        expect(rows(page)).to_have_count(51)


def test_a_replay_leads_to_its_run_and_from_there_to_the_comparison(
    installed: Installation, page: Page
) -> None:
    page.goto(installed.run_url("agent"))
    page.get_by_role("button", name="Replay").click()
    expect(page).not_to_have_url(re.compile(str(installed.runs["agent"])))
    expect(page.get_by_text("The run that this one repeats").first).to_be_visible()
    expect(page.get_by_text("Local, from Replay")).to_be_visible()
    page.get_by_role("button", name="Compare with it").click()
    expect(page.get_by_text("Both runs asked for exactly the same.")).to_be_visible()
    expect(page.get_by_text("is the same on both sides")).to_be_visible()


def test_a_run_can_be_compared_with_any_other_by_its_id(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("agent"))
    page.get_by_role("button", name="Compare").click()
    other = page.get_by_role("textbox", name="Id of the other run")
    write(other, "not an id")
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Compare").click()
    expect(page.get_by_text("This is not a run's id", exact=False)).to_be_visible()
    write(other, str(installed.runs["rich"]))
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Compare").click()
    expect(page).to_have_url(re.compile(f"compare={installed.runs['rich']}"))
    expect(page.get_by_text("Figures")).to_be_visible()


def test_a_run_is_edited_in_the_playground(installed: Installation, page: Page) -> None:
    page.goto(installed.run_url("rich"))
    page.get_by_role("button", name="Edit in the playground").click()
    expect(page).to_have_url(re.compile(f"/playground[?].*{installed.runs['rich']}"))
    expect(page.get_by_role("heading", name="Playground", exact=True)).to_be_visible()


def test_a_run_under_way_is_shown_as_it_grows_survives_a_reload_and_can_be_stopped(
    installed: Installation, page: Page, page_errors: list[str]
) -> None:
    page.goto(installed.run_url("slow"))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Under way for", exact=False)).to_be_visible()
    expect(page.get_by_text("You asked:", exact=False).first).to_be_visible()
    page.reload()
    expect(page.get_by_text("Under way for", exact=False)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The run was cancelled", exact=False).first).to_be_visible()
    expect(page.get_by_text("Cancelled").first).to_be_visible()
    expect(page.get_by_text("You asked:", exact=False).first).to_be_visible()


def test_the_end_of_a_run_arrives_on_its_page_though_a_drawing_of_it_is_lost(
    installed: Installation, page: Page
) -> None:
    drawing = LostDrawing(page)
    page.goto(installed.run_url("slow"))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Under way for", exact=False)).to_be_visible()
    drawn(page)
    drawing.wanted = True
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The run was cancelled", exact=False).first).to_be_visible()
    expect(page.get_by_text("Under way for", exact=False)).to_have_count(0)
    expect(page.get_by_role("button", name="Replay")).to_be_enabled()
    assert drawing.lost


def test_the_list_shows_what_was_chosen_though_that_drawing_of_the_page_is_lost(
    installed: Installation, page: Page
) -> None:
    drawing = LostDrawing(page)
    page.goto(installed.url("/runs"))
    expect(page.get_by_text("50 shown")).to_be_visible()
    drawn(page)
    drawing.wanted = True
    choose(page, "Model", "own-model")
    expect(page.get_by_text("1 run", exact=True)).to_be_visible()
    assert drawing.lost


# The export


@pytest.mark.parametrize("form", ["CSV", "JSON lines"])
def test_the_filtered_runs_are_exported_to_a_file(
    installed: Installation, page: Page, tmp_path: Path, form: str
) -> None:
    page.goto(installed.url("/runs?provider=OpenAI&status=Succeeded"))
    expect(page.get_by_text("62 runs")).to_be_visible()
    page.get_by_role("button", name="Export", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("62 runs pass the filters", exact=False)).to_be_visible()
    dialog.get_by_role("radio", name=form).click()
    expect(dialog.get_by_role("radio", name=form)).to_be_checked()
    drawn(page)
    dialog.get_by_role("button", name="Export", exact=True).click()
    link = dialog.get_by_role("link", name="Download", exact=False)
    expect(link).to_be_visible()
    export = downloaded(page, link)
    file = tmp_path / export.suggested_filename
    export.save_as(file)
    text = file.read_text(encoding="utf-8")
    if form == "CSV":
        assert file.suffix == ".csv"
        found = list(csv.DictReader(io.StringIO(text)))
        costs = {row["id"]: row["cost_usd"] for row in found}
    else:
        assert file.suffix == ".jsonl"
        found = [json.loads(line) for line in text.splitlines()]
        costs = {row["id"]: "" if row["cost_usd"] is None else str(row["cost_usd"]) for row in found}
    assert len(found) == 62
    assert costs[str(installed.runs["priced"])] == "0.0042"
    assert costs[str(installed.runs["unpriced"])] == ""


def test_an_export_is_offered_though_a_drawing_of_it_is_lost_and_can_be_repeated(
    installed: Installation, page: Page
) -> None:
    drawing = LostDrawing(page, after_press=True)
    page.goto(installed.url("/runs?provider=OpenAI"))
    drawn(page).get_by_role("button", name="Export", exact=True).click()
    dialog = page.get_by_role("dialog")
    start = dialog.get_by_role("button", name="Export", exact=True)
    expect(start).to_be_visible()
    drawn(page)
    drawing.wanted = True
    start.click()
    expect(dialog.get_by_role("link", name="Download", exact=False)).to_be_visible()
    assert drawing.lost
    drawn(page)
    dialog.get_by_role("button", name="Export again").click()
    expect(start).to_be_visible()


def test_an_export_that_is_gone_says_so(installed: Installation) -> None:
    assert not installed.server.answers(f"/exports/{UUID(int=3)}")
    assert not installed.server.answers("/exports/..%2Fagent-launcher.db")


# The themes


@pytest.mark.parametrize("dark", [False, True])
def test_no_run_page_is_wider_than_the_window(
    installed: Installation, open_page: Callable[..., Page], dark: bool
) -> None:
    page = open_page(dark=dark)
    for name in ("agent", "failed", "orphan", "flaky"):
        page.goto(installed.run_url(name))
        expect(page.get_by_text("Tokens and cost")).to_be_visible()
        drawn(page)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("e => e.scrollWidth <= e.clientWidth"), name
