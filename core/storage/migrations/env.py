"""Alembic's entry: runs the migrations on the connection and in the transaction that `core.storage.schema` gives."""

from alembic import context

from core.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # Several migrations are one transaction: either the schema is the new one or nothing has happened.
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
