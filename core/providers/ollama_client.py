"""The official SDK's client, which gives the answer as it came; reading it is ours.

The SDK's own reading hides faults: a cut stream ends as if finished, a body that is no answer raises whatever
fails first, a status comes without its headers, and a stream is split into lines at characters that JSON
allows inside a text (U+0085). It has no door to the raw answer, so its one method that sends is replaced here;
addresses, headers, the key and the requests' models stay its own.
"""

from typing import Any

import httpx
import ollama
from typing_extensions import override

from core.providers.http import UNCOMPRESSED
from core.providers.httpx_adapter import shared_transport


class RawClient(ollama.Client):
    """A client whose every verb returns an `httpx.Response`, of whatever status; who calls it closes it.

    Its body is read, but for a success that is asked for as a stream.

    Args:
        address: Of the server.
        key: Sent as a bearer; None sends none, whatever the environment holds.

    Raises:
        ValueError, httpx.InvalidURL: It is no address.
    """

    _client: httpx.Client  # the SDK leaves it without a type

    def __init__(self, address: str, key: str | None) -> None:
        headers = dict(UNCOMPRESSED)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            address,
            headers=headers,
            follow_redirects=False,
            timeout=None,
            trust_env=False,
            transport=shared_transport(),
        )
        if key is None:
            # The SDK takes the environment's key where it is given none, wherever the address leads.
            self._client.headers.pop("Authorization", None)

        self._addresses: dict[str, httpx.URL] = {}

    @override
    def _request(self, cls: object, method: str, path: str, *, stream: bool = False, **content: Any) -> Any:
        # What httpx does around a request (cookies, redirects, merging of addresses) is nothing here, and would take
        # as long as the rest of it.
        address = self._addresses.get(path)
        if address is None:
            address = self._addresses[path] = self._client.build_request(method, path).url
        request = httpx.Request(method, address, headers=self._client.headers, **content)
        response = shared_transport().handle_request(request)
        response.request = request
        if not stream or response.status_code != 200:
            try:
                response.read()
            finally:
                response.close()
        return response
