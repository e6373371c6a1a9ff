"""Google's Gemini API (`generateContent`), on the official SDK, google-genai.

The SDK makes the request: the address and its version, the authentication (the key is a header, never in the
URL), Google's client headers. The body is ours (`gemini_wire.render`), through the SDK's documented
`HttpOptions.extra_body`. The answer is read here, because the SDK ends a cut stream like a finished one, breaks
on a body that is no JSON, and by itself asks again to continue an answer that reached the request's limit. It
has no door for raw streams, so it is given an HTTP client of ours that keeps the answer and shows it an empty
one (`httpx2_adapter.KeepingClient`). `docs/decisions/2026-11-22-gemini-answers.md` has the options.

How a contract request becomes `generateContent`:
- `system_prompt` is `systemInstruction`; turns are `contents` of role `user` and `model`; attachments are
  `inlineData` parts of the last user turn, before its text. GIF images are not read by Gemini.
- `response_schema` is `responseJsonSchema` with `responseMimeType` `application/json`.
- `reasoning_effort` is `thinkingLevel`; for generation 2.5 `thinkingBudget`, in the tokens that Google's own
  OpenAI-compatible API puts for these words, and 0 for "none". Which words a model knows is `ModelRule.efforts`.
- `base_url` is the server, with or without the API's version at its end (`split_version`).

How an answer comes back: thoughts are not part of the text. A prompt that was blocked, and an answer that a
filter cut, are CONTENT_FILTERED with the text and the tokens that came before. A stream is complete when
its finish reason was received, and BAD_PROVIDER_RESPONSE otherwise. The service tier is in a header.
"""

import re
import ssl
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final

from core import redaction
from core.contract import AgentRequest
from core.errors import BadProviderResponse, InvalidRequest
from core.interruption import Limits
from core.providers import http
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.clients import NO_KEY, ClientCache
from core.providers.explaining import Head
from core.providers.gemini_errors import GeminiExplainer, head_of
from core.providers.gemini_wire import (
    Answer,
    ChunkReader,
    Ending,
    read_answer,
    read_tier,
    render,
    split_version,
)
from core.providers.keys import resolve_api_key
from core.providers.rows_gemini import GEMINI
from core.providers.streaming import stream_of
from core.providers.wire import as_count, as_list, as_object, as_text, mend, read_events

if TYPE_CHECKING:
    import httpx2
    from google import genai

MAX_MODEL_PAGES: Final = 20
MODELS_PER_PAGE: Final = 1_000

_KEY_HEADER: Final = "x-goog-api-key"
_TIER_HEADER: Final = "x-gemini-service-tier"
_MODEL_NAME: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/@:-]*")


