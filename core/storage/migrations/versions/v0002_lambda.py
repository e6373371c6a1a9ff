"""What AWS Lambda says of an attempt, why an attempt was made, and where Lambda finds a stored key's secret.

Columns are only added, each without a value: no row is written again, however many there are.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    """Add the columns."""
    for table, name, type_ in _ADDED:
        op.add_column(table, sa.Column(name, type_, nullable=True))


def downgrade() -> None:
    """Take them out again, with what is in them."""
    for table, name, _ in reversed(_ADDED):
        op.drop_column(table, name)
