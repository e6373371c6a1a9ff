"""This installation's own log: the rotated files that `core.logs` writes, newest last."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.errors import LogsUnavailable
from core.interruption import Limits
from core.logs import FILES
from core.services.log_lines import LogLine, LogOrigin, LogPage, LogQuery, read_line

_LOOK_EVERY: Final = 2_000
"""Lines between two looks at the limits."""


class LocalLogs:
    """See the module; a `LogSource`.

    Args:
        path: The newest file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, query: LogQuery, limits: Limits) -> LogPage:
        """See `LogSource.read`."""
        found: deque[LogLine] = deque(maxlen=query.limit + 1)
        any_file = False
        for path in self._files(query.since):
            any_file = True
            for number, raw in enumerate(_lines(path)):
                if number % _LOOK_EVERY == 0:
                    limits.check(sent=False)
                line = read_line(raw, at=None, origin=LogOrigin.LOCAL, key=raw)
                if line is not None and query.takes(line, raw):
                    found.append(line)
        lines = list(found)[-query.limit :]
        note = "" if any_file or self._path.exists() else f"There is no log at {self._path} yet."
        return LogPage(lines=lines, complete=len(found) <= query.limit, note=note)

    def _files(self, since: datetime) -> Iterator[Path]:
        """Those that can hold lines of that time, the oldest first."""
        for number in range(FILES - 1, -1, -1):
            path = self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")
            try:
                written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except FileNotFoundError:
                continue
            if written >= since:
                yield path


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from stream
    except FileNotFoundError:
        return  # it was rotated away at this moment
    except OSError as exc:
        raise LogsUnavailable(
            f"The log {path} cannot be read: {exc.strerror}. Make it readable for this user."
        ) from exc
