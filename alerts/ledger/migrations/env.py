"""Runs the steps on the connection and in the transaction that `sql_engine` hands over."""

from alembic import context

from alerts.ledger.tables import METADATA

# The metadata is here for the names of constraints only.
context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
