# SPDX-License-Identifier: EUPL-1.2
"""Who already works together on a youngster: said in one click, seen and undone by who said it (R23).

The version before goes on working: it neither reads nor writes mutes.
"""

from alembic import op

revision = "index_0024"
down_revision = "index_0023"
branch_labels = None
depends_on = None

# Nothing wrote mutes before this one.
TABLE = """
ALTER TABLE mute
    ADD COLUMN id uuid NOT NULL,
    ADD COLUMN standing_id uuid NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    ADD COLUMN by_officer boolean NOT NULL,
    ADD CONSTRAINT mute_id_key UNIQUE (id);
CREATE INDEX ix_mute_reporter_id ON mute (reporter_id, id);
CREATE INDEX ix_mute_standing_id ON mute (standing_id);
"""

# What people say and see (docs/decisions/0022, 0026).
MUTES = """
-- Mutes, for whom the scope acts in this match, those it is shown there by name: not who is shielded, whose return must
-- look like anybody's (R36), and nobody whom it was not told of in this match, since that would be new. It counts in
-- the matches `followed` in which the scope stands. How many pairs are quiet that were not. A standing that ends
-- meanwhile is waited for and left out; the foreign key would fail.
CREATE FUNCTION mute_shown(asked uuid, at timestamptz) RETURNS bigint
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
              AND EXISTS (SELECT FROM told t JOIN standing os ON os.id = t.contact_id
                          WHERE t.standing_id = st.id AND t.kind = m.kind AND t.to_officer = officer
                            AND os.reporter_id = o.other_id)
            FOR KEY SHARE OF st
        ) stood
    ) pair ORDER BY pair.youngster_id, pair.reporter_id, pair.other_id
    ON CONFLICT (youngster_id, reporter_id, other_id) DO UPDATE
        SET standing_id = excluded.standing_id, by_officer = excluded.by_officer, muted_at = excluded.muted_at
        WHERE (mute.standing_id, mute.by_officer) <> (excluded.standing_id, excluded.by_officer);
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END $$;

-- The mutes of the scope, in the order of their random ids: the one asked for, or so many after another. Each with an
-- open match in which it is shown that contact now, and its handle there. What waits for somebody who is not there now
-- is not shown: that it goes would tell that a signal was destroyed, and that it stays, that one was archived.
CREATE FUNCTION own_mutes(asked uuid, after uuid, size integer)
RETURNS TABLE (id uuid, match_id uuid, contact uuid, muted_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    officer CONSTANT boolean := scope_own_officer() IS NOT NULL;
    reporters CONSTANT uuid[] := ARRAY(SELECT * FROM stands_for());
BEGIN
    RETURN QUERY
    SELECT u.id, shown.id, contact_handle(shown.id, u.other_id), u.muted_at
    FROM (SELECT * FROM mute WHERE reporter_id = ANY(reporters) AND by_officer = officer
            AND (asked IS NULL OR id = asked) AND (after IS NULL OR id > after) ORDER BY id OFFSET 0) u
    CROSS JOIN LATERAL (
        SELECT m.id FROM match m
        WHERE m.youngster_id = u.youngster_id AND m.ended_at IS NULL
          AND EXISTS (SELECT FROM visible_matches(m.id, NULL, NULL, 1))
          AND EXISTS (SELECT FROM seats(u.youngster_id, today) seat JOIN signal s ON s.id = seat.signal_id
                      WHERE s.standing_id = u.standing_id)
          AND EXISTS (SELECT FROM concerned(u.youngster_id, today) c
                      WHERE c.reporter_id = u.other_id AND NOT c.shielded AND c.elsewhere = (m.kind = 'family'))
        ORDER BY m.kind = 'family' LIMIT 1
    ) shown
    LIMIT size;
END $$;

-- Of which match the mute was; null when the scope has no such one.
CREATE FUNCTION undo_mute(asked uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found_in CONSTANT uuid := (SELECT match_id FROM own_mutes(asked, NULL, 1));
BEGIN
    DELETE FROM mute WHERE id = asked AND found_in IS NOT NULL;
    RETURN CASE WHEN FOUND THEN found_in END;
END $$;
"""

PRIVILEGES = """
GRANT DELETE ON mute TO verwijsindex_worker;
CREATE POLICY worker_forgets ON mute FOR DELETE TO verwijsindex_worker USING (true);
REVOKE ALL ON FUNCTION mute_shown(uuid, timestamptz), own_mutes(uuid, uuid, integer), undo_mute(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mute_shown(uuid, timestamptz), own_mutes(uuid, uuid, integer), undo_mute(uuid)
    TO verwijsindex_index;
"""


def upgrade() -> None:
    """Let who works together say so."""
    for part in (TABLE, MUTES, PRIVILEGES):
        op.execute(part)
