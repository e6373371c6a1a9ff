"""Files that hold prompts, answers or sealed keys: only the user who wrote them may read them."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_BESIDE_A_DATABASE: Final = ("-wal", "-shm", "-journal")


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`: a file that is made gets mode 0600, whatever the umask says."""
    return os.open(path, flags, 0o600)


@contextmanager
def appearing_whole(path: Path) -> Generator[Path]:
    """An empty file of mode 0600 to write to, which takes the place of `path` when the block ends well.

    Nothing is left of it when the block raises. A link is followed; what is no regular file (a pipe, `/dev/stdout`) is
    given itself, to be written to as it is.

    Raises:
        OSError: The folder cannot be written, or does not exist.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.replace(path)
    finally:
        for suffix in ("", *_BESIDE_A_DATABASE):  # SQLite's own, if it was a database that did not get whole
            with suppress(OSError):
                part.with_name(part.name + suffix).unlink(missing_ok=True)
