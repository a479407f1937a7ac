# SPDX-License-Identifier: EUPL-1.2
"""Limits on signals (R37)."""

from alembic import op

revision = "index_0002"
down_revision = "index_0001"
branch_labels = None
depends_on = None


COUNTERS = """
CREATE TABLE limit_counter (
    window_start timestamptz NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    taken bigint NOT NULL CONSTRAINT limit_counter_taken_is_not_negative CHECK (taken >= 0),
    PRIMARY KEY (window_start, name, subject)
);
GRANT SELECT, INSERT, DELETE ON limit_counter TO verwijsindex_intake;
GRANT UPDATE (taken) ON limit_counter TO verwijsindex_intake;
"""


def upgrade() -> None:
    """Counters, which intake alone leases from and deletes when they are old."""
    op.execute(COUNTERS)
