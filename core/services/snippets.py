"""A run as text to paste elsewhere: a `curl` command, Python, our command line. Never with a key.

All three ask for the same answer. `curl` asks the vendor itself, with the body that our provider sends; the
other two go through Agent Launcher, which finds the key, stores the run and prices it.

No text sends a vendor's own key to another server, as no run does (`core.providers.keys.resolve_api_key`).
"""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pprint import pformat
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from core.contract import AgentRequest, Attachment
from core.execution.choice import BackendChoice
from core.providers import registry
from core.providers.addresses import is_this_machine
from core.providers.keys import may_have_own_key
from core.providers.spec import ProviderSpec
from core.services.run_spec import RunSpec
from core.services.templating import literal

INLINE_BODY_BYTES: Final = 64 * 1024
"""A longer body (attachments) goes into a file beside the command."""
BODY_FILE: Final = "request.json"
OTHER_SERVERS_KEY: Final = "API_KEY"
"""The variable that a text names for a server to which the vendor's own key is not sent."""

_WIDTH: Final = 88
_COMMAND_LINE_OPTIONS: Final[Mapping[str, str]] = {
    "max_tokens": "--max-tokens",
    "temperature": "--temperature",
    "base_url": "--base-url",
    "credential_id": "--credential",
    "timeout_seconds": "--timeout",
}
_NOT_ON_THE_COMMAND_LINE: Final = ("top_p", "stop", "seed", "reasoning_effort", "response_schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Text to paste.

    Attributes:
        text: The command or program.
        body: The content of `BODY_FILE`, which the command reads; None if it needs no file.
        missing: What of the request the text cannot say, by the contract's names.
    """

    text: str
    body: str | None = None
    missing: tuple[str, ...] = ()


def curl(request: AgentRequest) -> Snippet | None:
    """The vendor's own API, asked without streaming; None for a provider that has none, as far as known."""
    match request.provider:
        case "OPENAI":
            from core.providers.openai_wire import render

            spec = registry.get_spec(request.provider)
            address = spec.base_url_in_force(request.base_url) or spec.own_base_url or ""
            variable, comment = _key_variable(spec, request)
            headers = [f'"Authorization: Bearer ${variable}"', "'Content-Type: application/json'"]
            snippet = _post(_below(address, "/chat/completions"), headers, render(request, stream=False))
            return replace(snippet, text=comment + snippet.text)
        case "ANTHROPIC":
            from core.providers import anthropic_wire

            spec = registry.get_spec(request.provider)
            address = anthropic_wire.root(spec.base_url_in_force(request.base_url) or spec.own_base_url or "")
            variable, comment = _key_variable(spec, request)
            body = anthropic_wire.render(request, stream=False)
            headers = [
                f'"Authorization: Bearer ${variable}"',
                f"'anthropic-version: {anthropic_wire.api_version(body)}'",
                "'Content-Type: application/json'",
            ]
            snippet = _post(_below(address, "/v1/messages"), headers, body)
            return replace(snippet, text=comment + snippet.text)
        case "GEMINI":
            from core.providers import gemini_wire

            spec = registry.get_spec(request.provider)
            address = spec.base_url_in_force(request.base_url) or spec.own_base_url or ""
            variable, comment = _key_variable(spec, request)
            headers = [f'"x-goog-api-key: ${variable}"', "'Content-Type: application/json'"]
            server, version = gemini_wire.split_version(address)
            path = f"/{version}/{gemini_wire.resource_of(request.model_name)}:generateContent"
            snippet = _post(_below(server, path), headers, gemini_wire.render(request))
            return replace(snippet, text=comment + snippet.text)
        case "OLLAMA":
            from core.providers import ollama_wire

            spec = registry.get_spec(request.provider)
            address = spec.base_url_in_force(request.base_url) or spec.own_base_url or ""
            headers, comment = ["'Content-Type: application/json'"], ""
            if not is_this_machine(address) or request.api_key_ref or spec.key_variable_in_force():
                variable, comment = _key_variable(spec, request)
                headers.insert(0, f'"Authorization: Bearer ${variable}"')
            snippet = _post(f"{address}/api/chat", headers, ollama_wire.render(request, stream=False))
            return replace(snippet, text=comment + snippet.text)
        case "BEDROCK":
            from core.providers import bedrock, bedrock_wire

            spec = registry.get_spec(request.provider)
            server = spec.base_url_in_force(request.base_url)
            region = bedrock.region_of(request.model_name, server) or "us-east-1"
            address = server or f"https://bedrock-runtime.{region}.amazonaws.com"
            comment = ""
            if request.api_key_ref is None and bedrock.signs(request.base_url):
                headers = _signed(region)
            else:
                variable, comment = _key_variable(spec, request)
                headers = [f'"Authorization: Bearer ${variable}"']
            body = bedrock_wire.as_json(bedrock_wire.render(request, model=request.model_name))
            path = f"/model/{quote(request.model_name, safe='')}/converse"
            snippet = _post(_below(address, path), [*headers, "'Content-Type: application/json'"], body)
            return replace(snippet, text=comment + snippet.text)
        case _:
            return None


def _signed(region: str) -> list[str]:
    """What has curl sign with the AWS credentials of the environment; without a session its header is left out."""
    return [
        f'"x-amz-security-token: $AWS_SESSION_TOKEN" --aws-sigv4 aws:amz:{region}:bedrock '
        '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
    ]


def _key_variable(spec: ProviderSpec, request: AgentRequest) -> tuple[str, str]:
    """The environment variable that holds the key for where the request goes, and a comment about it."""
    if request.api_key_ref is not None and request.api_key_ref.startswith("env:"):
        return request.api_key_ref.removeprefix("env:"), ""
    if may_have_own_key(spec, request.base_url, os.environ):
        return spec.key_variable_in_force() or spec.api_key_variable or OTHER_SERVERS_KEY, ""
    return OTHER_SERVERS_KEY, f"# {OTHER_SERVERS_KEY}: the key of this server, if it wants one.\n"


def _below(base_url: str, path: str) -> str:
    """The address of `path` on a server whose base URL may have a query (Azure's `api-version`)."""
    address, _, query = base_url.partition("?")
    query = urlencode(dict(parse_qsl(query)))
    return f"{address.rstrip('/')}{path}" + (f"?{query}" if query else "")


def python(request: AgentRequest) -> Snippet:
    """A program that asks through `lambda_agent_service`, which finds the key and stores the run."""
    fields = request.to_public()
    for name in ("attachments", "api_key_ref", "contract_version"):
        fields.pop(name, None)
    if request.agent_type == "one-shot":
        del fields["agent_type"]
    files = [_as_python(number, item) for number, item in enumerate(request.attachments or (), start=1)]
    lines = ["from core.lambda_service import lambda_agent_service"]
    if files:
        lines = ["import base64", "from pathlib import Path", "", *lines]
    lines += ["", "answer = lambda_agent_service.invoke_agent("]
    lines += [f"    {name}={_literal(value)}," for name, value in fields.items()]
    spec = registry.get_spec(request.provider)
    if request.base_url is not None and not may_have_own_key(spec, request.base_url, os.environ):
        lines.append(f"    # Where no key is stored for this server: api_key_ref='env:{OTHER_SERVERS_KEY}',")
    if files:
        lines += ["    attachments=[", *files, "    ],"]
    lines += [")", 'print(answer["response"])', ""]
    return Snippet(text="\n".join(lines))


def command_line(spec: RunSpec, *, by_agent: bool) -> Snippet:
    """The `agent-launcher run` command.

    Args:
        spec: What to run.
        by_agent: Name the agent, which the command runs in its current version, instead of the configuration.
    """
    config = spec.config
    arguments: list[tuple[str, str]] = []
    missing: list[str] = []
    prompt, system_prompt = spec.prompt or config.prompt, config.system_prompt
    if spec.rendered:
        prompt, system_prompt = literal(prompt), literal(system_prompt)
    if by_agent:
        arguments.append(("--agent", spec.agent_name or ""))
        if prompt != config.prompt:
            arguments.append(("--prompt", prompt))
    else:
        arguments += [("--provider", config.provider), ("--model", config.model_name)]
        if config.credential_id is not None:
            arguments.append(("--credential", str(config.credential_id)))
        if system_prompt:
            arguments.append(("--system", system_prompt))
        arguments.append(("--prompt", prompt))
    standing = config.variables or {}
    values = {**({} if by_agent else standing), **spec.variables}
    arguments += [
        ("--var", f"{name}={value}")
        for name, value in values.items()
        if not by_agent or standing.get(name) != value
    ]
    context = config.context if spec.context is None and not by_agent else spec.context
    if context:
        arguments.append(("--context", json.dumps(dict(context), ensure_ascii=False)))
    if not by_agent:
        arguments += [
            (option, _number(value))
            for name, option in _COMMAND_LINE_OPTIONS.items()
            if (value := getattr(config, name)) is not None
        ]
        missing += [name for name in _NOT_ON_THE_COMMAND_LINE if getattr(config, name) is not None]
    if (choice := spec.backend or (None if by_agent else config.backend)) not in (None, BackendChoice.AUTO):
        arguments.append(("--backend", choice.value.lower()))
    missing += [
        name for name, value in (("messages", spec.messages), ("attachments", spec.attachments)) if value
    ]
    return Snippet(text=_command(["agent-launcher", "run"], arguments), missing=tuple(missing))


def _post(url: str, headers: Sequence[str], body: Mapping[str, Any]) -> Snippet:
    text = json.dumps(body, ensure_ascii=False, indent=2)
    lines = [f"curl {shlex.quote(url)}", *(f"-H {header}" for header in headers)]
    if len(text.encode()) > INLINE_BODY_BYTES:
        return Snippet(text=" \\\n  ".join([*lines, f"--data-binary @{BODY_FILE}"]) + "\n", body=text)
    # A here-document needs no quoting inside, and JSON has no line that is only its end mark.
    return Snippet(text=" \\\n  ".join([*lines, "--data-binary @- <<'JSON'"]) + f"\n{text}\nJSON\n")


def _command(words: Sequence[str], arguments: Sequence[tuple[str, str]]) -> str:
    pieces = [" ".join(words), *(_argument(option, value) for option, value in arguments)]
    line = " ".join(pieces)
    return (line if len(line) <= _WIDTH and "\n" not in line else " \\\n  ".join(pieces)) + "\n"


def _argument(option: str, value: str) -> str:
    # A value that begins with a dash could be taken for an option.
    return f"{option}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _literal(value: object) -> str:
    text = pformat(value, width=_WIDTH - 8, sort_dicts=False)
    return text.replace("\n", "\n    ")


def _as_python(number: int, attachment: Attachment) -> str:
    name = attachment.name or f"attachment-{number}"
    return (
        "        {"
        f'"media_type": {attachment.media_type!r}, "name": {name!r}, '
        f'"data": base64.b64encode(Path({name!r}).read_bytes()).decode()'
        "},"
    )
