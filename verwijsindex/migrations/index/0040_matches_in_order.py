# SPDX-License-Identifier: EUPL-1.2
"""A page of a municipality's matches costs the same however many it has (R19): their order stands in an index.

The version before goes on working: where it says that a municipality supervises a match, a trigger says since when that
match is open. It goes with that version.
"""

from alembic import op

revision = "index_0040"
down_revision = "index_0042"
branch_labels = None
depends_on = None

# A match is opened once: what is copied never changes.
OPENED = """
ALTER TABLE supervision ADD COLUMN opened_at timestamptz;
UPDATE supervision v SET opened_at = m.opened_at FROM match m WHERE m.id = v.match_id;
ALTER TABLE supervision ALTER COLUMN opened_at SET NOT NULL;
CREATE INDEX ix_supervision_opened ON supervision (municipality_code, opened_at, match_id) WHERE left_at IS NULL;
CREATE FUNCTION say_when_opened() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.opened_at := (SELECT m.opened_at FROM match m WHERE m.id = NEW.match_id);
    RETURN NEW;
END $$;
CREATE TRIGGER say_when_opened BEFORE INSERT ON supervision
    FOR EACH ROW WHEN (NEW.opened_at IS NULL) EXECUTE FUNCTION say_when_opened();
REVOKE ALL ON FUNCTION say_when_opened() FROM PUBLIC;
"""

# As in 0013, but a supervisor's are taken in the order of the index until there are enough, whatever the planner knows
# of the tables: each OFFSET 0 keeps one step before the next, and no match is looked at that is not needed. A scope
# with a municipality stands for no reporter.
VISIBLE = """
CREATE OR REPLACE FUNCTION visible_matches(asked uuid, after_at timestamptz, after_id uuid, size integer)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
    reporters uuid[];
BEGIN
    IF municipality IS NOT NULL THEN
        RETURN QUERY
        SELECT m.id, m.kind, v.opened_at FROM (
            SELECT match_id, opened_at FROM supervision
            WHERE municipality_code = municipality AND left_at IS NULL AND (asked IS NULL OR match_id = asked)
              AND (after_at IS NULL OR (opened_at, match_id) > (after_at, after_id))
            ORDER BY opened_at, match_id OFFSET 0) v
        CROSS JOIN LATERAL (SELECT * FROM match WHERE id = v.match_id AND ended_at IS NULL OFFSET 0) m
        WHERE municipality = ANY(ARRAY(SELECT s.residence_municipality FROM live_signals(today) s
                                       WHERE s.youngster_id = m.youngster_id))
          AND (SELECT count(DISTINCT c.reporter_id) > 1 AND bool_or(c.elsewhere = (m.kind = 'family'))
               FROM concerned(m.youngster_id, today) c WHERE m.kind = 'family' OR NOT c.elsewhere)
        ORDER BY v.opened_at, v.match_id LIMIT size;
        RETURN;
    END IF;
    reporters := ARRAY(SELECT * FROM stands_for());
    RETURN QUERY
    SELECT m.id, m.kind, m.opened_at FROM (
        SELECT * FROM match
        WHERE ended_at IS NULL AND (asked IS NULL OR id = asked)
          AND (after_at IS NULL OR (opened_at, id) > (after_at, after_id))
          AND id IN (SELECT p.match_id FROM party p WHERE p.reporter_id = ANY(reporters) AND p.left_at IS NULL)
        ORDER BY opened_at, id OFFSET 0) m
    WHERE EXISTS (SELECT FROM seats(m.youngster_id, today) seat
                  JOIN concerned(m.youngster_id, today) c ON c.reporter_id <> seat.reporter_id
                  WHERE c.elsewhere = (m.kind = 'family'))
    LIMIT size;
END $$;
"""


def upgrade() -> None:
    """Keep with who supervises a match since when it is open."""
    for part in (OPENED, VISIBLE):
        op.execute(part)
