"""Stored keys: write-only.

What comes out is a name and the last four characters; the secret itself goes only into a request that is
about to be sent, and only to the server that it is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from core import redaction
from core.contract import parse_request, utc_now
from core.errors import Conflict, InvalidInput, InvalidRequest, MissingApiKey, NotFound, SecretUnreadable
from core.loggers import get_logger
from core.providers import registry
from core.providers.addresses import is_this_machine
from core.providers.base import Connection
from core.providers.keys import resolve_api_key
from core.providers.spec import Feature
from core.security.vault import Vault, last_four
from core.services.agent_config import AgentConfig
from core.services.principal import Principal
from core.storage.records import CredentialRecord
from core.storage.store import Store

MAX_NAME_CHARS: Final = 100
MAX_SECRET_CHARS: Final = 4_096

log = get_logger("agent_launcher.credentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPublic:
    """A credential as anybody may see it. The secret has no public form at all.

    `api_key_ref` is where AWS Lambda finds the same key by itself; None sends the stored one along.
    """

    id: UUID
    name: str
    provider: str
    last4: str
    base_url: str | None
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None
    api_key_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedKey:
    """The key that serves a request; all None when the environment's serves.

    `api_key_ref` is what AWS Lambda gets instead of the secret.
    """

    secret: str | None = field(default=None, repr=False)
    base_url: str | None = None
    credential_id: UUID | None = None
    api_key_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnamed:
    """What serves a configuration that names no credential, as `resolve` decides it.

    Attributes:
        credential: The stored one that would serve.
        variable: The vendor's variable that would, where no stored one does.
        elsewhere: Those of the provider that are stored for other servers than the one that is asked.
        several: Whether several stored ones would serve, so that one must be named.
        fault: Why a request would be refused for want of a key; "" if it would not.
    """

    credential: CredentialPublic | None = None
    variable: str | None = None
    elsewhere: Sequence[CredentialPublic] = ()
    several: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentKey:
    """A vendor's own variable; it serves where no stored credential does."""

    provider: str
    variable: str
    is_set: bool


