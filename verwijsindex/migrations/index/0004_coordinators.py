# SPDX-License-Identifier: EUPL-1.2
"""What a coordinator may read (R20)."""

revision = "index_0004"
down_revision = "index_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
