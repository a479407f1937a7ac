# SPDX-License-Identifier: EUPL-1.2
"""Limits on signals (R37)."""

revision = "index_0002"
down_revision = "index_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
