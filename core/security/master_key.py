"""Master keys: what seals the stored secrets, and the file that holds one when the environment gives none.

The file has one Fernet key a line; the first seals, all open. It is only ever replaced whole, by renaming a
written and synced file over it, under a lock that every writer takes: whatever is killed at whatever moment,
the file is missing, or complete and as it was before or after. Programs on several machines that share the
directory over a network need `AGENT_LAUNCHER_SECRET_KEY` instead: locks do not reach that far everywhere.
"""

import base64
import fcntl
import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet

from core.errors import SecretUnreadable

_FERNET_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=")
_SCRYPT_SALT: Final = b"agent-launcher/master-key/v1"
_FINGERPRINT_DOMAIN: Final = b"agent-launcher/key-fingerprint/v1\0"
_HEADER: Final = """\
# The master key of this Agent Launcher: it opens the stored API keys, and nothing else does.
# Keep a copy apart from the database's backups. The first key seals; all open.
"""
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key that seals and opens.

    Attributes:
        fingerprint: 16 hex digits that name the key and do not reveal it.
    """

    fernet: Fernet = field(repr=False)
    fingerprint: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The key for a Fernet key, which is taken as it is, or for a passphrase.

        A passphrase goes through scrypt (N=2^14, r=8, p=5: 16 MiB, a tenth of a second or more). The salt is
        the program's own and always the same, because a key must follow from the environment alone: the
        database may be restored anywhere. So equal passphrases give equal keys on every installation, and a
        generated key is the better choice.
        """
        if _FERNET_KEY.fullmatch(text):
            key = text
        else:
            passphrase = unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")
            derived = hashlib.scrypt(
                passphrase, salt=_SCRYPT_SALT, n=2**14, r=8, p=5, maxmem=64 * 1024 * 1024, dklen=32
            )
            key = base64.urlsafe_b64encode(derived).decode()
        raw = base64.urlsafe_b64decode(key)
        return cls(Fernet(key), hashlib.sha256(_FINGERPRINT_DOMAIN + raw).hexdigest()[:16])


def generate_key() -> str:
    """A new random master key."""
    return Fernet.generate_key().decode()


@dataclass(frozen=True, slots=True)
class KeyFileContent:
    """One reading of the file.

    Attributes:
        keys: The sealing key first; never empty.
        stamp: Differs whenever the file was replaced or edited.
    """

    keys: tuple[str, ...] = field(repr=False)
    stamp: tuple[int, ...]


class KeyFile:
    """The file with the master key in the data directory; mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, ...] | None:
        """What `read` would give as its stamp now, at the price of one stat; None if there is no file."""
        try:
            return _stamp(self.path.stat())
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._unusable(exc) from exc

    def read(self) -> KeyFileContent | None:
        """The keys; None if there is no file.

        Raises:
            SecretUnreadable: Others may read it, or it is not a key file; it is left as it is.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._unusable(exc) from exc
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                # Not mended in silence: whoever could read it may have a copy.
                raise SecretUnreadable(
                    f"The key file {self.path} can be read by other users of this machine. Run "
                    f"`chmod 600 {self.path}`; if others may have read it, then also run "
                    "`agent-launcher secrets rotate` and change the API keys at their providers."
                )
            text = stream.read(_MAX_BYTES).decode("ascii", "replace")
        lines = [line.strip() for line in text.splitlines()]
        keys = tuple(line for line in lines if line and not line.startswith("#"))
        if not keys or not all(_FERNET_KEY.fullmatch(key) for key in keys):
            raise SecretUnreadable(
                f"The key file {self.path} does not hold a master key: it is damaged. Restore it from a "
                "backup; it is left as it is."
            )
        return KeyFileContent(keys, _stamp(status))

    def create(self) -> KeyFileContent:
        """Makes the file with a new key, unless another process made it first; returns what is in it then.

        Raises:
            SecretUnreadable: It cannot be written, or not be read.
        """
        with self.lock():
            content = self.read()
            return self.write([generate_key()]) if content is None else content

    def write(self, keys: Sequence[str]) -> KeyFileContent:
        """Replaces the whole file; the caller holds the lock.

        Raises:
            SecretUnreadable: It cannot be written; what was there is intact.
        """
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            # Left behind by a crash. Nobody else is writing it: the lock is ours.
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(_HEADER + "".join(f"{key}\n" for key in keys))
                stream.flush()
                os.fsync(stream.fileno())
                status = os.fstat(stream.fileno())
            temporary.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise self._unusable(exc) from exc
        return KeyFileContent(tuple(keys), _stamp(status))

    @contextmanager
    def lock(self) -> Generator[None]:
        """Holds off every other writer, in this process and in others; freed by the system after a crash."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as exc:
            raise self._unusable(exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unusable(self, exc: OSError) -> SecretUnreadable:
        return SecretUnreadable(
            f"The key file {self.path} cannot be used: {exc.strerror}. Check the disk and the permissions of "
            "its directory, or set AGENT_LAUNCHER_SECRET_KEY."
        )


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
