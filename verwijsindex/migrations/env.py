# SPDX-License-Identifier: EUPL-1.2
"""Runs a branch's migrations, each in a transaction of its own, one runner at a time, never waiting long for a lock.

One for all would hold every table that it has changed until the last is free, and whoever works with two of them would
keep it from ever ending. Who gets no lock in time has what was done before it, and goes on from there.
"""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
connection.execute(text("SET lock_timeout = '4s'"))
connection.execute(text("SELECT pg_advisory_lock(hashtext('verwijsindex.migrations'))"))  # until it is closed
connection.commit()
context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
