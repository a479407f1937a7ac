# SPDX-License-Identifier: EUPL-1.2
"""Which versions of the index key are in use, so that the key can be turned while everything serves (R16, I2).

The version before goes on working as long as one version is in use; while the key is turned its matcher is refused,
since it would take a youngster under another version for a new one.
"""

from alembic import op

revision = "index_0007"
down_revision = "index_0006"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE index_key_version (
    version integer PRIMARY KEY,
    state varchar NOT NULL
        CONSTRAINT index_key_version_state CHECK (state IN ('sealing', 'accepted', 'ending'))
);
CREATE UNIQUE INDEX index_key_version_one_seals ON index_key_version (state) WHERE state = 'sealing';
WITH used AS (
    SELECT key_version FROM youngster UNION SELECT key_version FROM signal UNION SELECT key_version FROM subscription
)
INSERT INTO index_key_version (version, state)
SELECT key_version, CASE key_version WHEN (SELECT max(key_version) FROM used) THEN 'sealing' ELSE 'accepted' END
FROM used
UNION ALL SELECT 1, 'sealing' WHERE NOT EXISTS (SELECT FROM used);
GRANT SELECT ON index_key_version TO verwijsindex_intake, verwijsindex_index, verwijsindex_worker;
"""

# An acknowledged signal under a key that is about to be destroyed would be lost (I1), so the database says which are
# good. The array is read once for a statement, however many signals it inserts.
GUARDS = """
ALTER POLICY intake ON signal WITH CHECK (youngster_id IS NULL
    AND key_version = ANY (ARRAY(SELECT version FROM index_key_version WHERE state <> 'ending')));

CREATE FUNCTION refuse_ending_key() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM index_key_version WHERE version = NEW.key_version AND state <> 'ending') THEN
        RAISE EXCEPTION 'nothing is sealed with this version of the index key any more'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER subscription_is_sealed_with_a_good_key BEFORE INSERT OR UPDATE OF secret_sealed ON subscription
    FOR EACH ROW EXECUTE FUNCTION refuse_ending_key();

-- A matcher says which versions it holds. Who lacks one that is in use would make a second youngster of one (I2).
CREATE FUNCTION refuse_matcher_without_keys() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (SELECT count(*) > 1 AND NOT array_agg(version::text)
            <@ string_to_array(coalesce(current_setting('verwijsindex.index_keys', true), ''), ',')
        FROM index_key_version) THEN
        RAISE EXCEPTION 'the index key is being turned, and this matcher does not hold every version'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER youngster_is_made_by_who_has_every_key BEFORE INSERT ON youngster
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_matcher_without_keys();
REVOKE ALL ON FUNCTION refuse_ending_key(), refuse_matcher_without_keys() FROM PUBLIC;
"""


def upgrade() -> None:
    """Write down the versions that are in use, and guard them."""
    op.execute(TABLE)
    op.execute(GUARDS)
