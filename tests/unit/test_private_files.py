"""Files that only their owner may read, and that are there whole or not at all."""

import os
import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from core.private_files import appearing_whole, opener


@pytest.fixture(autouse=True)
def open_to_everybody() -> Generator[None]:
    """The umask under which a file that is made without thought may be read and written by all."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_appears_when_it_is_whole_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    assert mode(file) == 0o666
    with appearing_whole(file) as part:
        assert mode(part) == 0o600
        part.write_text("after")
        assert file.read_text() == "before"
    assert (file.read_text(), mode(file)) == ("after", 0o600)
    assert list(tmp_path.glob("*file*")) == [file]


def test_what_fails_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    with (
        pytest.raises(ZeroDivisionError),
        appearing_whole(file) as part,
        closing(sqlite3.connect(part, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE other (id INTEGER)")
        assert part.with_name(part.name + "-wal").exists()
        raise ZeroDivisionError
    assert file.read_text() == "before"
    assert list(tmp_path.glob("*file*")) == [file]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_text("before")
    link.symlink_to(file)
    with appearing_whole(link) as part:
        part.write_text("after")
    assert link.is_symlink()
    assert file.read_text() == "after"
    os.mkfifo(pipe)
    with appearing_whole(pipe) as part:
        assert part == pipe
    assert pipe.is_fifo()


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError), appearing_whole(tmp_path / "file" / "below"):
        pass


def test_the_opener_asks_no_umask(tmp_path: Path) -> None:
    with open(tmp_path / "file", "x", opener=opener) as file:
        file.write("x")
    assert mode(tmp_path / "file") == 0o600
