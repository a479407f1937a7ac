# SPDX-License-Identifier: EUPL-1.2
"""What comes into the ledger is watched whatever it says, and nobody has a say in an alert about themselves (R37).

The version before goes on working: the functions that it calls keep their signatures.
"""

from alembic import op

revision = "index_0038"
down_revision = "index_0034"
branch_labels = None
depends_on = None

# An event that is no JSON, or says what does not fit, is passed over or cut: one that stopped who looks would hide all
# that comes after it. `On-Behalf-Of` of a refusal is what a client said: where the reporter is another institution's,
# it is the client's attempt, and makes no past for that reporter.
WATCHING = """
CREATE FUNCTION said_by_event(body bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN CAST(convert_from(body, 'UTF8') AS jsonb);
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN '{}';
END $$;
CREATE OR REPLACE FUNCTION events_to_watch(first bigint, upto bigint, kinds text[])
RETURNS TABLE (place bigint, id uuid, at timestamptz, kind varchar, oin char(20), municipality_code char(4),
               client_id varchar, role text, person text, reporter text, says jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.place, e.id, e.at, e.kind, e.oin, left(b.actor->>'municipality', 4), left(e.client_id, 128),
           b.actor->>'role', left(b.actor->>'person', 128),
           CASE WHEN e.outcome = 'success' OR NOT EXISTS (SELECT FROM reporter r WHERE r.id = w.id AND r.oin <> e.oin)
                THEN CAST(w.id AS text) END, b.says
    FROM leaf l JOIN event e ON e.id = l.event_id
    CROSS JOIN LATERAL (SELECT said.says, said.says->'actor' AS actor
                        FROM (SELECT said_by_event(e.body) AS says OFFSET 0) said) b
    CROSS JOIN LATERAL (SELECT CASE WHEN b.actor->>'onBehalfOf' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
                                    THEN CAST(b.actor->>'onBehalfOf' AS uuid) END AS id) w
    WHERE l.place >= first AND l.place < upto AND e.kind = ANY(kinds) AND e.at > '1900-01-01' AND e.at < '9000-01-01'
$$;
CREATE OR REPLACE FUNCTION unjustified_events(signal uuid, matches uuid[], reporter uuid, institution char(20),
                                              since timestamptz, upto timestamptz)
RETURNS TABLE (id uuid, match_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id, NULL::uuid FROM event e WHERE e.signal_id = signal AND e.kind = 'signal.withdrawn'
    UNION ALL
    (SELECT e.id, e.match_id FROM event e
     WHERE e.match_id = ANY(matches) AND e.kind IN ('match.read', 'follow_up.read') AND e.at >= since AND e.at <= upto
       AND (e.reporter_id = reporter OR (e.oin = institution
            AND said_by_event(e.body)->'actor'->>'role' IN ('coordinator', 'named_officer')))
     ORDER BY e.at DESC LIMIT 100)
$$;
REVOKE ALL ON FUNCTION said_by_event(bytea) FROM PUBLIC;
"""

# As 0036 has it; `assessed_by_caller` is true as well where the alert is about the caller: no pair of eyes of it.
ACTING = """
CREATE OR REPLACE FUNCTION assess_alert(asked uuid, found_code text, at timestamptz)
RETURNS TABLE (state varchar, assessed_by_caller boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    officer CONSTANT uuid := scope_own_privacy_officer();
BEGIN
    RETURN QUERY SELECT a.state, a.who = officer::varchar OR coalesce(a.assessed_by = officer, false) FROM alert a
        WHERE a.id = asked AND audited_alert(a.oin, a.municipality_code) FOR UPDATE;
    UPDATE alert SET state = 'assessed', code = found_code, assessed_by = officer, assessed_at = at
    WHERE id = asked AND state = 'open' AND who <> officer::varchar AND audited_alert(oin, municipality_code);
END $$;
CREATE OR REPLACE FUNCTION confirm_alert(asked uuid, agrees boolean, at timestamptz)
RETURNS TABLE (state varchar, assessed_by_caller boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    officer CONSTANT uuid := scope_own_privacy_officer();
BEGIN
    RETURN QUERY SELECT a.state, a.who = officer::varchar OR coalesce(a.assessed_by = officer, false) FROM alert a
        WHERE a.id = asked AND audited_alert(a.oin, a.municipality_code) FOR UPDATE;
    IF agrees THEN
        UPDATE alert SET state = 'closed', confirmed_by = officer, confirmed_at = at
        WHERE id = asked AND state = 'assessed' AND assessed_by <> officer AND who <> officer::varchar
          AND audited_alert(oin, municipality_code);
    ELSE
        UPDATE alert SET state = 'open', code = NULL, assessed_by = NULL, assessed_at = NULL
        WHERE id = asked AND state = 'assessed' AND assessed_by <> officer AND who <> officer::varchar
          AND audited_alert(oin, municipality_code);
    END IF;
END $$;
"""

# Whose answers these are is the register's to say, and not the transaction's word for the caller alone.
ANSWERS = """
DROP POLICY auditor ON act_request;
CREATE POLICY auditor ON act_request TO verwijsindex_auditor
    USING (caller = 'privacy_officer ' || (SELECT scope_own_privacy_officer()))
    WITH CHECK (caller = 'privacy_officer ' || (SELECT scope_own_privacy_officer()));
"""

# As 0034 has it; a kind too long for the key is cut, and stops nothing.
TALLYING = """
CREATE OR REPLACE FUNCTION tally_events(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first bigint;
    upto bigint;
BEGIN
    INSERT INTO tallied_place AS t VALUES (true, 0)
    ON CONFLICT (only_row) DO UPDATE SET place = t.place RETURNING place INTO first;
    upto := least(first + most, (SELECT coalesce(max(place) + 1, 0) FROM leaf));
    INSERT INTO event_hour AS h (hour, kind, outcome, detail, count)
    SELECT date_trunc('hour', e.at, 'UTC'), left(e.kind, 60), e.outcome, left(event_detail(e.kind, e.body), 60),
           count(*)
    FROM leaf l JOIN event e ON e.id = l.event_id WHERE l.place >= first AND l.place < upto GROUP BY 1, 2, 3, 4
    ON CONFLICT (hour, kind, outcome, detail) DO UPDATE SET count = h.count + excluded.count;
    UPDATE tallied_place SET place = upto WHERE place < upto;
    RETURN greatest(upto - first, 0);
END $$;
"""


def upgrade() -> None:
    """Harden what watches, and say who has no say."""
    for part in (WATCHING, ACTING, ANSWERS, TALLYING):
        op.execute(part)
