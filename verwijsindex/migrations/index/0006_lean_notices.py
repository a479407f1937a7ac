# SPDX-License-Identifier: EUPL-1.2
"""A notice has one recipient, so it stands in the indexes of that recipient alone: three index rows and not five."""

from alembic import op

revision = "index_0006"
down_revision = "index_0005"
branch_labels = None
depends_on = None

INDEXES = """
CREATE UNIQUE INDEX notice_once_to_reporter ON notice (match_id, change, reporter_id)
    WHERE reporter_id IS NOT NULL;
CREATE UNIQUE INDEX notice_once_to_municipality ON notice (match_id, change, municipality_code)
    WHERE municipality_code IS NOT NULL;
ALTER TABLE notice DROP CONSTRAINT notice_once_for_a_reporter;
ALTER TABLE notice DROP CONSTRAINT notice_once_for_a_supervision;
CREATE INDEX ix_notice_reporter_inbox ON notice (reporter_id, placed_at, id) WHERE reporter_id IS NOT NULL;
CREATE INDEX ix_notice_municipality_inbox ON notice (municipality_code, placed_at, id)
    WHERE municipality_code IS NOT NULL;
DROP INDEX ix_notice_reporter;
DROP INDEX ix_notice_municipality;
"""


def upgrade() -> None:
    """Make the new ones before the old ones go."""
    op.execute(INDEXES)
