# SPDX-License-Identifier: EUPL-1.2
"""Follow-up: rounds, leads, quiet pairs, and each municipality's own deadlines and order of domains (R21, R22, R23).

The version before goes on working: its matcher opens matches without a round, and the clock of this version begins one.
"""

from alembic import op

revision = "index_0023"
down_revision = "index_0022"
branch_labels = None
depends_on = None

# Null: the order of followup.leading.ORDER.
MUNICIPALITY = """
ALTER TABLE municipality
    ADD COLUMN contact_within_days smallint NOT NULL DEFAULT 5,
    ADD COLUMN coordination_within_days smallint NOT NULL DEFAULT 10,
    ADD COLUMN lead_order varchar[],
    ADD CONSTRAINT municipality_deadlines CHECK (
        -- not BETWEEN: of two of them PostgreSQL writes other brackets into a dump, and a restore finds a difference
        contact_within_days >= 1 AND contact_within_days <= 60
        AND coordination_within_days >= contact_within_days AND coordination_within_days <= 120);
"""

TABLES = """
CREATE TABLE round (
    id uuid PRIMARY KEY,
    match_id uuid NOT NULL REFERENCES match (id),
    number integer NOT NULL,
    state varchar NOT NULL CONSTRAINT round_state CHECK (state IN
        ('notified', 'seen', 'contacted', 'lead_agreed', 'coordinated', 'closed', 'lapsed', 'renewed')),
    began_at timestamptz NOT NULL,
    contacted_on date,
    contacted_at timestamptz,
    coordinated_at timestamptz,
    ended_at timestamptz,
    outcome varchar CONSTRAINT round_outcome CHECK (outcome IN
        ('joint_plan', 'no_joint_plan_needed', 'passed_on', 'already_together')),
    contact_due_on date NOT NULL,
    contact_steps integer NOT NULL,
    coordination_due_on date NOT NULL,
    coordination_steps integer NOT NULL,
    next_step_on date,
    CONSTRAINT round_ended_is_a_state CHECK ((ended_at IS NOT NULL) = (state IN ('closed', 'lapsed', 'renewed'))),
    CONSTRAINT round_closed_has_an_outcome CHECK ((outcome IS NOT NULL) = (state = 'closed')),
    CONSTRAINT round_steps CHECK (
        contact_steps >= 0 AND contact_steps <= 3 AND coordination_steps >= 0 AND coordination_steps <= 3),
    CONSTRAINT round_ended_has_no_step CHECK (ended_at IS NULL OR next_step_on IS NULL),
    CONSTRAINT round_number_in_its_match UNIQUE (match_id, number)
);
CREATE UNIQUE INDEX round_one_runs ON round (match_id) WHERE ended_at IS NULL;
CREATE INDEX ix_round_next_step_on ON round (next_step_on) WHERE next_step_on IS NOT NULL;
CREATE TABLE lead (
    id uuid PRIMARY KEY,
    match_id uuid NOT NULL REFERENCES match (id),
    reporter_id uuid REFERENCES reporter (id),
    state varchar NOT NULL CONSTRAINT lead_state CHECK (state IN
        ('proposed', 'accepted', 'declined', 'unanswered', 'handed_over')),
    reason varchar NOT NULL CONSTRAINT lead_reason CHECK (reason IN
        ('leads_already', 'asked_already', 'first_domain', 'first_there', 'only_candidate', 'handed_over',
         'volunteered', 'next_is_sought', 'nobody_to_propose')),
    proposed_at timestamptz NOT NULL,
    answer_due_on date,
    CONSTRAINT lead_open_is_proposed CHECK (reporter_id IS NOT NULL OR state = 'proposed'),
    CONSTRAINT lead_who_is_asked_answers_in_time CHECK (
        (answer_due_on IS NOT NULL) = (state = 'proposed' AND reporter_id IS NOT NULL)),
    CONSTRAINT lead_once_in_a_match UNIQUE (match_id, reporter_id)
);
CREATE UNIQUE INDEX lead_one_runs ON lead (match_id) WHERE state IN ('proposed', 'accepted');
CREATE INDEX ix_lead_reporter_id ON lead (reporter_id);
CREATE INDEX ix_lead_answer_due_on ON lead (answer_due_on) WHERE answer_due_on IS NOT NULL;
CREATE TABLE mute (
    youngster_id uuid NOT NULL REFERENCES youngster (id) ON DELETE CASCADE,
    reporter_id uuid NOT NULL REFERENCES reporter (id),
    other_id uuid NOT NULL REFERENCES reporter (id),
    muted_at timestamptz NOT NULL,
    PRIMARY KEY (youngster_id, reporter_id, other_id)
);
"""

