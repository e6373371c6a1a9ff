"""The playground in a real browser: from the first visit to a stored, priced run; columns, reloads, chat, files."""

import json
import re
import sqlite3
from base64 import b64decode
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.app_server import AppServer
from tests.support.browser import VIEWPORT_1920, choose, choose_action, close_popover, drawn, write
from tests.support.lost_drawing import LostDrawing

# A picture of one dot.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("playground")) as server:
        yield server


@pytest.fixture
def opened(server: AppServer, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the playground in a session of its own."""

    def make(address: str = "/playground", **options: Any) -> Page:
        page = open_page(**options)
        page.goto(server.url + address)
        expect(prompt_of(page) if "chat" not in address else page.get_by_placeholder("Ask ")).to_be_visible()
        return drawn(page)

    return make


def prompt_of(page: Page) -> Locator:
    return page.get_by_label("Prompt", exact=True)


def run_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Run"))


def stop_button(page: Page) -> Locator:
    """The one of the page; a column has its own."""
    return page.get_by_role("button", name="Stop", exact=True).first


def ask(page: Page, prompt: str) -> None:
    """Writes a prompt and runs it with the keyboard."""
    prompt_of(drawn(page)).fill(prompt)
    prompt_of(page).press("Control+Enter")


def run_ids(page: Page, *, number: int = 1) -> list[str]:
    """Of the runs that the page shows, which its address names: the browser is told of it after the texts."""
    named = re.compile(rf"runs=([0-9a-f-]{{36}}(?:(?:%2C|,)[0-9a-f-]{{36}}){{{number - 1}}})(?:&|$)")
    expect(page).to_have_url(named)
    found = named.search(page.url)
    assert found is not None, page.url
    return re.split("%2C|,", found[1])


def statuses(server: AppServer, ids: list[str]) -> list[str]:
    """What the database says, oldest first."""
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        rows = database.execute("SELECT id, status FROM run ORDER BY id").fetchall()
    known = {_text(row[0]): row[1] for row in rows}
    return [known[found] for found in ids]


def _text(value: Any) -> str:
    raw = value.hex() if isinstance(value, bytes) else str(value).replace("-", "")
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def run_count(server: AppServer) -> int:
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        return database.execute("SELECT count(*) FROM run").fetchone()[0]


def test_a_first_visit_takes_one_click_to_a_stored_priced_run(
    server: AppServer, opened: Callable[..., Page]
) -> None:
    page = opened()
    expect(page.get_by_text("free (offline demo)")).to_be_visible()
    run_button(page).click()
    expect(page.get_by_text("You asked:")).to_be_visible()
    for fact in ("Latency", "First token", "Tokens in", "Tokens out", "Cost", "Finish"):
        expect(page.get_by_text(fact, exact=True)).to_be_visible()
    expect(page.get_by_text("$0.00", exact=True)).to_be_visible()
    (run_id,) = run_ids(page)
    assert statuses(server, [run_id]) == ["SUCCEEDED"]
    page.get_by_role("link", name="Open run").click()
    expect(page).to_have_url(re.compile(rf"/run\?id={run_id}"))


def test_the_keyboard_runs_what_was_just_typed(opened: Callable[..., Page]) -> None:
    page = opened()
    write(prompt_of(page), "Tell me about {{animal}}")
    field = page.get_by_label("animal", exact=True)
    expect(field).to_be_visible()
    drawn(page)
    field.fill("foxes")
    field.press("Control+Enter")
    expect(page.get_by_text('You asked: "Tell me about foxes"')).to_be_visible()
    expect(run_button(page)).to_be_visible()


def test_three_columns_run_at_once_and_are_compared(server: AppServer, opened: Callable[..., Page]) -> None:
    page = opened(viewport=VIEWPORT_1920)
    # Long enough for each state to be seen on a slow machine; of these models only demo-slow takes time for words.
    write(prompt_of(page), "[[delay=8]] [[words=90]] Hello")
    for count in (2, 3):
        drawn(page).get_by_role("button", name="Compare").click()
        expect(page.get_by_test_id("stPopover")).to_have_count(count)
    drawn(page).get_by_role("button", name="demo-echo").nth(2).click()
    choose(page, "Model", "demo-slow", typed=True)
    expect(page.get_by_role("button", name="demo-slow")).to_be_visible()
    close_popover(page)
    run_button(page).click()
    expect(page.get_by_text("0 of 3 done")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(4)
    expect(page.get_by_text("2 of 3 done")).to_be_visible()
    expect(page.get_by_text("3 of 3 done")).to_be_visible(timeout=60_000)
    # Before the marks: they are for answers only, so this says why there may be none.
    assert statuses(server, run_ids(page, number=3)) == ["SUCCEEDED"] * 3
    # Two can be equally fast.
    expect(page.get_by_text(re.compile(r"fastest [ABC]( and [ABC])?, "))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^(bolt)?\s*Fastest$")).first).to_be_visible()
    expect(page.get_by_role("link", name="Open run")).to_have_count(3)


def test_a_reload_and_a_second_tab_find_the_run_under_way(
    server: AppServer, opened: Callable[..., Page]
) -> None:
    page = opened()
    write(prompt_of(page), "[[delay=1]] Count {{what}} [[chunk_delay=0.3]] [[words=2000]]")
    write(page.get_by_label("what", exact=True), "sheep")
    before = run_count(server)
    run_button(page).click()
    expect(
        page.get_by_text("Waiting for the first token").or_(page.get_by_text("You asked")).first
    ).to_be_visible()
    expect(page.get_by_text("first token after")).to_be_visible()
    shown = run_ids(page)
    page.reload()
    expect(page.get_by_text('You asked: "Count sheep')).to_be_visible()
    expect(prompt_of(page)).to_have_value("[[delay=1]] Count {{what}} [[chunk_delay=0.3]] [[words=2000]]")
    expect(page.get_by_label("what", exact=True)).to_have_value("sheep")
    second = opened(page.url.removeprefix(server.url))
    expect(second.get_by_text('You asked: "Count sheep')).to_be_visible()
    assert run_ids(second) == shown
    assert statuses(server, shown) == ["RUNNING"]
    stop_button(second).click()
    for tab in (page, second):
        expect(tab.get_by_text("What was received until then is kept.")).to_be_visible()
        expect(run_button(tab)).to_be_visible()
    assert statuses(server, shown) == ["CANCELLED"]
    assert run_count(server) == before + 1


@pytest.mark.parametrize("chat", [False, True], ids=["prompt", "chat"])
def test_the_end_of_a_run_arrives_though_a_drawing_of_the_page_is_lost(
    server: AppServer, open_page: Callable[..., Page], chat: bool
) -> None:
    page = open_page()
    drawing = LostDrawing(page)
    page.goto(server.url + ("/playground?mode=chat" if chat else "/playground"))
    question = page.get_by_placeholder("Ask ") if chat else prompt_of(page)
    expect(question).to_be_visible()
    drawn(page)
    question.fill("[[delay=3]] [[chunk_delay=0.1]] Hello")
    question.press("Enter" if chat else "Control+Enter")
    expect(page.get_by_text("Waiting for the first token")).to_be_visible()
    run_ids(page)
    drawn(page)
    drawing.wanted = True
    expect(page.get_by_text('You asked: "Hello"')).to_be_visible()
    if chat:
        expect(question).to_be_enabled()
    else:
        expect(run_button(page)).to_be_visible()
    assert drawing.lost


def test_what_is_typed_while_an_answer_arrives_stays(opened: Callable[..., Page]) -> None:
    page = opened()
    ask(page, "[[chunk_delay=0.2]] Hello")
    expect(page.get_by_text("first token after")).to_be_visible()
    prompt_of(page).fill("A thought that came meanwhile, ")
    expect(page.get_by_text("Finish", exact=True)).to_be_visible()
    expect(run_button(page)).to_be_visible()
    page.keyboard.type("and its end")
    expect(prompt_of(page)).to_have_value("A thought that came meanwhile, and its end")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text('You asked: "A thought that came meanwhile, and its end"')).to_be_visible()


def test_the_back_button_leads_to_the_run_before(opened: Callable[..., Page]) -> None:
    page = opened()
    shown = ""
    for text in ("First", "Second"):
        ask(page, text)
        expect(page.get_by_text(f'You asked: "{text}"')).to_be_visible()
        expect(run_button(page)).to_be_visible()
        if shown:
            expect(page).not_to_have_url(re.compile(shown))
        (shown,) = run_ids(page)
    drawn(page).go_back()
    expect(page.get_by_text('You asked: "First"')).to_be_visible()
    expect(prompt_of(page)).to_have_value("First")


def test_nothing_typed_is_lost_on_the_way_to_another_page_and_back(opened: Callable[..., Page]) -> None:
    page = opened()
    write(prompt_of(page), "Precious {{thing}}")
    thing = page.get_by_label("thing", exact=True)
    expect(thing).to_be_visible()
    drawn(page)
    thing.fill("words")
    thing.press("Control+Enter")
    expect(page.get_by_text('You asked: "Precious words"')).to_be_visible()
    (run_id,) = run_ids(page)
    expect(run_button(page)).to_be_visible()
    drawn(page).get_by_text("Parameters").click()
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("7")
    seed.press("Enter")
    expect(page.get_by_text("Parameters · 2 set")).to_be_visible()
    page.get_by_role("link", name="Agents").click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    expect(prompt_of(page)).to_have_value("Precious {{thing}}")
    expect(page.get_by_label("thing", exact=True)).to_have_value("words")
    expect(page.get_by_text("Parameters · 2 set")).to_be_visible()
    expect(page.get_by_text('You asked: "Precious words"')).to_be_visible()
    assert run_ids(page) == [run_id]


def test_a_failure_keeps_what_was_received_and_says_what_to_do(opened: Callable[..., Page]) -> None:
    page = opened()
    ask(page, "[[fail_after=5]] Hello")
    expect(page.get_by_text("The answer was not an answer")).to_be_visible()
    expect(page.get_by_text("BAD_PROVIDER_RESPONSE")).to_be_visible()
    expect(page.get_by_text('You asked: "Hello" This text')).to_be_visible()
    expect(run_button(page)).to_be_visible()
    # Each attempt takes its two seconds, so that it can be seen.
    ask(page, "[[delay=2]] [[fail=RATE_LIMITED]] Hello")
    later = page.get_by_text(re.compile("attempt [23], after rate limited"))
    expect(later.first).to_be_visible()
    expect(page.get_by_text("3 attempts: rate limited")).to_be_visible()
    expect(prompt_of(page)).to_have_value("[[delay=2]] [[fail=RATE_LIMITED]] Hello")


def test_a_picture_goes_along(server: AppServer, opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_text("Context and files").click()
    page.locator('input[type="file"]').set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": b64decode(DOT)}
    )
    expect(page.get_by_text("Context and files · 1 file")).to_be_visible()
    run_button(page).click()
    expect(page.get_by_text("With 1 attachment")).to_be_visible()
    expect(page.get_by_text("Finish", exact=True)).to_be_visible()
    assert statuses(server, run_ids(page)) == ["SUCCEEDED"]


def test_a_chat_remembers_and_opens_again(server: AppServer, opened: Callable[..., Page]) -> None:
    page = opened("/playground?mode=chat")
    question = page.get_by_placeholder("Ask ")
    for number, text in enumerate(("First question", "Second question"), start=1):
        drawn(page)
        question.fill(text)
        question.press("Enter")
        expect(page.get_by_text(f'You asked: "{text}"')).to_be_visible()
        expect(page.get_by_role("link", name="Run", exact=True)).to_have_count(number)
    assert statuses(server, run_ids(page, number=2)) == ["SUCCEEDED"] * 2
    page.reload()
    expect(page.get_by_text('You asked: "First question"')).to_be_visible()
    expect(page.get_by_text('You asked: "Second question"')).to_be_visible()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_text("Ask something below")).to_be_visible()
    expect(page).not_to_have_url(re.compile("runs="))


def test_the_code_is_copied_from_a_columns_menu(opened: Callable[..., Page]) -> None:
    page = opened()
    choose_action(page, page.get_by_test_id("stMenuButton").get_by_role("button"), "Copy as code")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="Command line").click()
    expect(dialog.get_by_text("agent-launcher run --agent")).to_be_visible()
    dialog.get_by_role("tab", name="Python").click()
    expect(dialog.get_by_text("lambda_agent_service.invoke_agent(")).to_be_visible()


def test_a_version_is_saved_from_the_playground(server: AppServer, opened: Callable[..., Page]) -> None:
    page = opened()
    write(page.get_by_label("System prompt"), "Answer for {{product}} in one sentence.")
    expect(page.get_by_text("Differs from version 1")).to_be_visible()
    choose_action(page, page.get_by_test_id("stMenuButton").get_by_role("button"), "Save as new version")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("in one sentence")).to_be_visible()
    write(dialog.get_by_label("Note"), "One sentence")
    dialog.get_by_role("button", name="Save version").click()
    expect(page.get_by_text("Saved as version 2")).to_be_visible()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Differs from version")).to_be_hidden()
    with closing(sqlite3.connect(server.data_dir / "agent-launcher.db")) as database:
        notes = [row[0] for row in database.execute("SELECT note FROM agent_version ORDER BY number")]
    assert "One sentence" in json.dumps(notes)


def test_a_reload_brings_back_what_was_typed_and_one_step_back_leaves(
    server: AppServer, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(server.url + "/")
    menu = page.get_by_test_id("stSidebarNav")
    menu.get_by_role("link", name="Playground").click()
    expect(prompt_of(page)).to_be_visible()
    drawn(page)
    page.go_back()
    expect(page).to_have_url(server.url + "/")
    menu.get_by_role("link", name="Playground").click()
    expect(prompt_of(page)).to_be_visible()
    write(prompt_of(page), "Only typed, never run")
    expect(page).to_have_url(re.compile("[?&]draft="))
    page.reload()
    expect(prompt_of(page)).to_have_value("Only typed, never run")
    other = open_page()
    other.goto(server.url + "/playground")
    expect(prompt_of(other)).to_be_visible()
    expect(prompt_of(other)).not_to_have_value("Only typed, never run")
