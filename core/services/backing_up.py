"""Backing up this installation, also one whose database waits for its migration."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import SecretUnreadable
from core.security.vault import Vault
from core.services.principal import Principal
from core.settings import Settings
from core.storage.backup import BackupReport
from core.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What was done.

    Attributes:
        master_key: Where the master key is, which is not in the backup; or why it cannot be used.
    """

    report: BackupReport
    master_key: str


def back_up(principal: Principal, settings: Settings, file: Path) -> BackedUp:
    """Copies the whole configured database, of every project and as it is, into a new file, and verifies that.

    Raises:
        InvalidInput: The file exists or cannot be written, or there is nothing to back up.
        SettingsError, StoreError: No file of that name is left.
    """
    del principal  # until sign-in exists, whoever runs the command may do this
    report = Store.backup_of(settings.database_url, file)
    try:
        master_key = Vault(settings, secrets_exist=lambda: True).describe()
    except SecretUnreadable as exc:
        master_key = str(exc)
    return BackedUp(report=report, master_key=master_key)
