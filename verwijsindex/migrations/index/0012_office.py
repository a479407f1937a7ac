# SPDX-License-Identifier: EUPL-1.2
"""Who else may act: named officer, rights desk, a municipality's own machine, a person with an own agreement
(R2, R14, R15, R30, R36).

The version before goes on working: it adds none of these, and makes no institution of a person's category.
"""

from alembic import op

revision = "index_0012"
down_revision = "index_0010"
branch_labels = None
depends_on = None

# A person of the rights desk has no municipality in the scope, since that opens its matches: only the desk's.
SCOPE = """
CREATE FUNCTION scope_officer() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.officer', true), '')::uuid;
CREATE FUNCTION scope_desk_officer() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.desk_officer', true), '')::uuid;

-- The named officer of the scope, if it is one of the scope's institution today.
CREATE FUNCTION scope_own_officer() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM named_officer WHERE id = (SELECT scope_officer()) AND oin = (SELECT scope_oin())
      AND (last_day IS NULL OR last_day >= (SELECT scope_today()))
$$;

-- The municipality for whose rights desk the officer of the scope decides today.
CREATE FUNCTION scope_own_desk() RETURNS char(4)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT municipality_code FROM rights_desk_officer WHERE id = (SELECT scope_desk_officer())
      AND (last_day IS NULL OR last_day >= (SELECT scope_today()))
$$;
REVOKE ALL ON FUNCTION scope_own_officer(), scope_own_desk() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scope_own_officer(), scope_own_desk() TO verwijsindex_index;
"""

REGISTER = """
GRANT SELECT, INSERT, UPDATE ON named_officer, rights_desk_officer TO verwijsindex_registrar;
CREATE POLICY registrar ON named_officer TO verwijsindex_registrar USING (true) WITH CHECK (true);
CREATE POLICY registrar ON rights_desk_officer TO verwijsindex_registrar USING (true) WITH CHECK (true);

-- An institution of a category in person is one person (R2). Who comes second waits for the institution's row, and
-- then sees what the first has committed: each statement of a function has a snapshot of its own.
CREATE FUNCTION refuse_beside_a_person() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM institution i JOIN category c ON c.code = i.category_code
    WHERE i.oin = NEW.oin AND c.in_person FOR NO KEY UPDATE OF i;
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    IF TG_TABLE_NAME = 'reporter' THEN
        PERFORM FROM reporter r WHERE r.oin = NEW.oin AND r.id <> NEW.id
            AND greatest(r.designated_from, NEW.designated_from)
                <= coalesce(least(r.designated_until, NEW.designated_until), 'infinity');
        IF NOT FOUND THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'this institution is one person'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'institution_is_one_person';
END $$;
CREATE TRIGGER reporter_is_alone_where_it_is_the_person
    BEFORE INSERT OR UPDATE OF oin, designated_from, designated_until ON reporter
    FOR EACH ROW EXECUTE FUNCTION refuse_beside_a_person();
CREATE TRIGGER coordinator_is_of_no_person BEFORE INSERT OR UPDATE OF oin ON coordinator
    FOR EACH ROW EXECUTE FUNCTION refuse_beside_a_person();
CREATE TRIGGER named_officer_is_of_no_person BEFORE INSERT OR UPDATE OF oin ON named_officer
    FOR EACH ROW EXECUTE FUNCTION refuse_beside_a_person();

-- The last named officer stays while a shielded signal lasts longer (R36). Of two officers who end at once the second
-- waits for the institution's row. And no shielded signal comes in between: the lock waits for every statement that is
-- inserting, and one that comes later looks for the officer after it had its own lock.
CREATE INDEX ix_signal_shielded ON signal (oin) WHERE shielded;
CREATE FUNCTION refuse_to_end_the_last_officer() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    PERFORM FROM institution WHERE oin = NEW.oin FOR NO KEY UPDATE;
    PERFORM FROM named_officer WHERE oin = NEW.oin AND id <> NEW.id AND last_day IS NULL;
    IF FOUND OR NEW.last_day IS NULL THEN
        RETURN NEW;
    END IF;
    LOCK TABLE signal IN SHARE MODE;
    PERFORM FROM signal WHERE oin = NEW.oin AND shielded AND ended_at IS NULL AND removal_date > NEW.last_day + 1;
    IF FOUND THEN
        RAISE EXCEPTION 'shielded signals need a named officer'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'named_officer_is_needed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER named_officer_is_not_the_last BEFORE UPDATE OF last_day ON named_officer
    FOR EACH ROW EXECUTE FUNCTION refuse_to_end_the_last_officer();
REVOKE ALL ON FUNCTION refuse_beside_a_person(), refuse_to_end_the_last_officer() FROM PUBLIC;
"""

DEATHS = """
GRANT SELECT (oin) ON municipality TO verwijsindex_intake;
GRANT INSERT ON death TO verwijsindex_intake;
CREATE POLICY intake ON death FOR INSERT TO verwijsindex_intake WITH CHECK (true);
"""

# What the rights desk decides of one placed signal that its municipality contracted (R15, R30): whose reporter's it is,
# or null. Of two that come at once, or of a withdrawal, the second looks again at the row as the first left it.
DESK = """
CREATE FUNCTION decide_on_signal(asked uuid, decision text, at timestamptz) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH decided AS (
        UPDATE signal s SET
            restricted_at = CASE decision WHEN 'restrict' THEN coalesce(s.restricted_at, at) WHEN 'lift' THEN NULL
                ELSE s.restricted_at END,
            ended_at = CASE decision WHEN 'destroy' THEN at END,
            end_reason = CASE decision WHEN 'destroy' THEN 'upheld_request' END
        WHERE s.id = asked AND s.ended_at IS NULL
          AND EXISTS (SELECT FROM placed_signals(scope_today()) p WHERE p.id = s.id)
          AND s.agreement_id IN (SELECT a.id FROM agreement a WHERE a.municipality_code = (SELECT scope_own_desk()))
        RETURNING s.id, s.reporter_id
    ), works AS (
        INSERT INTO work (signal_id) SELECT id FROM decided
    )
    SELECT reporter_id FROM decided
$$;
REVOKE ALL ON FUNCTION decide_on_signal(uuid, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION decide_on_signal(uuid, text, timestamptz) TO verwijsindex_index;
"""

# As before, right when two run at once: each locks the rows that it takes and passes over what the other holds. A
# reporter stays known as long as there is a signal, or an archived one (R17): it moves from the one table to the other
# in one transaction, so that a snapshot has it in one of them.
UPKEEP = """
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
    FOREACH person IN ARRAY ARRAY['coordinator', 'case_supervisor', 'named_officer', 'rights_desk_officer'] LOOP
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


def upgrade() -> None:
    """Say who they are, and what the register refuses."""
    for part in (SCOPE, REGISTER, DEATHS, DESK, UPKEEP):
        op.execute(part)
