# SPDX-License-Identifier: EUPL-1.2
"""What a sender may add to a signal: parents and a shield (R10, R36).

The version before goes on taking signals without them.
"""

from alembic import op

revision = "index_0015"
down_revision = "index_0011"
branch_labels = None
depends_on = None

# At most two parents, and none is nothing rather than an empty list. The check of no row that is there can fail: nobody
# has inserted any.
SIGNAL = """
ALTER TABLE signal ADD CONSTRAINT signal_has_two_parents_at_most
    CHECK (cardinality(parents_sealed) BETWEEN 1 AND 2);
"""

# Whether there is a named officer today, and not who that is.
INTAKE = """
GRANT SELECT (oin, last_day) ON named_officer TO verwijsindex_intake;
CREATE POLICY intake ON named_officer FOR SELECT TO verwijsindex_intake USING (true);
"""


def upgrade() -> None:
    """Let intake see whether a shielded signal has an officer."""
    for part in (SIGNAL, INTAKE):
        op.execute(part)
