"""`logs`: the function's log in CloudWatch, and this installation's own."""

import sys
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import InvalidInput
from dashboard.commands.session import on_screen, prepared_settings, remark
from dashboard.commands.times import moment

if TYPE_CHECKING:
    from core.services.log_lines import LogLine, LogQuery


class Level(StrEnum):
    """The least level of a line."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Origin(StrEnum):
    """Whose log."""

    LAMBDA = "lambda"
    LOCAL = "local"


def logs(
    since: Annotated[
        str,
        typer.Option("--since", metavar="AGE", help="From then on: 5m, 24h, 7d, or a date or time (UTC)."),
    ] = "5m",
    until: Annotated[str | None, typer.Option("--until", metavar="AGE", help="Before then.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with each line that comes; Ctrl+C ends it.")
    ] = False,
    level: Annotated[Level | None, typer.Option("--level", help="Lines of this level and above.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Lines with this in them, in any case.")] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Lines that name this request or run; may be repeated."),
    ] = None,
    origin: Annotated[
        Origin | None,
        typer.Option(
            "--from", help="Whose log: the function's on AWS Lambda if one is set up, else the local one."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="The newest so many lines.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Show the log of the function on AWS Lambda, or of this installation."""
    from core.contract import utc_now
    from core.interruption import Limits
    from core.services.log_lines import LogOrigin, LogQuery
    from core.services.logs import LogService
    from core.services.principal import LOCAL

    now = utc_now()
    query = LogQuery(
        since=moment(since, "--since", now) or now,
        until=moment(until, "--until", now),
        level=None if level is None else level.value,
        text=text or None,
        ids=tuple(one for one in ids or () if one),
        limit=limit,
    )
    if query.until is not None and query.until <= query.since:
        raise InvalidInput("--until is before --since: no line can be in between.")
    if follow and query.until is not None:
        raise InvalidInput("--follow goes on with what comes: leave --until out.")
    service = LogService(prepared_settings())
    try:
        whose = service.origins(LOCAL)[0] if origin is None else LogOrigin(origin.value.upper())
        if follow:
            try:
                for line in service.follow(LOCAL, whose, query, Limits()):
                    _print(line, as_json=as_json)
            except KeyboardInterrupt:
                return
        page = service.read(LOCAL, whose, query)
        for line in page.lines:
            _print(line, as_json=as_json)
        _remarks(query, page.note, found=len(page.lines), complete=page.complete)
    finally:
        service.close()


def _remarks(query: "LogQuery", note: str, *, found: int, complete: bool) -> None:
    if note:
        remark(note)
    elif not complete:
        remark(
            f"There are more: these are the newest {found}. Ask for a shorter time, or --limit up to 1000.",
            dim=True,
        )
    elif not found:
        remark(f"No such line since {query.since:%Y-%m-%d %H:%M:%S} UTC.")


def _print(line: "LogLine", *, as_json: bool) -> None:
    if as_json:
        from core.services.money import exact_json

        typer.echo(exact_json(_as_json(line)))
    else:
        pairs = "".join(f" {name}={value}" for name, value in line.fields.items() if _is_short(value))
        run = f" run_id={line.run_id}" if line.run_id else ""
        request = (
            f" request_id={line.request_id}"
            if line.request_id and line.request_id not in line.message
            else ""
        )
        typer.echo(
            on_screen(f"{_time(line.at)} {line.level or '-':<8} {line.message}{pairs}{run}{request}".rstrip())
        )
    sys.stdout.flush()


def _as_json(line: "LogLine") -> dict[str, Any]:
    return {
        "at": line.at.isoformat(),
        "from": line.origin.value.lower(),
        "level": line.level,
        "message": line.message,
        "request_id": line.request_id,
        "run_id": line.run_id,
        "fields": dict(line.fields),
    }


def _is_short(value: object) -> bool:
    return value is not None and len(str(value)) <= 200


def _time(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
