"""Runs on AWS Lambda, from being asked for to being stored, through a stand-in for the service on loopback."""

import base64
import json
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from core.contract import utc_now
from core.errors import InvalidInput, InvalidRequest
from core.execution.breaker import BreakerState
from core.execution.choice import BackendChoice
from core.execution.fallback import LambdaRoute
from core.execution.local import LocalExecutor
from core.lambda_service import LambdaAgentService
from core.pricing import lambda_rates
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.attempt_records import cost_parts
from core.services.export import ExportFormat, document_of, export_runs
from core.services.key_travel import KeyTravel
from core.services.live_runs import LiveRun, RunOutcome
from core.services.principal import LOCAL
from core.services.run_spec import RunSpec, counted_version
from core.services.run_view import view_of_detail, view_of_live
from core.services.runs import RunService
from core.storage.records import (
    AttemptReason,
    Backend,
    Dimension,
    RunDetail,
    RunFilter,
    RunStatus,
    UsageFigures,
)
from tests.support.lambda_service import Act, Context, LambdaService, run_in_process
from tests.support.lambda_settings import lambda_variables
from tests.support.stored_runs import opened_application
from tests.support.vendor_server import Reply, VendorServer

DEMO = AgentConfig(provider="DEMO", model_name="demo-echo")


@pytest.fixture
def function() -> Generator[LambdaService]:
    """The service, and the function on it."""
    with LambdaService() as service:
        yield service


