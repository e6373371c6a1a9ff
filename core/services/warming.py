"""What a server loads while nobody waits: the first run would pay for it otherwise, inside its deadline.

OpenAI's SDK takes about half a second to import, the price catalogue a third. Only the providers that this
installation has a key for are loaded: the others would cost memory for nothing.
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
        stored = {credential.provider for credential in application.credentials.list(LOCAL)}
        for spec in registry.specs().values():
            has_key = spec.name in stored or spec.key_variable_in_force() is not None
            if has_key and spec.sdk is not None:
                importlib.import_module(spec.sdk)
                registry.load(spec.name)
    except (OperatorError, ImportError) as exc:
        log.warning("could not load ahead: %s", exc)
