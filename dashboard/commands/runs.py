"""`runs list | show | export`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, assert_never

import typer

from core.errors import InvalidInput
from core.storage.records import AttemptReason, AttemptRecord, Backend, RunFilter, RunStatus, RunSummary
from dashboard import formatting
from dashboard.commands.session import (
    on_screen,
    open_application,
    print_json,
    print_table,
    progress_bar,
    provider_name,
    remark,
)
from dashboard.commands.times import moment

if TYPE_CHECKING:
    from core.services.application import Application

app = typer.Typer(no_args_is_help=True)

Since = Annotated[str | None, typer.Option(metavar="TIME", help="From this time on: 2026-11-01, 24h, 7d.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")]
Agent = Annotated[str | None, typer.Option(help="Only this agent's, by name or id.")]
Provider = Annotated[str | None, typer.Option(help="Only this provider's.")]
Model = Annotated[str | None, typer.Option(help="Only this model's.")]
Status = Annotated[RunStatus | None, typer.Option(case_sensitive=False, help="Only with this status.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_runs(
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    provider: Provider = None,
    model: Model = None,
    status: Status = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List stored runs, newest first."""
    from core.contract import utc_now
    from core.services.principal import LOCAL

    with open_application() as application:
        run_filter = _filter(application, since, until, agent, provider, model, status)
        page = application.runs.page(LOCAL, run_filter, limit=limit)
    if as_json:
        print_json([_as_json(run) for run in page.runs])
        return
    now = utc_now()
    columns = ("run", "when", "status", "agent", "model", "latency", "tokens", "cost")
    rows = [
        (
            str(run.id),
            formatting.ago(run.created_at, now),
            run.error_code or run.status.value,
            run.agent_name or formatting.NO_VALUE,
            f"{provider_name(run.provider)} {run.model}",
            formatting.duration(run.latency_us),
            formatting.count(
                None if run.input_tokens is None else run.input_tokens + (run.output_tokens or 0)
            ),
            formatting.NO_VALUE if run.status is RunStatus.RUNNING else formatting.money(run.cost_nanousd),
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
        remark(f"The newest {limit}; --limit shows more, `runs export` has all.")


@app.command("show")
def show_run(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN_ID", help="The run's id, or its first 8 digits or more.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, with every attempt; a line of `runs export`.")
    ] = False,
) -> None:
    """Show a run: what was asked, what came back, each attempt."""
    from core.services.principal import LOCAL

    with open_application() as application:
        detail = application.runs.get(LOCAL, application.runs.find(LOCAL, run_id).id)
    if as_json:
        from core.services.export import document_of

        print_json(document_of(detail))
        return
    run = detail.summary
    facts = {
        "run": str(run.id),
        "status": run.status.value,
        "agent": run.agent_name or formatting.NO_VALUE,
        "model": f"{provider_name(run.provider)} {run.model}",
        "started": run.created_at.isoformat(timespec="seconds"),
        "latency": formatting.duration(run.latency_us),
        "tokens": f"{formatting.count(run.input_tokens)} in, {formatting.count(run.output_tokens)} out",
        "cost": formatting.money(run.cost_nanousd),
        "backend": run.backend.value
        + (f", instead of {run.fell_back_from.value}" if run.fell_back_from else ""),
    }
    for name, value in facts.items():
        typer.echo(f"{name:>8}  {on_screen(value)}")
    for attempt in detail.attempts:
        outcome = attempt.error_code or attempt.status.value
        spent = f"{formatting.duration(attempt.latency_us)}, {_cost_by_part(attempt)}{_why(attempt)}"
        typer.echo(f"{'attempt':>8}  {attempt.ordinal} on {attempt.backend.value}: {outcome}, {spent}")
        # The run's own error stands below, and is its last attempt's.
        if attempt.error_message and attempt.error_message != detail.error_message:
            typer.echo(f"{'':>8}  {on_screen(attempt.error_message)}")
    if detail.backend_note:
        typer.echo(f"{'note':>8}  {on_screen(detail.backend_note)}")
    if detail.error_message:
        typer.echo(f"{'error':>8}  {on_screen(detail.error_message)}")
    for title, text in _texts(detail.request, detail.response):
        typer.echo(f"\n{title}\n{on_screen(text)}")


def _why(attempt: AttemptRecord) -> str:
    """Why the attempt was made; nothing of the first."""
    match attempt.reason:
        case None:
            return ""
        case AttemptReason.RETRY:
            return "; a retry"
        case AttemptReason.FALLBACK:
            return "; the fall-back"
        case AttemptReason.UNKNOWN:
            return (
                "; a second generation: the outcome of the one before is unknown, so it may be billed twice"
            )
        case _:
            assert_never(attempt.reason)


def _cost_by_part(attempt: AttemptRecord) -> str:
    tokens = formatting.money(attempt.tokens_cost_nanousd)
    if attempt.backend is Backend.LOCAL:
        return tokens
    compute, request = attempt.lambda_compute_nanousd, attempt.lambda_request_nanousd
    return f"tokens {tokens}, compute {formatting.money(compute)}, request {formatting.money(request)}"


@app.command("export")
def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output if none.")
    ] = None,
    form: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="The form of the file.")] = "csv",
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    provider: Provider = None,
    model: Model = None,
    status: Status = None,
) -> None:
    """Export stored runs as CSV or JSON lines, in constant memory. What looks like a key is masked."""
    from core.services.export import ExportFormat, export_runs
    from core.services.principal import LOCAL

    with open_application() as application:
        run_filter = _filter(application, since, until, agent, provider, model, status)
        total = application.runs.count(LOCAL, run_filter)
        with _target(output) as target, progress_bar() as progress:
            task = progress.add_task("Exporting runs", total=total)
            pieces = export_runs(
                application.runs,
                LOCAL,
                run_filter,
                form=ExportFormat(form),
                on_progress=lambda done: progress.update(task, completed=done),
            )
            for piece in pieces:
                target.write(piece)
            written = int(progress.tasks[0].completed)
    if output is not None:
        remark(f"{written:,} run(s) written to {output}")


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from core.private_files import appearing_whole

    try:
        # Prompts and answers: for this user only, as the database is.
        with appearing_whole(output) as part, part.open("wb") as file:
            yield file
    except OSError as exc:
        raise InvalidInput(f"{output} cannot be written: {exc.strerror}.") from exc


