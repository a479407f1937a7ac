# SPDX-License-Identifier: EUPL-1.2
"""The ledger's tree (R25): events wait in a queue for their places, and get them once they are committed.

A trigger fills the queue, so that the version before, which knows nothing of it, goes on beside this one. No event is
changed to be sealed. `seal_events` is of the owner: the worker that calls it reads no event. Events that are there
already wait as well; whoever inserts one meanwhile waits for that one statement.
"""

from alembic import op

revision = "index_0025"
down_revision = "index_0018"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE unsealed_event (event_id uuid PRIMARY KEY);
CREATE TABLE leaf (
    place bigint PRIMARY KEY CONSTRAINT leaf_place_from_zero CHECK (place >= 0),
    event_id uuid NOT NULL CONSTRAINT leaf_one_for_an_event UNIQUE,
    hash bytea NOT NULL CONSTRAINT leaf_hash_is_sha256 CHECK (octet_length(hash) = 32)
);
CREATE TABLE tree_node (
    level smallint CONSTRAINT tree_node_above_leaves CHECK (level > 0),
    number bigint,
    hash bytea NOT NULL CONSTRAINT tree_node_hash_is_sha256 CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, number)
);
CREATE TABLE checkpoint (size bigint PRIMARY KEY, at timestamptz NOT NULL, note varchar NOT NULL);
CREATE INDEX ix_checkpoint_at ON checkpoint (at);
ALTER TABLE unsealed_event SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TRIGGER leaf_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tree_node_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- In the transaction of the event: it waits from the moment that it is there for others.
CREATE FUNCTION queue_for_sealing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO unsealed_event SELECT id FROM new_event;
    RETURN NULL;
END $$;
CREATE TRIGGER event_waits_for_its_place AFTER INSERT ON event REFERENCING NEW TABLE AS new_event
    FOR EACH STATEMENT EXECUTE FUNCTION queue_for_sealing();
INSERT INTO unsealed_event SELECT id FROM event;
"""

# One sealer at a time: the lock comes first and is kept until the commit, and in READ COMMITTED each statement after
# it sees all that was committed before, so all that the sealer before this one did. A statement sees committed events
# only; one that is committed later, however long ago it was begun, is still in the queue then, and gets a later place.
# So none is lost, and no place changes. If two did seal at once, the primary key of `leaf` would refuse the second.
# A level of the tree is made from the one below: only of what is new, so that nothing old is read but its right edge.
SEALING = r"""
CREATE FUNCTION seal_events(most integer, OUT sealed bigint, OUT size bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    before bigint;
    up integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('verwijsindex.sealer'));
    before := coalesce((SELECT max(l.place) + 1 FROM leaf l), 0);
    WITH taken AS (
        DELETE FROM unsealed_event
        WHERE event_id IN (SELECT u.event_id FROM unsealed_event u ORDER BY u.event_id LIMIT most) RETURNING event_id
    )
    INSERT INTO leaf (place, event_id, hash)
    SELECT before + row_number() OVER (ORDER BY e.id) - 1, e.id, sha256('\x00'::bytea || e.nonce || e.body)
    FROM taken t JOIN event e ON e.id = t.event_id;
    GET DIAGNOSTICS sealed = ROW_COUNT;
    size := before + sealed;
    WHILE size >> (up + 1) > 0 LOOP
        up := up + 1;
        INSERT INTO tree_node (level, number, hash)
        SELECT up, below.number / 2, sha256('\x01'::bytea || string_agg(below.hash, '' ORDER BY below.number))
        FROM (
            SELECT l.place AS number, l.hash FROM leaf l
            WHERE up = 1 AND l.place >= 2 * (before >> up) AND l.place < 2 * (size >> up)
            UNION ALL
            SELECT n.number, n.hash FROM tree_node n
            WHERE n.level = up - 1 AND n.number >= 2 * (before >> up) AND n.number < 2 * (size >> up)
        ) below
        GROUP BY below.number / 2;
    END LOOP;
END $$;
"""

SECURITY = """
REVOKE ALL ON FUNCTION queue_for_sealing(), seal_events(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seal_events(integer) TO verwijsindex_worker;
GRANT SELECT (place, hash) ON leaf TO verwijsindex_worker, verwijsindex_index;
GRANT SELECT ON tree_node, checkpoint TO verwijsindex_worker, verwijsindex_index;
GRANT INSERT ON checkpoint TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Make the queue, the tree and the checkpoints, and say who may seal."""
    for part in (TABLES, SEALING, SECURITY):
        op.execute(part)
