"""Stored keys: what goes in never comes out, and goes only where it is meant to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, MissingApiKey, NotFound, SecretUnreadable, UnknownProvider
from core.security.vault import Vault
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.credentials import MAX_NAME_CHARS, CredentialService, ResolvedKey, Unnamed
from core.services.key_rotation import rotate
from core.services.principal import LOCAL, Principal
from core.services.runs import RunSpec
from core.storage import credentials as stored_credentials
from core.storage.records import CredentialRecord
from tests.contract.dialects.base import Answer
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import VendorServer

KEY = "sk-proj-abcdefghijklmnop4f2a"
OTHER_KEY = "sk-proj-qrstuvwxyz0123456789"


@pytest.fixture
def credentials(application: Application) -> CredentialService:
    return application.credentials


def config(**fields: Any) -> AgentConfig:
    return AgentConfig.parse({"provider": "OPENAI", "model_name": "gpt-4o", **fields})


def resolve(credentials: CredentialService, given: str | None = None, **fields: Any) -> ResolvedKey:
    return credentials.resolve(LOCAL, config=config(**fields), given=given)


def test_a_stored_key_is_public_by_its_last_four_characters_only(
    application: Application, credentials: CredentialService
) -> None:
    added = credentials.add(LOCAL, name=" Production ", provider="OPENAI", secret=f" {KEY}\n")
    (listed,) = credentials.list(LOCAL)
    assert listed == added
    assert (added.name, added.provider, added.last4, added.last_used_at) == (
        "Production",
        "OPENAI",
        "4f2a",
        None,
    )
    assert KEY not in repr(added)
    assert KEY not in repr(resolve(credentials))
    assert resolve(credentials).secret == KEY
    application.store.close()
    written = b"".join(
        path.read_bytes() for path in application.settings.data_dir.rglob("*") if path.is_file()
    )
    assert KEY.encode() not in written


def test_nobody_sees_another_projects_keys(credentials: CredentialService) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    other = Principal(id="somebody", project_id="other")
    assert credentials.list(other) == []
    assert credentials.resolve(other, config=config(), given=None) == ResolvedKey()
    with pytest.raises(NotFound):
        credentials.replace(other, added.id, secret=OTHER_KEY)
    with pytest.raises(NotFound):
        credentials.delete(other, added.id)
    with pytest.raises(MissingApiKey):
        credentials.resolve(other, config=config(credential_id=added.id), given=None)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("sk-abc def", "paste the key alone"),
        ("sk-abc\ndef", "paste the key alone"),
        ("sk-äöü", "paste the key alone"),
        ("sk-\u200babc", "paste the key alone"),
        ("k" * 5_000, "too long"),
    ],
)
def test_what_is_no_key_is_not_stored(credentials: CredentialService, secret: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as raised:
        credentials.add(LOCAL, name="Production", provider="OPENAI", secret=secret)
    assert not secret.strip() or secret not in str(raised.value)
    assert credentials.list(LOCAL) == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * (MAX_NAME_CHARS + 1)])
def test_a_name_is_one_line(credentials: CredentialService, name: str) -> None:
    with pytest.raises(InvalidInput):
        credentials.add(LOCAL, name=name, provider="OPENAI", secret=KEY)
    with pytest.raises(InvalidInput):
        credentials.check_new(LOCAL, name=name, provider="OPENAI")


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://host",
        "host/v1",
        "https://",
        "https://user:secret-word@host/v1",
        "https://host/v1?api-key=secret-word",
        "https://host/v1 x",
        "https://:1",
    ],
)
def test_a_base_url_is_an_address_without_a_secret_in_it(
    credentials: CredentialService, base_url: str
) -> None:
    with pytest.raises(InvalidInput, match="https://host/v1") as raised:
        credentials.add(LOCAL, name="Proxy", provider="OPENAI", secret=KEY, base_url=base_url)
    assert "secret-word" not in str(raised.value)


def test_providers_without_keys_take_none(credentials: CredentialService) -> None:
    with pytest.raises(InvalidInput, match="DEMO takes no key"):
        credentials.add(LOCAL, name="Demo", provider="DEMO", secret=KEY)
    with pytest.raises(UnknownProvider, match="case-sensitive"):
        credentials.add(LOCAL, name="Demo", provider="openai", secret=KEY)


def test_a_name_is_taken_once(credentials: CredentialService) -> None:
    first = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    second = credentials.add(LOCAL, name="Staging", provider="OPENAI", secret=OTHER_KEY)
    with pytest.raises(Conflict, match="Production"):
        credentials.check_new(LOCAL, name="Production", provider="OPENAI")
    with pytest.raises(Conflict, match="Production"):
        credentials.add(LOCAL, name="Production", provider="OPENAI", secret=OTHER_KEY)
    with pytest.raises(Conflict, match="Production"):
        credentials.rename(LOCAL, second.id, name="Production")
    assert credentials.rename(LOCAL, first.id, name=" Live ").name == "Live"


def test_a_replaced_key_serves_at_once(credentials: CredentialService) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    replaced = credentials.replace(LOCAL, added.id, secret=OTHER_KEY)
    assert (replaced.id, replaced.name, replaced.last4) == (added.id, "Production", "6789")
    assert resolve(credentials).secret == OTHER_KEY
    with pytest.raises(InvalidInput):
        credentials.replace(LOCAL, added.id, secret="")
    assert resolve(credentials).secret == OTHER_KEY


def test_a_deleted_key_is_gone_and_the_agent_that_names_it_says_so(credentials: CredentialService) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    credentials.delete(LOCAL, added.id)
    with pytest.raises(NotFound):
        credentials.delete(LOCAL, added.id)
    with pytest.raises(MissingApiKey, match=r"API key required for OPENAI: the credential this agent names"):
        resolve(credentials, credential_id=added.id)
    assert resolve(credentials) == ResolvedKey()


# Which key serves


def test_another_processs_changes_show_soon_and_at_once_where_a_key_is_missing(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later() -> None:
        monkeypatch.setattr(stored_credentials, "LATELY_SECONDS", 0.0)

    def at_once() -> None:
        monkeypatch.setattr(stored_credentials, "LATELY_SECONDS", 3_600.0)

    credentials = application.credentials
    with opened_application() as other:
        at_once()
        assert resolve(credentials).secret is None
        added = other.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
        assert resolve(credentials, credential_id=added.id).secret == KEY
        assert resolve(credentials).secret == KEY
        later()
        assert resolve(credentials).secret == KEY
        other.credentials.replace(LOCAL, added.id, secret=OTHER_KEY)
        assert resolve(credentials).secret == OTHER_KEY
        at_once()
        assert resolve(credentials).secret == OTHER_KEY
        other.credentials.delete(LOCAL, added.id)
        assert resolve(credentials).secret == OTHER_KEY
        later()
        assert resolve(credentials).secret is None


def test_what_one_reads_while_another_changes_it_is_not_taken_again(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = application.store.credentials
    added = application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    read = repository.list

    def deleted_meanwhile(project_id: str) -> Sequence[CredentialRecord]:
        found = read(project_id)
        application.credentials.delete(LOCAL, added.id)
        return found

    monkeypatch.setattr(repository, "list", deleted_meanwhile)
    assert [record.id for record in repository.lately(LOCAL.project_id)] == [added.id]
    monkeypatch.setattr(repository, "list", read)
    assert not repository.lately(LOCAL.project_id)


def test_the_key_given_with_a_run_goes_before_all(credentials: CredentialService) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    assert resolve(credentials, given=OTHER_KEY, credential_id=added.id) == ResolvedKey(secret=OTHER_KEY)


def test_of_several_keys_one_must_be_chosen(credentials: CredentialService) -> None:
    credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    second = credentials.add(LOCAL, name="Staging", provider="OPENAI", secret=OTHER_KEY)
    with pytest.raises(MissingApiKey, match=r"several are stored \(Production, Staging\)"):
        resolve(credentials)
    assert resolve(credentials, credential_id=second.id).secret == OTHER_KEY


def test_the_vendors_own_key_goes_before_that_of_another_server(credentials: CredentialService) -> None:
    own = credentials.add(LOCAL, name="Own", provider="OPENAI", secret=KEY)
    proxy = credentials.add(
        LOCAL, name="Proxy", provider="OPENAI", secret=OTHER_KEY, base_url="https://proxy.example/v1"
    )
    assert resolve(credentials).credential_id == own.id
    at_proxy = resolve(credentials, base_url="https://proxy.example/v1/")
    assert (at_proxy.credential_id, at_proxy.secret) == (proxy.id, OTHER_KEY)


def test_a_key_that_is_for_a_server_brings_its_address(credentials: CredentialService) -> None:
    added = credentials.add(
        LOCAL, name="Proxy", provider="OPENAI", secret=KEY, base_url="https://proxy.example/v1"
    )
    assert resolve(credentials, credential_id=added.id).base_url == "https://proxy.example/v1"


def test_an_agent_that_names_no_server_is_not_sent_to_a_credentials_server(
    credentials: CredentialService, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.add(LOCAL, name="Proxy", provider="OPENAI", secret=KEY, base_url="https://proxy.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", OTHER_KEY)
    assert resolve(credentials) == ResolvedKey()


def test_a_missing_key_names_the_stored_one_that_is_for_another_server(
    application: Application, credentials: CredentialService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(credentials) == ResolvedKey()
    added = credentials.add(
        LOCAL, name="Proxy", provider="OPENAI", secret=KEY, base_url="https://proxy.example/v1"
    )
    spec = RunSpec(config=config(), prompt="Hello")
    for ask in (
        lambda: resolve(credentials),
        lambda: application.runs.check(LOCAL, spec),
        lambda: application.runs.start(LOCAL, spec),
        lambda: application.agents.test_connection(LOCAL, provider="OPENAI"),
    ):
        with pytest.raises(MissingApiKey) as caught:
            ask()
        assert caught.value.message == (
            "API key required for OPENAI. There is a stored key, 'Proxy' (for https://proxy.example/v1), but this "
            "request goes to OPENAI's own server, and a key is sent only to the server that it is for. Choose "
            "that credential, which also asks its server, or add one without a base URL under "
            "Settings > Credentials, or set OPENAI_API_KEY. The offline demo (DEMO) works without a key."
        )
        assert added.last4 not in caught.value.message
    assert resolve(credentials, credential_id=added.id).secret == KEY
    assert resolve(credentials, base_url="https://keyless.example/v1") == ResolvedKey()
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    with pytest.raises(MissingApiKey, match=r"this request goes to https://gateway\.example/v1, and"):
        resolve(credentials)


def test_what_serves_where_none_is_named_is_told_as_it_is_resolved(
    credentials: CredentialService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(base_url: str | None = None) -> Unnamed:
        """What is told, held against what a run would get."""
        found = credentials.unnamed(LOCAL, provider="OPENAI", base_url=base_url)
        try:
            resolved = resolve(credentials, base_url=base_url)
        except MissingApiKey as exc:
            assert found.fault == str(exc)
        else:
            assert resolved.credential_id == (found.credential.id if found.credential else None)
        return found

    assert "API key required" in told().fault
    proxy = credentials.add(
        LOCAL, name="Proxy", provider="OPENAI", secret=KEY, base_url="https://proxy.example"
    )
    found = told()
    assert (found.credential, found.elsewhere, found.several) == (None, [proxy], False)
    assert told("https://proxy.example/").credential == proxy
    assert told("https://elsewhere.example") == Unnamed(elsewhere=[proxy])
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert told() == Unnamed(variable="OPENAI_API_KEY", elsewhere=[proxy])
    assert told("https://elsewhere.example").variable is None
    own = credentials.add(LOCAL, name="Own", provider="OPENAI", secret=KEY)
    assert told() == Unnamed(credential=own, elsewhere=[proxy])
    credentials.add(LOCAL, name="Second", provider="OPENAI", secret=KEY)
    assert (told().several, told().credential) == (True, None)
    assert "several are stored (Own, Second)" in told().fault
    assert credentials.unnamed(LOCAL, provider="DEMO") == Unnamed()
    assert credentials.server(LOCAL, credential_id=proxy.id, base_url=None) == "https://proxy.example"


def test_a_key_is_not_sent_to_a_server_that_an_agent_names(credentials: CredentialService) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    assert resolve(credentials, base_url="https://elsewhere.example/v1") == ResolvedKey()
    with pytest.raises(InvalidInput, match=r"not sent to https://elsewhere.example/v1. Add a credential"):
        resolve(credentials, base_url="https://elsewhere.example/v1", credential_id=added.id)


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:8000/v1", "http://localhost:8000", "http://[::1]:1/v1"]
)
def test_a_key_may_go_to_a_program_on_this_machine(credentials: CredentialService, base_url: str) -> None:
    added = credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    assert resolve(credentials, base_url=base_url).secret == KEY
    assert resolve(credentials, base_url=base_url, credential_id=added.id).secret == KEY


def test_a_key_for_the_server_that_the_environment_names_serves_there(
    credentials: CredentialService, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = "https://gateway.example/v1"
    added = credentials.add(LOCAL, name="Gateway", provider="OPENAI", secret=KEY, base_url=gateway)
    with pytest.raises(MissingApiKey):
        resolve(credentials)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{gateway}/")
    assert resolve(credentials).credential_id == added.id
    own = credentials.add(LOCAL, name="Own", provider="OPENAI", secret=OTHER_KEY)
    assert resolve(credentials).credential_id == own.id
    assert resolve(credentials, base_url=gateway).credential_id == added.id
    with pytest.raises(MissingApiKey):
        resolve(credentials, base_url="https://api.openai.com/v1")
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert resolve(credentials, base_url="https://api.openai.com/v1").credential_id == own.id


def test_a_credential_of_another_provider_does_not_serve(
    application: Application, credentials: CredentialService
) -> None:
    record = application.store.credentials.create(
        LOCAL.project_id, name="Elsewhere", provider="OTHER", sealed=application.vault.seal(KEY), last4=""
    )
    assert resolve(credentials) == ResolvedKey()
    with pytest.raises(InvalidInput, match="is for OTHER, not for OPENAI"):
        resolve(credentials, credential_id=record.id)


def test_a_run_notes_that_its_key_was_used(application: Application, vendor: VendorServer) -> None:
    dialect = OpenAIDialect()
    vendor.otherwise(dialect.whole(Answer()))
    base_url = dialect.connection(vendor.url)["base_url"]
    added = application.credentials.add(
        LOCAL, name="Production", provider="OPENAI", secret=KEY, base_url=base_url
    )
    outcome = application.runs.run(LOCAL, RunSpec(config=config(credential_id=added.id), prompt="Hello"))
    assert outcome.response.error is None
    assert dialect.seen(vendor.last).key == KEY
    (used,) = application.credentials.list(LOCAL)
    assert used.last_used_at is not None
    assert used.last_used_at >= added.created_at


def test_the_environments_keys_are_told_by_name_only(
    credentials: CredentialService, monkeypatch: pytest.MonkeyPatch
) -> None:
    (openai,) = (key for key in credentials.environment_keys(LOCAL) if key.provider == "OPENAI")
    assert (openai.variable, openai.is_set) == ("OPENAI_API_KEY", False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (openai,) = (key for key in credentials.environment_keys(LOCAL) if key.provider == "OPENAI")
    assert openai.is_set
    assert KEY not in repr(openai)


# The master key


@pytest.mark.usefixtures("database")
def test_a_lost_key_file_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    with opened_application() as application:
        added = application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
        key_file = application.settings.key_file
        kept = key_file.rename(tmp_path / "kept.key")
        # This process has read it, and still works; but its operator must know.
        assert "is missing" in application.credentials.master_key_fault(LOCAL)
    with opened_application() as application:
        credentials = application.credentials
        assert "is missing" in credentials.master_key_fault(LOCAL)
        assert "is missing" in credentials.unreadable(LOCAL)[added.id]
        for attempt in (
            lambda: resolve(credentials),
            lambda: credentials.add(LOCAL, name="New", provider="OPENAI", secret=OTHER_KEY),
            lambda: credentials.replace(LOCAL, added.id, secret=OTHER_KEY),
        ):
            with pytest.raises(SecretUnreadable, match="Restore it from a backup"):
                attempt()
        assert not key_file.exists()
        kept.rename(key_file)
        assert credentials.master_key_fault(LOCAL) == ""
        assert credentials.unreadable(LOCAL) == {}
        assert resolve(credentials).secret == KEY


@pytest.mark.usefixtures("database")
def test_a_wrong_master_key_is_told_and_the_secret_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_application() as application:
        added = application.credentials.add(LOCAL, name="Production", provider="OPENAI", secret=KEY)
    monkeypatch.setenv("AGENT_LAUNCHER_SECRET_KEY", "another-long-passphrase")
    with opened_application() as application:
        credentials = application.credentials
        assert credentials.master_key_fault(LOCAL) == ""
        assert "was sealed with the master key" in credentials.unreadable(LOCAL)[added.id]
        with pytest.raises(SecretUnreadable):
            resolve(credentials)
        # A new one, under the present key, works beside it.
        new = credentials.add(LOCAL, name="New", provider="OPENAI", secret=OTHER_KEY)
        assert resolve(credentials, credential_id=new.id).secret == OTHER_KEY
        assert list(credentials.unreadable(LOCAL)) == [added.id]
    monkeypatch.delenv("AGENT_LAUNCHER_SECRET_KEY")
    with opened_application() as application:
        assert resolve(application.credentials, credential_id=added.id).secret == KEY


def test_rotation_seals_every_key_anew(application: Application) -> None:
    added = [
        application.credentials.add(LOCAL, name=name, provider="OPENAI", secret=f"{KEY}-{name}")
        for name in ("a", "b", "c")
    ]
    before = application.vault.fingerprint
    done = rotate(LOCAL, application.vault, application.store)
    assert done.resealed == 3
    assert done.fingerprint == application.vault.fingerprint != before
    for credential in added:
        assert (
            resolve(application.credentials, credential_id=credential.id).secret == f"{KEY}-{credential.name}"
        )


class _OvertakenVault(Vault):
    """A vault between whose sealing and the caller's storing another process changes the master key."""

    application: Application

    def seal(self, text: str) -> str:
        token = super().seal(text)
        other = Vault(self.application.settings, secrets_exist=lambda: True)
        assert rotate(LOCAL, other, self.application.store).resealed >= 0
        return token


def test_a_key_stored_during_a_rotation_is_sealed_with_the_new_master_key(application: Application) -> None:
    application.credentials.add(LOCAL, name="Earlier", provider="OPENAI", secret=KEY)
    vault = _OvertakenVault(application.settings, secrets_exist=lambda: True)
    vault.application = application
    overtaken = CredentialService(application.store, vault)
    added = overtaken.add(LOCAL, name="Overtaken", provider="OPENAI", secret=OTHER_KEY)
    # A process that has never seen the old key opens it.
    fresh = Vault(application.settings, secrets_exist=lambda: True)
    records = {record.id: record.sealed for record in application.store.credentials.list(LOCAL.project_id)}
    assert fresh.open(records[added.id]) == OTHER_KEY
    replaced = overtaken.replace(LOCAL, added.id, secret=KEY)
    records = {record.id: record.sealed for record in application.store.credentials.list(LOCAL.project_id)}
    assert Vault(application.settings, secrets_exist=lambda: True).open(records[replaced.id]) == KEY
