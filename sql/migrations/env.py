"""Alembic's entry: the numbered migrations over the connection that `storage.migrate` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="tsad_version")
with context.begin_transaction():
    context.run_migrations()
