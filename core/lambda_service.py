"""The original document's facade, for any Python program (a Django app, say).

    from core.lambda_service import lambda_agent_service

    answer = lambda_agent_service.invoke_agent(provider="DEMO", model_name="demo-echo", prompt="Hello")
    print(answer["response"])

Every call is recorded as a run, with its tokens and its cost, unless `store=False`. Logging stays the
program's own; the loggers are named `agent_launcher.*`, and no key is in what they say.
"""

import atexit
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import JsonValue

from core.contract import AgentType, ReasoningEffort, error_response, parse_request
from core.environment import apply_dotenv
from core.errors import InvalidInput, InvalidRequest, InvocationError, NotFound
from core.execution.choice import BackendChoice
from core.forks import renew_in_children
from core.loggers import ROOT
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.agents import config_of
from core.services.application import Application
from core.services.money import usd_text
from core.services.principal import LOCAL, Principal
from core.services.run_spec import counted_version
from core.services.runs import RunSpec, spec_of_request
from core.services.templating import literal
from core.settings import load_settings
from core.storage.records import Trigger


class LambdaAgentService:
    """Opens the store on the first call, with the settings of the environment and `.env`.

    Safe in threads, and in processes that are forked after a call (gunicorn's workers, multiprocessing): each
    opens the store for itself.

    Args:
        application: Instead of one that is opened on the first call; whoever gives it closes it.
        principal: Who asks.
    """

    def __init__(self, application: Application | None = None, *, principal: Principal = LOCAL) -> None:
        self._application = application
        self._principal = principal
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        self._inherited: list[Application] = []
        renew_in_children(self)

    def invoke_agent(
        self,
        *,
        provider: str | None = None,
        model_name: str | None = None,
        prompt: str | None = None,
        api_key: str | None = None,
        system_prompt: str | None = None,
        agent_type: AgentType | None = None,
        agent_name: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        context: Mapping[str, JsonValue] | None = None,
        messages: Sequence[Mapping[str, str]] | None = None,
        attachments: Sequence[Mapping[str, str]] | None = None,
        base_url: str | None = None,
        api_key_ref: str | None = None,
        top_p: float | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        response_schema: Mapping[str, JsonValue] | None = None,
        reasoning_effort: ReasoningEffort | None = None,
        timeout_seconds: float | None = None,
        agent: str | None = None,
        variables: Mapping[str, str] | None = None,
        backend: Literal["AUTO", "LAMBDA", "LOCAL"] | None = None,
        store: bool = True,
    ) -> dict[str, Any]:
        """Runs one request, or a stored agent, and returns the contract's response as a dict.

        Beside the contract's keys it has `run_id`, under which the run is stored, at the latest when a database that
        refused it takes it again (None if nothing ran, or with `store=False`), and `cost_usd`, exact decimal text
        such as "0.000031" for `decimal.Decimal` (None if no price is known, or nothing was sent): a number would
        become a float in Python, and the dict should be JSON as it is. A run that fails returns the
        contract's error, `{"error": {"code", "message", ...}, ...}`, as the function on Lambda does; nothing is
        raised for it.

        Texts are sent as they are: braces are no variables here, unless `variables` are given.

        Args:
            agent: A stored agent's name or id, instead of `provider` and `model_name`; its current version runs.
                What else is given goes before its own settings; a run with other settings counts for the agent, but
                for none of its versions.
            variables: Values for an agent's prompts, before those that it has itself.
            backend: Where it runs, instead of the agent's own choice: "AUTO" is AWS Lambda first where
                USE_LAMBDA_FOR_AGENT_EXECUTION is on, and here where Lambda completed nothing.

        Raises:
            StoreError, SecretUnreadable, SettingsError: This installation needs attention; nothing was sent.
        """
        payload = {
            "provider": provider,
            "model_name": model_name,
            "prompt": prompt,
            "api_key": api_key,
            "system_prompt": system_prompt,
            "agent_type": agent_type,
            "agent_name": agent_name,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "context": context,
            "messages": messages,
            "attachments": attachments,
            "base_url": base_url,
            "api_key_ref": api_key_ref,
            "top_p": top_p,
            "stop": stop,
            "seed": seed,
            "response_schema": response_schema,
            "reasoning_effort": reasoning_effort,
            "timeout_seconds": timeout_seconds,
        }
        given = {name: value for name, value in payload.items() if value is not None}
        application = self._open()
        try:
            if agent is not None:
                spec = self._spec_of_agent(application, agent, given, variables or {})
            elif variables:
                raise InvalidRequest("variables belong to an agent's prompts: give agent, too.")
            else:
                request = parse_request(given, providers=registry.specs())
                spec = spec_of_request(request, trigger=Trigger.PYTHON)
            if backend is not None:
                spec = replace(spec, backend=_choice(backend))
            outcome = application.runs.run(self._principal, spec, store=store)
        except (InvocationError, InvalidInput, NotFound) as exc:
            error = exc if isinstance(exc, InvocationError) else InvalidRequest(str(exc))
            response = error_response(error, provider=provider or "", model=model_name or "")
            return {**response.to_wire(), "run_id": None, "cost_usd": None}
        cost = None if outcome.cost_nanousd is None else usd_text(outcome.cost_nanousd)
        run_id = str(outcome.run_id) if store else None
        return {**outcome.response.to_wire(), "run_id": run_id, "cost_usd": cost}

    def _spec_of_agent(
        self, application: Application, name: str, given: Mapping[str, Any], variables: Mapping[str, str]
    ) -> RunSpec:
        fixed = [field for field in ("provider", "model_name", "agent_name") if field in given]
        if fixed:
            raise InvalidRequest(f"{', '.join(fixed)}: not beside agent, which has its own.")
        record = application.agents.find(self._principal, name)
        own = config_of(record.version).to_json()
        # Checked as a request of the contract, so that both ways take the same.
        asked = parse_request(
            {
                "prompt": "-",
                "agent_type": own["agent_type"],
                **given,
                "provider": own["provider"],
                "model_name": own["model_name"],
            },
            providers=registry.specs(),
        )
        spec = spec_of_request(asked, trigger=Trigger.PYTHON)
        own_fields = {field: value for field, value in given.items() if field in AgentConfig.model_fields}
        for field in ("prompt", "context"):
            own_fields.pop(field, None)
        if given.get("agent_type") == "chat":
            del own_fields["agent_type"]  # a way of asking, which changes no agent's kind
        if "system_prompt" in own_fields and not variables:
            own_fields["system_prompt"] = literal(own_fields["system_prompt"])
        prompt = given.get("prompt", "")
        spec = replace(
            spec,
            config=AgentConfig.parse({**own, **own_fields}),
            prompt=prompt if variables else literal(prompt),
            rendered=False,
            chat=given.get("agent_type") == "chat",
            variables=variables,
            agent_id=record.id,
            agent_name=record.name,
        )
        return replace(spec, agent_version_id=counted_version(spec, record.version))

    def after_fork(self) -> None:
        """See `core.forks`: another thread may be opening the store at this moment."""
        self._lock = threading.Lock()

    def _open(self) -> Application:
        with self._lock:
            if self._application is not None and self._process_id != os.getpid():
                # Kept: closing another process's connections, as forgetting them does, can harm the file.
                self._inherited.append(self._application)
                self._application = None
            if self._application is None:
                self._application, self._process_id = _open_here(), os.getpid()
            return self._application


def _choice(backend: str) -> BackendChoice:
    if backend not in BackendChoice.__members__:
        raise InvalidRequest(f"backend is {backend[:40]!r}; use one of {', '.join(BackendChoice)}.")
    return BackendChoice(backend)


def _open_here() -> Application:
    # The vendors' own variables (OPENAI_API_KEY) may stand in `.env` too.
    apply_dotenv()
    settings = load_settings()
    if "AGENT_LAUNCHER_LOG_LEVEL" in os.environ:
        logging.getLogger(ROOT).setLevel(settings.log_level)
    application = Application.open(settings, kind="python")
    # A fork's child opens its own, and must not close what it got from its parent.
    atexit.register(_close_in, os.getpid(), application)
    return application


def _close_in(process_id: int, application: Application) -> None:
    if os.getpid() == process_id:
        application.close()


lambda_agent_service = LambdaAgentService()
