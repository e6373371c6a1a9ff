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
import re
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from core import redaction
from core.contract import AgentRequest, FinishReason, Message, TokenUsage
from core.errors import (
    AuthenticationFailed,
    BadProviderResponse,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidRequest,
    InvocationError,
    ProviderUnavailable,
    RateLimited,
)
from core.interruption import Limits
from core.providers import http
from core.providers.base import Completion, Connection, Delta, Feature, ModelInfo, resolve_api_key
from core.providers.registry import OPENAI
from core.providers.wire import (
    TextJoiner,
    as_count,
    as_list,
    as_object,
    as_text,
    decode,
    error_for_status,
    mend,
    read_events,
    retry_after_seconds,
    said_by,
)

if TYPE_CHECKING:
    import httpx2
    import openai

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
MAX_CLIENTS: Final = 64
"""Clients kept, one for each key and base URL; they share their connections, so another one is cheap."""

_FINISH_REASONS: Final[Mapping[object, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_NO_KEY: Final = "no-key"
"""What the SDK is given for a server that wants none; the header is left out."""
_QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_FILTER_CODES: Final = frozenset({"content_filter", "content_policy_violation"})


class OpenAIProvider:
    """See the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[str, str], openai.OpenAI] = OrderedDict()
        self._http: httpx2.Client | None = None

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/chat/completions", body=render(request, stream=False))
        return _read_completion(call, response, response.content)

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.send("POST", "/chat/completions", body=render(request, stream=True), stream=True)
        try:
            if response.headers.get("content-type", "").startswith("application/json"):
                # A server that cannot stream answers at once.
                completion = _read_completion(call, response, call.read(response))
                if completion.text:
                    yield Delta(completion.text)
                yield completion
            else:
                yield from _read_stream(call, response)
        finally:
            response.close()

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The vendor's models that can answer a prompt; of another server, all."""
        call = _Call(self, connection, None, limits)
        response = call.send("GET", "/models")
        body = call.decode_object(response, response.content)
        data = as_list(body.get("data"))
        if data is None:
            raise call.nonsense(response, "has no list of models")
        names = {mend(name) for item in data if (name := as_text((as_object(item) or {}).get("id")))}
        if connection.base_url is None and OPENAI.not_for_chat is not None:
            other = re.compile(OPENAI.not_for_chat)
            names = {name for name in names if not other.fullmatch(name)}
        return [ModelInfo(name) for name in sorted(names)]

    def client(self, key: str, base_url: str) -> "openai.OpenAI":
        """The SDK's client for this key and address."""
        with self._lock:
            client = self._clients.get((key, base_url))
            if client is not None:
                self._clients.move_to_end((key, base_url))
                return client
            client = self._build(key, base_url)
            self._clients[key, base_url] = client
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client

    def _build(self, key: str, base_url: str) -> "openai.OpenAI":
        import httpx2
        import openai

        from core.providers.httpx2_adapter import build_client

        if self._http is None:
            self._http = build_client()
        address, _, query = base_url.partition("?")
        try:
            return openai.OpenAI(
                api_key=key,
                base_url=address,
                default_query=dict(parse_qsl(query)),
                http_client=self._http,
                max_retries=0,
                timeout=None,
                # Compression would save nothing on an answer's few kilobytes, and makes some proxies hold
                # back a stream.
                default_headers={"Accept-Encoding": "identity"},
            )
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(
                "The base URL is not a valid address. It looks like https://host/v1."
            ) from exc


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: OpenAIProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._key = resolve_api_key(OPENAI, connection)
        self.model = model
        variable = OPENAI.base_url_variable or ""
        base_url = connection.base_url or os.environ.get(variable, "").strip() or DEFAULT_BASE_URL
        if self._key is not None:
            redaction.remember(self._key)
        self._client = provider.client(self._key or _NO_KEY, base_url)

    def send(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, stream: bool = False
    ) -> "httpx2.Response":
        """Sends it; the response has a success status, and its body unless it is streamed."""
        import httpx2
        import openai

        options: openai.RequestOptions = {}
        if self._key is None:
            options["headers"] = {"Authorization": openai.omit}
        try:
            with http.bounded_by(self._limits):
                if method == "GET":
                    return self._client.get(path, cast_to=httpx2.Response, options=options)
                return self._client.post(
                    path, cast_to=httpx2.Response, body=body, options=options, stream=stream
                )
        except openai.APIStatusError as exc:
            raise self._status_error(exc) from exc
        except openai.APIConnectionError as exc:
            # Our transport raises our own errors; what is left to httpx2 is a body that it cannot decompress.
            raise BadProviderResponse(
                "The answer could not be decoded. Check the base URL and any proxy on the way.",
                detail=repr(exc.__cause__),
            ) from exc
        except httpx2.InvalidURL as exc:
            raise InvalidRequest(
                "The base URL is not a valid address. It looks like https://host/v1."
            ) from exc

    def read(self, response: "httpx2.Response") -> bytes:
        """The rest of a streamed body."""
        return b"".join(self.pieces(response))

    def pieces(self, response: "httpx2.Response") -> Iterator[bytes]:
        """A streamed body as it arrives."""
        import httpx2

        try:
            yield from response.iter_bytes()
        except httpx2.DecodingError as exc:
            raise self.nonsense(response, "could not be decoded") from exc

    def decode_object(self, response: "httpx2.Response", data: bytes) -> dict[str, object]:
        """The JSON object in a body, or an error if it is something else or tells of one."""
        try:
            value = decode(data)
        except ValueError as exc:
            raise self.nonsense(response, "is not JSON") from exc
        body = as_object(value)
        if body is None:
            raise self.nonsense(response, "is not a JSON object")
        if body.get("error"):
            raise self.reported_error(response, body["error"])
        return body

    def nonsense(self, response: "httpx2.Response", what: str) -> BadProviderResponse:
        """The error for a success status with a body that is no answer."""
        kind = response.headers.get("content-type", "no content type")[:100]
        return BadProviderResponse(
            f"The answer of {OPENAI.name} {what}. Check that the base URL leads to a chat completions API, "
            "then try again.",
            detail=f"content-type: {kind}",
            provider_status=response.status_code,
            request_id=request_id(response),
        )

    def cut(self, response: "httpx2.Response") -> BadProviderResponse:
        """The error for a stream that stopped before its end mark."""
        return BadProviderResponse(
            f"The stream of {OPENAI.name} ended before the answer did: what was received is incomplete. "
            "Try again.",
            provider_status=response.status_code,
            request_id=request_id(response),
        )

    def reported_error(self, response: "httpx2.Response", error: object) -> InvocationError:
        """The error that a success status or a stream carried in its body."""
        body = as_object(error) or {"message": error}
        status = as_count(body.get("code")) or 0
        translated = self._by_code(body)
        if translated is None and 400 <= status < 600:
            translated = self._by_status(status, body)
        elif translated is None and body.get("type") == "invalid_request_error":
            translated = self._by_status(400, body)
        if translated is None:
            translated = ProviderUnavailable(f"{OPENAI.name} failed while it answered. Try again later.")
        return self._complete_error(translated, response, body)

    def _status_error(self, exc: "openai.APIStatusError") -> InvocationError:
        body = as_object(exc.body) or {"message": exc.body}
        translated = self._by_code(body) or self._by_status(exc.status_code, body)
        return self._complete_error(translated, exc.response, body)

    def _by_code(self, body: Mapping[str, object]) -> InvocationError | None:
        code, kind = as_text(body.get("code")), as_text(body.get("type"))
        if code == "context_length_exceeded":
            return ContextLengthExceeded(
                f"Prompt and answer do not fit the context window of {self.model}. Shorten the prompt or the "
                "chat, ask for fewer max_tokens, or choose a model with a larger window."
            )
        if code in _FILTER_CODES:
            return ContentFiltered(
                f"The content filter of {OPENAI.name} refused the prompt. Change the prompt."
            )
        if code in _QUOTA_CODES or kind in _QUOTA_CODES:
            return RateLimited(
                f"The {OPENAI.name} account of this key has no quota left. Add credit or raise the limit "
                "with the vendor; to try again will not help.",
                retryable=False,
            )
        if code == "model_not_found":
            return self._by_status(404, body)
        if code == "invalid_api_key":
            return AuthenticationFailed(error_for_status(401, provider=OPENAI.name, model=self.model).message)
        if code == "rate_limit_exceeded":
            return self._by_status(429, body)
        return None

    def _by_status(self, status: int, body: Mapping[str, object]) -> InvocationError:
        return error_for_status(
            status,
            provider=OPENAI.name,
            model=self.model,
            parameter=self._public(body.get("param")),
            said=said_by(body.get("message"), secrets=self._secrets()),
            key_given=self._key is not None,
        )

    def _complete_error(
        self, error: InvocationError, response: "httpx2.Response", body: Mapping[str, object]
    ) -> InvocationError:
        error.provider_status = response.status_code
        error.request_id = request_id(response)
        error.retry_after_seconds = retry_after_seconds(response.headers)
        error.detail = redaction.redact(repr(dict(body))[:2_000], self._secrets())
        return error

    def _public(self, value: object) -> str | None:
        text = as_text(value)
        return None if text is None else redaction.redact(mend(text), self._secrets())[:100]

    def _secrets(self) -> list[str]:
        return [] if self._key is None else [self._key]


def create() -> OpenAIProvider:
    """The provider, for the registry."""
    return OpenAIProvider()


def request_id(response: "httpx2.Response") -> str | None:
    """The vendor's id of a request."""
    value = response.headers.get("x-request-id")
    return value[:200] if value else None


def render(request: AgentRequest, *, stream: bool) -> dict[str, Any]:
    """The body of a chat completion request: only what the contract request sets."""
    rule = OPENAI.rule_for(request.model_name, base_url=request.base_url)
    names: Mapping[Feature, str] = rule.names if rule is not None else {}
    body: dict[str, Any] = {"model": request.model_name, "messages": _messages(request)}
    for feature, value in (
        (Feature.MAX_TOKENS, request.max_tokens),
        (Feature.TEMPERATURE, request.temperature),
        (Feature.TOP_P, request.top_p),
        (Feature.STOP, request.stop or None),
        (Feature.SEED, request.seed),
        (Feature.REASONING_EFFORT, request.reasoning_effort),
    ):
        if value is not None:
            body[names.get(feature, feature.value)] = value
    if request.response_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": _json_schema(request.response_schema),
        }
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    turns = request.turns()
    messages: list[dict[str, Any]] = []
    if request.system_prompt:
        messages.append({"role": "system", "content": request.system_prompt})
    messages += [{"role": turn.role, "content": turn.content} for turn in turns]
    if request.attachments:
        messages[-1]["content"] = _parts(request, turns[-1])
    return messages


def _parts(request: AgentRequest, turn: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for number, attachment in enumerate(request.attachments or (), start=1):
        url = f"data:{attachment.media_type};base64,{attachment.data}"
        if attachment.media_type == "application/pdf":
            name = attachment.name or f"document-{number}.pdf"  # the API wants one
            parts.append({"type": "file", "file": {"filename": name, "file_data": url}})
        else:
            parts.append({"type": "image_url", "image_url": {"url": url}})
    return [*parts, {"type": "text", "text": turn.content}]


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    title = schema.get("title")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", title).strip("_")[:64] if isinstance(title, str) else ""
    return {"name": name or "answer", "schema": dict(schema), "strict": not strict_schema_faults(schema)}


_STRICT_MAX_DEPTH: Final = 10
_NOT_IN_STRICT: Final = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
     "patternProperties", "unevaluatedProperties", "propertyNames", "contains", "uniqueItems", "prefixItems"}
)  # fmt: skip


