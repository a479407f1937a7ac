# SPDX-License-Identifier: EUPL-1.2
"""Upkeep: what is kept for how long (docs/retention.md); contact data of who left.

The version before goes on working: its reads never show who left and has no signal, and what it adds has contact data.
"""

from alembic import op

revision = "index_0005"
down_revision = "index_0004"
branch_labels = None
depends_on = None

# Contact data goes only after the last day, and does not come back: who returns is designated anew, as a new reporter.
TABLES = """
ALTER TABLE reporter ADD COLUMN contact_removed_on date,
    ADD CONSTRAINT reporter_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(designated_until < contact_removed_on, false)));
ALTER TABLE coordinator ADD COLUMN contact_removed_on date,
    ADD CONSTRAINT coordinator_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(last_day < contact_removed_on, false)));
ALTER TABLE case_supervisor ADD COLUMN contact_removed_on date,
    ADD CONSTRAINT case_supervisor_contact_data_is_there_or_gone CHECK (contact_removed_on IS NULL
        OR (name = '' AND telephone = '' AND email = '' AND coalesce(last_day < contact_removed_on, false)));
CREATE INDEX ix_reporter_left ON reporter (designated_until) WHERE contact_removed_on IS NULL;
CREATE INDEX ix_delivery_taken ON delivery (delivered_at);
"""

# Right when two run at once: each locks the rows that it takes and passes over what the other holds; a lock is got on
# the newest version of a row, for which the conditions are looked at again. A reporter whose last day is past gets no
# new signal, so that none can come between the look and the update.
FUNCTION = """
CREATE FUNCTION remove_contact_data(today date, left_before date, size integer)
RETURNS TABLE (record text, id uuid, municipality_code char(4))
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE reporter SET name = '', telephone = '', email = '', contact_removed_on = today
    WHERE reporter.id = ANY(ARRAY(
        SELECT r.id FROM reporter r
        WHERE r.designated_until < left_before AND r.contact_removed_on IS NULL
          AND NOT EXISTS (SELECT FROM signal s WHERE s.reporter_id = r.id
                          AND s.removal_date + interval '5 years' > today)
        ORDER BY r.id LIMIT size FOR UPDATE SKIP LOCKED))
    RETURNING 'reporter', reporter.id, NULL::char(4);
    RETURN QUERY
    UPDATE coordinator SET name = '', telephone = '', email = '', contact_removed_on = today
    WHERE coordinator.id = ANY(ARRAY(
        SELECT c.id FROM coordinator c WHERE c.last_day < left_before AND c.contact_removed_on IS NULL
        ORDER BY c.id LIMIT size FOR UPDATE SKIP LOCKED))
    RETURNING 'coordinator', coordinator.id, NULL::char(4);
    RETURN QUERY
    UPDATE case_supervisor SET name = '', telephone = '', email = '', contact_removed_on = today
    WHERE case_supervisor.id = ANY(ARRAY(
        SELECT v.id FROM case_supervisor v WHERE v.last_day < left_before AND v.contact_removed_on IS NULL
        ORDER BY v.id LIMIT size FOR UPDATE SKIP LOCKED))
    RETURNING 'case_supervisor', case_supervisor.id, case_supervisor.municipality_code;
END $$;
REVOKE ALL ON FUNCTION remove_contact_data(date, date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_contact_data(date, date, integer) TO verwijsindex_worker;
GRANT DELETE ON delivery TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Say when contact data went, and give the workers the one function that does it."""
    op.execute(TABLES)
    op.execute(FUNCTION)
