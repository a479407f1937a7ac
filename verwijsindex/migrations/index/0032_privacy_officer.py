# SPDX-License-Identifier: EUPL-1.2
"""The privacy officer (R25, R28): who they are, what of the ledger each reads, and by what it is searched.

The version before goes on working: it writes events as it did, and a trigger fills what is new of them. What is long is
done while all goes on: events that are there get their new column in small batches, indexes are built beside writers.
Killed halfway it is run again, and goes on.
"""

from alembic import op
from sqlalchemy import Connection, text

revision = "index_0032"
down_revision = "index_0033"
branch_labels = None
depends_on = None

# What an event says of people, for searching: whom it concerns besides the recipient and on whose behalf it was, the
# person who acted, or else a second reporter whom it names, and the institution whose named officers or coordinators it
# concerns (R36; not `oin`, which is that of who acted). The sealed bytes are what counts (the export compares,
# `ledger.exporting`); whatever these are, this raises nothing, and the version before need not know of it.
PEOPLE = r"""
ALTER TABLE event ADD COLUMN IF NOT EXISTS person varchar, ADD COLUMN IF NOT EXISTS concerned_oin char(20);
CREATE OR REPLACE FUNCTION event_people(body bytea, INOUT reporter_id uuid, OUT person varchar,
                                        OUT concerned_oin char(20))
LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS $$
DECLARE
    said CONSTANT text := encode(body, 'escape');
    named CONSTANT uuid := substring(said FROM '"reporterId":"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"');
BEGIN
    person := coalesce(substring(said FROM '"actor":\{[^{}]*"person":"([^"]*)"'), nullif(named, reporter_id)::varchar);
    IF reporter_id IS NULL THEN
        person := nullif(person, named::varchar);
        reporter_id := named;
    END IF;
    concerned_oin := substring(said FROM '"[a-z]+sOf":"([0-9]{20})"');
END $$;
CREATE OR REPLACE FUNCTION say_people_of_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    SELECT p.* INTO NEW.reporter_id, NEW.person, NEW.concerned_oin FROM event_people(NEW.body, NEW.reporter_id) p;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION say_people_of_event() FROM PUBLIC;
CREATE OR REPLACE TRIGGER event_says_people BEFORE INSERT ON event FOR EACH ROW
    WHEN (position('"person":"'::bytea IN NEW.body) > 0 OR position('"reporterId":"'::bytea IN NEW.body) > 0
          OR position('sOf":"'::bytea IN NEW.body) > 0)
    EXECUTE FUNCTION say_people_of_event();
"""

_BATCH = 5_000
_NEXT = text("SELECT id FROM event WHERE CAST(:last AS uuid) IS NULL OR id > :last ORDER BY id LIMIT :size")
_WANTING = (
    "id = ANY(:ids) AND num_nonnulls(person, concerned_oin) = 0 AND EXISTS ("
    "SELECT FROM event_people(body, event.reporter_id) p"
    " WHERE num_nonnulls(p.person, p.concerned_oin) > 0 OR p.reporter_id IS DISTINCT FROM event.reporter_id)"
)
_ANY = text(f"SELECT EXISTS (SELECT FROM event WHERE {_WANTING})")  # noqa: S608 (constants)
_FILL = text(
    "UPDATE event SET (reporter_id, person, concerned_oin) ="  # noqa: S608
    f" (SELECT p.* FROM event_people(body, event.reporter_id) p) WHERE {_WANTING}"
)

# A page of a search is read in the order of one of these, however many events there are. What is null is in none.
INDEXES = {
    "ix_event_at": "(at)",
    "ix_event_oin": "(oin, at) WHERE oin IS NOT NULL",
    "ix_event_reporter": "(reporter_id, at) WHERE reporter_id IS NOT NULL",
    "ix_event_person": "(person, at) WHERE person IS NOT NULL",
    "ix_event_municipality": "(municipality_code, at) WHERE municipality_code IS NOT NULL",
    "ix_event_concerned": "(concerned_oin, at) WHERE concerned_oin IS NOT NULL",
}

REGISTER = """
CREATE TABLE privacy_officer (
    id uuid PRIMARY KEY,
    oin char(20) REFERENCES institution (oin),
    municipality_code char(4) REFERENCES municipality (code),
    name varchar NOT NULL,
    telephone varchar NOT NULL,
    email varchar NOT NULL,
    last_day date,
    contact_removed_on date,
    CONSTRAINT privacy_officer_of_one_at_most CHECK (num_nonnulls(oin, municipality_code) <= 1),
    CONSTRAINT privacy_officer_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(last_day < contact_removed_on, false)))
);
CREATE INDEX ix_privacy_officer_oin ON privacy_officer (oin);
CREATE INDEX ix_privacy_officer_municipality_code ON privacy_officer (municipality_code);
ALTER TABLE privacy_officer ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON privacy_officer TO verwijsindex_registrar;
CREATE POLICY registrar ON privacy_officer TO verwijsindex_registrar USING (true) WITH CHECK (true);

-- As 0012 has it, with the privacy officers.
CREATE OR REPLACE FUNCTION remove_contact_data(today date, left_before date, size integer)
RETURNS TABLE (record text, id uuid, municipality_code char(4))
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    person text;
BEGIN
    RETURN QUERY
    UPDATE reporter SET name = '', telephone = '', email = '', contact_removed_on = today
    WHERE reporter.id = ANY(ARRAY(
        SELECT r.id FROM reporter r
        WHERE r.designated_until < left_before AND r.contact_removed_on IS NULL
          AND NOT EXISTS (SELECT FROM signal s WHERE s.reporter_id = r.id)
          AND NOT EXISTS (SELECT FROM archived_signal a WHERE a.reporter_id = r.id)
        ORDER BY r.id LIMIT size FOR UPDATE SKIP LOCKED))
    RETURNING 'reporter', reporter.id, NULL::char(4);
    FOREACH person IN ARRAY
        ARRAY['coordinator', 'case_supervisor', 'named_officer', 'rights_desk_officer', 'privacy_officer'] LOOP
        RETURN QUERY EXECUTE format($person$
            UPDATE %1$I p SET name = '', telephone = '', email = '', contact_removed_on = $1
            WHERE p.id = ANY(ARRAY(
                SELECT c.id FROM %1$I c WHERE c.last_day < $2 AND c.contact_removed_on IS NULL
                ORDER BY c.id LIMIT $3 FOR UPDATE SKIP LOCKED))
            RETURNING '%1$s', p.id, (to_jsonb(p) ->> 'municipality_code')::char(4)
        $person$, person) USING today, left_before, size;
    END LOOP;
END $$;
"""

