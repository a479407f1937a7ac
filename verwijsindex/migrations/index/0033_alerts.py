# SPDX-License-Identifier: EUPL-1.2
"""Alerts of R37: what was done is counted by person and day as it gets its place in the ledger, and what is far from
the own past is raised.

The version before goes on working: it knows none of this, and a withdrawal of its is noted by the trigger as well. The
worker still reads no event: `events_to_watch` gives it those of the kinds that it counts, by their places.
"""

from alembic import op

revision = "index_0033"
down_revision = "index_0031"
branch_labels = None
depends_on = None

# `who` is the id of a person, or of a client where no person is known.
TABLES = """
CREATE TABLE watched_place (
    only_row boolean PRIMARY KEY CONSTRAINT watched_place_is_one CHECK (only_row),
    place bigint NOT NULL
);
CREATE TABLE activity (
    day date,
    activity varchar,
    who varchar,
    subject varchar,
    event_id uuid NOT NULL,
    PRIMARY KEY (day, activity, who, subject)
);
CREATE TABLE activity_day (
    who varchar,
    activity varchar,
    day date,
    acting varchar NOT NULL CONSTRAINT activity_day_acting CHECK (acting IN ('reporter', 'official', 'client')),
    oin char(20),
    municipality_code char(4),
    count integer NOT NULL,
    PRIMARY KEY (who, activity, day)
);
CREATE INDEX ix_activity_day_day ON activity_day (day);
CREATE TABLE unjustified_withdrawal (
    signal_id uuid PRIMARY KEY,
    reporter_id uuid NOT NULL,
    oin char(20) NOT NULL,
    matches uuid[] NOT NULL,
    since timestamptz NOT NULL,
    at timestamptz NOT NULL
);
CREATE TABLE alert (
    id uuid PRIMARY KEY,
    kind varchar NOT NULL CONSTRAINT alert_kind CHECK (kind IN
        ('pseudonym_burst', 'signal_burst', 'read_burst', 'refusal_series', 'unjustified_after_read')),
    who varchar NOT NULL,
    acting varchar NOT NULL CONSTRAINT alert_acting CHECK (acting IN ('reporter', 'official', 'client')),
    oin char(20),
    municipality_code char(4),
    day date NOT NULL,
    raised_at timestamptz NOT NULL,
    counted integer NOT NULL CONSTRAINT alert_counted CHECK (counted > 0),
    highest_before integer,
    signal_id uuid,
    match_id uuid,
    state varchar NOT NULL CONSTRAINT alert_state CHECK (state IN ('open', 'assessed', 'closed')),
    code varchar CONSTRAINT alert_code CHECK (code IN
        ('explained', 'work_peak', 'reported_to_employer', 'misuse_found', 'system_fault')),
    assessed_by uuid,
    assessed_at timestamptz,
    confirmed_by uuid,
    confirmed_at timestamptz,
    CONSTRAINT alert_two_pairs_of_eyes CHECK (confirmed_by <> assessed_by),
    CONSTRAINT alert_is_assessed CHECK (CASE WHEN state = 'open' THEN num_nonnulls(code, assessed_by, assessed_at) = 0
        ELSE num_nulls(code, assessed_by, assessed_at) = 0 END),
    CONSTRAINT alert_is_confirmed CHECK (CASE WHEN state = 'closed' THEN num_nulls(confirmed_by, confirmed_at) = 0
        ELSE num_nonnulls(confirmed_by, confirmed_at) = 0 END)
);
CREATE UNIQUE INDEX alert_one_of_a_day ON alert (kind, who, day)
    WHERE state <> 'closed' AND kind <> 'unjustified_after_read';
CREATE UNIQUE INDEX alert_once_for_a_signal ON alert (signal_id) WHERE kind = 'unjustified_after_read';
CREATE INDEX ix_alert_raised_at ON alert (raised_at, id);
CREATE TABLE alert_event (
    alert_id uuid REFERENCES alert (id) ON DELETE CASCADE,
    event_id uuid,
    PRIMARY KEY (alert_id, event_id)
);
"""

