"""The table in `docs/lambda-faults.md` is true: each of its rows is played, on LAMBDA and on AUTO, and compared."""

import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from core.contract import AgentRequest
from core.execution.aws_lambda import LambdaExecutor, LambdaTarget
from core.execution.base import Attempt, Completed
from core.execution.breaker import CircuitBreaker
from core.execution.choice import BackendChoice
from core.execution.fallback import Asked, FallbackExecutor, LambdaRoute, Listener
from core.execution.local import LocalExecutor
from core.execution.retrying import RetryPolicy
from core.interruption import CancelToken, Limits
from core.pricing.lambda_rates import NOTHING_BILLED, LambdaCost, lambda_cost
from lambda_handler.refusals import ALLOW_LOOPBACK
from tests.contract.dialects.base import Answer, Failure
from tests.contract.dialects.openai import OpenAIDialect
from tests.support.environment import ROOT
from tests.support.lambda_service import Act, LambdaService
from tests.support.vendor_server import VendorServer

PAGE: Final = ROOT / "docs" / "lambda-faults.md"
DIALECT: Final = OpenAIDialect()
GRACE_S: Final = 1.0
CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


@dataclass(frozen=True)
class Scene:
    """How a row is played.

    Attributes:
        acts: What becomes of each invocation; the last one of all further ones, if it is the only one.
        provider: How the provider fails; None where it answers.
        deadline_s: The run's.
        prompt_chars: Of the prompt, twice as many bytes.
    """

    acts: tuple[Act, ...] = (Act.answer(),)
    provider: Failure | None = None
    deadline_s: float = 20.0
    nobody: bool = False
    no_credentials: bool = False
    large: bool = False
    stopped: bool = False


def refused(status: int, name: str, **fields: str) -> Scene:
    return Scene((Act.refuse(status, name, **fields),))


_TOO_LARGE: Final = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
SCENES: Final[Mapping[str, Scene]] = {
    "none": Scene(),
    "the provider refuses the key": Scene(provider=Failure.BAD_KEY),
    "the provider is overloaded": Scene(provider=Failure.OVERLOADED),
    "throttled": refused(429, "TooManyRequestsException", Reason="ConcurrentInvocationLimitExceeded"),
    "throttled once, then an answer": Scene((Act.refuse(429, "TooManyRequestsException"), Act.answer())),
    "the request is above 6 MB": Scene(large=True),
    "413": refused(413, "RequestTooLargeException"),
    "connection refused": Scene(nobody=True),
    "no credentials": Scene(no_credentials=True),
    "expired credentials": refused(403, "ExpiredTokenException"),
    "no permission to invoke": refused(403, "AccessDeniedException"),
    "no such function, or another region": refused(404, "ResourceNotFoundException"),
    "its KMS key may not be used": refused(502, "KMSAccessDeniedException"),
    "no network interface left": refused(502, "ENILimitReachedException"),
    "EC2 throttles its network's set-up": refused(502, "EC2ThrottledException"),
    "its runtime is not supported any more": refused(502, "InvalidRuntimeException"),
    "its code cannot be imported": Scene(
        (Act.fail("Runtime.ImportModuleError", "Unable to import module 'x': No module named 'y'"),)
    ),
    "it exits before it asks the provider": Scene(
        (Act.fail("Runtime.ExitError", "RequestId: x Error: Runtime exited with error: exit status 1"),)
    ),
    "it fails after the provider answered": Scene((Act.fail("KeyError", "'answer'", runs=True),)),
    "out of memory after the provider answered": Scene((Act.out_of_memory(runs=True),)),
    "killed by its time-out, before the provider answered": Scene((Act.time_out(runs=False),)),
    "killed by its time-out, after the provider answered": Scene((Act.time_out(runs=True),)),
    "the answer is above 6 MB": Scene((Act.fail("Function.ResponseSizeTooLarge", _TOO_LARGE, runs=True),)),
    "the answer is not the contract's": Scene((Act.say(b'{"statusCode": 200, "body": "Paris"}'),)),
    "500, Lambda's own": refused(500, "ServiceException"),
    "502 of a gateway, before the execution": Scene((Act.gateway(502, runs=False),)),
    "502 of a gateway, after it": Scene((Act.gateway(502, runs=True),)),
    "503": Scene((Act.gateway(503, runs=False),)),
    "reset before the execution": Scene((Act.reset(runs=False),)),
    "reset after the execution": Scene((Act.reset(runs=True),)),
    "the answer is cut": Scene((Act.cut(),)),
    "no answer by the deadline, the function never ran": Scene((Act.hang(runs=False),), deadline_s=6.0),
    "no answer by the deadline, the function ran": Scene((Act.hang(runs=True),), deadline_s=6.0),
    "stopped while the function runs": Scene((Act.hang(runs=True),), stopped=True),
}


