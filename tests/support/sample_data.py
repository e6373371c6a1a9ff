"""A month in the life of an installation, for pictures and for tests that need many runs.

Everything is written through services and the store, as the program itself would have written it, and drawn
from a generator with a fixed seed: two calls with the same clock give the same figures. Prices are the
catalogue's.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from core import ids
from core.contract import TokenUsage, parse_request, utc_now
from core.errors import ErrorCode
from core.pricing.cost import nothing_billed, price_tokens
from core.pricing.overrides import shipped_overrides
from core.providers import registry
from core.services.agent_config import AgentConfig
from core.services.application import Application
from core.services.principal import LOCAL
from core.storage.records import AgentRecord, AttemptRecord, Backend, NewRun, RunFilter, RunStatus, Trigger
from tests.support.sample_texts import AGENTS, QUESTIONS, SampleAgent

_PRICES = shipped_overrides()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    provider: str
    name: str
    seconds: float
    reasoning: bool = False
    base_url: str | None = None


_MODELS = {
    "mini": _Model(provider="OPENAI", name="gpt-5.4-mini", seconds=1.1),
    "large": _Model(provider="OPENAI", name="gpt-5.4", seconds=3.6),
    "fast": _Model(provider="OPENAI", name="gpt-4.1-nano", seconds=0.6),
    "reasoning": _Model(provider="OPENAI", name="o4-mini", seconds=8.5, reasoning=True),
    # A server of the operator's own: the catalogue has no price for it.
    "own": _Model(
        provider="OPENAI",
        name="llama-3.3-70b-instruct",
        seconds=2.2,
        base_url="http://127.0.0.1:8080/v1",
    ),
    "demo": _Model(provider="DEMO", name="demo-echo", seconds=0.02),
}

_FAILURES = (
    (
        ErrorCode.RATE_LIMITED,
        "The provider asks for fewer requests. Wait a minute, or raise the limit there.",
        429,
    ),
    (ErrorCode.PROVIDER_UNAVAILABLE, "The provider is down or overloaded. Run it again later.", 503),
    (ErrorCode.CONTEXT_LENGTH_EXCEEDED, "Prompt and answer do not fit the model's context window.", 400),
    (ErrorCode.DEADLINE_EXCEEDED, "The run took longer than its time limit of 120 s.", None),
    (
        ErrorCode.AUTHENTICATION_FAILED,
        "The provider does not accept the key. Replace it under Settings.",
        401,
    ),
)


@dataclass(slots=True, kw_only=True)
class _Draw:
    """What was drawn for one run."""

    agent: AgentRecord | None
    sample: SampleAgent | None
    model: _Model
    started: datetime
    trigger: Trigger
    prompt: str
    answer: str
    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    status: RunStatus = RunStatus.SUCCEEDED
    error: tuple[ErrorCode, str, int | None] | None = None


def fill(
    application: Application,
    *,
    days: int = 30,
    runs_per_day: int = 80,
    now: datetime | None = None,
    seed: int = 7,
) -> None:
    """Adds agents with versions, credentials, price overrides and finished runs up to `now`, and folds them.

    Args:
        application: An empty installation; its demo agents may be there.
        days: How far back.
        runs_per_day: On an ordinary weekday at the end of the time; it begins with half of it.
        now: When the newest runs ended; the clock by default.
        seed: Of the generator.
    """
    moment = now or utc_now()
    chance = random.Random(seed)
    agents = {sample.name: add_agent(application, sample) for sample in AGENTS}
    application.credentials.add(
        LOCAL, name="OpenAI production", provider="OPENAI", secret="sk-sample-0000000000004f2a"
    )
    worker_id = ids.uuid7()
    pending: list[tuple[NewRun, _Draw]] = []
    for draw in _draws(chance, agents, now=moment, days=days, runs_per_day=runs_per_day):
        new = _new_run(draw, worker_id)
        draw.attempts = _attempts(chance, draw, new.id)
        if draw.attempts[-1].finished_at < moment:
            pending.append((new, draw))
    for start in range(0, len(pending), 250):
        batch = pending[start : start + 250]
        application.store.runs.start_many([new for new, _ in batch])
        for new, draw in batch:
            _finish(application, new, draw)
    while application.store.usage.fold():
        pass


def add_agent(application: Application, sample: SampleAgent) -> AgentRecord:
    """Creates an agent and its later versions."""
    model = _MODELS[sample.model]
    record: AgentRecord | None = None
    for prompt, note in sample.versions:
        config = AgentConfig(
            provider=model.provider,
            model_name=model.name,
            system_prompt=prompt,
            prompt=sample.prompt,
            max_tokens=sample.max_tokens,
            base_url=model.base_url,
        )
        if record is None:
            record = application.agents.create(
                LOCAL, name=sample.name, description=sample.description, config=config, note=note
            )
        else:
            record = application.agents.edit(
                LOCAL, record.id, config=config, note=note, expected_revision=record.revision
            )
    assert record is not None
    return record


def _draws(
    chance: random.Random, agents: dict[str, AgentRecord], *, now: datetime, days: int, runs_per_day: int
) -> Iterator[_Draw]:
    for age in range(days, -1, -1):
        day = (now - timedelta(days=age)).replace(hour=0, minute=0, second=0, microsecond=0)
        weekday = 0.3 if day.weekday() >= 5 else 1.0
        growth = 0.5 + 0.5 * (days - age) / max(1, days)
        number = round(runs_per_day * weekday * growth * chance.uniform(0.8, 1.2))
        # One bad afternoon: the provider's limit is hit again and again.
        incident = age == 9
        for _ in range(round(number * 1.3) if incident else number):
            yield _draw(chance, agents, _moment_of(chance, day), bad=0.35 if incident else 0.025)


def _moment_of(chance: random.Random, day: datetime) -> datetime:
    """Mostly in working hours."""
    hour = chance.gauss(13.5, 3.2) if chance.random() < 0.85 else chance.uniform(0, 24)
    return day + timedelta(hours=min(max(hour, 0.0), 23.98))


def _draw(chance: random.Random, agents: dict[str, AgentRecord], started: datetime, *, bad: float) -> _Draw:
    sample = chance.choices([*AGENTS, None], weights=[*(sample.share for sample in AGENTS), 0.08])[0]
    model = _MODELS[sample.model if sample else chance.choice(["mini", "large", "demo"])]
    question, answer = chance.choice(sample.exchanges if sample else QUESTIONS)
    draw = _Draw(
        agent=agents[sample.name] if sample else None,
        sample=sample,
        model=model,
        started=started,
        trigger=sample.trigger if sample else Trigger.PLAYGROUND,
        prompt=question,
        answer=answer,
    )
    roll = chance.random()
    if model.provider == "DEMO":
        return draw
    if roll < bad:
        draw.status = RunStatus.FAILED
        weights = [8, 3, 1, 2, 0.4] if bad < 0.1 else [30, 2, 0, 1, 0]
        draw.error = chance.choices(_FAILURES, weights=weights)[0]
    elif roll < bad + 0.008:
        draw.status = RunStatus.CANCELLED
        draw.error = (ErrorCode.CANCELLED, "The run was stopped.", None)
    elif roll < bad + 0.011:
        draw.status = RunStatus.OUTCOME_UNKNOWN
        draw.error = (
            ErrorCode.OUTCOME_UNKNOWN,
            "The process that worked on it ended before the answer came; it may have been billed.",
            None,
        )
    return draw


def _new_run(draw: _Draw, worker_id: UUID) -> NewRun:
    agent, model = draw.agent, draw.model
    body = {
        "provider": model.provider,
        "model_name": model.name,
        "prompt": draw.prompt,
        "system_prompt": draw.sample.versions[-1][0] if draw.sample else None,
        "agent_name": agent.name if agent else None,
        "max_tokens": draw.sample.max_tokens if draw.sample else None,
        "base_url": model.base_url,
        "timeout_seconds": 120.0,
    }
    given = {name: value for name, value in body.items() if value is not None}
    request = parse_request(given, providers=registry.specs())
    return NewRun(
        id=ids.uuid7(at=draw.started),
        project_id=LOCAL.project_id,
        principal_id=LOCAL.id,
        worker_id=worker_id,
        created_at=draw.started,
        trigger=draw.trigger,
        provider=model.provider,
        model=model.name,
        backend=Backend.LOCAL,
        request=request.to_public(),
        agent_id=agent.id if agent else None,
        agent_version_id=agent.version.id if agent else None,
        agent_name=agent.name if agent else None,
        deadline_at=draw.started + timedelta(seconds=120),
    )


def _attempts(chance: random.Random, draw: _Draw, run_id: UUID) -> list[AttemptRecord]:
    """The tries of a run: now and then a refused one first, then the one that decided."""
    at = draw.started
    refused = draw.model.provider != "DEMO" and chance.random() < 0.03
    records: list[AttemptRecord] = []
    if refused:
        code, message, status = _FAILURES[1]
        records.append(_refused(run_id, draw, at, code, message, status, ordinal=1, final=False))
        at = records[0].finished_at + timedelta(seconds=chance.uniform(0.5, 2))
    if draw.error is not None and draw.status is RunStatus.FAILED:
        records.append(_refused(run_id, draw, at, *draw.error, ordinal=len(records) + 1, final=True))
        return records
    records.append(_decided(chance, draw, run_id, at, ordinal=len(records) + 1))
    return records


def _refused(
    run_id: UUID,
    draw: _Draw,
    at: datetime,
    code: ErrorCode,
    message: str,
    status: int | None,
    *,
    ordinal: int,
    final: bool,
) -> AttemptRecord:
    seconds = 120.0 if code is ErrorCode.DEADLINE_EXCEEDED else 0.31
    cost = None if code is ErrorCode.DEADLINE_EXCEEDED else nothing_billed()
    return AttemptRecord(
        id=ids.uuid7(at=at),
        run_id=run_id,
        ordinal=ordinal,
        backend=Backend.LOCAL,
        status=RunStatus.FAILED,
        started_at=at,
        finished_at=at + timedelta(seconds=seconds),
        final=final,
        latency_us=round(seconds * 1e6),
        model_time_us=round(seconds * 1e6),
        answered_by_model=draw.model.name,
        error_code=code.value,
        error_message=message,
        error_retryable=status in (429, 503),
        provider_status=status,
        tokens_cost_nanousd=cost and cost.total_nanousd,
        input_cost_nanousd=cost and cost.all_input_nanousd,
        output_cost_nanousd=cost and cost.output_nanousd,
        price_source=cost and cost.source,
    )


def _decided(
    chance: random.Random, draw: _Draw, run_id: UUID, at: datetime, *, ordinal: int
) -> AttemptRecord:
    model = draw.model
    seconds = model.seconds * chance.lognormvariate(0, 0.45)
    read = round(chance.lognormvariate(math.log(draw.sample.input_tokens if draw.sample else 300), 0.5))
    typical = draw.sample.output_tokens if draw.sample else 120
    written = max(1, round(typical * chance.lognormvariate(0, 0.4)))
    cached = read // 1024 * 1024 if draw.sample and chance.random() < 0.4 else 0
    usage = TokenUsage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        cached_input_tokens=cached,
        reasoning_tokens=round(written * 0.7) if model.reasoning else 0,
    )
    known = draw.status is not RunStatus.OUTCOME_UNKNOWN
    cost = (
        price_tokens(model.provider, model.name, usage, at=at, overrides=_PRICES, base_url=model.base_url)
        if known
        else None
    )
    return AttemptRecord(
        id=ids.uuid7(at=at),
        run_id=run_id,
        ordinal=ordinal,
        backend=Backend.LOCAL,
        status=draw.status,
        started_at=at,
        finished_at=at + timedelta(seconds=seconds),
        final=True,
        latency_us=round(seconds * 1e6),
        model_time_us=round(seconds * 0.98e6),
        first_token_us=round(seconds * (0.8 if model.reasoning else 0.3) * 1e6) if known else None,
        input_tokens=usage.input_tokens if known else None,
        output_tokens=usage.output_tokens if known else None,
        cached_input_tokens=usage.cached_input_tokens if known else None,
        reasoning_tokens=usage.reasoning_tokens if known else None,
        finish_reason="stop" if draw.error is None else None,
        answered_by_model=model.name,
        provider_request_id=f"req_{run_id.hex[-16:]}" if model.provider != "DEMO" else None,
        error_code=draw.error[0].value if draw.error else None,
        error_message=draw.error[1] if draw.error else None,
        tokens_cost_nanousd=cost and cost.total_nanousd,
        input_cost_nanousd=cost and cost.all_input_nanousd,
        output_cost_nanousd=cost and cost.output_nanousd,
        price_source=cost and cost.source,
    )


def _finish(application: Application, new: NewRun, draw: _Draw) -> None:
    code, message = (draw.error[0].value, draw.error[1]) if draw.error else (None, None)
    application.store.runs.finish(
        new.id,
        status=draw.status,
        finished_at=draw.attempts[-1].finished_at,
        attempts=draw.attempts,
        response=draw.answer if draw.status is RunStatus.SUCCEEDED else None,
        error_code=code,
        error_message=message,
    )


def newest_run_ids(application: Application, count: int = 1) -> Sequence[UUID]:
    """The newest runs, for pictures of single runs."""
    return [run.id for run in application.runs.page(LOCAL, RunFilter(), limit=count).runs]
