"""What to run: a configuration, and what is asked. And how that becomes a request of the contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from core.contract import AgentRequest, Attachment, Message, parse_request
from core.execution.choice import BackendChoice
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.credentials import ResolvedKey
from core.services.templating import render_all
from core.storage.records import AgentVersionRecord, Trigger

_NOT_SENT: Final = {name: AgentConfig.model_fields[name].default for name in ("backend", "retry_on_unknown")}
"""What a configuration says beside the request, and what it is where nothing was chosen."""
_TYPED: Final = tuple(
    name
    for name in AgentConfig.model_fields
    if name not in {"provider", "model_name", "prompt", "context", *_NOT_SENT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to run.

    Attributes:
        prompt: May hold `{{variables}}`; empty for the configuration's own prompt, or for `messages` that end with
            the question.
        variables: They go before the configuration's own values.
        rendered: The prompts are final text, and braces in them are just braces.
        chat: It is a turn of a chat, whatever the configuration's own kind is; so are all with `messages`.
        context: Replaces the configuration's context when not None.
        api_key: For this run only; never stored.
        api_key_ref: Where the backend finds the key, as in the contract; no stored key serves then.
        agent_id, agent_version_id, agent_name: Which stored agent this is, if it is one.
        group_id: The runs that stand side by side.
        asked: What was typed for the run that this one repeats, as `asked_of` says it.
        backend: Where this run goes, instead of the configuration's choice; it is still a run of the agent's version.
    """

    config: AgentConfig
    prompt: str = ""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    rendered: bool = False
    chat: bool = False
    messages: Sequence[Message] = ()
    attachments: Sequence[Attachment] = ()
    context: Mapping[str, Any] | None = None
    trigger: Trigger = Trigger.PYTHON
    api_key: str | None = field(default=None, repr=False)
    api_key_ref: str | None = None
    agent_id: UUID | None = None
    agent_version_id: UUID | None = None
    agent_name: str | None = None
    group_id: UUID | None = None
    replay_of: UUID | None = None
    asked: Mapping[str, Any] | None = None
    backend: BackendChoice | None = None

    @property
    def choice(self) -> BackendChoice:
        """Where it may run."""
        return self.config.backend if self.backend is None else self.backend

    @property
    def template(self) -> str:
        """The prompt that is asked, as it was typed; empty where the last message is the question."""
        if self.prompt:
            return self.prompt
        ends_with_question = bool(self.messages) and self.messages[-1].role == "user"
        return "" if ends_with_question else self.config.prompt


def request_of(spec: RunSpec, *, key: ResolvedKey, default_timeout_seconds: float) -> AgentRequest:
    """The request that the spec asks for, with its texts rendered.

    Args:
        spec: What to run.
        key: Whose secret and base URL serve.
        default_timeout_seconds: For a configuration without one.

    Raises:
        MissingValues: Variables without a value, all of them.
        InvalidRequest: A template that cannot be rendered, or a value that the contract does not take.
        UnknownProvider: As it says.
    """
    config = spec.config
    prompt, system_prompt = spec.template, config.system_prompt
    if not spec.rendered:
        values = {**(config.variables or {}), **spec.variables}
        texts = render_all({"prompt": prompt, "system prompt": system_prompt}, values)
        prompt, system_prompt = texts["prompt"], texts["system prompt"]
    wire: dict[str, Any] = {
        "provider": config.provider,
        "model_name": config.model_name,
        "agent_type": "chat" if spec.messages or spec.chat else config.agent_type,
        "agent_name": spec.agent_name,
        "api_key": key.secret,
        "api_key_ref": spec.api_key_ref,
        "prompt": prompt or None,
        "system_prompt": system_prompt or None,
        "context": config.context if spec.context is None else dict(spec.context) or None,
        "messages": [message.model_dump() for message in spec.messages] or None,
        "attachments": [attachment.model_dump() for attachment in spec.attachments] or None,
        "base_url": config.base_url or key.base_url,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "stop": config.stop,
        "seed": config.seed,
        "reasoning_effort": config.reasoning_effort,
        "response_schema": config.response_schema,
        "timeout_seconds": config.timeout_seconds or default_timeout_seconds,
    }
    return parse_request({k: v for k, v in wire.items() if v is not None}, providers=registry.specs())