SCOPE = """
CREATE FUNCTION scope_privacy_officer() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.privacy_officer', true), '')::uuid;
-- The privacy officer of the scope, if the register has them today, of the very institution or municipality of the
-- scope; the operator's has neither there and here.
CREATE FUNCTION scope_own_privacy_officer() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM privacy_officer WHERE id = (SELECT scope_privacy_officer())
      AND oin IS NOT DISTINCT FROM (SELECT scope_oin())
      AND municipality_code IS NOT DISTINCT FROM (SELECT scope_municipality())
      AND (last_day IS NULL OR last_day >= (SELECT scope_today()))
$$;
-- Whose acts the officer of the scope audits: the institution's, or those under the municipality's own OIN.
CREATE FUNCTION audited_oin() RETURNS char(20)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(scope_oin(), (SELECT oin FROM municipality WHERE code = scope_municipality()))
$$;
CREATE FUNCTION audited_reporters() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM reporter WHERE oin = (SELECT scope_oin())
$$;
-- Whether a signal was registered by the institution of the scope.
CREATE FUNCTION audited_signal(asked uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM event WHERE signal_id = asked AND kind = 'signal.registered' AND oin = scope_oin())
$$;
REVOKE ALL ON FUNCTION scope_own_privacy_officer(), audited_oin(), audited_reporters(), audited_signal(uuid)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scope_own_privacy_officer(), audited_oin(), audited_reporters(), audited_signal(uuid)
    TO verwijsindex_auditor;
"""

# An institution's officer: what its people and machines did, and what others (matcher, sweep, rights desk: who have no
# institution) did that concerns its reporters, named officers or coordinators; and of what names no reporter at all,
# what befell its signals. Never what another institution did (R33), nor what was told another's reporter of an own
# signal (R17).
# A municipality's officer: what its people did, what was told its supervision, and its own machines. The operator's:
# all.
POLICY = """
DROP POLICY auditor ON event;
CREATE POLICY auditor ON event FOR SELECT TO verwijsindex_auditor USING (
    (SELECT scope_own_privacy_officer()) IS NOT NULL AND (
        oin = (SELECT audited_oin())
        OR oin IS NULL AND municipality_code = (SELECT scope_municipality())
        OR oin IS NULL AND reporter_id IN (SELECT audited_reporters())
        OR oin IS NULL AND concerned_oin = (SELECT scope_oin())
        OR num_nonnulls((SELECT scope_oin()), (SELECT scope_municipality())) = 0
        OR num_nonnulls(oin, municipality_code, reporter_id) = 0 AND audited_signal(signal_id)));
-- Each look is an event of the officer's own (I4), and the role writes nothing else.
GRANT INSERT ON event TO verwijsindex_auditor;
CREATE POLICY auditor_insert ON event FOR INSERT TO verwijsindex_auditor WITH CHECK (
    person = (SELECT scope_own_privacy_officer())::varchar
    AND oin IS NOT DISTINCT FROM (SELECT scope_oin())
    AND municipality_code IS NOT DISTINCT FROM (SELECT scope_municipality()));
GRANT SELECT (place, event_id) ON leaf TO verwijsindex_auditor;
"""


def fill(connection: Connection) -> None:
    """Say who the people are of the events that are there, a batch in a transaction."""
    last = None
    while ids := connection.execute(_NEXT, {"last": last, "size": _BATCH}).scalars().all():
        if connection.execute(_ANY, {"ids": ids}).scalar_one():
            # Within the transaction: for others the ledger is append-only at every moment.
            connection.execute(text("ALTER TABLE event DISABLE TRIGGER event_is_append_only"))
            connection.execute(_FILL, {"ids": ids})
            connection.execute(text("ALTER TABLE event ENABLE TRIGGER event_is_append_only"))
        connection.commit()
        last = ids[-1]
    connection.commit()


def upgrade() -> None:
    """Say who the people of an event are, index them, and let privacy officers read within their scopes."""
    connection = op.get_bind()
    op.execute(PEOPLE)
    connection.commit()
    fill(connection)
    connection.execution_options(isolation_level="AUTOCOMMIT")
    op.execute("SET lock_timeout = '60s'")  # an index waits for transactions to end, and nobody waits for it
    for name, of in INDEXES.items():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that was not finished is of no use
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON event {of}")
    op.execute("SET lock_timeout = '4s'")
    connection.commit()
    connection.execution_options(isolation_level="READ COMMITTED")
    for part in (REGISTER, SCOPE, POLICY):
        op.execute(part)
