"""`agents list | show | import | export`."""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from dashboard.commands.session import complain, open_application, print_json, print_table, read_text, remark

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_agents(
    archived: Annotated[bool, typer.Option("--archived", help="The archived ones instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the agents."""
    from core.services.principal import LOCAL

    with open_application() as application:
        agents = application.agents.list(LOCAL, archived=archived)
    if as_json:
        print_json(
            [
                {
                    "id": str(a.id),
                    "name": a.name,
                    "description": a.description,
                    "version": a.version.number,
                    "config": dict(a.version.config),
                }
                for a in agents
            ]
        )
        return
    rows = [
        (
            a.name,
            f"{a.version.config['provider']} {a.version.config['model_name']}",
            str(a.version.number),
            a.description,
        )
        for a in agents
    ]
    empty = "No agents yet. Create one on the Agents page, or with `agent-launcher agents import FILE`."
    if archived:
        empty = "No agent is archived."
    print_table(("agent", "model", "version", "description"), rows, right=("version",), empty=empty)


@app.command("show")
def show(agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name or id.")]) -> None:
    """Show an agent as YAML, in the form that `import` takes."""
    from core.services.principal import LOCAL

    with open_application() as application:
        record = application.agents.find(LOCAL, agent)
        typer.echo(application.agents.export_yaml(LOCAL, [record.id]), nl=False)


@app.command("export")
def export(
    agent: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT", help="Names or ids; all if none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output if none.")
    ] = None,
) -> None:
    """Export agents as YAML. The file holds no key, only the name of the credential."""
    from core.services.principal import LOCAL

    with open_application() as application:
        ids = [application.agents.find(LOCAL, name).id for name in agent or ()] or None
        text = application.agents.export_yaml(LOCAL, ids)
    if output is None:
        typer.echo(text, nl=False)
        return
    from core.private_files import appearing_whole

    try:
        # System prompts: for this user only, as the database is.
        with appearing_whole(output) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InvalidInput(f"{output} cannot be written: {exc.strerror}.") from exc
    remark(f"Written to {output}")


@app.command("import")
def import_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A YAML file; '-' reads standard input.")],
) -> None:
    """Import agents from YAML: new ones are created, changed ones get a new version."""
    from core.services.principal import LOCAL

    text = read_text("Standard input" if file == "-" else file, file=file)
    with open_application() as application:
        report = application.agents.import_yaml(LOCAL, text)
    for word, names in (
        ("created", report.created),
        ("updated", report.updated),
        ("unchanged", report.unchanged),
    ):
        for name in names:
            typer.echo(f"{word:>9}  {name}")
    for name, reason in report.failed:
        complain(f"{name}: {reason}")
    raise typer.Exit(1 if report.failed else 0)
