"""Agents in immutable versions; credentials, prices and defaults."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from core.errors import Conflict, NotFound
from core.storage.records import AgentRecord
from core.storage.store import Store
from tests.store.samples import PROJECT


def _agent(store: Store, name: str = "Greeter", project_id: str = PROJECT) -> AgentRecord:
    return store.agents.create(
        project_id,
        name=name,
        description="Greets.",
        config={"b": 1, "a": [None, "ü"]},
        note="First",
        by="local",
    )


def test_an_agent_is_made_with_its_first_version(store: Store) -> None:
    made = _agent(store)
    assert (made.version.number, made.revision, made.archived_at) == (1, 1, None)
    assert made.version.config == {"b": 1, "a": [None, "ü"]}
    assert list(made.version.config) == ["b", "a"]
    assert store.agents.get(PROJECT, made.id) == made
    assert store.agents.get_by_name(PROJECT, "Greeter") == made
    assert store.agents.list(PROJECT) == [made]
    assert store.agents.version(PROJECT, made.version.id) == made.version


def test_a_change_is_a_new_version_and_history_stays(store: Store) -> None:
    first = _agent(store)
    second = store.agents.add_version(
        PROJECT, first.id, config={"c": 2}, note="Second", by="anna", expected_revision=first.revision
    )
    assert (second.version.number, second.revision, second.version.created_by) == (2, 2, "anna")
    assert second.updated_at > first.updated_at
    assert store.agents.versions(PROJECT, first.id) == [second.version, first.version]
    assert store.agents.get(PROJECT, first.id) == second
    assert store.agents.version(PROJECT, first.version.id) == first.version


def test_a_change_to_what_somebody_else_changed_is_refused(store: Store) -> None:
    agent = _agent(store)
    store.agents.add_version(PROJECT, agent.id, config={}, note="", by="anna", expected_revision=1)
    with pytest.raises(Conflict, match="changed by somebody else"):
        store.agents.add_version(PROJECT, agent.id, config={}, note="", by="local", expected_revision=1)
    with pytest.raises(Conflict, match="changed by somebody else"):
        store.agents.update(PROJECT, agent.id, name="X", description="", expected_revision=1)
    assert len(store.agents.versions(PROJECT, agent.id)) == 2


def test_names_are_unique_in_a_project(store: Store) -> None:
    _agent(store)
    _agent(store, project_id="another")
    with pytest.raises(Conflict, match="named 'Greeter' already"):
        _agent(store)
    other = _agent(store, "Other")
    with pytest.raises(Conflict, match="named 'Greeter' already"):
        store.agents.update(PROJECT, other.id, name="Greeter", description="", expected_revision=1)
    renamed = store.agents.update(PROJECT, other.id, name="Renamed", description="New", expected_revision=1)
    assert (renamed.name, renamed.description, renamed.revision) == ("Renamed", "New", 2)
    assert [agent.name for agent in store.agents.list(PROJECT)] == ["Greeter", "Renamed"]


def test_an_archived_agent_is_in_no_list_but_keeps_its_name(store: Store) -> None:
    agent = _agent(store)
    archived = store.agents.archive(PROJECT, agent.id)
    assert archived.archived_at is not None
    assert store.agents.archive(PROJECT, agent.id) == archived
    assert store.agents.list(PROJECT) == []
    assert store.agents.list(PROJECT, archived=True) == [archived]
    with pytest.raises(Conflict, match="archived"):
        _agent(store)
    assert store.agents.unarchive(PROJECT, agent.id).archived_at is None
    assert len(store.agents.list(PROJECT)) == 1


def test_another_projects_agent_is_not_found(store: Store) -> None:
    agent = _agent(store, project_id="another")
    calls = [
        lambda: store.agents.get(PROJECT, agent.id),
        lambda: store.agents.get_by_name(PROJECT, agent.name),
        lambda: store.agents.versions(PROJECT, agent.id),
        lambda: store.agents.version(PROJECT, agent.version.id),
        lambda: store.agents.version(PROJECT, uuid4()),
        lambda: store.agents.archive(PROJECT, agent.id),
        lambda: store.agents.add_version(PROJECT, agent.id, config={}, note="", by="x", expected_revision=1),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert store.agents.list(PROJECT) == []


def test_a_credential_is_sealed_text_to_the_store(store: Store) -> None:
    assert not store.credentials.any_sealed()
    made = store.credentials.create(PROJECT, name="Main", provider="OPENAI", sealed="gAAA", last4="1234")
    assert store.credentials.any_sealed()
    assert "gAAA" not in repr(made)
    assert store.credentials.get(PROJECT, made.id) == made
    assert store.credentials.get_by_name(PROJECT, "Main") == made
    with pytest.raises(Conflict, match="named 'Main' already"):
        store.credentials.create(PROJECT, name="Main", provider="DEMO", sealed="x", last4="")
    other = store.credentials.create(
        PROJECT, name="Other", provider="OPENAI", sealed="x", last4="", base_url="http://x"
    )
    with pytest.raises(Conflict):
        store.credentials.rename(PROJECT, other.id, "Main")
    assert store.credentials.rename(PROJECT, other.id, "Another").name == "Another"
    assert [record.name for record in store.credentials.list(PROJECT)] == ["Another", "Main"]
    replaced = store.credentials.update_sealed(PROJECT, made.id, sealed="new", last4="9999")
    assert (replaced.sealed, replaced.last4) == ("new", "9999")
    at = datetime(2026, 11, 1, tzinfo=UTC)
    store.credentials.touch_used(PROJECT, made.id, at)
    assert store.credentials.get(PROJECT, made.id).last_used_at == at
    store.credentials.delete(PROJECT, made.id)
    store.credentials.touch_used(PROJECT, made.id, at)
    for call in (store.credentials.get, store.credentials.delete):
        with pytest.raises(NotFound):
            call(PROJECT, made.id)
        with pytest.raises(NotFound):
            call("another", other.id)
    with pytest.raises(NotFound):
        store.credentials.get_by_name(PROJECT, "Main")


def test_secrets_are_replaced_all_or_none(store: Store) -> None:
    made = [
        store.credentials.create(project, name="Key", provider="OPENAI", sealed=f"old {project}", last4="")
        for project in (PROJECT, "another")
    ]
    with pytest.raises(Conflict, match="no secret was replaced"):
        store.credentials.replace_all_sealed(
            [(made[0].id, made[0].sealed, "new"), (made[1].id, "not it", "new")]
        )
    assert {record.sealed for record in store.credentials.all()} == {"old default", "old another"}
    store.credentials.replace_all_sealed([(one.id, one.sealed, f"new {one.project_id}") for one in made])
    assert {record.sealed for record in store.credentials.all()} == {"new default", "new another"}


def test_prices_and_defaults_are_kept_by_project(store: Store) -> None:
    price = store.price_overrides.create(
        PROJECT,
        provider="OPENAI",
        model_pattern="gpt-*",
        input_usd_per_mtok="0.15",
        output_usd_per_mtok="0.60",
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        note="List price",
        by="local",
    )
    assert store.price_overrides.list(PROJECT) == [price]
    assert store.price_overrides.list("another") == []
    asked: dict[str, Any] = {
        "provider": "OPENAI",
        "model_pattern": "gpt-4o",
        "input_usd_per_mtok": "0.20",
        "output_usd_per_mtok": "0.60",
        "cached_input_usd_per_mtok": "0.02",
        "cache_write_usd_per_mtok": None,
        "valid_from": None,
        "note": "Contract",
    }
    with pytest.raises(NotFound):
        store.price_overrides.update("another", price.id, **asked)
    assert store.price_overrides.list(PROJECT) == [price]
    edited = store.price_overrides.update(PROJECT, price.id, **asked)
    assert edited == replace(price, **asked)
    assert store.price_overrides.list(PROJECT) == [edited]
    with pytest.raises(NotFound):
        store.price_overrides.delete("another", price.id)
    store.price_overrides.delete(PROJECT, price.id)
    assert store.price_overrides.list(PROJECT) == []

    assert store.preferences.get(PROJECT) == store.preferences.get("another") == {}
    store.preferences.put(PROJECT, {"time_zone": "Europe/Berlin", "nested": {"a": [1]}})
    store.preferences.put("another", {"x": 1})
    store.preferences.put("another", {"y": None})
    assert store.preferences.get(PROJECT) == {"time_zone": "Europe/Berlin", "nested": {"a": [1]}}
    assert store.preferences.get("another") == {"y": None}
