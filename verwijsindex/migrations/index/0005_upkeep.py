# SPDX-License-Identifier: EUPL-1.2
"""Upkeep: what is kept for how long."""

revision = "index_0005"
down_revision = "index_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
