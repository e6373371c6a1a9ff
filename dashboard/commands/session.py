"""What the commands share: an open core, what they read, and the ways in which they print."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from core.errors import InvalidInput

if TYPE_CHECKING:
    from rich.progress import Progress

    from core.services.application import Application
    from core.settings import Settings


def prepared_settings(*, server: bool = False) -> "Settings":
    """The settings, with `.env` applied to the environment and the logs set up.

    Args:
        server: Whether this process stays. A short command says itself what went wrong, so its log lines below
            ERROR go to the file only, unless AGENT_LAUNCHER_LOG_LEVEL asks for them.

    Raises:
        SettingsError: Naming what is wrong.
    """
    from core.environment import apply_dotenv
    from core.logs import configure_logging
    from core.settings import load_settings

    apply_dotenv()
    settings = load_settings()
    asked_for = server or "AGENT_LAUNCHER_LOG_LEVEL" in os.environ
    configure_logging(settings, stream_level=None if asked_for else "ERROR")
    return settings


@contextmanager
def open_application(*, kind: str = "cli") -> "Iterator[Application]":
    """The core, open for the block. Raises SettingsError, StoreError."""
    from core.services.application import Application

    application = Application.open(prepared_settings(), kind=kind)
    try:
        yield application
    finally:
        application.close()


# Reading


def read_text(what: str, *, file: str = "-") -> str:
    """A file, or standard input for "-", as UTF-8 text with or without a byte order mark.

    Raises:
        InvalidInput: It cannot be read.
    """
    try:
        if file == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(file, "rb") as stream:  # noqa: PTH123 - a path as it was typed
                data = stream.read()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} is not UTF-8 text.") from None
    except OSError as exc:
        raise InvalidInput(f"{what} cannot be read: {exc.strerror}.") from exc


# Printing


def complain(text: str) -> None:
    """What went wrong, in one line on stderr."""
    typer.secho(f"agent-launcher: {text}", fg="red", err=True)


def remark(text: str, *, dim: bool = False) -> None:
    """What is good to know beside the answer, on stderr."""
    typer.secho(text, dim=dim or None, err=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout; a Decimal is a number with exactly its digits."""
    from core.services.money import exact_json

    typer.echo(exact_json(value, indent=2))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), empty: str
) -> None:
    """A table on stdout: cut to the terminal's width, whole when piped; `empty` to stderr without rows.

    Args:
        columns: Their titles.
        rows: Of as many cells.
        right: The titles of columns that are aligned to the right.
        empty: What to say when there are no rows.
    """
    if not rows:
        remark(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1_000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        # As Text, since a name may hold what rich takes for markup or an emoji.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def progress_bar() -> "Progress":
    """A bar on stderr while a command works; none where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def provider_name(name: str) -> str:
    """A provider as a person reads it: one that makes no request at all says so."""
    from core.providers import registry

    spec = registry.specs().get(name)
    return f"{name} (offline demo)" if spec is not None and spec.offline else name


def on_screen(text: str) -> str:
    """The text as a terminal may show it: without control characters, which could command it."""
    if not sys.stdout.isatty() or text.isprintable():
        return text
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def discard_stdout() -> None:
    """Lets what is written to stdout from now on, also by Python at its exit, go nowhere: nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
