# SPDX-License-Identifier: EUPL-1.2
"""Coordinators read what they are told of missed deadlines, and are mailed of it (R12, R20, R21).

The version before goes on working: it reads inboxes as it did, and mails nobody. Nothing that was released writes the
tables of mail yet.
"""

from alembic import op

revision = "index_0027"
down_revision = "index_0026"
branch_labels = None
depends_on = None

READING = """
-- As 0018 has it, with what is told to coordinators.
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
    coordinated CONSTANT char(20) := CASE WHEN scope_own_coordinator() IS NOT NULL THEN scope_oin() END;
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
      AND (n.reporter_id = ANY(reporters) OR n.municipality_code = municipality OR n.officer_oin = officer
           OR n.coordinator_oin = coordinated);
END $$;

-- Of a notice to the scope's coordinators: for which live signals of the own institution it was told, and whose they
-- are, as long as the match is one (R20). Nothing of the other parties (R12, R33), and nothing of what is shielded,
-- which is the named officer's (R36).
CREATE FUNCTION coordinated_signals(asked uuid) RETURNS TABLE (id uuid, reporter_id uuid, reporter_name varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id, r.id, r.name
    FROM notice n JOIN match m ON m.id = n.match_id AND m.ended_at IS NULL
    CROSS JOIN LATERAL concerned(m.youngster_id, scope_today()) c
    JOIN signal s ON s.id = c.signal_id JOIN reporter r ON r.id = c.reporter_id
    WHERE n.id = asked AND n.coordinator_oin = (SELECT scope_oin()) AND (SELECT scope_own_coordinator()) IS NOT NULL
      AND c.oin = n.coordinator_oin AND NOT c.elsewhere AND NOT c.shielded
      AND EXISTS (SELECT FROM concerned(m.youngster_id, scope_today()) other
                  WHERE other.reporter_id <> c.reporter_id AND other.elsewhere = (m.kind = 'family'))
    ORDER BY s.received_at, s.id
$$;
REVOKE ALL ON FUNCTION coordinated_signals(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION coordinated_signals(uuid) TO verwijsindex_index;
"""

_OF_MAIL = ("mail_preference", "mail_wanted", "mail")
_INBOX = "reporter_id, municipality_code, officer_oin, coordinator_oin"
COLUMNS = (
    "".join(
        f"ALTER TABLE {table} ADD COLUMN coordinator_oin char(20) REFERENCES institution (oin),"
        f" DROP CONSTRAINT {table}_has_one_recipient,"
        f" ADD CONSTRAINT {table}_has_one_recipient CHECK (num_nonnulls({_INBOX}) = 1);"
        for table in _OF_MAIL
    )
    + f"""
DROP INDEX mail_preference_once;
CREATE UNIQUE INDEX mail_preference_once ON mail_preference ({_INBOX}) NULLS NOT DISTINCT;
DROP INDEX mail_wanted_once;
CREATE UNIQUE INDEX mail_wanted_once ON mail_wanted ({_INBOX}, digest) NULLS NOT DISTINCT;
"""
)

