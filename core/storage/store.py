"""The store: where everything is kept, on SQLite or Postgres. The one class that the rest of the program opens."""

from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select, text

from core import database_url
from core.errors import InvalidInput
from core.storage import schema
from core.storage.agents import AgentRepository
from core.storage.backup import BackupReport, back_up
from core.storage.credentials import CredentialRepository
from core.storage.engine import Database, Dialect
from core.storage.failures import NoDatabaseYet
from core.storage.lambda_queries import LambdaUsageRepository
from core.storage.preferences import PreferenceRepository
from core.storage.prices import PriceOverrideRepository
from core.storage.restore import RestoreReport, restore
from core.storage.run_queries import RunReader
from core.storage.runs import RunWriter
from core.storage.tables import HEAD_REVISION, AgentRow, CredentialRow, RunRow, UsageTailRow, table_of
from core.storage.usage import UsageRepository
from core.storage.workers import WorkerRepository


class RunRepository(RunWriter, RunReader):
    """Runs: writing and reading."""


class Store:
    """One open database. Threads may share it; a forked process opens its own.

    Every method of it and of its parts raises `core.errors.StoreError` when the database fails: SchemaMismatch,
    StoreUnavailable or StoreNotWritable, whose text names the remedy.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = RunRepository(database)
        self.workers = WorkerRepository(database)
        self.agents = AgentRepository(database)
        self.credentials = CredentialRepository(database)
        self.price_overrides = PriceOverrideRepository(database)
        self.preferences = PreferenceRepository(database)
        self.usage = UsageRepository(database)
        self.lambda_usage = LambdaUsageRepository(database, self.usage)

    @classmethod
    def open(cls, url: str, *, migrate: bool | None = None) -> Self:
        """Opens the database, which must have, or get, this program's schema.

        Args:
            url: As `DATABASE_URL`.
            migrate: Whether an older schema is brought up to date. None: on SQLite yes, on Postgres no.

        Raises:
            SettingsError: The URL cannot be read.
            StoreError: See `schema.ensure`.
        """
        database = Database(url)
        try:
            schema.ensure(database, migrate=database.dialect == "sqlite" if migrate is None else migrate)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def look(cls, url: str) -> Self:
        """Opens what is there to look at it: nothing is made, migrated or written, not even beside a SQLite file.

        Raises:
            NoDatabaseYet: There is no SQLite file.
            MigrationDue: The schema is older than this program, or there is none.
            SettingsError, StoreError: As `open`.
        """
        database = Database(url, opening="look")
        try:
            schema.ensure(database, migrate=False)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @staticmethod
    def migrate(url: str) -> list[str]:
        """Brings the schema up to date; returns the revisions that were applied, oldest first.

        Raises:
            SettingsError, StoreError: As `open`.
        """
        database = Database(url)
        try:
            return schema.upgrade(database)
        finally:
            database.close()

    @staticmethod
    def backup_of(url: str, path: Path) -> BackupReport:
        """As `backup`, of a database that need not have this program's schema yet: it is copied as it is.

        Raises:
            InvalidInput: As `backup`; or there is no database.
            SettingsError, StoreError: No file of that name is left.
        """
        try:
            database = Database(url, opening="existing")
        except NoDatabaseYet as exc:
            raise InvalidInput(f"There is nothing to back up. {exc}") from exc
        try:
            return back_up(database, path)
        finally:
            database.close()

    def backup(self, path: Path) -> BackupReport:
        """Copies everything into a new file, and verifies it; see `core.storage.backup`.

        Raises:
            InvalidInput: The file exists, or cannot be written.
        """
        return back_up(self._database, path)

    @staticmethod
    def restore(path: Path, url: str, *, keep_in: Path, force: bool = False) -> RestoreReport:
        """Puts a backup in the place of everything that the database holds; see `core.storage.restore`.

        Args:
            path: The backup.
            url: As `DATABASE_URL`.
            keep_in: The folder for a backup of what is replaced.
            force: Restore although live processes use the database.

        Raises:
            Conflict: They do; nothing was changed.
            InvalidInput: The file is not a backup, or is damaged; nothing was changed.
            SettingsError, StoreError: The database holds what it did before.
        """
        return restore(path, url, keep_in=keep_in, force=force)

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""
        return self._database.dialect

    @property
    def writable(self) -> bool:
        """False if the SQLite file could be opened for reading only."""
        return self._database.writable

    @property
    def in_place(self) -> bool:
        """False if the SQLite file was removed, moved or replaced since it was opened: what is stored is not in it."""
        return self._database.is_in_place()

    def check_writable(self) -> None:
        """Raises StoreError if nothing can be written now, or as far as can be told by looking; changes nothing."""
        if self._database.opened_to_look and self.dialect == "sqlite":
            self._database.check_permissions()
            return
        with self._database.write() as connection:
            # Changes a row and takes it back: a full disk or a missing privilege shows only so.
            connection.execute(text("UPDATE rollup_state SET generation = generation"))
            connection.rollback()

    def check_readable(self) -> None:
        """Raises StoreError if runs cannot be read now; costs the same however many there are."""
        with self._database.read() as connection:
            connection.execute(select(table_of(RunRow).c.id).limit(1))

    def describe(self) -> dict[str, Any]:
        """What it is and holds, safe to show: dialect, place (no password), size in bytes, schema, rows.

        It counts rows, which takes longer the more there are.
        """
        url = self._database.url.render_as_string(hide_password=False)
        counted = {
            "runs": RunRow,
            "agents": AgentRow,
            "credentials": CredentialRow,
            "not_folded": UsageTailRow,
        }
        with self._database.read() as connection:
            counts = {
                name: int(connection.execute(select(func.count()).select_from(table_of(row))).scalar_one())
                for name, row in counted.items()
            }
            size = connection.execute(text(_SIZE[self.dialect])).scalar_one()
        place = str(self._database.path) if self._database.path else database_url.without_password(url)
        return {
            "dialect": self.dialect,
            "place": place,
            "writable": self.writable,
            "size_bytes": int(size),
            "schema": schema.current_revision(self._database),
            "newest_schema": HEAD_REVISION,
            **counts,
        }

    def close(self) -> None:
        """Closes all connections."""
        self._database.close()


_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}
