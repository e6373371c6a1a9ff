"""Anthropic's Claude, and every server that speaks its Messages API, on the official SDK.

As with OpenAI, the SDK keeps the address, the headers, the authentication and the errors of a status, and the
documented JSON is read here: the SDK hides a body that is not JSON and a stream that was cut
(`docs/decisions/2026-11-22-http-transport.md`).

How a contract request becomes a Messages request:
- `system_prompt` is the top-level `system`, the context is in the last user turn (`AgentRequest.turns`),
  attachments are blocks of the last user turn, before its text.
- `max_tokens` is required by the API: unset, it is `AGENT_LAUNCHER_DEFAULT_MAX_TOKENS`. Thinking counts
  towards it.
- `temperature` and `top_p` are refused by the current version of the API (2026-10-21), whatever the model. The
  models up to 4.6 take one of them, while they do not reason, by the version before (2023-06-01), so a request
  that has one is sent by that version; newer models take none (`rows_anthropic`).
- `reasoning_effort` is `output_config.effort` ("minimal" is "low", the vendor's least), with adaptive thinking
  for the models that think only when asked (4.6 to 4.8), and a budget of tokens in its place for those up to
  4.5 (`anthropic_wire`). "none" switches thinking off, or is refused where nothing does.
- `response_schema` is `output_config.format`, with its objects closed (`core.providers.schemas.closed`). The vendor
  refuses keywords that it cannot guarantee, by name.

How an answer comes back: text blocks joined; thinking is counted and not shown. A refusal before any text is
an answer whose text is the vendor's explanation (empty if it gives none), with finish reason `content_filter`;
one in the middle of the text is the error `CONTENT_FILTERED` with the text that came before. A stream is
complete when `message_stop` was received, and `BAD_PROVIDER_RESPONSE` otherwise.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from core import redaction
from core.contract import AgentRequest
from core.errors import InvalidRequest, InvocationError
from core.interruption import Limits
from core.providers import http
from core.providers.anthropic_answer import EventReader, read_answer
from core.providers.anthropic_errors import AnthropicExplainer, head_of
from core.providers.anthropic_wire import API_VERSION, api_version, render, root
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.clients import NO_KEY, ClientCache
from core.providers.keys import may_have_own_key, resolve_api_key
from core.providers.rows_anthropic import ANTHROPIC
from core.providers.streaming import stream_of
from core.providers.wire import as_count, as_list, as_object, as_text, header_names, mend, read_events

if TYPE_CHECKING:
    import anthropic
    import httpx2

MODELS_PER_PAGE: Final = 1_000
"""The API's most."""
MAX_PAGES: Final = 20
_NOT_AN_ADDRESS: Final = "The base URL is not a valid address. It looks like https://host."


class AnthropicProvider:
    """See the module."""

    def __init__(self) -> None:
        self._clients: ClientCache[tuple[str, str], anthropic.Anthropic] = ClientCache()
        self._http: httpx2.Client | None = None

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        body = render(request, stream=False)
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/v1/messages", body=body)
        return call.completion(response)

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        body = render(request, stream=True)
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/v1/messages", body=body, stream=True)
        yield from stream_of(response, events=call.follow, whole=call.completion)

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The vendor's models, sorted by name, without those that it has retired."""
        call = _Call(self, connection, None, limits)
        found: dict[str, ModelInfo] = {}
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = call.page_of_models(after)
            for item in as_list(page["data"]) or ():
                row = as_object(item) or {}
                name = as_text(row.get("id"))
                if name is not None and row.get("lifecycle") != "retired":
                    found[mend(name)] = _model_info(mend(name), row)
            last = as_text(page.get("last_id"))
            if page.get("has_more") is not True or last is None or last == after:
                break
            after = last
        return [found[name] for name in sorted(found)]

    def client(self, key: str, base_url: str) -> "anthropic.Anthropic":
        """The SDK's client for this key and address."""
        return self._clients.get((key, base_url), lambda: self._build(key, base_url))

    def _build(self, key: str, base_url: str) -> "anthropic.Anthropic":
        import httpx2

        from core.providers.httpx2_adapter import build_client

        if self._http is None:
            self._http = build_client()
        address, _, query = root(base_url).partition("?")
        try:
            return _client_class()(
                api_key=key,
                base_url=address,
                default_query=dict(parse_qsl(query)),
                http_client=self._http,
                max_retries=0,
                timeout=None,
                open_telemetry=False,
                default_headers={
                    **http.UNCOMPRESSED,
                    "anthropic-version": API_VERSION,
                    # As the SDK would say it, but above ANTHROPIC_CUSTOM_HEADERS.
                    "Authorization": f"Bearer {key}",
                },
            )
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(_NOT_AN_ADDRESS) from exc


