# SPDX-License-Identifier: EUPL-1.2
"""Dead letters: webhooks that every try of the schedule failed for, shown to the coordinator and replayed (I3, R20).

A dead letter is a delivery that is due at infinity; `dead_at` says since when. So the version before goes on beside
this one: its deliverers never claim a dead letter, and a replay by its index, which sets `due_at`, revives it. A
receiver that answered 410 makes its subscription `failed`, a state that the version before knows; `gone_at` says why.
"""

from alembic import op

revision = "index_0021"
down_revision = "index_0019"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE subscription ADD COLUMN gone_at timestamptz;
ALTER TABLE delivery ADD COLUMN dead_at timestamptz,
    ADD CONSTRAINT delivery_dead_since_when CHECK (due_at <> 'infinity' OR dead_at IS NOT NULL);
CREATE INDEX ix_delivery_dead ON delivery (client_id, dead_at, id) WHERE due_at = 'infinity';
GRANT UPDATE (gone_at) ON subscription TO verwijsindex_worker;
GRANT UPDATE (dead_at) ON delivery TO verwijsindex_worker;
"""

# For the coordinator of the scope; for anybody else there is nothing.
FUNCTIONS = """
CREATE FUNCTION dead_letters(before_at timestamptz, before_id uuid, size integer)
RETURNS TABLE (id uuid, client_id varchar, dead_at timestamptz, attempts integer, outcome varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.id, d.client_id, d.dead_at, d.attempts, d.last_outcome
    FROM subscription s JOIN delivery d ON d.client_id = s.client_id AND d.due_at = 'infinity'
    WHERE s.oin = (SELECT scope_oin()) AND (SELECT scope_own_coordinator()) IS NOT NULL
      AND (before_at IS NULL OR (d.dead_at, d.id) < (before_at, before_id))
    ORDER BY d.dead_at DESC, d.id DESC LIMIT size
$$;

-- One, or all; how many. Subscriptions are locked before their deliveries, as everywhere, so that a client that deletes
-- or replays at the same time comes before or after, and none is revived twice.
CREATE FUNCTION replay_dead_letters(asked uuid, at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own CONSTANT char(20) := CASE WHEN scope_own_coordinator() IS NOT NULL THEN scope_oin() END;
    replayed bigint;
BEGIN
    PERFORM FROM subscription WHERE oin = own ORDER BY client_id FOR NO KEY UPDATE;
    WITH revived AS (
        UPDATE delivery d SET due_at = at, attempts = 0, dead_at = NULL FROM subscription s
        WHERE s.client_id = d.client_id AND s.oin = own AND d.due_at = 'infinity' AND (asked IS NULL OR d.id = asked)
        RETURNING d.client_id
    ), woken AS (
        UPDATE subscription SET failures = 0, rests_until = NULL WHERE client_id IN (SELECT client_id FROM revived)
    )
    SELECT count(*) INTO replayed FROM revived;
    RETURN replayed;
END $$;
REVOKE ALL ON FUNCTION dead_letters(timestamptz, uuid, integer), replay_dead_letters(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dead_letters(timestamptz, uuid, integer), replay_dead_letters(uuid, timestamptz)
    TO verwijsindex_index;
"""


def upgrade() -> None:
    """Add to the tables of the version before, and two functions for the coordinator."""
    op.execute(TABLES)
    op.execute(FUNCTIONS)
