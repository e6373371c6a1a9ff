"""What a server loads while nobody waits: the first run would pay for it otherwise, inside its deadline.

A vendor's SDK takes up to a second to import, the price catalogue a third. Only the providers that somebody uses here
are loaded: an agent asks them, or a key for them is stored or in the environment. The others would cost memory for
nothing.
"""

import importlib

from core.errors import OperatorError
from core.loggers import get_logger
from core.pricing import catalogue
from core.providers import registry
from core.services.application import Application
from core.services.principal import LOCAL

log = get_logger("agent_launcher.warming")


def warm(application: Application) -> None:
    """Loads prices and the SDKs that will be used. Never raises: what fails here is said when it is needed."""
    try:
        catalogue.warm()
        used = _in_use(application)
        for spec in registry.specs().values():
            if spec.name in used and spec.sdk is not None:
                importlib.import_module(spec.sdk)
                registry.load(spec.name)
    except (OperatorError, ImportError) as exc:
        log.warning("could not load ahead: %s", exc)


def _in_use(application: Application) -> frozenset[str]:
    stored = {credential.provider for credential in application.credentials.list(LOCAL)}
    asked = {str(agent.version.config.get("provider")) for agent in application.agents.list(LOCAL)}
    with_key = {spec.name for spec in registry.specs().values() if spec.key_variable_in_force() is not None}
    return frozenset(stored | asked | with_key)
