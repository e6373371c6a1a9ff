"""What `make bench` relies on: a server that speaks all five wires, and goals that say when they are missed."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks.bodies import ANSWER, CACHED_TOKENS, CHUNKS, INPUT_TOKENS, OUTPUT_TOKENS, TEXTS
from benchmarks.cold_start import ColdStarts, cold_start_tables
from benchmarks.contenders.harness import MODELS
from benchmarks.contest import compete
from benchmarks.lambda_invoke import MODES, Invokes, invoke_tables, measure_invokes
from benchmarks.plan import GROUPS, Contender, Group, Kind, Mode
from benchmarks.report import Goal, goals, ratio, tables
from benchmarks.run import loopback_server, with_figures
from benchmarks.startup import Startup
from core.contract import AgentRequest, AgentResponse
from core.invocation import invoke


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the benchmarks' server."""
    with loopback_server() as address:
        yield address


@pytest.mark.parametrize("provider", MODELS)
def test_a_stream_can_be_of_two_words(server: str, provider: str) -> None:
    pieces: list[str] = []
    response = ask(server, provider, "Tell me about foxes, in two words.", on_delta=pieces.append)
    assert response.error is None
    assert pieces == [TEXTS[0], TEXTS[-1]]


def ask(
    server: str, provider: str, prompt: str, on_delta: Callable[[str], None] | None = None
) -> AgentResponse:
    request = AgentRequest(
        provider=provider,
        model_name=MODELS[provider],
        prompt=prompt,
        api_key=SecretStr("sk-bench"),
        base_url=f"{server}/v1" if provider == "OPENAI" else server,
    )
    return invoke(request, on_delta=on_delta)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", MODELS)
def test_the_server_speaks_the_wire(server: str, provider: str, streamed: bool) -> None:
    pieces: list[str] = []
    response = ask(server, provider, "Tell me about foxes.", pieces.append if streamed else None)
    assert response.error is None
    assert response.response == ("".join(TEXTS) if streamed else ANSWER)
    assert len(pieces) == (CHUNKS if streamed else 0)
    usage = response.token_usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert usage.cached_input_tokens == (None if provider == "OLLAMA" else CACHED_TOKENS)


def test_all_five_are_measured_against_the_raw_sdk() -> None:
    assert {group.provider for group in GROUPS} == set(MODELS)
    for group in GROUPS:
        raw, ours = group.contenders[:2]
        assert (raw.kind, ours.kind) == (Kind.RAW, Kind.OURS)
        assert set(ours.calls) <= set(raw.calls)


def test_goals_and_tables_are_ratios_to_the_raw_sdk_in_its_best_mode() -> None:
    def measured(cpu: float, per_second: float) -> dict[str, float]:
        return {"cpu_ms_per_call": cpu, "calls_per_second": per_second, "first_token_ms": cpu}

    raw = {
        Mode.COMPLETE: measured(1.0, 1_000.0),
        Mode.COMPLETE_32: measured(1.0, 500.0),
        Mode.ASYNC_32: measured(1.0, 1_000.0),
        Mode.STREAM: measured(10.0, 100.0),
    }
    ours = {
        Mode.COMPLETE: measured(1.4, 700.0),
        Mode.COMPLETE_32: measured(1.4, 700.0),
        Mode.STREAM: measured(13.0, 77.0),
    }
    results = {"OLLAMA": {Kind.RAW: [raw], Kind.OURS: [ours], Kind.LITELLM: []}}
    rows = [line.split(" | ") for line in goals(results, Startup(import_ms=20.0), {}) if "Ollama" in line]
    assert [(row[3], row[4]) for row in rows] == [
        ("1.40 times", "holds |"),
        ("", "not measured |"),
        ("0.70 times", "**misses** |"),
        ("1.30 times", "**misses** |"),
        ("", "not measured |"),
    ]
    lines = tables(results)
    assert "| Agent Launcher, stored | 1.40 | 1.40 | 700.00 | 0.70 |" in "\n".join(lines)
    assert "| litellm.completion | failed |  | failed |  |" in lines


