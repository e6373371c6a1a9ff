"""`run`, and `runs list | show | export`."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from core.contract import error_response, utc_now
from core.errors import AgentLauncherError, InvalidRequest, InvocationError, NotFound
from core.services.export import ExportFormat, export_runs
from core.services.money import usd_text
from core.services.principal import LOCAL
from core.storage.records import RunFilter, RunStatus, RunSummary, Trigger
from dashboard import formatting
from dashboard.commands.session import open_application, print_json, print_table, stderr
from dashboard.commands.times import moment

if TYPE_CHECKING:
    from core.services.application import Application
    from core.services.live_runs import LiveRun, RunOutcome
    from core.services.runs import RunSpec

app = typer.Typer(no_args_is_help=True)


def run(
    agent: Annotated[str | None, typer.Option(help="A stored agent, by name or id.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Instead of an agent: the provider, such as DEMO or OPENAI.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --provider: the model.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The prompt; '-' or none reads standard input.")] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt; replaces the agent's.")] = None,
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A {{variable}}'s value; repeatable.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="A JSON object, or @FILE; replaces the agent's.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Where the model takes one.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="A server that speaks the provider's protocol.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, max=900, help="Seconds for the whole run.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the contract's response, with run_id and cost_usd.")
    ] = False,
) -> None:
    """Run a prompt, and store what it did and what it cost. Streams the answer, unless --json."""
    if bool(agent) == bool(provider):
        raise typer.BadParameter("give either --agent, or --provider with --model")
    if provider and not model:
        raise typer.BadParameter(
            "--provider needs --model; `agent-launcher models --provider ...` lists them"
        )
    if agent and (model or base_url):
        raise typer.BadParameter("--model and --base-url go with --provider: the agent has its own")
    overrides = {
        "system_prompt": system,
        "context": _context(context),
        "max_tokens": max_tokens,
        "temperature": temperature,
        "timeout_seconds": timeout,
        "base_url": base_url,
    }
    variables = dict(_pair(text) for text in var or ())
    with open_application() as application:
        try:
            spec = _spec(
                application, agent, provider, model, overrides, _prompt(prompt, needed=not agent), variables
            )
            live = application.runs.start(LOCAL, spec)
        except AgentLauncherError as exc:
            _refuse(exc, provider=provider, model=model, as_json=as_json)
        outcome = _follow(application, live, quiet=as_json)
        if as_json:
            cost = None if outcome.cost_nanousd is None else float(usd_text(outcome.cost_nanousd))
            print_json({**outcome.response.to_wire(), "run_id": str(outcome.run_id), "cost_usd": cost})
        else:
            _say(outcome)
    raise typer.Exit(0 if outcome.status is RunStatus.SUCCEEDED else 1)


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
    from core.services.runs import RunSpec

    given = {name: value for name, value in overrides.items() if value is not None}
    if agent:
        record = application.agents.find(LOCAL, agent)
        return RunSpec(
            config=config_of(record.version).model_copy(update=given),
            prompt=prompt,
            variables=variables,
            trigger=Trigger.CLI,
            agent_id=record.id,
            agent_version_id=record.version.id,
            agent_name=record.name,
        )
    spec = registry.get_spec(provider or "")
    config = AgentConfig.parse({"provider": spec.name, "model_name": model, **given})
    return RunSpec(config=config, prompt=prompt, variables=variables, trigger=Trigger.CLI)


def _follow(application: "Application", live: "LiveRun", *, quiet: bool) -> "RunOutcome":
    try:
        if not quiet:
            for piece in live.stream():
                typer.echo(piece, nl=False)
        while (outcome := live.wait(0.5)) is None:
            pass
    except KeyboardInterrupt:
        application.runs.stop(LOCAL, live.run_id)
        stopped = live.wait(10)
        if stopped is None:
            raise
        return stopped
    return outcome


def _say(outcome: "RunOutcome") -> None:
    response = outcome.response
    if response.response and sys.stdout.isatty():
        typer.echo("")
    usage = response.token_usage
    tokens = f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens" if usage else "tokens unknown"
    facts = [
        outcome.status.value,
        formatting.duration(outcome.latency_us),
        tokens,
        f"cost {formatting.money(outcome.cost_nanousd)}",
        f"run {outcome.run_id}",
    ]
    stderr.print("\n" + " · ".join(facts), style="dim", markup=False)
    if response.error is not None:
        stderr.print(f"{response.error.code.value}: {response.error.message}", style="red", markup=False)
    if outcome.store_error:
        stderr.print(f"This run could not be stored: {outcome.store_error}", style="red", markup=False)


def _refuse(exc: AgentLauncherError, *, provider: str | None, model: str | None, as_json: bool) -> None:
    if as_json:
        error = exc if isinstance(exc, InvocationError) else InvalidRequest(str(exc))
        print_json(error_response(error, provider=provider or "", model=model or "").to_wire())
    else:
        stderr.print(f"agent-launcher: {exc}", style="red", markup=False)
    raise typer.Exit(1)


def _prompt(given: str | None, *, needed: bool) -> str:
    if given is not None and given != "-":
        return given
    if sys.stdin.isatty():
        if given is None and not needed:
            return ""
        if given is None:
            raise typer.BadParameter("give --prompt, or pipe the prompt to standard input")
    if given is None and not needed:
        # A scheduler's job or a test has an empty or closed standard input: the agent's own prompt serves.
        return sys.stdin.read().strip() if _has_piped_text() else ""
    return sys.stdin.read()


def _has_piped_text() -> bool:
    import stat

    try:
        mode = Path("/dev/stdin").stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and Path("/dev/stdin").stat().st_size > 0)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise typer.BadParameter(f"--var takes NAME=VALUE, not {text!r}")
    return name, value


def _context(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise typer.BadParameter(f"--context: {text[1:]} cannot be read: {exc}") from exc
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise typer.BadParameter(f"--context is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise typer.BadParameter("--context takes a JSON object, such as '{\"customer\": 7}'")
    return value


# Stored runs

Since = Annotated[str | None, typer.Option(metavar="TIME", help="From this time on: 2026-11-01, 24h, 7d.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")]
Agent = Annotated[str | None, typer.Option(help="Only this agent's, by name or id.")]
Provider = Annotated[str | None, typer.Option(help="Only this provider's.")]
Model = Annotated[str | None, typer.Option(help="Only this model's.")]
Status = Annotated[RunStatus | None, typer.Option(case_sensitive=False, help="Only with this status.")]


@app.command("list")
def list_runs(
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    provider: Provider = None,
    model: Model = None,
    status: Status = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List stored runs, newest first."""
    with open_application() as application:
        run_filter = _filter(application, since, until, agent, provider, model, status)
        page = application.runs.page(LOCAL, run_filter, limit=limit)
    if as_json:
        print_json([_as_json(run) for run in page.runs])
        return
    now = utc_now()
    columns = ("run", "when", "status", "agent", "provider", "model", "latency", "tokens", "cost")
    rows = [
        (
            str(run.id),
            formatting.ago(run.created_at, now),
            run.status.value,
            run.agent_name or formatting.NO_VALUE,
            run.provider,
            run.model,
            formatting.duration(run.latency_us),
            formatting.count(
                None if run.input_tokens is None else run.input_tokens + (run.output_tokens or 0)
            ),
            formatting.money(run.cost_nanousd),
        )
        for run in page.runs
    ]
    print_table(
        columns,
        rows,
        right=("latency", "tokens", "cost"),
        empty="No runs match. `agent-launcher run` makes one.",
    )
    if page.next_cursor:
        stderr.print(f"The newest {limit}; --limit shows more, `runs export` has all.")


