"""The `agent-launcher` command."""

from typing import Annotated

import typer

from core.errors import OperatorError
from core.logs import configure_logging
from core.settings import check_bind_host, load_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Configure, test, run and cost LLM agents on several providers."""


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback only until sign-in exists.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Starts the dashboard with everything that it needs in this one process."""
    import uvicorn  # noqa: PLC0415

    from core.services.application import Application  # noqa: PLC0415
    from dashboard.server import create_app  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings)
    address = host or settings.host
    check_bind_host(address)
    application = Application.open(settings, kind="dashboard")
    uvicorn.run(create_app(application), host=address, port=port or settings.port, log_level="warning")


def main() -> None:
    """The entry point: an error of ours is one clear line on stderr, and exit code 1."""
    try:
        app()
    except OperatorError as exc:
        typer.echo(f"agent-launcher: {exc}", err=True)
        raise SystemExit(1) from None
