"""A package adds a provider by an entry point, and nothing of ours is edited for it.

What needs the package in the same process is in `installed/`, the contract suite and the package's own tests; each is
a pytest of its own here, whose path has the package on it.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import UnknownProvider
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import RunFilter
from dashboard import routes, state
from tests.support.app_server import COMMAND, AppServer
from tests.support.environment import GUARD_FOLDER, ROOT
from tests.support.example_package import EXAMPLE, commands_of, environment_with
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import Reply, VendorServer

ANSWER = Reply.sse(
    [
        {"type": "message-start", "id": "generation-1"},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "Paris."}}}},
        {
            "type": "message-end",
            "delta": {
                "finish_reason": "COMPLETE",
                "usage": {"billed_units": {"input_tokens": 12, "output_tokens": 2}},
            },
        },
    ],
    last=None,
)
AGENT = """
format: agent-launcher/agents/v1
agents:
  - name: Guide
    description: ""
    config:
      provider: COHERE
      model_name: command-a-03-2025
      prompt: What is the capital of France?
      base_url: {url}
"""


PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")


def documented(what: str) -> tuple[dict[str, str], list[str]]:
    """The environment and the arguments of the page's pytest command that runs this."""
    (words,) = (words for words in commands_of(PAGE) if words[-1] == what and "pytest" in words)
    start = words.index(".venv/bin/python")
    return dict(word.split("=", 1) for word in words[:start]), words[start + 1 :]


