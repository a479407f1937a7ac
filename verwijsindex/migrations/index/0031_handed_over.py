# SPDX-License-Identifier: EUPL-1.2
"""Who is asked to take over a lead is told (R22).

The version before goes on working: it knows no leads.
"""

from alembic import op

revision = "index_0031"
down_revision = "index_0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Which proposal was told: what a party asks of another is another one, until the matcher tells it."""
    op.execute("ALTER TABLE lead ADD COLUMN told_of timestamptz")
    op.execute("UPDATE lead SET told_of = proposed_at")