@pytest.fixture
def set_up(function: LambdaService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that lead to it."""
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", "true")
    for name, value in lambda_variables(function.url).items():
        monkeypatch.setenv(name, value)
    # As `run_local.sh` sets it where the function is on this machine, as the vendors of these tests are.
    monkeypatch.setenv("AGENT_LAUNCHER_ALLOW_LOOPBACK", "1")


@pytest.fixture
def on_lambda(set_up: None, database: str) -> Generator[Application]:
    """An installation that sends runs to it, on each database."""
    with opened_application() as application:
        yield application


@pytest.fixture
def local_on_lambda(set_up: None) -> Generator[Application]:
    """Likewise, on SQLite alone."""
    with opened_application() as application:
        yield application


def demo(prompt: str = "Hello", **fields: Any) -> RunSpec:
    return RunSpec(config=DEMO.model_copy(update=fields), prompt=prompt)


def ended(live: LiveRun) -> RunOutcome:
    outcome = live.wait(30)
    assert outcome is not None, "the run did not end"
    return outcome


def run(application: Application, spec: RunSpec) -> tuple[RunOutcome, RunDetail]:
    """Runs it, and reads what is stored of it; what its page saw of both must agree."""
    live = application.runs.start(LOCAL, spec)
    outcome = ended(live)
    detail = application.runs.get(LOCAL, outcome.run_id)
    assert asdict(view_of_live(live)) == asdict(view_of_detail(detail))
    assert detail.attempts == tuple(outcome.records)
    assert outcome.cost_nanousd == detail.summary.cost_nanousd
    return outcome, detail


def run_quietly(runs: RunService, spec: RunSpec) -> RunDetail:
    """Without a stream, which these vendors' answers are not."""
    return runs.get(LOCAL, runs.run(LOCAL, spec).run_id)


def far_service(application: Application) -> RunService:
    """One whose Lambda does not reach this machine."""
    assert application.lambda_executor is not None and application.lambda_breaker is not None
    return RunService(
        store=application.store,
        executor=LocalExecutor(),
        on_lambda=LambdaRoute(
            executor=application.lambda_executor, breaker=application.lambda_breaker, preferred=True
        ),
        credentials=application.credentials,
        prices=application.prices,
        presence=application.presence,
        default_timeout_seconds=30,
    )


def figures(application: Application) -> UsageFigures:
    return application.store.usage.totals(
        LOCAL.project_id, utc_now() - timedelta(hours=1), utc_now() + timedelta(minutes=1)
    )


def by_backend(application: Application) -> dict[str, UsageFigures]:
    since, until = utc_now() - timedelta(hours=1), utc_now() + timedelta(minutes=1)
    points = application.store.usage.breakdown(LOCAL.project_id, since, until, Dimension.BACKEND)
    return {point.key: point.figures for point in points}


# On Lambda


def test_a_run_on_lambda_is_stored_with_its_cost_by_part(
    on_lambda: Application, function: LambdaService
) -> None:
    outcome, detail = run(on_lambda, demo())
    assert outcome.status is RunStatus.SUCCEEDED
    assert outcome.response.metadata.execution_backend == "LAMBDA"
    assert outcome.response.metadata.fell_back_from is None
    summary = detail.summary
    assert (summary.backend, summary.fell_back_from, summary.attempts) == (Backend.LAMBDA, None, 1)
    assert (function.executions, len(function.invocations)) == (1, 1)
    (attempt,) = detail.attempts
    assert (attempt.backend, attempt.reason) == (Backend.LAMBDA, None)
    assert (attempt.lambda_region, attempt.lambda_architecture) == ("us-east-1", "arm64")
    assert (attempt.lambda_memory_mb, attempt.lambda_max_memory_mb) == (512, 71)
    assert (attempt.lambda_cold_start, attempt.lambda_init_us) == (True, 123_450)
    assert attempt.lambda_request_id is not None
    assert attempt.lambda_billed_ms is not None and attempt.lambda_duration_us is not None
    assert attempt.lambda_billed_ms * 1_000 >= attempt.lambda_duration_us + 123_450
    # By hand: us-east-1 on arm64, half a gigabyte for the billed time, a fifth of a dollar for a million requests.
    rate = lambda_rates.RATES["us-east-1"].arm64
    compute = rate * attempt.lambda_billed_ms / 1_000 / 2 * 10**9
    assert abs(Decimal(attempt.lambda_compute_nanousd or 0) - compute) <= Decimal("0.5")
    assert attempt.lambda_request_nanousd == 200
    assert attempt.lambda_price_source == f"{lambda_rates.SOURCE}, {lambda_rates.CHECKED}"
    assert attempt.tokens_cost_nanousd == 0
    assert summary.cost_nanousd == (attempt.lambda_compute_nanousd or 0) + 200
    assert attempt.model_time_us is not None and attempt.model_time_us <= attempt.latency_us
    second = run(on_lambda, demo())[1].attempts[0]
    assert (second.lambda_cold_start, second.lambda_init_us) == (False, None)


def test_what_the_function_gets_is_the_contract(
    local_on_lambda: Application, function: LambdaService
) -> None:
    run(local_on_lambda, demo(system_prompt="Be brief.", timeout_seconds=20))
    (event,) = function.invocations
    assert event["contract_version"] == "1.0"
    assert {"provider", "model_name", "prompt", "system_prompt", "timeout_seconds"} <= event.keys()
    assert event["timeout_seconds"] <= 20
    assert not {"backend", "retry_on_unknown", "api_key"} & event.keys()


def test_a_run_on_lambda_comes_in_one_piece_and_says_so(
    local_on_lambda: Application, function: LambdaService
) -> None:
    reached, go = threading.Event(), threading.Event()

    def slowly(event: Any, context: Context) -> Any:
        reached.set()
        assert go.wait(20)
        return run_in_process(event, context)

    function.function = slowly
    live = local_on_lambda.runs.start(LOCAL, demo())
    assert reached.wait(20)
    view = view_of_live(live)
    assert (view.under_way, view.in_one_piece, view.text, view.backend) == (True, True, "", Backend.LAMBDA)
    stored = local_on_lambda.runs.get(LOCAL, live.run_id)
    assert (stored.summary.status, stored.summary.backend) == (RunStatus.RUNNING, Backend.LAMBDA)
    go.set()
    assert ended(live).status is RunStatus.SUCCEEDED
    assert not view_of_live(live).in_one_piece
    assert view_of_live(live).text.startswith('You asked: "Hello"')


# Where it runs


@pytest.mark.parametrize("switched_on", [True, False])
def test_auto_follows_the_setting_and_an_agent_or_a_run_may_say_otherwise(
    set_up: None, monkeypatch: pytest.MonkeyPatch, switched_on: bool
) -> None:
    monkeypatch.setenv("USE_LAMBDA_FOR_AGENT_EXECUTION", str(switched_on))
    auto = Backend.LAMBDA if switched_on else Backend.LOCAL
    with opened_application() as application:
        for chosen, ran in (
            (None, auto),
            ("AUTO", auto),
            ("LAMBDA", Backend.LAMBDA),
            ("LOCAL", Backend.LOCAL),
        ):
            spec = demo() if chosen is None else demo(backend=BackendChoice(chosen))
            assert run(application, spec)[1].summary.backend is ran, chosen
            if chosen is not None:
                spec = replace(demo(backend=BackendChoice.LOCAL), backend=BackendChoice(chosen))
                assert run(application, spec)[1].summary.backend is ran, chosen


def test_lambda_only_is_refused_before_anything_is_stored_where_no_function_is_named(
    local_application: Application,
) -> None:
    assert local_application.lambda_breaker is None
    with pytest.raises(InvalidRequest, match="Set LAMBDA_AGENT_FUNCTION_NAME"):
        local_application.runs.start(LOCAL, demo(backend=BackendChoice.LAMBDA))
    assert local_application.runs.page(LOCAL, RunFilter()).runs == ()
    assert run(local_application, demo())[1].summary.backend is Backend.LOCAL


def test_a_run_elsewhere_is_still_one_of_the_agents_version(local_on_lambda: Application) -> None:
    agents = local_on_lambda.agents
    config = DEMO.model_copy(update={"prompt": "Hello", "backend": BackendChoice.LAMBDA})
    agent = agents.create(LOCAL, name="Greeter", config=config)
    spec = RunSpec(config=config, agent_id=agent.id, agent_name=agent.name, backend=BackendChoice.LOCAL)
    assert counted_version(spec, agent.version) == agent.version.id
    elsewhere = config.model_copy(update={"backend": BackendChoice.LOCAL})
    assert counted_version(replace(spec, config=elsewhere), agent.version) is None


def test_an_agent_keeps_its_choice_in_versions_and_yaml(local_on_lambda: Application) -> None:
    agents = local_on_lambda.agents
    config = DEMO.model_copy(update={"backend": BackendChoice.LAMBDA, "retry_on_unknown": True})
    agent = agents.create(LOCAL, name="There", config=config)
    assert agent.version.config["backend"] == "LAMBDA"
    text = agents.export_yaml(LOCAL, [agent.id])
    assert "backend: LAMBDA\n" in text and "retry_on_unknown: true\n" in text
    agents.archive(LOCAL, agent.id)
    agents.import_yaml(LOCAL, text.replace("There", "Again").replace("LAMBDA", "LOCAL"))
    again = agents.find(LOCAL, "Again")
    assert (again.version.config["backend"], again.version.config["retry_on_unknown"]) == ("LOCAL", True)
    left_open = agents.create(LOCAL, name="Open", config=DEMO)
    assert not {"backend", "retry_on_unknown"} & left_open.version.config.keys()
    assert AgentConfig.parse(left_open.version.config).backend is BackendChoice.AUTO
    with pytest.raises(InvalidInput, match="backend"):
        agents.import_yaml(LOCAL, text.replace("There", "Third").replace("LAMBDA", "MOON"))


def test_a_repeated_run_goes_where_the_first_might_and_here_if_that_is_asked(
    local_on_lambda: Application, function: LambdaService
) -> None:
    runs = local_on_lambda.runs
    function.will(Act.reset(runs=True))
    outcome, detail = run(local_on_lambda, replace(demo(), backend=BackendChoice.LAMBDA))
    assert outcome.status is RunStatus.OUTCOME_UNKNOWN
    assert runs.spec_of(LOCAL, outcome.run_id).choice is BackendChoice.LAMBDA
    again = ended(runs.replay(LOCAL, outcome.run_id))
    assert again.records[0].backend is Backend.LAMBDA
    here = ended(runs.replay(LOCAL, outcome.run_id, backend=BackendChoice.LOCAL))
    assert (here.status, here.records[0].backend) == (RunStatus.SUCCEEDED, Backend.LOCAL)
    assert runs.get(LOCAL, here.run_id).summary.replay_of == detail.summary.id
    assert runs.spec_of(LOCAL, here.run_id).choice is BackendChoice.LOCAL, (
        "and so does a repeat of the repeat"
    )
    own = ended(runs.start(LOCAL, demo(backend=BackendChoice.LOCAL, retry_on_unknown=True)))
    kept = runs.spec_of(LOCAL, own.run_id)
    assert (kept.config.backend, kept.config.retry_on_unknown) == (BackendChoice.LOCAL, True)
    assert runs.spec_as_typed(LOCAL, own.run_id).config.backend is BackendChoice.LOCAL


def test_auto_asks_a_server_on_this_machine_from_this_machine(
    local_on_lambda: Application, function: LambdaService, vendor: VendorServer
) -> None:
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1")
    spec = RunSpec(config=config, prompt="Hello", api_key="sk-test-12345678")
    vendor.will(chat_reply(), chat_reply(), chat_reply())
    assert run_quietly(local_on_lambda.runs, spec).summary.backend is Backend.LAMBDA, "this Lambda reaches it"
    far = far_service(local_on_lambda)
    detail = run_quietly(far, spec)
    assert (detail.summary.backend, detail.summary.fell_back_from) == (Backend.LOCAL, None)
    assert detail.backend_note is not None
    assert f"is on this machine ({vendor.url}/v1), where AWS Lambda cannot reach it" in detail.backend_note
    assert far.key_travel(LOCAL, spec).travel is KeyTravel.STAYS
    asked_for = replace(spec, backend=BackendChoice.LAMBDA)
    assert run_quietly(far, asked_for).summary.backend is Backend.LAMBDA, "who insists gets it"
    assert len(function.invocations) == 2
    far.close()


# Falling back


@pytest.mark.parametrize(
    ("act", "code", "billed"),
    [
        (Act.refuse(429, "TooManyRequestsException"), "LAMBDA_THROTTLED", False),
        (Act.refuse(403, "ExpiredTokenException"), "LAMBDA_UNREACHABLE", False),
        (Act.refuse(404, "ResourceNotFoundException"), "LAMBDA_UNREACHABLE", False),
        (Act.refuse(502, "KMSDisabledException"), "LAMBDA_FUNCTION_ERROR", False),
        (Act.time_out(runs=False), "LAMBDA_TIMEOUT", True),
        (Act.out_of_memory(runs=True), "LAMBDA_FUNCTION_ERROR", True),
    ],
)
def test_where_lambda_completed_nothing_the_run_is_done_here_and_counted_once(
    on_lambda: Application, function: LambdaService, act: Act, code: str, billed: bool
) -> None:
    function.will(act)
    outcome, detail = run(on_lambda, demo())
    assert outcome.status is RunStatus.SUCCEEDED
    assert outcome.response.metadata.execution_backend == "LOCAL"
    assert outcome.response.metadata.fell_back_from == "LAMBDA"
    summary = detail.summary
    assert (summary.backend, summary.fell_back_from, summary.attempts) == (Backend.LOCAL, Backend.LAMBDA, 2)
    there, here = detail.attempts
    assert (there.backend, there.error_code, there.final, there.reason) == (Backend.LAMBDA, code, False, None)
    assert there.model_time_us is None and here.model_time_us is not None
    assert (here.backend, here.final, here.reason) == (Backend.LOCAL, True, AttemptReason.FALLBACK)
    assert (here.lambda_compute_nanousd, here.lambda_request_nanousd) == (None, None)
    if billed:
        assert there.lambda_compute_nanousd is not None and there.lambda_compute_nanousd > 0
        assert there.lambda_request_nanousd == 200
    else:
        assert (there.lambda_compute_nanousd, there.lambda_request_nanousd) == (0, 0)
        assert there.lambda_request_id is None
    # The demo's tokens cost a known nothing, so all that the run cost is what Lambda did.
    parts = cost_parts(detail.attempts)
    assert parts.tokens_nanousd == 0
    assert summary.cost_nanousd == (parts.lambda_compute_nanousd or 0) + (parts.lambda_request_nanousd or 0)
    for _ in range(2):
        split = by_backend(on_lambda)
        assert (split["LAMBDA"].runs, split["LAMBDA"].attempts) == (0, 1)
        assert (split["LOCAL"].runs, split["LOCAL"].attempts) == (1, 1)
        assert figures(on_lambda).cost_nanousd == summary.cost_nanousd
        assert figures(on_lambda).unpriced_runs == 0
        on_lambda.store.usage.fold()
    assert [r.id for r in on_lambda.runs.page(LOCAL, RunFilter(backends=(Backend.LOCAL,))).runs] == [
        summary.id
    ]
    assert on_lambda.runs.page(LOCAL, RunFilter(backends=(Backend.LAMBDA,))).runs == ()


def test_a_run_here_streams_after_it_fell_back(local_on_lambda: Application, function: LambdaService) -> None:
    function.will(Act.refuse(429, "TooManyRequestsException"))
    live = local_on_lambda.runs.start(LOCAL, demo("[[chunk_delay=0.01]] Hello"))
    assert len(list(live.stream())) > 1
    outcome = ended(live)
    assert (outcome.fell_back_from, live.attempt, live.retry_reason) == (
        Backend.LAMBDA,
        2,
        "LAMBDA_THROTTLED",
    )


def test_what_is_too_large_for_lambda_runs_here(
    local_on_lambda: Application, function: LambdaService
) -> None:
    # Within the contract's limits, which count characters; these have three bytes each.
    spec = demo(
        "\N{CJK UNIFIED IDEOGRAPH-5B57}" * 1_950_000, system_prompt="\N{CJK UNIFIED IDEOGRAPH-5B57}" * 300_000
    )
    outcome, detail = run(local_on_lambda, spec)
    assert detail.attempts[0].error_code == "LAMBDA_PAYLOAD_TOO_LARGE"
    assert detail.attempts[0].cost_nanousd == 0
    assert detail.attempts[1].backend is Backend.LOCAL
    assert function.invocations == []
    assert outcome.fell_back_from is Backend.LAMBDA


def test_a_providers_own_refusal_stands(
    local_on_lambda: Application, function: LambdaService, vendor: VendorServer
) -> None:
    vendor.will(Reply.json({"error": {"message": "bad key"}}, status=401))
    config = AgentConfig(provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1")
    spec = RunSpec(config=config, prompt="Hello", api_key="sk-test-12345678")
    outcome, detail = run(local_on_lambda, spec)
    assert (outcome.status, outcome.attempts) == (RunStatus.FAILED, 1)
    (attempt,) = detail.attempts
    assert (attempt.backend, attempt.error_code) == (Backend.LAMBDA, "AUTHENTICATION_FAILED")
    # The refused tokens cost nothing; Lambda bills the time that it took to hear so.
    assert attempt.tokens_cost_nanousd == 0
    assert attempt.cost_nanousd is not None and attempt.cost_nanousd > 200
    assert len(vendor.requests) == 1


# Where nobody knows


def test_a_lost_answer_is_no_reason_to_ask_again(on_lambda: Application, function: LambdaService) -> None:
    function.will(Act.reset(runs=True))
    outcome, detail = run(on_lambda, demo())
    assert (outcome.status, function.executions, outcome.attempts) == (RunStatus.OUTCOME_UNKNOWN, 1, 1)
    assert (detail.summary.cost_nanousd, detail.summary.backend) == (None, Backend.LAMBDA)
    (attempt,) = detail.attempts
    assert (attempt.lambda_compute_nanousd, attempt.lambda_request_nanousd) == (None, None)
    assert figures(on_lambda).unpriced_runs == 1


def test_an_agent_may_ask_for_a_second_generation_which_is_marked_and_still_one_run(
    on_lambda: Application, function: LambdaService
) -> None:
    function.will(Act.reset(runs=True))
    outcome, detail = run(on_lambda, demo(retry_on_unknown=True))
    assert (outcome.status, function.executions) == (RunStatus.SUCCEEDED, 1)
    there, here = detail.attempts
    assert (there.status, there.final) == (RunStatus.OUTCOME_UNKNOWN, False)
    assert (here.backend, here.reason, here.final) == (Backend.LOCAL, AttemptReason.UNKNOWN, True)
    assert detail.summary.cost_nanousd is None, "what the first one cost is not known"
    total = figures(on_lambda)
    assert (total.runs, total.succeeded, total.outcome_unknown, total.attempts) == (1, 1, 0, 2)
    assert total.unpriced_runs == 1


def test_without_a_report_the_cost_is_unknown_and_the_tokens_are_not(
    on_lambda: Application, function: LambdaService
) -> None:
    function.will(replace(Act.answer(), report=False))
    outcome, detail = run(on_lambda, demo())
    assert outcome.status is RunStatus.SUCCEEDED
    (attempt,) = detail.attempts
    assert attempt.tokens_cost_nanousd == 0
    assert attempt.lambda_compute_nanousd is None
    assert attempt.lambda_cold_start is None
    assert detail.summary.cost_nanousd is None
    assert on_lambda.runs.count(LOCAL, RunFilter(unpriced_only=True)) == 1


# Stop, time, and faults of ours


def test_stop_while_lambda_runs_ends_the_run_at_once(on_lambda: Application, function: LambdaService) -> None:
    reached = threading.Event()
    function.on_invocation = reached.set
    function.will(Act.hang(runs=True))
    live = on_lambda.runs.start(LOCAL, demo(retry_on_unknown=True))
    assert reached.wait(20)
    began = time.monotonic()
    on_lambda.runs.stop(LOCAL, live.run_id)
    outcome = ended(live)
    assert time.monotonic() - began < 5
    assert (outcome.status, outcome.attempts) == (RunStatus.CANCELLED, 1)
    assert outcome.response.error is not None and outcome.response.error.may_be_billed
    detail = on_lambda.runs.get(LOCAL, live.run_id)
    assert (detail.summary.backend, detail.summary.cost_nanousd) == (Backend.LAMBDA, None)


def test_what_waits_for_a_place_and_never_gets_one_cost_lambda_nothing(
    set_up: None, function: LambdaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_LAUNCHER_MAX_CONCURRENCY", "1")
    reached = threading.Event()
    function.on_invocation = reached.set
    function.will(Act.hang(runs=False))
    with opened_application() as application:
        first = application.runs.start(LOCAL, demo())
        late = application.runs.start(LOCAL, demo(timeout_seconds=0.3))
        outcome = ended(late)
        assert outcome.response.error is not None
        assert outcome.response.error.code.value == "DEADLINE_EXCEEDED"
        assert reached.wait(20)
        application.runs.stop(LOCAL, first.run_id)
        ended(first)
        (attempt,) = application.runs.get(LOCAL, late.run_id).attempts
        assert (attempt.backend, attempt.cost_nanousd) == (Backend.LAMBDA, 0)
        assert (attempt.lambda_compute_nanousd, attempt.lambda_request_nanousd) == (0, 0)


def test_a_fault_of_ours_on_the_way_ends_the_run_with_an_unknown_cost(
    local_on_lambda: Application, function: LambdaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.execution.aws_lambda import LambdaExecutor

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(LambdaExecutor, "invoke", fail)
    outcome, detail = run(local_on_lambda, demo())
    assert (outcome.status, outcome.attempts) == (RunStatus.FAILED, 1)
    (attempt,) = detail.attempts
    assert (attempt.backend, attempt.error_code, attempt.cost_nanousd) == (
        Backend.LAMBDA,
        "INTERNAL_ERROR",
        None,
    )


# The breaker


def test_a_dead_function_is_left_alone_and_the_run_says_so(
    on_lambda: Application, function: LambdaService
) -> None:
    breaker = on_lambda.lambda_breaker
    assert breaker is not None
    function.will(*[Act.refuse(403, "AccessDeniedException")] * 3)
    for _ in range(3):
        assert run(on_lambda, demo())[0].attempts == 2
    assert breaker.status().state is BreakerState.OPEN
    outcome, detail = run(on_lambda, demo())
    assert (outcome.status, outcome.attempts, outcome.fell_back_from) == (
        RunStatus.SUCCEEDED,
        1,
        Backend.LAMBDA,
    )
    assert outcome.response.metadata.fell_back_from == "LAMBDA"
    assert detail.summary.fell_back_from is Backend.LAMBDA
    assert detail.backend_note is not None
    assert "No run is sent to agent on AWS Lambda at present" in detail.backend_note
    assert "lambda:InvokeFunction" in detail.backend_note, "the remedy of the last fault"
    assert len(function.invocations) == 3
    only, _ = run(on_lambda, demo(backend=BackendChoice.LAMBDA))
    assert only.response.error is not None
    assert (only.response.error.code.value, only.cost_nanousd) == ("LAMBDA_UNREACHABLE", 0)
    assert len(function.invocations) == 3
    breaker.reset()
    assert run(on_lambda, demo())[1].summary.backend is Backend.LAMBDA


# Keys


def stored_key(application: Application, *, reference: str | None) -> UUID:
    added = application.credentials.add(LOCAL, name="Main", provider="OPENAI", secret="sk-test-12345678")
    application.credentials.refer(LOCAL, added.id, api_key_ref=reference)
    return added.id


def chat_reply() -> Reply:
    return Reply.json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-mini",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        }
    )


def test_a_stored_key_travels_in_the_payload_or_as_a_reference_and_the_page_can_say_which(
    local_on_lambda: Application,
    function: LambdaService,
    vendor: VendorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = local_on_lambda.runs
    credential_id = stored_key(local_on_lambda, reference=None)
    config = AgentConfig(
        provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1", credential_id=credential_id
    )
    spec = RunSpec(config=config, prompt="Hello")
    vendor.will(chat_reply(), chat_reply())
    journey = runs.key_travel(LOCAL, spec)
    assert (journey.travel, journey.credential) == (KeyTravel.PAYLOAD, "Main")
    run(local_on_lambda, spec)
    assert function.invocations[-1]["api_key"] == "sk-test-12345678"

    monkeypatch.setenv("TEAM_KEY", "sk-of-the-function-1234")
    local_on_lambda.credentials.refer(LOCAL, credential_id, api_key_ref="env:TEAM_KEY")
    journey = runs.key_travel(LOCAL, spec)
    assert (journey.travel, journey.reference) == (KeyTravel.REFERENCE, "env:TEAM_KEY")
    _, detail = run(local_on_lambda, spec)
    assert function.invocations[-1]["api_key_ref"] == "env:TEAM_KEY"
    assert "api_key" not in function.invocations[-1]
    assert vendor.requests[-1].headers["authorization"] == "Bearer sk-of-the-function-1234"
    assert "api_key_ref" not in detail.request, "it is the credential's, not the request's"
    assert detail.credential_id == credential_id

    local = replace(spec, backend=BackendChoice.LOCAL)
    assert runs.key_travel(LOCAL, local).travel is KeyTravel.STAYS
    assert runs.key_travel(LOCAL, demo()).travel is KeyTravel.OWN
    given = replace(spec, api_key_ref="env:OTHER_KEY")
    assert runs.key_travel(LOCAL, given).reference == "env:OTHER_KEY"
    assert all(travel.sentence for travel in KeyTravel)


def test_what_falls_back_takes_the_stored_key_although_lambda_got_a_reference(
    local_on_lambda: Application, function: LambdaService, vendor: VendorServer
) -> None:
    credential_id = stored_key(local_on_lambda, reference="env:TEAM_KEY")
    config = AgentConfig(
        provider="OPENAI", model_name="gpt-4o-mini", base_url=f"{vendor.url}/v1", credential_id=credential_id
    )
    vendor.will(chat_reply())
    function.will(Act.refuse(429, "TooManyRequestsException"))
    outcome = local_on_lambda.runs.run(LOCAL, RunSpec(config=config, prompt="Hello"))
    assert outcome.status is RunStatus.SUCCEEDED
    assert vendor.requests[-1].headers["authorization"] == "Bearer sk-test-12345678"


@pytest.mark.parametrize("reference", ["sk-test-12345678", "arn:aws:s3:::bucket", "env:", "secret"])
def test_what_is_no_reference_is_refused(local_on_lambda: Application, reference: str) -> None:
    credential_id = stored_key(local_on_lambda, reference=None)
    with pytest.raises(InvalidInput, match="env:NAME"):
        local_on_lambda.credentials.refer(LOCAL, credential_id, api_key_ref=reference)
    assert local_on_lambda.credentials.list(LOCAL)[0].api_key_ref is None


# The facade, and files


def test_the_facade_goes_through_it(local_on_lambda: Application, function: LambdaService) -> None:
    service = LambdaAgentService(local_on_lambda)
    ask: Callable[..., dict[str, Any]] = service.invoke_agent
    answer = ask(provider="DEMO", model_name="demo-echo", prompt="Hello")
    assert answer["metadata"]["execution_backend"] == "LAMBDA"
    assert Decimal(answer["cost_usd"]) > Decimal("0.0000002")
    function.will(Act.time_out(runs=False))
    fell_back = ask(provider="DEMO", model_name="demo-echo", prompt="Hello")
    assert fell_back["metadata"]["fell_back_from"] == "LAMBDA"
    here = ask(provider="DEMO", model_name="demo-echo", prompt="Hello", backend="LOCAL")
    assert (here["metadata"]["execution_backend"], here["cost_usd"]) == ("LOCAL", "0")
    refused = ask(provider="DEMO", model_name="demo-echo", prompt="Hello", backend="MOON")
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert "AUTO, LAMBDA, LOCAL" in refused["error"]["message"]


def test_an_export_has_the_parts_and_the_report(
    local_on_lambda: Application, function: LambdaService
) -> None:
    function.will(Act.time_out(runs=False))
    _, detail = run(local_on_lambda, demo())
    document = document_of(detail)
    there, here = document["attempts"]
    assert (document["backend"], document["fell_back_from"]) == ("LOCAL", "LAMBDA")
    assert document["cost_usd"] == document["lambda_compute_cost_usd"] + document["lambda_request_cost_usd"]
    assert (there["lambda_memory_mb"], there["lambda_region"], there["reason"]) == (512, "us-east-1", None)
    assert here["reason"] == "FALLBACK"
    assert "lambda_memory_mb" not in here
    text = b"".join(export_runs(local_on_lambda.runs, LOCAL, RunFilter(), form=ExportFormat.CSV)).decode()
    header, row = text.splitlines()[:2]
    cells = dict(zip(header.split(","), row.split(","), strict=False))
    assert (cells["backend"], cells["fell_back_from"]) == ("LOCAL", "LAMBDA")
    assert Decimal(cells["lambda_request_cost_usd"]) == Decimal("0.0000002")


def test_the_functions_log_can_name_the_run(local_on_lambda: Application, function: LambdaService) -> None:
    _, detail = run(local_on_lambda, demo())
    sent = json.loads(base64.b64decode(function.last_headers["X-Amz-Client-Context"]))
    assert sent == {"custom": {"run_id": str(detail.summary.id)}}
