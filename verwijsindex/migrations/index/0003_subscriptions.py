# SPDX-License-Identifier: EUPL-1.2
"""Webhook subscriptions that a client manages itself."""

revision = "index_0003"
down_revision = "index_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