# As 0022 has them, with the inbox of an institution's coordinators, of which each of them is mailed.
MAIL = """
DROP FUNCTION mail_recipients(uuid, char, char, date);
CREATE FUNCTION mail_recipients(reporter uuid, municipality char(4), officer char(20), coordinated char(20), today date)
RETURNS TABLE (recipient varchar, person_id uuid, address varchar) LANGUAGE sql STABLE AS $$
    SELECT 'reporter', r.id, r.email FROM reporter r WHERE r.id = $1 AND coalesce(r.designated_until >= $5, true)
    UNION ALL
    SELECT 'coordinator', k.id, k.email FROM reporter r JOIN coordinator k ON k.oin = r.oin
    WHERE r.id = $1 AND r.designated_until < $5 AND coalesce(k.last_day >= $5, true)
    UNION ALL
    SELECT 'coordinator', k.id, k.email FROM coordinator k WHERE k.oin = $4 AND coalesce(k.last_day >= $5, true)
    UNION ALL
    SELECT 'named_officer', o.id, o.email FROM named_officer o WHERE o.oin = $3 AND coalesce(o.last_day >= $5, true)
    UNION ALL
    SELECT 'municipality', NULL, m.email FROM municipality m WHERE m.code = $2 AND m.email IS NOT NULL
    UNION ALL
    SELECT 'case_supervisor', s.id, s.email FROM case_supervisor s JOIN municipality m ON m.code = s.municipality_code
    WHERE m.code = $2 AND m.email IS NULL AND coalesce(s.last_day >= $5, true)
$$;

CREATE OR REPLACE FUNCTION spread_mail(at timestamptz, today date, size integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH due AS MATERIALIZED (
        SELECT id FROM mail_wanted WHERE due_at <= at ORDER BY due_at, id LIMIT size FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM mail_wanted w USING due WHERE w.id = due.id RETURNING w.*
    ), made AS (
        INSERT INTO mail (id, reporter_id, municipality_code, officer_oin, coordinator_oin, recipient, person_id,
                          digest, made_at, due_at)
        SELECT DISTINCT ON (p.recipient, p.person_id, t.municipality_code)
               uuidv7(), t.reporter_id, t.municipality_code, t.officer_oin, t.coordinator_oin, p.recipient, p.person_id,
               t.digest, at, at
        FROM taken t
        CROSS JOIN LATERAL
            mail_recipients(t.reporter_id, t.municipality_code, t.officer_oin, t.coordinator_oin, today) p
        ORDER BY p.recipient, p.person_id, t.municipality_code, t.digest
        RETURNING recipient, person_id, municipality_code
    ), told AS (
        DELETE FROM mail m USING made n
        WHERE m.recipient = n.recipient AND m.person_id IS NOT DISTINCT FROM n.person_id
          AND m.municipality_code IS NOT DISTINCT FROM n.municipality_code
          AND m.sent_at IS NULL AND m.refused_at IS NULL AND m.leased_until IS NULL
    )
    SELECT count(*) FROM taken
$$;

CREATE OR REPLACE FUNCTION mail_address(asked uuid, today date) RETURNS varchar
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.address FROM mail m
    CROSS JOIN LATERAL mail_recipients(m.reporter_id, m.municipality_code, m.officer_oin, m.coordinator_oin, today) p
    WHERE m.id = asked AND m.leased_until IS NOT NULL AND m.sent_at IS NULL AND m.refused_at IS NULL
      AND p.recipient = m.recipient AND p.person_id IS NOT DISTINCT FROM m.person_id
$$;

DROP FUNCTION turn_mail(uuid, char, char, boolean, timestamptz);
CREATE FUNCTION turn_mail(reporter uuid, municipality char(4), officer char(20), coordinated char(20),
                          to_digest boolean, at timestamptz)
RETURNS SETOF boolean LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO mail_preference AS p
        (id, reporter_id, municipality_code, officer_oin, coordinator_oin, digest, digest_at, chosen_at)
    VALUES (gen_random_uuid(), reporter, municipality, officer, coordinated, to_digest, '07:00', at)
    ON CONFLICT (reporter_id, municipality_code, officer_oin, coordinator_oin)
        DO UPDATE SET digest = excluded.digest, chosen_at = excluded.chosen_at WHERE p.digest <> excluded.digest
    RETURNING true
$$;

CREATE OR REPLACE FUNCTION refused_mail_of_institution(after uuid, size integer)
RETURNS TABLE (id uuid, recipient varchar, person_id uuid, refused_at timestamptz, outcome varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.id, m.recipient, m.person_id, m.refused_at, m.last_outcome
    FROM mail m LEFT JOIN reporter r ON r.id = m.reporter_id
    WHERE m.refused_at IS NOT NULL AND coalesce(r.oin, m.coordinator_oin) = (SELECT scope_oin())
      AND (SELECT scope_own_coordinator()) IS NOT NULL AND (after IS NULL OR m.id > after)
    ORDER BY m.id LIMIT size
$$;

-- Each chooses for the own inbox, and a coordinator for a reporter of the institution; not for its named officers.
ALTER POLICY own ON mail_preference USING (
    reporter_id = (SELECT scope_own_reporter()) OR municipality_code = (SELECT scope_municipality())
    OR (SELECT scope_own_officer()) IS NOT NULL AND officer_oin = (SELECT scope_oin())
    OR (SELECT scope_own_coordinator()) IS NOT NULL AND (coordinator_oin = (SELECT scope_oin())
        OR reporter_id IN (SELECT r.id FROM reporter r WHERE r.oin = (SELECT scope_oin()))));

REVOKE ALL ON FUNCTION mail_recipients(uuid, char, char, char, date),
    turn_mail(uuid, char, char, char, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION turn_mail(uuid, char, char, char, boolean, timestamptz) TO verwijsindex_index;
"""


def upgrade() -> None:
    """Let coordinators read and be mailed."""
    for part in (READING, COLUMNS, MAIL):
        op.execute(part)
