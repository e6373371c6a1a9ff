"""What this installation is and where it keeps things: for the settings page; nothing in it is secret."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.contract import CONTRACT_VERSION
from core.providers import registry
from core.redaction import redact
from core.security.vault import Vault
from core.services.credentials import CredentialService
from core.services.principal import Principal
from core.settings import Settings, variables
from core.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingShown:
    """A setting in effect.

    Attributes:
        value: As text; "set" for a secret, "" for one that has no value.
        given: Whether the environment or `.env` says so; else it is the default.
    """

    variable: str
    value: str
    given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is in use.

    Attributes:
        database: As `Store.describe`.
        master_key: Where it comes from, with its fingerprint; or why it cannot be used.
        settings: Ours first, then the vendors' own variables.
    """

    version: str
    contract_version: str
    python_version: str
    data_dir: Path
    log_file: Path
    log_level: str
    database: Mapping[str, Any]
    master_key: str
    settings: tuple[SettingShown, ...]


class InstallationService:
    """See the module."""

    def __init__(
        self, settings: Settings, store: Store, vault: Vault, credentials: CredentialService
    ) -> None:
        self._settings = settings
        self._store = store
        self._vault = vault
        self._credentials = credentials

    def describe(self, principal: Principal) -> Installation:
        """Everything, read now. Raises StoreError."""
        return Installation(
            version=version("agent-launcher"),
            contract_version=CONTRACT_VERSION,
            python_version=platform.python_version(),
            data_dir=self._settings.data_dir,
            log_file=self._settings.log_file,
            log_level=self._settings.log_level,
            database=self._store.describe(),
            master_key=self.master_key(principal),
            settings=(*_ours(self._settings), *_vendors()),
        )

    def master_key(self, principal: Principal) -> str:
        """Where the master key comes from, with its fingerprint; or why it cannot be used. Safe to show."""
        return self._credentials.master_key_fault(principal) or self._vault.describe()


def _ours(settings: Settings) -> list[SettingShown]:
    shown: list[SettingShown] = []
    for setting in fields(settings):
        variable = variables()[setting.name]
        value: object = getattr(settings, setting.name)
        if setting.name == "database_url":
            value = settings.database_label
        elif setting.metadata["secret"]:
            value = "set" if value else None
        given = bool(os.environ.get(variable, "").strip())
        shown.append(SettingShown(variable=variable, value="" if value is None else str(value), given=given))
    return shown


def _vendors() -> list[SettingShown]:
    shown: list[SettingShown] = []
    for spec in registry.specs().values():
        for variable in spec.api_key_variables:
            given = bool(os.environ.get(variable, "").strip())
            value = "set" if given else ""
            shown.append(SettingShown(variable=variable, value=value, given=given))
        if spec.base_url_variable:
            address = os.environ.get(spec.base_url_variable, "").strip()
            shown.append(
                SettingShown(variable=spec.base_url_variable, value=redact(address), given=bool(address))
            )
    return shown