class CredentialService:
    """See the module."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def list(self, principal: Principal) -> list[CredentialPublic]:
        """All credentials of the project, by provider and name."""
        records = self._store.credentials.list(principal.project_id)
        return [_public(record) for record in sorted(records, key=lambda r: (r.provider, r.name.lower()))]

    def unreadable(self, principal: Principal) -> dict[UUID, str]:
        """The credentials that the present master key does not open, and for each what to do about it."""
        found: dict[UUID, str] = {}
        for record in self._store.credentials.list(principal.project_id):
            try:
                self._vault.open(record.sealed)
            except SecretUnreadable as exc:
                found[record.id] = str(exc)
        return found

    def master_key_fault(self, principal: Principal) -> str:
        """Why no stored key could be opened after a restart, and what to do about it; "" when all is well.

        A process that has read the key file goes on opening secrets when the file is lost.
        """
        del principal  # until sign-in exists, whoever asks may know this
        try:
            if self._vault.fingerprint is None and self._store.credentials.any_sealed():
                return str(self._vault.missing())
        except SecretUnreadable as exc:
            return str(exc)
        return ""

    def find(self, principal: Principal, label: str) -> CredentialPublic:
        """The credential of that name, or of that id. Raises NotFound, naming those that there are."""
        credentials = self.list(principal)
        found = next((c for c in credentials if c.name == label), None)
        found = found or next((c for c in credentials if str(c.id) == label.strip().lower()), None)
        if found is None:
            names = ", ".join(credential.name for credential in credentials) or "none yet"
            raise NotFound(f"There is no credential named {label!r}. There are: {names}.")
        return found

    def environment_keys(self, principal: Principal) -> Sequence[EnvironmentKey]:
        """The vendors' own variables, by provider; never their values."""
        del principal  # until sign-in exists, whoever asks may know this
        return [
            EnvironmentKey(
                provider=spec.name,
                variable=spec.key_variable_in_force() or spec.api_key_variable,
                is_set=spec.key_variable_in_force() is not None,
            )
            for spec in registry.specs().values()
            if spec.api_key_variable
        ]

    def check_new(
        self, principal: Principal, *, name: str, provider: str, base_url: str | None = None
    ) -> None:
        """Returns if `add` would take these; so that a key need not be typed in vain. Errors as in `add`."""
        name = _clean_name(name)
        _clean_base_url(provider, base_url)
        if any(record.name == name for record in self._store.credentials.list(principal.project_id)):
            raise Conflict(
                f"There is a credential named {name!r} already: choose another name, or replace that one's "
                "key."
            )

    def add(
        self, principal: Principal, *, name: str, provider: str, secret: str, base_url: str | None = None
    ) -> CredentialPublic:
        """Seals and stores a key.

        Args:
            principal: Who asks.
            name: By which agents name it; unlike any other in the project.
            provider: One that takes a key.
            secret: The key.
            base_url: The server that the key is for, if it is not the vendor's own.

        Raises:
            InvalidInput: An empty or overlong name or key, a key with spaces or line breaks in it, a base URL
                that is none, a provider without keys.
            UnknownProvider, Conflict, SecretUnreadable, StoreError: Nothing was stored.
        """
        name, secret = _clean_name(name), _clean(secret)
        record = self._store.credentials.create(
            principal.project_id,
            name=name,
            provider=provider,
            base_url=_clean_base_url(provider, base_url),
            sealed=self._vault.seal(secret),
            last4=last_four(secret),
        )
        self._keep_up_with_rotation(record)
        return _public(record)

    def replace(self, principal: Principal, credential_id: UUID, *, secret: str) -> CredentialPublic:
        """Puts a new key in the place of the stored one; errors as in `add`, and NotFound."""
        secret = _clean(secret)
        record = self._store.credentials.update_sealed(
            principal.project_id, credential_id, sealed=self._vault.seal(secret), last4=last_four(secret)
        )
        self._keep_up_with_rotation(record)
        return _public(record)

    def _keep_up_with_rotation(self, record: CredentialRecord) -> None:
        """Seals the secret again if the master key was changed between sealing and storing it."""
        try:
            if self._vault.needs_reseal(record.sealed):
                (resealed,) = self._vault.rotate([record.sealed])
                self._store.credentials.replace_all_sealed([(record.id, record.sealed, resealed)])
        except Conflict:
            # The rotation itself has sealed it again, or somebody has replaced or deleted it.
            log.debug("the credential %s was changed while the master key was", record.id)

    def rename(self, principal: Principal, credential_id: UUID, *, name: str) -> CredentialPublic:
        """Gives it another name. Raises InvalidInput, Conflict, NotFound."""
        name = _clean_name(name)
        return _public(self._store.credentials.rename(principal.project_id, credential_id, name))

    def refer(
        self, principal: Principal, credential_id: UUID, *, api_key_ref: str | None
    ) -> CredentialPublic:
        """Says where AWS Lambda finds this key by itself, so that it need not travel; None sends it along.

        What runs here takes the stored key in either case.

        Raises:
            InvalidInput: It is no reference.
            NotFound: As it says.
        """
        reference = _clean_reference(api_key_ref)
        return _public(self._store.credentials.refer(principal.project_id, credential_id, reference))

    def delete(self, principal: Principal, credential_id: UUID) -> None:
        """Removes it for good; agents that name it will say so when they run. Raises NotFound."""
        self._store.credentials.delete(principal.project_id, credential_id)

    def resolve(self, principal: Principal, *, config: AgentConfig, given: str | None) -> ResolvedKey:
        """The key for a request.

        The one given with it, the configuration's, or the provider's only stored one that would serve. A
        stored key is sent to the server that it is for: its base URL, else the vendor's own; and to this
        machine. Whoever may edit an agent could otherwise read a key by pointing `base_url` at a server of
        theirs. A program on this machine, which may want no key at all, is asked without a stored one where several
        would do and none is its own.

        Raises:
            MissingApiKey: The configuration names a credential that is gone, several would serve and none is
                named, or those that are stored are for other servers and the environment has no key either. A server
                of one's own, whose key is optional, is asked without one where several would serve.
            InvalidInput: The configuration names a credential of another provider, or for another server.
            SecretUnreadable: The master key is not the one that sealed it.
        """
        if given:
            redaction.remember(given)
            return ResolvedKey(secret=given)
        spec = registry.get_spec(config.provider)
        if spec.offline:
            return ResolvedKey()
        try:
            found = self._resolve(config, self._store.credentials.lately(principal.project_id))
            if found.secret is None:
                resolve_api_key(spec, Connection(base_url=config.base_url))
            return found
        except (MissingApiKey, InvalidInput, InvalidRequest, SecretUnreadable):
            # Another process may have mended that a moment ago.
            return self._resolve(config, self._store.credentials.list(principal.project_id))

    def _resolve(self, config: AgentConfig, stored: Sequence[CredentialRecord]) -> ResolvedKey:
        if config.credential_id is not None:
            return self._open(_named(config, stored))
        own = [record for record in stored if record.provider == config.provider]
        serving = _serving_unnamed(own, config.base_url)
        if len(serving) > 1:
            if _is_own_server(config.provider, config.base_url):
                return ResolvedKey()
            raise _several(config.provider, serving)
        if serving:
            return self._open(serving[0])
        _require_another_key(config.provider, config.base_url, own)
        return ResolvedKey()

    def unnamed(self, principal: Principal, *, provider: str, base_url: str | None = None) -> Unnamed:
        """What serves a configuration of that provider that names no credential, for a form or a check.

        It is what `resolve` would take, except that nothing is opened.

        Args:
            principal: Who asks.
            provider: A registered one.
            base_url: The configuration's.
        """
        spec = registry.get_spec(provider)
        if not spec.takes_api_key:
            return Unnamed()
        own = [r for r in self._store.credentials.list(principal.project_id) if r.provider == provider]
        serving = _serving_unnamed(own, base_url)
        elsewhere = [_public(r) for r in own if r not in serving]
        if len(serving) > 1:
            if not _is_own_server(provider, base_url):
                return Unnamed(several=True, fault=str(_several(provider, serving)))
        elif serving:
            return Unnamed(credential=_public(serving[0]), elsewhere=elsewhere)
        try:
            _require_another_key(provider, base_url, own)
            key = resolve_api_key(spec, Connection(base_url=base_url))
        except (MissingApiKey, InvalidRequest) as exc:
            return Unnamed(elsewhere=elsewhere, fault=str(exc))
        return Unnamed(variable=spec.key_variable_in_force() if key else None, elsewhere=elsewhere)

    def server_of(self, principal: Principal, config: AgentConfig) -> str | None:
        """The base URL of a request by this configuration: its own, else that of the credential it names."""
        return self.server(principal, credential_id=config.credential_id, base_url=config.base_url)

    def server(self, principal: Principal, *, credential_id: UUID | None, base_url: str | None) -> str | None:
        """As `server_of`, for what is not a configuration yet."""
        if base_url is not None or credential_id is None:
            return base_url
        stored = self._store.credentials.list(principal.project_id)
        return next((r.base_url for r in stored if r.id == credential_id), None)

    def _open(self, record: CredentialRecord) -> ResolvedKey:
        secret = self._vault.open(record.sealed)
        redaction.remember(secret)
        return ResolvedKey(
            secret=secret,
            base_url=record.base_url,
            credential_id=record.id,
            api_key_ref=record.api_key_ref,
        )

    def mark_used(self, principal: Principal, credential_id: UUID) -> None:
        """Notes that it served a request just now."""
        self._store.credentials.touch_used(principal.project_id, credential_id, utc_now())


