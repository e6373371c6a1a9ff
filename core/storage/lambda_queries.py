"""How attempts did on AWS Lambda and here, by agent and by the function's configuration.

As all figures (`usage`): from the roll-up, plus what is not folded yet, in one snapshot; it costs the same however
many runs there are.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, union_all

from core.storage.columns import NO_ID
from core.storage.engine import Database
from core.storage.executions import (
    EXECUTION_FIGURES,
    EXECUTION_KEYS,
    EXECUTION_SUMS,
    EXECUTIONS,
    facts_of_executions,
)
from core.storage.records import Backend, Dimension, LatencyPoint, RunFilter, UsageFigures
from core.storage.tables import UsageTailRow, table_of
from core.storage.timeline import whole
from core.storage.usage import UsageRepository
from core.storage.usage_question import Question, folded, segments_table, unfolded

_tail = table_of(UsageTailRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFigures:
    """Attempts of one agent on one backend and, on AWS Lambda, with one configuration of the function.

    Attributes:
        agent_id: None of runs without an agent.
        region, architecture, memory_mb, max_memory_mb: None where AWS did not say, and elsewhere.
        fell_back: Runs that were to begin on another backend and ended here.
        timed: Successful attempts whose model time is known: `client_us` on the caller's clock, `model_us` of it at
            the model.
        reported: Attempts of which AWS told whether they were a cold start.
        init_us: Of cold starts without a snapshot. `restored`: with one, `restore_us` of them.
        billed: Attempts of which AWS told what is billed. `billed_restore_ms` is a part of `billed_ms`.
        measured: Attempts of which AWS told how much memory was used; `max_memory_mb` is the most of them.
    """

    agent_id: UUID | None
    backend: Backend
    region: str | None
    architecture: str | None
    memory_mb: int | None
    attempts: int
    fell_back: int
    timed: int
    client_us: int
    model_us: int
    reported: int
    cold_starts: int
    init_us: int
    restored: int
    restore_us: int
    billed: int
    billed_ms: int
    billed_restore_ms: int
    measured: int
    max_memory_mb: int | None


@dataclass(frozen=True, slots=True)
class _EachSide(Question):
    """Of each agent on each backend."""

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Question`."""
        return ("agent_id", "backend")


@dataclass(frozen=True, slots=True, kw_only=True)
class SideFigures:
    """An agent's runs that ended on one backend, and what was spent there; `latency` is None if none finished."""

    agent_id: UUID | None
    backend: Backend
    figures: UsageFigures
    latency: LatencyPoint | None


class LambdaUsageRepository:
    """See the module."""

    def __init__(self, database: Database, usage: UsageRepository) -> None:
        self._database = database
        self._usage = usage

    def sides(
        self, project_id: str, since: datetime, until: datetime, agent_ids: tuple[UUID, ...] = ()
    ) -> list[SideFigures]:
        """Each agent on each backend, over the range as in `UsageRepository`; of all agents, if none is named."""
        question, timeline = (
            _EachSide(project_id, Dimension.AGENT, RunFilter(agent_ids=agent_ids)),
            whole(since, until),
        )
        latency = {point.key: point for point in self._usage.percentiles(question, timeline)}
        return [
            SideFigures(
                agent_id=None if (agent_id := UUID(point.key.partition("/")[0])) == NO_ID else agent_id,
                backend=Backend(point.key.partition("/")[2]),
                figures=point.figures,
                latency=latency.get(point.key),
            )
            for point in self._usage.sums(question, timeline)
        ]

    def executions(
        self, project_id: str, since: datetime, until: datetime, agent_ids: tuple[UUID, ...] = ()
    ) -> list[ExecutionFigures]:
        """Sums over the range, widened to quarter hours; of all agents, if none is named."""
        segments = segments_table(whole(since, until).segments)
        if segments is None:
            return []
        question = Question(project_id, Dimension.AGENT, RunFilter(agent_ids=agent_ids))
        names = (*EXECUTION_KEYS, *EXECUTION_FIGURES)
        recent = facts_of_executions(_tail)
        parts = [
            unfolded(segments, recent, project_id, *(recent.c[name] for name in names)).where(
                *question.conditions(recent)
            ),
            folded(segments, EXECUTIONS, project_id, *(EXECUTIONS.c[name] for name in names)).where(
                *question.conditions(EXECUTIONS)
            ),
        ]
        both = union_all(*parts).subquery()
        keys = [both.c[name] for name in EXECUTION_KEYS]
        sums = [func.sum(both.c[name]) for name in EXECUTION_SUMS]
        query = select(*keys, *sums, func.max(both.c.max_memory_mb)).group_by(*keys)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return sorted(map(_figures, rows), key=_order)


def _figures(row: Any) -> ExecutionFigures:
    agent_id, backend, region, architecture, memory_mb, *figures = row
    values = {name: int(value) for name, value in zip(EXECUTION_FIGURES, figures, strict=True)}
    highest = values.pop("max_memory_mb")
    return ExecutionFigures(
        agent_id=None if agent_id == NO_ID else agent_id,
        backend=Backend(backend),
        region=region or None,
        architecture=architecture or None,
        memory_mb=memory_mb or None,
        max_memory_mb=highest or None,
        **values,
    )


def _order(figures: ExecutionFigures) -> tuple[Any, ...]:
    place = (figures.region or "", figures.architecture or "", figures.memory_mb or 0)
    return (str(figures.agent_id or ""), figures.backend.value, *place)
