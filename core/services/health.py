"""`doctor`: looks at everything that this installation needs, and says what to do about what is missing."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import AgentLauncherError, StoreError
from core.providers import registry
from core.security.vault import Vault
from core.services.credentials import CredentialService
from core.services.principal import Principal
from core.settings import Settings
from core.storage.store import Store

_LOW_DISK_BYTES = 500 * 1024 * 1024


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: What was found; safe to show.
        remedy: What to do; "" when all is well.
    """

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


class HealthService:
    """See the module."""

    def __init__(self, settings: Settings, store: Store, vault: Vault, credentials: CredentialService) -> None:
        self._settings = settings
        self._store = store
        self._vault = vault
        self._credentials = credentials

    def checks(self, principal: Principal) -> Sequence[Check]:
        """All checks; none of them sends a request to a provider or changes anything."""
        return [
            self._guard("Database", self._database),
            self._guard("Writing", self._writing),
            self._guard("Disk", self._disk),
            self._guard("Master key", lambda: self._master_key(principal)),
            *self._providers(principal),
        ]

    def _guard(self, name: str, check: Callable[[], Check]) -> Check:
        try:
            return check()
        except AgentLauncherError as exc:
            return Check(name=name, verdict=Verdict.FAILED, detail=str(exc), remedy="See the text.")

    def _database(self) -> Check:
        facts = self._store.describe()
        return Check(name="Database", verdict=Verdict.OK, detail=", ".join(f"{k}: {v}" for k, v in facts.items()))

    def _writing(self) -> Check:
        try:
            self._store.check_writable()
        except StoreError as exc:
            return Check(name="Writing", verdict=Verdict.FAILED, detail=str(exc), remedy="Runs cannot be stored until then.")
        return Check(name="Writing", verdict=Verdict.OK, detail="The database takes writes.")

    def _disk(self) -> Check:
        free = shutil.disk_usage(self._settings.data_dir).free
        detail = f"{free / 1024**3:.1f} GiB free in the data directory"
        if free < _LOW_DISK_BYTES:
            return Check(name="Disk", verdict=Verdict.WARNING, detail=detail, remedy="Free some space: runs fail when the disk is full.")
        return Check(name="Disk", verdict=Verdict.OK, detail=detail)

    def _master_key(self, principal: Principal) -> Check:
        sealed = self._store.credentials.list(principal.project_id)
        for record in sealed:
            self._vault.open(record.sealed)
        where = self._vault.describe()
        return Check(name="Master key", verdict=Verdict.OK, detail=f"{where}; opens all {len(sealed)} stored credential(s)")

    def _providers(self, principal: Principal) -> list[Check]:
        stored = [credential.provider for credential in self._credentials.list(principal)]
        checks: list[Check] = []
        for spec in registry.specs().values():
            name = f"Provider {spec.name}"
            variable = spec.api_key_variable
            if variable is None:
                checks.append(Check(name=name, verdict=Verdict.OK, detail="needs no key"))
            elif spec.name in stored:
                checks.append(Check(name=name, verdict=Verdict.OK, detail=f"{stored.count(spec.name)} stored credential(s)"))
            elif os.environ.get(variable):
                checks.append(Check(name=name, verdict=Verdict.OK, detail=f"key from {variable}"))
            else:
                checks.append(
                    Check(
                        name=name,
                        verdict=Verdict.WARNING,
                        detail="no key",
                        remedy=f"Add one under Settings > Credentials, or set {variable}. Get one at {spec.key_help}.",
                    )
                )
        return checks
