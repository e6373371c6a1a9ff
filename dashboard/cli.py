"""The `agent-launcher` command: parses, calls one service, prints.

Answers go to stdout, everything else to stderr. Exit codes: 0 done, 1 it failed, 2 wrong usage, 130
interrupted before anything ran. `docs/command-line.md` describes each command.

No command imports at its top what only some commands need (pydantic, the database, Streamlit): each does so
in its function, because every command waits for the imports of all.
"""

import errno
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from core.errors import AgentLauncherError
from dashboard.commands import admin, agents, catalogue, logs, run, runs, secrets, serve
from dashboard.commands.session import complain, discard_stdout

_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to an open stream answers where it leads to a full disk, over a quota, or to a terminal that is gone.
Files that a command opens by name say so themselves, so what comes here is standard output."""


class _Commands(TyperGroup):
    """Turns what a command raises into one clear line; a trace is shown for a fault of the program only."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except AgentLauncherError as exc:
            complain(str(exc))
            raise typer.Exit(1) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough, which is its right.
            discard_stdout()
            raise typer.Exit(0) from None
        except OSError as exc:
            if exc.errno in _CANNOT_WRITE and exc.filename is None:
                discard_stdout()
                complain(f"the output could not be written: {exc.strerror}.")
            else:
                _report_fault()
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort, typer.TyperException, KeyboardInterrupt, EOFError):
            raise
        except Exception:
            _report_fault()
            raise typer.Exit(1) from None
        return result


def _report_fault() -> None:
    import traceback

    from core.redaction import redact

    # A message of another library may quote what it was given, a key for example.
    typer.echo(redact(traceback.format_exc()), err=True, nl=False)
    complain("this is a fault in Agent Launcher; the lines above are its trace.")


app = typer.Typer(
    name="agent-launcher",
    cls=_Commands,
    help="Configure, test, run and cost LLM agents on several providers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(serve.up)
app.command("dashboard")(serve.dashboard)
app.command("run")(run.run)
app.add_typer(runs.app, name="runs", help="Find and export stored runs.")
app.add_typer(agents.app, name="agents", help="List, show, import and export agents.")
app.command("models")(catalogue.models)
app.command("usage")(catalogue.usage)
app.add_typer(secrets.app, name="secrets", help="Stored keys: write-only, sealed with the master key.")
app.command("logs")(logs.logs)
app.command("backup")(admin.backup)
app.command("restore")(admin.restore)
app.command("migrate")(admin.migrate)
app.command("doctor")(admin.doctor)
app.command("version")(admin.version)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter of an answer shows another sign instead of ending the command.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    app()
