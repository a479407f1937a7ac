# SPDX-License-Identifier: EUPL-1.2
"""How much each reporter has had evaluated on a day: the own past that a burst is compared with (R37).

The version before goes on working: it counts for its limits only, and what it evaluates is not in this tally.
"""

from alembic import op

revision = "pseudonyms_0002"
down_revision = "pseudonyms_0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE evaluated (
    day date,
    oin char(20),
    reporter_id uuid,
    elements integer NOT NULL CONSTRAINT evaluated_elements CHECK (elements > 0),
    PRIMARY KEY (day, oin, reporter_id)
);
GRANT SELECT, INSERT, UPDATE (elements), DELETE ON evaluated TO verwijsindex_pseudonyms;
"""


def upgrade() -> None:
    """Make the tally."""
    op.execute(TABLES)
