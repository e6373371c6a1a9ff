"""A Postgres database that fails as real ones do: a full disk, no writes, no connections.

The full disk is the kernel's, not a pretended error. A file system of its own would need the right to mount, which a
container's root has not; `/dev/full` needs none: every write to it fails with "No space left on device". It takes the
place of the files of the tables' long values (Postgres keeps them apart, in TOAST), so that a long prompt or answer
needs room and finds none, while short rows still fit into pages that are there: as in the first minutes of a full disk.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import psycopg
from psycopg import sql

from tests.support.require import require

FULL = Path("/dev/full")

_LONG_VALUES = """
SELECT current_setting('data_directory'), pg_relation_filepath(reltoastrelid), pg_relation_size(reltoastrelid)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltoastrelid <> 0
"""
_DISCONNECT_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def full_disk(postgres_url: str) -> Generator[None]:
    """Leaves this database no room for long values during the block; none may be stored in it yet."""
    require(FULL if FULL.exists() else None, what="/dev/full", remedy="run this test on Linux")
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        found = admin.execute(_LONG_VALUES).fetchall()
        files = [Path(str(folder)) / str(file) for folder, file, _ in found]
        assert files
        assert not any(size for _, _, size in found), "what is stored there would be lost from sight"
        for file in files:
            file.rename(_aside(file))
            file.symlink_to(FULL)
        _close_files(admin)
        try:
            yield
        finally:
            for file in files:
                file.unlink()
                _aside(file).rename(file)
            _close_files(admin)


def make_read_only(postgres_url: str) -> None:
    """Lets no new connection write, as a standby: SQLSTATE 25006. Who is connected stays as it was."""
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        name = sql.Identifier(database_of(postgres_url))
        admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))


@contextmanager
def refused_connections(postgres_url: str) -> Generator[None]:
    """Ends every connection to this database and lets nobody in, as a server that is being restarted."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = database_of(postgres_url)
    elsewhere = postgres_url.replace(f"@/{name}?", "@/postgres?")
    with psycopg.connect(unquote(elsewhere), autocommit=True) as admin:
        admin.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def database_of(postgres_url: str) -> str:
    """The name of the database in a URL of `PostgresServer`."""
    return postgres_url.partition("@/")[2].partition("?")[0]


def _aside(file: Path) -> Path:
    return file.with_name(f"{file.name}.aside")


def _close_files(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    # A server process keeps files open: the next ones open what is there now. The pool notices before it uses one.
    admin.execute(_DISCONNECT_OTHERS)
