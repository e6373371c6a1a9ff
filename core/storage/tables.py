"""The tables. Other parts of the program see `core.storage.records` instead.

They live on a registry of their own: Streamlit's hot reload may execute this module again, which would otherwise clash
with the tables that the first execution declared.

No foreign key leads from a run to its agent or project: on Postgres each run that is written would lock the one row
that all of them share. What a run says of its agent was checked when it was prepared, and agents are never deleted.
"""

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from core.storage.columns import Id, UtcTime

HEAD_REVISION: Final = "0002"
"""The schema that this program works with; a test compares it with the newest migration."""

QUARTER_US: Final = 900 * 1_000_000
"""Roll-ups count in quarter hours since 1970 UTC: every zone's days begin at one."""

_tables = registry(
    metadata=MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
)

metadata: Final = _tables.metadata

# Rows in the order of their key, in one B-tree: newest runs lie together, and there is no second index for the key.
_CLUSTERED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}


class _Row(SQLModel, registry=_tables):
    """Base of all tables."""

    # SQLModel declares a function of this name too, beside which a type checker takes each table's text for an error.
    __tablename__: ClassVar[str]  # pyright: ignore[reportIncompatibleVariableOverride]


def table_of(row: type[SQLModel]) -> Table:
    """The Core table of a row class."""
    return row.__table__  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - SQLAlchemy adds it


class ProjectRow(_Row, table=True):
    """A project and its defaults."""

    __tablename__ = "project"

    id: str = Field(primary_key=True)
    name: str
    created_at: datetime = Field(sa_type=UtcTime)
    preferences: dict[str, Any] = Field(sa_type=JSON)


class AgentRow(_Row, table=True):
    """An agent; its configuration is in its versions."""

    __tablename__ = "agent"
    __table_args__ = (Unique("project_id", "name"),)

    id: UUID = Field(sa_type=Id, primary_key=True)
    project_id: str
    name: str
    description: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcTime)
    updated_at: datetime = Field(sa_type=UtcTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcTime)
    revision: int
    version_number: int


class AgentVersionRow(_Row, table=True):
    """An immutable configuration."""

    __tablename__ = "agent_version"
    __table_args__ = (Unique("agent_id", "number"),)

    id: UUID = Field(sa_type=Id, primary_key=True)
    agent_id: UUID = Field(sa_type=Id, foreign_key="agent.id")
    number: int
    note: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcTime)
    created_by: str
    config: dict[str, Any] = Field(sa_type=JSON)


class CredentialRow(_Row, table=True):
    """A sealed key."""

    __tablename__ = "credential"
    __table_args__ = (Unique("project_id", "name"),)

    id: UUID = Field(sa_type=Id, primary_key=True)
    project_id: str
    name: str
    provider: str
    sealed: str = Field(sa_type=Text, repr=False)
    last4: str
    base_url: str | None = None
    created_at: datetime = Field(sa_type=UtcTime)
    updated_at: datetime = Field(sa_type=UtcTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcTime)
    api_key_ref: str | None = None


class PriceOverrideRow(_Row, table=True):
    """An operator's price."""

    __tablename__ = "price_override"
    __table_args__ = (Index(None, "project_id", "provider"),)

    id: UUID = Field(sa_type=Id, primary_key=True)
    project_id: str
    provider: str
    model_pattern: str
    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cached_input_usd_per_mtok: str | None = None
    cache_write_usd_per_mtok: str | None = None
    valid_from: datetime | None = Field(default=None, sa_type=UtcTime)
    note: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(sa_type=UtcTime)
    created_by: str


class WorkerRow(_Row, table=True):
    """A process that works on runs, and its last sign of life."""

    __tablename__ = "worker"

    id: UUID = Field(sa_type=Id, primary_key=True)
    kind: str
    host: str
    pid: int
    started_at: datetime = Field(sa_type=UtcTime)
    beat_at: datetime = Field(sa_type=UtcTime)


