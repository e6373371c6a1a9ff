"""The documentation names what exists: every link leads somewhere, every target and command of the README is real."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ErrorCode
from core.providers import registry
from core.providers.rows_demo import DEMO
from core.providers.spec import Feature, ProviderSpec
from core.services.application import Application
from core.services.seeding import seed_demo_agents
from core.settings import load_settings, variables
from tests.contract.dialects.base import Answer
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.environment import ROOT
from tests.support.vendor_server import ReceivedRequest, Reply, VendorServer

DOCS = ROOT / "docs"
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


# Headings: what there is has one, and what has one is there.


def _sections(page: str, *, level: int) -> dict[str, str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    mark = "#" * level
    parts = re.split(rf"(?m)^{mark} (.+)\n", re.sub(rf"(?ms)^#{{1,{level - 1}}} .*?(?=^#|\Z)", "", text))
    return {heading.strip("`"): body for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_setting_has_its_heading() -> None:
    assert set(variables().values()) <= _sections("settings.md", level=3).keys()


def test_every_error_code_has_its_heading() -> None:
    assert {code.value for code in ErrorCode} <= _sections("troubleshooting.md", level=3).keys()


def test_every_page_has_its_heading_and_no_other() -> None:
    wiring = (ROOT / "dashboard" / "app.py").read_text(encoding="utf-8")
    titles = re.findall(r'st\.Page\([^)]*title="([^"]+)"', wiring)
    assert len(titles) == wiring.count("st.Page(")
    sections = _sections("pages.md", level=2)
    assert sorted(sections) == sorted(titles)
    assert all(len(body.strip()) > 60 for body in sections.values())


def test_every_provider_has_its_heading_and_no_other() -> None:
    assert sorted(_sections("providers.md", level=3)) == sorted(spec.name for spec in registry.BUILT_IN)


@pytest.mark.parametrize("spec", registry.BUILT_IN, ids=lambda spec: spec.name)
def test_a_provider_is_described_as_its_row_says(spec: ProviderSpec) -> None:
    section = " ".join(_sections("providers.md", level=3)[spec.name].split())
    named = [*spec.api_key_variables, spec.base_url_variable, spec.default_model, *spec.unreadable]
    assert [name for name in named if name and f"`{name}`" not in section] == []
    lacking = set(Feature) - spec.features - ({Feature.BASE_URL} if spec.offline else set())
    words = {Feature.SEED: "no `seed`", Feature.DOCUMENTS: "no PDF"}
    assert [feature for feature in lacking if words[feature] not in section] == []
    text = (DOCS / "providers.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"(?m)^\| `{spec.name}` \|(.*)\|$", text)
    needs_key, seed, pdf, _ = (cell.strip() for cell in row.split("|"))
    assert (needs_key, seed, pdf) == tuple(
        "yes" if true else "no"
        for true in (spec.needs_api_key, Feature.SEED in spec.features, Feature.DOCUMENTS in spec.features)
    )


# What the original document says of trouble.

_ORIGINAL = ('"API key required"', '"Lambda timeout"', '"Invalid provider"', "IAM errors")


@pytest.mark.parametrize("heading", _ORIGINAL)
def test_each_trouble_of_the_original_document_has_its_cause_and_remedy(heading: str) -> None:
    section = _sections("troubleshooting.md", level=3)[heading].lower()
    assert "cause" in section
    assert "remedy" in section


def test_a_key_that_is_required_is_explained_for_each_provider() -> None:
    section = _sections("troubleshooting.md", level=3)['"API key required"']
    for spec in registry.BUILT_IN:
        if spec.offline:
            continue
        (row,) = re.findall(rf"(?m)^\| `{spec.name}` \|.*$", section)
        assert all(f"`{name}`" in row for name in spec.api_key_variables)
        assert spec.key_help in row
        assert row.split("|")[2].strip().startswith("yes" if spec.needs_api_key else "no")


def test_the_messages_that_are_explained_are_the_programs_own() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "core").rglob("*.py")))
    spoken = re.sub(r'"\s*\n\s*f?"', "", sources)
    # Of the services of AWS that are asked over `botocore_adapter`, the section is about this one.
    spoken = spoken.replace("{self._purpose.name}", "BEDROCK")
    section = _sections("troubleshooting.md", level=3)["IAM errors"]
    messages = re.findall(r'(?m)^\| "([^"]+?)(?: \.\.\.)?" \|', section)
    assert len(messages) == 6
    assert [message for message in messages if message not in spoken] == []
    (policy,) = re.findall(r"(?s)```json\n(.+?)```", section)
    allowed = {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
    assert set(re.findall(r"bedrock:[A-Z]\w+", spoken)) <= allowed


# The guide from a script to this program.

_BLOCK = re.compile(r"(?ms)^```(\w+)\n(.+?)^```")


def test_the_steps_from_a_script_work_in_their_order(
    vendor: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = OpenAIDialect()

    def answer(request: ReceivedRequest) -> Reply:
        seen = dialect.seen(request)
        return dialect.streamed(dialect.events(Answer())) if seen.streamed else dialect.whole(Answer())

    vendor.otherwise(answer)
    monkeypatch.setenv("OPENAI_BASE_URL", dialect.connection(vendor.url)["base_url"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment-0123456789")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    printed: list[str] = []
    for language, block in _BLOCK.findall((DOCS / "migrating-from-scripts.md").read_text(encoding="utf-8")):
        match language:
            case "python":
                printed.append(_printed([sys.executable, "-c", block]))
            case "sh":
                printed += [_printed(["sh", "-ec", line]) for line in block.splitlines()]
            case "yaml":
                Path("agents.yaml").write_text(block, encoding="utf-8")
            case _:
                assert language == "diff"

    before, after, listed, usage, failed, imported, streamed, by_agent, added, credentials = printed
    assert before.strip() == after.strip() == streamed.strip() == Answer().text
    assert "Ticket summary" in listed
    assert "gpt-5.4-mini" in usage
    assert "Ticket summary" in by_agent
    assert failed.startswith("PROVIDER_UNAVAILABLE: ")
    assert imported and added
    assert "Team key" in credentials
    # The same text reached the model, by the library, by the call and by the agent.
    asked = [dialect.seen(request) for request in vendor.requests]
    assert len(asked) == 3
    assert {(seen.model, seen.system, tuple(seen.turns), seen.key) for seen in asked} == {
        (asked[0].model, asked[0].system, tuple(asked[0].turns), "sk-from-the-environment-0123456789")
    }


def _printed(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout or done.stderr
