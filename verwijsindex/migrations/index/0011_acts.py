# SPDX-License-Identifier: EUPL-1.2
"""What a reporter, a coordinator and a case supervisor do with a signal or a match (R13, R24, R27, R34).

An act changes columns of one placed signal, through a view that holds those on which the scope may act: row-level
security on `signal` itself would refuse a change after which the reader sees the row no more, which is what ending is.
What needs more than the role of the index may see (who may signal, who stands on whom) is a function of the owner.

The version before has no acts, and reads no new column.
"""

from alembic import op

revision = "index_0011"
down_revision = "index_0013"
branch_labels = None
depends_on = None

# Overdue from a month after the signal, from the first match, and from its own review date (R27, AVG 14). A shielded
# signal's reporter hears of no match (R36), so this does not tell it either.
INFORMING = """
ALTER TABLE signal ADD COLUMN informing_due_on date GENERATED ALWAYS AS (
    CASE WHEN informing_status = 'postponed' THEN
        LEAST(((made_at AT TIME ZONE 'Europe/Amsterdam')::date + interval '1 month')::date, review_date,
              CASE WHEN NOT shielded THEN (first_matched_at AT TIME ZONE 'Europe/Amsterdam')::date END) END) VIRTUAL;
GRANT SELECT (informing_due_on) ON signal TO verwijsindex_index;
"""

# Placed, as `placed_signals` of 0010 has it (I6); a function in a view would read with the rights of who looks.
PLACED = """
-- For the views and functions below only: nobody may read it.
CREATE VIEW placed_signal AS
    SELECT id, reporter_id, oin, agreement_id, legal_ground, made_at, received_at, removal_date, residence_municipality,
           informing_status, informed_on, informed_to, postponed_ground, review_date, informing_due_on, standing_id,
           held_since, ended_at, end_reason
    FROM signal s
    WHERE removal_date > (SELECT scope_today()) AND ended_at IS NULL
      AND NOT EXISTS (
        SELECT FROM death d WHERE d.told_at >= s.received_at
        AND (d.key = s.sealed_pseudonym OR d.key = (SELECT y.key FROM youngster y WHERE y.id = s.youngster_id)));

-- Why a signal stands on the orphan list (R34): both may be so.
CREATE OR REPLACE VIEW institution_signal WITH (security_barrier) AS
    SELECT id, reporter_id, made_at, received_at, removal_date, residence_municipality, informing_status, informed_on,
           informed_to, postponed_ground, review_date, informing_due_on,
           EXISTS (SELECT FROM reporter r WHERE r.id = s.reporter_id
                   AND r.designated_until < (SELECT scope_today())) AS reporter_left,
           NOT EXISTS (SELECT FROM agreement a WHERE a.id = s.agreement_id
                       AND (SELECT scope_today()) BETWEEN a.valid_from AND a.valid_until) AS agreement_ended
    FROM placed_signal s
    WHERE (SELECT scope_own_coordinator()) IS NOT NULL AND oin = (SELECT scope_oin());
"""

# Who acts may write these columns and no others; what may stand in them is bounded by the constraints on `signal`.
ACTS = """
CREATE FUNCTION scope_caller() RETURNS varchar LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.caller', true), '');

-- The placed signals on which the scope may act: the reporter's own, or those of the coordinator's institution.
CREATE VIEW acting_signal WITH (security_barrier) AS
    SELECT id, reporter_id, residence_municipality, informing_status, informed_on, informed_to, postponed_ground,
           review_date, ended_at, end_reason
    FROM placed_signal
    WHERE reporter_id = (SELECT scope_own_reporter())
       OR oin = (SELECT scope_oin()) AND (SELECT scope_own_coordinator()) IS NOT NULL;
GRANT SELECT (id, reporter_id, informing_status) ON acting_signal TO verwijsindex_index;
GRANT UPDATE (ended_at, end_reason, residence_municipality, informing_status, informed_on, informed_to,
              postponed_ground, review_date) ON acting_signal TO verwijsindex_index;

GRANT INSERT (signal_id) ON work TO verwijsindex_index;
GRANT INSERT (id, signal_id, municipality_code, reporter_id, told_at) ON move TO verwijsindex_index;
CREATE POLICY index_insert ON move FOR INSERT TO verwijsindex_index
    WITH CHECK (signal_id IN (SELECT a.id FROM acting_signal a)
        AND (reporter_id = (SELECT scope_own_reporter())
             OR (SELECT scope_own_coordinator()) IS NOT NULL
                AND reporter_id IN (SELECT r.id FROM reporter r WHERE r.oin = (SELECT scope_oin()))));
GRANT SELECT, INSERT ON act_request TO verwijsindex_index;
GRANT UPDATE (status, answer) ON act_request TO verwijsindex_index;
CREATE POLICY own ON act_request TO verwijsindex_index
    USING (caller = (SELECT scope_caller())) WITH CHECK (caller = (SELECT scope_caller()));

-- Hands a placed signal of the coordinator's institution to another of its reporters (R34): null when done, else which
-- refusal it is. Who may signal is judged as in intake (R1), and the agreement chosen by the same rule. The row is
-- locked first: of two at once, the second judges what the first left. Its standing goes with the giver; the matcher
-- gives the signal the receiver's.
CREATE FUNCTION hand_over(asked uuid, receiver uuid, at timestamptz) RETURNS text
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
    SELECT a.id, m.legal_ground INTO under
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
                      held_since = at, standing_id = NULL WHERE id = asked;
    UPDATE standing SET handed_over_at = at WHERE id = held.standing_id;
    INSERT INTO work (signal_id) VALUES (asked);
    RETURN NULL;
END $$;

-- Tells a move on a match that the scope's case supervisors see (R24), by way of one of its live signals. That one is
-- kept from being destroyed meanwhile; one that just was is passed over.
CREATE FUNCTION tell_move(asked uuid, residence char(4), at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    concerned uuid;
BEGIN
    SELECT s.id INTO concerned FROM signal s WHERE s.id IN (
        SELECT l.id FROM match m JOIN live_signals(scope_today()) l ON l.youngster_id = m.youngster_id
        WHERE m.id IN (SELECT v.id FROM visible_matches(asked, NULL, NULL, 1) v) AND scope_municipality() IS NOT NULL)
    ORDER BY s.id LIMIT 1 FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO move (id, signal_id, municipality_code, told_at) VALUES (gen_random_uuid(), concerned, residence, at);
    INSERT INTO work (signal_id) VALUES (concerned);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION hand_over(uuid, uuid, timestamptz), tell_move(uuid, char, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hand_over(uuid, uuid, timestamptz), tell_move(uuid, char, timestamptz)
    TO verwijsindex_index;
"""


def upgrade() -> None:
    """Say what is placed, what may be done with it, and by whom."""
    for part in (INFORMING, PLACED, ACTS):
        op.execute(part)
