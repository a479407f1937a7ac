# SPDX-License-Identifier: EUPL-1.2
"""Counters of the limits on pseudonyms (R37): all that the pseudonym service keeps."""

from alembic import op

revision = "pseudonyms_0001"
down_revision = None
branch_labels = ("pseudonyms",)
depends_on = None

TABLES = """
CREATE TABLE limit_counter (
    window_start timestamptz NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    taken bigint NOT NULL CONSTRAINT limit_counter_taken_is_not_negative CHECK (taken >= 0),
    PRIMARY KEY (window_start, name, subject)
);
"""

PRIVILEGES = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO verwijsindex_pseudonyms;
GRANT SELECT, INSERT, DELETE ON limit_counter TO verwijsindex_pseudonyms;
GRANT UPDATE (taken) ON limit_counter TO verwijsindex_pseudonyms;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(PRIVILEGES)
