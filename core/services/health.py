"""`doctor`: looks at everything that this installation needs, and says what to do about what is missing."""

import os
import shutil
import stat
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from core.errors import SettingsError, StoreError
from core.execution.choice import BackendChoice
from core.providers import registry
from core.providers.base import OtherCredentials
from core.providers.spec import ProviderSpec
from core.redaction import redact
from core.security.vault import Vault
from core.services.checks import Check, Verdict, guarded
from core.services.credentials import CredentialService, Unnamed
from core.services.prices import PriceService
from core.services.principal import Principal
from core.settings import Settings, unknown_variables
from core.storage.failures import MigrationDue, NoDatabaseYet
from core.storage.store import Store

LOW_DISK_BYTES: Final = 500 * 1024 * 1024
LAMBDA_FRESH_SECONDS: Final = 15.0
"""How long a page that is drawn again does not ask AWS again: one that is out of reach takes seconds to say so."""
MANY_UNFOLDED: Final = 20_000
"""Finished attempts without their place in the roll-ups; charts stay exact, but read each of them."""


class HealthService:
    """See the module."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        vault: Vault,
        credentials: CredentialService,
        prices: PriceService,
    ) -> None:
        self._settings = settings
        self._store = store
        self._vault = vault
        self._credentials = credentials
        self._prices = prices
        self._on_lambda: tuple[float, Sequence[Check]] | None = None

    def checks(self, principal: Principal) -> Sequence[Check]:
        """All checks; none of them asks a model, executes a function or changes anything."""
        return [
            *_around_the_store(self._settings),
            guarded("Database", self._database),
            guarded("Writing", self._writing),
            guarded("Roll-ups", self._roll_ups),
            guarded("Master key", lambda: self._master_key(principal)),
            guarded("Prices", lambda: self._price_overrides(principal)),
            *self._providers(principal),
            *self.of_lambda(principal),
        ]

    def _database(self) -> Check:
        facts = self._store.describe()
        size = f"{facts['size_bytes'] / 1024**2:.1f} MiB"
        rows = [_counted(facts[f"{name}s"], name) for name in ("run", "agent", "credential")]
        kind = "SQLite" if facts["dialect"] == "sqlite" else "Postgres"
        if not self._store.in_place:
            return Check(
                name="Database",
                verdict=Verdict.FAILED,
                detail=f"{facts['place']} was removed, moved or replaced since it was opened: what is stored now is "
                "not in it",
                remedy="End it, put back the file, or a backup with `agent-launcher restore`, and start again.",
            )
        return Check(
            name="Database",
            verdict=Verdict.OK,
            detail=f"{kind} at {facts['place']}, {size}, schema {facts['schema']}; {', '.join(rows)}",
        )

    def _writing(self) -> Check:
        self._store.check_writable()
        return Check(name="Writing", verdict=Verdict.OK, detail="The database takes writes.")

    def _roll_ups(self) -> Check:
        waiting = int(self._store.describe()["not_folded"])
        detail = f"{_counted(waiting, 'finished attempt')} not in the roll-ups yet"
        if waiting > MANY_UNFOLDED:
            return Check(
                name="Roll-ups",
                verdict=Verdict.WARNING,
                detail=detail,
                remedy="No process does the housekeeping: keep `agent-launcher up` running.",
            )
        return Check(name="Roll-ups", verdict=Verdict.OK, detail=detail)

    def _master_key(self, principal: Principal) -> Check:
        if fault := self._credentials.master_key_fault(principal):
            return Check(name="Master key", verdict=Verdict.FAILED, detail=fault)
        where = self._vault.describe()
        stored = self._credentials.list(principal)
        unreadable = self._credentials.unreadable(principal)
        faults = {c.name: unreadable[c.id] for c in stored if c.id in unreadable}
        if faults:
            return Check(
                name="Master key",
                verdict=Verdict.FAILED,
                detail=f"{where}; it does not open {_names(faults)}, of {len(stored)} stored",
                remedy=next(iter(faults.values())),
            )
        opens = "; it opens every stored credential" if stored else ""
        return Check(name="Master key", verdict=Verdict.OK, detail=f"{where}{opens}")

    def _price_overrides(self, principal: Principal) -> Check:
        own = len(self._prices.list_overrides(principal))
        own_prices = f"{_counted(own, 'price override')} of this project"
        return Check(
            name="Prices",
            verdict=Verdict.OK,
            detail=f"Catalogue {self._prices.catalogue_version()}; {own_prices}",
        )

    def _providers(self, principal: Principal) -> list[Check]:
        try:
            stored = [credential.provider for credential in self._credentials.list(principal)]
            keys = {name: self._credentials.unnamed(principal, provider=name) for name in set(stored)}
        except StoreError as exc:
            return [Check(name="Providers", verdict=Verdict.FAILED, detail=str(exc))]
        specs = registry.specs().values()
        unused = [spec for spec in specs if _is_unused(spec, stored.count(spec.name))]
        found = [
            _provider(spec, stored.count(spec.name), keys.get(spec.name))
            for spec in specs
            if spec not in unused
        ]
        if not unused:
            return found
        any_key = any(spec.needs_api_key for spec in specs if spec not in unused)
        return [*found, _unused(unused, verdict=Verdict.OK if any_key else Verdict.WARNING)]

    def of_lambda(self, principal: Principal, *, fresh: bool = False) -> Sequence[Check]:
        """Those of AWS Lambda alone, some seconds old unless `fresh`; none where no function is named."""
        if self._settings.lambda_agent_function_name is None:
            return []
        from core.services.lambda_checks import lambda_checks

        found, now = self._on_lambda, time.monotonic()
        if fresh or found is None or now - found[0] > LAMBDA_FRESH_SECONDS:
            stored = [credential.provider for credential in self._credentials.list(principal)]
            checks = lambda_checks(
                self._settings, local_keys=stored, bedrock_models=self._models_of_aws(principal)
            )
            found = self._on_lambda = (time.monotonic(), checks)
        return found[1]

    def _models_of_aws(self, principal: Principal) -> Sequence[str]:
        """What agents that may run on Lambda ask of Bedrock itself, with AWS credentials."""
        configs = [agent.version.config for agent in self._store.agents.list(principal.project_id)]
        return [
            str(config.get("model_name"))
            for config in configs
            if config.get("provider") == "BEDROCK"
            and config.get("backend") != BackendChoice.LOCAL.value
            and not config.get("base_url")
            and not config.get("credential_id")
        ]


def look(principal: Principal, settings: Settings) -> Sequence[Check]:
    """As `HealthService.checks`, of an installation that nobody has opened: nothing is made, migrated or written."""
    try:
        store = Store.look(settings.database_url)
    except StoreError as exc:
        return checks_without_store(settings, exc)
    try:
        vault = Vault(settings, secrets_exist=store.credentials.any_sealed)
        credentials = CredentialService(store, vault)
        return HealthService(settings, store, vault, credentials, PriceService(store)).checks(principal)
    finally:
        store.close()


def checks_of_settings(problem: SettingsError) -> Sequence[Check]:
    """What can be said when the settings cannot be read."""
    return [Check(name="Settings", verdict=Verdict.FAILED, detail=str(problem))]


def checks_without_store(settings: Settings, problem: StoreError) -> Sequence[Check]:
    """What can be said when the database cannot be opened."""
    return [*_around_the_store(settings), _unopened(settings, problem)]


def _unopened(settings: Settings, problem: StoreError) -> Check:
    embedded = settings.database_url.startswith("sqlite")
    if isinstance(problem, NoDatabaseYet) or (
        embedded and isinstance(problem, MigrationDue) and problem.found is None
    ):
        return Check(
            name="Database",
            verdict=Verdict.OK,
            detail=f"{settings.database_label}: no database yet; the first `agent-launcher up` makes it",
        )
    if embedded and isinstance(problem, MigrationDue):
        return Check(
            name="Database",
            verdict=Verdict.WARNING,
            detail=f"{settings.database_label} has the older schema {problem.found}",
            remedy="The next start of this version of the program migrates it, and keeps a copy of it.",
        )
    return Check(name="Database", verdict=Verdict.FAILED, detail=f"{settings.database_label}: {problem}")


def _around_the_store(settings: Settings) -> list[Check]:
    return [
        guarded("Settings", lambda: _settings(settings)),
        guarded("Data directory", lambda: _data_dir(settings)),
        guarded("Logs", lambda: _logs(settings)),
    ]


def _settings(settings: Settings) -> Check:
    sentences = unknown_variables()
    if settings.use_lambda_for_agent_execution and settings.lambda_agent_function_name is None:
        sentences.append(
            "USE_LAMBDA_FOR_AGENT_EXECUTION is set, but LAMBDA_AGENT_FUNCTION_NAME is not: everything runs locally."
        )
    if sentences:
        return Check(
            name="Settings",
            verdict=Verdict.WARNING,
            detail=" ".join(sentences),
            remedy="Correct them in the environment or in .env, and start again.",
        )
    return Check(name="Settings", verdict=Verdict.OK, detail="All AGENT_LAUNCHER_... variables are known.")


def _data_dir(settings: Settings) -> Check:
    path = settings.data_dir
    if not path.exists():
        return _missing_data_dir(path)
    free = shutil.disk_usage(path).free
    detail = f"{path}, {free / 1024**3:.1f} GiB free"
    if not os.access(path, os.W_OK | os.X_OK):
        return Check(
            name="Data directory",
            verdict=Verdict.FAILED,
            detail=f"{detail}, not writable for this user",
            remedy="Make it writable, or set AGENT_LAUNCHER_DATA_DIR to another directory.",
        )
    if free < LOW_DISK_BYTES:
        return Check(
            name="Data directory",
            verdict=Verdict.WARNING,
            detail=detail,
            remedy="Free some space: runs cannot be stored when the disk is full.",
        )
    if settings.key_file.exists() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Check(
            name="Data directory",
            verdict=Verdict.WARNING,
            detail=f"{detail}, but other users of this machine may write to it, and it holds the master key",
            remedy=f"chmod go-w {path}",
        )
    return Check(name="Data directory", verdict=Verdict.OK, detail=detail)


def _missing_data_dir(path: Path) -> Check:
    if os.access(_existing(path), os.W_OK | os.X_OK):
        return Check(name="Data directory", verdict=Verdict.OK, detail=f"{path}: the first start makes it")
    return Check(
        name="Data directory",
        verdict=Verdict.FAILED,
        detail=f"{path} does not exist, and this user cannot make it",
        remedy="Make it, or set AGENT_LAUNCHER_DATA_DIR to another directory.",
    )


def _existing(path: Path) -> Path:
    """The path, or what there is of it."""
    return next(place for place in (path, *path.parents) if place.exists())


def _logs(settings: Settings) -> Check:
    path = settings.log_file
    writable = os.access(_existing(path), os.W_OK)
    if not writable:
        return Check(
            name="Logs",
            verdict=Verdict.WARNING,
            detail=f"{path} cannot be written; logs go to stderr only",
            remedy="Make the file and its folder writable.",
        )
    return Check(name="Logs", verdict=Verdict.OK, detail=f"{path}, level {settings.log_level}")


def _provider(spec: ProviderSpec, stored: int, key: Unnamed | None) -> Check:
    name, variable = f"Provider {spec.name}", spec.api_key_variable
    server = spec.base_url_in_force()
    where = f"; requests go to {redact(server)} ({spec.base_url_variable})" if server else ""
    if variable is None:
        return Check(name=name, verdict=Verdict.OK, detail=f"Needs no key{where}")
    if key is not None and key.fault and not key.several:
        own = "what is asked by itself" if server else f"{spec.label}'s own server"
        servers = ", ".join(dict.fromkeys(redact(one.base_url or spec.label) for one in key.elsewhere))
        return Check(
            name=name,
            verdict=Verdict.WARNING,
            detail=f"{_counted(stored, 'stored credential')}, for {servers}; no key for {own}{where}",
            remedy="Choose the credential in the agent or in the playground, which asks its server, or add one "
            f"without a base URL under Settings > Credentials, or set {variable}.",
        )
    if key is not None and (key.credential or key.several):
        return Check(name=name, verdict=Verdict.OK, detail=f"{_counted(stored, 'stored credential')}{where}")
    if given := spec.key_variable_in_force():
        return Check(name=name, verdict=Verdict.OK, detail=f"Key from {given}{where}")
    if spec.other_credentials is not None:
        return _other_credentials(spec, import_module(spec.other_credentials).look(), where)
    if not spec.needs_api_key:
        own = " on a server of your own" if spec.self_hosted else ""
        return Check(name=name, verdict=Verdict.OK, detail=f"Works without a key{own}{where}")
    return Check(
        name=name,
        verdict=Verdict.WARNING,
        detail=f"No key{where}",
        remedy=f"Add one under Settings > Credentials, or set {variable}. Get one at {spec.key_help}.",
    )


def _other_credentials(spec: ProviderSpec, found: OtherCredentials, where: str) -> Check:
    """What stands in a key's place; its lack is a fault only where something here means to ask this vendor."""
    meant = bool(where) or spec.model_of_the_environment() is not None
    return Check(
        name=f"Provider {spec.name}",
        verdict=Verdict.WARNING if meant and not found.found else Verdict.OK,
        detail=f"{'' if found.found else 'No key. '}{found.detail}{where}",
        remedy=found.remedy and f"To use it: {found.remedy} Or set {spec.api_key_variable} to a key.",
    )


def _is_unused(spec: ProviderSpec, stored: int) -> bool:
    """Whether nothing here is meant for a vendor that needs a key: neither a key nor an address."""
    return (
        spec.needs_api_key
        and not stored
        and spec.key_variable_in_force() is None
        and spec.base_url_in_force() is None
    )


def _unused(specs: Sequence[ProviderSpec], *, verdict: Verdict) -> Check:
    """One line for all of them: few installations ask every vendor."""
    name, detail = "Providers without a key", ", ".join(spec.name for spec in specs)
    if verdict is Verdict.OK:
        return Check(name=name, verdict=verdict, detail=detail)
    variables = ", ".join(spec.api_key_variable for spec in specs if spec.api_key_variable)
    remedy = f"To use one, add its key under Settings > Credentials, or set its variable ({variables})."
    return Check(name=name, verdict=verdict, detail=detail, remedy=remedy)


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _names(faults: dict[str, str]) -> str:
    return ", ".join(sorted(faults))
