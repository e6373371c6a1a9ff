import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Generator
from io import StringIO
from pathlib import Path

import pytest

from core import logs
from core.loggers import get_logger
from core.logs import configure_logging, release_logging
from core.settings import Settings
from tests.support.environment import ROOT

log = get_logger("agent_launcher.test")


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    level = logging.getLogger("agent_launcher").level
    yield
    release_logging()
    logging.getLogger("agent_launcher").setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url="sqlite:////x")


def events(settings: Settings) -> list[str]:
    """The events in all files, the oldest first."""
    newest = settings.log_file
    older = sorted(newest.parent.glob(f"{newest.name}.[0-9]*"), key=lambda path: -int(path.suffix[1:]))
    return [json.loads(line)["event"] for path in (*older, newest) for line in path.read_text().splitlines()]


def run_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_files_are_private(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 300)
    configure_logging(settings, stream=StringIO())
    for number in range(10):
        log.info("line %d", number)
    folder = settings.log_file.parent
    assert len(list(folder.iterdir())) > 2
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_file_that_was_readable_by_others_is_made_private(settings: Settings) -> None:
    settings.log_file.parent.mkdir(parents=True)
    settings.log_file.touch(0o644)
    configure_logging(settings, stream=StringIO())
    assert settings.log_file.stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_bounded_and_the_newest(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 1_000)
    configure_logging(settings, stream=StringIO())
    for number in range(200):
        log.info("%d", number)
    kept = events(settings)
    assert kept == [str(number) for number in range(200 - len(kept), 200)]
    files = [path for path in settings.log_file.parent.iterdir() if path.suffix != ".lock"]
    assert len(files) == logs.FILES
    assert all(path.stat().st_size < 1_200 for path in files)


def test_processes_share_the_file_and_no_line_is_lost(settings: Settings) -> None:
    code = """
        import sys
        from io import StringIO
        from pathlib import Path
        from core import logs
        from core.loggers import get_logger
        from core.settings import Settings
        logs.MAX_FILE_BYTES, logs.FILES = 4_000, 1_000
        logs.configure_logging(Settings(data_dir=Path(sys.argv[1]), database_url="x"), stream=StringIO())
        for number in range(300):
            get_logger("agent_launcher.test").info("%s-%d", sys.argv[2], number)
    """
    names = ["a", "b", "c", "d"]
    processes = [run_python(code, str(settings.data_dir), name) for name in names]
    for process in processes:
        assert process.communicate(timeout=60) == ("", "")
    kept = events(settings)
    assert sorted(kept) == sorted(f"{name}-{number}" for name in names for number in range(300))
    assert len(list(settings.log_file.parent.iterdir())) > 10
    sizes = [path.stat().st_size for path in settings.log_file.parent.glob("agent-launcher.log.[0-9]*")]
    assert min(sizes) >= 4_000  # nobody rotates a file that another has begun


def test_a_file_that_is_taken_away_is_made_again(settings: Settings) -> None:
    configure_logging(settings, stream=StringIO())
    log.info("one")
    settings.log_file.unlink()
    settings.log_file.with_name("agent-launcher.log.lock").unlink(missing_ok=True)
    settings.log_file.parent.rmdir()
    log.info("two")
    assert events(settings) == ["two"]


def test_a_place_that_cannot_be_written_is_told_and_done_without(settings: Settings) -> None:
    settings.data_dir.write_text("in the way")
    stream = StringIO()
    configure_logging(settings, stream=stream)
    log.info("still here")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first["level"] == "WARNING"
    assert f"{settings.log_file} cannot be written" in first["event"]
    assert second["event"] == "still here"


def test_a_full_disk_is_told_once_without_the_record_and_the_program_goes_on(settings: Settings) -> None:
    code = """
        import resource, signal, sys
        from io import StringIO
        from pathlib import Path
        from core.loggers import get_logger
        from core.logs import configure_logging
        from core.settings import Settings
        configure_logging(Settings(data_dir=Path(sys.argv[1]), database_url="x"), stream=StringIO())
        log = get_logger("agent_launcher.test")
        log.info("fits")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))  # bytes
        for number in range(5):
            log.info("does not fit any more, canary-%d %s", number, "x" * 100)
        print("went on")
    """
    printed, complaint = run_python(code, str(settings.data_dir)).communicate(timeout=60)
    assert printed == "went on\n"
    (line,) = complaint.splitlines()
    assert line.startswith(f"agent-launcher: cannot write {settings.log_file}: ")
    assert "canary" not in complaint
    assert '"fits"' in settings.log_file.read_text()


def test_a_stream_that_is_gone_prints_no_record(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = StringIO()
    configure_logging(settings, stream=stream)
    stream.close()
    log.info("nobody reads this")
    assert capsys.readouterr() == ("", "")
    assert events(settings) == ["nobody reads this"]
