"""Runs an invocation on AWS Lambda: one synchronous call, which is one execution.

boto3 addresses, serialises and signs the request (region, profile, partition, endpoint are its business), and our own
HTTP carries it (`core.providers.botocore_adapter`). So nothing is repeated unseen, a stop or the run's deadline ends
the wait at once, connections are kept alive by TCP, and an error knows for certain whether the request had left.
What boto3's own transport does instead: after 60 s of silence it invokes the function again, while the first
execution goes on and is billed.
"""

import os
import re
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from core import redaction
from core.contract import (
    MAX_TIMEOUT_SECONDS,
    AgentRequest,
    AgentResponse,
    utc_now,
)
from core.errors import (
    DeadlineExceeded,
    ExecutionError,
    InternalError,
    InvocationError,
    LambdaUnreachable,
    OutcomeUnknown,
)
from core.execution.base import Attempt, Completed
from core.execution.lambda_answer import read_answer
from core.execution.lambda_call import (
    BACKEND,
    as_ours,
    completed_of,
    context_of_call,
    failure,
    headers_of,
    on_lambda,
    payload_of,
    secrets_of,
)
from core.execution.lambda_errors import error_of, too_large_to_send
from core.execution.lambda_function import FACTS_SECONDS, FunctionFacts, KnownFacts, read_facts
from core.execution.lambda_refusal import Refusal
from core.execution.report_line import LambdaReport, read_report
from core.interruption import CancelToken, Limits
from core.invocation import OnDelta
from core.loggers import get_logger
from core.providers.botocore_adapter import Aws, Purpose, Target

log = get_logger("agent_launcher.lambda")

MAX_REQUEST_BYTES: Final = 6 * 1024 * 1024 - 1
"""AWS: "Request must be smaller than 6291456 bytes for the InvokeFunction operation"."""
START_SECONDS: Final = 30.0
"""What an execution may take beside the function's own time-out: the way, and a cold start before its clock starts."""
GRACE_SECONDS: Final = 0.5
"""How long after the deadline the function's own answer to it is waited for."""

_PURPOSE: Final = Purpose(
    "AWS Lambda",
    "AWS_LAMBDA_REGION",
    "Runs on LOCAL need none.",
    address="AWS_LAMBDA_REGION and AWS_ENDPOINT_URL_LAMBDA",
)
_ANYWHERE: Final = "us-east-1"
"""Stands in a request to another server, where no region is known and none matters."""
_SIGNS: Final = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaTarget:
    """Which function, and where.

    Attributes:
        function: Its name or ARN.
        region: None takes the ARN's, else boto3's own choice.
        endpoint_url: Instead of AWS's own, such as the runtime emulator's; None takes AWS_ENDPOINT_URL_LAMBDA.
            On loopback a request is signed only if the environment names credentials: the emulator needs none.
        qualifier: A version or an alias.
        max_concurrency: How many connections are kept for the next calls.
    """

    function: str
    region: str | None = None
    endpoint_url: str | None = None
    qualifier: str | None = None
    max_concurrency: int = 32


_REGION_IN_ARN: Final = re.compile(r"arn:aws[a-z-]*:lambda:([a-z0-9-]+):")


