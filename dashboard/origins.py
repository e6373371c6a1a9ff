"""Who may ask this server: programs of this machine, and the pages that it served itself.

Nobody signs in yet, so the browser is what keeps other sites out, and it has two gaps. A name that is pointed at
127.0.0.1 after its page was loaded ("DNS rebinding") makes our answers readable to that page: its requests carry the
foreign name as their Host. And a page can send requests to any address: those carry its Origin, or say
Sec-Fetch-Site. Streamlit checks the Origin of its WebSocket and, where `server.allowedHosts` is set, the Host; here
both are checked for every path, the WebSocket's included.
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit import config as streamlit_config
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

_OURS: Final = ("/exports/", "/healthz")
"""Paths of our own, which no link of another site has a reason to lead to; pages may be linked from anywhere."""

_REFUSED_HOST: Final = (
    "This server answers to this machine's own names only: open it as http://127.0.0.1 or http://localhost, with its "
    "port. Behind a proxy of yours, name the proxy's host in STREAMLIT_SERVER_ALLOWED_HOSTS."
)
_REFUSED_ORIGIN: Final = (
    "Another site's page asked for this. Open it from the dashboard, or type its address."
)
_POLICY_VIOLATION: Final = 1008


class OwnOriginOnly:
    """ASGI middleware that refuses with 403 what the module describes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        reason = refusal(scope["path"], Headers(scope=scope)) if scope["type"] != "lifespan" else None
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=_POLICY_VIOLATION, reason="not from here")(scope, receive, send)
        else:
            await PlainTextResponse(reason, status_code=403)(scope, receive, send)


def refusal(path: str, headers: Headers) -> str | None:
    """Why a request is refused; None if it is served.

    Args:
        path: What it asks for.
        headers: Its headers. Programs that are no browser send no Origin and no Sec-Fetch-Site.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if not _is_own_host(host):
        return _REFUSED_HOST
    # Whatever the scheme: a proxy may end TLS. "null" is a sandboxed frame, or a file.
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        return _REFUSED_ORIGIN
    if path.startswith(_OURS) and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return _REFUSED_ORIGIN
    return None


def _is_own_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return bool(streamlit_config.get_option("server.allowedHosts")) and is_host_allowed(host)
