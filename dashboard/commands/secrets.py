"""`secrets list | add | replace | rename | refer | remove | rotate`. No command takes or prints a stored key."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard import formatting
from dashboard.commands.session import open_application, print_json, print_table, read_text, remark

if TYPE_CHECKING:
    from core.services.application import Application
    from core.services.credentials import CredentialPublic

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The credential's name or id.")]


@app.command("list")
def list_secrets(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List stored credentials: name, provider, last four characters."""
    from core.services.principal import LOCAL

    with open_application() as application:
        credentials = application.credentials.list(LOCAL)
    if as_json:
        print_json(
            [
                {
                    "name": c.name,
                    "provider": c.provider,
                    "last4": c.last4,
                    "base_url": c.base_url,
                    "api_key_ref": c.api_key_ref,
                    "changed_at": c.updated_at.isoformat(),
                    "last_used_at": c.last_used_at.isoformat() if c.last_used_at else None,
                }
                for c in credentials
            ]
        )
        return
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
    """Store a key. It is asked for, or read from standard input: as an argument, others could see it."""
    from core.services.principal import LOCAL

    with open_application() as application:
        application.credentials.check_new(LOCAL, name=name, provider=provider, base_url=base_url)
        stored = application.credentials.add(
            LOCAL, name=name, provider=provider, secret=_ask_for_key(), base_url=base_url
        )
    remark(f"Stored {stored.name!r} for {stored.provider}{_ending(stored)}.")


@app.command("replace")
def replace(name: Name) -> None:
    """Put a new key in the place of a stored one, read as `add` does. Agents go on with the new one."""
    from core.services.principal import LOCAL

    with open_application() as application:
        found = _find(application, name)
        stored = application.credentials.replace(LOCAL, found.id, secret=_ask_for_key())
    remark(f"Replaced the key of {stored.name!r}{_ending(stored)}.")


@app.command("rename")
def rename(
    name: Name, new_name: Annotated[str, typer.Argument(help="The name that it gets.", metavar="NEW_NAME")]
) -> None:
    """Give a credential another name; agents keep it."""
    from core.services.principal import LOCAL

    with open_application() as application:
        stored = application.credentials.rename(LOCAL, _find(application, name).id, name=new_name)
    remark(f"Renamed {name!r} to {stored.name!r}.")


@app.command("remove")
def remove(
    name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking.")] = False
) -> None:
    """Remove a stored key for good, after asking; agents that name it will say so when they run."""
    from core.services.principal import LOCAL

    with open_application() as application:
        found = _find(application, name)
        if not yes:
            what = f"Remove {found.name!r} ({found.provider}{_ending(found)}) for good?"
            typer.confirm(what, abort=True, err=True)
        application.credentials.delete(LOCAL, found.id)
    remark(f"Removed {found.name!r}.")


@app.command("refer")
def refer(
    name: Name,
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="REFERENCE",
            help="The ARN of a secret in AWS Secrets Manager, or env:NAME; without it the key is sent along.",
        ),
    ] = None,
) -> None:
    """Say where AWS Lambda finds this key by itself, so that it is not sent. What runs here takes the stored one."""
    from core.services.principal import LOCAL

    with open_application() as application:
        found = _find(application, name)
        stored = application.credentials.refer(LOCAL, found.id, api_key_ref=reference)
    if stored.api_key_ref is None:
        remark(f"The key of {stored.name!r} is sent along with runs on AWS Lambda.")
    else:
        remark(f"AWS Lambda takes the key of {stored.name!r} from {stored.api_key_ref}.")


@app.command("rotate")
def rotate() -> None:
    """Seal every stored key under a new master key. Safe to interrupt, and to run again."""
    from core.services.key_rotation import rotate as rotate_all
    from core.services.principal import LOCAL

    with open_application() as application:
        done = rotate_all(LOCAL, application.vault, application.store)
    if done.fingerprint is None:
        remark("There is no master key yet: it is made when the first secret is stored.")
        return
    ended = "; this ended an earlier rotation that had been cut short" if done.resumed else ""
    remark(f"{done.resealed} secret(s) sealed again, under the master key {done.fingerprint}{ended}.")
    if done.next_step:
        remark(done.next_step)
    if done.new_key:
        # The one secret that a command shows: a key that was made this moment, for the operator to keep.
        typer.echo(done.new_key)


def _ask_for_key() -> str:
    if sys.stdin.isatty():
        return typer.prompt("Key", hide_input=True, err=True)
    return read_text("The key on standard input")


def _find(application: "Application", name: str) -> "CredentialPublic":
    from core.services.principal import LOCAL

    return application.credentials.find(LOCAL, name)


def _ending(credential: "CredentialPublic") -> str:
    return f", ends in {credential.last4}" if credential.last4 else ""
