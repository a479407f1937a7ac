# SPDX-License-Identifier: EUPL-1.2
"""What goes with a signal that is gone, or was handed over (R6, R10, R12, R16, R34), and what an act may write (R13).

The version before goes on working: it reads no party that has left, has no acts, and destroys nothing.
"""

from alembic import op

revision = "index_0018"
down_revision = "index_0021"
branch_labels = None
depends_on = None

# A party that leaves is deleted; as 0020, but for who deletes standings by another way. Locks are taken in the order
# of the matcher.
GONE = """
DELETE FROM party WHERE left_at IS NOT NULL;
GRANT DELETE ON party TO verwijsindex_worker;
CREATE OR REPLACE FUNCTION leave_no_trace_of_standings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    ids CONSTANT uuid[] := ARRAY(SELECT id FROM gone);
BEGIN
    IF EXISTS (SELECT FROM signal WHERE standing_id = ANY(ids)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a signal stands there';
    END IF;
    DELETE FROM told WHERE standing_id = ANY(ids);
    DELETE FROM told WHERE contact_id = ANY(ids);
    DELETE FROM told_supervision WHERE contact_id = ANY(ids);
    DELETE FROM party WHERE standing_id = ANY(ids);
    RETURN NULL;
END $$;
REVOKE UPDATE (standing_id) ON party FROM verwijsindex_worker;
LOCK TABLE notice, delivery IN ACCESS EXCLUSIVE MODE;
ALTER TABLE delivery DROP CONSTRAINT delivery_notice_id_fkey,
    ADD CONSTRAINT delivery_notice_id_fkey FOREIGN KEY (notice_id) REFERENCES notice (id) ON DELETE CASCADE;
GRANT DELETE ON notice TO verwijsindex_worker;
"""

# Until the matcher has looked whether the parent is named by another signal: it alone makes and forgets parents, and
# whoever hands over must not wait for it.
PARENTS = """
CREATE TABLE former_parent (
    signal_id uuid NOT NULL,
    parent_id uuid NOT NULL,
    PRIMARY KEY (signal_id, parent_id)
);
ALTER TABLE former_parent ENABLE ROW LEVEL SECURITY;
GRANT SELECT, DELETE ON former_parent TO verwijsindex_worker;
CREATE POLICY worker ON former_parent TO verwijsindex_worker USING (true);
"""

HANDOVER = """
-- As in 0011. The giver's case reference goes, since only its sender ever gets it back (R6); and parents, where the
-- receiver's agreement may not send them (R10): at once for every reader, and the matcher follows.
CREATE OR REPLACE FUNCTION hand_over(asked uuid, receiver uuid, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    held record;
    designated boolean;
    under record;
BEGIN
    SELECT reporter_id, residence_municipality, standing_id INTO held FROM placed_signal
    WHERE id = asked AND oin = scope_oin() AND scope_own_coordinator() IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'signal-not-found';
    END IF;
    IF receiver = held.reporter_id THEN
        RETURN 'same-reporter';
    END IF;
    SELECT c.designated INTO designated
    FROM reporter r JOIN institution i ON i.oin = r.oin JOIN category c ON c.code = i.category_code
    WHERE r.id = receiver AND r.oin = scope_oin() AND r.designated_from <= today
      AND (r.designated_until IS NULL OR r.designated_until >= today);
    IF NOT FOUND THEN
        RETURN 'reporter-not-designated';
    END IF;
    IF NOT designated THEN
        RETURN 'category-not-designated';
    END IF;
    SELECT a.id, a.may_send_parents, m.legal_ground INTO under
    FROM agreement a JOIN municipality m ON m.code = a.municipality_code
    WHERE a.oin = scope_oin() AND today BETWEEN a.valid_from AND a.valid_until
    ORDER BY a.municipality_code = held.residence_municipality DESC, a.valid_from, a.id LIMIT 1;
    IF NOT FOUND THEN
        RETURN 'no-valid-agreement';
    END IF;
    IF under.legal_ground = 'off' THEN
        RETURN 'legal-ground-off';
    END IF;
    UPDATE signal SET reporter_id = receiver, agreement_id = under.id, legal_ground = under.legal_ground,
                      held_since = at, standing_id = NULL, case_reference_sealed = NULL,
                      parents_sealed = CASE WHEN under.may_send_parents THEN parents_sealed END
    WHERE id = asked;
    IF NOT under.may_send_parents THEN
        WITH gone AS (DELETE FROM signal_parent WHERE signal_id = asked RETURNING signal_id, parent_id)
        INSERT INTO former_parent (signal_id, parent_id) SELECT signal_id, parent_id FROM gone;
    END IF;
    UPDATE standing SET handed_over_at = at WHERE id = held.standing_id;
    INSERT INTO work (signal_id) VALUES (asked);
    RETURN NULL;
END $$;
"""

# A view bounds rows and columns and not what is written into them: an end has one of two reasons (R13), and informing
# only goes forward (R27).
ACTS = """
CREATE FUNCTION withdraw(asked uuid, reason text, at timestamptz) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE acting_signal SET ended_at = at, end_reason = reason
    WHERE id = asked AND reason IN ('unjustified', 'risk_gone') RETURNING reporter_id
$$;
REVOKE ALL ON FUNCTION withdraw(uuid, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION withdraw(uuid, text, timestamptz) TO verwijsindex_index;
CREATE VIEW informing_signal WITH (security_barrier) AS
    SELECT id, reporter_id, informing_status, informed_on, informed_to, postponed_ground, review_date FROM acting_signal
    WHERE informing_status = 'postponed';
GRANT SELECT (id, reporter_id) ON informing_signal TO verwijsindex_index;
GRANT UPDATE (informing_status, informed_on, informed_to, postponed_ground, review_date)
    ON informing_signal TO verwijsindex_index;
REVOKE UPDATE ON acting_signal FROM verwijsindex_index;
GRANT UPDATE (residence_municipality) ON acting_signal TO verwijsindex_index;
"""

