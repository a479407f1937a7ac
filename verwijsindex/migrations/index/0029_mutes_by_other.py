# SPDX-License-Identifier: EUPL-1.2
"""Mutes are found by whom they name: when that reporter's last signal goes, they go too (R16, R23).

The version before goes on working: it knows no mutes.
"""

from alembic import op

revision = "index_0029"
down_revision = "index_0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index, on a table that nobody has filled yet."""
    op.execute("CREATE INDEX ix_mute_other_id ON mute (other_id)")
