"""Which runs: a filter as SQL."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from core import ids
from core.storage.records import RunFilter

_SLACK: Final = timedelta(seconds=61)
"""A run's id may have been made up to a minute before or after its `created_at`."""


def run_conditions(
    run: ReadOnlyColumnCollection[str, Any], project_id: str, run_filter: RunFilter
) -> list[ColumnElement[bool]]:
    """The filter as conditions on the columns of `run`."""
    conditions: list[ColumnElement[bool]] = [run.project_id == project_id]
    if run_filter.ids is not None:
        conditions += [run.id >= run_filter.ids[0], run.id <= run_filter.ids[1]]
    if run_filter.since is not None:
        conditions += [run.id >= ids.lowest_at(run_filter.since - _SLACK), run.created_at >= run_filter.since]
    if run_filter.until is not None:
        conditions += [run.id < ids.lowest_at(run_filter.until + _SLACK), run.created_at < run_filter.until]
    for column, wanted in (
        (run.agent_id, run_filter.agent_ids),
        (run.provider, run_filter.providers),
        (run.model, run_filter.models),
        (run.status, [status.value for status in run_filter.statuses]),
        (run.trigger, [trigger.value for trigger in run_filter.triggers]),
        (run.backend, [backend.value for backend in run_filter.backends]),
        (run.error_code, run_filter.error_codes),
    ):
        if wanted:
            conditions.append(column.in_(wanted))
    if run_filter.group_id is not None:
        conditions.append(run.group_id == run_filter.group_id)
    if run_filter.cost_at_least_nanousd is not None:
        conditions.append(run.cost_nanousd >= run_filter.cost_at_least_nanousd)
    if run_filter.cost_at_most_nanousd is not None:
        conditions.append(run.cost_nanousd <= run_filter.cost_at_most_nanousd)
    if run_filter.unpriced_only:
        conditions.append(run.unpriced)
    return conditions


def countable_parts(
    run: ReadOnlyColumnCollection[str, Any], project_id: str, run_filter: RunFilter
) -> list[list[ColumnElement[bool]]]:
    """The filter as conditions of parts that have no run in common, so that counting reads few rows.

    Away from the edges of the range an id says enough of when a run was made, and an index answers alone. The two
    minutes around an edge are read from the rows, in the order of their ids.
    """
    whole = run_conditions(run, project_id, run_filter)
    low = None if run_filter.since is None else ids.lowest_at(run_filter.since + _SLACK)
    high = None if run_filter.until is None else ids.lowest_at(run_filter.until - _SLACK)
    if (low is None and high is None) or (low is not None and high is not None and low >= high):
        return [whole]
    inner = run_conditions(run, project_id, replace(run_filter, since=None, until=None))
    # Not as it stands: SQLite would take an index by project, and look at all of its runs.
    edge = [run.project_id.concat("") == project_id, *whole[1:]]
    parts = [inner]
    if low is not None:
        inner.append(run.id >= low)
        parts.append([*edge, run.id < low])
    if high is not None:
        inner.append(run.id < high)
        parts.append([*edge, run.id >= high])
    return parts
