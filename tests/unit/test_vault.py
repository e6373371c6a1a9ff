import base64
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from core import redaction
from core.errors import SecretUnreadable
from core.security.master_key import MasterKey, generate_key
from core.security.vault import Vault, last_four
from core.settings import Settings

MakeVault = Callable[..., Vault]


@pytest.fixture
def make_vault(tmp_path: Path) -> MakeVault:
    """Makes vaults over one data directory, as processes that start one after the other."""

    def make(key: str | None = None, *, secrets_exist: bool = False) -> Vault:
        settings = Settings(data_dir=tmp_path / "data", database_url="sqlite:////x", secret_key=key)
        return Vault(settings, secrets_exist=lambda: secrets_exist)

    return make


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secret.key"


@given(secret=st.text(min_size=1))
def test_what_was_sealed_is_opened(secret: str) -> None:
    settings = Settings(data_dir=Path("unused"), database_url="x", secret_key=KEY)
    vault = Vault(settings, secrets_exist=lambda: False)
    token = vault.seal(secret)
    assert vault.open(token) == secret
    assert token.isascii()
    redaction.forget(secret)


KEY = generate_key()


def test_the_same_secret_is_never_sealed_alike(make_vault: MakeVault) -> None:
    vault = make_vault(KEY)
    assert vault.seal("sk-1") != vault.seal("sk-1")


def test_a_token_does_not_hold_the_secret_and_names_its_key(make_vault: MakeVault) -> None:
    vault = make_vault(KEY)
    token = vault.seal("sk-abcdefgh-1234567")
    assert not any(form in token for form in redaction.forms_of("sk-abcdefgh-1234567"))
    assert token.startswith(f"v1.{vault.fingerprint}.gAAAA")


def test_the_fingerprint_does_not_give_the_key_away() -> None:
    key = MasterKey.of(KEY)
    raw = base64.urlsafe_b64decode(KEY)
    assert len(key.fingerprint) == 16
    assert key.fingerprint not in raw.hex()
    assert KEY not in repr(key)


# The environment's key.


def test_a_passphrase_seals_and_opens_in_another_process(make_vault: MakeVault) -> None:
    token = make_vault("correct horse battery staple").seal("sk-1")
    assert make_vault("correct horse battery staple").open(token) == "sk-1"


def test_a_passphrase_is_the_same_however_its_accents_are_composed() -> None:
    composed, decomposed = "pässphräse très longue", "pa\u0308ssphra\u0308se tre\u0300s longue"
    assert MasterKey.of(composed).fingerprint == MasterKey.of(decomposed).fingerprint


def test_the_key_from_a_passphrase_never_changes() -> None:
    # Written down: a change of the derivation would lock out every installation that has a passphrase.
    assert MasterKey.of("correct horse battery staple").fingerprint == "07cb12506c7d2260"
    assert MasterKey.of("A" * 43 + "=").fingerprint == "d348bc8b2797c3e3"


def test_a_passphrase_of_a_fernet_keys_length_is_still_a_passphrase() -> None:
    text = "forty four characters, and spaces between it"
    assert len(text) == 44
    token = MasterKey.of(text).fernet.encrypt(b"x")
    assert MasterKey.of(text).fernet.decrypt(token) == b"x"


def test_the_first_key_seals_and_all_open(make_vault: MakeVault) -> None:
    old, new = generate_key(), generate_key()
    sealed_before = make_vault(old).seal("sk-1")
    vault = make_vault(f"{new}, {old}")
    assert vault.open(sealed_before) == "sk-1"
    assert make_vault(new).open(vault.seal("sk-2")) == "sk-2"
    assert (
        vault.describe()
        == f"AGENT_LAUNCHER_SECRET_KEY, 2 key(s), sealing with {MasterKey.of(new).fingerprint}"
    )


def test_the_environments_key_makes_no_file(make_vault: MakeVault, key_file: Path) -> None:
    make_vault(KEY).seal("sk-1")
    assert not key_file.parent.exists()


def test_a_wrong_key_is_named_with_the_one_that_is_wanted(make_vault: MakeVault) -> None:
    right, wrong = make_vault(generate_key()), make_vault(generate_key())
    token = right.seal("sk-1")
    with pytest.raises(SecretUnreadable) as caught:
        wrong.open(token)
    assert f"sealed with the master key {right.fingerprint}" in str(caught.value)
    assert f"the master key here is {wrong.fingerprint} (from AGENT_LAUNCHER_SECRET_KEY)" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert right.open(token) == "sk-1"


def test_moving_to_the_environment_without_the_files_key_says_where_it_is(
    make_vault: MakeVault, key_file: Path
) -> None:
    token = make_vault().seal("sk-1")
    with pytest.raises(SecretUnreadable, match="has it: put its key behind yours") as caught:
        make_vault(generate_key()).open(token)
    assert str(key_file) in str(caught.value)
    assert key_file.read_text().splitlines()[-1] not in str(caught.value)


# The key file, as the vault uses it.


def test_the_key_file_is_made_by_the_first_seal_only(make_vault: MakeVault, key_file: Path) -> None:
    vault = make_vault()
    assert vault.fingerprint is None
    assert "none yet" in vault.describe()
    assert not key_file.exists()
    token = vault.seal("sk-1")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
    assert make_vault(secrets_exist=True).open(token) == "sk-1"
    assert vault.describe() == f"key file {key_file}, sealing with {vault.fingerprint}"


