"""`.ci/clean-clones` itself, on a small project whose `make run` and `make test` do as the test says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import ROOT

MAKEFILE = """
run:
	@env > ../run.env; mkdir -p .venv/bin; cp command .venv/bin/agent-launcher; exec {python} server.py $(ARGS)
test:
	@env > ../test.env; echo "tested $(ARGS)"; {test}
"""
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES = {"/_stcore/health": b"ok", "/playground": b"<!doctype html><html></html>"}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in PAGES else 404)
        self.end_headers()
        self.wfile.write(PAGES.get(self.path, b""))

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""
ANSWER = '{"run_id": "r-1", "cost_usd": "0", "response": "You asked"}'


def project(
    folder: Path, *, server: str = SERVER, command: str = f"echo '{ANSWER}'", test: str = "true"
) -> Path:
    (folder / ".ci").mkdir(parents=True)
    for name in ("clean-clones", "find-tools.sh"):
        shutil.copy(ROOT / ".ci" / name, folder / ".ci" / name)
    (folder / "Makefile").write_text(MAKEFILE.format(python=sys.executable, test=test))
    (folder / "server.py").write_text(server)
    (folder / "command").write_text(f"#!/bin/sh\n{command}\n")
    (folder / "command").chmod(0o755)
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "All"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def tried(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    temporary = folder.parent / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [folder / ".ci" / "clean-clones", *arguments],
        env={**os.environ, "PYTHON": sys.executable, "TMPDIR": str(temporary), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert list(temporary.iterdir()) == [], "nothing is left behind"
    return done


def test_both_halves_in_clones_that_know_nothing_of_the_caller(tmp_path: Path) -> None:
    say_home = 'test -z "$DATABASE_URL$OPENAI_API_KEY$XDG_CACHE_HOME" && test -z "$(ls -A $HOME)"'
    folder = project(tmp_path / "project", command=f"{say_home} && echo '{ANSWER}'", test="true")
    done = tried(
        folder,
        ARGS="-k usage",
        DATABASE_URL="postgresql://real",
        OPENAI_API_KEY="sk-x",
        XDG_CACHE_HOME="/real",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/playground answers" in done.stdout
    assert "the demo agent ran: r-1" in done.stdout
    assert "tested -k usage" in done.stdout
    assert "make run works and make test passes" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"server": "raise SystemExit('no port')"}, "make run ended before it answered"),
        ({"server": SERVER.replace('b"ok"', 'b"starting"')}, "make run did not answer within 2 s"),
        ({"server": SERVER.replace("/playground", "/elsewhere")}, "/playground does not answer"),
        ({"command": "echo refused; exit 1"}, "the demo agent did not run"),
        ({"command": "echo no JSON"}, "the answer of the demo agent is not one"),
    ],
)
def test_what_goes_wrong_in_the_first_half_is_said(tmp_path: Path, parts: dict[str, str], said: str) -> None:
    done = tried(
        project(tmp_path / "project", **parts), "run", ANSWERS_WITHIN="2" if "within" in said else "30"
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_a_failing_test_run_fails(tmp_path: Path) -> None:
    done = tried(project(tmp_path / "project", test="false"), "test")
    assert done.returncode == 1
    assert "make test failed" in done.stderr