READING = """
-- As in 0013, but whose access team stands in for a person with an own agreement says nothing of siblings: of a contact
-- on one's own youngster the agreements of its signals there; of one who is only on siblings the oldest, however many.
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
        SELECT c.reporter_id, c.oin, c.elsewhere, s.agreement_id, a.valid_from,
               shown_as(c.shielded, r.designated_until, g.in_person, today) AS shown
        FROM concerned(youngster, today) c JOIN signal s ON s.id = c.signal_id JOIN reporter r ON r.id = c.reporter_id
        JOIN agreement a ON a.id = s.agreement_id
        JOIN institution i ON i.oin = c.oin JOIN category g ON g.code = i.category_code
        WHERE supervises OR c.reporter_id <> ANY(seated)
    ), contact AS (
        SELECT shown, oin, CASE WHEN shown = 'reporter' THEN reporter_id END AS reporter_id,
               CASE WHEN bool_and(elsewhere) THEN (array_agg(agreement_id ORDER BY valid_from, agreement_id))[1:1]
                   ELSE array_agg(DISTINCT agreement_id) FILTER (WHERE NOT elsewhere) END AS agreements,
               bool_or(elsewhere) AS away, bool_and(elsewhere) AS only_away
        FROM other GROUP BY 1, 2, 3
    )
    SELECT jsonb_agg(to_jsonb(card) || jsonb_build_object('concerns',
               CASE WHEN supervises THEN CASE WHEN NOT family THEN 'same_youngster' END
                   WHEN only_away THEN 'different_youngster' WHEN away THEN 'both' ELSE 'same_youngster' END)
           ORDER BY card.institution, card.name, c.oin)
    INTO contacts
    FROM contact c CROSS JOIN LATERAL contact_card(c.reporter_id, c.oin, c.shown, c.agreements, today) card
    WHERE CASE WHEN NOT family THEN NOT only_away ELSE away OR supervises END;
    RETURN NEXT;
END $$;

-- As in 0016, and likewise.
CREATE OR REPLACE FUNCTION inbox_notice(asked uuid)
RETURNS TABLE (id uuid, kind varchar, match_id uuid, archived_signal_id uuid, reporter_id uuid, placed_at timestamptz,
               ask jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    today CONSTANT date := scope_today();
    municipality CONSTANT char(4) := scope_municipality();
    officer CONSTANT char(20) := CASE WHEN scope_own_officer() IS NOT NULL THEN scope_oin() END;
    reporters CONSTANT uuid[] := CASE WHEN officer IS NULL THEN ARRAY(SELECT * FROM stands_for()) END;
BEGIN
    RETURN QUERY
    SELECT n.id, n.kind, n.match_id, n.archived_signal_id, n.reporter_id, n.placed_at, (
        SELECT jsonb_agg(to_jsonb(card) ORDER BY card.institution, card.shown_as, one.oin)
        FROM (SELECT w.oin, shown_as(w.shielded, '-infinity', g.in_person, today) AS shown,
                     CASE WHEN (SELECT m.kind FROM match m WHERE m.id = n.match_id) = 'family'
                         THEN (array_agg(w.agreement_id ORDER BY a.valid_from, a.id))[1:1]
                         ELSE array_agg(DISTINCT w.agreement_id) END AS agreements
              FROM notice_withdrawal w JOIN agreement a ON a.id = w.agreement_id
              JOIN institution i ON i.oin = w.oin JOIN category g ON g.code = i.category_code
              WHERE w.notice_id = n.id GROUP BY 1, 2) one
        CROSS JOIN LATERAL contact_card(NULL, one.oin, one.shown, one.agreements, today) card)
    FROM notice n
    WHERE n.id = asked
      AND (n.reporter_id = ANY(reporters) OR n.municipality_code = municipality OR n.officer_oin = officer);
END $$;
"""

# The orphan list of who has no coordinator (R2, R34), for the administrator: ids alone.
ORPHANS = """
CREATE FUNCTION orphans_without_coordinator(today date, municipality char(4))
RETURNS TABLE (municipality_code char(4), signal_id uuid, reporter_id uuid, reporter_left boolean,
               agreement_ended boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.municipality_code, s.id, r.id, coalesce(r.designated_until < $1, false), a.valid_until < $1
    FROM placed_signals($1) p JOIN signal s ON s.id = p.id
    JOIN agreement a ON a.id = s.agreement_id JOIN reporter r ON r.id = s.reporter_id
    WHERE (r.designated_until < $1 OR a.valid_until < $1) AND ($2 IS NULL OR a.municipality_code = $2)
      AND NOT EXISTS (SELECT FROM coordinator k WHERE k.oin = s.oin AND coalesce(k.last_day >= $1, true))
    ORDER BY a.municipality_code, s.received_at, s.id
$$;
REVOKE ALL ON FUNCTION orphans_without_coordinator(date, char) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION orphans_without_coordinator(date, char) TO verwijsindex_registrar;
"""


def upgrade() -> None:
    """Let go of what belongs to a signal together with it."""
    for part in (GONE, PARENTS, HANDOVER, ACTS, READING, ORPHANS):
        op.execute(part)
