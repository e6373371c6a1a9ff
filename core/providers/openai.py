"""OpenAI, and every server that speaks its chat completions API, on the official SDK.

The SDK keeps what it knows best: the address, the headers, the authentication, the errors of a status.
Requests go through its own door for raw responses (`client.post(..., cast_to=httpx2.Response)`) and the
documented JSON is read here, for two reasons: the SDK hides a body that is not JSON (it becomes a `str`) and
a stream that was cut (it ends as if finished); and building its models costs more than the rest of the call.
`docs/decisions/2026-11-22-http-transport.md` has the figures.

How a contract request becomes a chat completion:
- `system_prompt` is a message of role `system` (OpenAI reads it as `developer` where the model wants that),
  the context is in the last user turn (`AgentRequest.turns`), attachments are parts of the last user turn,
  before its text.
- `max_tokens` is sent as `max_completion_tokens` to the models that want it (`ProviderSpec.rule_for`).
- `response_schema` is sent as `json_schema`, strict if the schema keeps to the subset that strict mode takes
  (`strict_schema_faults`); any other schema guides the model without a guarantee.

How an answer comes back: a refusal is an answer whose text is the refusal, with finish reason
`content_filter`; an answer that the vendor's filter cut is the error `CONTENT_FILTERED` with the text that
came before. A stream is complete when its finish reason or `[DONE]` was received, and `BAD_PROVIDER_RESPONSE`
otherwise.
"""

import os
from collections.abc import Generator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from core import redaction
from core.contract import AgentRequest
from core.errors import (
    BadProviderResponse,
    InvalidRequest,
)
from core.interruption import Limits
from core.providers import http
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.clients import NO_KEY, ClientCache
from core.providers.keys import may_have_own_key, resolve_api_key
from core.providers.openai_errors import OpenAIExplainer, head_of
from core.providers.openai_wire import ChunkReader, read_answer, render
from core.providers.rows_openai import OPENAI
from core.providers.streaming import stream_of
from core.providers.wire import (
    as_list,
    as_object,
    as_text,
    header_names,
    mend,
    read_events,
)

if TYPE_CHECKING:
    import httpx2
    import openai

_NOT_AN_ADDRESS: Final = "The base URL is not a valid address. It looks like https://host/v1."


class OpenAIProvider:
    """See the module."""

    def __init__(self) -> None:
        self._clients: ClientCache[tuple[str, str], openai.OpenAI] = ClientCache()
        self._http: httpx2.Client | None = None

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/chat/completions", body=render(request, stream=False))
        return call.completion(response)

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/chat/completions", body=render(request, stream=True), stream=True)
        yield from stream_of(response, events=call.follow, whole=call.completion)

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The vendor's models that can answer a prompt; of another server, all."""
        call = _Call(self, connection, None, limits)
        response = call.send("GET", "/models")
        head = head_of(response)
        body = call.errors.body_in(head, response.content)
        data = as_list(body.get("data"))
        if data is None:
            raise call.errors.nonsense(head, "has no list of models")
        names = {mend(name) for item in data if (name := as_text((as_object(item) or {}).get("id")))}
        if OPENAI.base_url_in_force(connection.base_url) is None:
            names = set(filter(OPENAI.may_answer, names))
        return [ModelInfo(name) for name in sorted(names)]

    def client(self, key: str, base_url: str) -> "openai.OpenAI":
        """The SDK's client for this key and address."""
        return self._clients.get((key, base_url), lambda: self._build(key, base_url))

    def _build(self, key: str, base_url: str) -> "openai.OpenAI":
        import httpx2

        from core.providers.httpx2_adapter import build_client

        if self._http is None:
            self._http = build_client()
        address, _, query = base_url.partition("?")
        try:
            return _client_class()(
                api_key=key,
                base_url=address,
                default_query=dict(parse_qsl(query)),
                http_client=self._http,
                max_retries=0,
                timeout=None,
                default_headers={
                    **http.UNCOMPRESSED,
                    # As the SDK would say it, but above OPENAI_CUSTOM_HEADERS.
                    "Authorization": f"Bearer {key}",
                },
            )
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(_NOT_AN_ADDRESS) from exc


@cache
def _client_class() -> "type[openai.OpenAI]":
    import openai

    from core.providers.httpx2_adapter import ParsedOnce

    class Client(ParsedOnce, openai.OpenAI):
        """The SDK's client."""

    return Client


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: OpenAIProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._key = resolve_api_key(OPENAI, connection)
        self._withheld: list[str] = []
        if not may_have_own_key(OPENAI, connection.base_url, os.environ):
            # The SDK adds what its variables say to every request, and it may hold a gateway's secrets: it goes to
            # no server that only the request names.
            more = header_names(os.environ.get("OPENAI_CUSTOM_HEADERS", ""))
            self._withheld = [*more, "OpenAI-Organization", "OpenAI-Project"]
        self._model = model
        self.errors = OpenAIExplainer(model, self._key)
        base_url = OPENAI.base_url_in_force(connection.base_url) or OPENAI.own_base_url or ""
        if self._key is not None:
            redaction.remember(self._key)
        self._client = provider.client(self._key or NO_KEY, base_url)

    def send(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, stream: bool = False
    ) -> "httpx2.Response":
        """Sends it; the response has a success status, and its body unless it is streamed."""
        import httpx2
        import openai

        headers: dict[str, str | openai.Omit] = dict.fromkeys(self._withheld, openai.omit)
        if self._key is None:
            headers["Authorization"] = openai.omit
        # All of them named, also where they say what the client says: the SDK copies each default that it has to fill
        # in, which takes longer than what it does with them.
        options: openai.RequestOptions = {"headers": headers, "params": {}, "max_retries": 0, "timeout": None}
        try:
            with http.bounded_by(self._limits):
                if method == "GET":
                    return self._client.get(path, cast_to=httpx2.Response, options=options)
                return self._client.post(
                    path, cast_to=httpx2.Response, body=body, options=options, stream=stream
                )
        except openai.APIStatusError as exc:
            raise self.errors.status(exc) from exc
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(_NOT_AN_ADDRESS) from exc

    def completion(self, response: "httpx2.Response") -> Completion:
        """The answer in a whole body."""
        head = head_of(response)
        body = self.errors.body_in(head, response.read())
        answer = self.errors.answer_in(head, body, read_answer)
        return answer.completion(head, self.errors, asked=self._model)

    def follow(self, response: "httpx2.Response") -> Generator[Delta | Completion]:
        """The answer in a stream of events."""
        head, reader, done = head_of(response), ChunkReader(), False
        try:
            for _, data in read_events(response.iter_bytes()):
                if data == b"[DONE]":
                    done = True
                    break
                if text := reader.add(self.errors.body_in(head, data, what="has an event that ")):
                    yield Delta(text)
        except BadProviderResponse:
            if not reader.finished:
                raise
            # The answer itself was complete; what the cut took is at most its usage.
        if not done and not reader.finished:
            raise self.errors.cut(head)
        yield reader.answer().completion(head, self.errors, asked=self._model)


def create() -> OpenAIProvider:
    """The provider, for the registry."""
    return OpenAIProvider()
