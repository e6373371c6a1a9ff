"""Cohere on its official SDK.

The SDK keeps the address, the headers, the key and the models of a request (`agent_launcher_cohere.client`); the answer
is read here.

How a contract request becomes a chat:
- `system_prompt` is a message of role `system`, the context is in the last user turn (`AgentRequest.turns`), images are
  parts of that turn, after its text.
- `top_p` is `p`, `stop` is `stop_sequences`; `response_schema` is the `json_schema` of a `json_object`.
- `reasoning_effort` is `thinking`: disabled for "none", else enabled with a budget of tokens ("low", "medium", "high")
  or without a limit ("max"). `max_tokens` counts thinking too. What the model thinks is not part of the answer.

How an answer comes back: a stream is complete with its `message-end`, and `BAD_PROVIDER_RESPONSE` otherwise. An answer
that ended with ERROR or TIMEOUT is an error with the text and the tokens so far. The tokens are those that are billed.
Cohere names no model in an answer, so the model is the one that was asked for.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from agent_launcher_cohere.errors import CohereExplainer, head_of, with_id
from agent_launcher_cohere.spec import COHERE
from agent_launcher_cohere.wire import (
    FAILED,
    TIMED_OUT,
    Answer,
    EventReader,
    read_answer,
    read_models,
    render,
)
from core import redaction
from core.contract import AgentRequest
from core.errors import InvalidRequest
from core.interruption import Limits
from core.providers import http
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.clients import ClientCache
from core.providers.explaining import Head
from core.providers.keys import resolve_api_key
from core.providers.wire import read_events

if TYPE_CHECKING:
    import cohere
    import httpx

    from agent_launcher_cohere.client import RaisingClient

MAX_MODELS: Final = 1_000
"""The most that one request for the list can bring."""


class CohereProvider:
    """See the module."""

    def __init__(self) -> None:
        self._clients: ClientCache[tuple[str, str], cohere.ClientV2] = ClientCache()
        self._http: RaisingClient | None = None

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        asked = render(request)
        head, data = call.read(call.send(lambda client: client.chat(**asked)))
        body = call.errors.object_in(head, data)
        return call.completion(head, call.errors.answer_in(head, body, read_answer))

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        asked = render(request)
        response = call.send(lambda client: next(client.chat_stream(**asked)))
        try:
            yield from call.follow(response)
        finally:
            response.close()

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The models that can answer a prompt, with their windows."""
        call = _Call(self, connection, None, limits)
        ask = call.send(lambda client: client.models.list(page_size=MAX_MODELS, endpoint="chat"))
        head, data = call.read(ask)
        models = read_models(call.errors.object_in(head, data))
        if models is None:
            raise call.errors.nonsense(head, "has no list of models")
        return models

    def client(self, key: str, address: str) -> "cohere.ClientV2":
        """The SDK's client for this key and address."""
        return self._clients.get((key, address), lambda: self._build(key, address))

    def _build(self, key: str, address: str) -> "cohere.ClientV2":
        from agent_launcher_cohere.client import RaisingClient, build_client

        self._http = self._http or RaisingClient()
        return build_client(self._http, key, address)


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: CohereProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._model = model
        key = resolve_api_key(COHERE, connection)
        if key is not None:
            redaction.remember(key)
        self.errors = CohereExplainer(model, key)
        address = root(COHERE.base_url_in_force(connection.base_url) or COHERE.own_base_url or "")
        self._client = provider.client(key or "", address)

    def send(self, ask: Callable[["cohere.ClientV2"], object]) -> "httpx.Response":
        """Sends what `ask` asks the SDK for; the answer has a success status, and its body is unread."""
        import httpx

        from agent_launcher_cohere.client import Answered

        try:
            with http.bounded_by(self._limits):
                ask(self._client)
        except Answered as answered:
            response = answered.response
        except httpx.InvalidURL as exc:
            _refuse_address(exc)
        else:
            raise RuntimeError("the SDK sent no request")
        if response.is_success:
            return response
        try:
            data = response.read()
        finally:
            response.close()
        raise self.errors.status(response, data)

    def read(self, response: "httpx.Response") -> tuple[Head, bytes]:
        """The whole of an answer."""
        head = head_of(response)
        try:
            return head, response.read()
        finally:
            response.close()

    def follow(self, response: "httpx.Response") -> Generator[Delta | Completion]:
        """The answer in a stream of events."""
        head, reader = head_of(response), EventReader()
        for _, data in read_events(response.iter_bytes()):
            if text := reader.add(self.errors.object_in(head, data, what="has an event that ")):
                yield Delta(text)
            if reader.finished:
                break
        if not reader.finished:
            raise self.errors.cut(head)
        yield self.completion(head, reader.answer())

    def completion(self, head: Head, answer: Answer) -> Completion:
        """The vendor's last word."""
        head = with_id(head, answer.request_id)
        failed = answer.reason in {FAILED, TIMED_OUT}
        return Completion(
            text=answer.text,
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            model=self._model or "",
            provider_request_id=head.request_id,
            error=self.errors.ended(head, answer) if failed else None,
        )


def root(address: str) -> str:
    """The address under which the API's paths stand: they begin with /v1 and /v2, which many write in the address.

    Raises:
        InvalidRequest: It is no such address.
    """
    if "?" in address or "#" in address or not address.lower().startswith(("http://", "https://")):
        _refuse_address()
    return address.rstrip("/").removesuffix("/v1").removesuffix("/v2").rstrip("/")


def _refuse_address(cause: Exception | None = None) -> NoReturn:
    raise InvalidRequest(
        "The base URL, or CO_API_URL, is not a valid address. It looks like https://host, without ? and #.",
        sent=False,
    ) from cause


def create() -> CohereProvider:
    """The provider, for the registry."""
    return CohereProvider()
