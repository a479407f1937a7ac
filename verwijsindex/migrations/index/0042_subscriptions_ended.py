# SPDX-License-Identifier: EUPL-1.2
"""An administrator ends the webhook subscription of a client that was revoked (R37).

The version before goes on working: it has no command for it.
"""

from alembic import op

revision = "index_0042"
down_revision = "index_0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Its deliveries and attempts go with it, by their foreign keys."""
    op.execute("GRANT DELETE ON subscription TO verwijsindex_registrar")
