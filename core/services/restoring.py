"""Restoring a backup into this installation, and what an operator should know afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import SecretUnreadable
from core.security.vault import Vault
from core.services.principal import Principal
from core.settings import Settings, ensure_data_dir
from core.storage.restore import RestoreReport
from core.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done.

    Attributes:
        credentials: How many stored keys the database has now.
        unreadable: The names of those that the master key here does not open; they are kept as they are.
        remedy: What to do about them; "" when there are none.
    """

    report: RestoreReport
    credentials: int
    unreadable: Sequence[str]
    remedy: str


def restore(principal: Principal, settings: Settings, file: Path, *, force: bool = False) -> Restored:
    """Puts a backup in the place of what the configured database holds, and tries the master key on its keys.

    What is replaced is backed up into the data directory first.

    Args:
        principal: Who asks; what is replaced is of every project.
        settings: Which database, and where the master key is.
        file: What a backup wrote.
        force: Restore although live processes use the database.

    Raises:
        Conflict: They do; nothing was changed.
        InvalidInput, SettingsError, StoreError: Nothing was changed.
    """
    del principal  # until sign-in exists, whoever runs the command may do this
    ensure_data_dir(settings)
    vault = Vault(settings, secrets_exist=lambda: True)
    report = Store.restore(file, settings.database_url, keep_in=settings.data_dir, force=force)
    store = Store.open(settings.database_url)
    try:
        records = store.credentials.all()
    finally:
        store.close()
    faults: dict[str, str] = {}
    for record in records:
        try:
            vault.open(record.sealed)
        except SecretUnreadable as exc:
            faults[record.name] = str(exc)
    return Restored(
        report=report,
        credentials=len(records),
        unreadable=sorted(faults),
        remedy=next(iter(faults.values()), ""),
    )
