"""First schema: agents, credentials, prices, runs with their attempts and texts, roll-ups."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")
_TIME = sa.BigInteger()  # microseconds since 1970, UTC
_FIGURES = (
    "runs",
    "succeeded",
    "failed",
    "cancelled",
    "outcome_unknown",
    "attempts",
    "unpriced_runs",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "reasoning_tokens",
    "tokens_cost_nanousd",
    "input_cost_nanousd",
    "output_cost_nanousd",
    "lambda_compute_nanousd",
    "lambda_request_nanousd",
)


def _key(name: str, type_: Any, *more: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, *more, nullable=False, autoincrement=False)


def _must(name: str, type_: Any = None, *more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String() if type_ is None else type_, *more, nullable=False)


def _may(name: str, type_: Any = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String() if type_ is None else type_, nullable=True)


def _table(name: str, *columns: Any, key: tuple[str, ...], clustered: bool = False) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        **({"sqlite_with_rowid": False} if clustered else {}),
    )


def _figures() -> list[sa.Column[Any]]:
    return [_must(name, sa.BigInteger()) for name in _FIGURES]


def _rollup(name: str, *columns: tuple[str, Any], more: Sequence[sa.Column[Any]] = ()) -> None:
    key = (
        _key("generation", sa.Integer()),
        _key("project_id", sa.String()),
        _key("level", sa.SmallInteger()),
        _key("start", sa.Integer()),
        *(_key(column, type_) for column, type_ in columns),
    )
    _table(name, *key, *_figures(), *more, key=tuple(column.name for column in key), clustered=True)


def _partial_index(name: str, columns: list[str], *, sqlite: str, postgresql: str) -> None:
    op.create_index(name, "run", columns, sqlite_where=sa.text(sqlite), postgresql_where=sa.text(postgresql))


def _same(where: str) -> dict[str, str]:
    return {"sqlite": where, "postgresql": where}


def upgrade() -> None:
    """Make all tables, and the one project that there is for now."""
    _configuration()
    _runs()
    _rollups()
    project = sa.table(
        "project", sa.column("id"), sa.column("name"), sa.column("created_at"), sa.column("preferences")
    )
    op.execute(project.insert().values(id="default", name="Default", created_at=0, preferences="{}"))
    state = sa.table("rollup_state", sa.column("id"), sa.column("generation"))
    op.execute(state.insert().values(id=1, generation=1))


def _configuration() -> None:
    _table(
        "project",
        _must("id"),
        _must("name"),
        _must("created_at", _TIME),
        _must("preferences", sa.JSON()),
        key=("id",),
    )
    _table(
        "agent",
        _must("id", _ID),
        _must("project_id"),
        _must("name"),
        _must("description", sa.Text()),
        _must("created_at", _TIME),
        _must("updated_at", _TIME),
        _may("archived_at", _TIME),
        _must("revision", sa.Integer()),
        _must("version_number", sa.Integer()),
        sa.UniqueConstraint("project_id", "name", name="uq_agent_project_id_name"),
        key=("id",),
    )
    _table(
        "agent_version",
        _must("id", _ID),
        _must("agent_id", _ID, sa.ForeignKey("agent.id", name="fk_agent_version_agent_id_agent")),
        _must("number", sa.Integer()),
        _must("note", sa.Text()),
        _must("created_at", _TIME),
        _must("created_by"),
        _must("config", sa.JSON()),
        sa.UniqueConstraint("agent_id", "number", name="uq_agent_version_agent_id_number"),
        key=("id",),
    )
    _table(
        "credential",
        _must("id", _ID),
        _must("project_id"),
        _must("name"),
        _must("provider"),
        _must("sealed", sa.Text()),
        _must("last4"),
        _may("base_url"),
        _must("created_at", _TIME),
        _must("updated_at", _TIME),
        _may("last_used_at", _TIME),
        sa.UniqueConstraint("project_id", "name", name="uq_credential_project_id_name"),
        key=("id",),
    )
    _table(
        "price_override",
        _must("id", _ID),
        _must("project_id"),
        _must("provider"),
        _must("model_pattern"),
        _must("input_usd_per_mtok"),
        _must("output_usd_per_mtok"),
        _may("cached_input_usd_per_mtok"),
        _may("cache_write_usd_per_mtok"),
        _may("valid_from", _TIME),
        _must("note", sa.Text()),
        _must("created_at", _TIME),
        _must("created_by"),
        key=("id",),
    )
    op.create_index("ix_price_override_project_id_provider", "price_override", ["project_id", "provider"])


def _runs() -> None:
    _table(
        "worker",
        _must("id", _ID),
        _must("kind"),
        _must("host"),
        _must("pid", sa.Integer()),
        _must("started_at", _TIME),
        _must("beat_at", _TIME),
        key=("id",),
    )
    _table("lease", _must("name"), _must("holder", _ID), _must("expires_at", _TIME), key=("name",))
    _table(
        "run",
        _must("id", _ID),
        _must("project_id"),
        _must("principal_id"),
        _must("worker_id", _ID),
        _must("created_at", _TIME),
        _may("deadline_at", _TIME),
        _may("finished_at", _TIME),
        _must("trigger"),
        _must("status"),
        _must("provider"),
        _must("model"),
        _must("backend"),
        _may("agent_id", _ID),
        _may("agent_version_id", _ID),
        _may("agent_name"),
        _may("group_id", _ID),
        _may("replay_of", _ID),
        _must("attempts", sa.Integer()),
        _may("latency_us", sa.BigInteger()),
        _may("first_token_us", sa.BigInteger()),
        _may("input_tokens", sa.BigInteger()),
        _may("output_tokens", sa.BigInteger()),
        _may("cost_nanousd", sa.BigInteger()),
        _must("unpriced", sa.Boolean()),
        _may("error_code"),
        _may("error_message", sa.Text()),
        _must("prompt_preview", sa.Text()),
        _must("request_content", sa.BigInteger()),
        _may("response_content", sa.BigInteger()),
        key=("id",),
        clustered=True,
    )
    op.create_index("ix_run_state", "run", ["project_id", "status", "backend", "trigger", "id"])
    op.create_index("ix_run_model", "run", ["project_id", "provider", "model", "id"])
    op.create_index("ix_run_agent", "run", ["project_id", "agent_id", "id"])
    _partial_index("ix_run_group", ["project_id", "group_id", "id"], **_same("group_id IS NOT NULL"))
    _partial_index("ix_run_error", ["project_id", "error_code", "id"], **_same("error_code IS NOT NULL"))
    _partial_index("ix_run_unpriced", ["project_id", "id"], sqlite="unpriced = 1", postgresql="unpriced")
    _table(
        "run_content",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True
        ),
        _must("encoding", sa.SmallInteger()),
        _must("body", sa.LargeBinary()),
        key=("id",),
    )
    _table(
        "attempt",
        _key("run_id", _ID, sa.ForeignKey("run.id", name="fk_attempt_run_id_run", ondelete="CASCADE")),
        _key("ordinal", sa.Integer()),
        _must("id", _ID),
        _must("backend"),
        _must("status"),
        _must("started_at", _TIME),
        _must("finished_at", _TIME),
        _must("final", sa.Boolean()),
        _must("latency_us", sa.BigInteger()),
        _may("model_time_us", sa.BigInteger()),
        _may("first_token_us", sa.BigInteger()),
        _may("input_tokens", sa.BigInteger()),
        _may("output_tokens", sa.BigInteger()),
        _may("cached_input_tokens", sa.BigInteger()),
        _may("cache_write_input_tokens", sa.BigInteger()),
        _may("reasoning_tokens", sa.BigInteger()),
        _may("tokens_cost_nanousd", sa.BigInteger()),
        _may("input_cost_nanousd", sa.BigInteger()),
        _may("output_cost_nanousd", sa.BigInteger()),
        _may("lambda_compute_nanousd", sa.BigInteger()),
        _may("lambda_request_nanousd", sa.BigInteger()),
        _may("price_source"),
        _may("finish_reason"),
        _may("answered_by_model"),
        _may("provider_request_id"),
        _may("error_code"),
        _may("error_message", sa.Text()),
        _may("error_retryable", sa.Boolean()),
        _may("provider_status", sa.Integer()),
        key=("run_id", "ordinal"),
        clustered=True,
    )


def _rollups() -> None:
    _table(
        "usage_tail",
        _must("attempt_id", _ID),
        _must("run_id", _ID),
        _must("project_id"),
        _must("quarter", sa.Integer()),
        _must("provider"),
        _must("model"),
        _must("agent_id", _ID),
        _must("backend"),
        _must("principal_id"),
        _may("error_code"),
        _may("latency_us", sa.BigInteger()),
        *_figures(),
        key=("attempt_id",),
        clustered=True,
    )
    text = sa.String()
    _rollup("usage_by_model", ("provider", text), ("model", text))
    _rollup("usage_by_agent", ("agent_id", _ID))
    _rollup("usage_by_backend", ("backend", text))
    _rollup("usage_by_principal", ("principal_id", text))
    _rollup(
        "usage_by_slice",
        ("provider", text),
        ("model", text),
        ("agent_id", _ID),
        ("backend", text),
        ("principal_id", text),
        more=[_must("latencies", sa.LargeBinary())],
    )
    _table(
        "usage_by_error",
        _key("generation", sa.Integer()),
        _key("project_id", text),
        _key("level", sa.SmallInteger()),
        _key("start", sa.Integer()),
        _key("error_code", text),
        _key("provider", text),
        _key("model", text),
        _key("agent_id", _ID),
        _key("backend", text),
        _must("runs", sa.BigInteger()),
        key=(
            "generation",
            "project_id",
            "level",
            "start",
            "error_code",
            "provider",
            "model",
            "agent_id",
            "backend",
        ),
        clustered=True,
    )
    _table(
        "latency_histogram",
        _key("generation", sa.Integer()),
        _key("project_id", text),
        _key("dimension", text),
        _key("level", sa.SmallInteger()),
        _key("start", sa.Integer()),
        _key("key", text),
        _must("counts", sa.LargeBinary()),
        key=("generation", "project_id", "dimension", "level", "start", "key"),
        clustered=True,
    )
    _table(
        "rollup_state",
        _key("id", sa.Integer()),
        _must("generation", sa.Integer()),
        _may("building", sa.Integer()),
        _may("built_to", _ID),
        key=("id",),
    )


def downgrade() -> None:
    """Remove everything."""
    for name in (
        "rollup_state",
        "latency_histogram",
        "usage_by_error",
        "usage_by_slice",
        "usage_by_principal",
        "usage_by_backend",
        "usage_by_agent",
        "usage_by_model",
        "usage_tail",
        "attempt",
        "run_content",
        "run",
        "lease",
        "worker",
        "price_override",
        "credential",
        "agent_version",
        "agent",
        "project",
    ):
        op.drop_table(name)
