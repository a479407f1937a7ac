# SPDX-License-Identifier: EUPL-1.2
"""Clients, and the ids of their used assertions. The issuer itself registers nobody: the owner's commands do."""

from alembic import op

revision = "issuer_0001"
down_revision = None
branch_labels = ("issuer",)
depends_on = None

TABLES = """
CREATE TABLE oauth_client (
    client_id text PRIMARY KEY
        CONSTRAINT oauth_client_id CHECK (client_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    name text NOT NULL,
    oin char(20) NOT NULL CONSTRAINT oauth_client_oin_is_twenty_digits CHECK (oin ~ '^[0-9]{20}$'),
    public_key jsonb NOT NULL CONSTRAINT oauth_client_public_key_is_ed25519 CHECK (
        (public_key ->> 'kty' = 'OKP' AND public_key ->> 'crv' = 'Ed25519'
        AND public_key ->> 'x' ~ '^[A-Za-z0-9_-]{43}$' AND public_key ->> 'kid' ~ '^[A-Za-z0-9_-]{43}$'
        AND public_key - '{kty,crv,x,kid}'::text[] = '{}'::jsonb) IS TRUE),
    scopes text[] NOT NULL CONSTRAINT oauth_client_scopes CHECK (
        array_to_string(scopes, ' ', '?') ~ '^[a-z]+:[a-z]+( [a-z]+:[a-z]+)*$'),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE TABLE assertion_jti (
    client_id text NOT NULL REFERENCES oauth_client (client_id),
    jti text NOT NULL CONSTRAINT assertion_jti_form CHECK (jti ~ '^[!-~]{1,128}$'),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);
CREATE INDEX ix_assertion_jti_expires_at ON assertion_jti (expires_at);
"""

PRIVILEGES = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO verwijsindex_issuer;
GRANT SELECT ON oauth_client TO verwijsindex_issuer;
GRANT SELECT, INSERT, DELETE ON assertion_jti TO verwijsindex_issuer;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(PRIVILEGES)
