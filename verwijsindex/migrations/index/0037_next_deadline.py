# SPDX-License-Identifier: EUPL-1.2
"""A page of a municipality's follow-ups costs the same however many it has (R19, R21): its order stands in an index.

The version before goes on working: what it does to rounds keeps the order as well. Only where its matcher lets another
municipality supervise a match without a new round, it stands first there until this version's upkeep has looked.
"""

from alembic import op

revision = "index_0037"
down_revision = "index_0036"
branch_labels = None
depends_on = None

# Who acts has locked the round, and the matcher locks rounds after it wrote supervision: so that neither waits for the
# other in a circle, a row that is locked is left alone. The matcher locks one only to end it.
KEPT = """
CREATE FUNCTION next_deadline(state varchar, contact date, coordination date) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN state IN ('notified', 'seen') THEN least(contact, coordination)
                WHEN state IN ('contacted', 'lead_agreed') THEN coordination ELSE date '9999-12-31' END
$$;
ALTER TABLE supervision ADD COLUMN round_state varchar, ADD COLUMN due_on date NOT NULL DEFAULT '0001-01-01';
UPDATE supervision v SET round_state = r.state,
                         due_on = next_deadline(r.state, r.contact_due_on, r.coordination_due_on)
FROM (SELECT DISTINCT ON (match_id) * FROM round ORDER BY match_id, number DESC) r
WHERE r.match_id = v.match_id AND v.left_at IS NULL;
CREATE INDEX ix_supervision_due ON supervision (municipality_code, due_on, match_id) WHERE left_at IS NULL;
CREATE INDEX ix_supervision_state ON supervision (municipality_code, round_state, due_on, match_id)
    WHERE left_at IS NULL;
DROP INDEX ix_supervision_municipality;

CREATE FUNCTION keep_next_deadline() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE supervision v SET round_state = c.state, due_on = c.due_on
    FROM (SELECT s.id, r.state, next_deadline(r.state, r.contact_due_on, r.coordination_due_on) AS due_on
          FROM changed r JOIN supervision s ON s.match_id = r.match_id AND s.left_at IS NULL
          WHERE r.state NOT IN ('renewed', 'lapsed')
            AND (s.round_state, s.due_on) IS DISTINCT FROM
                (r.state, next_deadline(r.state, r.contact_due_on, r.coordination_due_on))
          ORDER BY s.id FOR UPDATE OF s SKIP LOCKED) c
    WHERE v.id = c.id;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_next_deadline_of_new AFTER INSERT ON round REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_next_deadline();
CREATE TRIGGER keep_next_deadline AFTER UPDATE ON round REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION keep_next_deadline();
REVOKE ALL ON FUNCTION keep_next_deadline(), next_deadline(varchar, date, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_deadline(varchar, date, date) TO verwijsindex_worker;
GRANT UPDATE (round_state, due_on) ON supervision TO verwijsindex_worker;
"""

# As 0023 has it, in the order of the index. Which match a supervisor sees (I6, I8) is as `visible_matches` has it.
LISTED = """
CREATE OR REPLACE FUNCTION supervised_follow_ups(asked_state varchar, only_missed boolean, after_due timestamptz,
                                                 after_id uuid, size integer)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz, number integer, state varchar, due timestamptz,
               contact_due_on date, coordination_due_on date, missed varchar, lead_state varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
    after_day CONSTANT date := (after_due AT TIME ZONE 'UTC')::date;
BEGIN
    RETURN QUERY
    SELECT m.id, m.kind, m.opened_at, r.number, r.state, v.due_on::timestamp AT TIME ZONE 'UTC',
           r.contact_due_on, r.coordination_due_on,
           CASE WHEN r.state IN ('notified', 'seen') AND r.contact_due_on < today THEN 'contact'
                WHEN r.state IN ('notified', 'seen', 'contacted', 'lead_agreed') AND r.coordination_due_on < today
                THEN 'coordination' END::varchar,
           (SELECT CASE WHEN l.reporter_id IS NULL THEN 'open' ELSE l.state END::varchar FROM lead l
            WHERE l.match_id = m.id AND l.state IN ('proposed', 'accepted'))
    FROM supervision v JOIN match m ON m.id = v.match_id AND m.ended_at IS NULL
    CROSS JOIN LATERAL (SELECT * FROM round WHERE match_id = v.match_id ORDER BY number DESC LIMIT 1) r
    WHERE v.municipality_code = municipality AND v.left_at IS NULL
      AND (asked_state IS NULL OR v.round_state = asked_state) AND (NOT only_missed OR v.due_on < today)
      AND (after_day IS NULL OR (v.due_on, v.match_id) > (after_day, after_id))
      AND EXISTS (SELECT FROM live_signals(today) s
                  WHERE s.youngster_id = m.youngster_id AND s.residence_municipality = municipality)
      AND (SELECT count(DISTINCT c.reporter_id) > 1 AND bool_or(c.elsewhere = (m.kind = 'family'))
           FROM concerned(m.youngster_id, today) c WHERE m.kind = 'family' OR NOT c.elsewhere)
    ORDER BY v.due_on, v.match_id LIMIT size;
END $$;
"""


def upgrade() -> None:
    """Keep the next deadline with who supervises the match."""
    op.execute(KEPT)
    op.execute(LISTED)
