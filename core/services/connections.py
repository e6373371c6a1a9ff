"""Between a configuration and its vendor: which key would serve, and whether the vendor answers to it."""

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection, ModelInfo
from core.providers.keys import resolve_api_key
from core.providers.spec import ProviderSpec
from core.services.agent_config import AgentConfig
from core.services.credentials import CredentialService
from core.services.principal import Principal

TIMEOUT_SECONDS: Final = 15.0
_ANY: Final = "-"
"""Stands for the model, which no key depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingKey:
    """Where the key for a provider comes from; never the key.

    Attributes:
        label: As a person reads it: `the stored credential 'Production' (ends in 4f2a)`, `no key needed`.
    """

    label: str
    credential_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTest:
    """A provider that answered.

    Attributes:
        key: What it was asked with.
        models: Its own list, for that key.
        seconds: Until the answer.
    """

    key: ServingKey
    models: tuple[ModelInfo, ...]
    seconds: float


class Connections:
    """See the module."""

    def __init__(self, credentials: CredentialService) -> None:
        self._credentials = credentials

    def test(
        self,
        principal: Principal,
        *,
        provider: str,
        credential_id: UUID | None = None,
        base_url: str | None = None,
    ) -> ConnectionTest:
        """Asks the vendor for its models with the key that would serve; costs nothing.

        Raises:
            InvocationError: What the vendor or the network said, or that there is no key.
            InvalidInput, SecretUnreadable, UnknownProvider: As they say.
        """
        spec = registry.get_spec(provider)
        config = AgentConfig.parse(
            {
                "provider": provider,
                "model_name": _ANY,
                "credential_id": credential_id,
                "base_url": base_url or None,
            }
        )
        resolved = self._credentials.resolve(principal, config=config, given=None)
        connection = Connection(api_key=resolved.secret, base_url=config.base_url or resolved.base_url)
        key = self._serving_key(principal, spec, connection, resolved.credential_id)
        started = time.perf_counter()
        models = registry.load(provider).list_models(connection, Limits(timeout_seconds=TIMEOUT_SECONDS))
        return ConnectionTest(key=key, models=tuple(models), seconds=time.perf_counter() - started)

    def _serving_key(
        self, principal: Principal, spec: ProviderSpec, connection: Connection, credential_id: UUID | None
    ) -> ServingKey:
        if not spec.takes_api_key:
            return ServingKey(label="no key needed")
        if credential_id is not None:
            found = next(c for c in self._credentials.list(principal) if c.id == credential_id)
            ending = f" (ends in {found.last4})" if found.last4 else ""
            return ServingKey(label=f"the stored credential {found.name!r}{ending}", credential_id=found.id)
        key = resolve_api_key(spec, connection)
        if key is None:
            return ServingKey(label="no key needed" if spec.api_key_optional else "no key")
        return ServingKey(label=f"{spec.key_variable_in_force()} of the environment")
