# SPDX-License-Identifier: EUPL-1.2
"""What a match shows besides: by which handle each contact is named, where follow-up stands, and the crisis line of the
municipality (R12, R21, R22).

The version before goes on working: it reads `visible_match` and looks at no handle.
"""

from alembic import op

revision = "index_0026"
down_revision = "index_0024"
branch_labels = None
depends_on = None

HANDLES = """
-- All who are concerned in a match, signal by signal: who is shown for each, and the handle by which a reader of this
-- match names that contact (lead, handover, quiet pairs). It is of the contact as it is shown: a named officer or
-- coordinator who stands in for several reporters has one handle, so that nobody counts them or recognises one of them
-- later. It holds the id of the youngster, which nobody is ever told: whoever knows the reporters' ids cannot find out
-- whose it is (R36), and no handle is found again in another match (R10).
CREATE FUNCTION shown_in(asked uuid, youngster uuid, today date)
RETURNS TABLE (reporter_id uuid, oin char(20), elsewhere boolean, agreement_id uuid, valid_from date, shown varchar,
               handle uuid)
LANGUAGE sql STABLE AS $$
    SELECT one.reporter_id, one.oin, one.elsewhere, one.agreement_id, one.valid_from, one.shown,
           encode(substr(sha256(convert_to(concat_ws(' ', $1, $2, one.oin, one.shown,
               CASE WHEN one.shown = 'reporter' THEN one.reporter_id END), 'UTF8')), 1, 16), 'hex')::uuid
    FROM (
        SELECT c.reporter_id, c.oin, c.elsewhere, s.agreement_id, a.valid_from,
               shown_as(c.shielded, r.designated_until, g.in_person, $3) AS shown
        FROM concerned($2, $3) c JOIN signal s ON s.id = c.signal_id JOIN reporter r ON r.id = c.reporter_id
        JOIN agreement a ON a.id = s.agreement_id
        JOIN institution i ON i.oin = c.oin JOIN category g ON g.code = i.category_code
    ) one
$$;

-- As in 0023, of what is shown. Of who stands in a family match by name and behind an officer, the name: the other card
-- is then not known to be of the same person.
CREATE OR REPLACE FUNCTION contact_handle(match uuid, reporter uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT s.handle FROM match m CROSS JOIN LATERAL shown_in(m.id, m.youngster_id, scope_today()) s
    WHERE m.id = $1 AND s.reporter_id = $2 AND (m.kind = 'family' OR NOT s.elsewhere)
    ORDER BY s.shown <> 'reporter', s.handle LIMIT 1
$$;

-- As in 0018, with the handle of each contact.
CREATE OR REPLACE FUNCTION visible_match(asked uuid)
RETURNS TABLE (id uuid, kind varchar, opened_at timestamptz, contacts jsonb, own_signals jsonb, residences char(4)[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    own_reporter CONSTANT uuid := scope_own_reporter();
    supervises CONSTANT boolean := scope_municipality() IS NOT NULL;
    family boolean;
    youngster uuid;
    seated uuid[];
BEGIN
    SELECT m.id, m.kind, m.opened_at, m.kind = 'family', m.youngster_id INTO id, kind, opened_at, family, youngster
    FROM match m WHERE m.id = asked AND EXISTS (SELECT FROM visible_matches(asked, NULL, NULL, 1));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT s.reporter_id),
           coalesce(jsonb_agg(jsonb_build_object(
               'id', s.id, 'reporter', r.id, 'reporter_name', r.name, 'key_version', s.key_version,
               'case_reference_sealed', CASE WHEN r.id = own_reporter THEN encode(s.case_reference_sealed, 'hex') END
           ) ORDER BY s.received_at, s.id), '[]')
    INTO seated, own_signals
    FROM seats(youngster, today) seat JOIN signal s ON s.id = seat.signal_id
    JOIN reporter r ON r.id = s.reporter_id;
    residences := ARRAY(SELECT DISTINCT s.residence_municipality FROM live_signals(today) s
                        WHERE s.youngster_id = youngster);
    WITH other AS (
        SELECT * FROM shown_in(asked, youngster, today) s WHERE supervises OR s.reporter_id <> ANY(seated)
    ), contact AS (
        SELECT shown, oin, handle, CASE WHEN shown = 'reporter' THEN reporter_id END AS reporter_id,
               CASE WHEN bool_and(elsewhere) THEN (array_agg(agreement_id ORDER BY valid_from, agreement_id))[1:1]
                   ELSE array_agg(DISTINCT agreement_id) FILTER (WHERE NOT elsewhere) END AS agreements,
               bool_or(elsewhere) AS away, bool_and(elsewhere) AS only_away
        FROM other GROUP BY 1, 2, 3, 4
    )
    SELECT jsonb_agg(to_jsonb(card) || jsonb_build_object('handle', c.handle, 'concerns',
               CASE WHEN supervises THEN CASE WHEN NOT family THEN 'same_youngster' END
                   WHEN only_away THEN 'different_youngster' WHEN away THEN 'both' ELSE 'same_youngster' END)
           ORDER BY card.institution, card.name, c.oin)
    INTO contacts
    FROM contact c CROSS JOIN LATERAL contact_card(c.reporter_id, c.oin, c.shown, c.agreements, today) card
    WHERE CASE WHEN NOT family THEN NOT only_away ELSE away OR supervises END;
    RETURN NEXT;
END $$;
"""

