"""Backups of both dialects, restored into both."""

import os
import resource
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

from core import ids
from core.errors import Conflict, InvalidInput, SchemaMismatch
from core.storage import schema
from core.storage.engine import PAGE_SIZE
from core.storage.records import Dimension
from core.storage.store import Store
from core.storage.workers import STALE_AFTER_SECONDS
from tests.store.samples import PROJECT, finish, new_attempt, new_run, now, stored_run

SINCE = now() - timedelta(days=1)


def _fill(store: Store) -> None:
    store.agents.create(
        PROJECT, name="Greeter", description="ü", config={"a": [1, None]}, note="", by="local"
    )
    store.credentials.create(PROJECT, name="Main", provider="OPENAI", sealed="gAAA", last4="1234")
    store.preferences.put(PROJECT, {"time_zone": "Europe/Berlin"})
    for number in range(30):
        stored_run(store, prompt=f"Prompt {number} " * 200, model=f"model-{number % 3}")
    store.usage.fold(limit=20)
    store.runs.start(new_run())


def _content(store: Store) -> Sequence[Any]:
    """Everything that can be asked of it."""
    span = (PROJECT, SINCE, SINCE + timedelta(days=2))
    agents = store.agents.list(PROJECT)
    return [
        agents,
        [store.agents.versions(PROJECT, agent.id) for agent in agents],
        store.credentials.list(PROJECT),
        store.preferences.get(PROJECT),
        list(store.runs.iterate(PROJECT)),
        store.usage.totals(*span),
        store.usage.breakdown(*span, Dimension.MODEL),
        store.describe()["not_folded"],
    ]


def test_a_backup_restores_everything(store: Store, target_url: str, tmp_path: Path) -> None:
    _fill(store)
    file = tmp_path / "backup.db"
    report = store.backup(file)
    assert report.tables["run"] == 31
    assert report.rows == sum(report.tables.values())
    assert file.with_name("backup.db.sha256").read_text() == f"{report.sha256}  backup.db\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*backup*")) == ["backup.db", "backup.db.sha256"]

    before = Store.open(target_url, migrate=True)
    stored_run(before, prompt="This will be gone.")
    before.close()
    as_written = file.read_bytes()
    restored = Store.restore(file, target_url, keep_in=tmp_path)
    assert restored.tables == report.tables
    assert file.read_bytes() == as_written
    copy = Store.open(target_url)
    assert _content(copy) == _content(store)
    # And it goes on from there.
    run = stored_run(copy, prompt="New")
    assert copy.runs.get(PROJECT, run.id).request["prompt"] == "New"
    while copy.usage.fold():
        pass
    totals = copy.usage.totals(PROJECT, now() - timedelta(hours=2), now() + timedelta(hours=1))
    assert totals.runs == 31
    copy.close()


@pytest.mark.parametrize(("backup_pages", "target_pages"), [(16_384, 8_192), (8_192, 16_384), (4_096, 8_192)])
def test_a_backup_of_another_page_size_is_restored(
    store: Store, target_url: str, backup_pages: int, target_pages: int, tmp_path: Path
) -> None:
    _fill(store)
    store.backup(tmp_path / "made.db")
    file, target = tmp_path / "backup.db", tmp_path / "target.db"
    _with_pages(tmp_path / "made.db", file, backup_pages)
    on_sqlite = target_url.startswith("sqlite")
    if on_sqlite:
        before = Store.open(f"sqlite:///{tmp_path / 'before.db'}")
        stored_run(before, prompt="This will be gone.")
        before.close()
        _with_pages(tmp_path / "before.db", target, target_pages)
    Store.restore(file, target_url, keep_in=tmp_path)
    copy = Store.open(target_url)
    assert _content(copy) == _content(store)
    run = stored_run(copy, prompt="New")
    assert copy.runs.get(PROJECT, run.id).request["prompt"] == "New"
    copy.close()
    if on_sqlite:
        assert _page_size(target) == target_pages


