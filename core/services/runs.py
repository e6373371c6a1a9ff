"""Runs: start, follow, stop, find, repeat. Runs work in threads of this process, not in a page's script."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from core import ids
from core.contract import AgentRequest, parse_request, utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.execution.base import Executor
from core.execution.choice import BackendChoice
from core.execution.fallback import FallbackExecutor, LambdaRoute
from core.execution.retrying import RetryPolicy
from core.interruption import Limits
from core.providers import registry
from core.providers.base import Connection
from core.providers.features import require_features
from core.providers.keys import resolve_api_key
from core.services.credentials import CredentialService, ResolvedKey
from core.services.key_travel import KeyJourney, KeyTravel, for_lambda
from core.services.live_runs import LiveRun, LiveRuns, RunOutcome
from core.services.presence import Presence
from core.services.prices import PriceService
from core.services.principal import Principal
from core.services.reach import only_from_here
from core.services.run_queue import RunQueue
from core.services.run_spec import RunSpec, as_asked, as_chosen, asked_of, request_of, spec_of_request
from core.services.run_view import RunView, view_of_detail, view_of_live
from core.services.run_work import Job, RunWorker
from core.storage.records import (
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

__all__ = ["DEFAULT_MAX_CONCURRENCY", "RunService", "RunSpec", "id_range", "spec_of_request"]

DEFAULT_MAX_CONCURRENCY = 64
SHORTEST_PREFIX = 8
"""As many digits of a run's id, at least, are taken for its beginning: with fewer, whole weeks begin alike."""

_NAMED_MATCHES = 5


def id_range(text: str) -> tuple[UUID, UUID]:
    """For `RunFilter.ids`: the ids that begin so. Raises InvalidInput."""
    found = ids.range_of_prefix(text)
    if found is None or len(text.strip().replace("-", "")) < SHORTEST_PREFIX:
        raise InvalidInput(
            f"{text.strip()!r} is no run's id, nor the first {SHORTEST_PREFIX} or more of its letters and digits."
        )
    return found


