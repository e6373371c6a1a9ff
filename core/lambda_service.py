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
from typing import Any

from pydantic import JsonValue

from core.contract import AgentType, ReasoningEffort, error_response, parse_request
from core.environment import apply_dotenv
from core.errors import InvalidInput, InvalidRequest, InvocationError
from core.loggers import ROOT
from core.providers import registry
from core.services.application import Application
from core.services.principal import LOCAL, Principal
from core.services.runs import spec_of_request
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

    def invoke_agent(
        self,
        *,
        provider: str,
        model_name: str,
        prompt: str | None = None,
        api_key: str | None = None,
        system_prompt: str | None = None,
        agent_type: AgentType = "one-shot",
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
        store: bool = True,
    ) -> dict[str, Any]:
        """Runs one request and returns the contract's response as a dict.

        Texts are sent as they are: braces are no variables here. A run that fails returns the contract's
        error, `{"error": {"code", "message", ...}, ...}`, as the function on Lambda does; nothing is raised
        for it.

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
        application = self._open()
        try:
            request = parse_request(
                {k: v for k, v in payload.items() if v is not None}, providers=registry.specs()
            )
            spec = spec_of_request(request, trigger=Trigger.PYTHON)
            outcome = application.runs.run(self._principal, spec, store=store)
        except (InvocationError, InvalidInput) as exc:
            error = exc if isinstance(exc, InvocationError) else InvalidRequest(str(exc))
            return error_response(error, provider=provider, model=model_name).to_wire()
        return outcome.response.to_wire()

    def _open(self) -> Application:
        with self._lock:
            if self._application is not None and self._process_id != os.getpid():
                # Kept: closing another process's connections, as forgetting them does, can harm the file.
                self._inherited.append(self._application)
                self._application = None
            if self._application is None:
                self._application, self._process_id = _open_here(), os.getpid()
            return self._application


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
