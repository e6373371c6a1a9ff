"""`agent-launcher secrets rotate`: every stored secret under a new master key, safe to kill at any point.

With the key file: the new key is written before the old one in the file, then the secrets are sealed again,
one by one, then the old key leaves the file. A process that is killed in between leaves a file that opens
every secret, and the next rotation ends what that one began. With `AGENT_LAUNCHER_SECRET_KEY` this program
cannot change the key; it seals everything under the first key and says what to set.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.errors import Conflict, SecretUnreadable
from core.security.master_key import generate_key
from core.security.vault import Vault

_ROUNDS: Final = 10


class SealedSecrets(Protocol):
    """Where the sealed tokens are; all of them, of every project."""

    def tokens(self) -> Sequence[str]:
        """Every stored token, as committed now."""
        ...

    def replace(self, old: str, new: str) -> bool:
        """Puts `new` in the place of the token `old` and commits; False if `old` is not stored any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did.

    Attributes:
        fingerprint: The key that seals all secrets now; None if there is no master key yet.
        resealed: How many secrets were sealed again.
        resumed: It ended an earlier rotation that had been cut short, and made no new key.
        next_step: What the operator must do now; "" if all is done.
        new_key: A fresh key for `next_step`, to be shown once to the operator who asked.
    """

    fingerprint: str | None
    resealed: int
    resumed: bool = False
    next_step: str = ""
    new_key: str | None = field(default=None, repr=False)


def rotate_secrets(vault: Vault, secrets: SealedSecrets) -> Rotation:
    """Seals every secret with a new key, or with the first of several given keys.

    Raises:
        SecretUnreadable: A secret cannot be opened; nothing was changed.
        Conflict: Other processes kept storing secrets meanwhile; run it again.
    """
    steps = rotation_steps(vault, secrets)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Rotation = stop.value
            return result


def rotation_steps(vault: Vault, secrets: SealedSecrets) -> Generator[str, None, Rotation]:
    """The rotation, pausing after each change that outlives the process; yields what was done."""
    if vault.keys_from_environment:
        return (yield from _under_given_keys(vault, secrets))
    return (yield from _under_key_file(vault, secrets))


def _under_key_file(vault: Vault, secrets: SealedSecrets) -> Generator[str, None, Rotation]:
    with vault.key_file.lock():
        content = vault.key_file.read()
        if content is None:
            if secrets.tokens():
                raise vault.missing()
            return Rotation(fingerprint=None, resealed=0)
        _check_all_open(vault, secrets)
        resumed = len(content.keys) > 1
        keys = content.keys
        if not resumed:
            keys = (generate_key(), *keys)
            vault.key_file.write(keys)
            yield "new key written"
        resealed = yield from _reseal(vault, secrets)
        vault.key_file.write(keys[:1])
        yield "old key dropped"
        return Rotation(fingerprint=vault.fingerprint, resealed=resealed, resumed=resumed)


def _under_given_keys(vault: Vault, secrets: SealedSecrets) -> Generator[str, None, Rotation]:
    _check_all_open(vault, secrets)
    resealed = yield from _reseal(vault, secrets)
    if vault.keys_from_environment > 1:
        return Rotation(
            fingerprint=vault.fingerprint,
            resealed=resealed,
            next_step=(
                f"Every secret is sealed with the first key, {vault.fingerprint}. Take the other keys out of "
                "AGENT_LAUNCHER_SECRET_KEY and restart every process that has it."
            ),
        )
    return Rotation(
        fingerprint=vault.fingerprint,
        resealed=resealed,
        next_step=(
            "The key comes from AGENT_LAUNCHER_SECRET_KEY, which only you can change: put the new key before "
            "the present one, with a comma between, restart every process that has it, and run "
            "`agent-launcher secrets rotate` again."
        ),
        new_key=generate_key(),
    )


def _check_all_open(vault: Vault, secrets: SealedSecrets) -> None:
    tokens = secrets.tokens()
    faults: list[str] = []
    for token in tokens:
        try:
            vault.open(token)
        except SecretUnreadable as exc:
            faults.append(str(exc))
    if faults:
        raise SecretUnreadable(
            f"{len(faults)} of {len(tokens)} stored secrets cannot be opened, so the key was not changed. "
            + faults[0]
        )


def _reseal(vault: Vault, secrets: SealedSecrets) -> Generator[str, None, int]:
    resealed = 0
    for _ in range(_ROUNDS):
        pending = [token for token in secrets.tokens() if vault.needs_reseal(token)]
        if not pending:
            return resealed
        for old, new in zip(pending, vault.rotate(pending), strict=True):
            if secrets.replace(old, new):
                resealed += 1
                yield "secret sealed again"
    raise Conflict(
        "Other processes keep storing secrets under the old key, so it was not dropped. Every secret still "
        "opens; run `agent-launcher secrets rotate` again."
    )
