"""AWS Lambda beside this machine: the figures on top, two charts by agent, and the table behind both."""

from collections.abc import Sequence
from typing import Final

from core.services.lambda_usage import AgentComparison, BackendFigures, LambdaUsage
from dashboard import formatting, palette
from dashboard.charts_lambda import Part
from dashboard.components.cards import Metric
from dashboard.components.marks import BACKEND_LABELS
from dashboard.components.tables import Column, Kind, Table

NAMED: Final = 6
"""How many agents the charts have; the table has all of them."""


def agent_name(one: AgentComparison) -> str:
    """The agent as a person reads it."""
    return one.name or "Ad-hoc runs"


def rows_of(agents: Sequence[AgentComparison]) -> list[tuple[str, BackendFigures]]:
    """The rows of the charts: for each agent Lambda, and this machine where it ran here too."""
    found: list[tuple[str, BackendFigures]] = []
    for one in agents[:NAMED]:
        sides = (one.on_lambda, one.local)
        found += [(f"{agent_name(one)} · {_short(side)}", side) for side in sides if side is not None]
    return found


def time_parts(rows: Sequence[tuple[str, BackendFigures]]) -> list[Part]:
    """Where a run's time goes: at the model, and beside it."""
    return [
        Part("At the model", palette.INPUT, [side.model_us for _, side in rows]),
        Part("Beside it", palette.LAMBDA, [side.overhead_us for _, side in rows]),
    ]


def money_parts(rows: Sequence[tuple[str, BackendFigures]]) -> list[Part]:
    """What 1,000 attempts cost, by part, of what has a price."""

    def each(name: str) -> list[float | None]:
        return [_per_thousand(side, getattr(side.figures, name)) for _, side in rows]

    return [
        Part("Tokens", palette.INPUT, each("tokens_cost_nanousd")),
        Part("Compute", palette.LAMBDA, each("lambda_compute_nanousd")),
        Part("Requests", palette.P99, each("lambda_request_nanousd")),
    ]


def lambda_metrics(usage: LambdaUsage) -> list[Metric]:
    """The row of figures on top, over all agents on Lambda."""
    sides = [one.on_lambda for one in usage.agents]
    runs, failed = sum(side.figures.runs for side in sides), sum(side.failed for side in sides)
    fell_back = sum(one.local.fell_back for one in usage.agents if one.local is not None)
    starts = [side.cold_starts for side in sides if side.cold_starts is not None]
    cold, reported = sum(one.cold for one in starts), sum(one.reported for one in starts)
    costs = [one.cost_nanousd for one in starts]
    price = None if None in costs else sum(cost or 0 for cost in costs)
    spent = sum(side.figures.lambda_compute_nanousd + side.figures.lambda_request_nanousd for side in sides)
    unpriced = sum(side.figures.unpriced_runs for side in sides)
    return [
        _metric("Runs on Lambda", formatting.count(runs), f"{formatting.count(failed)} failed"),
        _metric(
            "Fell back to local",
            formatting.count(fell_back),
            None,
            help="Runs that were to begin on Lambda and ended on this machine, also those that the breaker kept away.",
        ),
        _metric(
            "Beside the model",
            formatting.duration(_overhead(sides)),
            "mean",
            help="The caller's time without the model's own: the way to Lambda and back, a cold start with it. Of "
            "successful attempts.",
        ),
        _metric(
            "Cold starts",
            f"{formatting.count(cold)} ({formatting.percent(cold, reported)})"
            if reported
            else formatting.UNKNOWN,
            f"cost {formatting.money(price)}" if cold else None,
            help="Executions that began with a new environment, and what AWS bills for its initialisation, a part of "
            "the compute.",
        ),
        _metric(
            "Paid to Lambda",
            formatting.money_known(spent, unpriced),
            f"unpriced: {formatting.count(unpriced)}" if unpriced else None,
            help="Compute and requests, without tokens. Unpriced are runs of which AWS sent no report, or whose price "
            "is not known.",
        ),
    ]


def comparison_table(usage: LambdaUsage) -> Table:
    """A row for each agent and backend."""
    columns = (
        Column("Agent", "agent", Kind.TEXT),
        Column("Backend", "backend", Kind.TEXT),
        Column("Runs", "runs", Kind.COUNT),
        Column("Failed", "failed", Kind.COUNT),
        Column("Fell back here", "fell_back_here", Kind.COUNT),
        Column("p50", "latency_p50_ms", Kind.DURATION),
        Column("p95", "latency_p95_ms", Kind.DURATION),
        Column("Each run", "cost_per_run_usd", Kind.MONEY),
        Column("Tokens", "tokens_usd", Kind.MONEY),
        Column("Compute", "lambda_compute_usd", Kind.MONEY),
        Column("Requests", "lambda_requests_usd", Kind.MONEY),
        Column("Unpriced", "unpriced_runs", Kind.COUNT),
        Column("At the model", "model_mean_ms", Kind.DURATION),
        Column("Beside it", "overhead_mean_ms", Kind.DURATION),
        Column("Cold starts", "cold_starts", Kind.COUNT),
        Column("Mean start", "cold_start_mean_ms", Kind.DURATION),
        Column("Starts' cost", "cold_starts_usd", Kind.MONEY),
    )
    rows = [
        _row(agent_name(one), side)
        for one in usage.agents
        for side in (one.on_lambda, one.local)
        if side is not None
    ]
    return Table(columns, rows)


def _row(agent: str, side: BackendFigures) -> tuple[object, ...]:
    figures, starts = side.figures, side.cold_starts
    each = side.cost_per_run_nanousd
    return (
        agent,
        BACKEND_LABELS[side.backend],
        figures.runs,
        side.failed,
        side.fell_back,
        side.latency and side.latency.p50_us,
        side.latency and side.latency.p95_us,
        None if each is None else round(each),
        _known(side, figures.tokens_cost_nanousd),
        None if starts is None else _known(side, figures.lambda_compute_nanousd),
        None if starts is None else _known(side, figures.lambda_request_nanousd),
        figures.unpriced_runs,
        side.model_us,
        side.overhead_us,
        starts.cold if starts and starts.reported else None,
        starts and starts.mean_us,
        starts.cost_nanousd if starts and starts.reported else None,
    )


def _known(side: BackendFigures, nanousd: int) -> int | None:
    """A sum of which some part has no price is what is known of it; nothing known is not 0."""
    return None if side.figures.unpriced_runs and not nanousd else nanousd


def _per_thousand(side: BackendFigures, nanousd: int) -> float | None:
    known = _known(side, nanousd)
    return None if known is None or not side.figures.attempts else known * 1_000 / side.figures.attempts


def _overhead(sides: Sequence[BackendFigures]) -> float | None:
    timed = sum(side.timed for side in sides)
    whole = sum((side.overhead_us or 0) * side.timed for side in sides)
    return whole / timed if timed else None


def _short(side: BackendFigures) -> str:
    return "Lambda" if side.cold_starts is not None else "local"


def _metric(label: str, value: str, note: str | None, *, help: str | None = None) -> Metric:
    return Metric(label=label, value=value, change=None, tone=None, note=note, course=(), help=help)
