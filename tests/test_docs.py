"""The documentation names what exists: every link leads somewhere, every target and command of the README is real."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.providers.rows_demo import DEMO
from core.services.application import Application
from core.services.seeding import seed_demo_agents
from core.settings import load_settings
from tests.support.environment import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ +(.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead: list[str] = []
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            dead.append(target)
    assert dead == []


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"run", "test"} <= named
    assert named <= set(re.findall(r"(?m)^([a-z-]+):", makefile))


def test_every_document_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {(ROOT / target.partition("#")[0]).resolve() for target in _LINK.findall(readme)}
    pages = {page.resolve() for page in (ROOT / "docs").glob("*.md")}
    assert pages <= named


def test_the_demo_model_is_documented() -> None:
    text = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    directives = re.search(
        r"_DIRECTIVE[^=]*= *re\.compile\(\s*r\"\\\[\\\[\(([a-z_|]+)\)",
        (ROOT / "core/providers/demo.py").read_text(),
    )
    assert directives is not None
    assert [model.name for model in DEMO.models if f"`{model.name}`" not in text] == []
    assert [name for name in directives[1].split("|") if f"`[[{name}=" not in text] == []


@pytest.fixture
def installation() -> None:
    """What `make run` leaves behind: a database with the demo agents."""
    application = Application.open(load_settings(), kind="test")
    seed_demo_agents(application)
    application.close()


def test_every_command_of_the_readme_works(installation: None) -> None:
    del installation
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"(?m)^\.venv/bin/(agent-launcher .+)$", readme)
    assert len(commands) >= 4
    for command in commands:
        name, *arguments = shlex.split(command)
        done = subprocess.run(
            [str(Path(sys.executable).with_name(name)), *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert done.stdout.strip(), command


def test_the_python_of_the_readme_works(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.+?)```", readme, re.DOTALL)
    assert program is not None
    exec(compile(program[1], "README.md", "exec"), {})
    assert 'You asked: "Hello"' in capsys.readouterr().out