def _serving_unnamed(own: Sequence[CredentialRecord], base_url: str | None) -> Sequence[CredentialRecord]:
    """Those of a provider's that would serve where none is named; of more than one, none does by itself."""
    serving = [r for r in own if _address(r.base_url) == _address(base_url)]
    serving = serving or [r for r in own if _same_server(r, base_url)]
    if serving:
        return serving
    serving = [r for r in own if _may_serve_unnamed(r, base_url)]
    return [] if len(serving) > 1 and base_url is not None else serving


def _several(provider: str, serving: Sequence[CredentialRecord]) -> MissingApiKey:
    names = ", ".join(sorted(record.name for record in serving))
    return MissingApiKey(
        f"API key required for {provider}: several are stored ({names}). Choose one as the credential, or on "
        "the command line with --credential."
    )


def _named(config: AgentConfig, stored: Sequence[CredentialRecord]) -> CredentialRecord:
    record = next((r for r in stored if r.id == config.credential_id), None)
    if record is None:
        raise MissingApiKey(
            f"API key required for {config.provider}: the credential this agent names does not exist any "
            "more. Choose another in the agent, or add one under Settings > Credentials."
        )
    if record.provider != config.provider:
        raise InvalidInput(
            f"The credential {record.name!r} is for {record.provider}, not for {config.provider}. Choose "
            "another."
        )
    if not _may_serve(record, config.base_url):
        whose = record.base_url or f"{record.provider}'s own server"
        raise InvalidInput(
            f"The credential {record.name!r} is for {whose}, so its key is not sent to {config.base_url}. "
            "Add a credential with that base URL under Settings > Credentials, and choose it."
        )
    return record


