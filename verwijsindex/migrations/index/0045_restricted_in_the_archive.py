# SPDX-License-Identifier: EUPL-1.2
"""What was restricted when it ended tells nobody from the archive (R17, R30)."""

from alembic import op

revision = "index_0045"
down_revision = "index_0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A worker of the version before archives without it, as it did."""
    op.execute("ALTER TABLE archived_signal ADD COLUMN restricted boolean NOT NULL DEFAULT false")
