"""Keys at rest: Fernet tokens under a master key from `AGENT_LAUNCHER_SECRET_KEY`, else from a file.

A sealed token is `v1.<fingerprint of the master key>.<Fernet token>`. The fingerprint tells a lost or wrong
master key from a damaged secret, and an operator which key is wanted. Nothing here ever replaces a token: a
secret that cannot be opened stays as it is until its owner deletes it.

Nothing is read before the first `seal` or `open`. A key file that another process replaces meanwhile (a
rotation) is noticed by the next call. Keys that were once in the file still open in this process, so that a
secret sealed a moment before the rotation dropped its key can be sealed again (`needs_reseal`).
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.fernet import InvalidToken, MultiFernet

from core import redaction
from core.errors import SecretUnreadable
from core.forks import renew_in_children
from core.security.master_key import KeyFile, KeyFileContent, MasterKey
from core.settings import Settings, split_secret_key

MIN_CHARS_TO_SHOW_LAST_FOUR: Final = 12
"""Of a shorter secret four characters would be too large a part."""

_VERSION: Final = "v1"


def last_four(secret: str) -> str:
    """The last four characters, by which its owner knows it again; "" for a secret too short to show any."""
    return secret[-4:] if len(secret) >= MIN_CHARS_TO_SHOW_LAST_FOUR else ""


@dataclass(frozen=True, slots=True)
class _KeyRing:
    """The keys in use; `known` also has those that were in the file before."""

    primary: MasterKey
    known: Mapping[str, MasterKey]
    stamp: tuple[int, ...] | None


class Vault:
    """Seals and opens secrets. Shared by threads.

    Args:
        settings: Where the master key is.
        secrets_exist: Whether the database holds sealed secrets; asked before a key file is made, since a
            missing file then means that the key was lost.
    """

    def __init__(self, settings: Settings, *, secrets_exist: Callable[[], bool]) -> None:
        self._given = split_secret_key(settings.secret_key or "")
        self._secrets_exist = secrets_exist
        self._lock = threading.Lock()
        self._ring: _KeyRing | None = None
        self.key_file = KeyFile(settings.key_file)
        renew_in_children(self)

    @property
    def keys_from_environment(self) -> int:
        """How many keys `AGENT_LAUNCHER_SECRET_KEY` gives; 0 if the key comes from the file."""
        return len(self._given)

    @property
    def fingerprint(self) -> str | None:
        """The sealing key's; None if there is no master key yet.

        Raises:
            SecretUnreadable: The key file cannot be used.
        """
        ring = self._load()
        return None if ring is None else ring.primary.fingerprint

    def describe(self) -> str:
        """Where the master key comes from; safe to show. Raises SecretUnreadable as `fingerprint`."""
        fingerprint = self.fingerprint
        if self._given:
            return f"AGENT_LAUNCHER_SECRET_KEY, {len(self._given)} key(s), sealing with {fingerprint}"
        if fingerprint is None:
            return f"none yet: {self.key_file.path} is made when the first secret is stored"
        return f"key file {self.key_file.path}, sealing with {fingerprint}"

    def seal(self, text: str) -> str:
        """The secret as a token that may be stored.

        Raises:
            SecretUnreadable: The master key is missing although secrets were sealed with it, or unusable.
        """
        redaction.remember(text)
        ring = self._load()
        if ring is None:
            if self._secrets_exist():
                raise self.missing()
            ring = self._adopt(self.key_file.create())
        token = ring.primary.fernet.encrypt(text.encode())
        return f"{_VERSION}.{ring.primary.fingerprint}.{token.decode()}"

    def open(self, token: str) -> str:
        """The secret in a token that `seal` gave.

        Raises:
            SecretUnreadable: The master key is missing, or another one sealed it, or the token is damaged.
        """
        fingerprint, sealed = _split(token)
        ring = self._load() or self._ring
        if ring is None:
            raise self.missing()
        key = ring.known.get(fingerprint)
        if key is None:
            raise SecretUnreadable(self._wrong_key(fingerprint, ring))
        try:
            text = key.fernet.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError):
            raise _damaged() from None
        redaction.remember(text)
        return text

    def needs_reseal(self, token: str) -> bool:
        """Whether another key than the present sealing key sealed it.

        Asked again after a token was committed, this closes the gap in which a rotation ends between `seal`
        and the commit.

        Raises:
            SecretUnreadable: As `open`, but for an unknown key, which is True.
        """
        ring = self._load() or self._ring
        if ring is None:
            raise self.missing()
        return _split(token)[0] != ring.primary.fingerprint

    def rotate(self, tokens: Iterable[str]) -> Iterator[str]:
        """Each token sealed again with the present sealing key; unchanged if it already is.

        Raises:
            SecretUnreadable: As `open`; the tokens before it were given.
        """
        for token in tokens:
            if not self.needs_reseal(token):
                yield token
                continue
            self.open(token)
            ring = self._load() or self._ring
            if ring is None:
                raise self.missing()
            keys = MultiFernet([ring.primary.fernet, *(key.fernet for key in ring.known.values())])
            resealed = keys.rotate(_split(token)[1]).decode()
            yield f"{_VERSION}.{ring.primary.fingerprint}.{resealed}"

    def after_fork(self) -> None:
        """See `core.forks`."""
        self._lock = threading.Lock()

    def _load(self) -> _KeyRing | None:
        """The keys as they are now; None if there is no key file."""
        with self._lock:
            if self._given:
                if self._ring is None:
                    keys = [MasterKey.of(text) for text in self._given]
                    self._ring = _KeyRing(keys[0], {key.fingerprint: key for key in keys}, None)
                return self._ring
            stamp = self.key_file.stamp()
            if self._ring is not None and self._ring.stamp == stamp:
                return self._ring
        content = None if stamp is None else self.key_file.read()
        return None if content is None else self._adopt(content)

    def _adopt(self, content: KeyFileContent) -> _KeyRing:
        keys = [MasterKey.of(text) for text in content.keys]
        with self._lock:
            known = dict(self._ring.known) if self._ring is not None else {}
            known.update((key.fingerprint, key) for key in keys)
            self._ring = _KeyRing(keys[0], known, content.stamp)
            return self._ring

    def missing(self) -> SecretUnreadable:
        """The error for sealed secrets without a key file."""
        return SecretUnreadable(
            f"The key file {self.key_file.path} is missing, but secrets are stored that were sealed with it. "
            "Restore it from a backup, or set AGENT_LAUNCHER_SECRET_KEY to the key that was in it. If the "
            "key is lost for good, delete the stored credentials and enter them again. Nothing was changed."
        )

    def _wrong_key(self, fingerprint: str, ring: _KeyRing) -> str:
        place = "AGENT_LAUNCHER_SECRET_KEY" if self._given else self.key_file.path
        text = (
            f"This secret was sealed with the master key {fingerprint}, but the master key here is "
            f"{ring.primary.fingerprint} (from {place}). "
        )
        if self._given and self._file_has(fingerprint):
            return text + (
                f"The key file {self.key_file.path} has it: put its key behind yours in "
                "AGENT_LAUNCHER_SECRET_KEY, with a comma between, restart, and run "
                "`agent-launcher secrets rotate`. Nothing was changed."
            )
        return text + (
            "Set AGENT_LAUNCHER_SECRET_KEY to the key that sealed it, or restore its key file; if that key "
            "is lost, enter the credential again. Nothing was changed."
        )

    def _file_has(self, fingerprint: str) -> bool:
        try:
            content = self.key_file.read()
        except SecretUnreadable:
            return False
        return content is not None and any(MasterKey.of(k).fingerprint == fingerprint for k in content.keys)


def _split(token: str) -> tuple[str, str]:
    version, _, rest = token.partition(".")
    fingerprint, dot, sealed = rest.partition(".")
    if version != _VERSION or not dot or not sealed.isascii():
        raise _damaged()
    return fingerprint, sealed


def _damaged() -> SecretUnreadable:
    return SecretUnreadable(
        "A stored secret is damaged and cannot be opened. Restore the database from a backup, or enter the "
        "credential again. Nothing was changed."
    )
