"""The invocation JSON: what goes to a backend (a Lambda function or this process) and what comes back.

The fields of the original document are accepted and produced exactly as it shows them; every other field is
an optional addition which an old caller can ignore. The contract is additive only: `CONTRACT_VERSION` rises
with each addition, and a field that this version does not know is refused by name, so that nothing an
operator asked for is dropped in silence.

Tokens are normalised for every vendor as in OpenTelemetry's GenAI conventions: cached and cache-write tokens
are part of `input_tokens`, reasoning tokens are part of `output_tokens`.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Self, TypeGuard, cast
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from core.errors import ErrorCode, InvalidRequest, InvocationError, UnknownProvider
from core.faults import faults_in
from core.secret_shapes import is_secret_name

CONTRACT_VERSION: Final = "1.0"

MAX_PROMPT_CHARS: Final = 2_000_000
MAX_SYSTEM_PROMPT_CHARS: Final = 500_000
MAX_CONTEXT_BYTES: Final = 1_000_000
MAX_MESSAGES: Final = 1_000
MAX_TEXT_CHARS: Final = 4_000_000
"""Of the prompt, the system prompt and all messages together: each alone may be within its own limit, and a
thousand of them too much for any model, for Lambda's payload and for this process's memory."""
MAX_ATTACHMENTS: Final = 10
MAX_ATTACHMENT_BYTES: Final = 4 * 1024 * 1024
MAX_SERVICE_TIER_CHARS: Final = 50
MAX_TIMEOUT_SECONDS: Final = 900.0
"""Lambda's own limit: the longest that any backend can work on one request."""

AgentType = Literal["one-shot", "chat"]
Role = Literal["user", "assistant"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "other"]
ImageType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
DocumentType = Literal["application/pdf"]


def _no_surrogates(text: str) -> str:
    # A lone surrogate is a valid Python str and a valid JSON escape, but no UTF-8 encoder will send it.
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("contains a lone surrogate, which is not valid Unicode text") from exc
    return text


_SECRET_PARAMETER: Final = re.compile(
    r"(?:^|[-_.])(?:key|token|secret|password|passwd|pwd|sig|signature|credential|auth)$", re.IGNORECASE
)


@lru_cache(maxsize=256)
def _is_endpoint(url: str) -> str:
    # It is stored, shown and logged, so it may hold no secret.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError("is not an address like https://host/v1") from exc
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == 0
        or not url.isprintable()
        or " " in url
    ):
        raise ValueError("is not an address like https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user name or password in it; give the key as api_key instead")
    named = parse_qsl(f"{parts.query}&{parts.fragment}".replace(";", "&"), keep_blank_values=True)
    if any(is_secret_name(name) or _SECRET_PARAMETER.search(name) for name, _ in named):
        raise ValueError("has a key or another secret in its query; give the key as api_key instead")
    return _no_surrogates(url)