def pytest_with(
    site: Path, given: dict[str, str], arguments: Sequence[str], *, folder: Path
) -> tuple[int, str]:
    """Runs a pytest that has the package; returns how many tests passed, and what it printed."""
    path = [Path(entry) for entry in given.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environment = environment_with(site, *path) | {k: v for k, v in given.items() if k != "PYTHONPATH"}
    environment.pop(
        "CI", None
    )  # a suite may have nothing to ask of a vendor: what it skips is looked at below
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'pytest'}"]
    done = subprocess.run(
        [sys.executable, *arguments, *options],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    skipped = re.findall(r"(?m)^SKIPPED .*", done.stdout)
    assert [line for line in skipped if "got empty parameter set" not in line] == []
    return int(passed[1]), done.stdout


@pytest.mark.slow
def test_it_passes_the_same_suite_as_every_provider(site: Path, tmp_path: Path) -> None:
    passed, output = pytest_with(site, *documented("tests/contract"), folder=tmp_path)
    assert passed > 350, output


@pytest.mark.slow
def test_it_appears_wherever_a_provider_can(site: Path, tmp_path: Path) -> None:
    passed, output = pytest_with(site, {}, ["-m", "pytest", "tests/examples/installed"], folder=tmp_path)
    assert passed >= 20, output


@pytest.mark.slow
def test_its_own_tests_pass(site: Path, tmp_path: Path) -> None:
    passed, output = pytest_with(site, *documented(f"{EXAMPLE}/tests"), folder=tmp_path)
    assert passed > 50, output


def test_what_is_shipped_is_the_package_and_its_entry_point(site: Path) -> None:
    assert sorted(path.name for path in site.iterdir()) == [
        "agent_launcher_cohere",
        "agent_launcher_cohere-0.1.0.dist-info",
    ]
    (row,) = site.glob("*.dist-info/entry_points.txt")
    assert row.read_text().split() == [
        f"[{registry.ENTRY_POINT_GROUP}]",
        *("cohere", "=", "agent_launcher_cohere.spec:COHERE"),
    ]


def test_its_row_is_found_without_its_sdk(site: Path) -> None:
    program = (
        "import sys; from core.providers import registry; registry.get_spec('COHERE'); print(*sys.modules)"
    )
    loaded = subprocess.check_output(
        [sys.executable, "-c", program], env=environment_with(site), text=True
    ).split()
    assert "agent_launcher_cohere.spec" in loaded
    assert {"agent_launcher_cohere.provider", "cohere", "httpx"} & set(loaded) == set()


def test_a_package_that_cannot_be_loaded_takes_no_other_provider_with_it(site: Path, tmp_path: Path) -> None:
    for name, value in (
        ("gone", "nonesuch:SPEC"),
        ("wrong", "json:dumps"),
        ("ours", "core.providers.rows_demo:DEMO"),
    ):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{registry.ENTRY_POINT_GROUP}]\n{name} = {value}\n")
    done = subprocess.run(
        [sys.executable, "-c", "from core.providers import registry; print(*registry.specs())"],
        env=environment_with(site, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [*(spec.name for spec in registry.BUILT_IN), "COHERE"]
    assert len(done.stderr.splitlines()) == 2
    assert "nonesuch:SPEC cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "json:dumps is no ProviderSpec" in done.stderr


def launcher(*arguments: str, site: Path | None = None, code: int = 0) -> str:
    """Calls the command in a process of its own, with the package or without."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env=(environment_with(site) if site else dict(os.environ)) | {"CO_API_KEY": "cohere-key-0123456789"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def newest_run(application: Application) -> tuple[str, str, int | None]:
    run = application.runs.page(LOCAL, RunFilter()).runs[0]
    return run.provider, run.status.value, run.cost_nanousd


def test_the_commands_of_the_page_work(site: Path) -> None:
    commands = [words for words in commands_of(PAGE) if words[0] == ".venv/bin/agent-launcher"]
    assert len(commands) == 2
    for _, *arguments in commands:
        assert "COHERE" in launcher(*arguments, site=site)


@pytest.mark.slow
def test_the_command_line_knows_it(site: Path, vendor: VendorServer) -> None:
    listed = json.loads(launcher("models", "--provider", "COHERE", "--json", site=site))
    assert {"command-a", "command-r7b"} <= {row["model"] for row in listed if row["input_usd_per_mtok"]}

    vendor.will(Reply.json({"models": [{"name": "command-live", "endpoints": ["chat"]}]}))
    live = launcher("models", "--provider", "COHERE", "--live", "--base-url", vendor.url, site=site)
    assert "command-live" in live

    vendor.will(ANSWER)
    asked = ("run", "--provider", "COHERE", "--model", "command-a-03-2025", "--base-url", vendor.url)
    answer = json.loads(launcher(*asked, "--prompt", "What is the capital of France?", "--json", site=site))
    assert answer["response"] == "Paris."
    with opened_application() as application:
        # 12 tokens at $2.50 and 2 at $10.00 a million, as the vendor's own server is priced; this one is not known.
        assert newest_run(application) == ("COHERE", "SUCCEEDED", None)

    launcher("runs", "list", "--provider", "COHERE", site=site)
    refused = launcher(*asked, "--prompt", "x", "--temperature", "3", site=site, code=2)
    assert "temperature" in refused


@pytest.mark.slow
def test_without_the_package_what_it_left_behind_still_opens(
    site: Path,
    vendor: VendorServer,
    tmp_path: Path,
    application: Application,
    open_app: Callable[..., AppTest],
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(AGENT.format(url=vendor.url))
    launcher("agents", "import", str(file), site=site)
    vendor.will(ANSWER)
    launcher("run", "--agent", "Guide", "--json", site=site)

    # From here on it is not installed, as it never was in this process.
    assert "COHERE" not in registry.specs()
    assert "provider: COHERE" in launcher("agents", "show", "Guide")
    assert "COHERE" in launcher("runs", "list", "--provider", "COHERE")
    assert "COHERE" in launcher("usage", "--by", "provider")
    refused = launcher("run", "--agent", "Guide", code=1)
    assert "Invalid provider: 'COHERE'" in refused
    assert "Traceback" not in refused
    assert len(vendor.requests) == 1

    (run,) = application.runs.page(LOCAL, RunFilter(providers=("COHERE",))).runs
    page = open_app().switch_page(routes.RUN_DETAIL)
    page.query_params[state.RUN_ID] = str(run.id)
    page.run()
    assert not page.exception
    assert "Paris." in "\n".join(str(element.value) for element in page.markdown)
    agent = application.agents.find(LOCAL, "Guide")
    page = open_app().switch_page(routes.AGENT)
    page.query_params[state.AGENT_PAGE_ID] = str(agent.id)
    page.run()
    assert not page.exception
    assert next(box for box in page.selectbox if box.label == "Provider").value == "COHERE"
    for other in (routes.OVERVIEW, routes.PLAYGROUND, routes.AGENTS, routes.RUNS, routes.USAGE, routes.COSTS):
        assert not open_app(other).exception
    with pytest.raises(UnknownProvider, match="Invalid provider: 'COHERE'"):
        application.agents.create(LOCAL, name="Another", config=AgentConfig.parse(agent.version.config))


@pytest.mark.slow
def test_a_server_serves_it(site: Path, make_server: Callable[..., AppServer]) -> None:
    path = os.pathsep.join(map(str, (site, GUARD_FOLDER)))
    server = make_server(environment={"PYTHONPATH": path, "CO_API_KEY": "cohere-key-0123456789"}).start()
    assert server.answers("/healthz")
    assert server.stop() == 0
    assert "Traceback" not in server.log
    assert "could not load ahead" not in server.log
    assert server.refused == []
