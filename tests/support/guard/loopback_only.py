"""Keeps a Python process on this machine: any other address is refused before a packet leaves.

An audit hook sees every connection and look-up that goes through Python's sockets, whichever library asks,
and cannot be removed or patched away. Children of the tests get the same hook through `sitecustomize.py`
beside this file, so nothing here may import more than `os` and `sys`: it runs before their first line.

Not covered: sockets opened by C code of its own (libpq, a browser). Those are given loopback addresses only.
"""

import os
import sys

LOG_VARIABLE = "LOOPBACK_ONLY_LOG"

# What was refused in this process, oldest first, as "event address". One list, also where this file is loaded
# under two names: by sitecustomize, and by a pytest that is itself the child of a test.
refused: list[str] = sys.__dict__.setdefault("_loopback_only_refused", [])


class OutsideAddressRefused(PermissionError):
    """The operating system's answer behind a firewall, so that code under test treats it as such."""


def install() -> None:
    """Refuses, from now on and for good, every address that is not on this machine."""
    if not sys.__dict__.setdefault("_loopback_only_installed", False):
        sys.__dict__["_loopback_only_installed"] = True
        sys.addaudithook(_audit)


def is_local(host: object) -> bool:
    """Says whether a host, as given to a socket call, stays on this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host == "":
        return True  # "any address", when binding
    if not isinstance(host, str):
        return False
    name = host.lower().removeprefix("::ffff:")
    return (
        name in {"localhost", "::1", "0.0.0.0", "::"} or name.endswith(".localhost") or _is_loopback_v4(name)
    )


def _is_loopback_v4(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdigit() for part in parts)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        if not (isinstance(address, tuple) and address and isinstance(address[0], str)):
            return  # a Unix socket's path, or a datagram on a connected socket
        host = address[0]
    else:
        return
    if not is_local(host):
        _refuse(event, host)


def _refuse(event: str, host: object) -> None:
    refused.append(f"{event} {host}")
    if log := os.environ.get(LOG_VARIABLE):
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123  pathlib is not loaded this early
            file.write(f"{os.getpid()} {event} {host}\n")
    raise OutsideAddressRefused(
        f"{event} to {host!r}: tests reach this machine only. Give the code a loopback address."
    )