def _rows() -> dict[str, dict[str, str]]:
    found = re.search(r"(?m)^\| Fault (?:.*\n)(?:^\|.*\|\n)+", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    head, _, *rows = (
        [cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in found[0].splitlines()
    )
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


TABLE: Final = _rows()


@dataclass
class Played:
    """What happened."""

    attempts: list[Attempt]
    requests: int
    started: int
    generations: int
    took_s: float
    reasons: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Generator[VendorServer]:
    monkeypatch.setenv(ALLOW_LOOPBACK, "1")
    with VendorServer() as server:
        yield server


@pytest.fixture
def play(
    service: LambdaService, vendor: VendorServer, nobody_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Scene, BackendChoice], Played]:
    def play(scene: Scene, choice: BackendChoice) -> Played:
        if scene.no_credentials:
            for name in CREDENTIALS:
                monkeypatch.delenv(name, raising=False)
        if len(scene.acts) == 1:
            service.otherwise = scene.acts[0]
        service.will(*scene.acts)
        ok = DIALECT.whole(Answer())
        vendor.otherwise(ok if scene.provider is None else DIALECT.failure(scene.provider))
        endpoint = None if scene.no_credentials else nobody_url if scene.nobody else service.url
        target = LambdaTarget(function="agent", endpoint_url=endpoint, region="us-east-1")
        request = AgentRequest.model_validate(
            {
                "provider": DIALECT.provider,
                "model_name": DIALECT.model,
                "api_key": "sk-test-1234567890",
                # Within the contract, and above 6 MB in UTF-8.
                "prompt": "é" * 2_000_000 if scene.large else "What is the capital of France?",
                "system_prompt": "🌍" * 500_000 if scene.large else None,
                "context": {"text": "x" * 900_000} if scene.large else None,
                **DIALECT.connection(vendor.url),
            }
        )
        cancel = CancelToken()
        limits = Limits(timeout_seconds=scene.deadline_s, cancel=cancel)
        policy = RetryPolicy(pause=lambda limits, _: limits.check())
        if scene.stopped:
            service.on_invocation = threading.Timer(0.3, cancel.cancel).start
        reasons: list[tuple[str, str | None]] = []
        listener = Listener(on_attempt=lambda backend, reason: reasons.append((backend, reason)))
        began = time.monotonic()
        with closing(LambdaExecutor(target)) as executor:
            route = LambdaRoute(executor=executor, breaker=CircuitBreaker("agent"), preferred=True)
            both = FallbackExecutor(LocalExecutor(), route)
            attempts = both.attempt(Asked(local=request, choice=choice), limits, listener, policy=policy)
        took = time.monotonic() - began
        completed = len(vendor.requests) if scene.provider is None else 0
        return Played(attempts, len(service.invocations), service.started, completed, took, reasons)

    return play


def bill_of(attempt: Attempt) -> str:
    """What is known of Lambda's bill for an attempt."""
    nothing_ran = attempt.lambda_report is None and attempt.completed is Completed.NOTHING
    cost = NOTHING_BILLED if nothing_ran else lambda_cost(attempt.lambda_report)
    if cost == LambdaCost(0, 0):
        return "none"
    return "unknown" if None in (cost.compute_nanousd, cost.request_nanousd) else "known"


def tokens_of(attempt: Attempt) -> str:
    """What is known of its tokens."""
    if attempt.response.billed_nothing:
        return "none"
    return "unknown" if attempt.response.token_usage is None else "known"


def test_the_table_has_a_row_for_each_fault_and_no_other() -> None:
    assert list(TABLE) == list(SCENES)


@pytest.mark.parametrize("fault", SCENES, ids=lambda name: re.sub(r"[^\w]+", "-", name))
def test_on_lambda(play: Callable[[Scene, BackendChoice], Played], fault: str) -> None:
    row, scene = TABLE[fault], SCENES[fault]
    played = play(scene, BackendChoice.LAMBDA)
    last = played.attempts[-1]
    error = last.response.error
    seen = {
        "Fault": fault,
        "Code": "SUCCEEDED" if error is None else error.code.value,
        "Retry": "" if error is None else "yes" if error.retryable else "no",
        "Requests": str(played.requests),
        "Executions": str(played.started),
        "Generations": str(played.generations),
        "Attempts": str(len(played.attempts)),
        "Tokens": tokens_of(last),
        "Lambda's bill": bill_of(last),
        "Completed": last.completed.value,
    }
    assert seen == {name: row[name] for name in seen}
    assert played.took_s <= scene.deadline_s + GRACE_S
    assert {backend for backend, _ in played.reasons} == {"LAMBDA"}
    # What may have run is not repeated; each invocation is one attempt.
    assert not any(attempt.completed is Completed.UNKNOWN for attempt in played.attempts[:-1])
    assert played.requests in {0, len(played.attempts)}


@pytest.mark.parametrize("fault", SCENES, ids=lambda name: re.sub(r"[^\w]+", "-", name))
def test_on_auto(play: Callable[[Scene, BackendChoice], Played], fault: str) -> None:
    row, scene = TABLE[fault], SCENES[fault]
    played = play(scene, BackendChoice.AUTO)
    last = played.attempts[-1]
    error = last.response.error
    fell_back = last.backend == "LOCAL"
    assert ("local" if fell_back else "ends") == row["On AUTO"]
    assert str(played.generations) == row["Generations on AUTO"]
    if fell_back:
        assert error is None
        assert last.response.response == Answer().text
        assert played.reasons == [("LAMBDA", None), ("LOCAL", "FALLBACK")]
        assert [attempt.completed for attempt in played.attempts] == [Completed.NOTHING, Completed.ANSWERED]
    else:
        assert ("SUCCEEDED" if error is None else error.code.value) == row["Code"]
        assert {backend for backend, _ in played.reasons} == {"LAMBDA"}
    assert played.took_s <= scene.deadline_s + GRACE_S


def test_a_run_that_is_unknown_is_tried_again_where_its_agent_says_so(
    service: LambdaService, vendor: VendorServer
) -> None:
    vendor.otherwise(DIALECT.whole(Answer()))
    service.will(Act.reset(runs=True))
    request = AgentRequest.model_validate(
        {
            "provider": DIALECT.provider,
            "model_name": DIALECT.model,
            "api_key": "sk-test-1234567890",
            "prompt": "What is the capital of France?",
            **DIALECT.connection(vendor.url),
        }
    )
    reasons: list[tuple[str, str | None]] = []
    listener = Listener(on_attempt=lambda backend, reason: reasons.append((backend, reason)))
    asked = Asked(local=request, choice=BackendChoice.AUTO)
    with closing(LambdaExecutor(LambdaTarget(function="agent", endpoint_url=service.url))) as executor:
        route = LambdaRoute(executor=executor, breaker=CircuitBreaker("agent"), preferred=True)
        both = FallbackExecutor(LocalExecutor(), route)
        attempts = both.attempt(replace(asked, retry_on_unknown=True), Limits(timeout_seconds=20), listener)
    assert [attempt.completed for attempt in attempts] == [Completed.UNKNOWN, Completed.ANSWERED]
    assert reasons == [("LAMBDA", None), ("LOCAL", "UNKNOWN")]
    assert len(vendor.requests) == 2
