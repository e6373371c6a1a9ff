"""`run`: one prompt, streamed or as JSON, stored and priced."""

import json
import signal
import stat
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from core.errors import (
    AgentLauncherError,
    Conflict,
    InternalError,
    InvalidInput,
    InvalidRequest,
    InvocationError,
    NotFound,
)
from dashboard import formatting
from dashboard.commands.session import (
    complain,
    discard_stdout,
    on_screen,
    open_application,
    print_json,
    provider_name,
    read_text,
    remark,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from core.contract import ErrorBody
    from core.services.application import Application
    from core.services.live_runs import LiveRun, RunOutcome
    from core.services.runs import RunSpec


def run(
    agent: Annotated[str | None, typer.Option(help="A stored agent, by name or id.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Instead of an agent: the provider, such as DEMO or OPENAI.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="With --provider: the model; for BEDROCK it may be in BEDROCK_MODEL_ID."),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="The prompt, a template; '-' or none reads standard input, which is taken as it is."
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt; replaces the agent's.")] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A {{variable}}'s value; repeatable. Makes standard input a template too.",
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON object, or @FILE; replaces the agent's.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Where the model takes one.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="A server that speaks the provider's protocol.")
    ] = None,
    credential: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="The stored key to use, by name or id; replaces the agent's choice."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, max=900, help="Seconds for the whole run.")
    ] = None,
    backend: Annotated[
        Literal["auto", "lambda", "local"] | None,
        typer.Option(help="Where it runs, instead of the agent's choice: auto is Lambda first if it is on."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the contract's response, with run_id and cost_usd.")
    ] = False,
) -> None:
    """Run a prompt, and store what it did and what it cost. Streams the answer, unless --json."""
    if bool(agent) == bool(provider):
        raise typer.BadParameter("give either --agent, or --provider with --model")
    if provider and not model:
        model = _model_of_the_environment(provider)
    if provider and not model:
        raise typer.BadParameter(
            "--provider needs --model; `agent-launcher models --provider ...` lists them"
        )
    if agent and (model or base_url):
        raise typer.BadParameter("--model and --base-url go with --provider: the agent has its own")
    from core.execution.choice import BackendChoice
    from core.services.principal import LOCAL

    variables = dict(_pair(text) for text in var or ())
    overrides = {
        "system_prompt": system,
        "context": _context(context),
        "max_tokens": max_tokens,
        "temperature": temperature,
        "timeout_seconds": timeout,
        "base_url": base_url,
    }
    try:
        text = _prompt(prompt, needed=not agent, is_template=bool(variables))
        with open_application() as application:
            if credential is not None:
                overrides["credential_id"] = application.credentials.find(LOCAL, credential).id
            spec = _spec(application, agent, provider, model, overrides, text, variables)
            if backend is not None:
                spec = replace(spec, backend=BackendChoice(backend.upper()))
            outcome = _run(application, spec, quiet=as_json)
    except AgentLauncherError as exc:
        _refuse(exc, provider=provider, model=model, as_json=as_json)
    if as_json:
        _print_outcome(outcome)
    else:
        _say(outcome)
    raise typer.Exit(0 if outcome.response.error is None else 1)


def _model_of_the_environment(provider: str) -> str | None:
    from core.providers import registry

    spec = registry.specs().get(provider)
    return None if spec is None else spec.model_of_the_environment()


def _spec(
    application: "Application",
    agent: str | None,
    provider: str | None,
    model: str | None,
    overrides: dict[str, Any],
    prompt: str,
    variables: dict[str, str],
) -> "RunSpec":
    from core.providers import registry
    from core.services.agent_config import AgentConfig
    from core.services.agents import config_of
    from core.services.principal import LOCAL
    from core.services.run_spec import RunSpec, counted_version
    from core.storage.records import Trigger

    given = {name: value for name, value in overrides.items() if value is not None}
    if agent:
        record = application.agents.find(LOCAL, agent)
        context = given.pop("context", None)
        spec = RunSpec(
            config=AgentConfig.parse({**config_of(record.version).to_json(), **given}),
            prompt=prompt,
            variables=variables,
            context=context,
            trigger=Trigger.CLI,
            agent_id=record.id,
            agent_name=record.name,
        )
        return replace(spec, agent_version_id=counted_version(spec, record.version))
    spec = registry.get_spec(provider or "")
    config = AgentConfig.parse({"provider": spec.name, "model_name": model, **given})
    return RunSpec(config=config, prompt=prompt, variables=variables, trigger=Trigger.CLI)


# Under way


def _run(application: "Application", spec: "RunSpec", *, quiet: bool) -> "RunOutcome":
    """Runs it in a thread of the run service, so that Ctrl+C never breaks into the middle of storing it."""
    from core.services.principal import LOCAL

    with _Stopper().installed() as stopper:
        live = application.runs.start(LOCAL, spec)
        stopper.watch(live)
        if not quiet:
            _stream(live)
        while (outcome := live.wait(1.0)) is None:
            pass
    return outcome


def _stream(live: "LiveRun") -> None:
    shown = False
    try:
        for piece in live.stream():
            typer.echo(on_screen(piece), nl=False)
            shown = True
        answer = live.outcome.response.response if live.outcome else None
        if answer and not shown:  # from a backend that cannot stream
            typer.echo(on_screen(answer), nl=False)
        if answer and not answer.endswith("\n"):
            typer.echo("")
    except BrokenPipeError:
        # Nobody reads the answer any more: it need not be written, or paid for, to its end.
        live.cancel.cancel()
        discard_stdout()


class _Stopper:
    """Ctrl+C, and a polite end from outside (SIGTERM, SIGHUP), stop the run; the second time, this process.

    The handler raises nothing: the run then ends by itself, as CANCELLED, with what was received until then.
    """

    def __init__(self) -> None:
        self._live: LiveRun | None = None
        self._asked = False

    @contextmanager
    def installed(self) -> "Iterator[_Stopper]":
        """Listens to signals for the length of the block."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._on_signal)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def watch(self, live: "LiveRun") -> None:
        """The run to stop."""
        self._live = live
        if self._asked:
            live.cancel.cancel()

    def _on_signal(self, number: int, frame: "FrameType | None") -> None:
        del number, frame
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if self._live is not None:
            self._live.cancel.cancel()


# The end


def _print_outcome(outcome: "RunOutcome") -> None:
    from core.services.money import usd

    cost = None if outcome.cost_nanousd is None else usd(outcome.cost_nanousd)
    print_json({**outcome.response.to_wire(), "run_id": str(outcome.run_id), "cost_usd": cost})
    _say_if_not_stored(outcome)


def _say(outcome: "RunOutcome") -> None:
    from core.storage.records import Backend

    response, usage = outcome.response, outcome.response.token_usage
    facts = [
        f"{provider_name(response.provider)} {response.model}",
        outcome.status.value,
        formatting.duration(outcome.latency_us),
        f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"
        if usage
        else _without_usage(response.error),
        f"cost {formatting.money(outcome.cost_nanousd)}",
        f"run {outcome.run_id}",
    ]
    if outcome.records[-1].backend is Backend.LAMBDA:
        facts.insert(1, "on AWS Lambda")
    remark(" · ".join(facts), dim=True)
    if outcome.fell_back_from is not None:
        remark(_why_it_fell_back(outcome), dim=True)
    elif outcome.backend_note is not None:
        remark(outcome.backend_note, dim=True)
    if response.error is not None:
        complain(f"{response.error.code.value}: {response.error.message}")
    _say_if_not_stored(outcome)


def _why_it_fell_back(outcome: "RunOutcome") -> str:
    failed = outcome.records[0]
    because = outcome.backend_note or f"{failed.error_code}: {failed.error_message}"
    return f"Ran here instead of on AWS Lambda. {because}"


def _without_usage(error: "ErrorBody | None") -> str:
    return "no tokens" if error is not None and error.may_be_billed is False else "tokens unknown"


def _say_if_not_stored(outcome: "RunOutcome") -> None:
    if outcome.store_error:
        complain(f"this run could not be stored. {outcome.store_error}")


def _refuse(exc: AgentLauncherError, *, provider: str | None, model: str | None, as_json: bool) -> NoReturn:
    """Nothing was sent: says why, with --json in the contract's form."""
    if as_json:
        from core.contract import error_response

        match exc:
            case InvocationError():
                error = exc
            case NotFound() | InvalidInput() | Conflict():
                error = InvalidRequest(str(exc))
            case _:  # this installation: its settings, master key or database
                error = InternalError(str(exc), sent=False)
        response = error_response(error, provider=provider or "", model=model or "").to_wire()
        print_json({**response, "run_id": None, "cost_usd": None})
    else:
        complain(str(exc))
    raise typer.Exit(1)


# What was typed


def _prompt(given: str | None, *, needed: bool, is_template: bool) -> str:
    if given not in (None, "-"):
        return given or ""
    if given is None:
        if sys.stdin is None or sys.stdin.isatty():
            if needed:
                raise typer.BadParameter("give --prompt, or pipe the prompt to standard input")
            return ""
        # A scheduler's job has an empty or closed standard input: the agent's own prompt serves.
        if not needed and not _has_piped_text():
            return ""
    from core.services.templating import literal

    text = read_text("The prompt on standard input").rstrip("\r\n")
    return text if is_template else literal(text)


def _has_piped_text() -> bool:
    try:
        found = Path("/dev/stdin").stat()
    except OSError:
        return False
    return stat.S_ISFIFO(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size > 0)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise typer.BadParameter(f"--var takes NAME=VALUE, not {text!r}")
    return name, value


def _context(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        if text.startswith("@"):
            text = read_text(text[1:], file=text[1:])
        value = json.loads(text)
    except InvalidInput as exc:
        raise typer.BadParameter(f"--context: {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise typer.BadParameter(f"--context is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise typer.BadParameter("--context takes a JSON object, such as '{\"customer\": 7}'")
    return value