def test_a_ratio_is_taken_within_each_round() -> None:
    # Three times as slow a machine in the second round; the third round of one of them failed.
    raw = [{"complete": {"ms": 1.0}}, {"complete": {"ms": 3.0}}, {"complete": {"ms": 1.0}}]
    ours = [{"complete": {"ms": 1.2}}, {"complete": {"ms": 3.6}}, {}]
    assert ratio(ours, Mode.COMPLETE, raw, Mode.COMPLETE, "ms") == pytest.approx(1.2)
    assert ratio([], Mode.COMPLETE, raw, Mode.COMPLETE, "ms") is None


def test_cold_starts_are_compared_within_each_round() -> None:
    measured = ColdStarts()
    for ours, bare in ((1.1, 1.0), (3.3, 3.0), (1.2, 1.0)):
        measured.add("ours", ours, 50.0)
        measured.add("bare", bare, 40.0)
    assert measured.ratio("bare") == pytest.approx(1.1)
    assert measured.ratio("everything") is None
    rows = [line for line in goals({}, Startup(), {"OLLAMA": measured}) if "cold start" in line]
    assert len(rows) == 1
    assert "1.10 times | holds" in rows[0]
    assert "| OLLAMA: ours | 1,200 | 50 |" in cold_start_tables({"OLLAMA": measured})


def test_a_contender_that_fails_leaves_the_others_their_figures(server: str, tmp_path: Path) -> None:
    program = tmp_path / "breaks.py"
    program.write_text("print({}, flush=True); input(); raise SystemExit('no more')")
    raw = Contender(Kind.RAW, "raw", Path(sys.executable), "raw_openai.py", {Mode.COMPLETE: (3, 1)})
    never = replace(raw, kind=Kind.OURS, name="never there", script="no_such_file.py")
    breaks = replace(raw, kind=Kind.LITELLM, name="breaks", script=str(program))
    group = Group("OPENAI", "OpenAI", (raw, never, breaks))
    said, failures = list[str](), list[str]()
    found = compete(group, 2, server, say=said.append, failures=failures)
    assert failures == ["OpenAI: never there", "OpenAI: breaks"]
    assert "no_such_file" in said[0]
    assert "no more" in said[1]
    assert [set(measured) for measured in found[Kind.RAW]] == [{Mode.COMPLETE}] * 2
    assert found[Kind.OURS] == found[Kind.LITELLM] == [{}, {}]


@pytest.mark.parametrize(
    ("measured", "at_least", "verdict"),
    [(1.5, False, "holds"), (1.51, False, "misses"), (0.8, True, "misses"), (2.0, True, "holds")],
)
def test_a_goal_is_met_at_its_limit(measured: float, at_least: bool, verdict: str) -> None:
    assert verdict in Goal("a", "b", measured, 1.5, at_least=at_least).row


def test_publishing_replaces_the_figures_alone() -> None:
    page = "# Page\n\nText.\n\n## Figures\n\nold\n\n## After\n\nMore.\n"
    assert with_figures(page, "new\n") == "# Page\n\nText.\n\n## Figures\n\nnew\n\n## After\n\nMore.\n"
    assert with_figures("# Page\n\n## Figures\n\nold\n", "new\n") == "# Page\n\n## Figures\n\nnew\n"


def test_an_invocation_is_compared_round_by_round() -> None:
    slow = Invokes({"ours": [0.002, 0.004, 0.006], "bare": [0.001, 0.004, 0.005]})
    assert slow.ratio() == pytest.approx(1.2)
    (row,) = [line for line in goals({}, Startup(), {}, {"sequential": slow}) if "boto3" in line]
    assert "1.20" in row
    assert "| sequential | 4.00 | 4.00 | 1.20 |" in invoke_tables({"sequential": slow})


def test_both_contenders_call_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [replace(mode, calls=2) for mode in MODES if mode.place == "stand-in"]
    monkeypatch.setattr("benchmarks.lambda_invoke.MODES", modes)
    found = measure_invokes(1, say=lambda _: None)
    assert set(found) == {mode.title for mode in modes}
    assert all(set(measured.seconds) == {"ours", "bare"} for measured in found.values())
