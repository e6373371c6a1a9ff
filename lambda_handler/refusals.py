"""What is refused before a provider is looked for, each with what to do instead."""

import os
from typing import Final

from core.contract import AgentRequest
from core.errors import InvalidRequest, InvocationError, UnknownProvider
from core.providers import registry
from core.providers.addresses import is_this_machine

ALLOW_LOOPBACK: Final = "AGENT_LAUNCHER_ALLOW_LOOPBACK"
"""Set by `scripts/run_local.sh`: where the emulator runs, this machine is the operator's own."""

_ENVELOPES: Final = {
    "requestContext": "API Gateway or a function URL",
    "httpMethod": "API Gateway",
    "Records": "a queue, a topic, a stream or a bucket",
    "detail-type": "EventBridge",
}


def refuse_envelope(event: object) -> None:
    """Returns for whatever may be a request of the contract.

    Raises:
        InvalidRequest: It is an event of another AWS service, with the request inside it at best.
    """
    if not isinstance(event, dict):
        return
    for field, sender in _ENVELOPES.items():
        if field in event and "provider" not in event:
            raise InvalidRequest(
                f"This is an event of {sender}, not a request. Invoke the function itself, with the request as its "
                "payload: aws lambda invoke, or boto3's invoke."
            )


def refuse_own_machine(request: AgentRequest) -> None:
    """Returns unless the request is for a server on this machine.

    Raises:
        InvalidRequest: It is, and this machine is Lambda's, where nothing listens.
    """
    if os.environ.get(ALLOW_LOOPBACK, "").strip().lower() in {"1", "true", "yes", "on"}:
        return
    spec = registry.get_spec(request.provider)
    address = spec.base_url_in_force(request.base_url) or spec.own_base_url
    if address is None or not is_this_machine(address):
        return
    raise InvalidRequest(
        f"{spec.name} at {address} is this machine itself, and inside AWS Lambda nothing listens there. Run this agent "
        "locally (backend LOCAL), or give the base_url of a server that the function can reach: one inside a network, "
        "with VpcSubnetIds and VpcSecurityGroupIds (lambda_handler/template.yaml), or one with a public address."
    )


def explained(error: InvocationError) -> InvocationError:
    """The error, with what to do where the function may have less in it than its caller takes it to have."""
    if isinstance(error, UnknownProvider):
        return UnknownProvider(
            f"{error.message} One that a package adds is packed in by lambda_handler/scripts/deploy.sh --with PACKAGE."
        )
    return error
