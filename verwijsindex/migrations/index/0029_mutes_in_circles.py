# SPDX-License-Identifier: EUPL-1.2
"""Who already works together is found among who were told in a circle, too; and by whom a mute names (R16, R23).

The version before goes on working: it knows no mutes.
"""

from alembic import op

revision = "index_0029"
down_revision = "index_0028"
branch_labels = None
depends_on = None

MUTES = """
CREATE INDEX ix_mute_other_id ON mute (other_id);

-- As in 0024, with the circle of who were all told of each other (0028).
CREATE OR REPLACE FUNCTION mute_shown(asked uuid, at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    today CONSTANT date := scope_today();
    officer CONSTANT boolean := scope_own_officer() IS NOT NULL;
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
    others CONSTANT uuid[] := ARRAY(
        SELECT DISTINCT c.reporter_id
        FROM match m JOIN concerned(m.youngster_id, today) c ON c.elsewhere = (m.kind = 'family')
        JOIN reporter r ON r.id = c.reporter_id AND coalesce(r.designated_until >= today, true)
        WHERE m.id = asked AND NOT c.shielded AND NOT c.reporter_id = ANY(mine));
    made bigint;
BEGIN
    INSERT INTO mute (id, youngster_id, reporter_id, other_id, standing_id, by_officer, muted_at)
    SELECT gen_random_uuid(), pair.youngster_id, pair.reporter_id, pair.other_id, pair.standing_id, officer, at
    FROM (
        SELECT DISTINCT stood.* FROM (
            SELECT st.youngster_id, st.reporter_id, o.other_id, st.id AS standing_id
            FROM match m JOIN seats(m.youngster_id, today) seat ON seat.reporter_id = ANY(mine)
            JOIN signal s ON s.id = seat.signal_id JOIN standing st ON st.id = s.standing_id
            CROSS JOIN unnest(others) o (other_id)
            WHERE m.id IN (SELECT * FROM followed(asked))
              AND (EXISTS (SELECT FROM told t JOIN standing os ON os.id = t.contact_id
                           WHERE t.standing_id = st.id AND t.kind = m.kind AND t.to_officer = officer
                             AND os.reporter_id = o.other_id)
                   OR m.kind = 'youngster' AND EXISTS (
                       SELECT FROM told_circle k JOIN standing os ON os.id = ANY(k.reporters || k.officers)
                       WHERE k.youngster_id = m.youngster_id AND os.reporter_id = o.other_id
                         AND st.id = ANY(CASE WHEN officer THEN k.officers ELSE k.reporters END)))
            FOR KEY SHARE OF st
        ) stood
    ) pair ORDER BY pair.youngster_id, pair.reporter_id, pair.other_id
    ON CONFLICT (youngster_id, reporter_id, other_id) DO UPDATE
        SET standing_id = excluded.standing_id, by_officer = excluded.by_officer, muted_at = excluded.muted_at
        WHERE (mute.standing_id, mute.by_officer) <> (excluded.standing_id, excluded.by_officer);
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END $$;
"""


def upgrade() -> None:
    """Ask the circle as well."""
    op.execute(MUTES)