def strict_schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Why a schema cannot be guaranteed by the vendor; empty if it can.

    Strict mode takes a subset of JSON Schema: every object lists all its properties as required and allows no
    others, the root is an object, and some keywords are missing
    (developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas", 2026-11-22).
    """
    faults: list[str] = []
    if schema.get("type") != "object":
        faults.append("the root is not of type 'object'")
    _find_faults(schema, where="root", depth=0, faults=faults)
    return faults


def _find_faults(schema: object, *, where: str, depth: int, faults: list[str]) -> None:
    node = as_object(schema)
    if node is None:
        faults.append(f"{where} is not a schema object")
        return
    if depth > _STRICT_MAX_DEPTH:
        faults.append(f"{where} is nested more than {_STRICT_MAX_DEPTH} levels deep")
        return
    faults += [f"{where} uses {keyword!r}" for keyword in sorted(_NOT_IN_STRICT & node.keys())]
    properties = as_object(node.get("properties")) or {}
    types = as_list(node.get("type")) or [node.get("type")]
    if "object" in types or properties:
        if node.get("additionalProperties") is not False:
            faults.append(f"{where} does not say additionalProperties: false")
        if missing := sorted(properties.keys() - {str(name) for name in as_list(node.get("required")) or []}):
            faults.append(f"{where} does not require {', '.join(missing)}")
    for name, part in properties.items():
        _find_faults(part, where=f"{where}.{name}", depth=depth + 1, faults=faults)
    for keyword in ("$defs", "definitions"):
        for name, part in (as_object(node.get(keyword)) or {}).items():
            _find_faults(part, where=f"{keyword}.{name}", depth=depth, faults=faults)
    for part in as_list(node.get("anyOf")) or []:
        _find_faults(part, where=f"{where}.anyOf", depth=depth, faults=faults)
    if "items" in node:
        _find_faults(node["items"], where=f"{where}[]", depth=depth + 1, faults=faults)


def _read_completion(call: _Call, response: "httpx2.Response", data: bytes) -> Completion:
    body = call.decode_object(response, data)
    choices = as_list(body.get("choices"))
    choice = as_object(choices[0]) if choices else None
    message = as_object(choice.get("message")) if choice is not None else None
    if choice is None or message is None:
        raise call.nonsense(response, "has no message in it")
    content, refusal = _content(message.get("content")), as_text(message.get("refusal"))
    if content is None:
        raise call.nonsense(response, "has a message that is not text")
    return _completion(
        call,
        response,
        text=mend(content or refusal or ""),
        refused=bool(refusal),
        reason=choice.get("finish_reason"),
        model=body.get("model"),
        usage=body.get("usage"),
    )


def _content(value: object) -> str | None:
    """The text of a message; some servers send it in parts. None if it is neither."""
    if value is None or isinstance(value, str):
        return value or ""
    parts = as_list(value)
    if parts is None:
        return None
    return "".join(as_text((as_object(part) or {}).get("text")) or "" for part in parts)


def _read_stream(call: _Call, response: "httpx2.Response") -> Iterator[Delta | Completion]:
    joiner = TextJoiner()
    reason: object = None
    model: object = None
    usage: object = None
    refused = done = False
    try:
        for _, data in read_events(call.pieces(response)):
            if data == b"[DONE]":
                done = True
                break
            chunk = _chunk(call, response, data)
            model = model or chunk.get("model")
            usage = chunk.get("usage") or usage
            for item in as_list(chunk.get("choices")) or ():
                choice = as_object(item) or {}
                if choice.get("index"):
                    continue  # never asked for: n is 1
                delta = as_object(choice.get("delta")) or {}
                piece = delta.get("content")
                if not piece and (piece := delta.get("refusal")):
                    refused = True
                if isinstance(piece, str) and piece and (piece := joiner.add(piece)):
                    yield Delta(piece)
                reason = choice.get("finish_reason") or reason
    except BadProviderResponse:
        if reason is None:
            raise
        # The answer itself was complete; what the cut took is at most its usage.
    if not done and reason is None:
        raise call.cut(response)
    yield _completion(
        call, response, text=joiner.text, refused=refused, reason=reason, model=model, usage=usage
    )


def _chunk(call: _Call, response: "httpx2.Response", data: bytes) -> dict[str, object]:
    try:
        chunk = as_object(decode(data))
    except ValueError as exc:
        raise call.nonsense(response, "has an event that is not JSON") from exc
    if chunk is None:
        raise call.nonsense(response, "has an event that is not a JSON object")
    if chunk.get("error"):
        raise call.reported_error(response, chunk["error"])
    return chunk


def _completion(
    call: _Call,
    response: "httpx2.Response",
    *,
    text: str,
    refused: bool,
    reason: object,
    model: object,
    usage: object,
) -> Completion:
    finish_reason: FinishReason | None = None
    if isinstance(reason, str) and reason:
        finish_reason = _FINISH_REASONS.get(reason, "other")
    error = None
    if refused:
        finish_reason = "content_filter"
    elif finish_reason == "content_filter":
        error = ContentFiltered(
            f"The content filter of {OPENAI.name} cut the answer. Change the prompt.",
            provider_status=response.status_code,
            request_id=request_id(response),
        )
    return Completion(
        text=text,
        usage=_usage(usage),
        finish_reason=finish_reason,
        model=mend(as_text(model) or call.model or "")[:200],
        provider_request_id=request_id(response),
        error=error,
    )


def _usage(value: object) -> TokenUsage | None:
    body = as_object(value)
    if body is None:
        return None
    read, written = as_count(body.get("prompt_tokens")), as_count(body.get("completion_tokens"))
    if read is None or written is None:
        return None
    of_read = as_object(body.get("prompt_tokens_details")) or {}
    of_written = as_object(body.get("completion_tokens_details")) or {}
    return TokenUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        cached_input_tokens=_part(of_read.get("cached_tokens"), read),
        cache_write_input_tokens=_part(of_read.get("cache_write_tokens"), read),
        reasoning_tokens=_part(of_written.get("reasoning_tokens"), written),
    )


def _part(value: object, whole: int) -> int | None:
    count = as_count(value)
    return count if count is not None and count <= whole else None
