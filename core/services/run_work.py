"""One run from its first attempt to its stored end; in whatever thread it is called."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from core.contract import AgentRequest, AgentResponse, ErrorBody, error_response, utc_now
from core.errors import (
    Cancelled,
    DeadlineExceeded,
    ErrorCode,
    InternalError,
    InvocationError,
    NotFound,
    StoreError,
)
from core.execution.base import Attempt, Completed, working_on
from core.execution.choice import BackendChoice
from core.execution.fallback import Asked, FallbackExecutor, Listener, Reason
from core.execution.retrying import RetryPolicy
from core.interruption import Limits
from core.loggers import get_logger
from core.logs import log_run
from core.services.attempt_records import attempt_record, status_of, sum_if_known
from core.services.credentials import CredentialService
from core.services.live_runs import LiveRun, RunOutcome
from core.services.money import usd
from core.services.prices import PriceService
from core.services.principal import Principal
from core.storage.records import AttemptReason, AttemptRecord, Backend, NewRun
from core.storage.store import Store

log = get_logger("agent_launcher.runs")

_OTHER_END = "The store has another end of this run already; this answer was not stored."
_NOT_THERE = "The run is not in the store any more (a backup was restored?); its answer was not stored."
_WAITED = "The run was stopped while it waited to try again"
_CREDENTIAL_USE_GRAIN_SECONDS = 60.0
"""How exact a credential's "last used" is: finer would be one more write for each run."""


