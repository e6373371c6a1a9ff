import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.errors import Conflict, SecretUnreadable
from core.security.master_key import KeyFile, MasterKey, generate_key
from core.security.rotation import rotate_secrets, rotation_steps
from core.security.vault import Vault
from core.settings import Settings
from tests.support.sealed_secrets import SealedInFile

SECRETS = [f"sk-number-{number}" for number in range(5)]
MakeVault = Callable[..., Vault]


@pytest.fixture
def make_vault(tmp_path: Path) -> MakeVault:
    """Makes vaults over one data directory, as processes that start one after the other."""

    def make(key: str | None = None) -> Vault:
        settings = Settings(data_dir=tmp_path / "data", database_url="sqlite:////x", secret_key=key)
        return Vault(settings, secrets_exist=lambda: True)

    return make


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path / "data" / "secret.key")
    file.create()
    return file


@pytest.fixture
def secrets(tmp_path: Path, make_vault: MakeVault, key_file: KeyFile) -> SealedInFile:
    """Five secrets, sealed with the key in the file."""
    del key_file
    vault = make_vault()
    return SealedInFile(tmp_path / "secrets.db", [vault.seal(secret) for secret in SECRETS])


def opened(vault: Vault, secrets: SealedInFile) -> list[str]:
    return [vault.open(token) for token in secrets.tokens()]


def keys_in(key_file: KeyFile) -> Sequence[str]:
    content = key_file.read()
    assert content is not None
    return content.keys


# The vault's own part.


def test_rotate_seals_again_what_another_key_sealed(make_vault: MakeVault) -> None:
    old, new = generate_key(), generate_key()
    vault = make_vault(f"{new},{old}")
    before = [make_vault(old).seal("sk-1"), make_vault(new).seal("sk-2")]
    after = list(vault.rotate(before))
    assert [make_vault(new).open(token) for token in after] == ["sk-1", "sk-2"]
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert [vault.needs_reseal(token) for token in (*before, *after)] == [True, False, False, False]


def test_rotate_stops_at_a_secret_that_it_cannot_open(make_vault: MakeVault) -> None:
    old, new = generate_key(), generate_key()
    resealed = make_vault(f"{new},{old}").rotate(
        [make_vault(old).seal("sk-1"), make_vault(generate_key()).seal("sk-2")]
    )
    assert make_vault(new).open(next(resealed)) == "sk-1"
    with pytest.raises(SecretUnreadable, match="sealed with the master key"):
        next(resealed)


# The key file.


