"""Runs: start, follow, stop, find, repeat. Runs work in threads of this process, not in a page's script."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from core import ids
from core.contract import AgentRequest, Attachment, ErrorBody, Message, parse_request, utc_now
from core.errors import Conflict, ErrorCode, StoreError
from core.execution.base import Attempt, Executor
from core.execution.retrying import RetryPolicy, attempt_until_final
from core.interruption import Limits
from core.logs import log_run
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.credentials import CredentialService
from core.services.live_runs import LiveRun, LiveRuns, RunOutcome
from core.services.presence import Presence
from core.services.prices import PriceService
from core.services.principal import Principal
from core.services.templating import render
from core.storage.records import (
    AttemptRecord,
    Backend,
    NewRun,
    RunDetail,
    RunFilter,
    RunPage,
    RunStatus,
    RunSummary,
    Trigger,
)
from core.storage.store import Store

log = logging.getLogger("agent_launcher.runs")

DEFAULT_MAX_CONCURRENCY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to run: a configuration, and what is asked.

    Attributes:
        prompt: May hold `{{variables}}`; empty for the configuration's own prompt.
        rendered: The prompts are final text, and braces in them are just braces.
        context: Replaces the configuration's context when not None.
        api_key: For this run only; never stored.
        agent_id, agent_version_id, agent_name: Which stored agent this is, if it is one.
        group_id: The runs that stand side by side.
    """

    config: AgentConfig
    prompt: str = ""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    rendered: bool = False
    messages: Sequence[Message] = ()
    attachments: Sequence[Attachment] = ()
    context: Mapping[str, Any] | None = None
    trigger: Trigger = Trigger.PYTHON
    api_key: str | None = field(default=None, repr=False)
    agent_id: UUID | None = None
    agent_version_id: UUID | None = None
    agent_name: str | None = None
    group_id: UUID | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    request: AgentRequest
    new_run: NewRun | None
    live: LiveRun
    credential_id: UUID | None


