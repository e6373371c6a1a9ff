"""What the commands share: an open core, and the ways in which they print."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from core.environment import apply_dotenv
from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from core.services.application import Application

stderr = Console(stderr=True, highlight=False)


def prepared_settings(*, server: bool = False) -> Settings:
    """The settings, with `.env` applied to the environment and the logs set up.

    Args:
        server: Whether this process stays: a short command keeps its log lines below WARNING to itself, unless
            AGENT_LAUNCHER_LOG_LEVEL asks for them.

    Raises:
        SettingsError: Naming what is wrong.
    """
    from core.logs import configure_logging

    apply_dotenv()
    settings = load_settings()
    configure_logging(settings, console=server)
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


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), empty: str
) -> None:
    """A table on stdout as wide as it needs to be when piped; `empty` to stderr when there are no rows."""
    if not rows:
        stderr.print(empty)
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in right
        )
    for row in rows:
        # A prompt may hold what rich takes for markup.
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console.print(table)
