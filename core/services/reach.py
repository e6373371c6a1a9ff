"""What AWS Lambda cannot reach: a server on this machine is asked from this machine."""

from core.providers import registry
from core.providers.addresses import is_this_machine


def only_from_here(provider: str, base_url: str | None) -> str | None:
    """Why a request to this server runs here rather than on AWS Lambda; None if Lambda may reach it.

    Args:
        provider: A registered one.
        base_url: The request's own.
    """
    spec = registry.get_spec(provider)
    address = spec.base_url_in_force(base_url) or spec.own_base_url
    if address is None or not is_this_machine(address):
        return None
    return (
        f"{spec.name}'s server is on this machine ({address}), where AWS Lambda cannot reach it, so it runs here. For "
        "a server that the function can reach, give its address as the base URL."
    )
