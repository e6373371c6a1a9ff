"""The settings page: keys in and never out, defaults, prices, what is in use and whether it is in order."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import StoreUnavailable
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.credentials import CredentialPublic
from core.services.preferences import Preferences
from core.services.prices import PriceService
from core.services.principal import LOCAL
from dashboard import routes, state
from tests.contract.dialects.base import Failure
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.vendor_server import VendorServer

OpenApp = Callable[..., AppTest]
KEY = "sk-proj-abcdefghijklmnop4f2a"
OTHER_KEY = "sk-proj-qrstuvwxyz0123456789"
DIALECT = OpenAIDialect()


@pytest.fixture
def open_settings(open_app: OpenApp) -> Callable[[str], AppTest]:
    def opened(section: str = "Credentials") -> AppTest:
        app = open_app(routes.SETTINGS, section=section)
        assert not app.exception
        return app

    return opened


Open = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    """Everything that the server sends, as it sends it."""
    return "\n".join(_texts(app._tree))  # with toasts and dialogs, which are in neither of its public halves


def _texts(node: Any) -> Iterator[str]:
    if (proto := getattr(node, "proto", None)) is not None:
        yield str(proto)
    for child in getattr(node, "children", {}).values():
        yield from _texts(child)


def click(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def add(application: Application, name: str = "Production", **fields: Any) -> CredentialPublic:
    return application.credentials.add(LOCAL, name=name, provider="OPENAI", secret=KEY, **fields)


def fill_in(app: AppTest, **fields: str) -> None:
    keys = {
        "name": state.SETTINGS_CREDENTIAL_NAME,
        "key": state.SETTINGS_KEY,
        "base_url": state.SETTINGS_CREDENTIAL_BASE_URL,
        "reference": state.SETTINGS_CREDENTIAL_REFERENCE,
    }
    for name, value in fields.items():
        app.text_input(key=keys[name]).input(value)


def key_of(application: Application) -> str | None:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o")
    return application.credentials.resolve(LOCAL, config=config, given=None).secret


# Credentials


def test_without_keys_the_page_says_what_to_do(open_settings: Open) -> None:
    app = open_settings()
    assert "No credentials yet" in texts(app)
    assert "OPENAI_API_KEY" in texts(app)
    assert [button.label for button in app.button] == ["Add a credential"]


def test_a_key_is_stored_and_leaves_page_and_session(open_settings: Open, application: Application) -> None:
    app = click(open_settings(), "Add a credential")
    app.selectbox(key=state.SETTINGS_CREDENTIAL_PROVIDER).select("OPENAI")
    fill_in(app, name="Production", key=KEY)
    click(app, "Store")
    assert not app.exception
    (stored,) = application.credentials.list(LOCAL)
    assert (stored.name, stored.provider, stored.last4) == ("Production", "OPENAI", "4f2a")
    assert key_of(application) == KEY
    assert "ends in 4f2a" in texts(app)
    assert KEY not in texts(app)
    assert KEY not in repr(dict(app.session_state.items()))
    assert [toast.value for toast in app.toast] == ["Stored"]
    assert not app.text_input, "the dialog is still open"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "Taken", "key": KEY}, "There is a credential named 'Taken' already"),
        ({"name": " ", "key": KEY}, "Give the credential a name"),
        ({"name": "New", "key": "two words"}, "paste the key alone"),
        ({"name": "New", "key": KEY, "base_url": "nowhere"}, "https://host/v1"),
    ],
)
def test_what_is_no_credential_is_refused(
    open_settings: Open, application: Application, fields: dict[str, str], says: str
) -> None:
    add(application, "Taken")
    app = click(open_settings(), "Add a credential")
    fill_in(app, **fields)
    click(app, "Store")
    # A browser draws the dialog again, with this and with what was typed: tests/browser/test_settings.py.
    assert says in app.session_state[state.SETTINGS_FAULT]
    assert len(application.credentials.list(LOCAL)) == 1


def change(app: AppTest, credential: CredentialPublic, what: str) -> AppTest:
    menu = next(menu for menu in app.menu_button if menu.key == f"settings.change.{credential.id}")
    index = next(number for number, option in enumerate(menu.options) if option.endswith(what))
    return menu.click_index(index).run()


def test_a_key_is_replaced(open_settings: Open, application: Application) -> None:
    credential = add(application)
    app = change(open_settings(), credential, "Replace key")
    app.text_input(key=state.SETTINGS_KEY).input(OTHER_KEY)
    click(app, "Replace")
    assert key_of(application) == OTHER_KEY
    assert "ends in 6789" in texts(app)
    assert OTHER_KEY not in texts(app) + repr(dict(app.session_state.items()))


def test_a_credential_is_renamed_and_deleted_after_a_confirmation(
    open_settings: Open, application: Application
) -> None:
    credential = add(application)
    app = change(open_settings(), credential, "Rename")
    fill_in(app, name="Live *now*")
    click(app, "Rename")
    assert [c.name for c in application.credentials.list(LOCAL)] == ["Live *now*"]
    assert r"**Live \\*now\\***" in texts(app)
    change(app, credential, "Delete")
    assert len(application.credentials.list(LOCAL)) == 1
    assert "removed for good" in texts(app)
    click(app, "Delete")
    assert application.credentials.list(LOCAL) == []
    assert "No credentials yet" in texts(app)


def test_a_credential_says_where_lambda_finds_its_key(open_settings: Open, application: Application) -> None:
    credential = add(application)
    app = change(open_settings(), credential, "On AWS Lambda")
    fill_in(app, reference="env:my key")
    click(app, "Store")
    assert application.credentials.list(LOCAL)[0].api_key_ref is None
    change(app, credential, "On AWS Lambda")
    assert "neither the ARN of a secret" in app.error[0].value
    fill_in(app, reference="env:OPENAI_API_KEY")
    click(app, "Store")
    assert [c.api_key_ref for c in application.credentials.list(LOCAL)] == ["env:OPENAI_API_KEY"]
    assert "AWS Lambda reads it by `env:OPENAI_API_KEY`" in texts(app)
    change(app, credential, "On AWS Lambda")
    fill_in(app, reference="")
    click(app, "Store")
    assert application.credentials.list(LOCAL)[0].api_key_ref is None


def test_a_connection_is_tested_with_its_own_key(
    open_settings: Open, application: Application, vendor: VendorServer
) -> None:
    add(application, base_url=DIALECT.connection(vendor.url)["base_url"])
    vendor.will(DIALECT.models(["gpt-4o", "own-1"]))
    app = click(open_settings(), "Test")
    assert vendor.last.headers["authorization"] == f"Bearer {KEY}"
    assert "with 2 models" in app.success[0].value
    vendor.will(DIALECT.failure(Failure.BAD_KEY, message=f"Incorrect API key provided: {KEY}"))
    click(app, "Test")
    assert not app.success
    assert "key" in app.error[0].value
    assert KEY not in texts(app)


def test_a_lost_master_key_is_a_clear_state(
    open_settings: Open, application: Application, tmp_path: Path
) -> None:
    add(application)
    kept = application.settings.key_file.rename(tmp_path / "kept")
    app = open_settings()
    assert "Restore it from a backup" in app.error[0].value.replace("\\", "")
    assert "Production" in texts(app)
    kept.rename(application.settings.key_file)
    app.run()
    assert not app.error


def test_a_wrong_master_key_names_the_credentials_and_keeps_them(
    open_settings: Open, application: Application
) -> None:
    add(application)
    record = application.store.credentials.create(
        LOCAL.project_id, name="Foreign", provider="OPENAI", sealed="v1.0123456789abcdef.gAAAAA", last4=""
    )
    app = open_settings()
    assert app.error[0].value.startswith("Foreign: ")
    assert "Cannot be opened" in texts(app)
    # The other one still works, and can be tested.
    assert len([button for button in app.button if button.label == "Test"]) == 1
    assert record.id in {c.id for c in application.credentials.list(LOCAL)}


# Defaults


def test_defaults_are_saved(open_settings: Open, application: Application) -> None:
    app = open_settings("Defaults")
    app.selectbox(key=state.SETTINGS_PROVIDER).select("OPENAI").run()
    app.selectbox(key=state.settings_model("OPENAI")).select("gpt-4o")
    app.selectbox(key=state.SETTINGS_TIME_ZONE).select("Europe/Paris")
    click(app, "Save")
    assert not app.exception
    assert application.preferences.get(LOCAL) == Preferences(
        provider="OPENAI", model_name="gpt-4o", time_zone="Europe/Paris"
    )
    assert [toast.value for toast in app.toast] == ["Saved"]
    again = open_settings("Defaults")
    assert again.selectbox(key=state.settings_model("OPENAI")).value == "gpt-4o"
    assert again.selectbox(key=state.SETTINGS_TIME_ZONE).value == "Europe/Paris"


def test_a_default_model_that_is_in_no_list_is_kept(open_settings: Open, application: Application) -> None:
    application.preferences.put(LOCAL, Preferences(provider="OPENAI", model_name="ft:own-model"))
    app = open_settings("Defaults")
    assert app.selectbox(key=state.settings_model("OPENAI")).value == "ft:own-model"


# Prices


def fill_in_price(app: AppTest, **fields: str) -> None:
    app.selectbox(key=state.settings_price("provider")).select("OPENAI")
    for name, value in fields.items():
        app.text_input(key=state.settings_price(name)).input(value)


def test_a_price_is_added_shown_used_and_deleted(open_settings: Open, application: Application) -> None:
    app = open_settings("Prices")
    assert "No prices of your own" in texts(app)
    click(app, "Add a price")
    fill_in_price(app, model_pattern="gpt-4o*", input="0.15", output="0.60", note="Contract of 2026-01")
    click(app, "Add")
    assert not app.exception
    (override,) = application.prices.list_overrides(LOCAL)
    assert (override.input_usd_per_mtok, override.output_usd_per_mtok) == ("0.15", "0.60")
    assert "Contract of 2026-01" in texts(app)
    app.selectbox(key=state.SETTINGS_LOOKUP_PROVIDER).select("OPENAI").run()
    app.selectbox(key=state.settings_lookup_model("OPENAI")).select("gpt-4o").run()
    assert {metric.label: metric.value for metric in app.metric} == {
        "Input": "$0.15",
        "Output": "$0.60",
        "Cached input": "$0.15",
        "Context window": "128 k",
    }
    next(b for b in app.button if b.key == f"settings.price.delete.{override.id}").click().run()
    assert len(application.prices.list_overrides(LOCAL)) == 1
    click(app, "Delete")
    assert application.prices.list_overrides(LOCAL) == []
    assert "No prices of your own" in texts(app)


def test_a_price_is_edited_with_the_same_checks(open_settings: Open, application: Application) -> None:
    made = application.prices.add_override(
        LOCAL,
        provider="OPENAI",
        model_pattern="gpt-4o",
        input_usd_per_mtok="0.15",
        output_usd_per_mtok="0.60",
        valid_from=date(2026, 1, 1),
        note="Contract of 2026-01",
    )
    app = open_settings("Prices")
    app.button(key=f"settings.price.edit.{made.id}").click().run()
    field = state.settings_price_edited
    assert app.selectbox(key=field("provider")).value == "OPENAI"
    typed = ("model_pattern", "input", "output", "cached_input", "note")
    shown = ["gpt-4o", "0.15", "0.60", "", "Contract of 2026-01"]
    assert [app.text_input(key=field(name)).value for name in typed] == shown
    app.text_input(key=field("input")).input("0,20")
    click(app, "Save")
    assert "not a comma" in app.session_state[state.SETTINGS_FAULT]
    assert application.prices.list_overrides(LOCAL) == [made]
    app.button(key=f"settings.price.edit.{made.id}").click().run()
    assert app.text_input(key=field("input")).value == "0.15", "the price, not what was refused"
    app.text_input(key=field("input")).input("0.20")
    click(app, "Save")
    assert not app.exception
    assert application.prices.list_overrides(LOCAL) == [replace(made, input_usd_per_mtok="0.20")]
    assert "$0.20 in" in texts(app).replace("\\", "")


def test_a_price_that_is_none_is_refused(open_settings: Open, application: Application) -> None:
    app = click(open_settings("Prices"), "Add a price")
    fill_in_price(app, model_pattern="gpt-4o", input="0,15", output="0.60")
    click(app, "Add")
    assert "not a comma" in app.session_state[state.SETTINGS_FAULT]
    assert application.prices.list_overrides(LOCAL) == []


def test_an_unknown_price_is_said(open_settings: Open) -> None:
    app = open_settings("Prices")
    app.selectbox(key=state.SETTINGS_LOOKUP_PROVIDER).select("GEMINI").run()
    model = app.selectbox(key=state.settings_lookup_model("GEMINI"))
    model.select(next(name for name in model.options if name.startswith("gemma"))).run()
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["Input"], figures["Output"]) == ("unknown", "unknown")
    assert "unpriced" in texts(app)


# Installation and health


def test_the_installation_is_described_without_secrets(
    open_settings: Open, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:secret-word@proxy.example/v1")
    add(application)
    app = open_settings("Installation")
    shown = texts(app)
    for part in ("SQLite", str(application.settings.data_dir), "1 credential", "agent-launcher backup"):
        assert part.replace("_", "\\\\_") in shown or part in shown, part
    table = app.dataframe[0].value
    rows = dict(zip(table["variable"], table["value"], strict=True))
    assert rows["OPENAI_API_KEY"] == "set"
    assert rows["OPENAI_BASE_URL"] == "https://user:[redacted]@proxy.example/v1"
    assert rows["AGENT_LAUNCHER_LOG_LEVEL"] == "INFO"
    assert KEY not in shown + table.to_csv()


def test_health_shows_each_check_with_its_remedy(open_settings: Open, application: Application) -> None:
    app = open_settings("Health")
    assert "1 to look at" in texts(app)
    for check in application.health.checks(LOCAL):
        assert f"**{check.name}**" in texts(app)
    assert "add its key under Settings" in texts(app)
    application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    click(app, "Check again")
    assert "checks are in order" in texts(app)


def test_health_shows_what_is_broken(open_settings: Open, application: Application) -> None:
    add(application)
    application.settings.key_file.unlink()
    assert "1 broken" in texts(open_settings("Health"))


def test_a_database_that_is_away_leaves_the_page_with_a_clear_text(
    open_app: OpenApp, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("The database is away: start it again.")

    monkeypatch.setattr(PriceService, "list_overrides", away)
    del application
    app = open_app(routes.SETTINGS, section="Prices")
    assert not app.exception
    assert "start it again" in app.error[0].value


def test_an_unknown_section_in_the_address_is_the_first(open_app: OpenApp) -> None:
    app = open_app(routes.SETTINGS, section="Nonsense")
    assert not app.exception
    assert "No credentials yet" in texts(app)
