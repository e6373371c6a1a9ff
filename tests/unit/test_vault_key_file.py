import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from core.errors import SecretUnreadable
from core.security.master_key import KeyFile, generate_key


def run_python(code: str, *arguments: str, count: int = 1) -> list[str]:
    """What each of `count` Python processes, started together, prints."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    printed = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return printed


def test_many_processes_make_one_key(tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from core.security.master_key import KeyFile
        Path(sys.argv[1], f"ready-{time.monotonic_ns()}").touch()
        while len(list(Path(sys.argv[1]).glob("ready-*"))) < 6:
            time.sleep(0.001)
        print(KeyFile(Path(sys.argv[1]) / "data" / "secret.key").create().keys[0])
    """
    printed = run_python(code, str(tmp_path), count=6)
    content = KeyFile(tmp_path / "data" / "secret.key").read()
    assert content is not None
    assert set(printed) == set(content.keys)
    assert len(content.keys) == 1


def test_a_process_killed_while_it_holds_the_lock_frees_it(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from core.security.master_key import KeyFile
        with KeyFile(Path(sys.argv[1])).lock():
            print("held", flush=True)
            os.kill(os.getpid(), 9)
    """
    path = tmp_path / "secret.key"
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout.strip()) == (-9, "held")
    assert len(KeyFile(path).create().keys) == 1


def test_what_a_crash_left_half_written_is_never_read(tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "secret.key")
    (tmp_path / "secret.key.new").write_text("# half a hea")
    assert key_file.read() is None
    created = key_file.create()
    assert key_file.read() == created
    assert not (tmp_path / "secret.key.new").exists()


def test_the_file_is_private_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyFile(tmp_path / "data" / "secret.key").create()
    finally:
        os.umask(before)
    for path in (tmp_path / "data").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_reader_sees_the_old_or_the_new_file_and_nothing_between(tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "secret.key")
    first, second = [generate_key()], [generate_key(), generate_key()]
    with key_file.lock():
        key_file.write(first)
    code = """
        import sys, time
        from pathlib import Path
        from core.security.master_key import KeyFile
        key_file, seen, end = KeyFile(Path(sys.argv[1])), set(), time.monotonic() + 1.5
        while time.monotonic() < end:
            seen.add(key_file.read().keys)
        for keys in seen:
            print(",".join(keys))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(key_file.path)], stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        with key_file.lock():
            key_file.write(second)
            key_file.write(first)
    assert process.returncode == 0
    assert process.stdout is not None
    seen = set(process.stdout.read().split())
    process.stdout.close()
    assert seen == {",".join(first), ",".join(second)}


def test_the_stamp_changes_with_the_file(tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "secret.key")
    assert key_file.stamp() is None
    first = key_file.create()
    assert key_file.stamp() == first.stamp
    with key_file.lock():
        second = key_file.write(first.keys)
    assert key_file.stamp() == second.stamp != first.stamp


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SecretUnreadable, match="or set AGENT_LAUNCHER_SECRET_KEY"):
        KeyFile(tmp_path / "file" / "secret.key").create()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    key_file = KeyFile(tmp_path / "secret.key")
    before = key_file.create()
    code = """
        import resource, signal, sys
        from pathlib import Path
        from core.errors import SecretUnreadable
        from core.security.master_key import KeyFile, generate_key
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # bytes: less than the file needs
        try:
            KeyFile(Path(sys.argv[1])).write([generate_key()])
        except SecretUnreadable as exc:
            print(exc)
    """
    (printed,) = run_python(code, str(key_file.path))
    assert "cannot be used: File too large" in printed
    assert key_file.read() == before
    assert not (tmp_path / "secret.key.new").exists()


def test_no_key_in_the_repr_of_a_reading(tmp_path: Path) -> None:
    content = KeyFile(tmp_path / "secret.key").create()
    assert content.keys[0] not in repr(content)
