"""What a function on AWS Lambda is configured to be (`GetFunctionConfiguration`)."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

from core.errors import DeadlineExceeded, ExecutionError, InvocationError, LambdaUnreachable
from core.forks import renew_in_children
from core.interruption import Limits
from core.loggers import get_logger

log = get_logger("agent_launcher.lambda")

CODE_VERSION_VARIABLE: Final = "AGENT_LAUNCHER_CODE_VERSION"
"""Set by the deployment's template."""
DEFAULT_TIMEOUT_SECONDS: Final = 3.0
"""AWS's own default."""
FACTS_SECONDS: Final = 5.0
"""How long reading the function's configuration may hold up a call: the first, and then one a minute."""
FACTS_FRESH_SECONDS: Final = 60.0
FACTS_AGAIN_SECONDS: Final = 5.0
"""After a look that failed; twice as long after each further one, up to `FACTS_FRESH_SECONDS`."""
LATE_FACTS_SECONDS: Final = 1.0
"""How long an answer that is here already may wait for them: without the architecture its price is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFacts:
    """A function as it is deployed. None where AWS did not say.

    Attributes:
        timeout_seconds: How long an execution may take before AWS kills it.
        architecture: "arm64" or "x86_64".
        code_version: What the deployment's template set; None on a function that is not ours.
        state: AWS's word: "Active", "Pending", "Inactive", "Failed".
        update_status: Likewise: "Successful", "InProgress", "Failed".
        snap_start: Whether it is started from a snapshot.
        log_group: Where its log goes.
        log_format: "Text" or "JSON".
        account: The account's id.
        variables: The names of its environment variables, without their values.
    """

    name: str
    region: str
    timeout_seconds: float
    memory_mb: int | None = None
    architecture: str | None = None
    runtime: str | None = None
    version: str | None = None
    handler: str | None = None
    code_version: str | None = None
    state: str | None = None
    update_status: str | None = None
    snap_start: bool = False
    in_vpc: bool = False
    log_group: str | None = None
    log_format: str | None = None
    account: str | None = None
    variables: frozenset[str] = frozenset()


def read_facts(body: bytes, *, region: str) -> FunctionFacts:
    """The facts in a success's body.

    Raises:
        LambdaUnreachable: It is no function's configuration: something else answers there.
    """
    found = _read(body)
    name = _text(found.get("FunctionName"))
    if name is None:
        raise LambdaUnreachable(
            "What answers at this address is not AWS Lambda. Check AWS_ENDPOINT_URL_LAMBDA.", sent=False
        )
    timeout = found.get("Timeout")
    memory = found.get("MemorySize")
    architectures = found.get("Architectures")
    logging = _object(found.get("LoggingConfig"))
    variables = _object(_object(found.get("Environment")).get("Variables"))
    return FunctionFacts(
        name=name,
        region=region,
        timeout_seconds=float(timeout) if _is_whole(timeout) else DEFAULT_TIMEOUT_SECONDS,
        memory_mb=memory if _is_whole(memory) else None,
        architecture=_architecture(architectures),
        runtime=_text(found.get("Runtime")),
        version=_text(found.get("Version")),
        handler=_text(found.get("Handler")),
        code_version=_text(variables.get(CODE_VERSION_VARIABLE)),
        state=_text(found.get("State")),
        update_status=_text(found.get("LastUpdateStatus")),
        snap_start=_object(found.get("SnapStart")).get("ApplyOn") == "PublishedVersions",
        in_vpc=bool(_object(found.get("VpcConfig")).get("VpcId")),
        log_group=_text(logging.get("LogGroup")) or f"/aws/lambda/{name}",
        log_format=_text(logging.get("LogFormat")),
        account=_account(_text(found.get("FunctionArn"))),
        variables=frozenset(variables),
    )


class KnownFacts:
    """The function's configuration, asked for once a minute by one thread; the others wait only for the first.

    Args:
        prepare: What has to be made before anybody can be asked: it is not what a slow network is told by.
    """

    def __init__(self, prepare: Callable[[], None] = lambda: None) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._facts: FunctionFacts | None = None
        self._until = 0.0
        self._failures = 0
        self._asking: threading.Event | None = None
        renew_in_children(self)

    def after_fork(self) -> None:
        """See `core.forks`. Whoever asks at this moment is a thread of the parent's."""
        self._lock, self._asking = threading.Lock(), None

    def facts(self, ask: Callable[[Limits], FunctionFacts], limits: Limits) -> FunctionFacts | None:
        """What is known; None if the function does not say, which is no reason not to invoke it.

        Raises:
            InvocationError: Lambda cannot even be asked, so that the invocation would fail in the same way.
        """
        with self._lock:
            waiting = None if self._facts is not None or self._failures else self._asking
            mine = self._asking is None and time.monotonic() >= self._until
            if mine:
                self._asking = threading.Event()
        if waiting is not None:
            while not waiting.wait(0.05):
                limits.check(sent=False)
        return self._ask(ask, limits) if mine else self._facts

    def late(self, ask: Callable[[Limits], FunctionFacts], limits: Limits) -> FunctionFacts | None:
        """As `facts`, when the answer is here, which nothing of this may spoil: at most for a second."""
        remaining = limits.remaining_seconds()
        seconds = LATE_FACTS_SECONDS if remaining is None else min(LATE_FACTS_SECONDS, remaining)
        try:
            return self.facts(ask, Limits(timeout_seconds=seconds, cancel=limits.cancel))
        except InvocationError:
            return self._facts

    def _ask(self, ask: Callable[[Limits], FunctionFacts], limits: Limits) -> FunctionFacts | None:
        # Only an answer is kept: the next call asks, if this one is stopped.
        facts, fresh, failures, seconds = self._facts, 0.0, self._failures, FACTS_SECONDS
        try:
            self._prepare()
            remaining = limits.remaining_seconds()
            seconds = FACTS_SECONDS if remaining is None else min(FACTS_SECONDS, remaining)
            facts = ask(Limits(timeout_seconds=seconds, cancel=limits.cancel))
            fresh, failures = FACTS_FRESH_SECONDS, 0
        except InvocationError as exc:
            limits.check(sent=False)
            if not exc.sent and not isinstance(exc, ExecutionError):
                raise  # no credentials, no connection
            if not exc.sent and isinstance(exc, DeadlineExceeded):
                raise LambdaUnreachable(
                    f"AWS Lambda could not be asked within {seconds:.0f} s: no connection, or no credentials, came by "
                    "then. Check AWS_LAMBDA_REGION, the network and the AWS credentials.",
                    sent=False,
                ) from exc
            # Not allowed, or an emulator: the invocation itself tells whether the function is there. Of what may pass
            # (throttling, a time-out) the first look is repeated as soon as somebody asks again.
            if failures or isinstance(exc, LambdaUnreachable):
                fresh = min(FACTS_AGAIN_SECONDS * 2 ** min(failures, 10), FACTS_FRESH_SECONDS)
            failures += 1
            log.info("the function's configuration is not known: %s", exc.message)
        finally:
            with self._lock:
                self._facts, self._failures, self._until = facts, failures, time.monotonic() + fresh
                asking, self._asking = self._asking, None
            if asking is not None:
                asking.set()
        return facts


def _read(body: bytes) -> Mapping[str, object]:
    try:
        return _object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _account(arn: str | None) -> str | None:
    parts = (arn or "").split(":")
    return parts[4] if len(parts) > 6 and parts[4].isdigit() else None


def _architecture(value: object) -> str | None:
    if not isinstance(value, list):
        return None
    match cast(list[Any], value):
        case ["arm64" | "x86_64" as architecture]:
            return architecture
        case _:
            return None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(value: object) -> Mapping[str, object]:
    return cast(dict[str, object], value) if isinstance(value, dict) else {}
