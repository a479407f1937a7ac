# SPDX-License-Identifier: EUPL-1.2
"""Mail: who wants it when, what is to be mailed, and each mail to one person (R12, R23, R33).

The version before goes on working: it places notices as it did, of which no mail goes. A worker never reads contact
data: only a function of the owner's gives it the address of the mail that it has in hand.
"""

from alembic import op

revision = "index_0022"
down_revision = "index_0025"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE notice ADD COLUMN quiet boolean NOT NULL DEFAULT false;
ALTER TABLE municipality ADD COLUMN email varchar;

CREATE TABLE mail_preference (
    id uuid PRIMARY KEY,
    reporter_id uuid REFERENCES reporter (id),
    municipality_code char(4) REFERENCES municipality (code),
    officer_oin char(20) REFERENCES institution (oin),
    digest boolean NOT NULL,
    digest_at time NOT NULL,
    chosen_at timestamptz NOT NULL,
    CONSTRAINT mail_preference_has_one_recipient CHECK (num_nonnulls(reporter_id, municipality_code, officer_oin) = 1),
    CONSTRAINT mail_preference_time_is_there_every_day CHECK (digest_at < '02:00' OR digest_at >= '03:00')
);
CREATE UNIQUE INDEX mail_preference_once ON mail_preference (reporter_id, municipality_code, officer_oin)
    NULLS NOT DISTINCT;

CREATE TABLE mail_wanted (
    id uuid PRIMARY KEY,
    reporter_id uuid REFERENCES reporter (id),
    municipality_code char(4) REFERENCES municipality (code),
    officer_oin char(20) REFERENCES institution (oin),
    digest boolean NOT NULL,
    due_at timestamptz NOT NULL,
    CONSTRAINT mail_wanted_has_one_recipient CHECK (num_nonnulls(reporter_id, municipality_code, officer_oin) = 1)
);
CREATE UNIQUE INDEX mail_wanted_once ON mail_wanted (reporter_id, municipality_code, officer_oin, digest)
    NULLS NOT DISTINCT;
CREATE INDEX ix_mail_wanted_due ON mail_wanted (due_at);

CREATE TABLE mail (
    id uuid PRIMARY KEY,
    reporter_id uuid REFERENCES reporter (id),
    municipality_code char(4) REFERENCES municipality (code),
    officer_oin char(20) REFERENCES institution (oin),
    recipient varchar NOT NULL CONSTRAINT mail_recipient
        CHECK (recipient IN ('reporter', 'coordinator', 'named_officer', 'case_supervisor', 'municipality')),
    person_id uuid,
    digest boolean NOT NULL,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_outcome varchar,
    sent_at timestamptz,
    refused_at timestamptz,
    CONSTRAINT mail_has_one_recipient CHECK (num_nonnulls(reporter_id, municipality_code, officer_oin) = 1),
    CONSTRAINT mail_is_to_a_person_or_an_office CHECK ((recipient = 'municipality') = (person_id IS NULL)),
    CONSTRAINT mail_ends_once CHECK (sent_at IS NULL OR refused_at IS NULL)
);
CREATE INDEX ix_mail_due ON mail (due_at) WHERE sent_at IS NULL AND refused_at IS NULL;
CREATE INDEX ix_mail_person ON mail (person_id, municipality_code);
CREATE INDEX ix_mail_sent ON mail (sent_at);
CREATE INDEX ix_mail_refused ON mail (recipient) WHERE refused_at IS NOT NULL;
"""

# Who is mailed for an inbox today, each with an address: the reporter, or the coordinators of one who left; the named
# officers; the municipality's own address, or its case supervisors as long as it has none.
RECIPIENTS = """
CREATE FUNCTION mail_recipients(reporter uuid, municipality char(4), officer char(20), today date)
RETURNS TABLE (recipient varchar, person_id uuid, address varchar) LANGUAGE sql STABLE AS $$
    SELECT 'reporter', r.id, r.email FROM reporter r WHERE r.id = $1 AND coalesce(r.designated_until >= $4, true)
    UNION ALL
    SELECT 'coordinator', k.id, k.email FROM reporter r JOIN coordinator k ON k.oin = r.oin
    WHERE r.id = $1 AND r.designated_until < $4 AND coalesce(k.last_day >= $4, true)
    UNION ALL
    SELECT 'named_officer', o.id, o.email FROM named_officer o WHERE o.oin = $3 AND coalesce(o.last_day >= $4, true)
    UNION ALL
    SELECT 'municipality', NULL, m.email FROM municipality m WHERE m.code = $2 AND m.email IS NOT NULL
    UNION ALL
    SELECT 'case_supervisor', s.id, s.email FROM case_supervisor s JOIN municipality m ON m.code = s.municipality_code
    WHERE m.code = $2 AND m.email IS NULL AND coalesce(s.last_day >= $4, true)