@app.command("show")
def show_run(
    run_id: Annotated[UUID, typer.Argument(help="The run's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every attempt.")] = False,
) -> None:
    """Show a run: what was asked, what came back, each attempt."""
    with open_application() as application:
        try:
            detail = application.runs.get(LOCAL, run_id)
        except NotFound as exc:
            stderr.print(f"agent-launcher: {exc}", style="red", markup=False)
            raise typer.Exit(1) from None
    if as_json:
        from dataclasses import asdict

        attempts = [asdict(attempt) for attempt in detail.attempts]
        shown = {**_as_json(detail.summary), "request": dict(detail.request), "response": detail.response}
        print_json({**shown, "error_message": detail.error_message, "attempts": attempts})
        return
    run = detail.summary
    facts = {
        "run": str(run.id),
        "status": run.status.value,
        "agent": run.agent_name or formatting.NO_VALUE,
        "model": f"{run.provider} {run.model}",
        "started": run.created_at.isoformat(timespec="seconds"),
        "latency": formatting.duration(run.latency_us),
        "tokens": f"{formatting.count(run.input_tokens)} in, {formatting.count(run.output_tokens)} out",
        "cost": formatting.money(run.cost_nanousd),
    }
    for name, value in facts.items():
        typer.echo(f"{name:>8}  {value}")
    for attempt in detail.attempts:
        outcome = attempt.error_code or attempt.status.value
        typer.echo(
            f"{'attempt':>8}  {attempt.ordinal} on {attempt.backend.value}: {outcome}, {formatting.duration(attempt.latency_us)}"
        )
    if detail.error_message:
        typer.echo(f"{'error':>8}  {detail.error_message}")
    typer.echo(f"\nPrompt\n{detail.request.get('prompt') or ''}\n\nAnswer\n{detail.response or ''}")


@app.command("export")
def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output if none.")
    ] = None,
    form: Annotated[ExportFormat, typer.Option("--format", help="csv or jsonl.")] = "csv",
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    provider: Provider = None,
    model: Model = None,
    status: Status = None,
) -> None:
    """Export stored runs as CSV or JSON lines, in constant memory."""
    from rich.progress import Progress

    with open_application() as application:
        run_filter = _filter(application, since, until, agent, provider, model, status)
        total = application.runs.count(LOCAL, run_filter)
        target = sys.stdout.buffer if output is None else output.open("wb")
        with target, Progress(console=stderr, transient=True) as progress:
            task = progress.add_task("Exporting runs", total=total)
            pieces = export_runs(
                application.runs,
                LOCAL,
                run_filter,
                form=form,
                on_progress=lambda done: progress.update(task, completed=done),
            )
            for piece in pieces:
                target.write(piece)
    if output is not None:
        stderr.print(f"{total:,} runs written to {output}", markup=False)


def _filter(
    application: "Application",
    since: str | None,
    until: str | None,
    agent: str | None,
    provider: str | None,
    model: str | None,
    status: RunStatus | None,
) -> RunFilter:
    now: datetime = utc_now()
    return RunFilter(
        since=moment(since, "--since", now),
        until=moment(until, "--until", now),
        agent_ids=(application.agents.find(LOCAL, agent).id,) if agent else (),
        providers=(provider,) if provider else (),
        models=(model,) if model else (),
        statuses=(status,) if status else (),
    )


def _as_json(run: RunSummary) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "status": run.status.value,
        "agent": run.agent_name,
        "provider": run.provider,
        "model": run.model,
        "backend": run.backend.value,
        "trigger": run.trigger.value,
        "attempts": run.attempts,
        "latency_ms": None if run.latency_us is None else run.latency_us / 1_000,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": None if run.cost_nanousd is None else float(usd_text(run.cost_nanousd)),
        "error_code": run.error_code,
    }
