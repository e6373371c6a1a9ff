"""What AWS Lambda says of one execution in the REPORT line of its log: time, memory, what is billed."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaReport:
    """One execution on AWS Lambda. Whatever AWS did not say is None, never 0.

    Attributes:
        request_id: The invocation's, as in the function's log.
        duration_ms: The handler's own time.
        billed_ms: What AWS bills, initialisation and restoring included since 2025-08-01.
        memory_mb: The function's memory size.
        max_memory_mb: The most that it used since this environment began.
        init_ms: The initialisation's time; None on a warm environment, and where a snapshot was restored.
        restore_ms: The time to restore a snapshot (SnapStart).
        billed_restore_ms: What AWS bills of it, apart from `billed_ms`.
        status: AWS's own word: "success", "timeout", "error", "failure"; None if it gave none.
        error_type: Such as `Runtime.ExitError` or `Runtime.OutOfMemory`.
        log_tail: The last 4 KB of the execution's log, decoded and redacted.
        region: Such as "us-east-1".
        architecture: "arm64" or "x86_64", as in the function's configuration.
    """

    request_id: str | None = None
    duration_ms: Decimal | None = None
    billed_ms: int | None = None
    memory_mb: int | None = None
    max_memory_mb: int | None = None
    init_ms: Decimal | None = None
    restore_ms: Decimal | None = None
    billed_restore_ms: int | None = None
    status: str | None = None
    error_type: str | None = None
    log_tail: str | None = field(default=None, repr=False)
    region: str | None = None
    architecture: str | None = None
