# SPDX-License-Identifier: EUPL-1.2
"""Who was told of whom is remembered of each recipient, what is told at the end of a restriction (R17, R30, R36), and
parents that link nobody are found without a look at all parents (R10).

The version before goes on working: it knows none of these tables and columns.
"""

from alembic import op

revision = "index_0019"
down_revision = "index_0020"
branch_labels = None
depends_on = None

# Whatever was attached so far has told what it had to tell.
ARCHIVE = """
ALTER TABLE signal ADD COLUMN archive_due boolean NOT NULL DEFAULT false;
GRANT SELECT (archive_due), UPDATE (archive_due) ON signal TO verwijsindex_worker;
"""

CROWDED = """
CREATE INDEX ix_parent_crowded ON parent (id) WHERE crowded;
"""

# Where a shielded signal stands, the named officer was told and not the reporter (decision 0021).
TOLD = """
ALTER TABLE told ADD COLUMN to_officer boolean NOT NULL DEFAULT false;
UPDATE told SET to_officer = true WHERE standing_id IN (
    SELECT standing_id FROM signal WHERE shielded AND ended_at IS NULL AND restricted_at IS NULL);
ALTER TABLE told DROP CONSTRAINT told_pkey, ADD PRIMARY KEY (standing_id, contact_id, kind, to_officer);
"""


def upgrade() -> None:
    """Remember who was told, and what is still to be told. Locks are taken in the matcher's order."""
    for part in (ARCHIVE, CROWDED, TOLD):
        op.execute(part)
