# SPDX-License-Identifier: EUPL-1.2
"""Webhook subscriptions that a client manages itself: state, challenge, two secrets, attempts, replay (I3, R12).

The version before runs on this schema too: what it writes gets defaults, and a subscription that its administrator
sets is active, as it was. Upgrade its deliverers before its index, since they know no pause. The registrar's rights on
`subscription`, and the index `ix_delivery_due`, go when that version is gone.

An address is active only after a worker confirmed it: the index role cannot write `confirmed_address`, and its policy
lets it make no other address active.
"""

from alembic import op

revision = "index_0003"
down_revision = "index_0002"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE subscription
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT subscription_id_key UNIQUE,
    ADD COLUMN state varchar NOT NULL DEFAULT 'active'
        CONSTRAINT subscription_state CHECK (state IN ('pending', 'active', 'paused', 'failed')),
    ADD COLUMN confirmed_address varchar,
    ADD COLUMN secret_number integer NOT NULL DEFAULT 1,
    ADD COLUMN previous_key_version integer,
    ADD COLUMN previous_secret_sealed bytea,
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN challenge_id uuid,
    ADD COLUMN challenge_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN challenge_due_at timestamptz,
    ADD COLUMN challenge_until timestamptz,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN rests_until timestamptz,
    ADD CONSTRAINT subscription_previous_secret_is_whole
        CHECK (num_nulls(previous_key_version, previous_secret_sealed, previous_until) IN (0, 3)),
    ADD CONSTRAINT subscription_pending_has_a_challenge
        CHECK (state <> 'pending' OR num_nulls(challenge_id, challenge_due_at, challenge_until) = 0);
UPDATE subscription SET confirmed_address = address;

ALTER TABLE delivery
    DROP CONSTRAINT delivery_client_id_fkey,
    ADD CONSTRAINT delivery_client_id_fkey
        FOREIGN KEY (client_id) REFERENCES subscription (client_id) ON DELETE CASCADE;
CREATE INDEX ix_delivery_waiting ON delivery (client_id, due_at) WHERE delivered_at IS NULL;
CREATE INDEX ix_delivery_delivered ON delivery (client_id, delivered_at);

CREATE TABLE attempt (
    id uuid PRIMARY KEY,
    client_id varchar NOT NULL REFERENCES subscription (client_id) ON DELETE CASCADE,
    delivery_id uuid NOT NULL,
    about varchar NOT NULL CONSTRAINT attempt_about CHECK (about IN ('inbox', 'challenge')),
    at timestamptz NOT NULL,
    outcome varchar NOT NULL,
    duration_ms integer NOT NULL,
    next_try_at timestamptz
);
CREATE INDEX ix_attempt_client ON attempt (client_id, at, id);
CREATE INDEX ix_attempt_at ON attempt (at);

CREATE TABLE subscription_request (
    client_id varchar NOT NULL,
    key varchar NOT NULL,
    key_version integer NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    answer varchar,
    secret_number integer,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, key)
);
CREATE INDEX ix_subscription_request_received_at ON subscription_request (received_at);
"""

SECURITY = """
CREATE FUNCTION scope_client() RETURNS varchar LANGUAGE sql STABLE
    RETURN nullif(current_setting('verwijsindex.client', true), '');
ALTER TABLE attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscription_request ENABLE ROW LEVEL SECURITY;

-- index: the subscription of the client that asks, and no other.
GRANT SELECT, DELETE ON subscription TO verwijsindex_index;
GRANT INSERT (client_id, oin, address, key_version, secret_sealed, created_at, id, state, challenge_id,
              challenge_due_at, challenge_until) ON subscription TO verwijsindex_index;
GRANT UPDATE (address, key_version, secret_sealed, state, secret_number, previous_key_version, previous_secret_sealed,
              previous_until, challenge_id, challenge_attempts, challenge_due_at, challenge_until, failures,
              rests_until) ON subscription TO verwijsindex_index;
GRANT SELECT (id, client_id, due_at, leased_until, attempts, delivered_at) ON delivery TO verwijsindex_index;
GRANT UPDATE (due_at, attempts, delivered_at) ON delivery TO verwijsindex_index;
GRANT DELETE ON delivery TO verwijsindex_index;
GRANT SELECT, DELETE ON attempt TO verwijsindex_index;
GRANT SELECT, INSERT ON subscription_request TO verwijsindex_index;
GRANT UPDATE (status, answer, secret_number) ON subscription_request TO verwijsindex_index;
CREATE POLICY own ON subscription TO verwijsindex_index
    USING (client_id = (SELECT scope_client()) AND oin = (SELECT scope_oin()))
    WITH CHECK (client_id = (SELECT scope_client()) AND oin = (SELECT scope_oin())
                AND (state <> 'active' OR address = confirmed_address));
CREATE POLICY own ON delivery TO verwijsindex_index
    USING (client_id = (SELECT scope_client())) WITH CHECK (client_id = (SELECT scope_client()));
CREATE POLICY own ON attempt TO verwijsindex_index USING (client_id = (SELECT scope_client()));
CREATE POLICY own ON subscription_request TO verwijsindex_index
    USING (client_id = (SELECT scope_client())) WITH CHECK (client_id = (SELECT scope_client()));

-- worker: confirms addresses, lets receivers rest, writes attempts down, destroys what is too old.
GRANT UPDATE (state, confirmed_address, previous_key_version, previous_secret_sealed, previous_until, challenge_id,
              challenge_attempts, challenge_due_at, challenge_until, failures, rests_until)
    ON subscription TO verwijsindex_worker;
GRANT SELECT, INSERT, DELETE ON attempt TO verwijsindex_worker;
GRANT SELECT, DELETE ON subscription_request TO verwijsindex_worker;
CREATE POLICY worker_update ON subscription FOR UPDATE TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON attempt TO verwijsindex_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON subscription_request TO verwijsindex_worker USING (true);
"""


def upgrade() -> None:
    """Add to the tables of the version before, and say who may do what with what is new."""
    op.execute(TABLES)
    op.execute(SECURITY)