# Which matches there were on the signal's youngster: soon the signal is destroyed, and nothing says it any more.
WITHDRAWALS = """
CREATE FUNCTION note_unjustified_withdrawal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO unjustified_withdrawal (signal_id, reporter_id, oin, matches, since, at)
    SELECT NEW.id, NEW.reporter_id, NEW.oin, array_agg(m.id), NEW.received_at, NEW.ended_at
    FROM match m WHERE m.youngster_id = NEW.youngster_id HAVING count(*) > 0
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER withdrawn_as_unjustified AFTER UPDATE OF end_reason ON signal FOR EACH ROW
    WHEN (NEW.end_reason = 'unjustified' AND OLD.end_reason IS DISTINCT FROM NEW.end_reason)
    EXECUTE FUNCTION note_unjustified_withdrawal();
"""

# Of a match that was read: by the reporter, or by who stands in for one in the institution (R34, R36).
EVENTS = """
CREATE FUNCTION events_to_watch(first bigint, upto bigint, kinds text[])
RETURNS TABLE (place bigint, id uuid, at timestamptz, kind varchar, oin char(20), municipality_code char(4),
               client_id varchar, role text, person text, reporter text, says jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.place, e.id, e.at, e.kind, e.oin, b.says->'actor'->>'municipality', e.client_id,
           b.says->'actor'->>'role', b.says->'actor'->>'person', b.says->'actor'->>'onBehalfOf', b.says
    FROM leaf l JOIN event e ON e.id = l.event_id
    CROSS JOIN LATERAL (SELECT CAST(convert_from(e.body, 'UTF8') AS jsonb) AS says) b
    WHERE l.place >= first AND l.place < upto AND e.kind = ANY(kinds)
$$;
CREATE FUNCTION unjustified_events(signal uuid, matches uuid[], reporter uuid, institution char(20),
                                   since timestamptz, upto timestamptz)
RETURNS TABLE (id uuid, match_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id, NULL::uuid FROM event e WHERE e.signal_id = signal AND e.kind = 'signal.withdrawn'
    UNION ALL
    (SELECT e.id, e.match_id FROM event e
     WHERE e.match_id = ANY(matches) AND e.kind IN ('match.read', 'follow_up.read') AND e.at >= since AND e.at <= upto
       AND (e.reporter_id = reporter OR (e.oin = institution
            AND CAST(convert_from(e.body, 'UTF8') AS jsonb)->'actor'->>'role' IN ('coordinator', 'named_officer')))
     ORDER BY e.at DESC LIMIT 100)
$$;
"""

SECURITY = """
ALTER TABLE activity ENABLE ROW LEVEL SECURITY;
ALTER TABLE activity_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE unjustified_withdrawal ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY worker ON activity TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON activity_day TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON unjustified_withdrawal TO verwijsindex_worker USING (true);
CREATE POLICY worker ON alert TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON alert_event TO verwijsindex_worker USING (true) WITH CHECK (true);
REVOKE ALL ON FUNCTION note_unjustified_withdrawal(), events_to_watch(bigint, bigint, text[]),
    unjustified_events(uuid, uuid[], uuid, char, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_to_watch(bigint, bigint, text[]),
    unjustified_events(uuid, uuid[], uuid, char, timestamptz, timestamptz) TO verwijsindex_worker;
GRANT SELECT, INSERT, UPDATE (place) ON watched_place TO verwijsindex_worker;
GRANT SELECT, INSERT, DELETE ON activity TO verwijsindex_worker;
GRANT SELECT, INSERT, UPDATE (count), DELETE ON activity_day TO verwijsindex_worker;
GRANT SELECT, DELETE ON unjustified_withdrawal TO verwijsindex_worker;
GRANT SELECT, INSERT, UPDATE (counted), DELETE ON alert TO verwijsindex_worker;
GRANT SELECT, INSERT ON alert_event TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Make what is counted and what is raised, and say who may count and raise."""
    for part in (TABLES, WITHDRAWALS, EVENTS, SECURITY):
        op.execute(part)