class GeminiProvider:
    """See the module."""

    def __init__(self) -> None:
        self._clients: ClientCache[tuple[str, str], genai.Client] = ClientCache()
        self._http: tuple[httpx2.Client, httpx2.AsyncClient] | None = None

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.generate(request, stream=False)
        return call.completion(response)

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.generate(request, stream=True)
        yield from stream_of(response, events=call.follow, whole=call.completion)

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The vendor's models that can answer a prompt; of another server, all that say no other use."""
        call = _Call(self, connection, None, limits)
        elsewhere = GEMINI.base_url_in_force(connection.base_url) is not None
        found: dict[str, ModelInfo] = {}
        token: str | None = None
        for _ in range(MAX_MODEL_PAGES):
            body = call.models(token)
            for model in map(_model_info, as_list(body.get("models")) or ()):
                if model is not None and (elsewhere or GEMINI.may_answer(model.name)):
                    found[model.name] = model
            token = as_text(body.get("nextPageToken"))
            if token is None:
                break
        return [found[name] for name in sorted(found)]

    def client(self, key: str, base_url: str) -> "genai.Client":
        """The SDK's client for this key and address."""
        return self._clients.get((key, base_url), lambda: self._build(key, base_url))

    def _build(self, key: str, base_url: str) -> "genai.Client":
        from google import genai
        from google.genai import types

        if self._http is None:
            self._http = _http_clients()
        http_client, unused = self._http
        address, version = split_version(base_url)
        return genai.Client(
            vertexai=False,  # whatever GOOGLE_GENAI_USE_VERTEXAI says: it is another API, with other credentials
            api_key=key,
            http_options=types.HttpOptions(
                base_url=address,
                api_version=version,
                httpx_client=http_client,
                httpx_async_client=unused,
                # For WebSockets, which nobody opens: without, it reads all certificates (22 ms) for each client.
                async_client_args={"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
                headers=dict(http.UNCOMPRESSED),
            ),
        )


def _http_clients() -> "tuple[httpx2.Client, httpx2.AsyncClient]":
    """What the SDK sends with; the second is never used, and spares it making one with TLS settings of its own."""
    import httpx2

    from core.providers.httpx2_adapter import KeepingClient

    return KeepingClient(), httpx2.AsyncClient(transport=httpx2.AsyncBaseTransport())


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: GeminiProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._key = resolve_api_key(GEMINI, connection)
        self._model = model
        self.errors = GeminiExplainer(model, self._key)
        if self._key is not None:
            redaction.remember(self._key)
            if self._key.startswith("auth_tokens/"):
                raise InvalidRequest(
                    "This key is a short-lived token of Gemini's Live API. Use an API key of aistudio.google.com."
                )
        base_url = GEMINI.base_url_in_force(connection.base_url) or GEMINI.own_base_url or ""
        if "?" in base_url or "#" in base_url:
            raise InvalidRequest("The base URL of GEMINI takes no query. It looks like https://host.")
        self._client = provider.client(self._key or NO_KEY, base_url)

    def generate(self, request: AgentRequest, *, stream: bool) -> "httpx2.Response":
        """Sends it; the response has a success status, and its body unless it is streamed."""
        from google.genai import types

        model = request.model_name
        if _MODEL_NAME.fullmatch(model) is None:
            raise InvalidRequest(
                f"{model[:100]!r} cannot be the name of a Gemini model, which has letters, digits, dots and "
                "hyphens. Choose a model of the list."
            )
        config = types.GenerateContentConfig(
            http_options=types.HttpOptions(extra_body=render(request)),
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        # The SDK insists on some contents; `extra_body` has all of them, and takes their place.
        contents = "."
        models = self._client.models

        def send() -> None:
            if stream:
                for _ in models.generate_content_stream(model=model, contents=contents, config=config):
                    pass
            else:
                models.generate_content(model=model, contents=contents, config=config)

        return self._send(send, stream=stream)

    def models(self, page_token: str | None) -> dict[str, object]:
        """A page of the list of models."""
        from google.genai import types

        config = types.ListModelsConfig(page_size=MODELS_PER_PAGE, page_token=page_token)
        response = self._send(lambda: self._client.models.list(config=config), stream=False)
        head = _head(response)
        body = self.errors.body_in(head, response.content)
        if as_list(body.get("models")) is None and page_token is None:
            raise self.errors.nonsense(head, "has no list of models")
        return body

    def _send(self, ask: Callable[[], object], *, stream: bool) -> "httpx2.Response":
        import httpx2

        from core.providers.httpx2_adapter import keeping

        unwanted = () if self._key is not None else (_KEY_HEADER,)
        try:
            with http.bounded_by(self._limits), keeping(streamed=stream, without=unwanted) as kept:
                ask()
        except httpx2.InvalidURL as exc:
            raise InvalidRequest("The base URL is not a valid address. It looks like https://host.") from exc
        response = kept.response
        assert response is not None
        if not response.is_success:
            try:
                data = response.read()
            finally:
                response.close()
            raise self.errors.status(_head(response), data)
        return response

    def completion(self, response: "httpx2.Response") -> Completion:
        """The answer in a whole body."""
        head = _head(response)
        body = self.errors.body_in(head, response.read())
        return self._complete(head, self.errors.answer_in(head, body, read_answer))

    def follow(self, response: "httpx2.Response") -> Generator[Delta | Completion]:
        """The answer in a stream of events."""
        head, reader = _head(response), ChunkReader()
        try:
            for _, data in read_events(response.iter_bytes()):
                if text := reader.add(self.errors.body_in(head, data, what="has an event that ")):
                    yield Delta(text)
        except BadProviderResponse:
            if not reader.finished:
                raise
            # The answer itself was complete; what the cut took is at most its usage.
        if not reader.finished:
            raise self.errors.cut(head)
        yield self._complete(head, reader.answer())

    def _complete(self, head: Head, answer: Answer) -> Completion:
        match answer.ending:
            case Ending.ANSWERED:
                error = None
            case Ending.FILTERED:
                error = self.errors.filtered(head)
            case Ending.PROMPT_BLOCKED:
                error = self.errors.prompt_filtered()
            case Ending.ACCOUNT_LIMITED:
                error = self.errors.account_limited()
        request_id = answer.response_id or head.request_id
        if error is not None:
            error.provider_status, error.request_id = head.status, request_id
        return Completion(
            text=answer.text,
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            model=answer.model or self._model or "",
            provider_request_id=request_id,
            service_tier=read_tier(head.headers.get(_TIER_HEADER)),
            error=error,
        )


def _head(response: "httpx2.Response") -> Head:
    return head_of(response.status_code, response.headers)


def _model_info(item: object) -> ModelInfo | None:
    """A model of the list, if it can answer a prompt."""
    model = as_object(item) or {}
    name = as_text(model.get("name"))
    methods = as_list(model.get("supportedGenerationMethods"))
    if name is None or (methods is not None and "generateContent" not in methods):
        return None
    label = as_text(model.get("displayName"))
    return ModelInfo(
        name=GEMINI.bare_name(mend(name)),
        label=None if label is None else mend(label),
        context_window_tokens=as_count(model.get("inputTokenLimit")),
    )


def create() -> GeminiProvider:
    """The provider, for the registry."""
    return GeminiProvider()