NOTICES = """
ALTER TABLE notice
    ADD COLUMN coordinator_oin char(20) REFERENCES institution (oin),
    DROP CONSTRAINT notice_kind,
    ADD CONSTRAINT notice_kind CHECK (kind IN
        ('match', 'party_withdrew', 'move', 'archive', 'lead', 'reminder', 'escalation')),
    DROP CONSTRAINT notice_has_one_recipient,
    ADD CONSTRAINT notice_has_one_recipient
        CHECK (num_nonnulls(reporter_id, municipality_code, officer_oin, coordinator_oin) = 1);
CREATE INDEX ix_notice_coordinator_inbox ON notice (coordinator_oin, placed_at, id) WHERE coordinator_oin IS NOT NULL;
CREATE UNIQUE INDEX notice_once_of_a_kind_to_coordinator ON notice (match_id, kind, change, coordinator_oin)
    WHERE coordinator_oin IS NOT NULL AND match_id IS NOT NULL;

-- As 0013 has it, with what coordinators are told of missed deadlines.
CREATE OR REPLACE FUNCTION inbox(before_at timestamptz, before_id uuid, size integer)
RETURNS TABLE (id uuid, kind varchar, match_id uuid, archived_signal_id uuid, reporter_id uuid, placed_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    municipality CONSTANT char(4) := scope_municipality();
    officer CONSTANT char(20) := CASE WHEN scope_own_officer() IS NOT NULL THEN scope_oin() END;
    coordinated CONSTANT char(20) := CASE WHEN scope_own_coordinator() IS NOT NULL THEN scope_oin() END;
    reporters CONSTANT uuid[] := CASE WHEN officer IS NULL THEN ARRAY(SELECT * FROM stands_for()) END;
BEGIN
    RETURN QUERY
    SELECT n.id, n.kind, n.match_id, n.archived_signal_id, n.reporter_id, n.placed_at FROM (
        SELECT own.* FROM unnest(reporters) one CROSS JOIN LATERAL (
            SELECT * FROM notice WHERE reporter_id = one
              AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
            ORDER BY placed_at DESC, id DESC LIMIT size) own
        UNION ALL
        (SELECT * FROM notice WHERE municipality_code = municipality
           AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
         ORDER BY placed_at DESC, id DESC LIMIT size)
        UNION ALL
        (SELECT * FROM notice WHERE officer_oin = officer
           AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
         ORDER BY placed_at DESC, id DESC LIMIT size)
        UNION ALL
        (SELECT * FROM notice WHERE coordinator_oin = coordinated
           AND (before_at IS NULL OR (placed_at, id) < (before_at, before_id))
         ORDER BY placed_at DESC, id DESC LIMIT size)
    ) n ORDER BY n.placed_at DESC, n.id DESC LIMIT size;
END $$;
"""

PRIVILEGES = """
GRANT SELECT (code, contact_within_days, coordination_within_days, lead_order) ON municipality TO verwijsindex_worker;
GRANT SELECT (oin, category_code) ON institution TO verwijsindex_worker;
GRANT SELECT (code, domain, in_person) ON category TO verwijsindex_worker;
GRANT SELECT (designated_until) ON reporter TO verwijsindex_worker;
ALTER TABLE round ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead ENABLE ROW LEVEL SECURITY;
ALTER TABLE mute ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON round TO verwijsindex_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON lead TO verwijsindex_worker;
GRANT SELECT ON mute TO verwijsindex_worker;
GRANT INSERT (signal_id) ON work TO verwijsindex_worker;
CREATE POLICY worker ON institution FOR SELECT TO verwijsindex_worker USING (true);
CREATE POLICY worker ON round TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON lead TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON mute FOR SELECT TO verwijsindex_worker USING (true);
"""