Text = Annotated[str, AfterValidator(_no_surrogates)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
StopText = Annotated[Text, Field(min_length=1, max_length=200)]
_VERSION: Final = r"^\d{1,3}\.\d{1,3}$"
_KEY_REFERENCE: Final = r"^(env:[A-Za-z_][A-Za-z0-9_]*|arn:aws[a-z-]*:secretsmanager:[!-~]+)$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Message(_Model):
    """One earlier turn of a chat."""

    role: Role
    content: Annotated[Text, Field(max_length=MAX_PROMPT_CHARS)]


class Attachment(_Model):
    """A file for the model to read with the prompt.

    Attributes:
        media_type: What the bytes are; a provider that cannot read it refuses by name.
        data: The bytes in standard base64, at most `MAX_ATTACHMENT_BYTES` when decoded.
        name: The file's name, shown to the model by vendors that take one.
    """

    media_type: ImageType | DocumentType
    data: Annotated[str, Field(min_length=1, max_length=MAX_ATTACHMENT_BYTES * 4 // 3 + 4, repr=False)]
    name: Name | None = None

    @model_validator(mode="after")
    def _data_is_base64(self) -> Self:
        try:
            size = len(base64.b64decode(self.data, validate=True))
        except (binascii.Error, ValueError) as exc:
            raise ValueError("data is not standard base64") from exc
        if size > MAX_ATTACHMENT_BYTES:
            raise ValueError(f"data has {size} bytes; the limit is {MAX_ATTACHMENT_BYTES}")
        return self


class AgentRequest(_Model):
    """One request to one model.

    `agent_type="one-shot"` takes a `prompt`. `agent_type="chat"` takes the earlier turns as `messages`,
    oldest first, and the next user turn as `prompt`; the prompt may be left out if the last message is the
    user's. Unset fields are not sent on (`to_wire`), and no default is put in their place here: reasoning
    models reject some.

    Attributes:
        provider: A registered provider's name, case-sensitive.
        api_key: The vendor's key. Never in a repr, a log or an error.
        api_key_ref: Where the backend finds the key: an AWS Secrets Manager ARN or `env:NAME`.
        context: Any JSON object; it reaches the model as a JSON block before the prompt (`user_text`).
        response_schema: A JSON schema that the answer must follow.
        timeout_seconds: How long the backend may take, at most `MAX_TIMEOUT_SECONDS`.
    """

    provider: Name
    model_name: Name
    api_key: SecretStr | None = None
    prompt: Annotated[Text, Field(max_length=MAX_PROMPT_CHARS)] | None = None
    system_prompt: Annotated[Text, Field(max_length=MAX_SYSTEM_PROMPT_CHARS)] | None = None
    agent_type: AgentType = "one-shot"
    agent_name: Name | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    context: dict[str, JsonValue] | None = None
    # Additions.
    messages: Annotated[list[Message], Field(max_length=MAX_MESSAGES)] | None = None
    attachments: Annotated[list[Attachment], Field(max_length=MAX_ATTACHMENTS)] | None = None
    base_url: Annotated[str, Field(max_length=2_000), AfterValidator(_is_endpoint)] | None = None
    api_key_ref: Annotated[str, Field(pattern=_KEY_REFERENCE, max_length=2_000)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: Annotated[list[StopText], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)] | None = None
    response_schema: dict[str, JsonValue] | None = None
    reasoning_effort: ReasoningEffort | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS)] | None = None
    contract_version: Annotated[str, Field(pattern=_VERSION)] | None = None

    @field_validator("agent_name", "system_prompt", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        # The original document's callers send an empty text for what they do not set.
        return None if value == "" else value

    @field_validator("agent_type", mode="before")
    @classmethod
    def _unset_is_one_shot(cls, value: object) -> object:
        return "one-shot" if value is None or value == "" else value

    @model_validator(mode="after")
    def _has_something_to_answer(self) -> Self:
        has_prompt = bool(self.prompt and self.prompt.strip())
        match self.agent_type:
            case "one-shot":
                if self.messages:
                    raise ValueError("messages belong to agent_type 'chat'; a 'one-shot' request has none")
                if not has_prompt:
                    raise ValueError("prompt is empty: say what the model should answer")
            case "chat":
                last = self.messages[-1] if self.messages else None
                ends_with_user = last is not None and last.role == "user" and bool(last.content.strip())
                if not has_prompt and not ends_with_user:
                    raise ValueError("a chat needs a prompt, or messages that end with the user's")
        return self

    @model_validator(mode="after")
    def _text_is_bounded(self) -> Self:
        texts = [self.prompt, self.system_prompt, *(message.content for message in self.messages or ())]
        chars = sum(len(text) for text in texts if text)
        if chars > MAX_TEXT_CHARS:
            raise ValueError(
                f"prompt, system_prompt and messages have {chars} characters together; the limit is "
                f"{MAX_TEXT_CHARS}: shorten them, or leave out the oldest messages"
            )
        return self

    @model_validator(mode="after")
    def _json_is_bounded(self) -> Self:
        for name in ("context", "response_schema"):
            value = getattr(self, name)
            if value is None:
                continue
            try:
                size = len(json.dumps(value, ensure_ascii=False).encode())
            except (UnicodeEncodeError, RecursionError) as exc:
                raise ValueError(f"{name} cannot be sent as JSON: nested too deep, or not Unicode") from exc
            if size > MAX_CONTEXT_BYTES:
                raise ValueError(f"{name} has {size} bytes of JSON; the limit is {MAX_CONTEXT_BYTES}")
        return self

    @field_serializer("api_key", when_used="always")
    def _reveal(self, value: SecretStr | None) -> str | None:
        # Serialising is how the key travels to the backend; `repr` and `str` stay masked.
        return None if value is None else value.get_secret_value()

    def to_wire(self) -> dict[str, Any]:
        """The JSON object to send, WITH the key and without unset fields; never log or store it."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_public(self) -> dict[str, Any]:
        """The JSON object without the key: safe to store, show and export."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"api_key"})

    def turns(self) -> list[Message]:
        """The conversation for the model, oldest first; the last is the user's, with the context in it.

        An earlier turn without text, such as an answer that a filter took back, is left out: it tells a model
        nothing, and most vendors refuse it.
        """
        turns = [message for message in self.messages or () if message.content.strip()]
        text = self.prompt
        if not text or not text.strip():
            text = turns.pop().content
        # Not validated again: with the context before it, a prompt of the longest allowed would be too long.
        return [*turns, Message.model_construct(role="user", content=user_text(text, self.context))]


def user_text(prompt: str, context: Mapping[str, JsonValue] | None) -> str:
    """The user's turn as the model reads it: the context as a JSON block, an empty line, the prompt.

    It stands in the user's turn and not in the system prompt, so that a vendor's prompt cache, which matches
    the beginning of a request, still hits when only the context differs.
    """
    if not context:
        return prompt
    return f"Context (JSON):\n{json.dumps(context, ensure_ascii=False, indent=2)}\n\n{prompt}"


class TokenUsage(_Model):
    """Tokens as the vendor reported them, normalised.

    Attributes:
        input_tokens: All tokens read, cached ones included.
        output_tokens: All tokens written, reasoning included.
        cached_input_tokens: Part of `input_tokens` that the vendor read from its prompt cache.
        cache_write_input_tokens: Part of `input_tokens` that the vendor wrote to its prompt cache.
        reasoning_tokens: Part of `output_tokens` that is not in the answer's text.
    """

    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    cached_input_tokens: Annotated[int, Field(ge=0)] | None = None
    cache_write_input_tokens: Annotated[int, Field(ge=0)] | None = None
    reasoning_tokens: Annotated[int, Field(ge=0)] | None = None


class Metadata(_Model):
    """What the answer says about the request. The first four are the original document's."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    agent_type: AgentType = "one-shot"
    agent_name: str | None = None
    context_provided: bool = False
    custom_system_prompt: bool = False
    execution_backend: str | None = None
    fell_back_from: str | None = None

    @classmethod
    def of(cls, request: AgentRequest, *, backend: str) -> Self:
        """What an answer from that backend says about this request."""
        return cls(
            agent_type=request.agent_type,
            agent_name=request.agent_name,
            context_provided=bool(request.context),
            custom_system_prompt=bool(request.system_prompt),
            execution_backend=backend,
        )


_OUTCOME_OPEN: Final = frozenset({408, 502, 504, 520, 522, 524})
"""Statuses of a time-out or of a gateway between us and the vendor's model."""


class ErrorBody(_Model):
    """An error as data: generic and safe to show; the detail is in the log.

    Attributes:
        may_be_billed: False when the vendor billed nothing: it was not sent, or it was answered with an HTTP
            error. Vendors bill no request that they answer so, be it a refusal (4xx) or a failure of theirs
            (500, 503, 529). A time-out or a gateway's status (`_OUTCOME_OPEN`) says only that no answer came
            through: behind it the model may have generated, and billed, to the end.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    code: ErrorCode
    message: str
    retryable: bool = False
    provider_status: int | None = None
    retry_after_seconds: float | None = None
    request_id: str | None = None
    may_be_billed: bool | None = None

    @classmethod
    def of(cls, error: InvocationError) -> Self:
        """The error's public half."""
        return cls(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            provider_status=error.provider_status,
            retry_after_seconds=error.retry_after_seconds,
            request_id=error.request_id,
            may_be_billed=error.sent
            and (
                error.provider_status is None
                or error.provider_status < 400
                or error.provider_status in _OUTCOME_OPEN
            ),
        )


class AgentResponse(_Model):
    """What came back. `error` is set on a failure; `response` then holds what came before it, if anything.

    Attributes:
        timestamp: When the request was accepted; in JSON in UTC and whole seconds, as `2024-01-01T00:00:00Z`.
        execution_time_seconds: From accepting the request to the last byte, on the backend's clock; of a run that was
            tried more than once, from asking for it to its end, waits included.
        time_to_first_token_seconds: Likewise, to the first text; unset when the answer was not streamed.
        service_tier: The tier at which the vendor says that it worked and bills, in its own word ("default",
            "flex", "priority"); unset if it does not say.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    response: str | None = None
    provider: str
    model: str
    metadata: Metadata
    timestamp: datetime
    execution_time_seconds: Annotated[float, Field(ge=0)]
    token_usage: TokenUsage | None = None
    finish_reason: FinishReason | None = None
    time_to_first_token_seconds: float | None = None
    provider_request_id: str | None = None
    service_tier: Annotated[str, Field(max_length=MAX_SERVICE_TIER_CHARS)] | None = None
    contract_version: str | None = None
    error: ErrorBody | None = None

    @property
    def billed_nothing(self) -> bool:
        """Whether it is certain that no token was used: the vendor got nothing, or refused it."""
        return self.token_usage is None and self.error is not None and self.error.may_be_billed is False

    @field_serializer("timestamp", when_used="json")
    def _as_documented(self, value: datetime) -> str:
        # Callers of the original document read it with strptime, which takes no fraction where none is foretold.
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"

    def to_wire(self) -> dict[str, Any]:
        """The JSON object of the contract, without unset fields.

        The original document's own keys are always there, null if unset (`response`, `token_usage` and
        `metadata.agent_name`): its callers read them without looking at `error` first.
        """
        wire: dict[str, Any] = {"response": self.response, **self.model_dump(mode="json", exclude_none=True)}
        wire.setdefault("token_usage", None)
        agent = {"agent_type": self.metadata.agent_type, "agent_name": self.metadata.agent_name}
        wire["metadata"] = {**agent, **wire["metadata"]}
        return wire


def parse_request(payload: object, *, providers: Collection[str]) -> AgentRequest:
    """Validates a payload from outside.

    Args:
        payload: Decoded JSON.
        providers: The names that are registered here.

    Raises:
        UnknownProvider: No such provider here.
        InvalidRequest: Anything else, with every fault named and no value repeated (a value may be a key).
    """
    if not isinstance(payload, Mapping):
        raise InvalidRequest(f"The request must be a JSON object, not {type(payload).__name__}.")
    fields = dict(cast(Mapping[object, object], payload))
    provider = fields.get("provider")
    if isinstance(provider, str) and provider not in providers:
        raise UnknownProvider(invalid_provider_message(provider, providers))
    try:
        return AgentRequest.model_validate(fields)
    except ValidationError as exc:
        raise InvalidRequest(_describe(exc, caller=fields.get("contract_version"))) from None
    except RecursionError:
        raise InvalidRequest("The request is nested too deep to be read.") from None


def invalid_provider_message(provider: str, providers: Collection[str]) -> str:
    """The text for a name that is not registered; the original document's wording, and the remedy."""
    known = ", ".join(sorted(providers))
    # A typing error or a piece of the name; at the usual 0.6 "NOPE" is like OPENAI.
    near = get_close_matches(provider[:100].upper(), providers, n=1, cutoff=0.75)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"Invalid provider: {provider[:100]!r}. {meant}Use one of {known}: names are case-sensitive."


def _describe(exc: ValidationError, *, caller: object) -> str:
    if _is_newer(caller):
        return (
            f"Invalid request: {faults_in(exc)}. The caller speaks contract {caller}: the deployed function is older "
            f"(contract {CONTRACT_VERSION}): deploy."
        )
    perhaps = f" (this is contract {CONTRACT_VERSION}; if the caller is newer, the deployed function is older: deploy)"
    return f"Invalid request: {faults_in(exc, unknown_field='' if _is_version(caller) else perhaps)}"


def _is_version(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(_VERSION, value) is not None


def _is_newer(version: object) -> bool:
    """Whether it is above ours."""
    if not _is_version(version):
        return False
    theirs, ours = (tuple(map(int, text.split("."))) for text in (version, CONTRACT_VERSION))
    return theirs > ours


def error_response(error: InvocationError, *, provider: object, model: object) -> AgentResponse:
    """The response to a request that could not even be read: the error as data, and what little is known."""
    return AgentResponse(
        provider=str(provider)[:200],
        model=str(model)[:200],
        metadata=Metadata(),
        timestamp=utc_now(),
        execution_time_seconds=0.0,
        contract_version=CONTRACT_VERSION,
        error=ErrorBody.of(error),
    )


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
