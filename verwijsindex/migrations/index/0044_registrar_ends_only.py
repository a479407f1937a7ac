# SPDX-License-Identifier: EUPL-1.2
"""The registrar ends subscriptions and makes none: a client alone says where its webhooks go (R33)."""

from alembic import op

revision = "index_0044"
down_revision = "index_0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take back what 0001 gave, when the register kept subscriptions."""
    op.execute("REVOKE INSERT, UPDATE ON subscription FROM verwijsindex_registrar")