$$;
"""

# What is due becomes one mail for each person, whom an earlier one that still waits need not tell any more. Two that
# run at once pass over each other's rows; a notice that is placed meanwhile waits for the row to go, and makes another.
SPREAD = """
CREATE FUNCTION spread_mail(at timestamptz, today date, size integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH due AS MATERIALIZED (
        SELECT id FROM mail_wanted WHERE due_at <= at ORDER BY due_at, id LIMIT size FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM mail_wanted w USING due WHERE w.id = due.id RETURNING w.*
    ), made AS (
        INSERT INTO mail
            (id, reporter_id, municipality_code, officer_oin, recipient, person_id, digest, made_at, due_at)
        SELECT DISTINCT ON (p.recipient, p.person_id, t.municipality_code)
               uuidv7(), t.reporter_id, t.municipality_code, t.officer_oin, p.recipient, p.person_id, t.digest, at, at
        FROM taken t
        CROSS JOIN LATERAL mail_recipients(t.reporter_id, t.municipality_code, t.officer_oin, today) p
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

-- Of a mail that a worker has in hand, where it goes now; nowhere when that person left since.
CREATE FUNCTION mail_address(asked uuid, today date) RETURNS varchar
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.address FROM mail m
    CROSS JOIN LATERAL mail_recipients(m.reporter_id, m.municipality_code, m.officer_oin, today) p
    WHERE m.id = asked AND m.leased_until IS NOT NULL AND m.sent_at IS NULL AND m.refused_at IS NULL
      AND p.recipient = m.recipient AND p.person_id IS NOT DISTINCT FROM m.person_id
$$;
"""

# Which inbox the link in a mail is of is sealed in it: who has the link may choose, and no more.
CHOOSING = """
CREATE FUNCTION turn_mail(reporter uuid, municipality char(4), officer char(20), to_digest boolean, at timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO mail_preference (id, reporter_id, municipality_code, officer_oin, digest, digest_at, chosen_at)
    VALUES (gen_random_uuid(), reporter, municipality, officer, to_digest, '07:00', at)
    ON CONFLICT (reporter_id, municipality_code, officer_oin)
        DO UPDATE SET digest = excluded.digest, chosen_at = excluded.chosen_at
$$;
"""

# To whom mail does not come. A coordinator sees reporters and coordinators; that something was told to a named officer
# is not for a coordinator (R36), and supervision is of no institution: both are the administrator's.
REFUSED = """
CREATE FUNCTION refused_mail_of_institution(after uuid, size integer)
RETURNS TABLE (id uuid, recipient varchar, person_id uuid, refused_at timestamptz, outcome varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.id, m.recipient, m.person_id, m.refused_at, m.last_outcome
    FROM mail m JOIN reporter r ON r.id = m.reporter_id
    WHERE m.refused_at IS NOT NULL AND r.oin = (SELECT scope_oin()) AND (SELECT scope_own_coordinator()) IS NOT NULL
      AND (after IS NULL OR m.id > after)
    ORDER BY m.id LIMIT size
$$;
CREATE FUNCTION refused_mail_of_offices()
RETURNS TABLE (recipient varchar, person_id uuid, municipality_code char(4), oin char(20), refused_on date,
               outcome varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT recipient, person_id, municipality_code, officer_oin,
           CAST(refused_at AT TIME ZONE 'Europe/Amsterdam' AS date), last_outcome
    FROM mail WHERE refused_at IS NOT NULL AND recipient IN ('named_officer', 'case_supervisor', 'municipality')
    ORDER BY refused_at, id
$$;

-- It says nothing any more of whose address is another one now, or gone.
CREATE FUNCTION forget_refused_mail() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM mail WHERE refused_at IS NOT NULL AND recipient = TG_TABLE_NAME
      AND CASE WHEN recipient = 'municipality' THEN municipality_code = to_jsonb(NEW) ->> 'code'
          ELSE person_id = CAST(to_jsonb(NEW) ->> 'id' AS uuid) END;
    RETURN NULL;
END $$;
"""

TRIGGERS = "".join(
    f"CREATE TRIGGER {table}_has_another_address AFTER UPDATE OF email ON {table} FOR EACH ROW"
    " WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION forget_refused_mail();"
    for table in ("reporter", "coordinator", "named_officer", "case_supervisor", "municipality")
)

SECURITY = """
ALTER TABLE mail_preference ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail_wanted ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON mail_preference TO verwijsindex_index, verwijsindex_worker;
GRANT INSERT ON mail_preference TO verwijsindex_index;
GRANT UPDATE (digest, digest_at, chosen_at) ON mail_preference TO verwijsindex_index;
CREATE POLICY own ON mail_preference TO verwijsindex_index USING (
    reporter_id = (SELECT scope_own_reporter()) OR municipality_code = (SELECT scope_municipality())
    OR (SELECT scope_own_coordinator()) IS NOT NULL AND (officer_oin = (SELECT scope_oin())
        OR reporter_id IN (SELECT r.id FROM reporter r WHERE r.oin = (SELECT scope_oin()))));
CREATE POLICY worker ON mail_preference FOR SELECT TO verwijsindex_worker USING (true);

GRANT SELECT, INSERT ON mail_wanted TO verwijsindex_worker;
GRANT UPDATE (due_at) ON mail_wanted TO verwijsindex_worker;
CREATE POLICY worker ON mail_wanted TO verwijsindex_worker USING (true) WITH CHECK (true);

GRANT SELECT, DELETE ON mail TO verwijsindex_worker;
GRANT UPDATE (due_at, leased_until, attempts, last_outcome, sent_at, refused_at) ON mail TO verwijsindex_worker;
CREATE POLICY worker ON mail TO verwijsindex_worker USING (true) WITH CHECK (true);

REVOKE ALL ON FUNCTION mail_recipients(uuid, char, char, date), spread_mail(timestamptz, date, integer),
    mail_address(uuid, date), turn_mail(uuid, char, char, boolean, timestamptz),
    refused_mail_of_institution(uuid, integer), refused_mail_of_offices(), forget_refused_mail() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spread_mail(timestamptz, date, integer), mail_address(uuid, date) TO verwijsindex_worker;
GRANT EXECUTE ON FUNCTION turn_mail(uuid, char, char, boolean, timestamptz),
    refused_mail_of_institution(uuid, integer) TO verwijsindex_index;
GRANT EXECUTE ON FUNCTION refused_mail_of_offices() TO verwijsindex_registrar;
"""


def upgrade() -> None:
    """Make the tables, and say who may do what with them."""
    for part in (TABLES, RECIPIENTS, SPREAD, CHOOSING, REFUSED, TRIGGERS, SECURITY):
        op.execute(part)
