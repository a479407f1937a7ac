# SPDX-License-Identifier: EUPL-1.2
"""What a coordinator may read (R20), and the last day of coordinators and case supervisors.

A coordinator's scope opens the live signals of the institution by a view without the case reference: only who sent
that gets it back (R6), so the role of the index could not show it to a coordinator if it wanted to. The version before
sets no coordinator in its scope, to which the view is then empty; it too refuses who left.
"""

from alembic import op

revision = "index_0004"
down_revision = "index_0003"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE coordinator ADD COLUMN last_day date;
ALTER TABLE case_supervisor ADD COLUMN last_day date;

CREATE FUNCTION scope_coordinator() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.coordinator', true), '')::uuid;

-- The coordinator of the scope, if it is one of the scope's institution today.
CREATE FUNCTION scope_own_coordinator() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM coordinator WHERE id = (SELECT scope_coordinator()) AND oin = (SELECT scope_oin())
      AND (last_day IS NULL OR last_day >= (SELECT scope_today()))
$$;
REVOKE ALL ON FUNCTION scope_own_coordinator() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scope_own_coordinator() TO verwijsindex_index;

-- It reads `signal` with its owner's rights. As a barrier it lets no condition of a reader look at a row that it hides.
CREATE VIEW institution_signal WITH (security_barrier) AS
    SELECT id, reporter_id, made_at, received_at, removal_date, residence_municipality, informing_status, informed_on,
           informed_to, postponed_ground, review_date
    FROM signal
    WHERE (SELECT scope_own_coordinator()) IS NOT NULL AND oin = (SELECT scope_oin())
      AND removal_date > (SELECT scope_today());
GRANT SELECT ON institution_signal TO verwijsindex_index;

ALTER POLICY index_read ON coordinator
    USING (oin IN (SELECT * FROM visible_institutions()) AND (last_day IS NULL OR last_day >= (SELECT scope_today())));
ALTER POLICY index_read ON case_supervisor
    USING (municipality_code = (SELECT scope_municipality())
           AND (last_day IS NULL OR last_day >= (SELECT scope_today())));
"""


def upgrade() -> None:
    """Give coordinators their view, and coordinators and supervisors an end."""
    op.execute(STATEMENTS)