class LeaseRow(_Row, table=True):
    """Who does a job that one process at a time does."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: UUID = Field(sa_type=Id)
    expires_at: datetime = Field(sa_type=UtcTime)


class RunRow(_Row, table=True):
    """What was asked.

    Few indexes, as each is written twice per run: a filter that is not the first column of one is answered by merging
    the ranges of the values before it (`run_queries`).
    """

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_state", "project_id", "status", "backend", "trigger", "id"),
        Index("ix_run_model", "project_id", "provider", "model", "id"),
        Index("ix_run_agent", "project_id", "agent_id", "id"),
        Index(
            "ix_run_group",
            "project_id",
            "group_id",
            "id",
            sqlite_where=text("group_id IS NOT NULL"),
            postgresql_where=text("group_id IS NOT NULL"),
        ),
        Index(
            "ix_run_error",
            "project_id",
            "error_code",
            "id",
            sqlite_where=text("error_code IS NOT NULL"),
            postgresql_where=text("error_code IS NOT NULL"),
        ),
        Index(
            "ix_run_unpriced",
            "project_id",
            "id",
            sqlite_where=text("unpriced = 1"),
            postgresql_where=text("unpriced"),
        ),
        _CLUSTERED,
    )

    id: UUID = Field(sa_type=Id, primary_key=True)
    project_id: str
    principal_id: str
    worker_id: UUID = Field(sa_type=Id)
    created_at: datetime = Field(sa_type=UtcTime)
    deadline_at: datetime | None = Field(default=None, sa_type=UtcTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcTime)
    trigger: str
    status: str
    provider: str
    model: str
    backend: str
    agent_id: UUID | None = Field(default=None, sa_type=Id)
    agent_version_id: UUID | None = Field(default=None, sa_type=Id)
    agent_name: str | None = None
    group_id: UUID | None = Field(default=None, sa_type=Id)
    replay_of: UUID | None = Field(default=None, sa_type=Id)
    attempts: int
    latency_us: int | None = Field(default=None, sa_type=BigInteger)
    first_token_us: int | None = Field(default=None, sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    unpriced: bool
    error_code: str | None = None
    error_message: str | None = Field(default=None, sa_type=Text)
    prompt_preview: str = Field(sa_type=Text)
    request_content: int = Field(sa_type=BigInteger)
    response_content: int | None = Field(default=None, sa_type=BigInteger)
    fell_back_from: str | None = None
    backend_note: str | None = Field(default=None, sa_type=Text)


class RunContentRow(_Row, table=True):
    """A run's texts: its request and its answer, each a row to which the run points.

    Rows are only added and have no index but their number, so pages stay full and a text costs one page written.
    """

    __tablename__ = "run_content"

    # SQLite makes only an INTEGER key the row's own number.
    id: int | None = Field(
        default=None, sa_type=BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    encoding: int = Field(sa_type=SmallInteger)
    body: bytes = Field(sa_type=LargeBinary)


class AttemptRow(_Row, table=True):
    """One finished try at a run."""

    __tablename__ = "attempt"
    __table_args__ = (_CLUSTERED,)

    run_id: UUID = Field(sa_type=Id, primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    ordinal: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: UUID = Field(sa_type=Id)
    backend: str
    status: str
    started_at: datetime = Field(sa_type=UtcTime)
    finished_at: datetime = Field(sa_type=UtcTime)
    final: bool
    latency_us: int = Field(sa_type=BigInteger)
    model_time_us: int | None = Field(default=None, sa_type=BigInteger)
    first_token_us: int | None = Field(default=None, sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_write_input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    tokens_cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    input_cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    output_cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    lambda_compute_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    lambda_request_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    price_source: str | None = None
    finish_reason: str | None = None
    answered_by_model: str | None = None
    provider_request_id: str | None = None
    error_code: str | None = None
    error_message: str | None = Field(default=None, sa_type=Text)
    error_retryable: bool | None = None
    provider_status: int | None = None
    reason: str | None = None
    lambda_request_id: str | None = None
    lambda_region: str | None = None
    lambda_architecture: str | None = None
    lambda_memory_mb: int | None = None
    lambda_max_memory_mb: int | None = None
    lambda_cold_start: bool | None = None
    lambda_duration_us: int | None = Field(default=None, sa_type=BigInteger)
    lambda_init_us: int | None = Field(default=None, sa_type=BigInteger)
    lambda_restore_us: int | None = Field(default=None, sa_type=BigInteger)
    lambda_billed_ms: int | None = Field(default=None, sa_type=BigInteger)
    lambda_billed_restore_ms: int | None = Field(default=None, sa_type=BigInteger)
    lambda_price_source: str | None = None


class _Figures(_Row):
    """The sums that every roll-up keeps, and one attempt's part of them in the tail."""

    runs: int = Field(sa_type=BigInteger)
    succeeded: int = Field(sa_type=BigInteger)
    failed: int = Field(sa_type=BigInteger)
    cancelled: int = Field(sa_type=BigInteger)
    outcome_unknown: int = Field(sa_type=BigInteger)
    attempts: int = Field(sa_type=BigInteger)
    unpriced_runs: int = Field(sa_type=BigInteger)
    untold_attempts: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cached_input_tokens: int = Field(sa_type=BigInteger)
    cache_write_input_tokens: int = Field(sa_type=BigInteger)
    reasoning_tokens: int = Field(sa_type=BigInteger)
    tokens_cost_nanousd: int = Field(sa_type=BigInteger)
    input_cost_nanousd: int = Field(sa_type=BigInteger)
    output_cost_nanousd: int = Field(sa_type=BigInteger)
    lambda_compute_nanousd: int = Field(sa_type=BigInteger)
    lambda_request_nanousd: int = Field(sa_type=BigInteger)


FIGURES: Final = tuple(_Figures.model_fields)


class UsageTailRow(_Figures, table=True):
    """An attempt's part of every roll-up, from the transaction that stores the attempt until it is folded.

    A row here is the mark "not folded yet": folding adds rows to the roll-ups and deletes them, in one transaction.
    """

    __tablename__ = "usage_tail"
    __table_args__ = (_CLUSTERED,)

    attempt_id: UUID = Field(sa_type=Id, primary_key=True)
    run_id: UUID = Field(sa_type=Id)
    project_id: str
    quarter: int
    provider: str
    model: str
    agent_id: UUID = Field(sa_type=Id)
    backend: str
    principal_id: str
    error_code: str | None = None
    latency_us: int | None = Field(default=None, sa_type=BigInteger)