# What people do in a match (docs/decisions/0026, 0022). Each function starts from the match as the scope sees it, and
# locks what it changes in the order of ids, so that two at once do not wait for each other in a circle.
ACTS = """
-- The matches in which an act of the scope in this one counts: itself, and of a family match those of the siblings,
-- which show the same reporter. None to a supervisor, who reads and does nothing here (R19).
CREATE FUNCTION followed(asked uuid) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    today CONSTANT date := scope_today();
    own record;
BEGIN
    SELECT m.youngster_id, m.kind INTO own FROM match m
    WHERE m.id = asked AND scope_municipality() IS NULL AND EXISTS (SELECT FROM visible_matches(asked, NULL, NULL, 1));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN NEXT asked;
    RETURN QUERY
    SELECT m.id FROM match m WHERE own.kind = 'family' AND m.kind = 'family' AND m.ended_at IS NULL
      AND m.youngster_id IN (SELECT s.youngster_id FROM concerned(own.youngster_id, today) c
                             JOIN signal s ON s.id = c.signal_id WHERE c.elsewhere);
END $$;

-- For whom the scope acts in a match: the own reporter, or those in whose place it stands.
CREATE FUNCTION seated(asked uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT seat.reporter_id FROM match m JOIN seats(m.youngster_id, scope_today()) seat ON true
    WHERE m.id = asked
$$;

-- Moves the running rounds: `moves` says of each state the next one. Which matches it moved.
CREATE FUNCTION move_rounds(asked uuid, moves jsonb, at timestamptz, contact date, result varchar) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM round WHERE match_id IN (SELECT * FROM followed(asked)) AND ended_at IS NULL ORDER BY id FOR UPDATE;
    RETURN QUERY
    UPDATE round r SET
        state = CASE WHEN moves ->> r.state = 'contacted' AND EXISTS (
                    SELECT FROM lead l WHERE l.match_id = r.match_id AND l.state = 'accepted') THEN 'lead_agreed'
                ELSE moves ->> r.state END,
        contacted_on = coalesce(contact, contacted_on),
        contacted_at = CASE WHEN contact IS NOT NULL THEN at ELSE contacted_at END,
        coordinated_at = CASE WHEN moves ->> r.state = 'coordinated' THEN at ELSE coordinated_at END,
        ended_at = CASE WHEN moves ->> r.state = 'closed' THEN at END,
        outcome = CASE WHEN moves ->> r.state = 'closed' THEN result END,
        next_step_on = CASE WHEN moves ->> r.state = 'closed' THEN NULL ELSE next_step_on END
    WHERE r.match_id IN (SELECT * FROM followed(asked)) AND r.ended_at IS NULL AND moves ? r.state
    RETURNING r.match_id;
END $$;

-- A party read the match. A round that another changes at this moment is left alone: what is done to it, somebody saw.
CREATE FUNCTION see_round(asked uuid, moves jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE round SET state = moves ->> state WHERE id IN (
        SELECT id FROM round WHERE match_id = asked AND ended_at IS NULL AND moves ? state
          AND asked IN (SELECT * FROM followed(asked)) FOR UPDATE SKIP LOCKED);
END $$;

-- Who in a match is meant by a handle that its reader was shown: an id of this match alone, so that nobody recognises
-- anybody in another.
CREATE FUNCTION contact_handle(match uuid, reporter uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT md5($1::text || $2::text)::uuid
$$;

-- What somebody of the scope does with the lead (R22): `accept` or `decline` what was proposed, `take` what is open to
-- all, `hand_over` what is led to who has that handle. It counts in all matches `followed` where it is so, since one
-- leads for all who are shown to each other. In each of them there is, when this commits, one lead or one proposal:
-- where nobody else is asked yet it is open to all, and the matcher finds somebody. `moves` says what it makes of the
-- rounds.
CREATE FUNCTION act_on_lead(asked uuid, act varchar, handle uuid, due date, moves jsonb, at timestamptz)
RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    around CONSTANT uuid[] := ARRAY(SELECT * FROM followed(asked));
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
    receiver uuid;
    changed uuid[];
BEGIN
    PERFORM FROM round WHERE match_id = ANY(around) AND ended_at IS NULL ORDER BY id FOR UPDATE;
    PERFORM FROM lead WHERE match_id = ANY(around) ORDER BY id FOR UPDATE;
    IF act = 'hand_over' THEN
        SELECT c.reporter_id INTO receiver
        FROM match m JOIN concerned(m.youngster_id, today) c ON m.kind = 'family' OR NOT c.elsewhere
        WHERE m.id = asked AND contact_handle(m.id, c.reporter_id) = handle AND NOT c.reporter_id = ANY(mine) LIMIT 1;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    WITH done AS (
        UPDATE lead l SET
            state = CASE act WHEN 'decline' THEN 'declined' WHEN 'hand_over' THEN 'handed_over' ELSE 'accepted' END,
            answer_due_on = NULL
        WHERE l.match_id = ANY(around) AND l.reporter_id = ANY(mine)
          AND l.state = CASE act WHEN 'hand_over' THEN 'accepted' WHEN 'take' THEN NULL ELSE 'proposed' END
        RETURNING l.match_id
    ) SELECT array_agg(match_id ORDER BY match_id) INTO changed FROM done;
    IF act = 'take' THEN
        SELECT array_agg(match_id ORDER BY match_id) INTO changed
        FROM lead WHERE match_id = ANY(around) AND reporter_id IS NULL;
        DELETE FROM lead WHERE match_id = ANY(changed) AND (reporter_id IS NULL OR reporter_id = mine[1]);
        INSERT INTO lead (id, match_id, reporter_id, state, reason, proposed_at)
        SELECT uuidv7(), one, mine[1], 'accepted', 'volunteered', at FROM unnest(changed) one;
    ELSIF act IN ('decline', 'hand_over') THEN
        INSERT INTO lead (id, match_id, reporter_id, state, reason, proposed_at, answer_due_on)
        SELECT uuidv7(), one, r.shown, 'proposed', CASE WHEN r.shown IS NULL THEN 'next_is_sought'
               ELSE 'handed_over' END, at, CASE WHEN r.shown IS NOT NULL THEN due END
        FROM unnest(changed) one CROSS JOIN LATERAL (
            SELECT CASE WHEN EXISTS (
                SELECT FROM match m JOIN concerned(m.youngster_id, today) c ON m.kind = 'family' OR NOT c.elsewhere
                WHERE m.id = one AND c.reporter_id = receiver) THEN receiver END AS shown) r
        ON CONFLICT (match_id, reporter_id) DO UPDATE SET
            state = 'proposed', reason = 'handed_over', proposed_at = at, answer_due_on = due;
        INSERT INTO work (signal_id)
        SELECT seat.signal_id FROM match m JOIN seats(m.youngster_id, today) seat ON true
        WHERE m.id = asked ORDER BY seat.signal_id LIMIT 1;
    END IF;
    UPDATE round r SET state = moves ->> r.state
    WHERE r.match_id = ANY(changed) AND r.ended_at IS NULL AND moves ? r.state;
    RETURN QUERY SELECT unnest(changed);
END $$;

-- The follow-up of a match as the scope may see it. Who is asked to lead, in whichever of the matches that count
-- together, sees that and no other lead.
CREATE FUNCTION visible_follow_up(asked uuid)
RETURNS TABLE (number integer, state varchar, began_at timestamptz, contacted_on date, contact_due_on date,
               coordination_due_on date, outcome varchar, lead_state varchar, lead_is_you boolean, lead_contact uuid,
               lead_reason varchar, answer_due_on date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
BEGIN
    RETURN QUERY
    SELECT r.number, r.state, r.began_at, r.contacted_on, r.contact_due_on, r.coordination_due_on, r.outcome,
           l.state, coalesce(l.reporter_id = ANY(mine), false), contact_handle(asked, l.reporter_id), l.reason,
           l.answer_due_on
    FROM (SELECT * FROM round WHERE match_id = asked ORDER BY number DESC LIMIT 1) r
    LEFT JOIN LATERAL (
        SELECT x.* FROM lead x
        WHERE x.match_id = asked AND x.state IN ('proposed', 'accepted')
           OR x.match_id IN (SELECT * FROM followed(asked)) AND x.state = 'proposed' AND x.reporter_id = ANY(mine)
        ORDER BY x.state = 'proposed' AND coalesce(x.reporter_id = ANY(mine), false) DESC, x.match_id LIMIT 1
    ) l ON true
    WHERE EXISTS (SELECT FROM visible_matches(asked, NULL, NULL, 1));
END $$;
-- The follow-up of the matches that the supervisors of the scope see (R19), the next deadline first; `missed`, the
-- deadline that is over, if any. Found in order first and looked at one by one after that, as `visible_matches` does.
CREATE FUNCTION supervised_follow_ups(asked_state varchar, only_missed boolean, after_due timestamptz, after_id uuid,
                                      size integer)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz, number integer, state varchar, due timestamptz,
               contact_due_on date, coordination_due_on date, missed varchar, lead_state varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
BEGIN
    RETURN QUERY
    SELECT f.id, f.kind, f.opened_at, f.number, f.state, f.due, f.contact_due_on, f.coordination_due_on, f.missed,
           (SELECT CASE WHEN l.reporter_id IS NULL THEN 'open' ELSE l.state END::varchar FROM lead l
            WHERE l.match_id = f.id AND l.state IN ('proposed', 'accepted'))
    FROM (
        SELECT m.id, m.kind, m.opened_at, r.number, r.state, r.contact_due_on, r.coordination_due_on,
               CASE WHEN r.state IN ('notified', 'seen') THEN r.contact_due_on
                    WHEN r.state IN ('contacted', 'lead_agreed') THEN r.coordination_due_on
                    ELSE date '9999-12-31' END::timestamp AT TIME ZONE 'UTC' AS due,
               CASE WHEN r.state IN ('notified', 'seen') AND r.contact_due_on < today THEN 'contact'
                    WHEN r.state IN ('notified', 'seen', 'contacted', 'lead_agreed') AND r.coordination_due_on < today
                    THEN 'coordination' END::varchar AS missed
        FROM supervision v JOIN match m ON m.id = v.match_id AND m.ended_at IS NULL
        CROSS JOIN LATERAL (SELECT * FROM round WHERE match_id = m.id ORDER BY number DESC LIMIT 1) r
        WHERE v.municipality_code = municipality AND v.left_at IS NULL
        ORDER BY due, m.id OFFSET 0
    ) f
    WHERE (asked_state IS NULL OR f.state = asked_state) AND (NOT only_missed OR f.missed IS NOT NULL)
      AND (after_due IS NULL OR (f.due, f.id) > (after_due, after_id))
      AND EXISTS (SELECT FROM visible_matches(f.id, NULL, NULL, 1))
    LIMIT size;
END $$;
REVOKE ALL ON FUNCTION supervised_follow_ups(varchar, boolean, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION supervised_follow_ups(varchar, boolean, timestamptz, uuid, integer) TO verwijsindex_index;
REVOKE ALL ON FUNCTION followed(uuid), seated(uuid), move_rounds(uuid, jsonb, timestamptz, date, varchar),
    see_round(uuid, jsonb), contact_handle(uuid, uuid),
    act_on_lead(uuid, varchar, uuid, date, jsonb, timestamptz), visible_follow_up(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION move_rounds(uuid, jsonb, timestamptz, date, varchar), see_round(uuid, jsonb),
    act_on_lead(uuid, varchar, uuid, date, jsonb, timestamptz), visible_follow_up(uuid) TO verwijsindex_index;
"""


def upgrade() -> None:
    """Make the tables of follow-up, and let the worker keep them."""
    for part in (MUNICIPALITY, TABLES, NOTICES, PRIVILEGES, ACTS):
        op.execute(part)
