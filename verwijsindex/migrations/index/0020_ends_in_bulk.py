# SPDX-License-Identifier: EUPL-1.2
"""What an end touches is kept whole in bulk (decision 0023).

The version before goes on working: it knows no standings.
"""

from alembic import op

revision = "index_0020"
down_revision = "index_0017"
branch_labels = None
depends_on = None

# A foreign key is looked after row by row: a third of what an end cost was the five that referred to its standing. Who
# deletes standings takes along all that is of them in one statement each, and may not where a signal stands. Standings
# are made, given and deleted under the matcher's lock, so that none is given away while it is deleted.
STANDINGS = """
ALTER TABLE signal DROP CONSTRAINT signal_standing_id_fkey;
ALTER TABLE party DROP CONSTRAINT party_standing_id_fkey;
ALTER TABLE told DROP CONSTRAINT told_standing_id_fkey, DROP CONSTRAINT told_contact_id_fkey;
ALTER TABLE told_supervision DROP CONSTRAINT told_supervision_contact_id_fkey;
CREATE FUNCTION leave_no_trace_of_standings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    ids CONSTANT uuid[] := ARRAY(SELECT id FROM gone);
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
    UPDATE party SET standing_id = NULL WHERE standing_id = ANY(ids);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION leave_no_trace_of_standings() FROM PUBLIC;
CREATE TRIGGER standing_leaves_no_trace AFTER DELETE ON standing REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION leave_no_trace_of_standings();
GRANT UPDATE (standing_id) ON party TO verwijsindex_worker;
"""

# An archived signal is a copy of one that refers to the same reporter and agreement, and no role may delete either. (To
# drop a foreign key here would lock both out of every intake: that ended in deadlocks, and so there never was one.)
# OFFSET 0 has each row looked up, however many come: one that withdraws must not read the whole register.
ARCHIVE = """
CREATE FUNCTION archive_only_of_the_register() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added a
        WHERE NOT EXISTS (SELECT FROM reporter r WHERE r.id = a.reporter_id AND r.oin = a.oin OFFSET 0)
           OR NOT EXISTS (SELECT FROM agreement g WHERE g.id = a.agreement_id AND g.oin = a.oin OFFSET 0)
    ) THEN
        RAISE foreign_key_violation USING MESSAGE = 'no such reporter or agreement of that institution';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION archive_only_of_the_register() FROM PUBLIC;
CREATE TRIGGER archived_signal_is_of_the_register AFTER INSERT ON archived_signal REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION archive_only_of_the_register();
"""


def upgrade() -> None:
    """Let what ends go in bulk."""
    op.execute(STANDINGS)
    op.execute(ARCHIVE)
