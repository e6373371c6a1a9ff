"""Settings: keys, defaults, prices, where everything is kept, and whether it is in order."""

from uuid import UUID

import streamlit as st

from core.contract import utc_now
from core.errors import AgentLauncherError
from core.providers import registry
from core.services.credentials import CredentialPublic
from core.services.preferences import Preferences, time_zones
from core.services.prices import PriceAsked
from dashboard import formatting, queries, state
from dashboard.backend import application, principal
from dashboard.components.header import page_header
from dashboard.components.settings_credentials import CredentialActions, Credentials, credential_section
from dashboard.components.settings_defaults import default_section
from dashboard.components.settings_forms import say_done
from dashboard.components.settings_health import health_section
from dashboard.components.settings_installation import installation_section
from dashboard.components.settings_prices import EnteredPrice, PriceActions, price_section
from dashboard.settings.lambda_view import lambda_view


def page() -> None:
    """Draws the page."""
    with page_header("Settings", "Credentials, defaults, prices, and where everything is kept"):
        pass
    say_done()
    sections = {
        "Credentials": _credentials,
        "Defaults": _defaults,
        "Prices": _prices,
        "AWS Lambda": lambda_view,
        "Installation": _installation,
        "Health": _health,
    }
    tabs = st.tabs(list(sections), key=state.SETTINGS_SECTION, bind="query-params")
    for tab, draw in zip(tabs, sections.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _credentials() -> None:
    service = application().credentials
    data = Credentials(
        stored=service.list(principal()),
        fault=service.master_key_fault(principal()),
        unreadable=service.unreadable(principal()),
        environment=service.environment_keys(principal()),
        tests=st.session_state.get(state.SETTINGS_TESTS, {}),
        master_key=application().installation.master_key(principal()),
        now=utc_now(),
        zone=queries.zone(),
    )
    actions = CredentialActions(
        add=lambda name, provider, secret, base_url: _changed(
            service.add(principal(), name=name, provider=provider, secret=secret, base_url=base_url)
        ),
        replace=lambda id_, secret: _changed(service.replace(principal(), id_, secret=secret)),
        rename=lambda id_, name: _changed(service.rename(principal(), id_, name=name)),
        refer=lambda id_, reference: _changed(service.refer(principal(), id_, api_key_ref=reference or None)),
        delete=lambda id_: _changed(service.delete(principal(), id_)),
        test=_test,
    )
    credential_section(data, actions)


def _test(credential: CredentialPublic) -> None:
    tests = st.session_state.setdefault(state.SETTINGS_TESTS, {})
    try:
        answer = application().agents.test_connection(
            principal(), provider=credential.provider, credential_id=credential.id
        )
    except AgentLauncherError as exc:
        tests[credential.id] = (False, str(exc))
        return
    models = "1 model" if len(answer.models) == 1 else f"{formatting.count(len(answer.models))} models"
    tests[credential.id] = (True, f"Answered in {formatting.duration(answer.seconds * 1e6)} with {models}.")


def _defaults() -> None:
    default_section(
        queries.preferences(),
        providers=list(registry.specs()),
        time_zones=sorted(time_zones()),
        models_of=queries.model_names,
        save=_save_defaults,
    )


def _save_defaults(preferences: Preferences) -> None:
    _changed(application().preferences.put(principal(), preferences))


def _prices() -> None:
    service = application().prices
    actions = PriceActions(
        add=_add_price,
        edit=_edit_price,
        delete=lambda id_: _changed(service.delete_override(principal(), id_)),
        models_of=queries.model_names,
        find=lambda provider, model: service.find_model(principal(), provider, model),
    )
    price_section(
        service.list_overrides(principal()),
        actions,
        providers=[spec.name for spec in registry.specs().values() if not spec.offline],
        catalogue=service.catalogue_version(),
    )


def _add_price(entered: EnteredPrice) -> None:
    _changed(application().prices.add_override(principal(), **_as_asked(entered)))


def _edit_price(override_id: UUID, entered: EnteredPrice) -> None:
    _changed(application().prices.edit_override(principal(), override_id, **_as_asked(entered)))


def _as_asked(entered: EnteredPrice) -> PriceAsked:
    return {
        "provider": entered.provider,
        "model_pattern": entered.model_pattern,
        "input_usd_per_mtok": entered.input,
        "output_usd_per_mtok": entered.output,
        "cached_input_usd_per_mtok": entered.cached_input,
        "cache_write_usd_per_mtok": entered.cache_write,
        "valid_from": entered.valid_from,
        "note": entered.note,
    }


def _installation() -> None:
    installation_section(application().installation.describe(principal()))


def _health() -> None:
    health_section(application().health.checks(principal()))


def _changed(result: object) -> None:
    """Lets every page see at once what was changed."""
    del result
    queries.forget_all()


page()
