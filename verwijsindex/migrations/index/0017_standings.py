# SPDX-License-Identifier: EUPL-1.2
"""Who stood on whom, and was told of whom, before that was written down (decision 0021).

Without it every party of 0.2.0 would leave its match and join it anew at the next look, and all would be told again.
A reporter's signals on a youngster are one standing; whoever are parties of one match were told of each other.
"""

from alembic import op

revision = "index_0017"
down_revision = "index_0016"
branch_labels = None
depends_on = None

STATEMENTS = """
INSERT INTO standing (id, youngster_id, reporter_id)
    SELECT gen_random_uuid(), youngster_id, reporter_id FROM signal
    WHERE youngster_id IS NOT NULL AND standing_id IS NULL GROUP BY youngster_id, reporter_id;
UPDATE signal s SET standing_id = st.id FROM standing st
    WHERE st.youngster_id = s.youngster_id AND st.reporter_id = s.reporter_id AND s.standing_id IS NULL;
UPDATE party p SET standing_id = st.id FROM match m, standing st
    WHERE m.id = p.match_id AND st.youngster_id = m.youngster_id AND st.reporter_id = p.reporter_id
      AND p.left_at IS NULL AND p.standing_id IS NULL;
UPDATE signal s SET first_matched_at = p.joined_at FROM party p
    WHERE p.standing_id = s.standing_id AND p.left_at IS NULL AND s.first_matched_at IS NULL;
INSERT INTO told (standing_id, contact_id, kind)
    SELECT a.standing_id, b.standing_id, m.kind FROM match m
    JOIN party a ON a.match_id = m.id JOIN party b ON b.match_id = m.id AND b.reporter_id <> a.reporter_id
    WHERE m.ended_at IS NULL AND a.left_at IS NULL AND b.left_at IS NULL
      AND a.standing_id IS NOT NULL AND b.standing_id IS NOT NULL
    ON CONFLICT DO NOTHING;
INSERT INTO told_supervision (match_id, municipality_code, contact_id)
    SELECT v.match_id, v.municipality_code, p.standing_id FROM supervision v JOIN party p ON p.match_id = v.match_id
    WHERE v.left_at IS NULL AND p.left_at IS NULL AND p.standing_id IS NOT NULL
    ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    """Write it down for what is there."""
    op.execute(STATEMENTS)