class LambdaExecutor:
    """One function on AWS Lambda; shared by threads. Nothing is imported or connected before the first call."""

    backend = BACKEND

    def __init__(self, target: LambdaTarget) -> None:
        self.target = target
        self._aws = Aws(_PURPOSE, max_idle=max(target.max_concurrency, 1))
        self._known = KnownFacts(lambda: self._aws.prepare("lambda", self._where()))

    def invoke(
        self, request: AgentRequest, *, on_delta: OnDelta | None = None, cancel: CancelToken | None = None
    ) -> Attempt:
        """See `Executor.invoke`. `on_delta` is never called: the function answers in one piece."""
        del on_delta
        started_at, started = utc_now(), time.perf_counter()
        report: LambdaReport | None = None
        try:
            answer, report = self._run(request, cancel)
        except InvocationError as exc:
            answer = as_ours(exc)
        except Exception as exc:
            # The boundary of the seam: an error is data in the attempt. Whether it had been sent is not known.
            answer = InternalError("An internal error. The log has the detail.", detail=repr(exc))
            log.exception("invoking the function failed: function=%s", self.target.function)
        elapsed = time.perf_counter() - started
        if isinstance(answer, AgentResponse):
            completed, response = Completed.ANSWERED, on_lambda(answer)
        else:
            self._log(answer, request)
            completed, response = completed_of(answer), failure(request, answer, seconds=elapsed)
        return Attempt(
            backend=self.backend,
            response=response,
            started_at=started_at,
            finished_at=utc_now(),
            latency_us=int(elapsed * 1_000_000),
            completed=completed,
            lambda_report=report,
        )

    def function(self, limits: Limits | None = None) -> FunctionFacts:
        """The function's configuration, asked for now.

        Raises:
            ExecutionError: It cannot be had.
        """
        try:
            return self._ask(limits or Limits(timeout_seconds=FACTS_SECONDS * 2))
        except InvocationError as exc:
            raise as_ours(exc) from exc

    def dry_run(self, limits: Limits) -> None:
        """Returns if the function can be reached and may be invoked; AWS does not execute it.

        The runtime emulator knows no dry run and would: do not ask it.

        Raises:
            ExecutionError: It cannot.
        """
        try:
            where = self._where()
            parameters = {**self._named(), "InvocationType": "DryRun", "Payload": b"{}"}
            reply = self._aws.send("lambda", "invoke", parameters, where, limits)
            body = b"".join(reply)
        except InvocationError as exc:
            raise as_ours(exc) from exc
        if reply.status != 204:
            headers = headers_of(reply.headers)
            raise self._refused(Refusal(self.target.function, where.region, reply.status, headers, body))

    @property
    def region(self) -> str:
        """Where the function is asked for.

        Raises:
            ExecutionError: No region is known, or two.
        """
        try:
            return self._where().region
        except InvocationError as exc:
            raise as_ours(exc) from exc

    def close(self) -> None:
        """Closes the unused connections."""
        self._aws.close()

    def _run(
        self, request: AgentRequest, cancel: CancelToken | None
    ) -> tuple[AgentResponse | ExecutionError, LambdaReport | None]:
        timeout = MAX_TIMEOUT_SECONDS if request.timeout_seconds is None else request.timeout_seconds
        limits = Limits(timeout_seconds=timeout, cancel=cancel)
        payload = payload_of(request)
        if len(payload) > MAX_REQUEST_BYTES:
            raise too_large_to_send(size=len(payload))
        facts = self._known.facts(self._ask, limits)
        limits.check(sent=False)
        remaining = limits.remaining_seconds() or 0.0
        longest = (MAX_TIMEOUT_SECONDS if facts is None else facts.timeout_seconds) + START_SECONDS
        patience = min(remaining + GRACE_SECONDS, longest)
        try:
            return self._exchange(request, payload, facts, Limits(timeout_seconds=patience, cancel=cancel))
        except DeadlineExceeded as exc:
            if not exc.sent:
                raise
            if patience < longest:
                raise OutcomeUnknown(
                    "The run's deadline passed before AWS Lambda answered. The function may still work on it, and be "
                    "billed. Allow more time, or ask for less."
                ) from exc
            raise OutcomeUnknown(
                f"{self.target.function} did not answer within {longest:.0f} s, which is longer than it may work. "
                "Whether it completed is unknown: it may have been billed. See its log, or run the request again."
            ) from exc

    def _exchange(
        self, request: AgentRequest, payload: bytes, facts: FunctionFacts | None, limits: Limits
    ) -> tuple[AgentResponse | ExecutionError, LambdaReport | None]:
        where = self._where()
        parameters = {"InvocationType": "RequestResponse", "LogType": "Tail", "Payload": payload}
        reply = self._aws.send(
            "lambda", "invoke", {**self._named(), **parameters, **context_of_call()}, where, limits
        )
        body, headers = b"".join(reply), headers_of(reply.headers)
        refusal = Refusal(self.target.function, where.region, reply.status, headers, body)
        if reply.status != 200 and not refusal.is_the_functions:
            raise self._refused(refusal)
        log_result = headers.get("x-amz-log-result")
        if facts is None and log_result:
            facts = self._known.late(self._ask, limits)
        report = read_report(
            log_result,
            request_id=headers.get("x-amzn-requestid"),
            region=where.region,
            architecture=None if facts is None else facts.architecture,
            secrets=secrets_of(request),
        )
        answer = read_answer(
            body,
            function_error=headers.get("x-amz-function-error")
            or ("Unhandled" if reply.status != 200 else None),
            function=self.target.function,
            report=report,
        )
        if isinstance(answer, ExecutionError):
            answer.request_id = report.request_id
        # An emulator says nothing of itself, and AWS bills nothing for it: its region would only price what was free.
        return answer, report if report.request_id is not None else None

    def _ask(self, limits: Limits) -> FunctionFacts:
        where = self._where()
        reply = self._aws.send("lambda", "get_function_configuration", self._named(), where, limits)
        body = b"".join(reply)
        if reply.status != 200:
            headers = headers_of(reply.headers)
            raise self._refused(Refusal(self.target.function, where.region, reply.status, headers, body))
        return read_facts(body, region=where.region)

    def _refused(self, refusal: Refusal) -> ExecutionError:
        if refusal.blames_credentials:
            self._aws.forget()  # others may have been put in their place
        return error_of(refusal)

    def _where(self) -> Target:
        endpoint = self.target.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_LAMBDA", "").strip() or None
        in_arn = _REGION_IN_ARN.match(self.target.function)
        named = None if in_arn is None else in_arn[1]
        if named and self.target.region and named != self.target.region:
            raise LambdaUnreachable(
                f"The function's ARN is in {named}, but AWS_LAMBDA_REGION is {self.target.region}. Correct either.",
                sent=False,
            )
        region = self.target.region or named or self._aws.default_region()
        if region is None and endpoint is None:
            raise LambdaUnreachable(
                "No AWS region is known for Lambda. Set AWS_LAMBDA_REGION to the region of the function.",
                sent=False,
            )
        signed = not (endpoint and _is_loopback(endpoint)) or any(map(os.environ.get, _SIGNS))
        return Target(region or _ANYWHERE, endpoint, None, signed)

    def _named(self) -> dict[str, Any]:
        qualifier = self.target.qualifier
        return {
            "FunctionName": self.target.function,
            **({} if qualifier is None else {"Qualifier": qualifier}),
        }

    def _log(self, error: ExecutionError, request: AgentRequest) -> None:
        log.warning(
            "lambda invocation failed: code=%s function=%s request_id=%s %s",
            error.code.value,
            self.target.function,
            error.request_id,
            redaction.redact(error.detail or "", secrets_of(request)),
        )


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
