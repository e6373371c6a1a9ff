"""What the store takes and gives: plain frozen records, so that nothing outside this folder sees a table row.

Times are aware UTC datetimes, durations integer microseconds (`*_us`), money integer nano-dollars (`*_nanousd`);
None means unknown everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, NotRequired, TypedDict
from uuid import UUID


class RunStatus(StrEnum):
    """The life of a run. All but RUNNING are final."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


class Trigger(StrEnum):
    """Who asked for a run."""

    PLAYGROUND = "playground"
    REPLAY = "replay"
    CLI = "cli"
    PYTHON = "python"
    API = "api"
    SCHEDULE = "schedule"


class Backend(StrEnum):
    """Where an attempt runs."""

    LOCAL = "LOCAL"
    LAMBDA = "LAMBDA"


class AttemptReason(StrEnum):
    """Why an attempt was made that is not its run's first.

    `RETRY`: the one before failed with what may pass. `FALLBACK`: another backend had completed nothing.
    `UNKNOWN`: whether the one before completed is unknown, and the agent says `retry_on_unknown`: it may be a second
    generation, and billed as one.
    """

    RETRY = "RETRY"
    FALLBACK = "FALLBACK"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run about to be sent; written before anything leaves the process.

    Attributes:
        worker_id: The process that works on it; when its heart-beat stops, the run's outcome is unknown.
        request: `AgentRequest.to_public()`: the whole request without the key.
        credential_id: Whose key it is sent with, if a stored one's.
        asked: What was typed for it, where the request shows only what became of that; no key. `{}` says: the same.
        group_id: The runs that were started together, side by side.
        replay_of: The run this one repeats.
        deadline_at: When the run must have ended.
    """

    id: UUID
    project_id: str
    principal_id: str
    worker_id: UUID
    created_at: datetime
    trigger: Trigger
    provider: str
    model: str
    backend: Backend
    request: Mapping[str, Any]
    agent_id: UUID | None = None
    agent_version_id: UUID | None = None
    agent_name: str | None = None
    group_id: UUID | None = None
    replay_of: UUID | None = None
    deadline_at: datetime | None = None
    credential_id: UUID | None = None
    asked: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One finished try at a run, on one backend.

    Attributes:
        ordinal: From 1.
        final: Whether this is the run's last attempt, by which the run is counted; exactly one of a finished run's
            is. It decided the run, unless the run was stopped while it waited to try again.
        latency_us: As the caller saw it. `model_time_us`: as the backend reported it.
        first_token_us: From the attempt's own beginning; None if nothing was streamed.
        tokens_cost_nanousd: None if no price is known for tokens that were used; 0 is a known zero.
        lambda_compute_nanousd, lambda_request_nanousd: On Lambda, None is unknown and 0 a known zero; elsewhere None.
        price_source: Where the token price came from. `lambda_price_source`: likewise for Lambda's.
        reason: None of the run's first.
        lambda_*: As AWS reported the execution; None if it did not say, and elsewhere.
        lambda_cold_start: Whether the execution began with a new environment.
        lambda_billed_ms: All that is billed, `lambda_billed_restore_ms` of it for restoring a snapshot.
    """

    id: UUID
    run_id: UUID
    ordinal: int
    backend: Backend
    status: RunStatus
    started_at: datetime
    finished_at: datetime
    final: bool
    latency_us: int
    model_time_us: int | None = None
    first_token_us: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_cost_nanousd: int | None = None
    input_cost_nanousd: int | None = None
    output_cost_nanousd: int | None = None
    lambda_compute_nanousd: int | None = None
    lambda_request_nanousd: int | None = None
    price_source: str | None = None
    finish_reason: str | None = None
    answered_by_model: str | None = None
    provider_request_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_retryable: bool | None = None
    provider_status: int | None = None
    reason: AttemptReason | None = None
    lambda_request_id: str | None = None
    lambda_region: str | None = None
    lambda_architecture: str | None = None
    lambda_memory_mb: int | None = None
    lambda_max_memory_mb: int | None = None
    lambda_cold_start: bool | None = None
    lambda_duration_us: int | None = None
    lambda_init_us: int | None = None
    lambda_restore_us: int | None = None
    lambda_billed_ms: int | None = None
    lambda_billed_restore_ms: int | None = None
    lambda_price_source: str | None = None

    @property
    def cost_nanousd(self) -> int | None:
        """Tokens and, on Lambda, compute and request; None as soon as one of them is unknown."""
        tokens = self.tokens_cost_nanousd
        if self.backend is Backend.LOCAL or tokens is None:
            return tokens
        compute, request = self.lambda_compute_nanousd, self.lambda_request_nanousd
        return None if compute is None or request is None else tokens + compute + request


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as a list shows it. Cost, tokens and error are the run's own: the sum over its attempts, counted once.

    Attributes:
        backend: Of the attempt that decided; while running, where it begins.
        cost_nanousd: Tokens and Lambda; None if any attempt's is unknown, or while running.
        fell_back_from: The backend that was to run it first, where another one did in the end.
        prompt_preview: The first 200 characters of the prompt.
        first_token_us: From the run's beginning, as `latency_us`: attempts that failed before count too.
    """

    id: UUID
    project_id: str
    principal_id: str
    created_at: datetime
    finished_at: datetime | None
    trigger: Trigger
    status: RunStatus
    provider: str
    model: str
    backend: Backend
    agent_id: UUID | None
    agent_version_id: UUID | None
    agent_name: str | None
    group_id: UUID | None
    replay_of: UUID | None
    attempts: int
    latency_us: int | None
    first_token_us: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None
    error_code: str | None
    prompt_preview: str
    fell_back_from: Backend | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """A run with its texts and attempts.

    Attributes:
        response: The answer, or what was received of it; None if nothing was.
        request: As in `NewRun`.
        credential_id: Likewise; the credential may be gone.
        asked: Likewise; None of a run that was stored without it.
        backend_note: Why it ran where it did, for people, where its attempts do not tell.
    """

    summary: RunSummary
    request: Mapping[str, Any]
    response: str | None
    attempts: tuple[AttemptRecord, ...]
    error_message: str | None
    credential_id: UUID | None = None
    asked: Mapping[str, Any] | None = None
    backend_note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; an empty tuple or None means any.

    Attributes:
        ids: The lowest and the highest.
        since: The first moment; `until`: the first one no more.
    """

    ids: tuple[UUID, UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None
    agent_ids: tuple[UUID, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    statuses: tuple[RunStatus, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    backends: tuple[Backend, ...] = ()
    error_codes: tuple[str, ...] = ()
    group_id: UUID | None = None
    cost_at_least_nanousd: int | None = None
    cost_at_most_nanousd: int | None = None
    unpriced_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One page of runs, newest first.

    Attributes:
        next_cursor: Pass it to get the following, older page; None on the last. `previous_cursor`: likewise newer.
    """

    runs: tuple[RunSummary, ...]
    next_cursor: str | None
    previous_cursor: str | None


class Dimension(StrEnum):
    """What usage is split by; each has its own roll-up."""

    MODEL = "model"
    PROVIDER = "provider"
    AGENT = "agent"
    BACKEND = "backend"
    PRINCIPAL = "principal"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFigures:
    """Sums over runs and attempts of a slice.

    Runs are counted once, by their final attempt; money and tokens over all attempts.

    Attributes:
        unpriced_runs: Runs of which some attempt's cost is unknown, of its tokens or of Lambda; that is in no sum.
        untold_attempts: Attempts of which the input or output tokens are unknown, and in no sum. One that surely used
            none, such as a refused request, has a known 0 instead.
    """

    runs: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    outcome_unknown: int = 0
    attempts: int = 0
    unpriced_runs: int = 0
    untold_attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_tokens: int = 0
    tokens_cost_nanousd: int = 0
    input_cost_nanousd: int = 0
    output_cost_nanousd: int = 0
    lambda_compute_nanousd: int = 0
    lambda_request_nanousd: int = 0

    @property
    def cost_nanousd(self) -> int:
        """Tokens and Lambda together; what has no known price is not in it (`unpriced_runs`)."""
        return self.tokens_cost_nanousd + self.lambda_compute_nanousd + self.lambda_request_nanousd

    @property
    def known_cost_nanousd(self) -> int | None:
        """The cost; None when nothing in it has a price, since unknown is not free."""
        return None if self.unpriced_runs and not self.cost_nanousd else self.cost_nanousd

    @property
    def known_input_tokens(self) -> int | None:
        """The input tokens; None when no attempt's are known, since unknown is not none."""
        return self._told(self.input_tokens)

    @property
    def known_output_tokens(self) -> int | None:
        """As `known_input_tokens`."""
        return self._told(self.output_tokens)

    @property
    def known_tokens(self) -> int | None:
        """Input and output together, as `known_input_tokens`; cached and reasoning tokens are parts of these."""
        return self._told(self.input_tokens + self.output_tokens)

    def _told(self, tokens: int) -> int | None:
        return None if self.untold_attempts and not tokens else tokens

    @property
    def decided(self) -> int:
        """The runs that nobody stopped: what a share of success is a share of, everywhere."""
        return self.runs - self.cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """One bucket of a series.

    Attributes:
        start: The bucket's beginning, UTC (for days: midnight in the zone that was asked for).
        key: The dimension's value: `PROVIDER/model`, provider, agent id as text ("" for none), backend, principal;
            "" when not split.
        label: The key as a person reads it (an agent's name).
    """

    start: datetime
    key: str
    label: str
    figures: UsageFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPoint:
    """Percentiles of a bucket, over the latency of finished runs, within 1 % of exact; microseconds."""

    start: datetime
    key: str
    label: str
    runs: int
    p50_us: float
    p95_us: float
    p99_us: float


class ErrorPoint(NamedTuple):
    """How many runs ended with an error code in one bucket."""

    start: datetime
    error_code: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A process that uses the database, as it said itself.

    Attributes:
        kind: What it is, as the command that starts it ("up", "dashboard", "cli"), or "python".
        pid: Its number on `host`.
    """

    kind: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """An agent and its current version.

    Attributes:
        revision: Rises with every change of the agent's own row; pass it back to detect a change made meanwhile.
    """

    id: UUID
    project_id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    revision: int
    version: "AgentVersionRecord"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVersionRecord:
    """An immutable configuration of an agent.

    Attributes:
        number: From 1, without gaps.
        config: `AgentConfig` of the services as JSON: provider, model, prompts, parameters, credential id ...
    """

    id: UUID
    agent_id: UUID
    number: int
    note: str
    created_at: datetime
    created_by: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRecord:
    """A stored key, sealed. `last4` is "" when the secret is too short to show any of it.

    `api_key_ref` is where AWS Lambda finds the same key by itself; None sends it along.
    """

    id: UUID
    project_id: str
    name: str
    provider: str
    sealed: str = field(repr=False)
    last4: str
    base_url: str | None
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None = None
    api_key_ref: str | None = None


class PriceColumns(TypedDict):
    """What an operator says of a price; as in `PriceOverrideRecord`."""

    provider: str
    model_pattern: str
    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: NotRequired[str | None]
    cache_write_usd_per_mtok: NotRequired[str | None]
    valid_from: NotRequired[datetime | None]
    note: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverrideRecord:
    """An operator's price; decimal numbers as text, US dollars per million tokens."""

    id: UUID
    project_id: str
    provider: str
    model_pattern: str
    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: str | None
    cache_write_usd_per_mtok: str | None
    valid_from: datetime | None
    note: str
    created_at: datetime
    created_by: str