def counted_version(spec: RunSpec, version: AgentVersionRecord) -> UUID | None:
    """For `RunSpec.agent_version_id`: the version's id, or None where the spec replaces what the version says.

    A prompt or a context that the version leaves open, and a question to an agent that chats, replace nothing.

    Raises:
        InvalidInput: The version holds what is no longer known.
    """
    own = AgentConfig.parse(version.config)
    replaced: dict[str, Any] = {}
    if spec.prompt and own.prompt and own.agent_type != "chat":
        replaced["prompt"] = spec.prompt
    if spec.context is not None and own.context:
        replaced["context"] = dict(spec.context)
    config = spec.config.model_copy(update=replaced)
    return version.id if config.is_of(own, chat=spec.chat or bool(spec.messages)) else None


def spec_of_request(request: AgentRequest, *, trigger: Trigger) -> RunSpec:
    """A request of the contract as something to run: its texts are final, braces in them are just braces."""
    fields = {
        name: getattr(request, name) for name in AgentConfig.model_fields if name in AgentRequest.model_fields
    }
    # Those two are asked with each run, not configured.
    del fields["prompt"], fields["context"]
    fields["system_prompt"] = request.system_prompt or ""
    return RunSpec(
        config=AgentConfig(**fields),
        prompt=request.prompt or "",
        rendered=True,
        messages=tuple(request.messages or ()),
        attachments=tuple(request.attachments or ()),
        context=request.context,
        trigger=trigger,
        api_key=request.api_key.get_secret_value() if request.api_key else None,
        api_key_ref=request.api_key_ref,
        agent_name=request.agent_name,
    )


def asked_of(spec: RunSpec, request: AgentRequest) -> Mapping[str, Any]:
    """What was typed, where the request shows only what became of it, as JSON: templates, values, what was left unset.

    Args:
        spec: What was asked.
        request: What `request_of` made of it.
    """
    where = {} if spec.backend is None else {"backend": spec.backend.value}
    if spec.asked is not None:
        return {**spec.asked, **where}
    config = spec.config
    typed = {name for name in _TYPED if _differs(getattr(config, name), getattr(request, name, None))}
    typed |= {name for name, unset in _NOT_SENT.items() if getattr(config, name) != unset}
    template = spec.template
    asked: dict[str, Any] = {
        "rendered": spec.rendered,
        "chat": spec.chat,
        "config": config.model_dump(mode="json", include=typed) if typed else {},
        "prompt": None if template == (request.prompt or "") else template,
        # Not what this run asked, but a part of its configuration all the same: in a chat, say.
        "own_prompt": config.prompt if config.prompt != template else "",
        "variables": dict(spec.variables),
        **where,
    }
    return {name: value for name, value in asked.items() if value}


def as_asked(sent: RunSpec, asked: Mapping[str, Any]) -> RunSpec:
    """What was typed for a run.

    Args:
        sent: Its stored request, by `spec_of_request`, with the credential that would serve it.
        asked: What `asked_of` said of it.
    """
    known = (*_TYPED, *_NOT_SENT)
    typed = {name: value for name, value in asked.get("config", {}).items() if name in known}
    # One that was not named was found; one that was named may be gone, and `sent` has what stands in for it.
    typed["credential_id"] = sent.config.credential_id if "credential_id" in typed else None
    config = AgentConfig.parse({**sent.config.to_json(), **typed, "prompt": asked.get("own_prompt", "")})
    return replace(
        sent,
        config=config,
        prompt=asked.get("prompt", sent.prompt),
        variables=asked.get("variables", {}),
        rendered=asked.get("rendered", False),
        chat=asked.get("chat", False),
        backend=backend_asked(asked),
    )


def backend_asked(asked: Mapping[str, Any]) -> BackendChoice | None:
    """What `asked_of` kept of a run's own choice of where to run."""
    name = asked.get("backend")
    return BackendChoice(name) if name in BackendChoice.__members__ else None


def as_chosen(spec: RunSpec, asked: Mapping[str, Any]) -> RunSpec:
    """The same request, to run where a run was asked to run, of which `asked_of` kept this."""
    own = {name: value for name, value in asked.get("config", {}).items() if name in _NOT_SENT}
    config = AgentConfig.parse({**spec.config.to_json(), **own}) if own else spec.config
    return replace(spec, config=config, backend=backend_asked(asked))


def _differs(typed: object, sent: object) -> bool:
    return typed != sent and not (typed in (None, "") and sent is None)