class RunService:
    """See the module. One per process."""

    def __init__(
        self,
        *,
        store: Store,
        executor: Executor,
        credentials: CredentialService,
        prices: PriceService,
        presence: Presence,
        default_timeout_seconds: float,
        max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._credentials = credentials
        self._prices = prices
        self._presence = presence
        self._default_timeout_seconds = default_timeout_seconds
        self._retry_policy = retry_policy
        self._threads = ThreadPoolExecutor(max_workers=max_concurrency, thread_name_prefix="run")
        self.live = LiveRuns()

    # Starting

    def start(self, principal: Principal, spec: RunSpec) -> LiveRun:
        """Stores the run and begins it in a thread; returns at once.

        Raises:
            InvalidRequest, UnknownProvider: Nothing was stored or sent.
            SecretUnreadable, StoreError: Likewise.
        """
        return self.start_many(principal, [spec])[0]

    def start_many(self, principal: Principal, specs: Sequence[RunSpec]) -> list[LiveRun]:
        """Begins several at once, stored in one transaction; all or none. Errors as in `start`."""
        prepared = [self._prepare(principal, spec, store=True) for spec in specs]
        self._presence.appear()
        self._store.runs.start_many([item.new_run for item in prepared if item.new_run])
        for item in prepared:
            self.live.add(item.live)
            self._threads.submit(self._work, item, item.live.add_text)
        return [item.live for item in prepared]

    def run(
        self, principal: Principal, spec: RunSpec, *, on_delta: Callable[[str], None] | None = None, store: bool = True
    ) -> RunOutcome:
        """Runs it in the calling thread and returns when it has finished; a provider's failure is in the response.

        Args:
            on_delta: Called with each piece of text; asks for a stream.
            store: Whether the run is recorded.

        Raises:
            As `start`.
        """
        item = self._prepare(principal, spec, store=store)
        if item.new_run is not None:
            self._presence.appear()
            self._store.runs.start(item.new_run)
        if on_delta is None:
            return self._work(item, None)

        def forward(piece: str) -> None:
            item.live.add_text(piece)
            on_delta(piece)

        self.live.add(item.live)
        try:
            return self._work(item, forward)
        except KeyboardInterrupt:
            item.live.cancel.cancel()
            raise

    def replay(self, principal: Principal, run_id: UUID, *, trigger: Trigger = Trigger.REPLAY) -> LiveRun:
        """Runs a stored request again, exactly, with the key that serves now.

        Raises:
            NotFound: No such run here; otherwise as `start`.
        """
        return self.start(principal, self.spec_of(principal, run_id, trigger=trigger))

    def spec_of(self, principal: Principal, run_id: UUID, *, trigger: Trigger = Trigger.REPLAY) -> RunSpec:
        """What would repeat a stored run. Raises NotFound."""
        detail = self._store.runs.get(principal.project_id, run_id)
        request = parse_request(dict(detail.request), providers=registry.specs())
        summary = detail.summary
        return replace(
            spec_of_request(request, trigger=trigger),
            agent_id=summary.agent_id,
            agent_version_id=summary.agent_version_id,
            replay_of=run_id,
        )

    # Following

    def follow(self, principal: Principal, run_id: UUID) -> LiveRun | None:
        """The run as this process sees it while it is under way, and for a while after; None if it is not ours."""
        return self.live.get(run_id, project_id=principal.project_id)

    def stop(self, principal: Principal, run_id: UUID) -> None:
        """Stops a run of this process; what was received until then is kept.

        Raises:
            NotFound: No such run in the project.
            Conflict: Another process works on it.
        """
        live = self.follow(principal, run_id)
        if live is not None:
            live.cancel.cancel()
            return
        if self._store.runs.summary(principal.project_id, run_id).status is RunStatus.RUNNING:
            raise Conflict("Another process works on this run: stop it there.")

    def running(self, principal: Principal) -> list[RunSummary]:
        """Runs under way in any process, newest first."""
        return self._store.runs.running(principal.project_id)

    # Finding

    def get(self, principal: Principal, run_id: UUID) -> RunDetail:
        """A run with texts and attempts. Raises NotFound."""
        return self._store.runs.get(principal.project_id, run_id)

    def page(self, principal: Principal, run_filter: RunFilter, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """Runs, newest first, by keyset: any page costs the same."""
        return self._store.runs.page(principal.project_id, run_filter, limit=limit, cursor=cursor)

    def count(self, principal: Principal, run_filter: RunFilter) -> int:
        """How many runs pass the filter."""
        return self._store.runs.count(principal.project_id, run_filter)

    def iterate(self, principal: Principal, run_filter: RunFilter) -> Iterator[RunDetail]:
        """All runs that pass, newest first, in constant memory."""
        return self._store.runs.iterate(principal.project_id, run_filter)

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Stops what is under way and waits for it to be stored."""
        for live in self.live.under_way():
            live.cancel.cancel()
        for live in self.live.under_way():
            live.wait(patience_seconds)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # The work

    def _prepare(self, principal: Principal, spec: RunSpec, *, store: bool) -> _Prepared:
        config = spec.config
        prompt, system_prompt = spec.prompt or config.prompt, config.system_prompt
        if not spec.rendered:
            prompt, system_prompt = render(prompt, spec.variables), render(system_prompt, spec.variables)
        wire: dict[str, Any] = {
            "provider": config.provider,
            "model_name": config.model_name,
            "agent_type": "chat" if spec.messages else config.agent_type,
            "agent_name": spec.agent_name,
            "prompt": prompt or None,
            "system_prompt": system_prompt or None,
            "context": config.context if spec.context is None else dict(spec.context) or None,
            "messages": [message.model_dump() for message in spec.messages] or None,
            "attachments": [attachment.model_dump() for attachment in spec.attachments] or None,
            "base_url": config.base_url,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.max_tokens,
            "stop": config.stop,
            "seed": config.seed,
            "reasoning_effort": config.reasoning_effort,
            "response_schema": config.response_schema,
            "timeout_seconds": config.timeout_seconds or self._default_timeout_seconds,
        }
        key = self._credentials.resolve(principal, config=config, given=spec.api_key)
        wire["api_key"] = key.secret
        wire["base_url"] = config.base_url or key.base_url
        request = parse_request({k: v for k, v in wire.items() if v is not None}, providers=registry.specs())
        timeout_seconds = request.timeout_seconds or self._default_timeout_seconds
        run_id = ids.uuid7()
        now = utc_now()
        new_run = NewRun(
            id=run_id,
            project_id=principal.project_id,
            principal_id=principal.id,
            worker_id=self._presence.worker_id,
            created_at=now,
            trigger=spec.trigger,
            provider=request.provider,
            model=request.model_name,
            backend=Backend(self._executor.backend),
            request=request.to_public(),
            agent_id=spec.agent_id,
            agent_version_id=spec.agent_version_id,
            agent_name=spec.agent_name,
            group_id=spec.group_id,
            replay_of=spec.replay_of,
            deadline_at=now + timedelta(seconds=timeout_seconds),
        )
        live = LiveRun(
            run_id,
            project_id=principal.project_id,
            provider=request.provider,
            model=request.model_name,
            timeout_seconds=timeout_seconds,
        )
        return _Prepared(request=request, new_run=new_run if store else None, live=live, credential_id=key.credential_id)

    def _work(self, item: _Prepared, on_delta: Callable[[str], None] | None) -> RunOutcome:
        live = item.live
        started = time.perf_counter()
        limits = Limits(timeout_seconds=live.timeout_seconds, cancel=live.cancel)
        records: list[AttemptRecord] = []

        def keep_retried(attempt: Attempt) -> None:
            record = self._record(item, attempt, ordinal=len(records) + 1, final=False)
            records.append(record)
            if item.new_run is not None:
                self._store.runs.add_attempt(record)
            live.note_retry(record.error_code or "")

        store_error: str | None = None
        try:
            attempts = attempt_until_final(
                self._executor, item.request, limits, on_delta=on_delta, on_retry=keep_retried, policy=self._retry_policy
            )
        except StoreError as exc:
            # The store failed between two attempts: the answer so far is known, and so is why it cannot be kept.
            log.error("run %s could not be stored: %s", live.run_id, exc)
            raise
        last = attempts[-1]
        response = last.response
        if len(records) == len(attempts):
            records.pop()
        record = self._record(item, last, ordinal=len(records) + 1, final=True)
        if limits.cancel.cancelled and response.error is not None:
            record = replace(record, status=RunStatus.CANCELLED)
            response = response.model_copy(update={"error": _stopped(response.error)})
        records.append(record)
        latency_us = int((time.perf_counter() - started) * 1_000_000)
        cost = _sum_known(r.tokens_cost_nanousd for r in records)
        if item.new_run is not None:
            try:
                self._store.runs.finish(
                    live.run_id,
                    status=record.status,
                    finished_at=record.finished_at,
                    attempts=records,
                    response=response.response,
                    error_code=response.error.code.value if response.error else None,
                    error_message=response.error.message if response.error else None,
                )
            except StoreError as exc:
                store_error = str(exc)
                log.error("run %s finished but could not be stored: %s", live.run_id, exc)
        outcome = RunOutcome(
            run_id=live.run_id,
            status=record.status,
            response=response,
            attempts=len(records),
            latency_us=latency_us,
            cost_nanousd=cost,
            stored=item.new_run is not None and store_error is None,
            store_error=store_error,
        )
        log_run(outcome, agent_name=item.request.agent_name)
        live.finish(outcome)
        return outcome

    def _record(self, item: _Prepared, attempt: Attempt, *, ordinal: int, final: bool) -> AttemptRecord:
        response, usage, error = attempt.response, attempt.response.token_usage, attempt.response.error
        cost = self._prices.price_attempt(item.live.project_id, item.request, response, at=attempt.started_at)
        return AttemptRecord(
            id=ids.uuid7(),
            run_id=item.live.run_id,
            ordinal=ordinal,
            backend=Backend(attempt.backend),
            status=status_of(error),
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            final=final,
            latency_us=attempt.latency_us,
            model_time_us=int(response.execution_time_seconds * 1_000_000),
            first_token_us=_microseconds(response.time_to_first_token_seconds),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cached_input_tokens=usage.cached_input_tokens if usage else None,
            cache_write_input_tokens=usage.cache_write_input_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            tokens_cost_nanousd=cost.total_nanousd if cost else None,
            input_cost_nanousd=cost.all_input_nanousd if cost else None,
            output_cost_nanousd=cost.output_nanousd if cost else None,
            price_source=cost.source if cost else None,
            finish_reason=response.finish_reason,
            answered_by_model=response.model,
            provider_request_id=response.provider_request_id,
            error_code=error.code.value if error else None,
            error_message=error.message if error else None,
            error_retryable=error.retryable if error else None,
            provider_status=error.provider_status if error else None,
        )


def spec_of_request(request: AgentRequest, *, trigger: Trigger) -> RunSpec:
    """A request of the contract as something to run: its texts are final, braces in them are just braces."""
    fields = {name: getattr(request, name) for name in AgentConfig.model_fields if name in AgentRequest.model_fields}
    # Those two are asked with each run, not configured.
    del fields["prompt"], fields["context"]
    fields["system_prompt"] = request.system_prompt or ""
    return RunSpec(
        config=AgentConfig(**fields),
        prompt=request.prompt or "",
        rendered=True,
        messages=tuple(request.messages or ()),
        attachments=tuple(request.attachments or ()),
        context=request.context,
        trigger=trigger,
        api_key=request.api_key.get_secret_value() if request.api_key else None,
        agent_name=request.agent_name,
    )


def status_of(error: ErrorBody | None) -> RunStatus:
    """The status of a run that ended so."""
    if error is None:
        return RunStatus.SUCCEEDED
    if error.code is ErrorCode.CANCELLED:
        return RunStatus.CANCELLED
    if error.code is ErrorCode.OUTCOME_UNKNOWN:
        return RunStatus.OUTCOME_UNKNOWN
    return RunStatus.FAILED


def _stopped(error: ErrorBody) -> ErrorBody:
    if error.code is ErrorCode.CANCELLED:
        return error
    text = f"The run was stopped while it waited to try again after {error.code.value}: {error.message}"
    return ErrorBody(code=ErrorCode.CANCELLED, message=text, may_be_billed=error.may_be_billed)


def _sum_known(values: Iterator[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1_000_000)

