"""Runs from being asked for to being stored, on both databases, over the demo model and a scripted vendor."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core import ids
from core.contract import Attachment, Message, utc_now
from core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    MissingApiKey,
    NotFound,
    StoreError,
    StoreUnavailable,
    UnknownProvider,
)
from core.execution import fallback
from core.execution.base import Attempt
from core.execution.local import LocalExecutor
from core.interruption import Limits
from core.services import run_work
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.live_runs import LiveRun, LiveRuns, RunOutcome
from core.services.principal import LOCAL, Principal
from core.services.run_spec import RunSpec
from core.services.run_view import view_of_detail, view_of_live
from core.services.runs import RunService
from core.storage.records import NewRun, RunFilter, RunStatus, Trigger
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import Reply, VendorServer

DEMO = AgentConfig(provider="DEMO", model_name="demo-echo")
ANYTHING = RunFilter()
OTHERS = Principal(id="someone", project_id="another-project")


def demo(prompt: str = "Hello", **fields: Any) -> RunSpec:
    return RunSpec(config=DEMO.model_copy(update=fields), prompt=prompt)


def vendor_spec(vendor: VendorServer, **fields: Any) -> RunSpec:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1", **fields)
    return RunSpec(config=config, prompt="Hello", api_key="sk-test-12345678")


def ended(live: LiveRun) -> RunOutcome:
    outcome = live.wait(30)
    assert outcome is not None, "the run did not end"
    return outcome


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


# Starting


def test_a_run_is_stored_with_all_that_is_known_of_it(application: Application) -> None:
    spec = replace(
        demo("Say {{what}}", system_prompt="Be {{how}}.", max_tokens=200, variables={"how": "brief"}),
        variables={"what": "hello"},
        trigger=Trigger.PLAYGROUND,
        agent_name="Greeter",
        context={"customer": 7},
    )
    outcome = ended(application.runs.start(LOCAL, spec))
    assert outcome.status is RunStatus.SUCCEEDED
    assert outcome.stored
    detail = application.runs.get(LOCAL, outcome.run_id)
    assert detail.request["prompt"] == "Say hello"
    assert detail.request["system_prompt"] == "Be brief."
    assert detail.request["context"] == {"customer": 7}
    assert detail.request["max_tokens"] == 200
    assert detail.response == outcome.response.response
    summary = detail.summary
    assert (summary.trigger, summary.agent_name, summary.attempts) == (Trigger.PLAYGROUND, "Greeter", 1)
    assert (summary.provider, summary.model, summary.cost_nanousd) == ("DEMO", "demo-echo", 0)
    assert summary.input_tokens is not None and summary.input_tokens > 0
    assert detail.attempts[0].price_source == "offline demo"


def test_a_run_is_written_before_it_is_sent(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[delay=30]] Hello"))
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.RUNNING
    assert [run.id for run in application.runs.running(LOCAL)] == [live.run_id]
    application.runs.stop(LOCAL, live.run_id)
    ended(live)


def test_runs_side_by_side_work_at_once_and_know_each_other(application: Application) -> None:
    group = ids.uuid7()
    specs = [replace(demo(f"[[delay=30]] {number}"), group_id=group) for number in range(6)]
    lives = application.runs.start_many(LOCAL, specs)
    until(lambda: all(live.begun for live in lives))
    assert application.runs.count(LOCAL, RunFilter(group_id=group)) == 6
    for live in lives:
        application.runs.stop(LOCAL, live.run_id)
    assert {ended(live).status for live in lives} == {RunStatus.CANCELLED}


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (demo("{{missing}}"), InvalidRequest),
        (demo("  "), InvalidRequest),
        (RunSpec(config=AgentConfig(provider="demo", model_name="m"), prompt="x"), UnknownProvider),
        (
            RunSpec(
                config=DEMO.model_copy(update={"credential_id": ids.uuid7(), "provider": "OPENAI"}),
                prompt="x",
            ),
            MissingApiKey,
        ),
    ],
)
def test_either_all_start_or_none(application: Application, broken: RunSpec, error: type[Exception]) -> None:
    with pytest.raises(error):
        application.runs.start_many(LOCAL, [demo(), broken])
    assert application.runs.count(LOCAL, ANYTHING) == 0
    assert application.runs.live.under_way() == []


def test_a_run_that_is_not_recorded_leaves_no_trace(application: Application) -> None:
    outcome = application.runs.run(LOCAL, demo(), store=False)
    assert outcome.status is RunStatus.SUCCEEDED
    assert not outcome.stored
    assert outcome.store_error is None
    assert application.runs.count(LOCAL, ANYTHING) == 0


def test_in_the_callers_thread_the_pieces_arrive_there(application: Application) -> None:
    pieces: list[tuple[str, int]] = []
    outcome = application.runs.run(
        LOCAL, demo(), on_delta=lambda piece: pieces.append((piece, threading.get_ident()))
    )
    assert "".join(piece for piece, _ in pieces) == outcome.response.response
    assert {thread for _, thread in pieces} == {threading.get_ident()}
    assert application.runs.get(LOCAL, outcome.run_id).summary.first_token_us is not None


def test_a_runs_own_values_go_before_the_agents(application: Application) -> None:
    spec = replace(
        demo("{{a}} {{b}}", variables={"a": "standing", "b": "standing"}), variables={"b": "of the run"}
    )
    outcome = application.runs.run(LOCAL, spec)
    assert application.runs.get(LOCAL, outcome.run_id).request["prompt"] == "standing of the run"


def test_final_texts_keep_their_braces(application: Application) -> None:
    outcome = application.runs.run(LOCAL, replace(demo("{{ not a variable }}"), rendered=True))
    assert application.runs.get(LOCAL, outcome.run_id).request["prompt"] == "{{ not a variable }}"


# Checking


def test_checking_finds_what_a_provider_would_refuse_and_stores_nothing(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini")
    picture = Attachment(media_type="image/png", data="cG5n")
    refused = [
        (RunSpec(config=openai, prompt="x"), MissingApiKey),
        (
            RunSpec(
                config=openai.model_copy(update={"model_name": "o3", "temperature": 0.5}),
                prompt="x",
                api_key="sk-x",
            ),
            InvalidRequest,
        ),
        (
            RunSpec(
                config=openai.model_copy(update={"model_name": "gpt-3.5-turbo"}),
                prompt="x",
                api_key="sk-x",
                attachments=[picture],
            ),
            InvalidRequest,
        ),
        (demo("{{x}}"), InvalidRequest),
    ]
    for spec, error in refused:
        with pytest.raises(error):
            application.runs.check(LOCAL, spec)
    assert application.runs.check(LOCAL, demo("fine")).prompt == "fine"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert application.runs.check(LOCAL, RunSpec(config=openai, prompt="x")).api_key is None
    assert application.runs.count(LOCAL, ANYTHING) == 0


# Following and stopping


def test_what_is_seen_live_is_what_is_stored(application: Application) -> None:
    for spec in (
        demo(),
        demo("[[fail_after=3]] Hello"),
        demo("Hi", model_name="demo-flaky"),
        demo("x", model_name="demo-error"),
    ):
        live = application.runs.start(LOCAL, spec)
        ended(live)
        stored = view_of_detail(application.runs.get(LOCAL, live.run_id))
        assert asdict(view_of_live(live)) == asdict(stored)
        assert application.runs.view(LOCAL, live.run_id) == stored


def test_the_first_token_is_counted_from_the_runs_beginning(application: Application) -> None:
    outcome = application.runs.run(LOCAL, demo("Hi", model_name="demo-flaky"), on_delta=lambda piece: None)
    first, second = outcome.records
    assert first.error_code is not None and second.first_token_us is not None
    before = second.started_at - application.runs.get(LOCAL, outcome.run_id).summary.created_at
    assert before > timedelta(milliseconds=50)  # the failed attempt, and the pause after it
    counted = before // timedelta(microseconds=1) + second.first_token_us
    assert outcome.first_token_us == counted
    assert application.runs.get(LOCAL, outcome.run_id).summary.first_token_us == counted
    assert counted <= outcome.latency_us


def test_a_latency_is_exact_to_the_microsecond(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As seconds, these are a float that is a microsecond too low.
    took = timedelta(microseconds=505_502)
    moment = utc_now()
    monkeypatch.setattr("core.services.runs.utc_now", lambda: moment)
    monkeypatch.setattr("core.execution.local.utc_now", lambda: moment + took)
    outcome = application.runs.run(LOCAL, demo())
    assert outcome.latency_us == 505_502
    assert application.runs.get(LOCAL, outcome.run_id).summary.latency_us == 505_502


def test_a_run_under_way_shows_its_text_its_time_and_its_attempt(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[chunk_delay=5]] Hello"))
    until(lambda: bool(live.text))
    view = application.runs.view(LOCAL, live.run_id)
    assert (view.status, view.text, view.attempt, view.stopping) == (RunStatus.RUNNING, "You", 1, False)
    assert view.elapsed_us is not None and view.first_token_us is not None
    assert view.first_token_us <= view.elapsed_us
    assert view.cost_nanousd is None
    application.runs.stop(LOCAL, live.run_id)
    ended(live)


def test_a_stopped_run_keeps_what_was_received(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[chunk_delay=5]] Hello"))
    until(lambda: bool(live.text))
    application.runs.stop(LOCAL, live.run_id)
    outcome = ended(live)
    assert (outcome.status, outcome.response.response) == (RunStatus.CANCELLED, "You")
    detail = application.runs.get(LOCAL, live.run_id)
    assert (detail.summary.status, detail.response) == (RunStatus.CANCELLED, "You")
    application.runs.stop(LOCAL, live.run_id)
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.CANCELLED


def test_only_the_process_that_works_on_a_run_can_stop_it(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[delay=30]] Hello"))
    with opened_application() as other:
        with pytest.raises(Conflict, match="Another process"):
            other.runs.stop(LOCAL, live.run_id)
        assert other.runs.view(LOCAL, live.run_id).elsewhere
    application.runs.stop(LOCAL, live.run_id)
    ended(live)


def test_a_run_that_is_not_there_cannot_be_stopped_or_seen(application: Application) -> None:
    for act in (application.runs.stop, application.runs.get, application.runs.view, application.runs.replay):
        with pytest.raises(NotFound):
            act(LOCAL, ids.uuid7())


def test_another_projects_runs_are_out_of_reach(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[delay=30]] Hello"))
    assert application.runs.follow(OTHERS, live.run_id) is None
    with pytest.raises(NotFound):
        application.runs.stop(OTHERS, live.run_id)
    with pytest.raises(NotFound):
        application.runs.view(OTHERS, live.run_id)
    assert not live.cancel.cancelled
    application.runs.stop(LOCAL, live.run_id)
    ended(live)


# Attempts


def test_each_attempt_is_stored_and_the_cost_is_their_sum(application: Application) -> None:
    outcome = application.runs.run(LOCAL, demo("Hello", model_name="demo-flaky"))
    assert (outcome.status, outcome.attempts) == (RunStatus.SUCCEEDED, 2)
    first, second = application.runs.get(LOCAL, outcome.run_id).attempts
    assert (first.error_code, first.final, first.tokens_cost_nanousd) == ("RATE_LIMITED", False, 0)
    assert (second.status, second.final, second.ordinal) == (RunStatus.SUCCEEDED, True, 2)


def test_stop_is_felt_while_waiting_to_try_again(application: Application, vendor: VendorServer) -> None:
    vendor.will(Reply.json({"error": {"message": "slow"}}, status=429, headers={"Retry-After": "60"}))
    live = application.runs.start(LOCAL, vendor_spec(vendor))
    until(lambda: live.attempt == 2)
    assert live.retry_reason == "RATE_LIMITED"
    assert application.runs.get(LOCAL, live.run_id).attempts[0].error_code == "RATE_LIMITED"
    application.runs.stop(LOCAL, live.run_id)
    outcome = ended(live)
    assert outcome.status is RunStatus.CANCELLED
    assert outcome.cost_nanousd == 0
    assert len(vendor.requests) == outcome.attempts == 1
    detail = application.runs.get(LOCAL, live.run_id)
    assert [(a.status, a.error_code, a.final) for a in detail.attempts] == [
        (RunStatus.FAILED, "RATE_LIMITED", True)
    ]
    assert (detail.summary.status, detail.summary.error_code) == (RunStatus.CANCELLED, "CANCELLED")
    assert detail.error_message is not None
    assert detail.error_message.startswith(
        "The run was stopped while it waited to try again after RATE_LIMITED: "
    )
    assert (detail.summary.cost_nanousd, detail.summary.attempts) == (0, 1)
    assert asdict(view_of_live(live)) == asdict(view_of_detail(detail))
    totals = application.store.usage.totals(LOCAL.project_id, utc_now() - timedelta(hours=1), utc_now())
    assert (totals.runs, totals.cancelled, totals.failed, totals.attempts) == (1, 1, 0, 1)


@pytest.mark.parametrize(
    ("interruption", "status", "says"),
    [
        (KeyboardInterrupt(), RunStatus.CANCELLED, "stopped while it waited to try again after RATE_LIMITED"),
        # The clock may reach the deadline while the wait for a moment just before it is under way.
        (DeadlineExceeded("The deadline passed."), RunStatus.FAILED, "takes no more requests"),
        (RuntimeError("a bug"), RunStatus.FAILED, "internal error"),
    ],
)
def test_what_ends_a_wait_adds_no_attempt(
    application: Application,
    vendor: VendorServer,
    monkeypatch: pytest.MonkeyPatch,
    interruption: BaseException,
    status: RunStatus,
    says: str,
) -> None:
    vendor.will(Reply.json({"error": {"message": "slow"}}, status=429, headers={"Retry-After": "1"}))

    def interrupt(limits: Limits, seconds: float) -> None:
        raise interruption

    monkeypatch.setattr(Limits, "wait", interrupt)
    expected = pytest.raises(KeyboardInterrupt) if status is RunStatus.CANCELLED else nullcontext()
    with expected:
        application.runs.run(LOCAL, vendor_spec(vendor))
    (run,) = application.runs.page(LOCAL, ANYTHING).runs
    detail = application.runs.get(LOCAL, run.id)
    assert (run.status, run.attempts, run.cost_nanousd) == (status, 1, 0)
    assert says in (detail.error_message or "")
    assert [(a.error_code, a.final) for a in detail.attempts] == [("RATE_LIMITED", True)]


def test_a_wait_longer_than_the_deadline_is_not_begun(application: Application, vendor: VendorServer) -> None:
    vendor.will(Reply.json({"error": {"message": "slow"}}, status=429, headers={"Retry-After": "60"}))
    outcome = application.runs.run(LOCAL, vendor_spec(vendor, timeout_seconds=5))
    assert outcome.status is RunStatus.FAILED
    assert outcome.response.error is not None
    assert outcome.response.error.code.value == "RATE_LIMITED"
    assert outcome.latency_us < 4_000_000


def test_the_deadline_ends_a_run_with_what_it_has(application: Application) -> None:
    outcome = application.runs.run(
        LOCAL, demo("[[chunk_delay=30]] Hello", timeout_seconds=0.3), on_delta=lambda _: None
    )
    assert outcome.response.error is not None
    assert outcome.response.error.code.value == "DEADLINE_EXCEEDED"
    assert application.runs.get(LOCAL, outcome.run_id).response == "You"


def narrow_service(application: Application, *, places: int = 1) -> RunService:
    return RunService(
        store=application.store,
        executor=LocalExecutor(),
        credentials=application.credentials,
        prices=application.prices,
        presence=application.presence,
        default_timeout_seconds=30,
        max_concurrency=places,
    )


def test_time_in_the_queue_counts(application: Application) -> None:
    service = narrow_service(application)
    spec = demo("[[delay=0.8]] Hello", timeout_seconds=1.2)
    lives = service.start_many(LOCAL, [spec] * 4)
    outcomes = [ended(live) for live in lives]
    codes = [outcome.response.error and outcome.response.error.code.value for outcome in outcomes]
    assert codes == [None, *["DEADLINE_EXCEEDED"] * 3], "the second starts late, and has only what is left"
    assert lives[1].begun
    for live, outcome in zip(lives, outcomes, strict=True):
        detail = application.runs.get(LOCAL, live.run_id)
        assert outcome.latency_us < 2_000_000
        assert asdict(view_of_live(live)) == asdict(view_of_detail(detail))
    for live in lives[2:]:
        detail = application.runs.get(LOCAL, live.run_id)
        assert not live.begun
        assert "1.2 seconds passed while the run waited for a free place" in (detail.error_message or "")
        assert "never sent" in (detail.error_message or "")
        assert detail.summary.cost_nanousd == 0
    service.close()


def test_a_run_that_waits_ends_at_its_deadline_and_not_when_a_place_is_free(application: Application) -> None:
    service = narrow_service(application)
    first, late = service.start_many(LOCAL, [demo("[[delay=30]] Hello"), demo("Hello", timeout_seconds=0.3)])
    assert ended(late).latency_us < 5_000_000
    assert first.outcome is None
    stopped = service.start(LOCAL, demo("Hello"))
    service.stop(LOCAL, stopped.run_id)
    outcome = ended(stopped)
    assert (outcome.status, outcome.cost_nanousd, stopped.begun) == (RunStatus.CANCELLED, 0, False)
    assert first.outcome is None
    last = service.start(LOCAL, demo("Hello"))
    service.stop(LOCAL, first.run_id)
    assert ended(last).status is RunStatus.SUCCEEDED
    service.close()


def test_closing_ends_what_waits_too(application: Application) -> None:
    service = narrow_service(application)
    lives = service.start_many(LOCAL, [demo("[[delay=30]] Hello")] * 3)
    service.close()
    assert [ended(live).status for live in lives] == [RunStatus.CANCELLED] * 3
    assert application.runs.running(LOCAL) == []


# When something goes wrong here


class _Broken:
    """An executor with a fault of its own."""

    backend = "LOCAL"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def invoke(self, request: Any, *, on_delta: Any = None, cancel: Any = None) -> Attempt:
        if on_delta is not None:
            on_delta("half an ")
        raise self.error


def broken_service(application: Application, error: BaseException) -> RunService:
    return RunService(
        store=application.store,
        executor=_Broken(error),
        credentials=application.credentials,
        prices=application.prices,
        presence=application.presence,
        default_timeout_seconds=30,
    )


def test_a_fault_of_ours_ends_the_run_too(application: Application) -> None:
    service = broken_service(application, RuntimeError("a bug"))
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini")
    outcome = ended(service.start(LOCAL, RunSpec(config=config, prompt="Hello", api_key="sk-test-12345678")))
    assert outcome.response.error is not None
    assert outcome.response.error.code.value == "INTERNAL_ERROR"
    assert "a bug" not in outcome.response.error.message
    detail = application.runs.get(LOCAL, outcome.run_id)
    assert (detail.summary.status, detail.response) == (RunStatus.FAILED, "half an ")
    assert detail.summary.cost_nanousd is None, "the vendor may have billed it"
    service.close()


def test_a_retried_runs_first_token_counts_from_its_beginning_for_its_caller_too(
    application: Application,
) -> None:
    config = AgentConfig(provider="DEMO", model_name="demo-flaky")
    spec = RunSpec(config=config, prompt="Hello")
    outcome = application.runs.run(LOCAL, spec, on_delta=lambda _: None)
    assert outcome.attempts > 1
    summary = application.runs.get(LOCAL, outcome.run_id).summary
    told = outcome.response.time_to_first_token_seconds
    assert told is not None
    assert summary.first_token_us == outcome.first_token_us == round(told * 1_000_000)
    deciding = outcome.records[-1]
    assert deciding.first_token_us is not None
    waited = (deciding.started_at - outcome.response.timestamp).total_seconds()
    assert told == pytest.approx(waited + deciding.first_token_us / 1_000_000)
    assert waited > 0


@pytest.mark.parametrize("place", ["price", "log", "credential"])
def test_a_fault_in_ending_a_run_leaves_nobody_waiting(
    application: Application, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    match place:
        case "price":
            monkeypatch.setattr(application.prices, "price_attempt", fail)
        case "log":
            monkeypatch.setattr(run_work, "_log_end", fail)
        case _:
            monkeypatch.setattr(run_work.RunWorker, "_note_credential", fail)
    live = application.runs.start(LOCAL, demo())
    outcome = ended(live)
    summary = application.runs.get(LOCAL, live.run_id).summary
    assert outcome.status is summary.status
    assert (outcome.stored, outcome.attempts, summary.attempts) == (True, 1, 1)
    if place == "price":
        assert outcome.response.error is not None
        assert outcome.response.error.code.value == "INTERNAL_ERROR"
        assert (summary.status, summary.cost_nanousd) == (RunStatus.FAILED, None)
    else:
        assert summary.status is RunStatus.SUCCEEDED
    assert application.runs.running(LOCAL) == []
    again = application.runs.run(LOCAL, demo())
    assert again.status is outcome.status, "in the calling thread it is no exception either"


def test_ctrl_c_ends_the_run_as_cancelled(application: Application) -> None:
    service = broken_service(application, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        service.run(LOCAL, demo(), on_delta=lambda _: None)
    run = application.runs.page(LOCAL, ANYTHING).runs[0]
    assert run.status is RunStatus.CANCELLED
    assert application.runs.get(LOCAL, run.id).response == "half an "
    service.close()


@pytest.mark.parametrize("moment", ["begun", "attempts_over", "finish", "announced"])
def test_ctrl_c_at_any_moment_leaves_no_run_under_way(
    local_application: Application, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A signal is handled between two steps of the main thread; `raise_signal` has it handled just there."""
    application = local_application

    def interrupted(function: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            monkeypatch.undo()
            if before:
                press_ctrl_c()
            result = function(*arguments, **named)
            if not before:
                press_ctrl_c()
            return result

        return call

    match moment:
        case "begun":
            monkeypatch.setattr(LiveRun, "begin", interrupted(LiveRun.begin, before=True))
        case "attempts_over":
            function = interrupted(fallback.attempt_until_final, before=False)
            monkeypatch.setattr(fallback, "attempt_until_final", function)
        case "finish":
            function = interrupted(application.store.runs.finish, before=True)
            monkeypatch.setattr(application.store.runs, "finish", function)
        case _:
            monkeypatch.setattr(LiveRun, "finish", interrupted(LiveRun.finish, before=False))
    with pytest.raises(KeyboardInterrupt):
        application.runs.run(LOCAL, demo())
    (run,) = application.runs.page(LOCAL, ANYTHING).runs
    own_end = moment in ("finish", "announced")
    assert run.status is (RunStatus.SUCCEEDED if own_end else RunStatus.CANCELLED)
    assert run.cost_nanousd == 0
    assert application.runs.live.under_way() == []
    assert application.runs.running(LOCAL) == []


@pytest.mark.parametrize("handler", ["python's", "the program's"])
def test_ctrl_c_while_a_run_is_stored_comes_through_when_it_is(
    local_application: Application, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    """Python's own handler waits for the end; a program's own is left in force, and the end runs in a thread."""
    application, finish = local_application, local_application.store.runs.finish
    stored, began_in, pressed = list[bool](), list[threading.Thread](), list[bool]()

    def interrupted(*arguments: Any, **named: Any) -> bool:
        began_in.append(threading.current_thread())
        press_ctrl_c()
        stored.append(finish(*arguments, **named))
        return True

    def own(*_: object) -> None:
        pressed.append(not stored)

    monkeypatch.setattr(application.store.runs, "finish", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert before is signal.default_int_handler
    try:
        if handler == "python's":
            with pytest.raises(KeyboardInterrupt):
                application.runs.run(LOCAL, demo())
        else:
            signal.signal(signal.SIGINT, own)
            assert application.runs.run(LOCAL, demo()).status is RunStatus.SUCCEEDED
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        after = signal.signal(signal.SIGINT, before)
    assert stored == [True]
    assert pressed == ([] if handler == "python's" else [True])
    assert after is (before if handler == "python's" else own)
    assert (began_in[0] is threading.main_thread()) == (handler == "python's")
    (run,) = application.runs.page(LOCAL, ANYTHING).runs
    assert run.status is RunStatus.SUCCEEDED


def press_ctrl_c() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    # Handled by the main thread, at its next step.
    time.sleep(0.2)


def test_ctrl_c_while_a_run_is_written_leaves_none_under_way(
    local_application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = local_application
    start = application.store.runs.start

    def interrupted(run: NewRun) -> None:
        start(run)
        press_ctrl_c()

    monkeypatch.setattr(application.store.runs, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        application.runs.run(LOCAL, demo())
    (run,) = application.runs.page(LOCAL, ANYTHING).runs
    assert (run.status, run.cost_nanousd) == (RunStatus.CANCELLED, 0), "it was never sent"


def test_the_answer_of_a_run_that_was_taken_for_lost_is_kept(application: Application) -> None:
    live = application.runs.start(LOCAL, demo("[[delay=0.5]] Hello"))
    assert application.store.runs.reap(now=utc_now() + timedelta(minutes=5)) == 1
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.OUTCOME_UNKNOWN
    outcome = ended(live)
    assert (outcome.status, outcome.stored, outcome.store_error) == (RunStatus.SUCCEEDED, True, None)
    detail = application.runs.get(LOCAL, live.run_id)
    assert (detail.summary.status, detail.response) == (RunStatus.SUCCEEDED, outcome.response.response)
    assert detail.summary.cost_nanousd == outcome.cost_nanousd


def refused_at_first(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> tuple[LiveRun, dict[str, Callable[..., bool]]]:
    """A run that ended, of which the store took nothing; what it does from now on is what is put into "finish"."""
    finish, now = application.store.runs.finish, {}

    def refuse(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable("The database is away.")

    now["finish"] = refuse
    monkeypatch.setattr(application.store.runs, "finish", lambda *a, **k: now["finish"](*a, **k))
    live = application.runs.start(LOCAL, demo())
    outcome = ended(live)
    assert (outcome.stored, outcome.store_error) == (False, "The database is away.")
    assert view_of_live(live).store_error == "The database is away."
    assert application.runs.settle() == 1
    now["finish"] = finish
    return live, now


def test_what_is_stored_later_is_not_called_unstored_any_more(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, _ = refused_at_first(application, monkeypatch)
    assert application.runs.settle() == 0
    outcome = ended(live)
    assert (outcome.stored, outcome.store_error) == (True, None)
    assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.SUCCEEDED


def test_a_commit_of_which_only_the_answer_was_lost_counts_as_stored(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = application.store.runs.finish

    def lose_the_answer(*args: Any, **values: Any) -> bool:
        finish(*args, **values)
        raise StoreUnavailable("The connection was lost.")

    monkeypatch.setattr(application.store.runs, "finish", lose_the_answer)
    live = application.runs.start(LOCAL, demo())
    assert not ended(live).stored
    monkeypatch.setattr(application.store.runs, "finish", finish)
    assert application.runs.settle() == 0
    assert ended(live).stored


def test_an_answer_that_the_store_will_never_take_says_so_and_is_not_tried_for_ever(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live, _ = refused_at_first(application, monkeypatch)
    application.store.runs.finish(
        live.run_id, status=RunStatus.CANCELLED, finished_at=utc_now(), attempts=[], response=None
    )
    assert application.runs.settle() == 0
    outcome = ended(live)
    assert not outcome.stored
    assert "another end" in (outcome.store_error or "")
    assert "is stored now" not in caplog.text


def test_a_run_that_a_restored_backup_does_not_know_keeps_nothing_from_being_settled(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, now = refused_at_first(application, monkeypatch)

    def no_such_run(*_: Any, **__: Any) -> bool:
        raise NotFound("There is no run.")

    now["finish"] = no_such_run
    assert application.runs.settle() == 0
    assert "backup" in (ended(live).store_error or "")


def test_a_fault_of_ours_in_settling_is_logged_once_and_tried_again(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live, now = refused_at_first(application, monkeypatch)
    finish = now["finish"]

    def fault(*_: Any, **__: Any) -> bool:
        raise RuntimeError("a bug")

    now["finish"] = fault
    assert [application.runs.settle() for _ in range(3)] == [1, 1, 1]
    assert caplog.text.count("RuntimeError: a bug") == 1
    now["finish"] = finish
    assert application.runs.settle() == 0
    assert ended(live).stored


def test_closing_stops_what_is_under_way_and_stores_it() -> None:
    with opened_application() as application:
        live = application.runs.start(LOCAL, demo("[[delay=30]] Hello"))
        application.runs.close()
        assert ended(live).status is RunStatus.CANCELLED
        assert application.runs.get(LOCAL, live.run_id).summary.status is RunStatus.CANCELLED


def test_an_answer_that_the_store_refuses_is_kept_and_stored_later(tmp_path: Path) -> None:
    with opened_application() as application:
        live = application.runs.start(LOCAL, demo("[[delay=0.5]] Hello"))
        file = next((tmp_path / "data").glob("*.db"))
        with sqlite3.connect(file) as other:
            other.execute("ALTER TABLE attempt RENAME TO hidden")
        outcome = ended(live)
        assert outcome.status is RunStatus.SUCCEEDED
        assert not outcome.stored
        assert outcome.store_error
        assert application.runs.settle() == 1
        with pytest.raises(StoreError):
            application.runs.get(LOCAL, live.run_id)
        with sqlite3.connect(file) as other:
            other.execute("ALTER TABLE hidden RENAME TO attempt")
        assert application.runs.settle() == 0
        detail = application.runs.get(LOCAL, live.run_id)
        assert (detail.summary.status, detail.response) == (RunStatus.SUCCEEDED, outcome.response.response)
        other.close()


# Repeating


def test_a_replay_asks_exactly_the_same(application: Application) -> None:
    spec = replace(
        demo("Say {{what}}", temperature=0.5, stop=["x"]),
        variables={"what": "{{braces}}"},
        messages=[Message(role="user", content="a"), Message(role="assistant", content="b")],
        context={"n": 1},
    )
    first = application.runs.run(LOCAL, spec)
    live = application.runs.replay(LOCAL, first.run_id)
    ended(live)
    before, after = application.runs.get(LOCAL, first.run_id), application.runs.get(LOCAL, live.run_id)
    assert after.request == before.request
    assert after.request["prompt"] == "Say {{braces}}"
    assert (after.summary.replay_of, after.summary.trigger) == (first.run_id, Trigger.REPLAY)


def test_a_replay_uses_the_credential_of_its_agent(application: Application, vendor: VendorServer) -> None:
    for name in ("first", "second"):
        application.credentials.add(
            LOCAL, name=name, provider="OPENAI", secret=f"sk-{name}-12345678", base_url=f"{vendor.url}/v1"
        )
    chosen = next(c for c in application.credentials.list(LOCAL) if c.name == "second")
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", prompt="Hi", credential_id=chosen.id)
    agent = application.agents.create(LOCAL, name="Agent", config=config)
    spec = RunSpec(config=config, agent_id=agent.id, agent_version_id=agent.version.id)
    vendor.otherwise(Reply.json({"error": {"message": "no"}}, status=401))
    first = application.runs.run(LOCAL, spec)
    ended(application.runs.replay(LOCAL, first.run_id))
    assert [r.headers["authorization"] for r in vendor.requests] == ["Bearer sk-second-12345678"] * 2
    until(lambda: used(application, chosen.id))
    assert not used(application, next(c.id for c in application.credentials.list(LOCAL) if c.name == "first"))


def test_a_replay_uses_the_credential_of_its_run(application: Application, vendor: VendorServer) -> None:
    first, second = (
        application.credentials.add(
            LOCAL, name=name, provider="OPENAI", secret=f"sk-{name}-12345678", base_url=f"{vendor.url}/v1"
        )
        for name in ("first", "second")
    )
    vendor.otherwise(Reply.json({"error": {"message": "no"}}, status=401))
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", credential_id=second.id)
    run = application.runs.run(LOCAL, RunSpec(config=config, prompt="Hi"))
    again = ended(application.runs.replay(LOCAL, run.run_id))
    ended(application.runs.replay(LOCAL, again.run_id))
    assert [r.headers["authorization"] for r in vendor.requests] == ["Bearer sk-second-12345678"] * 3
    detail = application.runs.get(LOCAL, again.run_id)
    assert detail.credential_id == second.id
    assert str(second.id) not in str(detail.request)
    exported = next(
        found for found in application.runs.iterate(LOCAL, ANYTHING) if found.summary.id == again.run_id
    )
    assert (exported.request, exported.credential_id) == (detail.request, second.id)
    # Gone, it is as with a run that had none: what serves now.
    application.credentials.delete(LOCAL, second.id)
    ended(application.runs.replay(LOCAL, run.run_id))
    assert vendor.last.headers["authorization"] == "Bearer sk-first-12345678"
    assert application.runs.spec_of(LOCAL, run.run_id).config.credential_id is None
    (newest, *_) = application.runs.iterate(LOCAL, ANYTHING)
    assert newest.credential_id == first.id


def used(application: Application, credential_id: UUID) -> bool:
    found = next(c for c in application.credentials.list(LOCAL) if c.id == credential_id)
    return found.last_used_at is not None


def test_the_spec_of_a_run_under_way_has_its_templates_and_no_key(
    application: Application, vendor: VendorServer
) -> None:
    vendor.will(Reply.json({"error": {"message": "no"}}, status=401))
    spec = replace(vendor_spec(vendor), prompt="Hello {{who}}", variables={"who": "you"})
    live = application.runs.start(LOCAL, spec)
    ended(live)
    assert (live.spec.prompt, live.spec.variables, live.spec.api_key) == (
        "Hello {{who}}",
        {"who": "you"},
        None,
    )


def test_what_a_finished_run_was_asked_has_its_templates_and_its_attachments(
    application: Application,
) -> None:
    image = Attachment(media_type="image/png", data="aGVsbG8=", name="a.png")
    live = application.runs.start(
        LOCAL, replace(demo("Say {{what}}"), variables={"what": "hello"}, attachments=(image,))
    )
    ended(live)
    asked = application.runs.spec_as_typed(LOCAL, live.run_id)
    assert live.spec.attachments == ()
    assert (asked.prompt, asked.variables, asked.attachments) == ("Say {{what}}", {"what": "hello"}, (image,))
    assert (
        application.runs.spec_as_typed(LOCAL, ended(application.runs.start(LOCAL, demo())).run_id).attachments
        == ()
    )


def test_what_was_typed_for_a_run_outlasts_the_process(vendor: VendorServer, database: str) -> None:
    del database
    with opened_application() as application:
        key = application.credentials.add(
            LOCAL,
            name="own",
            provider="OPENAI",
            secret="sk-own-12345678",
            base_url=f"{vendor.url}/v1",
        )
        vendor.otherwise(Reply.json({"error": {"message": "no"}}, status=401))
        config = AgentConfig(
            provider="OPENAI",
            model_name="gpt-4o-mini",
            system_prompt="You are {{role}}.",
            variables={"role": "a guide"},
            credential_id=key.id,
            context={"plan": "team"},
        )
        spec = RunSpec(
            config=config,
            prompt="Hello {{who}} {",
            variables={"who": "you"},
            api_key=None,
            trigger=Trigger.CLI,
        )
        first = application.runs.run(LOCAL, spec).run_id
        # An unnamed key, and braces that were final text.
        only = replace(
            spec, config=config.model_copy(update={"credential_id": None, "base_url": key.base_url})
        )
        unnamed = application.runs.run(LOCAL, only).run_id
        plain = application.runs.run(LOCAL, replace(demo("Say {{this}}"), rendered=True)).run_id
        again = ended(application.runs.replay(LOCAL, first)).run_id
        before = {
            run_id: application.runs.spec_as_typed(LOCAL, run_id) for run_id in (first, unnamed, plain, again)
        }
        detail = application.runs.get(LOCAL, first)
        assert detail.request["system_prompt"] == "You are a guide."
        assert "_asked" not in detail.request
        assert "sk-own" not in str(detail.asked)
    with opened_application() as application:
        after = {run_id: application.runs.spec_as_typed(LOCAL, run_id) for run_id in before}
        repeated = application.runs.spec_of(LOCAL, first)
    for run_id in (first, again):
        asked = after[run_id]
        assert (asked.config.system_prompt, asked.prompt) == ("You are {{role}}.", "Hello {{who}} {")
        assert (asked.config.variables, asked.variables) == ({"role": "a guide"}, {"who": "you"})
        assert (asked.config.timeout_seconds, asked.config.base_url) == (None, None)
        assert (asked.config.credential_id, asked.context) == (key.id, {"plan": "team"})
        assert not asked.rendered
    assert (before[again].config.system_prompt, before[again].prompt) == (
        "You are {{role}}.",
        "Hello {{who}} {",
    )
    assert (after[unnamed].config.credential_id, after[unnamed].config.base_url) == (None, key.base_url)
    assert (after[plain].prompt, after[plain].rendered) == ("Say {{this}}", True)
    # A repetition is of what was sent, to the letter.
    assert (repeated.prompt, repeated.rendered, repeated.config.timeout_seconds) == (
        "Hello you {",
        True,
        300.0,
    )


def test_a_run_of_before_that_was_kept_shows_no_time_out_that_nobody_set(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.runs.asked_of", lambda *_: None)
    run_id = application.runs.run(LOCAL, demo("Hello")).run_id
    own = application.runs.run(
        LOCAL, replace(demo("Hello"), config=DEMO.model_copy(update={"timeout_seconds": 20}))
    ).run_id
    application.runs.live = LiveRuns()
    for each, seconds in ((run_id, None), (own, 20)):
        assert application.runs.get(LOCAL, each).asked is None
        asked = application.runs.spec_as_typed(LOCAL, each)
        assert (asked.prompt, asked.config.timeout_seconds) == ("Hello", seconds)
