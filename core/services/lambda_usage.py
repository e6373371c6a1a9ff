"""How AWS Lambda does beside this machine, agent by agent, and which size of the function would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.services.principal import Principal
from core.services.right_sizing import RightSizing, executions_cost, right_sizings
from core.services.usage import Span
from core.storage.lambda_queries import ExecutionFigures, SideFigures
from core.storage.records import Backend, LatencyPoint, RunFilter, UsageFigures
from core.storage.store import Store

_LEAST_DAYS: Final = 1 / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """Executions that began with a new environment.

    Attributes:
        reported: Executions of which AWS told whether they did; `cold` did.
        mean_us: Of a cold start's initialisation, or restoring of a snapshot; None without any.
        cost_nanousd: What AWS bills of it, a part of the compute; None is unknown.
    """

    reported: int
    cold: int
    mean_us: float | None
    cost_nanousd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFigures:
    """What ran on one backend; runs count where they ended, money where it was spent.

    Attributes:
        latency: Of runs; None if none finished.
        timed: Successful attempts whose model time is known: on the means of these, `overhead_us` is the caller's time
            beside the model's. None without any.
        fell_back: Runs that were to begin on the other backend and ended here.
        cold_starts: None where there are none to speak of, on this machine.
    """

    backend: Backend
    figures: UsageFigures
    latency: LatencyPoint | None
    timed: int
    model_us: float | None
    overhead_us: float | None
    fell_back: int
    cold_starts: ColdStarts | None

    @property
    def failed(self) -> int:
        """Runs that failed, or of which nobody knows."""
        return self.figures.failed + self.figures.outcome_unknown

    @property
    def cost_per_run_nanousd(self) -> float | None:
        """All that was spent here by each run that ended here; None if some of it is unknown, or none ended."""
        if not self.figures.runs or self.figures.unpriced_runs:
            return None
        return self.figures.cost_nanousd / self.figures.runs


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentComparison:
    """An agent that ran on Lambda, beside its runs here in the same range; `local` is None if it had none.

    Attributes:
        agent_id: None of runs without an agent.
        name: "" of these.
    """

    agent_id: UUID | None
    name: str
    on_lambda: BackendFigures
    local: BackendFigures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaUsage:
    """The usage page's figures of AWS Lambda.

    Attributes:
        agents: The most used on Lambda first; empty if nothing ran there.
        sizes: For each configuration that the function had, the most used first.
    """

    span: Span
    agents: Sequence[AgentComparison]
    sizes: Sequence[RightSizing]


class LambdaUsageService:
    """See the module. Raises StoreError if the database fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def report(self, principal: Principal, span: Span, run_filter: RunFilter | None = None) -> LambdaUsage:
        """All that the page shows of a span.

        Args:
            principal: Who asks.
            span: The range.
            run_filter: Of agents, which alone the executions are counted by; other conditions are left aside.
        """
        agent_ids = run_filter.agent_ids if run_filter is not None else ()
        executions = self._store.lambda_usage.executions(
            principal.project_id, span.since, span.until, agent_ids
        )
        there = {one.agent_id for one in executions if one.backend is Backend.LAMBDA}
        if not there:
            return LambdaUsage(span=span, agents=(), sizes=())
        found = self._store.lambda_usage.sides(principal.project_id, span.since, span.until, agent_ids)
        sides = {(side.agent_id, side.backend): side for side in found}
        agents, project = self._store.agents, principal.project_id
        known = [*agents.list(project), *agents.list(project, archived=True)]
        names = {agent.id: agent.name for agent in known}
        compared = [
            AgentComparison(
                agent_id=agent_id,
                name="" if agent_id is None else names.get(agent_id, str(agent_id)),
                on_lambda=_figures(
                    Backend.LAMBDA, sides.get((agent_id, Backend.LAMBDA)), executions, agent_id
                ),
                local=_figures(Backend.LOCAL, sides[agent_id, Backend.LOCAL], executions, agent_id)
                if (agent_id, Backend.LOCAL) in sides
                else None,
            )
            for agent_id in there
        ]
        days = max((span.until - span.since).total_seconds() / 86_400, _LEAST_DAYS)
        return LambdaUsage(
            span=span,
            agents=sorted(compared, key=lambda one: (-one.on_lambda.figures.attempts, one.name)),
            sizes=right_sizings(executions, days=days),
        )


def _figures(
    backend: Backend, side: SideFigures | None, executions: Sequence[ExecutionFigures], agent_id: UUID | None
) -> BackendFigures:
    own = [one for one in executions if one.backend is backend and one.agent_id == agent_id]
    timed = sum(one.timed for one in own)
    model_us, client_us = (sum(getattr(one, name) for one in own) for name in ("model_us", "client_us"))
    return BackendFigures(
        backend=backend,
        figures=UsageFigures() if side is None else side.figures,
        latency=None if side is None else side.latency,
        timed=timed,
        model_us=model_us / timed if timed else None,
        # Two clocks: on this machine they are one, and an answer in no time may come out just below 0.
        overhead_us=max(0.0, (client_us - model_us) / timed) if timed else None,
        fell_back=sum(one.fell_back for one in own),
        cold_starts=_cold_starts(own) if backend is Backend.LAMBDA else None,
    )


def _cold_starts(own: Sequence[ExecutionFigures]) -> ColdStarts:
    cold = sum(one.cold_starts for one in own)
    costs = [_cost_of_starts(one) for one in own if one.cold_starts]
    taken = sum(one.init_us + one.restore_us for one in own)
    return ColdStarts(
        reported=sum(one.reported for one in own),
        cold=cold,
        mean_us=taken / cold if cold else None,
        cost_nanousd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _cost_of_starts(one: ExecutionFigures) -> int | None:
    if one.memory_mb is None:
        return None
    return executions_cost(
        region=one.region,
        architecture=one.architecture,
        memory_mb=one.memory_mb,
        billed_ms=one.init_us // 1_000 + one.billed_restore_ms,
        restored=one.restored,
    )
