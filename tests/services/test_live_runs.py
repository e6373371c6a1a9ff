import gc
import threading
import weakref
from dataclasses import replace
from uuid import UUID

from core import ids
from core.contract import AgentResponse, Attachment, Metadata, utc_now
from core.services.agent_config import AgentConfig
from core.services.live_runs import LiveRun, LiveRuns, RunOutcome
from core.services.run_spec import RunSpec
from core.storage.records import RunStatus

SPEC = RunSpec(config=AgentConfig(provider="DEMO", model_name="demo-echo"), prompt="Hello")


def live_run(project_id: str = "p", *, spec: RunSpec = SPEC) -> LiveRun:
    return LiveRun(
        ids.uuid7(), project_id=project_id, provider="DEMO", model="demo-echo", timeout_seconds=5, spec=spec
    )


def outcome_of(run_id: UUID) -> RunOutcome:
    response = AgentResponse(
        response="ab",
        provider="DEMO",
        model="demo-echo",
        metadata=Metadata(),
        timestamp=utc_now(),
        execution_time_seconds=0,
    )
    return RunOutcome(
        run_id=run_id, status=RunStatus.SUCCEEDED, response=response, attempts=1, latency_us=1, cost_nanousd=0
    )


def test_whoever_comes_late_still_gets_every_piece() -> None:
    live = live_run()
    live.add_text("a")
    heard: list[list[str]] = []

    def listen() -> None:
        heard.append(list(live.stream()))

    listeners = [threading.Thread(target=listen) for _ in range(4)]
    for listener in listeners[:2]:
        listener.start()
    live.add_text("b")
    for listener in listeners[2:]:
        listener.start()
    live.add_text("c")
    live.finish(outcome_of(live.run_id))
    for listener in listeners:
        listener.join(timeout=10)
    # Once it has finished, what is left comes in one piece.
    assert ["".join(pieces) for pieces in heard] == ["abc"] * 4
    assert live.text == "abc"


def test_waiting_ends_with_the_run_or_with_patience() -> None:
    live = live_run()
    assert live.wait(0.01) is None
    timer = threading.Timer(0.05, live.finish, args=(outcome_of(live.run_id),))
    timer.start()
    outcome = live.wait(10)
    timer.join()
    assert outcome is live.outcome
    assert outcome is not None


def test_the_clock_stops_with_the_run() -> None:
    live = live_run()
    live.finish(outcome_of(live.run_id))
    elapsed = live.elapsed_seconds
    threading.Event().wait(0.02)
    assert live.elapsed_seconds == elapsed


def test_a_retry_is_counted_with_its_reason() -> None:
    live = live_run()
    assert (live.attempt, live.retry_reason) == (1, None)
    live.note_retry("RATE_LIMITED")
    assert (live.attempt, live.retry_reason) == (2, "RATE_LIMITED")


def test_another_projects_run_is_not_found() -> None:
    runs = LiveRuns()
    live = live_run("mine")
    runs.add(live)
    assert runs.get(live.run_id, project_id="mine") is live
    assert runs.get(live.run_id, project_id="theirs") is None
    assert runs.get(ids.uuid7(), project_id="mine") is None


def test_only_finished_runs_are_forgotten_the_oldest_first() -> None:
    runs = LiveRuns(keep_finished=3)
    going = [live_run() for _ in range(3)]
    for live in going:
        runs.add(live)
    done = [live_run() for _ in range(3)]
    for live in done:
        live.finish(outcome_of(live.run_id))
        runs.add(live)
    newest = live_run()
    runs.add(newest)
    assert runs.under_way() == [*going, newest]
    assert all(runs.get(live.run_id, project_id="p") is None for live in done)
    assert runs.get(going[0].run_id, project_id="p") is going[0]


def test_a_run_whose_caller_waited_is_forgotten_when_it_is_stored_and_no_sooner() -> None:
    runs = LiveRuns(keep_finished=3)
    stored, refused = live_run(), live_run()
    for live in (stored, refused):
        runs.add(live, keep=False)
        assert runs.get(live.run_id, project_id="p") is live
    stored.finish(outcome_of(stored.run_id))
    refused.finish(replace(outcome_of(refused.run_id), stored=False, store_error="The disk is full."))
    assert runs.get(stored.run_id, project_id="p") is None
    assert runs.get(refused.run_id, project_id="p") is refused


def test_a_finished_run_keeps_its_texts_and_lets_the_attachments_go() -> None:
    image = Attachment(media_type="image/png", data="aGVsbG8h" * 100_000)
    live = live_run(spec=replace(SPEC, prompt="What is this?", attachments=(image,)))
    for piece in ("a", "b"):
        live.add_text(piece)
    assert live.spec.attachments == (image,)
    kept = weakref.ref(image)
    del image
    live.finish(outcome_of(live.run_id))
    gc.collect()
    assert kept() is None
    assert live.without_attachments
    assert (live.text, live.spec.prompt, list(live.stream())) == ("ab", "What is this?", ["ab"])
    assert live.kept_bytes() < 1_000


def test_finished_runs_are_bounded_by_their_size_too() -> None:
    runs = LiveRuns(keep_bytes=250_000)
    lives = [live_run() for _ in range(5)]
    for live in lives:
        runs.add(live)
        live.add_text("x" * 100_000)
        live.finish(outcome_of(live.run_id))
    kept = [live for live in lives if runs.get(live.run_id, project_id="p")]
    assert kept == lives[3:]
    small = LiveRuns(keep_bytes=1)
    small.add(lives[0])
    assert small.get(lives[0].run_id, project_id="p") is lives[0], "the newest one stays in any case"
