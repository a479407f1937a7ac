# SPDX-License-Identifier: EUPL-1.2
"""Ends that come by themselves (R14 to R16): what the sweep needs.

The version before goes on working: it reads nothing that is changed here.
"""

from alembic import op

revision = "index_0014"
down_revision = "index_0015"
branch_labels = None
depends_on = None

# For each signal that leaves, PostgreSQL looked through all that is waiting: with a foreign key from a table that has
# no index on it, a sweep beside a full queue took minutes. An index would cost each signal that comes in; and work of a
# signal that is gone is harmless: it only says "look".
ENDS = """
ALTER TABLE work DROP CONSTRAINT work_signal_id_fkey;
GRANT INSERT (signal_id) ON work TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Let a signal leave at the same cost however much is waiting, and let the sweep give work."""
    op.execute(ENDS)
