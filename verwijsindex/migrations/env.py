# SPDX-License-Identifier: EUPL-1.2
"""Runs a branch's migrations in one transaction, one runner at a time, never waiting long for a lock."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
connection.execute(text("SET lock_timeout = '4s'"))
connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('verwijsindex.migrations'))"))
context.configure(connection=connection, target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
