"""The `agent-launcher` command: parses, calls one service, prints. Answers go to stdout, everything else to stderr.

Exit codes: 0 done, 1 it failed, 2 wrong usage.
"""

import sys

import typer

from core.errors import AgentLauncherError
from dashboard.commands import admin, agents, catalogue, runs, secrets, serve

app = typer.Typer(
    name="agent-launcher",
    help="Configure, test, run and cost LLM agents on several providers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(serve.up)
app.command("dashboard")(serve.dashboard)
app.command("run")(runs.run)
app.add_typer(runs.app, name="runs", help="Find and export stored runs.")
app.add_typer(agents.app, name="agents", help="List, show, import and export agents.")
app.command("models")(catalogue.models)
app.command("usage")(catalogue.usage)
app.add_typer(secrets.app, name="secrets", help="Stored keys: write-only, sealed with the master key.")
app.command("backup")(admin.backup)
app.command("restore")(admin.restore)
app.command("migrate")(admin.migrate)
app.command("doctor")(admin.doctor)
app.command("version")(admin.version)


def main() -> None:
    """The entry point: an error of ours is one clear line on stderr, never a trace."""
    try:
        app()
    except AgentLauncherError as exc:
        typer.echo(f"agent-launcher: {exc}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python would complain once more when it flushes stdout at exit.
        sys.stdout = None
        sys.exit(0)
