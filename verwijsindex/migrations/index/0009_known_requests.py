# SPDX-License-Identifier: EUPL-1.2
"""Requests are known by a fingerprint of their idempotency key, and no longer by the key itself (I5).

The version before looks for the key as it was sent, so it stays that where such a version may run: in a database that
is in use, until the index key is first turned by this version.
"""

from alembic import op

revision = "index_0009"
down_revision = "index_0007"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE index_key_version ADD COLUMN knows_requests boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX index_key_version_one_knows_requests ON index_key_version (knows_requests) WHERE knows_requests;
UPDATE index_key_version SET knows_requests = true
WHERE state = 'sealing' AND NOT EXISTS (SELECT FROM institution);
"""


def upgrade() -> None:
    """Say by which version of the index key requests are known: in a new database by the first."""
    op.execute(STATEMENTS)
