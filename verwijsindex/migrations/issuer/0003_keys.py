# SPDX-License-Identifier: EUPL-1.2
"""A second public key of a client, while its institution turns it. The version before goes on with the first alone."""

from alembic import op

revision = "issuer_0003"
down_revision = "issuer_0002"
branch_labels = None
depends_on = None

SECOND_KEY = """
ALTER TABLE oauth_client ADD COLUMN second_public_key jsonb
    CONSTRAINT oauth_client_second_public_key_is_ed25519 CHECK (second_public_key IS NULL OR
        (second_public_key ->> 'kty' = 'OKP' AND second_public_key ->> 'crv' = 'Ed25519'
        AND second_public_key ->> 'x' ~ '^[A-Za-z0-9_-]{43}$' AND second_public_key ->> 'kid' ~ '^[A-Za-z0-9_-]{43}$'
        AND second_public_key - '{kty,crv,x,kid}'::text[] = '{}'::jsonb) IS TRUE),
    ADD CONSTRAINT oauth_client_keys_differ CHECK (second_public_key <> public_key);
"""


def upgrade() -> None:
    """Add to the table of the version before; the issuer's right to read the table covers the column."""
    op.execute(SECOND_KEY)
