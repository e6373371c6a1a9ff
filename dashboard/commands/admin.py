"""`backup`, `restore`, `migrate`, `doctor`, `version`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import InvalidInput, SettingsError
from dashboard.commands.session import complain, prepared_settings, print_json, remark

if TYPE_CHECKING:
    from core.services.health import Check


def backup(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; must not exist yet.")],
) -> None:
    """Back up the whole database into one file, and verify it. Keep the master key apart: it is not in it."""
    from core.services.backing_up import back_up
    from core.services.principal import LOCAL

    done = back_up(LOCAL, prepared_settings(), output)
    remark(f"{done.report.rows:,} rows in {output}, verified. SHA-256 {done.report.sha256}")
    remark(
        f"Not in the backup: the master key ({done.master_key}). Without it the stored keys cannot be read."
    )


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` wrote.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace what the database holds now, without asking.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also while other processes use the database; what they do is lost."),
    ] = False,
) -> None:
    """Restore a backup into the configured database, verified before anything is replaced; what is there is kept."""
    from shlex import quote

    from core.services.principal import LOCAL
    from core.services.restoring import restore as restore_backup

    settings = prepared_settings()
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("this replaces the database: add --yes where nobody can be asked")
        typer.confirm(
            f"Replace everything in {settings.database_label} with this backup?", abort=True, err=True
        )
    done = restore_backup(LOCAL, settings, file, force=force)
    remark(f"{done.report.rows:,} rows restored into {settings.database_label}, verified.")
    if kept := done.report.kept:
        remark(f"What was there before is kept. To go back: agent-launcher restore {quote(str(kept))}")
    if done.report.damaged:
        remark(f"The damaged file that was there is kept as {done.report.damaged}")
    if done.unreadable:
        complain(
            f"the master key here does not open {len(done.unreadable)} of {done.credentials} restored key(s): "
            f"{', '.join(done.unreadable)}. {done.remedy}"
        )


def migrate() -> None:
    """Bring the database's schema up to date."""
    from core.settings import ensure_data_dir
    from core.storage.store import Store

    settings = prepared_settings()
    ensure_data_dir(settings)
    applied = Store.migrate(settings.database_url)
    for revision in applied:
        typer.echo(revision)
    remark("The schema is up to date." if not applied else f"{len(applied)} migration(s) applied.")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Look at everything that this installation needs; exit code 1 if something is broken. Changes nothing."""
    from core.environment import apply_dotenv
    from core.logs import configure_logging
    from core.services.health import Verdict, checks_of_settings, look
    from core.services.principal import LOCAL
    from core.settings import load_settings

    try:
        apply_dotenv()
        settings = load_settings()
    except SettingsError as exc:
        checks = checks_of_settings(exc)
    else:
        configure_logging(settings, stream_level="ERROR", to_file=False)
        checks = look(LOCAL, settings)
    if as_json:
        print_json(
            [
                {"name": c.name, "verdict": c.verdict.value, "detail": c.detail, "remedy": c.remedy}
                for c in checks
            ]
        )
    else:
        for check in checks:
            _print_check(check)
    raise typer.Exit(1 if any(check.verdict is Verdict.FAILED for check in checks) else 0)


def _print_check(check: "Check") -> None:
    from core.services.health import Verdict

    word, colour = {
        Verdict.OK: ("ok", "green"),
        Verdict.WARNING: ("warn", "yellow"),
        Verdict.FAILED: ("FAIL", "red"),
    }[check.verdict]
    typer.echo(f"{typer.style(f'{word:>4}', fg=colour)}  {check.name}: {check.detail}")
    if check.remedy:
        typer.echo(f"      {check.remedy}")


def version() -> None:
    """Print the version of the program."""
    from importlib.metadata import version as installed_version

    typer.echo(f"agent-launcher {installed_version('agent-launcher')}")
