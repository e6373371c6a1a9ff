"""The tests' own fence: loopback only, no keys, a home of their own, nothing skipped in CI."""

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import httpx2
import pytest

from tests.support.environment import ROOT
from tests.support.guard import loopback_only
from tests.support.guard.loopback_only import is_local
from tests.support.require import require

OUTSIDE = "192.0.2.1"  # reserved for documentation: nobody has it


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.8.7", "::1", "localhost", "LocalHost", "a.localhost", b"127.0.0.1", "", None]
)
def test_this_machine_is_allowed(host: object) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host", [OUTSIDE, "10.0.0.1", "169.254.169.254", "2001:db8::1", "example.com", "127.0.0.1.example.com", 7]
)
def test_any_other_machine_is_not(host: object) -> None:
    assert not is_local(host)


def test_connecting_out_is_refused(refused_addresses: list[str]) -> None:
    with socket.socket() as outgoing, pytest.raises(PermissionError, match="reach this machine only"):
        outgoing.connect((OUTSIDE, 443))
    assert refused_addresses == [f"socket.connect {OUTSIDE}"]
    refused_addresses.clear()


def test_looking_a_name_up_is_refused(refused_addresses: list[str]) -> None:
    with pytest.raises(PermissionError):
        socket.getaddrinfo("api.example.com", 443)
    refused_addresses.clear()


def test_datagrams_are_refused(refused_addresses: list[str]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as outgoing, pytest.raises(PermissionError):
        outgoing.sendto(b"?", (OUTSIDE, 53))
    refused_addresses.clear()


def test_every_client_library_is_refused(refused_addresses: list[str]) -> None:
    async def open_connection() -> None:
        await asyncio.open_connection(OUTSIDE, 443)

    with pytest.raises(OSError):
        asyncio.run(open_connection())
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{OUTSIDE}/", timeout=1)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get("https://api.example.com/", timeout=1)
    assert len(refused_addresses) == 3
    refused_addresses.clear()


def test_a_swallowed_refusal_still_fails_the_test(pytester: pytest.Pytester) -> None:
    done = _run_pytest(
        pytester,
        f"""
        import socket

        def test_that_hides_it():
            try:
                socket.create_connection(("{OUTSIDE}", 443))
            except OSError:
                pass
        """,
    )
    done.stdout.fnmatch_lines([f"*tried to reach another machine: socket.getaddrinfo {OUTSIDE}"])
    assert done.ret == 1


def test_children_are_fenced_too(tmp_path: Path) -> None:
    log = tmp_path / "refused.log"
    done = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('{OUTSIDE}', 443))"],
        env={**os.environ, loopback_only.LOG_VARIABLE: str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutsideAddressRefused" in done.stderr
    assert log.read_text().split()[1:] == ["socket.getaddrinfo", OUTSIDE]


def test_the_fence_loads_next_to_nothing() -> None:
    def modules(environment: dict[str, str]) -> set[str]:
        command = [sys.executable, "-c", "import sys; print(*sys.modules)"]
        return set(
            subprocess.run(
                command, env=environment, capture_output=True, check=True, text=True
            ).stdout.split()
        )

    without = modules({name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    # Debian's own Python has a sitecustomize too.
    assert (modules(dict(os.environ)) - without) | {"sitecustomize"} == {"sitecustomize", "loopback_only"}


def test_no_key_and_no_account_of_the_developer_is_here(tmp_path: Path) -> None:
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
    assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"
    assert Path.home() == tmp_path / "home"
    assert Path(os.environ["AGENT_LAUNCHER_DATA_DIR"]).parent == tmp_path
    assert Path.cwd().parent == tmp_path
    assert not (Path.cwd() / ".env").exists()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="A unicorn is missing: ask a witch"):
        require(None, what="A unicorn", remedy="ask a witch")
    assert require("a horse", what="A unicorn", remedy="ask a witch") == "a horse"


SKIPPING = """
    import pytest

    def test_that_skips():
        pytest.skip("no unicorn")

    @pytest.mark.xfail(strict=True)
    def test_expected_to_fail():
        assert False
    """


def test_a_skip_passes_at_a_desk(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    done = _run_pytest(pytester, SKIPPING)
    done.assert_outcomes(skipped=1, xfailed=1)
    assert done.ret == 0


def test_a_skip_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    done = _run_pytest(pytester, SKIPPING)
    done.assert_outcomes(failed=1, xfailed=1)
    done.stdout.fnmatch_lines(["*no unicorn*", "*Nothing may be skipped where CI=true.*"])
    assert done.ret == 1


def test_a_skipped_module_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    done = _run_pytest(pytester, 'import pytest\npytest.importorskip("no_such_module")')
    done.assert_outcomes(errors=1)


def _run_pytest(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    """Runs a test file under this suite's conftest, in a process of its own."""
    pytester.makepyfile(source)
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}")