@cache
def _client_class() -> "type[anthropic.Anthropic]":
    import anthropic

    from core.providers.httpx2_adapter import ParsedOnce

    class Client(ParsedOnce, anthropic.Anthropic):
        """The SDK's client."""

    return Client


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: AnthropicProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._key = resolve_api_key(ANTHROPIC, connection)
        self._withheld: list[str] = []
        if not may_have_own_key(ANTHROPIC, connection.base_url, os.environ):
            self._withheld = header_names(os.environ.get("ANTHROPIC_CUSTOM_HEADERS", ""))
        self._model = model
        self.errors = AnthropicExplainer(model, self._key)
        base_url = ANTHROPIC.base_url_in_force(connection.base_url) or ANTHROPIC.own_base_url or ""
        if self._key is not None:
            redaction.remember(self._key)
        self._client = provider.client(self._key or NO_KEY, base_url)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: Mapping[str, object] | None = None,
        stream: bool = False,
    ) -> "httpx2.Response":
        """Sends it; the response has a success status, and its body unless it is streamed."""
        import anthropic
        import httpx2

        # The SDK adds what ANTHROPIC_CUSTOM_HEADERS says to every request. None of it may take the place of the
        # key, nor go to a server that only the request names: it may hold a gateway's secrets.
        headers: dict[str, str | anthropic.Omit] = dict.fromkeys(self._withheld, anthropic.omit)
        headers["X-Api-Key"] = anthropic.omit
        if self._key is None:
            headers["Authorization"] = anthropic.omit
        if body is not None:
            headers["anthropic-version"] = api_version(body)
        # All of them named, as for OpenAI.
        options: anthropic.RequestOptions = {
            "headers": headers,
            "params": query or {},
            "max_retries": 0,
            "timeout": None,
        }
        try:
            with http.bounded_by(self._limits):
                if method == "GET":
                    return self._client.get(path, cast_to=httpx2.Response, options=options)
                return self._client.post(
                    path, cast_to=httpx2.Response, body=body, options=options, stream=stream
                )
        except anthropic.APIStatusError as exc:
            raise self.errors.status(exc) from exc
        except anthropic.APIConnectionError as exc:
            # The SDK wraps whatever its client raises, and ours raises the errors of our transport.
            ours = exc.__cause__
            if not isinstance(ours, InvocationError):
                raise
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(_NOT_AN_ADDRESS) from exc
        raise ours

    def page_of_models(self, after: str | None) -> dict[str, object]:
        """One page of the list, whose `data` is a list."""
        query = {"limit": MODELS_PER_PAGE} | ({} if after is None else {"after_id": after})
        response = self.send("GET", "/v1/models", query=query)
        head = head_of(response)
        page = self.errors.body_in(head, response.content)
        if as_list(page.get("data")) is None:
            raise self.errors.nonsense(head, "has no list of models")
        return page

    def completion(self, response: "httpx2.Response") -> Completion:
        """The answer in a whole body."""
        head = head_of(response)
        body = self.errors.body_in(head, response.read())
        answer = self.errors.answer_in(head, body, read_answer)
        return answer.completion(head, self.errors, asked=self._model)

    def follow(self, response: "httpx2.Response") -> Generator[Delta | Completion]:
        """The answer in a stream of events."""
        head, reader = head_of(response), EventReader()
        for _, data in read_events(response.iter_bytes()):
            if text := reader.add(self.errors.body_in(head, data, what="has an event that ")):
                yield Delta(text)
            if reader.finished:
                break
        if not (reader.begun and reader.finished):
            raise self.errors.cut(head)
        yield reader.answer().completion(head, self.errors, asked=self._model)


def _model_info(name: str, row: Mapping[str, object]) -> ModelInfo:
    label = as_text(row.get("display_name"))
    return ModelInfo(
        name,
        label=None if label is None else mend(label)[:200],
        context_window_tokens=as_count(row.get("max_input_tokens")) or None,
    )


def create() -> AnthropicProvider:
    """The provider, for the registry."""
    return AnthropicProvider()
