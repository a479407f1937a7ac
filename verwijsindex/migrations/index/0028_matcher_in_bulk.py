# SPDX-License-Identifier: EUPL-1.2
"""What intake and matcher write is held against the register in bulk, and who were all told of each other are one row
(decision 0027).

The version before goes on working: of what is changed here it reads nothing, and its matcher is refused, as is every
one that knows no circles and would tell all anew.
"""

from alembic import op

revision = "index_0028"
down_revision = "index_0027"
branch_labels = None
depends_on = None

CIRCLES = """
CREATE TABLE IF NOT EXISTS told_circle (
    youngster_id uuid PRIMARY KEY,
    reporters uuid[] NOT NULL,
    officers uuid[] NOT NULL
);
ALTER TABLE told_circle ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (reporters, officers), DELETE ON told_circle TO verwijsindex_worker;
DROP POLICY IF EXISTS worker ON told_circle;
CREATE POLICY worker ON told_circle TO verwijsindex_worker USING (true) WITH CHECK (true);
-- As in 0018, and a circle goes with all but one of it.
CREATE OR REPLACE FUNCTION leave_no_trace_of_standings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    ids CONSTANT uuid[] := ARRAY(SELECT id FROM gone);
    left_by CONSTANT uuid[] := ARRAY(SELECT DISTINCT youngster_id FROM gone);
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM signal WHERE standing_id = ANY(ids)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a signal stands there';
    END IF;
    DELETE FROM told WHERE standing_id = ANY(ids);
    DELETE FROM told WHERE contact_id = ANY(ids);
    DELETE FROM told_supervision WHERE contact_id = ANY(ids);
    DELETE FROM party WHERE standing_id = ANY(ids);
    DELETE FROM told_circle WHERE youngster_id = ANY(left_by)
        AND (SELECT count(*) FROM unnest(reporters || officers) m WHERE m <> ALL(ids)) < 2;
    UPDATE told_circle SET reporters = ARRAY(SELECT m FROM unnest(reporters) m WHERE m <> ALL(ids)),
        officers = ARRAY(SELECT m FROM unnest(officers) m WHERE m <> ALL(ids))
    WHERE youngster_id = ANY(left_by) AND (reporters || officers) && ids;
    RETURN NULL;
END $$;
"""

# As in 0024, and who is in one circle was told.
MUTES = """
CREATE OR REPLACE FUNCTION mute_shown(asked uuid, at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    today CONSTANT date := scope_today();
    officer CONSTANT boolean := scope_own_officer() IS NOT NULL;
    mine CONSTANT uuid[] := ARRAY(SELECT * FROM seated(asked));
    others CONSTANT uuid[] := ARRAY(
        SELECT DISTINCT c.reporter_id
        FROM match m JOIN concerned(m.youngster_id, today) c ON c.elsewhere = (m.kind = 'family')
        JOIN reporter r ON r.id = c.reporter_id AND coalesce(r.designated_until >= today, true)
        WHERE m.id = asked AND NOT c.shielded AND NOT c.reporter_id = ANY(mine));
    made bigint;
BEGIN
    INSERT INTO mute (id, youngster_id, reporter_id, other_id, standing_id, by_officer, muted_at)
    SELECT gen_random_uuid(), pair.youngster_id, pair.reporter_id, pair.other_id, pair.standing_id, officer, at
    FROM (
        SELECT DISTINCT stood.* FROM (
            SELECT st.youngster_id, st.reporter_id, o.other_id, st.id AS standing_id
            FROM match m JOIN seats(m.youngster_id, today) seat ON seat.reporter_id = ANY(mine)
            JOIN signal s ON s.id = seat.signal_id JOIN standing st ON st.id = s.standing_id
            CROSS JOIN unnest(others) o (other_id)
            WHERE m.id IN (SELECT * FROM followed(asked))
              AND (EXISTS (SELECT FROM told t JOIN standing os ON os.id = t.contact_id
                           WHERE t.standing_id = st.id AND t.kind = m.kind AND t.to_officer = officer
                             AND os.reporter_id = o.other_id)
                   OR EXISTS (SELECT FROM told_circle c JOIN standing os ON os.id = ANY(c.reporters || c.officers)
                              WHERE m.kind = 'youngster' AND c.youngster_id = m.youngster_id
                                AND st.id = ANY(CASE WHEN officer THEN c.officers ELSE c.reporters END)
                                AND os.reporter_id = o.other_id))
            FOR KEY SHARE OF st
        ) stood
    ) pair ORDER BY pair.youngster_id, pair.reporter_id, pair.other_id
    ON CONFLICT (youngster_id, reporter_id, other_id) DO UPDATE
        SET standing_id = excluded.standing_id, by_officer = excluded.by_officer, muted_at = excluded.muted_at
        WHERE (mute.standing_id, mute.by_officer) <> (excluded.standing_id, excluded.by_officer);
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END $$;
"""

# As in 0010.
GUARD = """
CREATE OR REPLACE FUNCTION refuse_matcher_of_before() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('verwijsindex.matcher', true) IS DISTINCT FROM 'circles' THEN
        RAISE EXCEPTION 'this matcher is older than the tables: update the workers'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
"""

