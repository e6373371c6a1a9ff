"""What AWS Lambda says of an attempt, why an attempt was made, and where Lambda finds a stored key's secret.

Columns are only added, each without a value or with 0, and an empty roll-up: no row is written again, however many
there are. What ran before has no part in that roll-up until the roll-ups are rebuilt; nothing of it ran on AWS Lambda.

Roll-ups count the attempts whose tokens are unknown (`untold_attempts`) from now on. The 0 in rows that were folded, or
waited to be, before this migration says "not counted": there the sums of tokens leave such attempts out without a mark,
as they did, until `agent-launcher usage --rebuild`, once what waited is folded, counts everything again.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_ADDED: Final[tuple[tuple[str, str, Any], ...]] = (
    ("credential", "api_key_ref", sa.String()),
    ("run", "fell_back_from", sa.String()),
    ("run", "backend_note", sa.Text()),
    ("attempt", "reason", sa.String()),
    ("attempt", "lambda_request_id", sa.String()),
    ("attempt", "lambda_region", sa.String()),
    ("attempt", "lambda_architecture", sa.String()),
    ("attempt", "lambda_memory_mb", sa.Integer()),
    ("attempt", "lambda_max_memory_mb", sa.Integer()),
    ("attempt", "lambda_cold_start", sa.Boolean()),
    ("attempt", "lambda_duration_us", sa.BigInteger()),
    ("attempt", "lambda_init_us", sa.BigInteger()),
    ("attempt", "lambda_restore_us", sa.BigInteger()),
    ("attempt", "lambda_billed_ms", sa.BigInteger()),
    ("attempt", "lambda_billed_restore_ms", sa.BigInteger()),
    ("attempt", "lambda_price_source", sa.String()),
)

_COUNTING_UNTOLD: Final = (
    "usage_tail",
    *(f"usage_by_{name}" for name in ("model", "agent", "backend", "principal", "slice")),
)

_KEY: Final[tuple[tuple[str, Any], ...]] = (
    ("generation", sa.Integer()),
    ("project_id", sa.String()),
    ("level", sa.SmallInteger()),
    ("start", sa.Integer()),
    ("agent_id", sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")),
    ("backend", sa.String()),
    ("region", sa.String()),
    ("architecture", sa.String()),
    ("memory_mb", sa.Integer()),
)
_SUMS: Final = (
    *("attempts", "fell_back", "timed", "client_us", "model_us", "reported", "cold_starts", "init_us"),
    *("restored", "restore_us", "billed", "billed_ms", "billed_restore_ms", "measured"),
)


def upgrade() -> None:
    """Add the columns and the roll-up."""
    for table, name, type_ in _ADDED:
        op.add_column(table, sa.Column(name, type_, nullable=True))
    for table in _COUNTING_UNTOLD:
        untold = sa.Column("untold_attempts", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        op.add_column(table, untold)
    op.create_table(
        "usage_by_function",
        *(sa.Column(name, type_, nullable=False, autoincrement=False) for name, type_ in _KEY),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.Column("max_memory_mb", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(*(name for name, _ in _KEY), name="pk_usage_by_function"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take them out again, with what is in them."""
    op.drop_table("usage_by_function")
    for table in _COUNTING_UNTOLD:
        op.drop_column(table, "untold_attempts")
    for table, name, _ in reversed(_ADDED):
        op.drop_column(table, name)