class Begun(NamedTuple):
    """An attempt that began: when, where, and why if it is not the first."""

    at: datetime
    backend: Backend
    reason: AttemptReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run on its way through a thread.

    A copy with another `on_delta` (`dataclasses.replace`) is the same run: its lists, its end and its lock are the
    original's own. `RunWorker.interrupt`, which has the original, thus sees how far `work` came with the copy, and
    nobody ends it twice. So none of them may ever be replaced in a copy.

    Attributes:
        request: With its key. `lambda_request` is what AWS Lambda gets; None for the same.
        new_run: None for a run that is not recorded.
        limits: Its deadline, counted from when it was asked for, and its stop button.
        on_delta: Called with each piece of text; asks for a stream.
        credential_id: Whose key it is, if a stored one's.
        choice: Where it may run.
        retry_on_unknown: As in `AgentConfig`.
        begun: Its attempts, the one under way included.
        records: Those of its attempts that another one follows, or would have followed.
        end: Its outcome, once that is stored and announced.
        ending: Held by whoever ends it; nobody ends it twice.
    """

    principal: Principal
    request: AgentRequest
    new_run: NewRun | None
    live: LiveRun
    limits: Limits
    credential_id: UUID | None
    created_at: datetime
    on_delta: Callable[[str], None] | None = None
    lambda_request: AgentRequest | None = None
    choice: BackendChoice = BackendChoice.LOCAL
    retry_on_unknown: bool = False
    begun: list[Begun] = field(default_factory=list[Begun])
    records: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    end: Future[RunOutcome] = field(default_factory=Future[RunOutcome])
    ending: threading.Lock = field(default_factory=threading.Lock)

    @property
    def waits(self) -> bool:
        """Whether it waits between two attempts, so that there is nothing under way."""
        return bool(self.records) and len(self.records) == len(self.begun)


@dataclass(slots=True)
class _Unstored:
    """An outcome that the store refused.

    Attributes:
        outcome: What `finish` gets.
        told: Whether the log has said that a fault of ours keeps it out.
    """

    live: LiveRun
    outcome: dict[str, Any]
    told: bool = False


class RunWorker:
    """Works jobs; shared by threads."""

    def __init__(
        self,
        *,
        store: Store,
        executor: FallbackExecutor,
        credentials: CredentialService,
        prices: PriceService,
        retry_policy: RetryPolicy | None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._credentials = credentials
        self._prices = prices
        self._retry_policy = retry_policy
        self._lock = threading.Lock()
        self._unstored: dict[UUID, _Unstored] = {}
        self._credential_uses: dict[UUID, float] = {}

    def work(self, job: Job) -> RunOutcome:
        """Tries the request until an attempt decides, and stores and announces the end, whatever happens.

        Raises:
            KeyboardInterrupt: In the main thread only; the run has not ended then, `interrupt` does that.
        """
        job.live.begin()
        self._attempt(job)
        return job.end.result()

    def interrupt(self, job: Job) -> None:
        """Ends a run whose thread got a KeyboardInterrupt (Ctrl+C), wherever that was.

        It ends as CANCELLED, with what was received until then, unless its own end was on its way already.
        """
        job.live.cancel.cancel()
        self._break_off(job, Cancelled("The run was stopped (Ctrl+C).", sent=bool(job.begun)))
        job.end.exception()  # waits for it

    def give_up(self, job: Job, *, places: int) -> None:
        """Ends a run that was stopped, or whose deadline passed, before `work` took it up: nothing was sent.

        Args:
            job: The run.
            places: How many work at a time.
        """
        if job.live.cancel.cancelled:
            text = "The run was stopped while it waited for a free place; it was never sent."
            self._break_off(job, Cancelled(text, sent=False))
            return
        text = (
            f"The time limit of {job.live.timeout_seconds:g} seconds passed while the run waited for a free place; "
            f"it was never sent. {places} at a time are worked on (AGENT_LAUNCHER_MAX_CONCURRENCY). Allow more time, "
            "or more at a time."
        )
        self._break_off(job, DeadlineExceeded(text, sent=False))

    def _attempt(self, job: Job) -> None:
        live, limits = job.live, job.limits
        try:
            asked = Asked(
                local=job.request,
                on_lambda=job.lambda_request,
                choice=job.choice,
                retry_on_unknown=job.retry_on_unknown,
            )
            listener = Listener(
                on_delta=job.on_delta,
                on_attempt=lambda backend, reason: _note_begun(job, backend, reason),
                on_retry=lambda attempt: self._keep_retried(job, attempt),
                on_fallback=lambda backend, note: live.note_fallback(Backend(backend), note),
            )
            with working_on(str(live.run_id)):
                attempts = self._executor.attempt(asked, limits, listener, policy=self._retry_policy)
        except Exception:
            log.exception("run %s broke off", live.run_id)
            self._break_off(job, _internal_error(job))
            return
        last = attempts[-1]
        response, error = last.response, last.response.error
        if limits.cancel.cancelled and error is not None:
            response = response.model_copy(update={"error": _stopped(error, waited=job.waits)})
        # Stopped, or out of time, while it waited to try again: the last attempt is recorded, and none follows.
        self._end(job, response, None if job.waits else last)

    def _break_off(self, job: Job, error: InvocationError) -> None:
        """Ends a run of which no attempt is left to decide it."""
        if job.waits:
            response = error_response(error, provider=job.request.provider, model=job.request.model_name)
            if isinstance(error, Cancelled):
                before = job.records[-1]
                text = f"{_WAITED} after {before.error_code}: {before.error_message} (Ctrl+C)"
                response = response.model_copy(update={"error": ErrorBody.of(Cancelled(text))})
            self._end(job, response, None)
            return
        attempt = _broken_off(job, error)
        self._end(job, attempt.response, attempt)

    def _end(self, job: Job, response: AgentResponse, last: Attempt | None) -> None:
        """Ends the run, where no Ctrl+C can break into it: Python raises that in the main thread only.

        Raises:
            KeyboardInterrupt: Ctrl+C was pressed meanwhile; the run has ended.
        """
        if threading.current_thread() is not threading.main_thread():
            self._end_once(job, response, last)
        elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with _ctrl_c_afterwards():
                self._end_once(job, response, last)
        else:
            # The program's own handler, of which nothing is known: a thread, though dearer, is safe from any.
            threading.Thread(target=self._end_once, args=(job, response, last), name="run-end").start()

    def _end_once(self, job: Job, response: AgentResponse, last: Attempt | None) -> None:
        if not job.ending.acquire(blocking=False):
            return
        try:
            try:
                outcome = self._conclude(job, response, last)
            except Exception:
                # Else whoever follows it would wait for ever, and its row say RUNNING as long as this process lives.
                log.exception("run %s could not be ended as it was to be", job.live.run_id)
                outcome = self._conclude_in_spite(job)
            job.end.set_result(outcome)
        except BaseException as exc:
            job.end.set_exception(exc)

    def settle(self) -> int:
        """Stores what the store refused before (a full disk, say); returns how many outcomes still wait."""
        with self._lock:
            # Without an outcome it is only about to be announced: the announcement must not come after "stored now".
            waiting = [(key, it) for key, it in self._unstored.items() if it.live.outcome is not None]
        for run_id, unstored in waiting:
            try:
                error = (
                    None if self._store.runs.finish(run_id, **unstored.outcome) else self._other_end(unstored)
                )
            except StoreError as exc:
                log.debug("run %s still cannot be stored: %s", run_id, exc)
                continue
            except NotFound:
                error = _NOT_THERE
            except Exception:
                # A fault of ours in one run must not keep the others waiting, nor what is done after settling.
                if not unstored.told:
                    log.exception("run %s still cannot be stored", run_id)
                unstored.told = True
                continue
            if error is None:
                log.info("run %s is stored now", run_id)
            else:
                log.error("run %s: %s", run_id, error)
            unstored.live.note_stored(error)
            with self._lock:
                self._unstored.pop(run_id, None)
        with self._lock:
            return len(self._unstored)

    def _other_end(self, unstored: "_Unstored") -> str | None:
        live, outcome = unstored.live, unstored.outcome
        stored = self._store.runs.summary(live.project_id, live.run_id)
        if (stored.status, stored.finished_at) == (outcome["status"], outcome["finished_at"]):
            return None  # stored at the first time, by a commit of which only the answer was lost
        return _OTHER_END

    def _keep_retried(self, job: Job, attempt: Attempt) -> None:
        record = self._record(job, attempt, final=False)
        job.records.append(record)
        if job.new_run is not None:
            try:
                self._store.runs.add_attempt(record)
            except StoreError as exc:
                # Not lost: the end of the run stores all of its attempts.
                log.warning("an attempt of run %s could not be stored yet: %s", job.live.run_id, exc)
        job.live.note_retry(record.error_code or "")

    def _record(self, job: Job, attempt: Attempt, *, final: bool) -> AttemptRecord:
        run_id, ordinal = job.live.run_id, len(job.records) + 1
        cost = self._prices.price_attempt(
            job.live.project_id, job.request, attempt.response, at=attempt.started_at
        )
        return attempt_record(
            attempt,
            run_id=run_id,
            ordinal=ordinal,
            final=final,
            cost=cost,
            base_url=job.request.base_url,
            reason=job.begun[ordinal - 1].reason if ordinal <= len(job.begun) else None,
        )

    def _conclude(self, job: Job, response: AgentResponse, last: Attempt | None) -> RunOutcome:
        """Ends a run with this response.

        Args:
            job: The run.
            response: What the run's caller gets.
            last: The attempt that ended it; None if it ended between two, and the last that was sent is recorded.
        """
        record = None if last is None else self._record(job, last, final=True)
        return self._finish(job, response, record)

    def _conclude_in_spite(self, job: Job) -> RunOutcome:
        """Ends a run that a fault of ours kept from its own end, with as little as can fail: it is not priced."""
        if job.live.outcome is not None:
            return job.live.outcome  # that was told already; the fault was in what comes after
        error = _internal_error(job)
        if job.waits:
            response = error_response(error, provider=job.request.provider, model=job.request.model_name)
            return self._finish(job, response, None)
        attempt, ordinal = _broken_off(job, error), len(job.records) + 1
        record = attempt_record(attempt, run_id=job.live.run_id, ordinal=ordinal, final=True, cost=None)
        return self._finish(job, attempt.response, record)

    def _finish(self, job: Job, response: AgentResponse, last: AttemptRecord | None) -> RunOutcome:
        live = job.live
        before, deciding = job.records, last
        if deciding is None:
            before, deciding = before[:-1], replace(before[-1], final=True)
        records = [*before, deciding]
        finished_at = utc_now() if last is None else last.finished_at
        latency = finished_at - job.created_at
        first_token_us = _first_token_us(records[-1], since=job.created_at)
        if len(records) > 1:
            # Of the whole run, as its caller waited for it; each attempt's own time is in its record.
            whole: dict[str, Any] = {
                "timestamp": job.created_at,
                "execution_time_seconds": latency.total_seconds(),
                "time_to_first_token_seconds": None if first_token_us is None else first_token_us / 1_000_000,
            }
            response = response.model_copy(update=whole)
        if live.fell_back_from is not None:
            metadata = response.metadata.model_copy(update={"fell_back_from": live.fell_back_from.value})
            response = response.model_copy(update={"metadata": metadata})
        store_error = None
        if job.new_run is not None:
            store_error = self._store_outcome(job, records, response, finished_at)
        outcome = RunOutcome(
            run_id=live.run_id,
            status=status_of(response.error),
            response=response,
            attempts=len(records),
            latency_us=_microseconds(latency),
            first_token_us=first_token_us,
            cost_nanousd=sum_if_known(r.cost_nanousd for r in records),
            records=tuple(records),
            stored=job.new_run is not None and store_error is None,
            store_error=store_error,
            fell_back_from=live.fell_back_from,
            backend_note=live.backend_note,
        )
        try:
            _log_end(job, outcome)
        finally:
            live.finish(outcome)
        self._note_credential(job)
        return outcome

    def _store_outcome(
        self, job: Job, records: Sequence[AttemptRecord], response: AgentResponse, finished_at: datetime
    ) -> str | None:
        """Stores the end of the run; returns why that failed."""
        run_id, error = job.live.run_id, response.error
        outcome: dict[str, Any] = {
            "status": status_of(error),
            "finished_at": finished_at,
            "attempts": records,
            "response": response.response,
            "error_code": error.code.value if error else None,
            "error_message": error.message if error else None,
            "fell_back_from": job.live.fell_back_from,
            "backend_note": job.live.backend_note,
        }
        try:
            if self._store.runs.finish(run_id, **outcome):
                return None
        except NotFound:
            # Interrupted while it was being written, or a backup was restored.
            log.error("run %s: %s", run_id, _NOT_THERE)
            return _NOT_THERE
        except StoreError as exc:
            log.error("run %s finished but could not be stored: %s", run_id, exc)
            with self._lock:
                self._unstored[run_id] = _Unstored(job.live, outcome)
            return str(exc)
        except Exception:
            # A fault of ours must not keep whoever follows the run waiting for ever.
            log.exception("run %s finished but could not be stored", run_id)
            return "An internal error kept it out of the store; the log has the detail under the run's id."
        log.error("run %s: %s", run_id, _OTHER_END)
        return _OTHER_END

    def _note_credential(self, job: Job) -> None:
        credential_id, now = job.credential_id, time.monotonic()
        if credential_id is None:
            return
        with self._lock:
            noted = self._credential_uses.get(credential_id)
            if noted is not None and now - noted < _CREDENTIAL_USE_GRAIN_SECONDS:
                return
            self._credential_uses[credential_id] = now
        try:
            self._credentials.mark_used(job.principal, credential_id)
        except (StoreError, NotFound) as exc:
            log.debug("the use of a credential was not noted: %s", exc)


@contextmanager
def _ctrl_c_afterwards() -> Generator[None]:
    """Keeps a Ctrl+C from the block, and raises it at its end. For the main thread, under Python's own handler."""
    pressed: list[int] = []  # not an Event, whose lock a second Ctrl+C would wait for within the first
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def _log_end(job: Job, outcome: RunOutcome) -> None:
    usage, error = outcome.response.token_usage, outcome.response.error
    log_run(
        run_id=outcome.run_id,
        provider=job.request.provider,
        model=job.request.model_name,
        backend=outcome.records[-1].backend.value,
        status=outcome.status.value,
        duration_seconds=outcome.latency_us / 1_000_000,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cost_usd=None if outcome.cost_nanousd is None else usd(outcome.cost_nanousd),
        attempts=outcome.attempts,
        error_code=error.code.value if error else None,
        agent=job.request.agent_name,
        trigger=job.live.spec.trigger.value,
    )


