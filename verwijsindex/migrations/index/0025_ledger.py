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
CREATE TABLE dropped_events (
    before bigint PRIMARY KEY,
    covered bigint NOT NULL,
    at timestamptz NOT NULL
);
ALTER TABLE unsealed_event SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TRIGGER leaf_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tree_node_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dropped_events_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dropped_events
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

# What goes is a beginning of the ledger that was signed more than five years ago: so who verifies knows by the
# checkpoint that it was old enough. The lock is the sealer's, so that two never drop the same, and the trigger lets
# through no other deletion.
DROPPING = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'event' AND TG_OP = 'DELETE' AND current_setting('verwijsindex.dropping', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION drop_old_events(now timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    newest CONSTANT timestamptz := now - interval '5 years';
    covered bigint;
    first bigint;
    dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('verwijsindex.sealer'));
    covered := (SELECT c.size FROM checkpoint c WHERE c.at <= newest ORDER BY c.at DESC, c.size DESC LIMIT 1);
    first := coalesce((SELECT max(d.before) FROM dropped_events d), 0);
    IF covered IS NULL OR first >= covered THEN
        RETURN 0;
    END IF;
    PERFORM set_config('verwijsindex.dropping', 'on', true);
    DELETE FROM event WHERE id IN (
        SELECT l.event_id FROM leaf l WHERE l.place >= first AND l.place < least(first + most, covered)
    );
    GET DIAGNOSTICS dropped = ROW_COUNT;
    PERFORM set_config('verwijsindex.dropping', '', true);
    INSERT INTO dropped_events VALUES (least(first + most, covered), covered, now);
    RETURN dropped;
END $$;
"""

# Of the institution of the scope, and nothing for anybody else.
OWN_EVENTS = """
CREATE FUNCTION own_sealed_events(about uuid, size bigint)
RETURNS TABLE (place bigint, body bytea, nonce bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.place, e.body, e.nonce FROM event e JOIN leaf l ON l.event_id = e.id
    WHERE e.signal_id = about AND e.oin = (SELECT scope_oin()) AND l.place < size
    ORDER BY l.place LIMIT 100
$$;
"""

SECURITY = """
REVOKE ALL ON FUNCTION queue_for_sealing(), seal_events(integer), drop_old_events(timestamptz, integer),
    own_sealed_events(uuid, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seal_events(integer), drop_old_events(timestamptz, integer) TO verwijsindex_worker;
GRANT EXECUTE ON FUNCTION own_sealed_events(uuid, bigint) TO verwijsindex_index;
GRANT SELECT (place, hash) ON leaf TO verwijsindex_worker, verwijsindex_index;
GRANT SELECT ON tree_node, checkpoint TO verwijsindex_worker, verwijsindex_index;
GRANT INSERT ON checkpoint TO verwijsindex_worker;
"""


def upgrade() -> None:
    """Make the queue, the tree and the checkpoints, and say who may seal, drop and read."""
    for part in (TABLES, SEALING, DROPPING, OWN_EVENTS, SECURITY):
        op.execute(part)
