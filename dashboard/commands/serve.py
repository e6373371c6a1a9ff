"""`up` and `dashboard`: the server."""

from typing import Annotated

import typer

from dashboard.commands.session import prepared_settings, remark

Host = Annotated[str | None, typer.Option(help="Address to listen on; loopback only until sign-in exists.")]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, help="Port to listen on.")]


def up(host: Host = None, port: Port = None) -> None:
    """Start the dashboard, with everything that it needs, in this one process."""
    from core.services.housekeeping import KEEPER

    _serve(host, port, kind=KEEPER)


def dashboard(host: Host = None, port: Port = None) -> None:
    """Start the dashboard, and leave the housekeeping (roll-ups, orphaned runs) to an `up` while there is one."""
    _serve(host, port, kind="dashboard")


def _serve(host: str | None, port: int | None, *, kind: str) -> None:
    from core.settings import check_bind_host, unknown_variables

    settings = prepared_settings(server=True)
    address, number = host or settings.host, port or settings.port
    check_bind_host(address)
    _check_port_is_free(address, number)
    for sentence in unknown_variables():
        remark(f"Note: {sentence}")

    import uvicorn

    from core.services.application import Application
    from core.services.housekeeping import KEEPER
    from dashboard.server import create_app

    application = Application.open(settings, kind=kind)
    shown = f"[{address}]" if ":" in address else address
    remark(f"Agent Launcher on http://{shown}:{number}, data in {settings.database_label}. Ctrl+C stops it.")
    try:
        uvicorn.run(
            create_app(application, stand_by=kind != KEEPER),
            host=address,
            port=number,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=3,
        )
    except KeyboardInterrupt:
        # Stopped as intended: uvicorn has ended all requests, and passes the signal on.
        raise typer.Exit(0) from None


def _check_port_is_free(host: str, port: int) -> None:
    import socket

    from core.errors import SettingsError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise SettingsError(
                f"Port {port} on {host} cannot be used: {exc.strerror}. Is the dashboard already running "
                'there? Choose another with --port (make run ARGS="--port 9000"), or set AGENT_LAUNCHER_PORT.'
            ) from exc