FOLLOW_UP = """
-- As in 0023; also when the match opened, and whether the scope acts in it (`seated`) or only supervises.
DROP FUNCTION visible_follow_up(uuid);
CREATE FUNCTION visible_follow_up(asked uuid)
RETURNS TABLE (opened_at timestamptz, seated boolean, number integer, state varchar, began_at timestamptz,
               contacted_on date, contact_due_on date, coordination_due_on date, outcome varchar, lead_state varchar,
               lead_is_you boolean, lead_contact uuid, lead_reason varchar, answer_due_on date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
BEGIN
    RETURN QUERY
    SELECT m.opened_at, cardinality(mine) > 0, r.number, r.state, r.began_at, r.contacted_on, r.contact_due_on,
           r.coordination_due_on, r.outcome, l.state, coalesce(l.reporter_id = ANY(mine), false),
           contact_handle(asked, l.reporter_id), l.reason, l.answer_due_on
    FROM match m
    CROSS JOIN LATERAL (SELECT * FROM round WHERE match_id = m.id ORDER BY number DESC LIMIT 1) r
    LEFT JOIN LATERAL (
        SELECT x.* FROM lead x
        WHERE x.match_id = asked AND x.state IN ('proposed', 'accepted')
           OR x.match_id IN (SELECT * FROM followed(asked)) AND x.state = 'proposed' AND x.reporter_id = ANY(mine)
        ORDER BY x.state = 'proposed' AND coalesce(x.reporter_id = ANY(mine), false) DESC, x.match_id LIMIT 1
    ) l ON true
    WHERE m.id = asked AND EXISTS (SELECT FROM visible_matches(asked, NULL, NULL, 1));
END $$;

-- As in 0023, but whom a handle means is found among those who are shown: behind an officer or coordinator any of those
-- for whom that one stands in, who answers for all of them.
CREATE OR REPLACE FUNCTION act_on_lead(asked uuid, act varchar, handle uuid, due date, moves jsonb, at timestamptz)
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
        SELECT s.reporter_id INTO receiver
        FROM match m CROSS JOIN LATERAL shown_in(m.id, m.youngster_id, today) s
        WHERE m.id = asked AND (m.kind = 'family' OR NOT s.elsewhere) AND s.handle = act_on_lead.handle
          AND NOT s.reporter_id = ANY(mine)
        ORDER BY s.reporter_id LIMIT 1;
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
"""

DANGER = """
-- The crisis lines for who reads of a match, or of an archived signal, that the scope may see: of the residences among
-- the live signals on that youngster (R12).
CREATE FUNCTION crisis_lines(asked_match uuid, asked_archived uuid) RETURNS TABLE (name varchar, telephone varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    youngster CONSTANT uuid := CASE WHEN EXISTS (SELECT FROM visible_matches(asked_match, NULL, NULL, 1)
                                                 WHERE asked_match IS NOT NULL)
            THEN (SELECT m.youngster_id FROM match m WHERE m.id = asked_match)
        WHEN EXISTS (SELECT FROM archived_contact(asked_archived))
            THEN (SELECT a.youngster_id FROM archived_signal a WHERE a.id = asked_archived) END;
BEGIN
    RETURN QUERY
    SELECT p.name, p.telephone FROM contact_point p
    WHERE p.kind = 'crisis_line' AND p.municipality_code = ANY(ARRAY(
        SELECT s.residence_municipality FROM live_signals(today) s WHERE s.youngster_id = youngster))
    ORDER BY p.municipality_code;
END $$;
REVOKE ALL ON FUNCTION shown_in(uuid, uuid, date), visible_follow_up(uuid), crisis_lines(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION visible_follow_up(uuid), crisis_lines(uuid, uuid) TO verwijsindex_index;
"""


def upgrade() -> None:
    """Name each contact by a handle, and show where follow-up stands and whom to call."""
    for part in (HANDLES, FOLLOW_UP, DANGER):
        op.execute(part)
