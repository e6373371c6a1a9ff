"""A contract request as the JSON of Anthropic's Messages. No request is made here.

Shapes after platform.claude.com/docs/en/api (Messages: create), API version 2026-10-21, and anthropic 2.12's
types, 2026-11-22.
"""

import os
from collections.abc import Mapping
from typing import Any, Final, Literal, assert_never

from core.contract import AgentRequest, Attachment, ReasoningEffort
from core.errors import InvalidRequest
from core.providers.rows_anthropic import samples_by_one, thinking_of
from core.providers.schemas import closed

API_VERSION: Final = "2026-10-21"
SAMPLING_API_VERSION: Final = "2023-06-01"
"""The last version that takes `temperature` and `top_p`, from the models that have them."""

MAX_TOKENS_VARIABLE: Final = "AGENT_LAUNCHER_DEFAULT_MAX_TOKENS"
_DEFAULT_MAX_TOKENS: Final = 2_000
_MOST_MAX_TOKENS: Final = 10_000_000

_Effort = Literal["low", "medium", "high", "xhigh", "max"]

_BUDGETS: Final[Mapping[_Effort, int]] = {
    "low": 1_024,  # the API's least
    "medium": 4_096,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 24_576,
}
"""Tokens to think, for models that know no effort; with an answer they stay below the least of their limits, 32,000."""


def render(request: AgentRequest, *, stream: bool) -> dict[str, Any]:
    """The body of a Messages request: only what the contract request sets, and `max_tokens`.

    Raises:
        InvalidRequest: The model takes no such combination of parameters.
    """
    if request.temperature is not None and request.top_p is not None and samples_by_one(request.model_name):
        raise InvalidRequest(
            f"The model {request.model_name} takes temperature or top_p, not both. Leave one of them out.",
            sent=False,
        )
    thinking, budget, effort = _thinking(request)
    body: dict[str, Any] = {
        "model": request.model_name,
        "max_tokens": request.max_tokens or default_max_tokens() + budget,
        "messages": _messages(request),
    }
    output: dict[str, Any] = {} if effort is None else {"effort": effort}
    if request.response_schema is not None:
        output["format"] = {"type": "json_schema", "schema": closed(request.response_schema)}
    for name, value in (
        ("system", request.system_prompt or None),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("stop_sequences", request.stop or None),
        ("thinking", thinking),
        ("output_config", output or None),
        ("stream", stream or None),
    ):
        if value is not None:
            body[name] = value
    return body


def api_version(body: Mapping[str, object]) -> str:
    """The version of the API that takes this body.

    The current one refuses `temperature` and `top_p` at any value, from any model; the one before takes them
    still, from the models that sample.
    """
    return SAMPLING_API_VERSION if "temperature" in body or "top_p" in body else API_VERSION


def root(base_url: str) -> str:
    """The address under which the API's paths stand, with its query.

    The paths begin with /v1; many write it in the address, as for OpenAI.
    """
    address, mark, query = base_url.partition("?")
    return f"{address.rstrip('/').removesuffix('/v1')}{mark}{query}"


def default_max_tokens(environment: Mapping[str, str] | None = None) -> int:
    """What is sent where a request sets no `max_tokens`, which the API requires.

    Raises:
        InvalidRequest: The environment's value is no such number.
    """
    variables = os.environ if environment is None else environment
    value = variables.get(MAX_TOKENS_VARIABLE, "").strip()
    if not value:
        return _DEFAULT_MAX_TOKENS
    if value.isascii() and value.isdigit() and 1 <= int(value) <= _MOST_MAX_TOKENS:
        return int(value)
    raise InvalidRequest(
        f"{MAX_TOKENS_VARIABLE} must be a whole number from 1 to {_MOST_MAX_TOKENS}. Correct it where this "
        "program was started, or set max_tokens in the request.",
        sent=False,
    )


def _thinking(request: AgentRequest) -> tuple[dict[str, Any] | None, int, _Effort | None]:
    """`thinking`, the tokens in it, and `output_config.effort` for the request's `reasoning_effort`."""
    if request.reasoning_effort is None:
        return None, 0, None
    model = thinking_of(request.model_name)
    effort = _effort(request.reasoning_effort)
    if effort is None:
        if model.asked_by is not None:
            return None, 0, None
        if model.off_by is None:
            raise InvalidRequest(
                f"The model {request.model_name} always reasons: reasoning_effort 'none' is not possible. "
                "Choose 'low', leave it out, or choose another model.",
                sent=False,
            )
        return {"type": model.off_by}, 0, None
    match model.asked_by:
        case None:
            return None, 0, effort
        case "adaptive":
            return {"type": "adaptive"}, 0, effort
        case "enabled":
            budget = _BUDGETS[effort]
            if request.max_tokens is not None and request.max_tokens <= budget:
                raise InvalidRequest(
                    f"reasoning_effort {request.reasoning_effort!r} lets {request.model_name} think for up to "
                    f"{budget} tokens, and max_tokens, which counts them too, has to be larger. Raise it, or "
                    "lower the effort.",
                    sent=False,
                )
            return {"type": "enabled", "budget_tokens": budget}, budget, None
        case _:
            assert_never(model.asked_by)


def _effort(asked: ReasoningEffort) -> _Effort | None:
    match asked:
        case "none":
            return None
        case "minimal":
            return "low"  # the vendor's least
        case "low" | "medium" | "high" | "xhigh" | "max":
            return asked
        case _:
            assert_never(asked)


def _messages(request: AgentRequest) -> list[dict[str, Any]]:
    # Turns of the same role in a row are one turn to the API, so they need no joining here.
    messages: list[dict[str, Any]] = [
        {"role": turn.role, "content": turn.content} for turn in request.turns()
    ]
    if request.attachments:
        text = {"type": "text", "text": messages[-1]["content"]}
        messages[-1]["content"] = [*(_block(attachment) for attachment in request.attachments), text]
    return messages


def _block(attachment: Attachment) -> dict[str, Any]:
    source = {"type": "base64", "media_type": attachment.media_type, "data": attachment.data}
    if attachment.media_type != "application/pdf":
        return {"type": "image", "source": source}
    block: dict[str, Any] = {"type": "document", "source": source}
    if attachment.name is not None:
        block["title"] = attachment.name
    return block
