"""Ollama, on this machine or another, and its cloud, on the official SDK.

The SDK keeps the address, the headers, the key and the models of a request; the answer is read here
(`core.providers.ollama_client` says why), and our transport carries it.

How a contract request becomes a chat:
- `system_prompt` is a message of role `system`, the context is in the last user turn (`AgentRequest.turns`),
  images are that turn's `images`; there is no other kind of file.
- Parameters are `options`: `max_tokens` is `num_predict`; `temperature`, `top_p`, `stop` and `seed` keep their
  names. `response_schema` is `format`, to which the server holds the model.
- `reasoning_effort` is `think`: false for "none"; "low", "medium" and "high" as they are. Models that only know on
  and off refuse a level on some servers; the server says so. What the model thinks is not part of the answer.

The server cuts a prompt that is longer than its context window (`num_ctx`), in silence: see docs/settings.md. It is
asked to pull or load nothing but the model that the request names.

How an answer comes back: a stream is complete with the line that says `done`, and `BAD_PROVIDER_RESPONSE`
otherwise. Tokens are unknown where the server leaves a count out.
"""

from base64 import b64decode
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, cast

from core import redaction
from core.contract import AgentRequest
from core.errors import InvalidRequest, ProviderUnavailable
from core.interruption import Limits
from core.providers import http
from core.providers.base import Completion, Connection, Delta, ModelInfo
from core.providers.clients import ClientCache
from core.providers.keys import resolve_api_key
from core.providers.ollama_errors import OllamaExplainer, head_of
from core.providers.ollama_wire import (
    CLOUD,
    Answer,
    ChunkReader,
    read_answer,
    read_lines,
    read_models,
    render,
)
from core.providers.rows_ollama import OLLAMA

if TYPE_CHECKING:
    import httpx

    from core.providers.ollama_client import RawClient


class OllamaProvider:
    """See the module."""

    def __init__(self) -> None:
        self._clients: ClientCache[tuple[str | None, str], RawClient] = ClientCache()

    def complete(self, request: AgentRequest, limits: Limits) -> Completion:
        """The whole answer at once."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.chat(render(request, stream=False))
        head = head_of(response)
        body = call.errors.body_in(head, response.content)
        return call.completion(call.errors.answer_in(head, body, read_answer))

    def stream(self, request: AgentRequest, limits: Limits) -> Generator[Delta | Completion]:
        """The answer as it is written."""
        call = _Call(self, Connection.of(request), request.model_name, limits)
        response = call.chat(render(request, stream=True))
        try:
            yield from call.follow(response)
        finally:
            response.close()

    def list_models(self, connection: Connection, limits: Limits) -> Sequence[ModelInfo]:
        """The models that are on the server and can answer a prompt; one request, so without their windows."""
        call = _Call(self, connection, None, limits)
        response = call.send(lambda client: client.list())
        head = head_of(response)
        models = read_models(call.errors.body_in(head, response.content))
        if models is None:
            raise call.errors.nonsense(head, "has no list of models")
        return [model for model in models if OLLAMA.may_answer(model.name)]

    def client(self, key: str | None, address: str) -> "RawClient":
        """The SDK's client for this key and address."""
        return self._clients.get((key, address), lambda: _build(key, address))


def _build(key: str | None, address: str) -> "RawClient":
    import httpx

    from core.providers.ollama_client import RawClient

    if "?" in address or "#" in address:
        raise InvalidRequest("The base URL of an Ollama server has no ? and no #: leave out what follows.")
    try:
        return RawClient(address, key)
    except (ValueError, httpx.InvalidURL) as exc:
        raise InvalidRequest(
            "The base URL, or OLLAMA_HOST, is not a valid address. It looks like http://host:11434."
        ) from exc


class _Call:
    """One request and what is needed to explain its failure."""

    def __init__(
        self, provider: OllamaProvider, connection: Connection, model: str | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._model = model
        key = resolve_api_key(OLLAMA, connection)
        if key is not None:
            redaction.remember(key)
        address = OLLAMA.base_url_in_force(connection.base_url) or OLLAMA.own_base_url or ""
        self.errors = OllamaExplainer.of(model, key, address=address)
        self._client = provider.client(key, address)

    def chat(self, body: dict[str, Any]) -> "httpx.Response":
        """Sends a request to `/api/chat`; the answer has a success status, and its body unless it is streamed."""
        messages = [
            # As bytes: a text the SDK would take for a file's path first, and read that file.
            {**message, "images": [b64decode(image) for image in message["images"]]}
            if "images" in message
            else message
            for message in cast("list[dict[str, Any]]", body["messages"])
        ]
        asked: dict[str, Any] = {**body, "messages": messages}

        def ask(client: "RawClient") -> object:
            return client.chat(**asked)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

        return self.send(ask)

    def send(self, ask: Callable[["RawClient"], object]) -> "httpx.Response":
        """Sends what `ask` asks the client for."""
        import httpx

        try:
            with http.bounded_by(self._limits):
                response = cast("httpx.Response", ask(self._client))
        except ProviderUnavailable as exc:
            if isinstance(exc.__cause__, ConnectionRefusedError):
                raise self.errors.refused(exc) from exc
            raise
        except httpx.InvalidURL as exc:
            raise InvalidRequest(
                "The base URL is not a valid address. It looks like http://host:11434."
            ) from exc
        if response.status_code != 200:
            raise self.errors.status(response)
        return response

    def follow(self, response: "httpx.Response") -> Generator[Delta | Completion]:
        """The answer in a stream of lines."""
        head, reader = head_of(response), ChunkReader()
        for line in read_lines(response.iter_bytes()):
            if text := reader.add(self.errors.body_in(head, line, what="has a line that ")):
                yield Delta(text)
            if reader.finished:
                break
        if not reader.finished:
            raise self.errors.cut(head)
        yield self.completion(reader.answer())

    def completion(self, answer: Answer) -> Completion:
        """The vendor's last word."""
        return Completion(
            text=answer.text,
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            model=answer.model or self._model or "",
            service_tier=CLOUD if answer.elsewhere else None,
        )


def create() -> OllamaProvider:
    """The provider, for the registry."""
    return OllamaProvider()
