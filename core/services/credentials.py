"""Stored keys: write-only. What comes out is a name and the last four characters; the secret itself goes only into a
request that is about to be sent."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core import redaction
from core.contract import utc_now
from core.errors import InvalidInput, MissingApiKey
from core.providers import registry
from core.security.vault import Vault, last_four
from core.services.agent_config import AgentConfig
from core.services.principal import Principal
from core.storage.records import CredentialRecord
from core.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPublic:
    """A credential as anybody may see it. The secret has no public form at all."""

    id: UUID
    name: str
    provider: str
    last4: str
    base_url: str | None
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedKey:
    """The key that serves a request; all None when the environment's serves."""

    secret: str | None = field(default=None, repr=False)
    base_url: str | None = None
    credential_id: UUID | None = None


class CredentialService:
    """See the module."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def list(self, principal: Principal) -> list[CredentialPublic]:
        """All credentials of the project, by provider and name."""
        records = self._store.credentials.list(principal.project_id)
        return [_public(record) for record in sorted(records, key=lambda r: (r.provider, r.name.lower()))]

    def add(
        self, principal: Principal, *, name: str, provider: str, secret: str, base_url: str | None = None
    ) -> CredentialPublic:
        """Seals and stores a key.

        Raises:
            InvalidInput: An empty name or key, or a key with spaces or line breaks in it.
            UnknownProvider, Conflict, SecretUnreadable, StoreError: Nothing was stored.
        """
        registry.get_spec(provider)
        name, secret = name.strip(), _clean(secret)
        if not name:
            raise InvalidInput("Give the credential a name, such as 'OpenAI production'.")
        record = self._store.credentials.create(
            principal.project_id,
            name=name,
            provider=provider,
            sealed=self._vault.seal(secret),
            last4=last_four(secret),
            base_url=(base_url or "").strip() or None,
        )
        return _public(record)

    def replace(self, principal: Principal, credential_id: UUID, *, secret: str) -> CredentialPublic:
        """Puts a new key in the place of the stored one; errors as in `add`, and NotFound."""
        secret = _clean(secret)
        record = self._store.credentials.update_sealed(
            principal.project_id, credential_id, sealed=self._vault.seal(secret), last4=last_four(secret)
        )
        return _public(record)

    def rename(self, principal: Principal, credential_id: UUID, *, name: str) -> CredentialPublic:
        """Gives it another name. Raises InvalidInput, Conflict, NotFound."""
        if not name.strip():
            raise InvalidInput("A credential needs a name.")
        return _public(self._store.credentials.rename(principal.project_id, credential_id, name.strip()))

    def delete(self, principal: Principal, credential_id: UUID) -> None:
        """Removes it for good; agents that name it will say so when they run. Raises NotFound."""
        self._store.credentials.delete(principal.project_id, credential_id)

    def resolve(self, principal: Principal, *, config: AgentConfig, given: str | None) -> ResolvedKey:
        """The key for a request: the one given with it, the configuration's, or the provider's only stored one.

        Raises:
            MissingApiKey: The configuration names a credential that is gone, or several are stored and none is named.
            InvalidInput: The configuration names a credential of another provider.
            SecretUnreadable: The master key is not the one that sealed it.
        """
        if given:
            redaction.remember(given)
            return ResolvedKey(secret=given)
        spec = registry.get_spec(config.provider)
        if spec.offline:
            return ResolvedKey()
        stored = [r for r in self._store.credentials.list(principal.project_id) if r.provider == config.provider]
        if config.credential_id is not None:
            record = next((r for r in stored if r.id == config.credential_id), None)
            if record is None:
                raise MissingApiKey(
                    f"API key required for {config.provider}: the credential this agent names does not exist any more. "
                    "Choose another in the agent, or add one under Settings > Credentials."
                )
            return self._open(record)
        if len(stored) == 1:
            return self._open(stored[0])
        if len(stored) > 1:
            names = ", ".join(sorted(r.name for r in stored))
            raise MissingApiKey(
                f"API key required for {config.provider}: several are stored ({names}). Choose one in the agent."
            )
        return ResolvedKey()

    def _open(self, record: CredentialRecord) -> ResolvedKey:
        secret = self._vault.open(record.sealed)
        redaction.remember(secret)
        return ResolvedKey(secret=secret, base_url=record.base_url, credential_id=record.id)

    def mark_used(self, principal: Principal, credential_id: UUID) -> None:
        """Notes that it served a request just now."""
        self._store.credentials.touch_used(principal.project_id, credential_id, utc_now())


def _clean(secret: str) -> str:
    secret = secret.strip()
    if not secret:
        raise InvalidInput("The key is empty: paste it as the provider shows it.")
    if any(character.isspace() for character in secret) or not secret.isprintable():
        raise InvalidInput("The key holds spaces, line breaks or control characters: paste the key alone.")
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
    )