def test_everything_is_under_a_new_key_and_the_old_one_is_gone(
    make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    (old,) = keys_in(key_file)
    result = rotate_secrets(make_vault(), secrets)
    (new,) = keys_in(key_file)
    assert new != old
    assert (result.resealed, result.resumed, result.next_step, result.new_key) == (5, False, "", None)
    assert result.fingerprint == MasterKey.of(new).fingerprint
    assert opened(make_vault(), secrets) == SECRETS
    with pytest.raises(SecretUnreadable):
        make_vault(old).open(secrets.tokens()[0])


def test_cut_short_after_any_step_everything_opens_and_the_next_rotation_ends_it(
    tmp_path: Path, make_vault: MakeVault
) -> None:
    total = 1 + len(SECRETS) + 1  # the new key, each secret, the old key dropped
    for survived in range(total + 1):
        folder = tmp_path / f"after-{survived}"
        settings = Settings(data_dir=folder, database_url="x")
        vault = Vault(settings, secrets_exist=lambda: True)
        vault.key_file.create()
        secrets = SealedInFile(tmp_path / f"{survived}.db", [vault.seal(secret) for secret in SECRETS])
        steps = rotation_steps(Vault(settings, secrets_exist=lambda: True), secrets)
        done = [next(steps) for _ in range(survived)]
        steps.close()
        assert len(done) == survived
        assert opened(Vault(settings, secrets_exist=lambda: True), secrets) == SECRETS, survived
        in_between = 1 <= survived < total
        assert len(keys_in(vault.key_file)) == (2 if in_between else 1)
        # The process that ran all the while opens everything too, and seals with the key that the file says.
        assert opened(vault, secrets) == SECRETS
        secrets.add(vault.seal("sk-meanwhile"))

        (first, *_) = keys_in(vault.key_file)
        result = rotate_secrets(Vault(settings, secrets_exist=lambda: True), secrets)
        assert result.resumed is in_between
        assert (keys_in(vault.key_file) == (first,)) is in_between
        assert opened(Vault(settings, secrets_exist=lambda: True), secrets) == [*SECRETS, "sk-meanwhile"]
        assert not any(vault.needs_reseal(token) for token in secrets.tokens())


def test_killed_at_any_moment_no_secret_is_lost(
    tmp_path: Path, make_vault: MakeVault, secrets: SealedInFile
) -> None:
    code = """
        import sys
        from pathlib import Path
        from core.security.rotation import rotate_secrets
        from core.security.vault import Vault
        from core.settings import Settings
        from tests.support.sealed_secrets import SealedInFile
        settings = Settings(data_dir=Path(sys.argv[1], "data"), database_url="x")
        secrets = SealedInFile(Path(sys.argv[1], "secrets.db"))
        while True:
            rotate_secrets(Vault(settings, secrets_exist=lambda: True), secrets)
            print("rotated", flush=True)
    """
    moments = random.Random(7)
    fingerprints: set[str | None] = set()
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "rotated\n"
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.communicate()
        vault = make_vault()
        assert opened(vault, secrets) == SECRETS
        fingerprints.add(vault.fingerprint)
    assert len(fingerprints) > 1  # it really rotated
    rotate_secrets(make_vault(), secrets)
    assert opened(make_vault(), secrets) == SECRETS


def test_two_rotations_at_once_wait_for_each_other(
    tmp_path: Path, make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    code = """
        import sys
        from pathlib import Path
        from core.security.rotation import rotate_secrets
        from core.security.vault import Vault
        from core.settings import Settings
        from tests.support.sealed_secrets import SealedInFile
        settings = Settings(data_dir=Path(sys.argv[1], "data"), database_url="x")
        for _ in range(5):
            vault = Vault(settings, secrets_exist=lambda: True)
            rotate_secrets(vault, SealedInFile(Path(sys.argv[1], "secrets.db")))
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], cwd=Path(__file__).parents[2]
        )
        for _ in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert opened(make_vault(), secrets) == SECRETS
    assert len(keys_in(key_file)) == 1


def test_a_secret_stored_while_the_rotation_ends_is_caught_by_asking_again(
    make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    other_process = make_vault()
    token = other_process.seal("sk-late")
    rotate_secrets(make_vault(), secrets)  # ends between the seal and the commit
    secrets.add(token)
    assert other_process.needs_reseal(token)
    (resealed,) = other_process.rotate([token])
    assert secrets.replace(token, resealed)
    assert opened(make_vault(), secrets) == [*SECRETS, "sk-late"]
    assert len(keys_in(key_file)) == 1


def test_secrets_that_keep_coming_under_the_old_key_keep_it(
    make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    (old,) = keys_in(key_file)

    class NeverDone(SealedInFile):
        def tokens(self) -> list[str]:
            self.add(make_vault(old).seal("sk-more"))
            return super().tokens()

    busy = NeverDone(key_file.path.parent.parent / "secrets.db")
    with pytest.raises(Conflict, match="run `agent-launcher secrets rotate` again"):
        rotate_secrets(make_vault(), busy)
    assert keys_in(key_file)[1] == old
    assert set(opened(make_vault(), secrets)) == {*SECRETS, "sk-more"}


def test_an_unreadable_secret_stops_it_before_anything_is_changed(
    make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    secrets.add(make_vault(generate_key()).seal("sk-foreign"))
    before = (keys_in(key_file), secrets.tokens())
    with pytest.raises(SecretUnreadable, match="1 of 6 stored secrets cannot be opened, so the key was not"):
        rotate_secrets(make_vault(), secrets)
    assert (keys_in(key_file), secrets.tokens()) == before


def test_a_lost_key_file_stops_it(make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile) -> None:
    key_file.path.unlink()
    with pytest.raises(SecretUnreadable, match="is missing"):
        rotate_secrets(make_vault(), secrets)
    assert key_file.read() is None


def test_with_no_key_and_no_secret_there_is_nothing_to_do(tmp_path: Path, make_vault: MakeVault) -> None:
    result = rotate_secrets(make_vault(), SealedInFile(tmp_path / "empty.db"))
    assert (result.fingerprint, result.resealed, result.next_step) == (None, 0, "")
    assert not (tmp_path / "data" / "secret.key").exists()


# The environment's key.


def test_one_given_key_cannot_be_changed_here_and_a_new_one_is_offered(
    tmp_path: Path, make_vault: MakeVault
) -> None:
    key = generate_key()
    secrets = SealedInFile(tmp_path / "x.db", [make_vault(key).seal("sk-1")])
    before = secrets.tokens()
    result = rotate_secrets(make_vault(key), secrets)
    assert result.resealed == 0
    assert secrets.tokens() == before
    assert "put the new key before the present one" in result.next_step
    assert result.new_key is not None
    assert result.new_key not in repr(result)
    assert key not in repr(result)

    # What it says, done.
    result = rotate_secrets(make_vault(f"{result.new_key},{key}"), secrets)
    assert result.resealed == 1
    assert "Take the other keys out" in result.next_step
    assert result.new_key is None


def test_what_the_next_step_says_ends_with_the_new_key_alone(tmp_path: Path, make_vault: MakeVault) -> None:
    old, new = generate_key(), "a passphrase this time"
    secrets = SealedInFile(tmp_path / "x.db", [make_vault(old).seal("sk-1"), make_vault(old).seal("sk-2")])
    steps = rotation_steps(make_vault(f"{new},{old}"), secrets)
    next(steps)  # one of two secrets; then it is cut short
    steps.close()
    assert opened(make_vault(f"{new},{old}"), secrets) == ["sk-1", "sk-2"]
    assert rotate_secrets(make_vault(f"{new},{old}"), secrets).resealed == 1
    assert opened(make_vault(new), secrets) == ["sk-1", "sk-2"]


def test_moving_from_the_file_to_the_environment(
    make_vault: MakeVault, key_file: KeyFile, secrets: SealedInFile
) -> None:
    new = generate_key()
    (old,) = keys_in(key_file)
    assert rotate_secrets(make_vault(f"{new},{old}"), secrets).resealed == 5
    key_file.path.unlink()
    assert opened(make_vault(new), secrets) == SECRETS