def test_a_lost_key_file_is_never_replaced(make_vault: MakeVault, key_file: Path) -> None:
    token = make_vault().seal("sk-1")
    lost = key_file.rename(key_file.with_name("moved"))
    vault = make_vault(secrets_exist=True)
    for attempt in (lambda: vault.seal("sk-2"), lambda: vault.open(token), lambda: vault.needs_reseal(token)):
        with pytest.raises(SecretUnreadable, match="is missing, but secrets are stored") as caught:
            attempt()
        assert "Restore it from a backup" in str(caught.value)
        assert "delete the stored credentials" in str(caught.value)
    assert not key_file.exists()
    lost.rename(key_file)
    assert vault.open(token) == "sk-1"


def test_a_lost_key_with_nothing_sealed_is_made_anew(make_vault: MakeVault, key_file: Path) -> None:
    first = make_vault()
    first.seal("sk-1")
    before = first.fingerprint
    key_file.unlink()
    second = make_vault(secrets_exist=False)
    assert second.open(second.seal("sk-2")) == "sk-2"
    assert second.fingerprint != before


def test_a_running_process_still_opens_when_the_file_vanishes_but_does_not_seal(
    make_vault: MakeVault, key_file: Path
) -> None:
    vault = make_vault(secrets_exist=True)
    key_file.parent.mkdir()
    vault.key_file.create()
    token = vault.seal("sk-1")
    key_file.unlink()
    assert vault.open(token) == "sk-1"
    with pytest.raises(SecretUnreadable, match="is missing"):
        vault.seal("sk-2")
    assert not key_file.exists()


def test_another_key_file_is_noticed_and_the_secret_left_alone(make_vault: MakeVault, key_file: Path) -> None:
    token = make_vault().seal("sk-1")
    original = key_file.read_text()
    key_file.write_text(f"{generate_key()}\n")
    with pytest.raises(SecretUnreadable, match="restore its key file"):
        make_vault(secrets_exist=True).open(token)
    key_file.write_text(original)
    assert make_vault(secrets_exist=True).open(token) == "sk-1"


def test_a_file_that_others_may_read_is_refused_with_the_remedy(
    make_vault: MakeVault, key_file: Path
) -> None:
    vault = make_vault()
    token = vault.seal("sk-1")
    for mode in (0o640, 0o604, 0o660):
        key_file.chmod(mode)
        with pytest.raises(SecretUnreadable, match=f"chmod 600 {key_file}"):
            vault.open(token)
        assert key_file.stat().st_mode & 0o777 == mode
    key_file.chmod(0o600)
    assert vault.open(token) == "sk-1"


@pytest.mark.parametrize(
    "content",
    ["", "# only a comment\n", "not a key\n", f"{KEY}\nrubbish\n", "\xff" * 44],
    ids=["empty", "comment", "not-a-key", "key-and-rubbish", "not-ascii"],  # KEY is new in every process
)
def test_a_damaged_key_file_is_left_as_it_is(make_vault: MakeVault, key_file: Path, content: str) -> None:
    key_file.parent.mkdir()
    key_file.write_text(content, encoding="latin-1")
    key_file.chmod(0o600)
    with pytest.raises(SecretUnreadable, match="damaged"):
        make_vault().seal("sk-1")
    assert key_file.read_text(encoding="latin-1") == content


# Damaged tokens.


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token[:-8],
        lambda token: token[:-3] + "AA=",
        lambda token: token.replace("v1.", "v9.", 1),
        lambda token: "",
        lambda token: "rubbish",
        lambda token: token + "é",
        lambda token: token.rpartition(".")[0],
    ],
)
def test_a_damaged_token_is_told_from_a_wrong_key(
    make_vault: MakeVault, damage: Callable[[str], str]
) -> None:
    vault = make_vault(KEY)
    with pytest.raises(SecretUnreadable, match="damaged"):
        vault.open(damage(vault.seal("sk-1")))


@given(st.text())
def test_no_token_raises_anything_else(token: str) -> None:
    vault = Vault(
        Settings(data_dir=Path("unused"), database_url="x", secret_key=KEY), secrets_exist=lambda: True
    )
    with pytest.raises(SecretUnreadable):
        vault.open(token)
    with pytest.raises(SecretUnreadable):
        vault.open(f"v1.{vault.fingerprint}.{token}")


def test_a_fernet_token_of_the_right_key_that_is_no_text_is_damaged(make_vault: MakeVault) -> None:
    vault = make_vault(KEY)
    token = Fernet(KEY).encrypt(b"\xff\xfe").decode()
    with pytest.raises(SecretUnreadable, match="damaged"):
        vault.open(f"v1.{vault.fingerprint}.{token}")


# What is shown of a secret.


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("sk-abcdefghi1234", "1234"), ("abcdefgh1234", "1234"), ("abcdefg1234", ""), ("1234", ""), ("", "")],
)
def test_four_characters_of_a_long_secret_only(secret: str, shown: str) -> None:
    assert last_four(secret) == shown


def test_sealed_and_opened_secrets_are_masked_in_logs(make_vault: MakeVault) -> None:
    secret = "no-shape-of-a-key-at-all"
    assert redaction.redact(secret) == secret
    token = make_vault(KEY).seal(secret)
    assert redaction.redact(secret) == redaction.MASK
    redaction.forget(secret)
    make_vault(KEY).open(token)
    assert redaction.redact(secret) == redaction.MASK
    redaction.forget(secret)


def test_threads_share_one_vault_from_its_first_use(make_vault: MakeVault) -> None:
    vault = make_vault()
    barrier = threading.Barrier(8)
    tokens: list[str] = []

    def work(number: int) -> None:
        barrier.wait()
        tokens.append(vault.seal(f"sk-{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {vault.open(token) for token in tokens} == {f"sk-{number}" for number in range(8)}
    assert len({token.split(".")[1] for token in tokens}) == 1