class RunService:
    """See the module. One per process."""

    def __init__(
        self,
        *,
        store: Store,
        executor: Executor,
        on_lambda: LambdaRoute | None = None,
        credentials: CredentialService,
        prices: PriceService,
        presence: Presence,
        default_timeout_seconds: float,
        max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._executor = FallbackExecutor(executor, on_lambda)
        self._credentials = credentials
        self._presence = presence
        self._default_timeout_seconds = default_timeout_seconds
        self._worker = RunWorker(
            store=store,
            executor=self._executor,
            credentials=credentials,
            prices=prices,
            retry_policy=retry_policy,
        )
        self._queue = RunQueue(
            places=max_concurrency,
            work=self._worker.work,
            give_up=lambda job: self._worker.give_up(job, places=max_concurrency),
        )
        self.live = LiveRuns()

    # Starting

    def check(self, principal: Principal, spec: RunSpec) -> AgentRequest:
        """The request that `start` would send, with its key; nothing is stored or sent.

        Raises:
            InvalidRequest, UnknownProvider, MissingApiKey: Why it cannot be sent.
            SecretUnreadable, StoreError: Likewise.
        """
        job = self._prepare(principal, spec, store=False)
        if job.lambda_request is not None:
            return job.lambda_request  # what the function lacks, the function says
        request = job.request
        provider = registry.get_spec(request.provider)
        require_features(provider, request)
        resolve_api_key(provider, Connection.of(request))
        return request

    def preview(self, principal: Principal, spec: RunSpec) -> AgentRequest:
        """The request without anybody's key: what an estimate or a form needs. Errors as in `request_of`."""
        del principal  # nothing of a project is read: the spec says it all
        return request_of(spec, key=ResolvedKey(), default_timeout_seconds=self._default_timeout_seconds)

    def key_travel(self, principal: Principal, spec: RunSpec) -> KeyJourney:
        """How the run's key would get to where it begins. Errors as in `start`; nothing is stored or sent."""
        if spec.api_key_ref is not None and not spec.api_key:
            _, begins_on, _ = self._choice(spec, spec.config.base_url)
            travel = KeyTravel.REFERENCE if begins_on is Backend.LAMBDA else KeyTravel.STAYS
            return KeyJourney(travel=travel, reference=spec.api_key_ref)
        key = self._credentials.resolve(principal, config=spec.config, given=spec.api_key)
        named = next((c.name for c in self._credentials.list(principal) if c.id == key.credential_id), None)
        _, begins_on, _ = self._choice(spec, spec.config.base_url or key.base_url)
        if begins_on is Backend.LOCAL:
            return KeyJourney(travel=KeyTravel.STAYS, credential=named)
        if key.api_key_ref is not None:
            return KeyJourney(travel=KeyTravel.REFERENCE, credential=named, reference=key.api_key_ref)
        return KeyJourney(travel=KeyTravel.PAYLOAD if key.secret else KeyTravel.OWN, credential=named)

    def start(self, principal: Principal, spec: RunSpec) -> LiveRun:
        """Stores the run and begins it in a thread; returns at once.

        Its time begins now, also if it has to wait for a free thread. A run whose deadline passes before there is one
        ends as DEADLINE_EXCEEDED, and was never sent.

        Raises:
            InvalidRequest, UnknownProvider, MissingApiKey: Nothing was stored or sent.
            SecretUnreadable, StoreError: Likewise.
        """
        return self.start_many(principal, [spec])[0]

    def start_many(self, principal: Principal, specs: Sequence[RunSpec]) -> list[LiveRun]:
        """Begins several at once, stored in one transaction; all or none. Errors as in `start`."""
        jobs = [self._prepare(principal, spec, store=True) for spec in specs]
        self._presence.appear()
        self._store.runs.start_many([job.new_run for job in jobs if job.new_run])
        for job in jobs:
            self.live.add(job.live)
        self._queue.put([replace(job, on_delta=job.live.add_text) for job in jobs])
        return [job.live for job in jobs]

    def run(
        self,
        principal: Principal,
        spec: RunSpec,
        *,
        on_delta: Callable[[str], None] | None = None,
        store: bool = True,
    ) -> RunOutcome:
        """Runs it in the calling thread, to its end; a provider's failure is in the response.

        It waits for no free place, and takes none: `max_concurrency` does not count it.

        A KeyboardInterrupt ends the run as CANCELLED, with what was received until then, unless it was just ending; it
        is raised again when that is stored.

        Args:
            principal: Who asks.
            spec: What to run.
            on_delta: Called with each piece of text; asks for a stream.
            store: Whether the run is recorded.

        Raises:
            As `start`.
        """
        job = self._prepare(principal, spec, store=store)

        def forward(piece: str) -> None:
            job.live.add_text(piece)
            if on_delta is not None:
                on_delta(piece)

        try:
            if job.new_run is not None:
                self._presence.appear()
                self._store.runs.start(job.new_run)
                # Its caller has the outcome: what stays of each run is what Python's collector goes through again.
                self.live.add(job.live, keep=False)
            return self._worker.work(replace(job, on_delta=forward) if on_delta else job)
        except KeyboardInterrupt:
            self._worker.interrupt(job)
            raise

    def replay(
        self,
        principal: Principal,
        run_id: UUID,
        *,
        trigger: Trigger = Trigger.REPLAY,
        backend: BackendChoice | None = None,
    ) -> LiveRun:
        """Runs a stored request again, exactly, with the stored key of that run, else with the key that serves now.

        Args:
            principal: Who asks.
            run_id: Which run.
            trigger: As what.
            backend: Where, instead of where that one might run: here, say, what Lambda was lost with.

        Raises:
            NotFound: No such run here; otherwise as `start`.
        """
        spec = self.spec_of(principal, run_id, trigger=trigger)
        return self.start(principal, spec if backend is None else replace(spec, backend=backend))

    def spec_of(self, principal: Principal, run_id: UUID, *, trigger: Trigger = Trigger.REPLAY) -> RunSpec:
        """What would repeat a stored run, with its own credential, or its agent's if that is gone. Raises NotFound."""
        return self._spec_of(principal, self._store.runs.get(principal.project_id, run_id), trigger=trigger)

    def _spec_of(self, principal: Principal, detail: RunDetail, *, trigger: Trigger) -> RunSpec:
        request = parse_request(dict(detail.request), providers=registry.specs())
        summary = detail.summary
        spec = as_chosen(spec_of_request(request, trigger=trigger), detail.asked or {})
        credential_id = detail.credential_id
        if credential_id not in {credential.id for credential in self._credentials.list(principal)}:
            credential_id = self._credential_of(principal, summary.agent_version_id)
        return replace(
            spec,
            config=spec.config.model_copy(update={"credential_id": credential_id}),
            agent_id=summary.agent_id,
            agent_version_id=summary.agent_version_id,
            replay_of=summary.id,
            asked=detail.asked,
        )

    def spec_as_typed(self, principal: Principal, run_id: UUID) -> RunSpec:
        """What a run was asked: as it was typed, with its templates, its values, and what was left unset.

        For a repeated run it is what was typed for the first. Raises NotFound.
        """
        live = self.follow(principal, run_id)
        if live is None:
            return self._typed_in(principal, self._store.runs.get(principal.project_id, run_id))
        spec = live.spec
        if live.without_attachments:
            spec = replace(spec, attachments=self.spec_of(principal, run_id).attachments)
        return spec if spec.asked is None else as_asked(spec, spec.asked)

    def _typed_in(self, principal: Principal, detail: RunDetail) -> RunSpec:
        sent = self._spec_of(principal, detail, trigger=detail.summary.trigger)
        if detail.asked is None:
            # Of before this was kept: a time-out like the default's was hardly typed.
            if sent.config.timeout_seconds != self._default_timeout_seconds:
                return sent
            return replace(sent, config=sent.config.model_copy(update={"timeout_seconds": None}))
        return as_asked(sent, detail.asked)

    def _credential_of(self, principal: Principal, version_id: UUID | None) -> UUID | None:
        if version_id is None:
            return None
        try:
            named = self._store.agents.version(principal.project_id, version_id).config.get("credential_id")
        except NotFound:
            return None
        return None if named is None else UUID(str(named))

    # Following

    def follow(self, principal: Principal, run_id: UUID) -> LiveRun | None:
        """The run as this process sees it, while it is under way and for a while after; None if not ours."""
        return self.live.get(run_id, project_id=principal.project_id)

    def view(self, principal: Principal, run_id: UUID) -> RunView:
        """The run as it is now, wherever it is known from. Raises NotFound."""
        live = self.follow(principal, run_id)
        return view_of_live(live) if live else view_of_detail(self.get(principal, run_id))

    def stop(self, principal: Principal, run_id: UUID) -> None:
        """Stops a run of this process; what was received until then is kept. A finished one stays as it is.

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

    def find(self, principal: Principal, text: str) -> RunSummary:
        """The run with this id, or the only one whose id begins so.

        Raises:
            InvalidInput: It is not the beginning of an id, or is shorter than `SHORTEST_PREFIX`.
            NotFound: No run's id begins so.
            Conflict: Several do; the message has them.
        """
        several = self.matching(principal, text, limit=_NAMED_MATCHES + 1)
        match several:
            case []:
                raise NotFound(f"There is no run {text.strip()} in this project.")
            case [run]:
                return run
            case _:
                shown = ", ".join(str(run.id) for run in several[:_NAMED_MATCHES])
                more = " and more" if len(several) > _NAMED_MATCHES else ""
                raise Conflict(
                    f"Several runs begin with {text.strip()}: {shown}{more}. Give more of the one you mean."
                )

    def matching(self, principal: Principal, text: str, *, limit: int) -> list[RunSummary]:
        """The newest runs with this id or beginning of one; a range of the ids' index. Raises InvalidInput."""
        page = self._store.runs.page(principal.project_id, RunFilter(ids=id_range(text)), limit=limit)
        return list(page.runs)

    def page(
        self, principal: Principal, run_filter: RunFilter, *, limit: int = 50, cursor: str | None = None
    ) -> RunPage:
        """Runs, newest first, by keyset: any page costs the same."""
        return self._store.runs.page(principal.project_id, run_filter, limit=limit, cursor=cursor)

    def count(self, principal: Principal, run_filter: RunFilter) -> int:
        """How many runs pass the filter."""
        return self._store.runs.count(principal.project_id, run_filter)

    def iterate(self, principal: Principal, run_filter: RunFilter) -> Iterator[RunDetail]:
        """All runs that pass, newest first, in constant memory."""
        return self._store.runs.iterate(principal.project_id, run_filter)

    # Ending

    def settle(self) -> int:
        """Stores what the store refused before (a full disk, say); returns how many outcomes still wait."""
        return self._worker.settle()

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Stops what is under way and waits for it to be stored."""
        for live in self.live.under_way():
            live.cancel.cancel()
        deadline = time.monotonic() + patience_seconds
        for live in self.live.under_way():
            live.wait(max(0.0, deadline - time.monotonic()))
        self._queue.close()
        self._worker.settle()

    # The work

    def _choice(self, spec: RunSpec, base_url: str | None) -> tuple[BackendChoice, Backend, str | None]:
        """Where the run may run, where it begins, and why here if Lambda was to run it but cannot reach the server."""
        choice = spec.choice
        begins_on = Backend(self._executor.begins_on(choice))
        if begins_on is Backend.LOCAL or choice is BackendChoice.LAMBDA or self._executor.lambda_is_near:
            return choice, begins_on, None
        why = only_from_here(spec.config.provider, base_url)
        return (choice, begins_on, None) if why is None else (BackendChoice.LOCAL, Backend.LOCAL, why)

    def _prepare(self, principal: Principal, spec: RunSpec, *, store: bool) -> Job:
        if spec.api_key_ref is not None and not spec.api_key:
            key = ResolvedKey()
        else:
            key = self._credentials.resolve(principal, config=spec.config, given=spec.api_key)
        request = request_of(spec, key=key, default_timeout_seconds=self._default_timeout_seconds)
        choice, begins_on, note = self._choice(spec, request.base_url)
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
            backend=begins_on,
            request=request.to_public(),
            agent_id=spec.agent_id,
            agent_version_id=spec.agent_version_id,
            agent_name=spec.agent_name,
            group_id=spec.group_id,
            replay_of=spec.replay_of,
            deadline_at=now + timedelta(seconds=timeout_seconds),
            credential_id=key.credential_id,
            asked=asked_of(spec, request) if store else None,
        )
        live = LiveRun(
            run_id,
            project_id=principal.project_id,
            provider=request.provider,
            model=request.model_name,
            timeout_seconds=timeout_seconds,
            spec=spec if spec.api_key is None else replace(spec, api_key=None),
            backend=begins_on,
            backend_note=note,
        )
        return Job(
            principal=principal,
            request=request,
            new_run=new_run if store else None,
            live=live,
            limits=Limits(timeout_seconds=timeout_seconds, cancel=live.cancel),
            credential_id=key.credential_id,
            created_at=now,
            lambda_request=for_lambda(request, key) if begins_on is Backend.LAMBDA else None,
            choice=choice,
            retry_on_unknown=spec.config.retry_on_unknown,
        )
