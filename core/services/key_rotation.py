"""Changing the master key: every stored secret of every project, sealed anew."""

from collections.abc import Sequence

from core.errors import Conflict
from core.security.rotation import Rotation, rotate_secrets
from core.security.vault import Vault
from core.services.principal import Principal
from core.storage.store import Store


class _StoredSecrets:
    """The credentials as the rotation sees them: sealed texts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tokens(self) -> Sequence[str]:
        return [record.sealed for record in self._store.credentials.all()]

    def replace(self, old: str, new: str) -> bool:
        for record in self._store.credentials.all():
            if record.sealed == old:
                try:
                    self._store.credentials.replace_all_sealed([(record.id, old, new)])
                except Conflict:
                    return False
                return True
        return False


def rotate(principal: Principal, vault: Vault, store: Store) -> Rotation:
    """Seals every secret, of all projects, with a new key; safe to kill at any point, and to run again.

    Raises:
        SecretUnreadable: A secret cannot be opened; nothing was changed.
        Conflict: Other processes kept storing secrets meanwhile.
    """
    del principal  # until sign-in exists, whoever runs the command may do this
    return rotate_secrets(vault, _StoredSecrets(store))
