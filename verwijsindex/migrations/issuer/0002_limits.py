# SPDX-License-Identifier: EUPL-1.2
"""Limits on tokens (R37)."""

from alembic import op

revision = "issuer_0002"
down_revision = "issuer_0001"
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
GRANT SELECT, INSERT, DELETE ON limit_counter TO verwijsindex_issuer;
GRANT UPDATE (taken) ON limit_counter TO verwijsindex_issuer;
"""


def upgrade() -> None:
    op.execute(COUNTERS)
