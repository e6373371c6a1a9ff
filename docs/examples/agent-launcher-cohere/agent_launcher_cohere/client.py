"""The official SDK's client over Agent Launcher's HTTP, with the answer as it came; reading it is ours.

The SDK's own reading hides faults: an event that is not JSON is skipped, a stream that was cut ends as if finished,
a body that is no answer raises whatever fails first. It takes an httpx client, and that is the door: ours sends
through `core.providers.http` (which a deadline or a stop interrupts at once), and hands the answer over the SDK's head
by raising it. So the SDK makes the request, and can neither hide a fault nor ask again.
"""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn

import cohere
import httpx
from typing_extensions import override

from core.providers.http import UNCOMPRESSED
from core.providers.httpx_adapter import shared_transport


class Answered(Exception):
    """The answer to the one request of a call, of any status.

    Attributes:
        response: Its body is unread; who catches this closes it.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class RaisingClient(httpx.Client):
    """Sends a request as any client does, and raises `Answered` in place of returning."""

    def __init__(self) -> None:
        super().__init__(
            headers=dict(UNCOMPRESSED),
            transport=shared_transport(),
            timeout=None,
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
        )

    @override
    def send(self, request: httpx.Request, *, stream: bool = False, **given: Any) -> NoReturn:
        del stream  # how much of the body is read, and when, is for whoever catches it
        raise Answered(super().send(request, stream=True, **given))


def build_client(http: RaisingClient, key: str, address: str) -> cohere.ClientV2:
    """The SDK's client; an empty key sends none, whatever the environment holds."""
    return cohere.ClientV2(
        api_key=key,
        base_url=address,
        httpx_client=http,
        max_retries=0,
        log_warning_experimental_features=False,
    )