# What each of these tables says of the register or of a match, as the foreign keys did that it takes the place of.
# OFFSET 0 has each looked up, however many come: what the matcher places in one batch is nothing beside the register.
REFERENCES = {
    "notice": {
        "match_id": "match.id",
        "reporter_id": "reporter.id",
        "municipality_code": "municipality.code",
        "officer_oin": "institution.oin",
        "coordinator_oin": "institution.oin",
    },
    "party": {"match_id": "match.id", "reporter_id": "reporter.id"},
    "standing": {"youngster_id": "youngster.id", "reporter_id": "reporter.id"},
    "supervision": {"match_id": "match.id", "municipality_code": "municipality.code"},
    "told_supervision": {"match_id": "match.id", "municipality_code": "municipality.code"},
}


def _function(table: str, references: dict[str, str]) -> str:
    """Refuses a statement that adds what refers to nothing."""
    checks = "\n        OR ".join(
        f"EXISTS (SELECT FROM (SELECT DISTINCT {column} FROM added WHERE {column} IS NOT NULL) a WHERE NOT EXISTS"  # noqa: S608
        f" (SELECT FROM {target.split('.')[0]} x WHERE x.{target.split('.')[1]} = a.{column} OFFSET 0))"
        for column, target in references.items()
    )
    return f"""
CREATE OR REPLACE FUNCTION {table}_refers_to_what_is_there() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF {checks} THEN
        RAISE foreign_key_violation USING MESSAGE = 'it refers to nothing';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION {table}_refers_to_what_is_there() FROM PUBLIC;
"""


def _swap(table: str, references: dict[str, str]) -> str:
    """The trigger in the place of the foreign keys."""
    return f"""
    CREATE OR REPLACE TRIGGER {table}_refers_to_what_is_there AFTER INSERT ON {table} REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_refers_to_what_is_there();
    ALTER TABLE {table} {", ".join(f"DROP CONSTRAINT IF EXISTS {table}_{column}_fkey" for column in references)};
"""


# A signal likewise, when it is placed and when an act changes what it refers to. (Its youngster stays a foreign key: it
# is given once, by the matcher, and must not be forgotten before its signals.)
_OF_SIGNAL = """
    {0} NOT EXISTS (SELECT FROM reporter r WHERE r.id = {1}.reporter_id AND r.oin = {1}.oin OFFSET 0)
    OR NOT EXISTS (SELECT FROM agreement g WHERE g.id = {1}.agreement_id AND g.oin = {1}.oin OFFSET 0)
    OR NOT EXISTS (SELECT FROM municipality m WHERE m.code = {1}.residence_municipality OFFSET 0)"""
SIGNAL = f"""
CREATE OR REPLACE FUNCTION signal_refers_to_what_is_there() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS ({_OF_SIGNAL.format("SELECT FROM added s WHERE", "s")}) THEN
        RAISE foreign_key_violation USING MESSAGE = 'it refers to nothing';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION changed_signal_refers_to_what_is_there() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF {_OF_SIGNAL.format("", "NEW")} THEN
        RAISE foreign_key_violation USING MESSAGE = 'it refers to nothing';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION signal_refers_to_what_is_there(), changed_signal_refers_to_what_is_there() FROM PUBLIC;
"""  # noqa: S608
_SWAP_SIGNAL = """
    CREATE OR REPLACE TRIGGER signal_refers_to_what_is_there AFTER INSERT ON signal REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION signal_refers_to_what_is_there();
    CREATE OR REPLACE TRIGGER changed_signal_refers_to_what_is_there
        AFTER UPDATE OF reporter_id, oin, agreement_id, residence_municipality ON signal
        FOR EACH ROW EXECUTE FUNCTION changed_signal_refers_to_what_is_there();
    ALTER TABLE signal DROP CONSTRAINT IF EXISTS signal_is_of_the_reporters_institution,
        DROP CONSTRAINT IF EXISTS signal_is_under_its_institutions_agreement,
        DROP CONSTRAINT IF EXISTS signal_residence_municipality_fkey;
"""

# To drop a foreign key locks both tables out of all that runs: intake and readers, who come to them in any order. So it
# is a transaction of its own, which takes all its locks or none: as long as it does not have them it waits for none
# longer than a twentieth of a second, while a deadlock is judged after one. No matcher runs meanwhile.
IN_BULK = f"""
DO $do$
BEGIN
    FOR n IN 1..600 LOOP
        BEGIN
            SET LOCAL lock_timeout = '50ms';
            PERFORM pg_advisory_xact_lock(hashtextextended('verwijsindex.matcher', 0));
            LOCK TABLE municipality, institution, agreement, reporter, youngster, signal, match, standing, party,
                supervision, told_supervision, notice IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF n = 600 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.1);
        END;
    END LOOP;
{"".join(_swap(table, references) for table, references in REFERENCES.items())}{_SWAP_SIGNAL}
END $do$
"""


def upgrade() -> None:
    """Circles, and references in bulk. Killed between two of its transactions it is run again, and may be."""
    op.execute(CIRCLES)
    op.execute(GUARD)
    op.execute(MUTES)
    op.execute(SIGNAL)
    for table, references in REFERENCES.items():
        op.execute(_function(table, references))
    connection = op.get_bind()
    connection.commit()
    op.execute(IN_BULK)
    connection.commit()
