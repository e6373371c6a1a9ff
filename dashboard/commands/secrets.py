"""`secrets list | add | remove | rotate`. No command prints a stored key."""

import sys
from typing import Annotated

import typer

from core.errors import NotFound
from core.services.principal import LOCAL
from dashboard import formatting
from dashboard.commands.session import open_application, print_table, stderr

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_secrets() -> None:
    """List stored credentials: name, provider, last four characters."""
    with open_application() as application:
        credentials = application.credentials.list(LOCAL)
    rows = [
        (
            c.name,
            c.provider,
            f"…{c.last4}" if c.last4 else formatting.NO_VALUE,
            c.base_url or "",
            c.updated_at.date().isoformat(),
        )
        for c in credentials
    ]
    empty = "No credentials yet. Add one: agent-launcher secrets add --provider OPENAI --name Production"
    print_table(("name", "provider", "key", "base URL", "changed"), rows, empty=empty)


@app.command("add")
def add(
    name: Annotated[str, typer.Option(help="How agents will name it.")],
    provider: Annotated[str, typer.Option(help="Such as OPENAI.")],
    base_url: Annotated[
        str | None, typer.Option(help="The server that this key is for, if not the vendor's own.")
    ] = None,
) -> None:
    """Store a key. It is asked for, or read from standard input; never given as an argument, where others could see it."""
    secret = typer.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    with open_application() as application:
        stored = application.credentials.add(
            LOCAL, name=name, provider=provider, secret=secret, base_url=base_url
        )
    ending = f", ends in {stored.last4}" if stored.last4 else ""
    stderr.print(f"Stored {stored.name!r} for {stored.provider}{ending}.", markup=False)


@app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The credential's name.")]) -> None:
    """Remove a stored key for good; agents that name it will say so when they run."""
    with open_application() as application:
        found = next((c for c in application.credentials.list(LOCAL) if c.name == name), None)
        if found is None:
            raise NotFound(
                f"There is no credential named {name!r}; `agent-launcher secrets list` shows them."
            )
        application.credentials.delete(LOCAL, found.id)
    stderr.print(f"Removed {name!r}.", markup=False)


@app.command("rotate")
def rotate() -> None:
    """Seal every stored key under a new master key. Safe to interrupt, and to run again."""
    from core.services.key_rotation import rotate as rotate_all

    with open_application() as application:
        done = rotate_all(application.vault, application.store)
    stderr.print(
        f"{done.resealed} secret(s) sealed under key {done.fingerprint or 'none yet'}.", markup=False
    )
    if done.next_step:
        stderr.print(done.next_step, markup=False)
    if done.new_key:
        # The one secret that a command shows: a key that was made this moment, for the operator to keep.
        typer.echo(done.new_key)