def _filter(
    application: "Application",
    since: str | None,
    until: str | None,
    agent: str | None,
    provider: str | None,
    model: str | None,
    status: RunStatus | None,
) -> RunFilter:
    from core.contract import utc_now
    from core.services.principal import LOCAL

    now = utc_now()
    return RunFilter(
        since=moment(since, "--since", now),
        until=moment(until, "--until", now),
        agent_ids=(application.agents.find(LOCAL, agent).id,) if agent else (),
        providers=(_provider(application, provider),) if provider else (),
        models=(model,) if model else (),
        statuses=(status,) if status else (),
    )


def _provider(application: "Application", name: str) -> str:
    """The name, if a provider has it, or had it when a stored run was made. Raises UnknownProvider."""
    from core.providers import registry
    from core.services.principal import LOCAL

    if (
        name not in registry.specs()
        and not application.runs.page(LOCAL, RunFilter(providers=(name,)), limit=1).runs
    ):
        registry.get_spec(name)
    return name


def _texts(request: Any, response: str | None) -> list[tuple[str, str]]:
    texts = [("System prompt", request.get("system_prompt"))]
    texts += [(message["role"].capitalize(), message["content"]) for message in request.get("messages") or ()]
    texts += [("Prompt", request.get("prompt")), ("Answer", response)]
    return [(title, text) for title, text in texts if text]


def _as_json(run: RunSummary) -> dict[str, Any]:
    from core.services.money import usd

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
        "cost_usd": None if run.cost_nanousd is None else usd(run.cost_nanousd),
        "error_code": run.error_code,
    }
