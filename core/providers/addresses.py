"""What a server's address says by itself: whose machine it leads to. Nothing is looked up."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

_EVERYWHERE: Final = re.compile(r"(https?://)(?:0\.0\.0\.0|\[::\])(?=[:/?]|$)", re.IGNORECASE)


def with_scheme(address: str, *, port: int) -> str:
    """An address of which only the host may have been given, or only the port (":11434"), as a whole one."""
    if "://" not in address:
        host, slash, path = address.partition("/")
        host = f"127.0.0.1{host}" if host.startswith(":") else host
        has_port = re.search(r":\d+$", host) is not None and (host.count(":") == 1 or "]" in host)
        address = f"http://{host}{'' if has_port else f':{port}'}{slash}{path}"
    return _EVERYWHERE.sub(r"\g<1>127.0.0.1", address)


@lru_cache(maxsize=256)
def is_this_machine(url: str) -> bool:
    """Whether the address leads to a program on this machine."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_OWN_NETWORKS: Final = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""This machine, private networks (RFC 1918, RFC 4193) and what is on the same cable."""

_OWN_NAMES: Final = re.compile(
    r"(?!(?:\d+|0x[\da-f]*)$)[^.:]+"  # a name without a dot is looked up here; a number is an address of the internet
    r"|.+\.(?:localhost|local|lan|internal|home\.arpa|svc)"
)


@lru_cache(maxsize=256)
def is_own_network(url: str) -> bool:
    """Whether the address plainly leads to this machine or to one of the same network, which nobody else can offer.

    By the name alone: nothing is looked up.
    """
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return _OWN_NAMES.fullmatch(host) is not None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _OWN_NETWORKS)