class _Rollup(_Figures):
    """Sums of a slice over a quarter hour, an hour or a day (UTC).

    Attributes:
        generation: Which rebuild it belongs to; queries read the current one only.
        level: How many quarter hours it spans: 1, 4 or 96.
        start: Its first quarter hour, counted from 1970.
    """

    generation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    project_id: str = Field(primary_key=True)
    level: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    start: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})


class UsageByModelRow(_Rollup, table=True):
    """By provider and model."""

    __tablename__ = "usage_by_model"
    __table_args__ = (_CLUSTERED,)

    provider: str = Field(primary_key=True)
    model: str = Field(primary_key=True)


class UsageByAgentRow(_Rollup, table=True):
    """By agent."""

    __tablename__ = "usage_by_agent"
    __table_args__ = (_CLUSTERED,)

    agent_id: UUID = Field(sa_type=Id, primary_key=True)


class UsageByBackendRow(_Rollup, table=True):
    """By backend; the smallest, so it also answers for all together."""

    __tablename__ = "usage_by_backend"
    __table_args__ = (_CLUSTERED,)

    backend: str = Field(primary_key=True)


class UsageByPrincipalRow(_Rollup, table=True):
    """By principal."""

    __tablename__ = "usage_by_principal"
    __table_args__ = (_CLUSTERED,)

    principal_id: str = Field(primary_key=True)


class UsageBySliceRow(_Rollup, table=True):
    """By all dimensions at once, for filters of more than one; with the latencies of its runs (`histogram`)."""

    __tablename__ = "usage_by_slice"
    __table_args__ = (_CLUSTERED,)

    provider: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    agent_id: UUID = Field(sa_type=Id, primary_key=True)
    backend: str = Field(primary_key=True)
    principal_id: str = Field(primary_key=True)
    latencies: bytes = Field(sa_type=LargeBinary)


class UsageByFunctionRow(_Row, table=True):
    """Attempts by agent and backend and, on AWS Lambda, by how its function was configured: for right-sizing.

    Attributes:
        region, architecture, memory_mb: "" and 0 elsewhere, and where AWS did not say.
        fell_back: Runs that were to begin on another backend and ended on this one.
        timed: Successful attempts whose model time is known, of `client_us` on the caller's clock and `model_us`.
        reported: Attempts of which AWS told whether they were a cold start; `cold_starts` of them were.
        init_us: Of cold starts without a snapshot; `restored` with one, of `restore_us`.
        billed: Attempts of which AWS told what is billed: `billed_ms` in all, `billed_restore_ms` of it for restoring.
        measured: Attempts of which AWS told how much memory they used, at most `max_memory_mb`.
    """

    __tablename__ = "usage_by_function"
    __table_args__ = (_CLUSTERED,)

    generation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    project_id: str = Field(primary_key=True)
    level: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    start: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agent_id: UUID = Field(sa_type=Id, primary_key=True)
    backend: str = Field(primary_key=True)
    region: str = Field(primary_key=True)
    architecture: str = Field(primary_key=True)
    memory_mb: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    attempts: int = Field(sa_type=BigInteger)
    fell_back: int = Field(sa_type=BigInteger)
    timed: int = Field(sa_type=BigInteger)
    client_us: int = Field(sa_type=BigInteger)
    model_us: int = Field(sa_type=BigInteger)
    reported: int = Field(sa_type=BigInteger)
    cold_starts: int = Field(sa_type=BigInteger)
    init_us: int = Field(sa_type=BigInteger)
    restored: int = Field(sa_type=BigInteger)
    restore_us: int = Field(sa_type=BigInteger)
    billed: int = Field(sa_type=BigInteger)
    billed_ms: int = Field(sa_type=BigInteger)
    billed_restore_ms: int = Field(sa_type=BigInteger)
    measured: int = Field(sa_type=BigInteger)
    max_memory_mb: int


class UsageByErrorRow(_Row, table=True):
    """How many runs ended with an error code, by what one filters by."""

    __tablename__ = "usage_by_error"
    __table_args__ = (_CLUSTERED,)

    generation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    project_id: str = Field(primary_key=True)
    level: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    start: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    error_code: str = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    agent_id: UUID = Field(sa_type=Id, primary_key=True)
    backend: str = Field(primary_key=True)
    runs: int = Field(sa_type=BigInteger)


class LatencyHistogramRow(_Row, table=True):
    """Counts of run latencies in logarithmic buckets (`histogram`), by one dimension's value."""

    __tablename__ = "latency_histogram"
    __table_args__ = (_CLUSTERED,)

    generation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    project_id: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    level: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    start: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    key: str = Field(primary_key=True)
    counts: bytes = Field(sa_type=LargeBinary)


class RollupStateRow(_Row, table=True):
    """The one row that says which generation of the roll-ups is current, and how far the next one is."""

    __tablename__ = "rollup_state"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    generation: int
    building: int | None = None
    built_to: UUID | None = Field(default=None, sa_type=Id)
