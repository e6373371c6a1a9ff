"""The settings page in a real browser: a key goes in once and is seen nowhere, and nothing typed is lost."""

import re
from collections.abc import Generator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.services.principal import LOCAL
from tests.contract.dialects.base import Failure
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.app_server import AppServer
from tests.support.browser import choose, choose_action, drawn
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import VendorServer

KEY = "sk-proj-abcdefghijklmnop4f2a"
DIALECT = OpenAIDialect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("settings")) as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server: AppServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begins each test without keys and prices."""
    monkeypatch.setenv("AGENT_LAUNCHER_DATA_DIR", str(server.data_dir))
    with opened_application() as application:
        for credential in application.credentials.list(LOCAL):
            application.credentials.delete(LOCAL, credential.id)
        for override in application.prices.list_overrides(LOCAL):
            application.prices.delete_override(LOCAL, override.id)


def store_key(**fields: str) -> None:
    with opened_application() as application:
        values = {"name": "Production", "provider": "OPENAI", "secret": KEY, **fields}
        application.credentials.add(LOCAL, **values)


def open_section(page: Page, server: AppServer, section: str) -> None:
    page.goto(f"{server.url}/settings?section={section}")
    expect(page.get_by_role("tab", name=section)).to_have_attribute("aria-selected", "true")
    drawn(page)


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def field(page: Page, label: str) -> Locator:
    return dialog(page).get_by_role("textbox", name=label, exact=True)


def key_field(page: Page) -> Locator:
    # A password field has no role.
    return dialog(page).get_by_label("Key", exact=True)


def test_a_key_goes_in_and_is_seen_nowhere(server: AppServer, page: Page) -> None:
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(str(frame))))
    open_section(page, server, "Credentials")
    expect(page.get_by_text("No credentials yet")).to_be_visible()
    page.get_by_role("button", name="Add a credential").click()
    field(page, "Name").fill("Production")
    expect(key_field(page)).to_have_attribute("type", "password")
    expect(key_field(page)).to_have_attribute("autocomplete", "off")
    key_field(page).fill(KEY)
    dialog(page).get_by_role("button", name="Store").click()
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_text("ends in 4f2a")).to_be_visible()
    assert KEY not in page.content()
    # The server never sends it back either, not even to the field in which it was typed.
    assert sent
    assert KEY not in "".join(sent)
    # The field is empty when the dialog opens again.
    page.get_by_role("button", name="Add a credential").click()
    expect(key_field(page)).to_have_value("")
    page.reload()
    expect(page.get_by_text("ends in 4f2a")).to_be_visible()
    assert KEY not in page.content()
    assert KEY not in server.log


def test_nothing_typed_is_lost_by_an_error(server: AppServer, page: Page) -> None:
    open_section(page, server, "Credentials")
    page.get_by_role("button", name="Add a credential").click()
    field(page, "Name").fill("Production")
    key_field(page).fill("two words")
    field(page, "Base URL").fill("https://proxy.example/v1")
    dialog(page).get_by_role("button", name="Store").click()
    expect(dialog(page).get_by_role("alert")).to_contain_text("paste the key alone")
    expect(field(page, "Name")).to_have_value("Production")
    expect(key_field(page)).to_have_value("two words")
    expect(field(page, "Base URL")).to_have_value("https://proxy.example/v1")
    key_field(page).fill(KEY)
    dialog(page).get_by_role("button", name="Store").click()
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_text("https://proxy.example/v1")).to_be_visible()


def test_an_empty_key_is_stopped_in_the_form(server: AppServer, page: Page) -> None:
    open_section(page, server, "Credentials")
    page.get_by_role("button", name="Add a credential").click()
    field(page, "Name").fill("Production")
    dialog(page).get_by_role("button", name="Store").click()
    expect(key_field(page)).to_have_attribute("aria-invalid", "true")
    expect(dialog(page)).to_be_visible()
    expect(page.get_by_text("ends in")).to_have_count(0)


def test_a_credential_is_tested_replaced_renamed_and_deleted(
    server: AppServer, page: Page, vendor: VendorServer
) -> None:
    store_key(base_url=DIALECT.connection(vendor.url)["base_url"])
    vendor.will(
        DIALECT.models(["gpt-4o"]),
        DIALECT.failure(Failure.BAD_KEY, message=f"Incorrect API key provided: {KEY}"),
    )
    open_section(page, server, "Credentials")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text(re.compile("Answered in .* with 1 model"))).to_be_visible()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("alert")).to_contain_text("key")
    assert KEY not in page.content()

    def change(what: str) -> None:
        choose_action(page, page.get_by_role("button", name="Change"), what)

    change("Replace key")
    key_field(page).fill("sk-proj-qrstuvwxyz0123456789")
    dialog(page).get_by_role("button", name="Replace").click()
    expect(page.get_by_text("ends in 6789")).to_be_visible()
    change("Rename")
    field(page, "Name").fill("Live")
    dialog(page).get_by_role("button", name="Rename").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    change("Delete")
    expect(dialog(page)).to_contain_text("removed for good")
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    change("Delete")
    dialog(page).get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No credentials yet")).to_be_visible()


def test_the_section_is_in_the_address(server: AppServer, page: Page) -> None:
    open_section(page, server, "Credentials")
    page.get_by_role("tab", name="Health").click()
    expect(page.get_by_text("checks; nothing is broken")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?section=Health$"))
    page.reload()
    expect(page.get_by_text("checks; nothing is broken")).to_be_visible()
    page.get_by_role("tab", name="Installation").click()
    expect(page.get_by_text(str(server.data_dir / "agent-launcher.db"), exact=True)).to_be_visible()


def test_a_price_is_added_after_a_correction_and_looked_up(server: AppServer, page: Page) -> None:
    open_section(page, server, "Prices")
    page.get_by_role("button", name="Add a price").click()
    field(page, "Model").fill("own-model*")
    field(page, "Input").fill("0,15")
    field(page, "Output").fill("0.60")
    dialog(page).get_by_role("button", name="Add", exact=True).click()
    expect(dialog(page).get_by_role("alert")).to_contain_text("Write a point, not a comma.")
    expect(field(page, "Output")).to_have_value("0.60")
    field(page, "Input").fill("0.15")
    dialog(page).get_by_role("button", name="Add", exact=True).click()
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_text("own-model*")).to_be_visible()
    expect(page.get_by_text("$0.15 in · $0.60 out")).to_be_visible()
    choose(page, "Model", "own-model-7", new=True)
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("$0.15")
    page.get_by_role("button", name="delete").click()
    dialog(page).get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No prices of your own")).to_be_visible()
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("unknown")


def test_defaults_reach_the_other_pages(server: AppServer, page: Page) -> None:
    open_section(page, server, "Defaults")
    choose(page, "Time zone", "Europe/Paris", typed=True)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    page.goto(f"{server.url}/usage")
    expect(page.get_by_text("days in Europe/Paris")).to_be_visible()