def _with_pages(path: Path, copy: Path, page_size: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("VACUUM INTO ?", [str(copy)])
    assert _page_size(copy) == page_size


def _page_size(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA page_size").fetchone()[0]


def test_a_backup_is_itself_a_store(store: Store, tmp_path: Path) -> None:
    _fill(store)
    store.backup(tmp_path / "backup.db")
    copy = Store.open(f"sqlite:///{tmp_path / 'backup.db'}")
    assert _content(copy) == _content(store)
    copy.close()


def test_a_backup_is_of_one_moment_while_others_write(store: Store, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            run = new_run()
            store.runs.start(run)
            finish(store, run, new_attempt(run))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            store.backup(tmp_path / f"backup-{number}.db")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for number in range(3):
        copy = Store.open(f"sqlite:///{tmp_path / f'backup-{number}.db'}")
        totals = copy.usage.totals(PROJECT, now() - timedelta(hours=2), now() + timedelta(hours=1))
        running = copy.runs.running(PROJECT)
        assert totals.runs == copy.runs.count(PROJECT) - len(running)
        assert len(running) <= 3
        copy.close()


def test_a_backup_never_overwrites(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    file.write_text("something")
    with pytest.raises(InvalidInput, match="exists already"):
        store.backup(file)
    assert file.read_text() == "something"
    with pytest.raises(InvalidInput, match=r"folder .* does not exist"):
        store.backup(tmp_path / "nowhere" / "backup.db")


def test_what_is_no_backup_is_refused_and_nothing_changes(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    _fill(store)
    before = _content(store)
    good = tmp_path / "good.db"
    store.backup(good)

    flipped = tmp_path / "flipped.db"
    flipped.write_bytes(good.read_bytes().replace(b"gAAA", b"gAAB"))
    (tmp_path / "flipped.db.sha256").write_bytes((tmp_path / "good.db.sha256").read_bytes())
    cut = tmp_path / "cut.db"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    letter = tmp_path / "letter.db"
    letter.write_text("not a database " * 100)
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
    newer = tmp_path / "newer.db"
    newer.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    for file, error, words in (
        (flipped, InvalidInput, "SHA-256 differs"),
        (cut, InvalidInput, "damaged"),
        (letter, InvalidInput, "not a backup"),
        (foreign, InvalidInput, "not of this program"),
        (tmp_path / "missing.db", InvalidInput, "There is no file"),
        (newer, SchemaMismatch, "backup is of a newer version"),
    ):
        with pytest.raises(error, match=words):
            Store.restore(file, database_url, keep_in=tmp_path)
    assert _content(store) == before


def test_a_damaged_database_gives_way_to_its_backup(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    run = stored_run(store)
    store.backup(tmp_path / "backup.db")
    store.close()
    (tmp_path / "store.db").write_bytes(b"damaged " * 5_000)
    Store.restore(tmp_path / "backup.db", url, keep_in=tmp_path)
    store = Store.open(url)
    assert store.runs.get(PROJECT, run.id).response == "Hello."
    store.close()
    (aside,) = tmp_path.glob("store.db.damaged-*")
    assert aside.read_bytes().startswith(b"damaged")


def _lose_a_reference(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM agent")


def _overwrite_pages(file: Path) -> None:
    with file.open("r+b") as damaged:
        damaged.seek(3 * PAGE_SIZE)
        damaged.write(b"\xff" * (file.stat().st_size - 3 * PAGE_SIZE))


@pytest.mark.parametrize("damage", [_lose_a_reference, _overwrite_pages])
def test_a_database_that_is_damaged_inside_gives_way_too(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    file, url = tmp_path / "store.db", f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    _fill(store)
    before = _content(store)
    store.backup(tmp_path / "backup.db")
    store.close()
    damage(file)
    as_it_was = file.read_bytes()

    report = Store.restore(tmp_path / "backup.db", url, keep_in=tmp_path)

    assert report.kept is None
    assert report.damaged is not None
    assert report.damaged.read_bytes() == as_it_was
    store = Store.open(url)
    assert _content(store) == before
    store.close()


def test_what_is_replaced_is_kept_and_can_be_gone_back_to(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    store.backup(tmp_path / "empty.db")
    _fill(store)
    before = _content(store)
    kept_in = tmp_path / "kept"
    kept_in.mkdir()

    kept = Store.restore(tmp_path / "empty.db", database_url, keep_in=kept_in).kept

    assert kept is not None
    assert kept.parent == kept_in
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert _content(store) != before
    again = Store.restore(kept, database_url, keep_in=kept_in)
    assert again.kept not in (None, kept)
    assert _content(store) == before


def _copy_with_its_log(source: Path, target: Path) -> None:
    """What a plain copy of a folder takes along, while the program runs or after it was killed."""
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{source}{suffix}", f"{target}{suffix}")


def test_a_database_that_was_copied_with_its_log_is_restored_whole(target_url: str, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    store.backup(tmp_path / "empty.db")
    _fill(store)
    copied = tmp_path / "copied.db"
    _copy_with_its_log(tmp_path / "store.db", copied)
    as_they_were = copied.read_bytes(), (tmp_path / "copied.db-wal").read_bytes()
    assert as_they_were[1]

    assert Store.restore(copied, target_url, keep_in=tmp_path).tables["run"] == 31

    target = Store.open(target_url)
    assert _content(target) == _content(store)
    target.close()
    store.close()
    assert (copied.read_bytes(), (tmp_path / "copied.db-wal").read_bytes()) == as_they_were
    assert sorted(path.name for path in tmp_path.glob("copied*")) == ["copied.db", "copied.db-wal"]


def test_a_database_that_is_written_to_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    stored_run(store)
    copy = shutil.copyfile

    def copy_while_another_writes(source: Path, target: Path) -> None:
        copy(source, target)
        stored_run(store)

    monkeypatch.setattr(shutil, "copyfile", copy_while_another_writes)
    url = f"sqlite:///{tmp_path / 'to.db'}"
    with pytest.raises(InvalidInput, match=r"something writes to.*agent-launcher backup"):
        Store.restore(tmp_path / "store.db", url, keep_in=tmp_path)
    assert not (tmp_path / "to.db").exists()
    store.close()


def test_a_log_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("not a database " * 100)
    (tmp_path / "letter.db-wal").write_text("nor its log")
    with pytest.raises(InvalidInput, match="is not a backup, or it is damaged"):
        Store.restore(tmp_path / "letter.db", f"sqlite:///{tmp_path / 'to.db'}", keep_in=tmp_path)


@pytest.mark.parametrize("how", ["itself", "link", "hard link"])
def test_the_database_is_no_backup_of_itself(tmp_path: Path, how: str) -> None:
    file, url = tmp_path / "store.db", f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url)
    run = stored_run(store)
    named = file if how == "itself" else tmp_path / "other.db"
    if how == "link":
        named.symlink_to(file)
    elif how == "hard link":
        named.hardlink_to(file)
    with pytest.raises(InvalidInput, match="is the database itself"):
        Store.restore(named, url, keep_in=tmp_path)
    assert store.runs.get(PROJECT, run.id).response == "Hello."
    store.close()
    assert not list(tmp_path.glob("before-restore-*"))


# Where the backup goes.


def test_a_folder_that_cannot_be_written_is_said_and_not_the_database(
    store: Store, readable_folder: Path
) -> None:
    readable_folder.chmod(0o555)
    with (
        as_a_user_who_may_be_refused(),
        pytest.raises(InvalidInput, match=rf"cannot be written to {readable_folder} \(Permission denied\)"),
    ):
        store.backup(readable_folder / "backup.db")
    assert list(readable_folder.iterdir()) == []


@pytest.mark.parametrize("bytes_free", [0, 100_000, 300_000])
def test_a_full_disk_there_is_not_the_databases(store: Store, tmp_path: Path, bytes_free: int) -> None:
    _fill(store)
    folder = tmp_path / "small"
    folder.mkdir()
    with as_a_disk_of(bytes_free), pytest.raises(InvalidInput) as refused:
        store.backup(folder / "backup.db")
    assert f"cannot be written to {folder}" in str(refused.value)
    assert "The database is as it was" in str(refused.value)
    assert "holds the database" not in str(refused.value)
    assert list(folder.iterdir()) == []
    assert store.backup(folder / "backup.db").tables["run"] == 31


def test_sqlites_full_disk_is_that_of_the_backup(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(store)
    connect = sqlite3.connect

    def connect_to_a_small_disk(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        if "backup.db" in str(arguments[0]):
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_small_disk)
    with pytest.raises(InvalidInput, match=rf"cannot be written to {tmp_path} \(the disk is full\)"):
        store.backup(tmp_path / "backup.db")
    assert not list(tmp_path.glob("*backup*"))


@contextmanager
def as_a_disk_of(size: int) -> Generator[None]:
    """No file of this process may be larger, which is how a full disk looks to it; what is there stays readable."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def as_a_user_who_may_be_refused() -> Generator[None]:
    """Root is refused nothing by permission bits: another user for the file system, in this thread."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable_folder() -> Generator[Path]:
    """A folder that anybody may reach; pytest's own may only be reached by the one who runs the tests."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_what_held_nothing_leaves_nothing_to_keep(store: Store, tmp_path: Path) -> None:
    store.backup(tmp_path / "backup.db")
    report = Store.restore(tmp_path / "backup.db", f"sqlite:///{tmp_path / 'new.db'}", keep_in=tmp_path)
    assert (report.kept, report.damaged) == (None, None)
    assert not list(tmp_path.glob("before-restore-*"))


def test_without_room_for_what_is_replaced_nothing_is_replaced(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    store.backup(tmp_path / "empty.db")
    _fill(store)
    before = _content(store)
    with pytest.raises(InvalidInput, match=r"folder .* does not exist"):
        Store.restore(tmp_path / "empty.db", database_url, keep_in=tmp_path / "nowhere")
    assert _content(store) == before


def test_a_database_that_live_processes_use_is_not_replaced(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    store.backup(tmp_path / "empty.db")
    _fill(store)
    worker = ids.uuid7()
    store.workers.beat(worker, kind="dashboard", host="here", pid=4711, started_at=now())
    before = _content(store)

    with pytest.raises(Conflict, match=r"dashboard on here \(process 4711\).*--force"):
        Store.restore(tmp_path / "empty.db", database_url, keep_in=tmp_path)
    assert _content(store) == before
    assert not list(tmp_path.glob("before-restore-*"))

    long_ago = now() - timedelta(seconds=STALE_AFTER_SECONDS + 1)
    store.workers.beat(worker, kind="dashboard", host="here", pid=4711, started_at=now(), now=long_ago)
    dead = Store.restore(tmp_path / "empty.db", database_url, keep_in=tmp_path)
    store.workers.beat(worker, kind="dashboard", host="here", pid=4711, started_at=now())
    forced = Store.restore(tmp_path / "empty.db", database_url, keep_in=tmp_path, force=True)
    assert dead.rows == forced.rows
    assert store.runs.count(PROJECT) == 0


def test_a_restore_that_fails_half_way_changes_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    stored_run(source)
    source.backup(tmp_path / "backup.db")
    source.close()
    target = Store.open(postgres_url, migrate=True)
    kept = stored_run(target)
    with psycopg.connect(unquote(postgres_url), autocommit=True) as admin:
        admin.execute("ALTER TABLE attempt ADD CONSTRAINT none_at_all CHECK (ordinal > 1) NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation):
        Store.restore(tmp_path / "backup.db", postgres_url, keep_in=tmp_path)
    assert target.runs.get(PROJECT, kept.id).response == "Hello."
    assert target.runs.count(PROJECT) == 1
    target.close()


def test_the_schema_of_a_backup_is_said(store: Store, tmp_path: Path) -> None:
    assert store.backup(tmp_path / "backup.db").schema == schema.HEAD_REVISION
