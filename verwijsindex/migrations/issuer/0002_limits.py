# SPDX-License-Identifier: EUPL-1.2
"""Limits on tokens (R37)."""

revision = "issuer_0002"
down_revision = "issuer_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
