"""`agents list | show | import | export`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.services.principal import LOCAL
from dashboard.commands.session import open_application, print_json, print_table, stderr

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_agents(
    archived: Annotated[bool, typer.Option(help="The archived ones instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the agents."""
    with open_application() as application:
        agents = application.agents.list(LOCAL, archived=archived)
    if as_json:
        print_json(
            [
                {
                    "id": a.id,
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
            str(a.version.config["provider"]),
            str(a.version.config["model_name"]),
            str(a.version.number),
            a.description,
        )
        for a in agents
    ]
    empty = "No agents yet. Create one on the Agents page, or with `agent-launcher agents import FILE`."
    print_table(
        ("agent", "provider", "model", "version", "description"), rows, right=("version",), empty=empty
    )


@app.command("show")
def show(agent: Annotated[str, typer.Argument(help="Its name or id.")]) -> None:
    """Show an agent as YAML, in the form that `import` takes."""
    with open_application() as application:
        record = application.agents.find(LOCAL, agent)
        typer.echo(application.agents.export_yaml(LOCAL, [record.id]), nl=False)


@app.command("export")
def export(
    agent: Annotated[list[str] | None, typer.Argument(help="Names or ids; all if none.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output if none.")
    ] = None,
) -> None:
    """Export agents as YAML. The file holds no key, only the name of the credential."""
    with open_application() as application:
        ids = [application.agents.find(LOCAL, name).id for name in agent or ()] or None
        text = application.agents.export_yaml(LOCAL, ids)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        stderr.print(f"Written to {output}", markup=False)


@app.command("import")
def import_file(file: Annotated[Path, typer.Argument(help="A YAML file; '-' reads standard input.")]) -> None:
    """Import agents from YAML: new ones are created, changed ones get a new version."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{file} cannot be read: {exc}") from exc
    with open_application() as application:
        report = application.agents.import_yaml(LOCAL, text)
    for word, names in (
        ("created", report.created),
        ("updated", report.updated),
        ("unchanged", report.unchanged),
    ):
        for name in names:
            typer.echo(f"{word:>9}  {name}")
