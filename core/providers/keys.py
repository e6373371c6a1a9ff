"""Which key a request is sent with, and to which servers a key may go."""

import os
import re
from collections.abc import Mapping
from typing import Final

from core.errors import InvalidRequest, MissingApiKey
from core.providers.addresses import is_this_machine
from core.providers.base import Connection
from core.providers.spec import ProviderSpec


def resolve_api_key(
    spec: ProviderSpec, connection: Connection, environment: Mapping[str, str] | None = None
) -> str | None:
    """The key to send: the connection's own, else the named variable's, else the vendor SDK's own variable.

    The vendor's own variable holds a key of the vendor (or of the endpoint that the environment names), so it
    is sent there or to this machine, but to no other server that a request names: whoever may edit an agent
    could otherwise read the key by pointing `base_url` at a server of theirs. A request with a `base_url` and
    no key is sent without; one that names such a variable in `api_key_ref` is refused.

    Raises:
        MissingApiKey: The provider needs one and there is none.
        InvalidRequest: The key has a character that no header can carry.
    """
    variables = os.environ if environment is None else environment
    if connection.api_key is not None and (key := connection.api_key.strip()):
        return _sendable(key)
    if connection.api_key_ref is not None:
        return _sendable(_referenced(spec, connection, connection.api_key_ref, variables))
    if spec.api_key_variable is None:
        return None
    variable = spec.key_variable_in_force(variables)
    if variable is not None and may_have_own_key(spec, connection.base_url, variables):
        return _sendable(variables[variable].strip())
    elsewhere = spec.base_url_in_force(connection.base_url, variables)
    if spec.api_key_optional or (connection.base_url is not None and elsewhere is not None):
        return None
    raise MissingApiKey(
        f"API key required for {spec.name}. Add one under Settings > Credentials, or set "
        f"{spec.api_key_variable}. The offline demo (DEMO) works without a key."
    )


def may_have_own_key(spec: ProviderSpec, base_url: str | None, variables: Mapping[str, str]) -> bool:
    """Whether the key in the vendor SDK's own variable may be sent to where a request with this address goes."""
    if base_url is None or is_this_machine(base_url):
        return True
    named = spec.base_url_in_force(None, variables)
    if (
        spec.is_cloud(base_url)
        and base_url.lower().startswith("https://")
        and (named is None or spec.self_hosted)
    ):
        return True
    # The environment's key is for the server that the environment names, which is the vendor's if it names none.
    return spec.base_url_in_force(base_url, variables) == named


_NOT_A_PROVIDERS_KEY: Final = re.compile(r"AWS_.*|AGENT_LAUNCHER_.*|DATABASE_URL|PG[A-Z]+", re.IGNORECASE)
_vendors_keys: Final = {
    *("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    *("GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_API_KEY"),
}
"""The vendors' own variables, whether or not their provider is registered here; `know_key_variables` adds others."""


def know_key_variables(spec: ProviderSpec) -> None:
    """Has the key variables of a provider that a package adds kept from other servers, as those named here are."""
    _vendors_keys.update(spec.api_key_variables)


def _referenced(
    spec: ProviderSpec, connection: Connection, reference: str, variables: Mapping[str, str]
) -> str:
    name = reference.removeprefix("env:")
    if name == reference:
        raise InvalidRequest(
            "api_key_ref names an AWS secret, which this backend does not read. Use env:NAME."
        )
    if name not in spec.api_key_variables and _NOT_A_PROVIDERS_KEY.fullmatch(name):
        # Otherwise a request could have this installation's own secrets sent to any server.
        raise InvalidRequest(
            f"api_key_ref may not name {name}: that is no provider's key. Put the key in another variable."
        )
    base_url = connection.base_url
    if name in spec.api_key_variables:
        allowed = may_have_own_key(spec, base_url, variables)
    else:
        # Another vendor's key goes neither to this one nor to a server that the request names.
        allowed = name not in _vendors_keys
    if not allowed:
        raise InvalidRequest(
            f"api_key_ref names {name}, a vendor's own key, which is sent to no other server. Put the key that "
            "is meant for this server in another variable."
        )
    if key := variables.get(name, "").strip():
        return key
    raise MissingApiKey(
        f"API key required for {spec.name}: the environment variable {name} named by api_key_ref is not set."
    )


def _sendable(key: str) -> str:
    if key.isascii() and key.isprintable() and " " not in key:
        return key
    raise InvalidRequest(
        "The API key has a character that cannot be sent (a blank, a line break, a letter that is not "
        "ASCII). Copy the key again."
    )