def _require_another_key(provider: str, base_url: str | None, own: Sequence[CredentialRecord]) -> None:
    """Returns if the environment's key serves, or the server wants none, or there is nothing to explain."""
    elsewhere = sorted((r for r in own if r.base_url is not None), key=lambda r: r.name)
    if not elsewhere:
        return
    spec = registry.get_spec(provider)
    try:
        resolve_api_key(spec, Connection(base_url=base_url))
    except MissingApiKey as exc:
        names = ", ".join(f"{record.name!r} (for {record.base_url})" for record in elsewhere[:5])
        asked = spec.base_url_in_force(base_url) or f"{provider}'s own server"
        raise MissingApiKey(
            f"API key required for {provider}. There is a stored key, {names}, but this request goes to "
            f"{redaction.redact(asked)}, and a key is sent only to the server that it is for. Choose that "
            "credential, which also asks its server, or add one without a base URL under "
            f"Settings > Credentials, or set {spec.api_key_variable}. The offline demo (DEMO) works without a key."
        ) from exc


def _may_serve(record: CredentialRecord, base_url: str | None) -> bool:
    """Whether its key may be sent there. Named by an agent without a base URL, it brings its own."""
    return base_url is None or _same_server(record, base_url) or is_this_machine(base_url)


def _may_serve_unnamed(record: CredentialRecord, base_url: str | None) -> bool:
    # Nobody chose it: an agent without a base URL is asked at the vendor, not at some credential's server.
    return record.base_url is None if base_url is None else _may_serve(record, base_url)


def _same_server(record: CredentialRecord, base_url: str | None) -> bool:
    """Whether requests with that base URL go where those with the credential's own go."""
    spec = registry.get_spec(record.provider)
    return spec.base_url_in_force(record.base_url) == spec.base_url_in_force(base_url)


def _is_own_server(provider: str, base_url: str | None) -> bool:
    """Whether requests go to what may be the operator's own server, which may well want no key: none is demanded."""
    spec = registry.get_spec(provider)
    return spec.api_key_optional and spec.self_hosted and not spec.is_cloud(spec.base_url_in_force(base_url))


def _address(base_url: str | None) -> str | None:
    return None if base_url is None else base_url.rstrip("/")


def _clean_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise InvalidInput("Give the credential a name, such as 'OpenAI production'.")
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            f"A credential's name is one line of at most {MAX_NAME_CHARS} characters, without control "
            "characters."
        )
    return name


def _clean_base_url(provider: str, base_url: str | None) -> str | None:
    spec = registry.get_spec(provider)
    if not spec.takes_api_key:
        raise InvalidInput(f"{spec.name} takes no key: there is nothing to store for it.")
    base_url = (base_url or "").strip() or None
    if base_url is None:
        return None
    if Feature.BASE_URL not in spec.features:
        raise InvalidInput(f"{spec.name} is asked at its own address only: leave the base URL empty.")
    wire = {"provider": provider, "model_name": "-", "prompt": "-", "base_url": base_url}
    try:
        return parse_request(wire, providers=registry.specs()).base_url
    except InvalidRequest:
        raise InvalidInput(
            "The base URL is not an address like https://host/v1, without a user name, password or key in it."
        ) from None


def _clean_reference(api_key_ref: str | None) -> str | None:
    reference = (api_key_ref or "").strip() or None
    if reference is None:
        return None
    wire = {"provider": "DEMO", "model_name": "-", "prompt": "-", "api_key_ref": reference}
    try:
        return parse_request(wire, providers=registry.specs()).api_key_ref
    except InvalidRequest:
        raise InvalidInput(
            "The reference is neither the ARN of a secret in AWS Secrets Manager (arn:aws:secretsmanager:...) nor "
            "env:NAME, a variable of the function's. Leave it empty to send the stored key along."
        ) from None


def _clean(secret: str) -> str:
    secret = secret.strip()
    if not secret:
        raise InvalidInput("The key is empty: paste it as the provider shows it.")
    if len(secret) > MAX_SECRET_CHARS:
        raise InvalidInput("The key is too long for a key: paste the key alone.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidInput(
            "The key holds a space, a line break or a letter that no key has: paste the key alone."
        )
    return secret


def _public(record: CredentialRecord) -> CredentialPublic:
    return CredentialPublic(
        id=record.id,
        name=record.name,
        provider=record.provider,
        last4=record.last4,
        base_url=record.base_url,
        created_at=record.created_at,
        updated_at=record.updated_at,
        last_used_at=record.last_used_at,
        api_key_ref=record.api_key_ref,
    )
