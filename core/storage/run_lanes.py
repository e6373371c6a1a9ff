"""How a page of runs is found in the same time at any depth, with few indexes.

A lane is a part of the runs that lies in one piece and in order in an index: all columns before the id have one value
each. Lanes are read from the edge of the page, each no further than a page, and merged by id. So the index by
(project, status, backend, trigger, id) also answers for any trigger, any backend and all runs, and the one by
(project, provider, model, id) for a provider. Which values there are is found by jumping through the index.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, String, column, exists, func, select, union_all, values

from core.storage.records import Backend, RunFilter, RunStatus, Trigger
from core.storage.tables import RunRow, table_of

Lane = Sequence[ColumnElement[bool]]

_LANES_AT_ONCE: Final = 100
"""SQLite takes 500 parts in one compound SELECT."""

_run = table_of(RunRow).c


def page_of_ids(
    connection: Connection,
    project_id: str,
    run_filter: RunFilter,
    conditions: Sequence[ColumnElement[bool]],
    *,
    limit: int,
    descending: bool = True,
) -> list[UUID]:
    """The first ids, in order, of the runs that meet the conditions.

    Args:
        conditions: The whole filter and the page's edge, on the columns of `run`.
    """
    order = _run.id.desc() if descending else _run.id.asc()
    found: list[Sequence[UUID]] = []
    for lanes in _batches(_lanes(connection, project_id, run_filter)):
        parts = [
            select(select(_run.id).where(*lane, *conditions).order_by(order).limit(limit).subquery().c.id)
            for lane in lanes
        ]
        ids = connection.execute(union_all(*parts)).scalars()
        found.append(sorted(ids, reverse=descending)[:limit])
    return list(islice(heapq.merge(*found, reverse=descending), limit))


def projects_seen(connection: Connection) -> list[str]:
    """The projects that have runs, sorted."""
    return _distinct(connection, _run.project_id)


def _distinct(
    connection: Connection, column: ColumnElement[str], *conditions: ColumnElement[bool]
) -> list[str]:
    # SELECT DISTINCT would read every entry of the index; this jumps from each value to the next.
    first = select(func.min(column).label("value")).where(*conditions).cte("seen", recursive=True)
    following = select(func.min(column)).where(*conditions, column > first.c.value).correlate(first)
    seen = first.union_all(select(following.scalar_subquery()).where(first.c.value.is_not(None)))
    return sorted(connection.execute(select(seen.c.value).where(seen.c.value.is_not(None))).scalars())


def _models_seen(connection: Connection, project_id: str) -> list[tuple[str, str]]:
    of_project = _run.project_id == project_id
    return [
        (provider, model)
        for provider in _distinct(connection, _run.provider, of_project)
        for model in _distinct(connection, _run.model, of_project, _run.provider == provider)
    ]


def _states_seen(connection: Connection, of_project: ColumnElement[bool]) -> list[tuple[str, str, str]]:
    """Which of all combinations of status, backend and trigger occur: a look into the index for each."""
    combinations = values(
        column("status", String()), column("backend", String()), column("trigger", String()), name="state"
    )
    state = combinations.data(list(product(RunStatus, Backend, Trigger))).cte("state").c
    occurs = exists().where(
        of_project, _run.status == state.status, _run.backend == state.backend, _run.trigger == state.trigger
    )
    rows = connection.execute(select(state.status, state.backend, state.trigger).where(occurs))
    return [(row.status, row.backend, row.trigger) for row in rows]


def _lanes(connection: Connection, project_id: str, wanted: RunFilter) -> Iterable[Lane]:
    """The lanes of the index that leaves the fewest runs to look at."""
    of_project = _run.project_id == project_id
    if wanted.group_id is not None:
        return [(of_project, _run.group_id == wanted.group_id)]
    if wanted.error_codes:
        return [(of_project, _run.error_code == code) for code in wanted.error_codes]
    if wanted.unpriced_only:
        return [(of_project, _run.unpriced)]
    if wanted.agent_ids:
        return [(of_project, _run.agent_id == agent_id) for agent_id in wanted.agent_ids]
    common = not wanted.statuses or RunStatus.SUCCEEDED in wanted.statuses
    if (wanted.providers or wanted.models) and common:
        return [
            (of_project, _run.provider == provider, _run.model == model)
            for provider, model in _models_seen(connection, project_id)
            if (not wanted.providers or provider in wanted.providers)
            and (not wanted.models or model in wanted.models)
        ]
    return [
        (of_project, _run.status == status, _run.backend == backend, _run.trigger == trigger)
        for status, backend, trigger in _states_seen(connection, of_project)
        if (not wanted.statuses or status in wanted.statuses)
        and (not wanted.backends or backend in wanted.backends)
        and (not wanted.triggers or trigger in wanted.triggers)
    ]


def _batches(lanes: Iterable[Lane]) -> Iterator[Sequence[Lane]]:
    rest = iter(lanes)
    while batch := list(islice(rest, _LANES_AT_ONCE)):
        yield batch