def _internal_error(job: Job) -> InternalError:
    message = "An internal error; the log has the detail under this request id."
    return InternalError(message, request_id=str(job.live.run_id))


def _broken_off(job: Job, error: InvocationError) -> Attempt:
    """An attempt that ended without a response of its own, with the text that came before."""
    begun = job.begun[-1] if job.begun else None
    started_at = job.created_at if begun is None else begun.at
    finished_at = utc_now()
    response = error_response(error, provider=job.request.provider, model=job.request.model_name)
    return Attempt(
        backend=(job.live.backend if begun is None else begun.backend).value,
        response=response.model_copy(update={"response": job.live.text or None}),
        started_at=started_at,
        finished_at=finished_at,
        latency_us=_microseconds(finished_at - started_at),
        completed=Completed.UNKNOWN if error.sent else Completed.NOTHING,
    )


def _note_begun(job: Job, backend: str, reason: Reason | None) -> None:
    where = Backend(backend)
    job.live.backend = where
    job.begun.append(Begun(utc_now(), where, None if reason is None else AttemptReason(reason)))


def _first_token_us(final: AttemptRecord, *, since: datetime) -> int | None:
    if final.first_token_us is None:
        return None
    return _microseconds(final.started_at - since) + final.first_token_us


def _microseconds(duration: timedelta) -> int:
    # Exactly, as the store counts: seconds as a float lose one now and then.
    return duration // timedelta(microseconds=1)


def _stopped(error: ErrorBody, *, waited: bool) -> ErrorBody:
    if error.code is ErrorCode.CANCELLED:
        return error
    text = f"{_WAITED if waited else 'The run was stopped'} after {error.code.value}: {error.message}"
    return ErrorBody(code=ErrorCode.CANCELLED, message=text, may_be_billed=error.may_be_billed)
