# SPDX-License-Identifier: EUPL-1.2
"""The monthly sample of accesses with its sign-offs, and events counted by the hour for reports (R25, R28).

The version before goes on working: it knows none of this. Events of before are counted by the first sweeps.
"""

from alembic import op

revision = "index_0034"
down_revision = "index_0037"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sample (
    id uuid PRIMARY KEY,
    month date NOT NULL,
    oin char(20),
    municipality_code char(4),
    checkpoint_size bigint NOT NULL,
    accesses integer NOT NULL,
    events uuid[] NOT NULL,
    CONSTRAINT sample_of_one_at_most CHECK (num_nonnulls(oin, municipality_code) <= 1),
    CONSTRAINT sample_is_part CHECK (cardinality(events) <= least(accesses, 100)),
    CONSTRAINT sample_one_of_a_month UNIQUE NULLS NOT DISTINCT (month, oin, municipality_code)
);
CREATE TABLE sign_off (
    sample_id uuid REFERENCES sample (id) ON DELETE CASCADE,
    event_id uuid,
    officer_id uuid NOT NULL,
    at timestamptz NOT NULL,
    finding varchar NOT NULL
        CONSTRAINT sign_off_finding CHECK (finding IN ('as_expected', 'asked_the_person', 'not_explained')),
    PRIMARY KEY (sample_id, event_id)
);
CREATE TABLE tallied_place (
    only_row boolean PRIMARY KEY CONSTRAINT tallied_place_is_one CHECK (only_row),
    place bigint NOT NULL
);
CREATE TABLE event_hour (
    hour timestamptz,
    kind varchar,
    outcome varchar,
    detail varchar,
    count bigint NOT NULL,
    PRIMARY KEY (hour, kind, outcome, detail)
);
"""

# The row is locked from the first statement on: a second one waits there, and each statement after it sees what the
# first has counted. What is counted and up to where are one transaction, so nothing is left out or counted twice.
TALLYING = """
CREATE FUNCTION event_detail(kind varchar, body bytea) RETURNS varchar
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(CASE kind
        WHEN 'ledger.searched' THEN substring(encode(body, 'escape') FROM '"purpose":"([a-z_]+)"')
        WHEN 'signal.withdrawn' THEN substring(encode(body, 'escape') FROM '"reason":"([a-z_]+)"') END, '')
$$;
CREATE FUNCTION tally_events(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first bigint;
    upto bigint;
BEGIN
    INSERT INTO tallied_place AS t VALUES (true, 0)
    ON CONFLICT (only_row) DO UPDATE SET place = t.place RETURNING place INTO first;
    upto := least(first + most, (SELECT coalesce(max(place) + 1, 0) FROM leaf));
    INSERT INTO event_hour AS h (hour, kind, outcome, detail, count)
    SELECT date_trunc('hour', e.at, 'UTC'), e.kind, e.outcome, event_detail(e.kind, e.body), count(*)
    FROM leaf l JOIN event e ON e.id = l.event_id WHERE l.place >= first AND l.place < upto GROUP BY 1, 2, 3, 4
    ON CONFLICT (hour, kind, outcome, detail) DO UPDATE SET count = h.count + excluded.count;
    UPDATE tallied_place SET place = upto WHERE place < upto;
    RETURN greatest(upto - first, 0);
END $$;
"""

# An officer sees the samples of the own scope, and signs off in their own name what is in one and was not their own.
SECURITY = """
ALTER TABLE sample ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_off ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_hour ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON sample TO verwijsindex_auditor USING (
    (SELECT scope_own_privacy_officer()) IS NOT NULL
    AND oin IS NOT DISTINCT FROM (SELECT scope_oin())
    AND municipality_code IS NOT DISTINCT FROM (SELECT scope_municipality()));
CREATE POLICY auditor ON sign_off FOR SELECT TO verwijsindex_auditor USING (sample_id IN (SELECT id FROM sample));
CREATE POLICY auditor_insert ON sign_off FOR INSERT TO verwijsindex_auditor WITH CHECK (
    officer_id = (SELECT scope_own_privacy_officer())
    AND EXISTS (SELECT FROM sample s WHERE s.id = sample_id AND event_id = ANY(s.events))
    AND NOT EXISTS (SELECT FROM event e WHERE e.id = event_id AND e.person = officer_id::varchar));
CREATE POLICY auditor ON event_hour FOR SELECT TO verwijsindex_auditor USING (
    (SELECT scope_own_privacy_officer()) IS NOT NULL
    AND num_nonnulls((SELECT scope_oin()), (SELECT scope_municipality())) = 0);
CREATE POLICY worker ON sample TO verwijsindex_worker USING (true);
CREATE POLICY worker ON event_hour TO verwijsindex_worker USING (true);
GRANT SELECT, INSERT ON sample, sign_off TO verwijsindex_auditor;
GRANT SELECT ON event_hour, tallied_place, checkpoint, dropped_events TO verwijsindex_auditor;
GRANT SELECT (hash) ON leaf TO verwijsindex_auditor;
GRANT SELECT (id, month), DELETE ON sample TO verwijsindex_worker;
GRANT SELECT (hour), DELETE ON event_hour TO verwijsindex_worker;
REVOKE ALL ON FUNCTION tally_events(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tally_events(integer) TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Make the samples and the tally, and say who may read and sign off."""
    for part in (TABLES, TALLYING, SECURITY):
        op.execute(part)
